"""The counter: brings orders to the desk, and what comes of them to the people.

Slack is told that a press or a command has arrived when it is on record; from then on the order is
carried out, its outcome shown, and only then it is done with. What dies in between is told at the
next start by whoever looks at what is on record and not done; or done then, where the questions of
its thread wait for it still.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, Protocol

from bot.commands import texts
from bot.domain.cards import Card, Outcome, told
from bot.domain.commands import Form, Order
from bot.domain.messages import TS, ThreadKey
from bot.errors import BotError, SlackError, StoreError
from bot.ports import Clock
from bot.slack import texts as slack_texts
from bot.slack.api.calls import CallError, next_try
from bot.slack.api.ephemeral import answer_aside
from bot.slack.cards.publisher import SlackBoard
from bot.slack.cards.render import Drawn
from bot.slack.interactions.modals import ask_button
from bot.slack.interactions.payloads import PressedOrder
from bot.tasks import Background

log = logging.getLogger(__name__)

CARRY_SECONDS: Final = 300.0
"""So long an order may take; what takes longer shows its own progress from the background."""
TELL_SECONDS: Final = 120.0
"""So long telling is tried while Slack's trouble may pass."""
PROMPT_SECONDS: Final = 2.0
"""How long Slack is kept waiting; it gives up after 3 s."""

_RECORD_SECONDS: Final = 2.0
_DONE_SECONDS: Final = 10.0
_AT_ONCE: Final = 500
AT_ONCE_EACH: Final = 20
"""So many orders of one person are carried out, or wait to be, at once."""
_ONE_TELL_SECONDS: Final = 60.0

Tell = Callable[[Outcome], Awaitable[None]]
"""Shows an outcome to those whom it is for. Raises `SlackError`."""
Publish = Callable[[str, Card], Awaitable[None]]
"""Shows somebody's Home tab anew, with a card on top. Raises `SlackError`."""


class Desk(Protocol):
    """What the counter needs of `bot.commands.dispatcher.Desk`, which has the promises."""

    async def take(self, order: Order) -> bool:
        """Put it on record; False when it was before. Raises `StoreError`."""
        ...

    async def carry_out(self, order: Order) -> Outcome:
        """Do what it says. Never raises for the order's sake."""
        ...

    def done(self, order: Order) -> Coroutine[object, object, None]:
        """Whoever gave it has been told. Raises `StoreError`."""
        ...


class OrderCounter:
    """Where orders are given and answered in Slack."""

    def __init__(
        self, desk: Desk, board: SlackBoard, clock: Clock, carry_seconds: float = CARRY_SECONDS
    ) -> None:
        """`carry_seconds` is how long an order may take."""
        self._desk = desk
        self._board = board
        self._clock = clock
        self._background = Background(
            _AT_ONCE, carry_seconds + TELL_SECONDS + _ONE_TELL_SECONDS + _DONE_SECONDS
        )
        self._reserve = Background(_AT_ONCE, TELL_SECONDS + _ONE_TELL_SECONDS + _DONE_SECONDS)
        """For what is told, and done with, when too much is being carried out."""
        self._carry_seconds = carry_seconds
        self._by: Counter[str] = Counter()
        """How many orders of each person are under way."""
        self._pressed: set[tuple[str, ...]] = set()
        """What is being carried out because it was pressed: a second click waits for nothing."""

    def start(self, order: Order) -> bool:
        """Begin to carry out an order on record that a message gave, or that was cut short; returns
        at once, whether it could. Who gave it is told where not."""
        tell = self._teller(order)
        sentence = self._too_many(order)
        if not sentence and self._begun(order, self._work(order, tell)):
            return True
        work = self._told(order, tell, told(sentence or slack_texts.BUSY))
        self._reserve.start(f"that {order.verb} has to wait", work)
        return False

    def tell_later(self, order: Order, outcome: Outcome) -> None:
        """Begin to tell what came of an order that no press or command waits for any more, and be
        done with it: in its thread, else to who gave it alone. Returns at once."""
        work = self._told(order, self._teller(order), outcome)
        self._reserve.start(f"the outcome of {order.verb}", work)

    async def press(self, pressed: PressedOrder, publish: Publish) -> str:
        """Record what was pressed, in 2 s at most, and begin to carry it out; nothing more for a
        double click. Empty, or the sentence why it could not be taken."""
        if pressed.same in self._pressed:
            return ""
        sentence = self._too_many(pressed.order)
        if sentence:
            return sentence
        self._pressed.add(pressed.same)
        fresh = await self._taken(pressed.order)
        work = self._pressed_work(pressed, self._presser(pressed, publish))
        if fresh is True and self._begun(pressed.order, work):
            return ""
        work.close()
        self._pressed.discard(pressed.same)
        if fresh is True:
            self._reserve.start("an order that could not begin", self._desk.done(pressed.order))
            return slack_texts.BUSY
        return fresh or ""

    async def command(self, order: Order, answer_url: str) -> Drawn | None:
        """Record what was commanded and carry it out: its outcome for who commanded it alone, if
        that comes within 2 s; else None, and it is told when it comes."""
        began = asyncio.get_running_loop().time()
        sentence = self._too_many(order)
        if sentence:
            return await self._drawn(order, told(sentence))
        fresh = await self._taken(order)
        if fresh is not True:
            return await self._drawn(order, told(fresh)) if fresh else None
        outcome: asyncio.Future[Drawn] = asyncio.get_running_loop().create_future()
        late = self._late(order, answer_url, outcome)
        if not self._begun(order, self._work(order, late)):
            self._reserve.start("an order that could not begin", self._desk.done(order))
            return await self._drawn(order, told(slack_texts.BUSY))
        left = PROMPT_SECONDS - (asyncio.get_running_loop().time() - began)
        try:
            return await asyncio.wait_for(outcome, max(left, 0.0))
        except TimeoutError:
            return None  # and the future is cancelled: from here on it is told late

    async def close(self) -> None:
        """Let what runs end within a few seconds; the rest stays on record."""
        await asyncio.gather(self._background.close(), self._reserve.close())

    # One order --------------------------------------------------------------------------------

    def _too_many(self, order: Order) -> str:
        """The sentence for somebody of whom too much is under way; "" for everybody else."""
        return texts.TOO_MANY if self._by[order.by] >= AT_ONCE_EACH else ""

    def _begun(self, order: Order, work: Coroutine[object, object, None]) -> bool:
        """Begin to carry out an order; False where too much is going on."""
        task = self._background.start(f"the {order.form} {order.verb}", work)
        if task is None:
            return False
        self._by[order.by] += 1
        task.add_done_callback(lambda _: self._ended(order.by))
        return True

    def _ended(self, user: str) -> None:
        self._by[user] -= 1
        if not self._by[user]:
            del self._by[user]

    async def _taken(self, order: Order) -> bool | str:
        """Whether the order is new on record, or the sentence why it is not there."""
        taking = asyncio.ensure_future(self._desk.take(order))
        try:
            async with asyncio.timeout(_RECORD_SECONDS):
                return await asyncio.shield(taking)
        except TimeoutError:
            log.warning("order %s of %s could not be recorded in time", order.verb, order.by)
            self._background.start(f"leaving {order.verb} alone", self._left(order, taking))
            return StoreError.sentence
        except BotError as error:
            log.warning("order %s of %s could not be recorded: %s", order.verb, order.by, error)
            return error.sentence

    async def _left(self, order: Order, taking: asyncio.Future[bool]) -> None:
        """An order of which it was told that it could not be taken is not carried out, and not
        told of again at the next start, also when it gets on record after all."""
        if await taking:
            await self._desk.done(order)

    async def _pressed_work(self, pressed: PressedOrder, tell: Tell) -> None:
        try:
            await self._work(pressed.order, tell)
        finally:
            self._pressed.discard(pressed.same)

    async def _work(self, order: Order, tell: Tell) -> None:
        """Carry out, tell, done."""
        try:
            async with asyncio.timeout(self._carry_seconds):
                outcome = await self._desk.carry_out(order)
        except TimeoutError:
            log.warning("order %s of %s took too long", order.verb, order.by)
            outcome = told(texts.TOOK_TOO_LONG)
        await self._told(order, tell, outcome)

    async def _told(self, order: Order, tell: Tell, outcome: Outcome) -> None:
        """Tell, done: also when it cannot be told."""
        try:
            await self._persist(tell, outcome)
        except SlackError as error:
            log.warning("what came of order %s could not be told: %s", order.verb, error)
        async with asyncio.timeout(_DONE_SECONDS):
            await self._desk.done(order)

    async def _persist(self, tell: Tell, outcome: Outcome) -> None:
        """Tell, again and again while Slack's trouble may pass. Raises `SlackError`."""
        until, tries = self._clock.monotonic() + TELL_SECONDS, 0
        while True:
            try:
                async with asyncio.timeout(_ONE_TELL_SECONDS):
                    await tell(outcome)
            except TimeoutError as error:
                raise CallError("timeout", "telling took too long", maybe_done=True) from error
            except CallError as error:
                pause = next_try(error, tries)
                if not error.passing or self._clock.monotonic() + pause > until:
                    raise
                log.warning("what came of an order could not be told yet: %s", error)
            else:
                return
            tries += 1
            await self._clock.sleep(pause)

    # How outcomes are told --------------------------------------------------------------------

    def _teller(self, order: Order) -> Tell:
        """In the order's thread, or beside it to who gave it alone."""
        tries = 0

        async def tell(outcome: Outcome) -> None:
            nonlocal tries
            tries += 1
            if outcome.silent:
                return
            if outcome.public and order.thread is not None:
                await self._show(order, order.thread, outcome.card, again=tries > 1)
            else:
                await self._whisper(order, outcome)

        return tell

    def _presser(self, pressed: PressedOrder, publish: Publish) -> Tell:
        order, in_thread = pressed.order, self._teller(pressed.order)

        async def tell(outcome: Outcome) -> None:
            if outcome.silent:
                return
            public = outcome.public and order.thread is not None
            if public:
                await in_thread(outcome)
            if order.form is Form.HOME:
                await publish(order.by, outcome.card)
            elif not public:
                drawn = await self._drawn(order, outcome)
                try:
                    await answer_aside(
                        pressed.answer_url,
                        drawn.text,
                        drawn.blocks,
                        root_ts=pressed.root_ts,
                        replace=pressed.replaces,
                    )
                except SlackError as error:
                    log.info("answered beside the button instead: %s", error)
                    await self._board.whisper(order.by, order.channel, pressed.root_ts, drawn)

        return tell

    def _late(self, order: Order, answer_url: str, prompt: asyncio.Future[Drawn]) -> Tell:
        async def tell(outcome: Outcome) -> None:
            nothing = Drawn(text="", blocks=[])
            drawn = nothing if outcome.silent else await self._drawn(order, outcome)
            if not prompt.done():
                prompt.set_result(drawn)
                return
            if outcome.silent:
                return
            try:
                await answer_aside(answer_url, drawn.text, drawn.blocks)
            except SlackError as error:
                log.info("answered in the channel instead: %s", error)
                await self._board.whisper(order.by, order.channel, "", drawn)

        return tell

    async def _show(self, order: Order, thread: ThreadKey, card: Card, *, again: bool) -> None:
        """Post into the thread, once: after trouble it may stand there already."""
        after = order.ts if TS.fullmatch(order.ts) else f"{self._clock.now() - 3_600:.6f}"
        if not (again and await self._board.shown(thread, order.key, after)):
            await self._board.show(thread, card, order=order.key)

    async def _whisper(self, order: Order, outcome: Outcome) -> None:
        """To who gave it alone, where they gave it. Slack shows such a thing in a thread only once
        that has an answer, so beside a message that starts one it goes into the channel."""
        drawn = await self._drawn(order, outcome)
        channel = order.channel or await self._board.direct(order.by)
        root_ts = order.thread.root_ts if order.thread is not None and order.channel else ""
        await self._board.whisper(order.by, channel, "" if root_ts == order.ts else root_ts, drawn)

    async def _drawn(self, order: Order, outcome: Outcome) -> Drawn:
        """An outcome for one person; the help has the button that asks."""
        drawn = await self._board.drawn(outcome.card, thread=order.thread, verb=order.verb)
        if order.verb == "help" and order.channel:
            return Drawn(text=drawn.text, blocks=[*drawn.blocks, ask_button()])
        return drawn
