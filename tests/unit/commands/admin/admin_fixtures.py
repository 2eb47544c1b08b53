"""A desk at which those in charge give orders, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.access.quotas import Limits
from bot.commands.admin.router import Admin
from bot.commands.sessions import Listing
from bot.commands.user_names import Names
from bot.domain.cards import Card, Press
from bot.domain.commands import Form
from bot.ports import Agent
from bot.sessions.cleanup import Cleanup
from tests.unit.commands.command_fixtures import ADA, GENERAL, World, orders_world


class Pausing:
    """The inbox, as far as pausing goes."""

    def __init__(self) -> None:
        self.paused = False
        self.busy = 0
        self.idle = asyncio.Event()
        self.becomes_idle = True

    def pause(self) -> None:
        self.paused = True

    def go_on(self) -> None:
        self.paused = False

    async def until_idle(self, seconds: float) -> bool:
        async with asyncio.timeout(seconds):
            await self.idle.wait()
        return self.becomes_idle


@dataclass(frozen=True)
class InCharge:
    """A world with the orders of those in charge."""

    world: World
    pausing: Pausing
    limits: Limits
    admin: Admin

    async def order(self, said: str, *, by: str = ADA, form: Form = Form.COMMAND) -> Card:
        outcome = await self.world.order(f"admin {said}".strip(), by=by, form=form, channel=GENERAL)
        assert not outcome.public
        return outcome.card

    async def press(self, press: Press) -> Card:
        assert press.verb == "admin"
        return await self.order(press.words, form=Form.BUTTON)

    def paused(self) -> bool:
        return self.pausing.paused

    async def audited(self) -> list[tuple[str, str, str, str]]:
        """(by, act, target, detail), newest first"""
        entries, _ = await self.world.store.audited(0, 50)
        return [(each.by, each.act, each.target, each.detail) for each in entries]


@asynccontextmanager
async def in_charge(folder: Path, runtime: Agent | None = None) -> AsyncIterator[InCharge]:
    """Those orders on a new database."""
    async with orders_world(folder) as world:
        pausing, limits = Pausing(), Limits(world.store, world.clock, per_day=0)
        agent = runtime or world.runtime
        cleanup = Cleanup(world.store, agent, world.pool, world.clock, sessions=folder)
        names = Names(world.people)
        admin = Admin(
            world.store,
            world.people,
            world.board,
            world.clock,
            cleanup,
            limits,
            pausing,
            listing=Listing(world.store, world.people, names, world.clock).sessions,
        )
        world.handlers.update(admin.handlers())
        yield InCharge(world, pausing, limits, admin)
        await admin.close()
