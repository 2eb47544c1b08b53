"""A command dispatcher on a real database, with fake users and a fake card publisher.

The tests cover everything between a command and its result. The runtime and Slack are fakes; a test
about the runtime brings the real one.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bot.access.policy import AccessConfig, AccessPolicy
from bot.access.quotas import QuotaPolicy
from bot.commands.dispatcher import CommandContext, CommandDispatcher, CommandHandler
from bot.commands.parser import KnownNames
from bot.commands.router import MessageRouter
from bot.domain.cards import Button, Card, CommandResult
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import Message, MessageOptions, ThreadKey, Trigger
from bot.domain.sessions import SessionOrigin, SessionRecord
from bot.domain.turns import AcceptResult, AcceptStatus, Turn, TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.domain.users import User, UserKind
from bot.errors import SlackError
from bot.ports import AgentSession, SessionConfig, Store
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool
from bot.store import open_store
from tests.contracts.messages import BEGIN, make_message
from tests.fakes import ManualClock

TEAM = "T0SANDBOX"
GENERAL, DEV, DIRECT = "C0GENERAL", "C0DEV", "D0ALICE"
ALICE, BOB, CAROL, ADA = "U0ALICE", "U0BOB", "U0CAROL", "U0ADA"
"""Ordinary users, and the admin Ada."""
GUS, EVE, ROBOT = "U0GUS", "U0EVE", "U0ROBOT"
"""A guest, a user of another workspace, a bot."""

PEOPLE = {
    ALICE: User(id=ALICE, team=TEAM, name="Alice"),
    BOB: User(id=BOB, team=TEAM, name="Bob"),
    CAROL: User(id=CAROL, team=TEAM, name="Carol"),
    ADA: User(id=ADA, team=TEAM, name="Ada"),
    GUS: User(id=GUS, team=TEAM, name="Gus", kind=UserKind.GUEST),
    EVE: User(id=EVE, team="T0OTHER", name="Eve", kind=UserKind.EXTERNAL),
    ROBOT: User(id=ROBOT, team=TEAM, name="Robot", kind=UserKind.BOT),
}

_PLAIN = SessionConfig()


class FakeUserDirectory:
    """A `bot.ports.UserDirectory` in which users see all channels that are not hidden from them."""

    def __init__(self) -> None:
        self.known = dict(PEOPLE)
        self.hidden: set[tuple[str, str]] = set()
        self.groups: dict[str, set[str]] = {}
        self.unknown: set[str] = set()
        """Channels whose visibility check fails."""
        self.elsewhere: set[str] = set()
        """Channels that the bot does not see."""
        self.trouble = False
        self.silent = False
        """True if users come from the cache only."""

    async def get_user(self, user_id: str) -> User:
        self._check()
        if user_id not in self.known:
            raise SlackError("user_not_found")
        return self.known[user_id]

    async def fetch_user(self, user_id: str) -> User:
        return replace(await self.get_user(user_id), is_cached=self.silent)

    async def bot_can_see(self, channel: str) -> bool:
        self._check()
        return channel not in self.elsewhere

    async def can_see(self, user_id: str, channel: str) -> bool:
        self._check()
        if channel in self.unknown:
            raise SlackError("ratelimited")
        return (user_id, channel) not in self.hidden

    async def is_in_group(self, user_id: str, group: str) -> bool:
        self._check()
        return user_id in self.groups.get(group, set())

    def _check(self) -> None:
        if self.trouble:
            raise SlackError("unreachable")


class FakeCardPublisher:
    """A `bot.ports.CardPublisher` that records its cards."""

    def __init__(self) -> None:
        self.shown: list[tuple[ThreadKey, Card]] = []
        self.files: list[tuple[str, str, str]] = []
        """(user, name, content)"""
        self.titles: list[tuple[ThreadKey, str]] = []
        self.ephemeral: list[tuple[str, Card]] = []
        self.trouble = False
        self._numbers = itertools.count(1)

    async def post(self, thread: ThreadKey, card: Card) -> str:
        self._check()
        self.shown.append((thread, card))
        return self._ts()

    async def post_to_channel(self, channel: str, card: Card) -> str:
        self._check()
        ts = self._ts()
        self.shown.append((ThreadKey(team=TEAM, channel=channel, root_ts=ts), card))
        return ts

    async def update(self, channel: str, ts: str, card: Card) -> None:
        self._check()
        self.shown.append((ThreadKey(team=TEAM, channel=channel, root_ts=ts), card))

    async def post_ephemeral(self, user: str, channel: str, root_ts: str, card: Card) -> None:  # noqa: ARG002 # the port's
        self.ephemeral.append((user, card))

    async def open_dm(self, user: str) -> str:
        self._check()
        return f"D{user}"

    async def upload(self, user: str, name: str, content: str, comment: str) -> None:  # noqa: ARG002 # the port's
        self._check()
        self.files.append((user, name, content))

    async def set_title(self, thread: ThreadKey, title: str) -> None:
        self.titles.append((thread, title))

    def _ts(self) -> str:
        return f"{BEGIN + 900_000 + next(self._numbers)}.000000"

    def _check(self) -> None:
        if self.trouble:
            raise SlackError("unreachable")


class FakeAgent:
    """A `bot.ports.Agent` that only lists models and deletes."""

    def __init__(self) -> None:
        self.named = ["gpt-5", "claude-4.5"]
        self.deleted: list[str] = []

    async def open_session(self, session_id: str, config: SessionConfig = _PLAIN) -> AgentSession:
        raise AssertionError(f"nothing is opened here: {session_id} {config}")

    async def fork_session(self, session_id: str, *, before: str = "", title: str = "") -> str:
        raise AssertionError(f"nothing is copied here: {session_id} {before} {title}")

    async def delete_sessions(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        self.deleted += session_ids
        return dict.fromkeys(session_ids, 2_048)

    async def stored_sizes(self) -> Mapping[str, int]:
        return {}

    async def list_models(self) -> Sequence[str]:
        return self.named

    async def memory_bytes(self) -> int:
        return 0

    async def restart(self) -> None:
        raise AssertionError("nothing is restarted here")


class FakeSessionPool(SessionPool):
    """A pool for commands that use no live session."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.gone: list[str] = []

    def is_in_use(self, session_id: str) -> bool:
        return session_id in self.held

    @asynccontextmanager
    async def exclusive(self, session_ids: Iterable[str]) -> AsyncIterator[frozenset[str]]:
        taken = frozenset(session_ids) - self.held
        self.gone += sorted(taken)
        self.held |= taken
        try:
            yield taken
        finally:
            self.held -= taken

    async def close_idle(self, session_ids: Iterable[str]) -> None:
        self.gone += session_ids


class CommandFixture:
    """One dispatcher with everything that it needs."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.people = FakeUserDirectory()
        self.publisher = FakeCardPublisher()
        self.runtime = FakeAgent()
        self.pool = FakeSessionPool()
        self.choosing = ModelSelector(store, self.runtime, {}, model="", clock=clock)
        self.handlers: dict[str, CommandHandler] = {}
        self.questions: list[Message] = []
        self.started: list[Command] = []
        self.room = True
        """True if a recorded command can be started."""
        self._numbers = itertools.count(1)
        self.access_config(AccessConfig(admins=frozenset({ADA})))

    def access_config(self, config: AccessConfig) -> None:
        """Use another access config, with a new dispatcher."""
        self.access = AccessPolicy(self.people, config)
        self.dispatcher = CommandDispatcher(
            self.store,
            self.access,
            self.handlers,
            QuotaPolicy(self.store, self.clock, per_day=0),
            start=self._begin,
            clock=self.clock,
        )
        known = KnownNames(models=frozenset({"gpt-5", "claude-4.5"}))
        self.router = MessageRouter(self.dispatcher, self.enqueue, lambda: known)

    # Commands

    async def run_command(
        self,
        text: str,
        *,
        by: str = ALICE,
        thread: ThreadKey | None = None,
        form: CommandSource = CommandSource.MESSAGE,
        channel: str = "",
        ts: str = "",
    ) -> CommandResult:
        """Give a command and execute it."""
        name, _, args = text.partition(" ")
        return await self.execute(
            Command(
                key=f"order-{next(self._numbers)}",
                name=name,
                args=args,
                user=by,
                source=form,
                team=TEAM,
                channel=channel or (thread.channel if thread else ""),
                thread=thread,
                ts=ts,
            )
        )

    async def press_button(
        self, button: Button, *, by: str = ALICE, thread: ThreadKey | None
    ) -> CommandResult:
        """Press a button in a thread."""
        text = f"{button.command_name} {button.args}".strip()
        return await self.run_command(text, by=by, thread=thread, form=CommandSource.BUTTON)

    async def execute(self, command: Command) -> CommandResult:
        assert await self.dispatcher.record(command), "the command is recorded already"
        result = await self.dispatcher.execute(command)
        await self.dispatcher.mark_done(command)
        return result

    # Threads with sessions

    async def context_for(
        self,
        second: float,
        *,
        root: float | None = None,
        user: str = ALICE,
        text: str = "What is Python?",
        answer: str = "A language.",
        channel: str = GENERAL,
        role: str = "",
    ) -> SessionRecord:
        """The session of a finished turn in the thread that began at second `root`."""
        turn = await self.context_with(
            second, root=root, user=user, text=text, channel=channel, role=role
        )
        spent = TokenUsage(
            model="gpt-5",
            input_tokens=1_000,
            output_tokens=20,
            seconds=1.5,
            context_tokens=3_200,
            context_limit=128_000,
        )
        ending = TurnResult(state=TurnState.DONE, answer=answer, usage=spent)
        assert await self.store.record_result(turn, ending)
        assert await self.store.finish_turn(turn, TurnState.DONE)
        return await self.store.ensure_session(turn)

    async def context_with(
        self,
        second: float,
        *,
        root: float | None = None,
        user: str = ALICE,
        text: str = "What is Python?",
        channel: str = GENERAL,
        role: str = "",
    ) -> Turn:
        """A turn that is running."""
        await self.enqueue_turn(second, root=root, user=user, text=text, channel=channel, role=role)
        turn = (await self.store.claim()).turn
        assert turn is not None, "another turn runs"
        session = await self.store.ensure_session(turn)
        assert await self.store.mark_prompted(turn)
        await self.store.append_history(turn, session.number, f"event-{turn.id}")
        return turn

    async def enqueue_turn(
        self,
        second: float,
        *,
        root: float | None = None,
        user: str = ALICE,
        text: str = "What is Python?",
        channel: str = GENERAL,
        role: str = "",
    ) -> Turn:
        """A turn that is queued."""
        direct = channel.startswith("D")
        trigger = Trigger.DIRECT if direct else Trigger.MENTION
        message = make_message(
            second,
            root=root,
            user=user,
            text=text,
            trigger=trigger,
            channel=channel,
            direct=direct,
        )
        accepted = await self.store.accept_message(
            replace(message, options=MessageOptions(role=role))
        )
        assert accepted.turn is not None
        return accepted.turn

    async def add_comparison(self, source: SessionRecord, model: str) -> SessionRecord:
        """A copy of a session for one model of a comparison."""
        return await self.store.add_session(
            source,
            session_id=f"copy-of-{source.id}",
            origin=SessionOrigin.COMPARISON,
            thread=source.thread,
            owner=source.owner,
            title=source.title,
            model=model,
        )

    async def session(self, number: int) -> SessionRecord:
        found = await self.store.session_by_number(number)
        assert found is not None, f"there is no session {number}"
        return found

    def _begin(self, command: Command) -> bool:
        self.started.append(command)
        return self.room

    async def enqueue(self, message: Message) -> AcceptResult:
        self.questions.append(message)
        return AcceptResult(status=AcceptStatus.OVERHEARD)


class ExecutedCommands:
    """Handlers that only record their commands."""

    def __init__(self) -> None:
        self.contexts: list[CommandContext] = []

    async def record(self, ctx: CommandContext) -> CommandResult:
        self.contexts.append(ctx)
        return CommandResult(card=Card(text=f"did {ctx.command.name}"))


def thread_at(second: float, channel: str = GENERAL) -> ThreadKey:
    """The thread that began at a second."""
    return make_message(second, channel=channel).thread


@asynccontextmanager
async def command_fixture(folder: Path) -> AsyncIterator[CommandFixture]:
    """A fixture on a new database."""
    clock = ManualClock(float(BEGIN + 1_000_000))
    async with open_store(folder, clock=clock, max_running_per_user=20) as store:
        yield CommandFixture(store, clock)
