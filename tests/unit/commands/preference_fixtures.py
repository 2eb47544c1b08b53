"""The world of the orders with roles, a model server that can be in trouble, and a Home tab."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bot.access.policy import Doorkeeping
from bot.commands.home_tab import Doing, HomePage
from bot.commands.models import ModelOrders
from bot.commands.roles import RoleOrders
from bot.domain.messages import Message, ThreadKey, Trigger, Wish
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.sessions import SessionRecord
from bot.domain.turns import Ending, Turn, TurnState
from bot.domain.usage import Spent
from bot.errors import AgentError, AgentFault, SlackError
from bot.ports import Store
from bot.sessions.model_selection import Choosing
from bot.sessions.roles import BUILT_IN, Role
from bot.store import open_store
from tests.contracts.messages import BEGIN
from tests.fakes import HandClock
from tests.unit.commands import command_fixtures
from tests.unit.commands.command_fixtures import ADA, ALICE, BOB, GENERAL, TEAM

SECRET = "G0SECRET"
"""A channel that Bob does not see."""
MODELS = ("small", "large", "Vendor/Huge-4")


class Seeing(command_fixtures.People):
    """Takes down which channels it is asked about, and may know only who people are."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.blind = False

    async def sees(self, user: str, channel: str) -> bool:
        self.asked.append(channel)
        if self.blind:
            raise SlackError("unreachable")
        return await super().sees(user, channel)


class ModelServer(command_fixtures.Runtime):
    """Tells its models, or cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Sequence[str] = MODELS
        self.fault: Exception | None = None
        self.silent = False
        self.asked = 0
        self.octets = 0

    async def models(self) -> Sequence[str]:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        return self.names

    async def memory(self) -> int:
        return self.octets

    def go_down(self) -> None:
        self.fault = AgentError(AgentFault.UNREACHABLE, "down")


class World(command_fixtures.World):
    """Everything around the choices of people."""

    def __init__(self, store: Store, clock: HandClock, roles: Mapping[str, Role]) -> None:
        super().__init__(store, clock)
        self.slack = self.people = Seeing()
        self.slack.hidden.add((BOB, SECRET))
        self.doors(Doorkeeping(admins=frozenset({ADA})))
        self.server = ModelServer()
        self._roles = roles
        self.choosing = self.choosing_with(model="")
        self.handlers.update(ModelOrders(store, self.choosing, clock).handlers())
        self.handlers.update(RoleOrders(store, self.choosing).handlers())
        self.doing = Doing(running=0, live=0, places=50, paused=False)
        self.home = HomePage(
            store,
            self.access,
            self.slack,
            self.choosing,
            self.server,
            clock,
            doing=lambda: self.doing,
            command="/copilot",
        )
        self._told = itertools.count(1)

    def choosing_with(self, *, model: str) -> Choosing:
        """The same, for a bot whose setting `MODEL` is this."""
        return Choosing(self.store, self.server, self._roles, model=model, clock=self.clock)

    def thread(self, second: int = 0, channel: str = GENERAL) -> ThreadKey:
        return command_fixtures.thread_at(second, channel)

    async def ask(
        self,
        thread: ThreadKey,
        by: str = ALICE,
        *,
        text: str = "What is Python?",
        role: str = "",
        spent: Spent | None = None,
        end: bool = True,
    ) -> tuple[SessionRecord, Turn]:
        """A turn in a thread, asked of its session, and ended if not told otherwise."""
        number = next(self._told)
        first = await self.store.thread(thread) is None
        message = Message(
            event_id=f"Ev{number}",
            thread=thread,
            ts=thread.root_ts if first else f"{BEGIN + 5_000 + number}.000000",
            user=by,
            user_team=TEAM,
            text=text,
            trigger=Trigger.MENTION,
            wish=Wish(role=role),
        )
        await self.store.accept(message)
        turn = (await self.store.claim()).turn
        assert turn is not None
        session = await self.store.session_for(turn)
        await self.store.begin(turn)
        await self.store.remember(turn, session.number, f"event-{number}")
        if end:
            ending = Ending(state=TurnState.DONE, answer="A language.", spent=spent or Spent())
            await self.store.record(turn, ending)
            await self.store.finish(turn, TurnState.DONE)
        return await self.session(session.number), turn

    async def choose(self, scope: Scope, holder: str, topic: Topic, value: str) -> None:
        at = self.clock.now()
        await self.store.choose(
            Choice(scope=scope, holder=holder, topic=topic, value=value, by=ADA, at=at)
        )

    async def chosen_for(self, scope: Scope, holder: str) -> Mapping[Topic, str]:
        """What is kept for a holder."""
        return {
            choice.topic: choice.value for choice in await self.store.choices([(scope, holder)])
        }

    def is_doing(self, *, running: int = 0, live: int = 0, paused: bool = False) -> None:
        self.doing = replace(self.doing, running=running, live=live, paused=paused)


@asynccontextmanager
async def world_in(folder: Path, roles: Mapping[str, Role] = BUILT_IN) -> AsyncIterator[World]:
    """A world on a new database in a folder."""
    clock = HandClock(BEGIN + 10_000)
    async with open_store(folder, clock=clock, per_user=20) as store:
        world = World(store, clock, roles)
        await world.choosing.learn()
        yield world
