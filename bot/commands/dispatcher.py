"""The desk: takes in what people write and press, and has every order carried out once.

    a message  → an order, or a question for the inbox; on record before Slack is told
    an order   → who gave it, what it is about, may they? → the verb's handler → the outcome

Nobody but the desk decides whether an order may be carried out; handlers rely on it. An order that
has a place in its thread (`bot.commands.thread_queue`) takes it when it is put on record: from then
on what was written later waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.access import texts as access_texts
from bot.access.policy import Access
from bot.access.quotas import BLOCKED, Limits
from bot.commands import texts as words
from bot.commands.parser import Known, read_message, without_handle
from bot.commands.registry import VERBS, Meant, Verb
from bot.commands.thread_queue import Places
from bot.domain.cards import Outcome, told
from bot.domain.commands import Form, Order
from bot.domain.messages import Message, Thread, ThreadKey
from bot.domain.sessions import MAIN, SessionRecord
from bot.domain.turns import Acceptance, Accepted
from bot.domain.users import Charge, Person, Standing
from bot.errors import BotError
from bot.ports import Clock, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An order that may be carried out, with all that is known about it."""

    order: Order
    person: Person
    standings: frozenset[Standing]
    words: str
    """What was said after the verb, without the handle of a session that was named."""
    position: int
    """Where it stands among the messages of its thread (`bot.domain.messages.ts_position`)."""
    given: float
    """When it came in, in seconds since the epoch by this machine's clock, like `Turn.accepted`."""
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
        start: Callable[[Order], bool],
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
        redact: Callable[[str], str] = str,
    ) -> None:
        """`ask` is the inbox's `accept`; `known` tells what orders may name just now; `start`
        begins to carry out an order on record, and returns at once, whether it could; `wake` is
        called when questions may go on that waited for an order; `redact` takes out of people's
        words what may be kept nowhere."""
        self._store = store
        self._access = access
        self._handlers = handlers
        self._limits = limits
        self._ask = ask
        self._known = known
        self._start = start
        self._places = Places(store, clock, wake)
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
        if not await self._places.put(order):
            return Accepted(acceptance=Acceptance.REPEATED)
        log.info("order %s by %s in thread %s", order.verb, order.by, order.thread)
        await self.begin(order)
        return Accepted(acceptance=Acceptance.ORDER)

    async def begin(self, order: Order) -> None:
        """Begin to carry out an order on record that nobody waits for at a door: one by a message,
        or one that a restart cut short. Where that cannot be, nothing waits for it either."""
        if not self._start(order):
            await self._places.let_go(order)

    def _was_recorded(self, task: asyncio.Task[Accepted]) -> None:
        self._recording.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("an order could not be recorded: %s", error)

    async def take(self, order: Order) -> bool:
        """Put an order on record that was pressed or commanded; False when it was before (a
        double click). Raises `StoreError`."""
        return await self._places.put(self._redacted(order))

    async def take_up(self) -> Sequence[tuple[Order, bool]]:
        """For the start: the orders that were not carried out, or that nobody was told of, and
        whether each is to be carried out: the questions of its thread wait for it still. Raises
        `StoreError`."""
        return await self._places.take_up()

    def _redacted(self, order: Order) -> Order:
        return replace(order, words=self.without_secrets(order.words))

    async def carry_out(self, order: Order) -> Outcome:
        """Do what a recorded order says, when its turn has come. Never raises for the order's sake:
        whatever is wrong becomes a sentence. The caller shows the outcome, then calls `done`; what
        was written later goes on as soon as this returns."""
        outcome = await self._tried(order)
        await self._places.let_go(order)
        return outcome

    async def _tried(self, order: Order) -> Outcome:
        try:
            async with self._places.turn_of(order):
                return await self._carried_out(self._redacted(order))
        except TimeoutError:
            log.warning("order %s of %s took too long", order.verb, order.by)
            return told(words.TOOK_TOO_LONG)
        except BotError as error:
            log.warning("order %s of %s could not be carried out: %s", order.verb, order.by, error)
            return told(error.sentence)
        except Exception:
            log.exception("order %s of %s could not be carried out", order.verb, order.by)
            return told(BotError.sentence)

    async def done(self, order: Order) -> None:
        """Whoever gave the order has been told. Raises `StoreError`."""
        await self._places.done(order)

    async def _carried_out(self, order: Order) -> Outcome:
        verb = VERBS.get(order.verb)
        if verb is None or order.form not in verb.forms:
            return told(words.NO_LONGER)
        person = await self._access.person_now(order.by)
        charge = await self._access.charge(person)
        for channel in _places(order) or [""]:
            out = await self._access.kept_out(person, channel, charge=charge)
            if out is not None:
                return told(access_texts.KEPT_OUT[out])
        if verb.name != "help" and (await self._limits.of(person.user)).blocked:
            return told(BLOCKED)
        if verb.meant is not Meant.NOTHING and order.thread is None and order.form is Form.MESSAGE:
            return told(words.NO_LONGER)
        asked = await self._looked_up(order, verb, person, charge)
        if isinstance(asked, Outcome):
            return asked
        refusal = await self._limits.refusal(person.user) if verb.asks else ""
        if refusal:
            return told(refusal)
        return await self._handlers[verb.name](asked)

    async def _looked_up(
        self, order: Order, verb: Verb, person: Person, charge: Charge
    ) -> Asked | Outcome:
        """The order with the session that it is about, if the person may give it."""
        said, session, named = order.words.strip(), None, False
        if verb.meant is Meant.SESSION:
            said, number = without_handle(said)
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
        standings = await self._access.standings(person, place, session, about, charge)
        if not _may(verb, standings, order.words.strip()):
            allowed = verb.allowed(order.words.strip())
            return told(_refusal(verb, standings, allowed, named=named))
        if verb.meant is not Meant.NOTHING and await self._hidden(person, place, order):
            return told(access_texts.NOT_SEEN)
        return Asked(
            order=order,
            person=person,
            standings=standings,
            words=said,
            position=self._places.position(order),
            given=self._places.given(order),
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

    async def _hidden(self, person: Person, place: ThreadKey | None, order: Order) -> bool:
        """Whether somebody who sees the place of what they name does not see one where they give
        the order: a button may be old, or forged. Orders are given also where the bot is not, but
        about no thread there."""
        seen = {"" if place is None else place.channel}
        given = order.thread.channel if order.thread is not None else ""
        if given and given not in seen:
            if not await self._access.sees(person, given):
                return True
            seen.add(given)
        return bool(
            order.channel
            and order.channel not in seen
            and await self._access.hidden(person, order.channel)
        )


def _places(order: Order) -> Sequence[str]:
    """The channels that an order is about: where it is given and, for an old button, the one of its
    thread. On the Home tab there may be none."""
    about = order.thread.channel if order.thread is not None else ""
    return tuple(dict.fromkeys(filter(None, (order.channel, about))))


def _refusal(
    verb: Verb, standings: frozenset[Standing], allowed: frozenset[Standing], *, named: bool
) -> str:
    """Why not. Of a session in a place that somebody does not see nothing is told, not even that it
    is there."""
    if Standing.STRANGER in standings:
        return words.NO_SUCH_SESSION if named else access_texts.NOT_SEEN
    if Standing.UNSURE in standings and Standing.ADMIN in allowed:
        return access_texts.UNSURE
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
