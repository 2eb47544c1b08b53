"""Command fixtures with roles, a model server that can fail, and a Home tab."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bot.access.policy import AccessConfig
from bot.commands.home_tab import BotActivity, HomeTab
from bot.commands.models import ModelCommands
from bot.commands.roles import RoleCommands
from bot.domain.messages import Message, MessageOptions, ThreadKey, Trigger
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.sessions import SessionRecord
from bot.domain.turns import Turn, TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.errors import AgentError, AgentErrorKind, SlackError
from bot.ports import Store
from bot.sessions.model_selection import ModelSelector
from bot.sessions.roles import BUILT_IN_ROLES, Role
from bot.store import open_store
from tests.contracts.messages import BEGIN
from tests.fakes import ManualClock
from tests.unit.commands import command_fixtures
from tests.unit.commands.command_fixtures import ADA, ALICE, BOB, GENERAL, TEAM

SECRET = "G0SECRET"
"""A channel that Bob does not see."""
MODELS = ("small", "large", "Vendor/Huge-4")


class VisibleUsers(command_fixtures.FakeUserDirectory):
    """Records which channels are checked, and may fail to check them."""

    def __init__(self) -> None:
        super().__init__()
        self.checked_channels: list[str] = []
        self.blind = False

    async def can_see(self, user_id: str, channel: str) -> bool:
        self.checked_channels.append(channel)
        if self.blind:
            raise SlackError("unreachable")
        return await super().can_see(user_id, channel)


class ModelServer(command_fixtures.FakeAgent):
    """Lists its models, fails, or hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Sequence[str] = MODELS
        self.fault: Exception | None = None
        self.silent = False
        self.list_calls = 0
        self.octets = 0

    async def list_models(self) -> Sequence[str]:
        self.list_calls += 1
        if self.silent:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        return self.names

    async def memory_bytes(self) -> int:
        return self.octets

    def go_down(self) -> None:
        self.fault = AgentError(AgentErrorKind.UNREACHABLE, "down")


class PreferenceFixture(command_fixtures.CommandFixture):
    """A command fixture for preferences."""

    def __init__(self, store: Store, clock: ManualClock, roles: Mapping[str, Role]) -> None:
        super().__init__(store, clock)
        self.slack = self.people = VisibleUsers()
        self.slack.hidden.add((BOB, SECRET))
        self.access_config(AccessConfig(admins=frozenset({ADA})))
        self.server = ModelServer()
        self._roles = roles
        self.choosing = self.select_models_with(model="")
        self.handlers.update(ModelCommands(store, self.choosing, clock).handlers())
        self.handlers.update(RoleCommands(store, self.choosing).handlers())
        self.doing = BotActivity(running_turns=0, open_sessions=0, max_sessions=50, paused=False)
        self.home = HomeTab(
            store,
            self.access,
            self.slack,
            self.choosing,
            self.server,
            clock,
            activity=lambda: self.doing,
            slash_command="/copilot",
        )
        self._numbers = itertools.count(1)

    def select_models_with(self, *, model: str) -> ModelSelector:
        """A selector for a bot whose setting `MODEL` is this."""
        return ModelSelector(self.store, self.server, self._roles, model=model, clock=self.clock)

    def thread(self, second: int = 0, channel: str = GENERAL) -> ThreadKey:
        return command_fixtures.thread_at(second, channel)

    async def ask(
        self,
        thread: ThreadKey,
        by: str = ALICE,
        *,
        text: str = "What is Python?",
        role: str = "",
        spent: TokenUsage | None = None,
        end: bool = True,
    ) -> tuple[SessionRecord, Turn]:
        """A turn in a thread with its session; it ends unless `end` is False."""
        number = next(self._numbers)
        first = await self.store.thread_by_key(thread) is None
        message = Message(
            event_id=f"Ev{number}",
            thread=thread,
            ts=thread.root_ts if first else f"{BEGIN + 5_000 + number}.000000",
            user=by,
            user_team=TEAM,
            text=text,
            trigger=Trigger.MENTION,
            options=MessageOptions(role=role),
        )
        await self.store.accept_message(message)
        turn = (await self.store.claim()).turn
        assert turn is not None
        session = await self.store.ensure_session(turn)
        await self.store.mark_prompted(turn)
        await self.store.append_history(turn, session.number, f"event-{number}")
        if end:
            ending = TurnResult(
                state=TurnState.DONE, answer="A language.", usage=spent or TokenUsage()
            )
            await self.store.record_result(turn, ending)
            await self.store.finish_turn(turn, TurnState.DONE)
        return await self.session(session.number), turn

    async def choose(self, scope: Scope, scope_id: str, kind: PreferenceKind, value: str) -> None:
        now = self.clock.now()
        await self.store.set_preference(
            Preference(
                scope=scope, scope_id=scope_id, kind=kind, value=value, set_by=ADA, set_at=now
            )
        )

    async def preference_of(self, scope: Scope, scope_id: str) -> Mapping[PreferenceKind, str]:
        """The preferences of one scope."""
        return {
            preference.kind: preference.value
            for preference in await self.store.preferences([(scope, scope_id)])
        }

    def is_doing(self, *, running: int = 0, live: int = 0, paused: bool = False) -> None:
        self.doing = replace(self.doing, running_turns=running, open_sessions=live, paused=paused)


@asynccontextmanager
async def preference_fixture(
    folder: Path, roles: Mapping[str, Role] = BUILT_IN_ROLES
) -> AsyncIterator[PreferenceFixture]:
    """A fixture on a new database in a folder."""
    clock = ManualClock(BEGIN + 10_000)
    async with open_store(folder, clock=clock, max_running_per_user=20) as store:
        world = PreferenceFixture(store, clock, roles)
        await world.choosing.refresh_models()
        yield world
