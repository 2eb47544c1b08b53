"""A desk on a real database, with people and a board that are as a test wants them.

What is tested is everything between an order that was given and what is shown of it. The runtime
and Slack are outside: where a test is about the runtime, it brings the real one.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from bot.access.policy import Access, Doorkeeping
from bot.access.quotas import Limits
from bot.commands.dispatcher import Asked, Desk, Handler
from bot.commands.parser import Known
from bot.domain.cards import Card, Outcome, Press
from bot.domain.commands import Form, Order
from bot.domain.messages import Message, ThreadKey, Trigger, Wish
from bot.domain.sessions import Origin, SessionRecord
from bot.domain.turns import Acceptance, Accepted, Ending, Turn, TurnState
from bot.domain.usage import Spent
from bot.domain.users import Kind, Person
from bot.errors import SlackError
from bot.ports import AgentSession, Setup, Store
from bot.sessions.model_selection import Choosing
from bot.store import open_store
from tests.contracts.messages import BEGIN, said
from tests.fakes import HandClock

TEAM = "T0SANDBOX"
GENERAL, DEV, DIRECT = "C0GENERAL", "C0DEV", "D0ALICE"
ALICE, BOB, CAROL, ADA = "U0ALICE", "U0BOB", "U0CAROL", "U0ADA"
"""Ordinary people, and Ada, who is in charge."""
GUS, EVE, ROBOT = "U0GUS", "U0EVE", "U0ROBOT"
"""A guest, somebody of another workspace, a bot."""

PEOPLE = {
    ALICE: Person(user=ALICE, team=TEAM, name="Alice"),
    BOB: Person(user=BOB, team=TEAM, name="Bob"),
    CAROL: Person(user=CAROL, team=TEAM, name="Carol"),
    ADA: Person(user=ADA, team=TEAM, name="Ada"),
    GUS: Person(user=GUS, team=TEAM, name="Gus", kind=Kind.GUEST),
    EVE: Person(user=EVE, team="T0OTHER", name="Eve", kind=Kind.EXTERNAL),
    ROBOT: Person(user=ROBOT, team=TEAM, name="Robot", kind=Kind.BOT),
}

_PLAIN = Setup()


class People:
    """`bot.ports.People`: everybody sees everything but what is hidden from them."""

    def __init__(self) -> None:
        self.known = dict(PEOPLE)
        self.hidden: set[tuple[str, str]] = set()
        self.groups: dict[str, set[str]] = {}
        self.unknown: set[str] = set()
        """Channels of which Slack tells nothing just now."""
        self.elsewhere: set[str] = set()
        """Channels that the bot itself does not see."""
        self.trouble = False
        self.silent = False
        """Whether Slack does not tell who people are now, and what is remembered of them counts."""

    async def person(self, user: str) -> Person:
        self._check()
        if user not in self.known:
            raise SlackError("user_not_found")
        return self.known[user]

    async def person_now(self, user: str) -> Person:
        return replace(await self.person(user), remembered=self.silent)

    async def here(self, channel: str) -> bool:
        self._check()
        return channel not in self.elsewhere

    async def sees(self, user: str, channel: str) -> bool:
        self._check()
        if channel in self.unknown:
            raise SlackError("ratelimited")
        return (user, channel) not in self.hidden

    async def in_group(self, user: str, group: str) -> bool:
        self._check()
        return user in self.groups.get(group, set())

    def _check(self) -> None:
        if self.trouble:
            raise SlackError("unreachable")


class Board:
    """`bot.ports.Board` that takes down what it is to show."""

    def __init__(self) -> None:
        self.shown: list[tuple[ThreadKey, Card]] = []
        self.files: list[tuple[str, str, str]] = []
        """(for whom, name, content)"""
        self.titles: list[tuple[ThreadKey, str]] = []
        self.told: list[tuple[str, Card]] = []
        self.trouble = False
        self._numbers = itertools.count(1)

    async def show(self, thread: ThreadKey, card: Card) -> str:
        self._check()
        self.shown.append((thread, card))
        return self._ts()

    async def begin(self, channel: str, card: Card) -> str:
        self._check()
        ts = self._ts()
        self.shown.append((ThreadKey(team=TEAM, channel=channel, root_ts=ts), card))
        return ts

    async def redraw(self, channel: str, ts: str, card: Card) -> None:
        self._check()
        self.shown.append((ThreadKey(team=TEAM, channel=channel, root_ts=ts), card))

    async def tell(self, user: str, channel: str, root_ts: str, card: Card) -> None:  # noqa: ARG002 # the port's
        self.told.append((user, card))

    async def direct(self, user: str) -> str:
        self._check()
        return f"D{user}"

    async def upload(self, user: str, name: str, content: str, comment: str) -> None:  # noqa: ARG002 # the port's
        self._check()
        self.files.append((user, name, content))

    async def entitle(self, thread: ThreadKey, title: str) -> None:
        self.titles.append((thread, title))

    def _ts(self) -> str:
        return f"{BEGIN + 900_000 + next(self._numbers)}.000000"

    def _check(self) -> None:
        if self.trouble:
            raise SlackError("unreachable")


class Runtime:
    """`bot.ports.Agent` for orders that only list its models or delete."""

    def __init__(self) -> None:
        self.named = ["gpt-5", "claude-4.5"]
        self.deleted: list[str] = []

    async def open(self, session_id: str, setup: Setup = _PLAIN) -> AgentSession:
        raise AssertionError(f"nothing is opened here: {session_id} {setup}")

    async def fork(self, session_id: str, *, before: str = "", title: str = "") -> str:
        raise AssertionError(f"nothing is copied here: {session_id} {before} {title}")

    async def delete(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        self.deleted += session_ids
        return dict.fromkeys(session_ids, 2_048)

    async def stored(self) -> Mapping[str, int]:
        return {}

    async def models(self) -> Sequence[str]:
        return self.named

    async def memory(self) -> int:
        return 0

    async def restart(self) -> None:
        raise AssertionError("nothing is restarted here")


class Pool:
    """The pool of live sessions, as far as orders touch it without asking anything."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.gone: list[str] = []

    @asynccontextmanager
    async def reserved(self, session_ids: Iterable[str]) -> AsyncIterator[frozenset[str]]:
        taken = frozenset(session_ids) - self.held
        self.gone += sorted(taken)
        self.held |= taken
        try:
            yield taken
        finally:
            self.held -= taken

    async def let_go(self, session_ids: Iterable[str]) -> None:
        self.gone += session_ids


class World:
    """Everything around one desk."""

    def __init__(self, store: Store, clock: HandClock) -> None:
        self.store = store
        self.clock = clock
        self.people = People()
        self.board = Board()
        self.runtime = Runtime()
        self.pool = Pool()
        self.choosing = Choosing(store, self.runtime, {}, model="", clock=clock)
        self.handlers: dict[str, Handler] = {}
        self.questions: list[Message] = []
        self.begun: list[Order] = []
        self.room = True
        """Whether an order by a message can be begun with."""
        self._numbers = itertools.count(1)
        self.doors(Doorkeeping(admins=frozenset({ADA})))

    def doors(self, doors: Doorkeeping) -> None:
        """Whom the person who runs the bot lets in."""
        self.access = Access(self.people, doors)
        self.desk = Desk(
            self.store,
            self.access,
            self.handlers,
            Limits(self.store, self.clock, per_day=0),
            ask=self._ask,
            known=lambda: Known(models=frozenset({"gpt-5", "claude-4.5"})),
            start=self._begin,
            clock=self.clock,
        )

    # Orders

    async def order(
        self,
        said: str,
        *,
        by: str = ALICE,
        thread: ThreadKey | None = None,
        form: Form = Form.MESSAGE,
        channel: str = "",
        ts: str = "",
    ) -> Outcome:
        """Give an order and have it carried out."""
        verb, _, words = said.partition(" ")
        return await self.carry_out(
            Order(
                key=f"order-{next(self._numbers)}",
                verb=verb,
                words=words,
                by=by,
                form=form,
                team=TEAM,
                channel=channel or (thread.channel if thread else ""),
                thread=thread,
                ts=ts,
            )
        )

    async def press(self, press: Press, *, by: str = ALICE, thread: ThreadKey | None) -> Outcome:
        """Press a button that stands in a thread."""
        said = f"{press.verb} {press.words}".strip()
        return await self.order(said, by=by, thread=thread, form=Form.BUTTON)

    async def carry_out(self, order: Order) -> Outcome:
        assert await self.desk.take(order), "the order is on record already"
        outcome = await self.desk.carry_out(order)
        await self.desk.done(order)
        return outcome

    # Threads with sessions

    async def asked(
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
        """A question in the thread that began at second `root`, with its answer; the session that
        gave it."""
        turn = await self.asking(
            second, root=root, user=user, text=text, channel=channel, role=role
        )
        spent = Spent(
            model="gpt-5",
            input_tokens=1_000,
            output_tokens=20,
            seconds=1.5,
            context_tokens=3_200,
            context_limit=128_000,
        )
        ending = Ending(state=TurnState.DONE, answer=answer, spent=spent)
        assert await self.store.record(turn, ending)
        assert await self.store.finish(turn, TurnState.DONE)
        return await self.store.session_for(turn)

    async def asking(
        self,
        second: float,
        *,
        root: float | None = None,
        user: str = ALICE,
        text: str = "What is Python?",
        channel: str = GENERAL,
        role: str = "",
    ) -> Turn:
        """A question whose answer is under way."""
        await self.waits(second, root=root, user=user, text=text, channel=channel, role=role)
        turn = (await self.store.claim()).turn
        assert turn is not None, "another turn runs"
        session = await self.store.session_for(turn)
        assert await self.store.begin(turn)
        await self.store.remember(turn, session.number, f"event-{turn.id}")
        return turn

    async def waits(
        self,
        second: float,
        *,
        root: float | None = None,
        user: str = ALICE,
        text: str = "What is Python?",
        channel: str = GENERAL,
        role: str = "",
    ) -> Turn:
        """A question that waits."""
        direct = channel.startswith("D")
        trigger = Trigger.DIRECT if direct else Trigger.MENTION
        message = said(
            second,
            root=root,
            user=user,
            text=text,
            trigger=trigger,
            channel=channel,
            direct=direct,
        )
        accepted = await self.store.accept(replace(message, wish=Wish(role=role)))
        assert accepted.turn is not None
        return accepted.turn

    async def compared(self, source: SessionRecord, model: str) -> SessionRecord:
        """A copy of a session that answers a comparison with a model."""
        return await self.store.add_session(
            source,
            session_id=f"copy-of-{source.id}",
            origin=Origin.COMPARISON,
            thread=source.thread,
            owner=source.owner,
            title=source.title,
            model=model,
        )

    async def session(self, number: int) -> SessionRecord:
        found = await self.store.session(number)
        assert found is not None, f"there is no session {number}"
        return found

    def _begin(self, order: Order) -> bool:
        self.begun.append(order)
        return self.room

    async def _ask(self, message: Message) -> Accepted:
        self.questions.append(message)
        return Accepted(acceptance=Acceptance.OVERHEARD)


class Carried:
    """Handlers for every verb that only take down what they are asked to do."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    async def take(self, asked: Asked) -> Outcome:
        self.asked.append(asked)
        return Outcome(card=Card(text=f"did {asked.order.verb}"))


def thread_at(second: float, channel: str = GENERAL) -> ThreadKey:
    """The thread that began at a second."""
    return said(second, channel=channel).thread


@asynccontextmanager
async def orders_world(folder: Path) -> AsyncIterator[World]:
    """A world on a new database."""
    clock = HandClock(float(BEGIN + 1_000_000))
    async with open_store(folder, clock=clock, per_user=20) as store:
        yield World(store, clock)
