"""The desk: takes in what people write and press, and has every order carried out once.

    a message  → an order, or a question for the inbox; on record before Slack is told
    an order   → who gave it, what it is about, may they? → the verb's handler → the outcome

Nobody but the desk decides whether an order may be carried out; handlers rely on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.cards import Outcome, told
from bot.errors import BotError
from bot.limits import BLOCKED, Limits
from bot.model import Acceptance, Accepted, Message, Thread, ThreadKey
from bot.orders import words
from bot.orders.access import Access
from bot.orders.reading import Known, read_message
from bot.orders.verbs import VERBS, Meant, Verb
from bot.people import Person, Standing
from bot.ports import Store
from bot.records import MAIN, Form, Order, SessionRecord, session_number

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An order that may be carried out, with all that is known about it."""

    order: Order
    person: Person
    standings: frozenset[Standing]
    words: str
    """What was said after the verb, without the handle of a session that was named."""
    session: SessionRecord | None = None
    """The session that it is about: the one that was named, else the thread's current one (of the
    role that gave the answer, under an answer); None where the thread has none (yet)."""
    thread: Thread | None = None
    """The thread in which it was given, when it is known (has had a turn)."""
    named: bool = False
    """Whether the session was named."""

    @property
    def place(self) -> ThreadKey | None:
        """The thread in which it was given."""
        return self.order.thread

    @property
    def in_charge(self) -> bool:
        return Standing.ADMIN in self.standings


Handler = Callable[[Asked], Awaitable[Outcome]]
"""Carries out the orders of one verb. Raises `BotError`, whose sentence the person is told."""


class Desk:
    """Where everything that people tell the bot comes in."""

    def __init__(
        self,
        store: Store,
        access: Access,
        handlers: Mapping[str, Handler],
        limits: Limits,
        *,
        ask: Callable[[Message], Awaitable[Accepted]],
        known: Callable[[], Known],
        start: Callable[[Order], None],
        redact: Callable[[str], str] = str,
    ) -> None:
        """`ask` is the inbox's `accept`; `known` tells what orders may name just now; `start`
        begins to carry out an order given by a message, and returns at once; `redact` takes out
        of people's words what may be kept nowhere."""
        self._store = store
        self._access = access
        self._handlers = handlers
        self._limits = limits
        self._ask = ask
        self._known = known
        self._start = start
        self.without_secrets = redact
        self._recording: set[asyncio.Task[Accepted]] = set()

    async def accept(self, message: Message) -> Accepted:
        """Take a message in: on disk when this returns, as an order or as a question.

        Raises `StoreError`: then it is not, and Slack must not be told that it arrived.
        """
        words = self.without_secrets(message.text)
        if words != message.text or message.ordered:
            message = replace(message, text=words, ordered=self.without_secrets(message.ordered))
        read = read_message(message, self._known())
        if isinstance(read, Message):
            return await self._ask(read)
        # Whoever gives up waiting may have it on record all the same: then it has to begin, too,
        # for what Slack brings again counts as a repeat.
        return await asyncio.shield(self._begin(read))

    def _begin(self, order: Order) -> asyncio.Task[Accepted]:
        task = asyncio.create_task(self._recorded(order), name=f"order {order.key}")
        self._recording.add(task)
        task.add_done_callback(self._was_recorded)
        return task

    async def _recorded(self, order: Order) -> Accepted:
        if not await self._store.accept_order(order):
            return Accepted(acceptance=Acceptance.REPEATED)
        log.info("order %s by %s in thread %s", order.verb, order.by, order.thread)
        self._start(order)
        return Accepted(acceptance=Acceptance.ORDER)

    def _was_recorded(self, task: asyncio.Task[Accepted]) -> None:
        self._recording.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("an order could not be recorded: %s", error)

    async def take(self, order: Order) -> bool:
        """Put an order on record that was pressed or commanded; False when it was before (a
        double click). Raises `StoreError`."""
        return await self._store.accept_order(self._redacted(order))

    def _redacted(self, order: Order) -> Order:
        return replace(order, words=self.without_secrets(order.words))

    async def carry_out(self, order: Order) -> Outcome:
        """Do what a recorded order says. Never raises for the order's sake: whatever is wrong
        becomes a sentence. The caller shows the outcome, then calls `done`."""
        try:
            return await self._carried_out(self._redacted(order))
        except BotError as error:
            log.warning("order %s of %s could not be carried out: %s", order.verb, order.by, error)
            return told(error.sentence)
        except Exception:
            log.exception("order %s of %s could not be carried out", order.verb, order.by)
            return told(BotError.sentence)

    async def done(self, order: Order) -> None:
        """Whoever gave the order has been told. Raises `StoreError`."""
        await self._store.finish_order(order.key)

    async def _carried_out(self, order: Order) -> Outcome:
        verb = VERBS.get(order.verb)
        if verb is None or order.form not in verb.forms:
            return told(words.NO_LONGER)
        person = await self._access.person(order.by)
        for channel in _places(order):
            out = await self._access.kept_out(person, channel)
            if out is not None:
                return told(words.KEPT_OUT[out])
        if verb.name != "help" and (await self._limits.of(person.user)).blocked:
            return told(BLOCKED)
        if verb.meant is not Meant.NOTHING and order.thread is None and order.form is Form.MESSAGE:
            return told(words.NO_LONGER)
        asked = await self._looked_up(order, verb, person)
        if isinstance(asked, Outcome):
            return asked
        return await self._handlers[verb.name](asked)

    async def _looked_up(self, order: Order, verb: Verb, person: Person) -> Asked | Outcome:
        """The order with the session that it is about, if the person may give it."""
        said, session, named = order.words.strip(), None, False
        if verb.meant is Meant.SESSION:
            said, number = _without_handle(said)
            if number is not None:
                session, named = await self._store.session(number), True
                if session is None:
                    return told(words.NO_SUCH_SESSION)
        thread = None
        if order.thread is not None:
            thread = await self._store.thread(order.thread)
            if session is None and verb.meant is not Meant.NOTHING:
                session = await self._store.current(order.thread, await self._role(order))
        place = session.thread if session is not None else order.thread
        about = thread
        if session is not None and session.thread != order.thread:
            about = await self._store.thread(session.thread)
        standings = await self._access.standings(person, place, session, about)
        if not _may(verb, standings, order.words.strip()):
            allowed = verb.allowed(order.words.strip())
            return told(_refusal(verb, standings, allowed, named=named))
        if not await self._sees_both(person, place, order.thread):
            return told(words.NOT_SEEN)
        return Asked(
            order=order,
            person=person,
            standings=standings,
            words=said,
            session=session,
            thread=thread,
            named=named,
        )

    async def _role(self, order: Order) -> str:
        """Which of the thread's sessions is meant: the one that gave the answer under which the
        button stands, else the main one."""
        turn = None if order.turn is None else await self._store.turn(order.turn)
        if turn is None or turn.message.thread != order.thread:
            return MAIN
        return turn.message.wish.role

    async def _sees_both(
        self, person: Person, place: ThreadKey | None, given: ThreadKey | None
    ) -> bool:
        """Whether somebody who sees the place of a session that they named also sees the one where
        they give the order: it may be an old button's."""
        if place is None or given is None or place.channel == given.channel:
            return True
        return await self._access.sees(person, given.channel)


def _places(order: Order) -> Sequence[str]:
    """The channels that an order is about: where it is given and, for an old button, the one of its
    thread. On the Home tab there may be none ("")."""
    about = order.thread.channel if order.thread is not None else ""
    return tuple(dict.fromkeys(filter(None, (order.channel, about)))) or ("",)


def _refusal(
    verb: Verb, standings: frozenset[Standing], allowed: frozenset[Standing], *, named: bool
) -> str:
    """Why not. Of a session in a place that somebody does not see nothing is told, not even that it
    is there."""
    if Standing.STRANGER in standings:
        return words.NO_SUCH_SESSION if named else words.NOT_SEEN
    if allowed <= {Standing.ADMIN}:
        return words.ADMINS_ONLY
    if Standing.PARTICIPANT in allowed:
        return words.NOT_TAKING_PART.format(verb=verb.name)
    return words.NOT_YOURS.format(verb=verb.name)


def _may(verb: Verb, standings: frozenset[Standing], said: str) -> bool:
    """Whether somebody who is all this may give an order."""
    if Standing.STRANGER in standings and verb.meant is not Meant.NOTHING:
        return verb.unseen and Standing.ADMIN in standings
    return verb.permits(standings, said)


def _without_handle(said: str) -> tuple[str, int | None]:
    """The words without a session's handle, and its number; None where none is named. A handle
    stands first, or last after other words (`json s12`)."""
    parts = said.split()
    for place in (0, -1):
        if parts and parts[place][:1] in "sS" and (number := session_number(parts[place])):
            del parts[place]
            return " ".join(parts), number
    return said, None
