"""A command fixture for the `admin` command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.access.quotas import QuotaPolicy
from bot.commands.admin.router import AdminRouter
from bot.commands.sessions import SessionsCommand
from bot.commands.user_names import UserNames
from bot.domain.cards import Button, Card
from bot.domain.commands import CommandSource
from bot.ports import Agent
from bot.sessions.cleanup import Cleanup
from bot.turns.inbox import Inbox
from tests.unit.commands.command_fixtures import ADA, GENERAL, CommandFixture, command_fixture


class FakeInbox(Inbox):
    """An inbox that can only be paused."""

    running_count = 0

    def __init__(self) -> None:
        self._paused = False
        self.idle = asyncio.Event()
        self.becomes_idle = True

    def resume_turns(self) -> None:
        self._paused = False

    async def wait_until_idle(self, timeout: float) -> bool:
        async with asyncio.timeout(timeout):
            await self.idle.wait()
        return self.becomes_idle


@dataclass(frozen=True)
class AdminFixture:
    """A command fixture with the `admin` command."""

    world: CommandFixture
    inbox: FakeInbox
    quotas: QuotaPolicy
    admin: AdminRouter

    async def run_command(
        self, text: str, *, by: str = ADA, form: CommandSource = CommandSource.SLASH_COMMAND
    ) -> Card:
        result = await self.world.run_command(
            f"admin {text}".strip(), by=by, form=form, channel=GENERAL
        )
        assert not result.public
        return result.card

    async def press_button(self, button: Button) -> Card:
        assert button.command_name == "admin"
        return await self.run_command(button.args, form=CommandSource.BUTTON)

    def paused(self) -> bool:
        return self.inbox.paused

    async def audited(self) -> list[tuple[str, str, str, str]]:
        """The audit entries (actor, action, target, detail), newest first."""
        entries, _ = await self.world.store.list_audit_entries(0, 50)
        return [(each.actor, each.action, each.target, each.detail) for each in entries]


@asynccontextmanager
async def admin_fixture(folder: Path, runtime: Agent | None = None) -> AsyncIterator[AdminFixture]:
    """A fixture on a new database."""
    async with command_fixture(folder) as world:
        inbox, quotas = FakeInbox(), QuotaPolicy(world.store, world.clock, per_day=0)
        agent = runtime or world.runtime
        cleanup = Cleanup(world.store, agent, world.pool, world.clock, sessions_dir=folder)
        names = UserNames(world.people)
        admin = AdminRouter(
            world.store,
            world.people,
            world.publisher,
            world.clock,
            cleanup,
            quotas,
            inbox,
            list_sessions=SessionsCommand(world.store, world.people, names, world.clock).sessions,
        )
        world.handlers.update(admin.handlers())
        yield AdminFixture(world, inbox, quotas, admin)
        await admin.close()
