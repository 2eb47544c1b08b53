"""Turns that run: each has a task of its own and is seen to its end, and to only one.

A turn takes one of `max_turns` places while it is answered. One whose answer is on record and which
Slack will not have shown just now is parked: it goes on trying by itself, holds its thread, so that
the order there stays, and leaves its place, and its person's, to others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from bot.domain.turns import Turn, TurnState
from bot.errors import BotError, StoreError
from bot.logs import about
from bot.ports import UNWATCHED, Clock, Store, Watch
from bot.tasks import either
from bot.turns.queue_notices import WaitingSigns

log = logging.getLogger(__name__)

RETRY_FIRST_SECONDS = 0.1
RETRY_MOST_SECONDS = 30.0
SETTLE_SECONDS = 3600.0
"""How long an ending on record is tried to be shown, while Slack is in trouble. Until then it holds
its thread."""
MOST_PARKED = 200
"""Beyond them they keep their places, so that fewer new turns begin: Slack is down for all."""
CANCEL_SECONDS = 8.0
"""How long cancelled turns get to close their replies, which takes Slack a moment when it is well:
what stays open after that is taken over by the next start."""
HAND_BACK_SECONDS = 5.0
"""How long putting on record that a turn waits again may take."""


class Handler(Protocol):
    """Who answers. What is returned: whether the end of the turn is on record for certain."""

    async def take(self, turn: Turn) -> bool:
        """Bring a claimed turn to its end, or let it wait again."""
        ...

    async def settle(self, turn: Turn) -> bool:
        """Bring a turn to its end that was cut short; shows its answer when one is on record."""
        ...


class RunningTurns:
    """The turns that have been handed out and have not ended."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        handler: Handler,
        signs: WaitingSigns,
        *,
        on_change: Callable[[], None],
        on_waiting: Callable[[Turn], None],
        watch: Watch = UNWATCHED,
    ) -> None:
        """`on_change` is called when a place has become free, `on_waiting` with a turn that gave
        way to an earlier message of its thread and waits again."""
        self._store = store
        self._clock = clock
        self._handler = handler
        self._signs = signs
        self._on_change = on_change
        self._on_waiting = on_waiting
        self._watch = watch
        self._taken: dict[asyncio.Task[None], Turn | None] = {}
        """None for those that are only settled: they stay as they are when they are cut short."""
        self._parked: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    @property
    def busy(self) -> int:
        """How many places are taken."""
        return len(self._taken) - len(self._parked)

    @property
    def parked(self) -> int:
        """How many answers wait for Slack to take them."""
        return len(self._parked)

    def has(self, number: int) -> bool:
        """Whether a turn is being answered."""
        return any(turn is not None and turn.id == number for turn in self._taken.values())

    def begin(self, turn: Turn, *, settle: bool) -> None:
        """Run a turn: answer it or, with `settle`, bring it to its end that a restart left open."""
        run = self._settle(turn) if settle else self._take(turn)
        task = asyncio.create_task(run, name=f"turn {turn.id}")
        self._taken[task] = None if settle else turn
        task.add_done_callback(self._ended)

    async def until_none(self) -> None:
        """Wait until no place is taken."""
        while working := set(self._taken) - self._parked:
            # One that is parked meanwhile does not end.
            await asyncio.wait(working, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)

    def opening(self) -> None:
        """Go on with trying what does not succeed, from now on until `closing`."""
        self._closing.clear()

    def closing(self) -> None:
        """Nothing that did not succeed is tried again."""
        self._closing.set()

    async def drain(self, seconds: float) -> None:
        """Give running turns `seconds` to end; those that do not are cut short, and wait for the
        next start. For when no more are begun. Takes 16 s more at most."""
        if self._taken:
            log.info("waiting up to %g s for %d running turns", seconds, len(self._taken))
            await either(asyncio.wait(set(self._taken)), self._clock.sleep(seconds))
        for task in self._taken:
            task.cancel()
        if self._taken:
            _, stuck = await asyncio.wait(set(self._taken), timeout=CANCEL_SECONDS)
            await self._leave(stuck)

    async def _leave(self, stuck: set[asyncio.Task[None]]) -> None:
        """Leave turns whose replies do not close to the next start, as if they had."""
        left = [turn for task in stuck if (turn := self._taken.get(task)) is not None]
        for task in stuck:
            log.warning("%s does not end; it is left to the next start", task.get_name())
        await asyncio.gather(*map(self._let_wait, left))
        for task in stuck:
            task.cancel()
        if stuck:
            await asyncio.wait(stuck, timeout=3.0)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._taken.pop(task, None)
        self._parked.discard(task)
        self._on_change()
        if not task.cancelled() and task.exception() is not None:
            log.error("%s broke off", task.get_name(), exc_info=task.exception())

    # One turn

    async def _take(self, turn: Turn) -> None:
        with about(turn), self._watch.running(turn):
            try:
                ended, error = await _tried(self._handler.take, turn)
            except asyncio.CancelledError:
                await self._let_wait(turn)
                raise
            if not ended:
                await self._see_to_end(turn, error)

    async def _settle(self, turn: Turn) -> None:
        # Cut short again it stays as it is: the next start finds it as this one did.
        with about(turn), self._watch.running(turn):
            ended, error = await _tried(self._handler.settle, turn)
            if not ended:
                await self._see_to_end(turn, error)

    async def _let_wait(self, turn: Turn) -> None:
        """Leave a turn that is cut short to the next start: to be answered afresh or, with its
        answer on record, to be shown."""
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                left = await self._still_running(turn)
                if left is not None and left.ending is None:
                    await self._store.hand_back(left)
                    log.info("turn is cut short and waits for the next start")
        except (StoreError, TimeoutError) as error:
            log.warning("turn could not be handed back, the next start settles it: %s", error)

    async def _see_to_end(self, turn: Turn, error: Exception | None) -> None:
        """A turn whose handler is through must have ended, or it would block its thread for ever.

        An ending on record is shown, again and again while trouble lasts that may pass. Without
        one, or after trouble of our own, the turn ends here.
        """
        pause, until = RETRY_FIRST_SECONDS, self._clock.monotonic() + SETTLE_SECONDS
        hopeless = False
        while not self._closing.is_set():
            try:
                left = await self._still_running(turn)
                if left is None:
                    return
                if left.ending is None or hopeless or self._clock.monotonic() >= until:
                    owed, error = error, None  # it is told once, also where it ends later
                    await self._fail(left, owed)
                    return
                self._park()
                ended, error = await _tried(self._handler.settle, left)
                if ended:
                    return
                hopeless = not isinstance(error, BotError)
                if hopeless:
                    continue
            except StoreError as trouble:
                log.warning("turn cannot be ended: %s; again in %g s", trouble, pause)
            await either(self._closing.wait(), self._clock.sleep(pause))
            pause = min(2 * pause, RETRY_MOST_SECONDS)

    def _park(self) -> None:
        """The turn of the running task leaves its place to others, where that is to be had."""
        task = asyncio.current_task()
        if task in self._taken and task not in self._parked and self.parked < MOST_PARKED:
            log.warning("turn leaves its place to others until its answer can be shown")
            self._parked.add(task)
            self._on_change()

    async def _still_running(self, turn: Turn) -> Turn | None:
        """The turn as it is on record, if it still runs under this claim."""
        key = turn.message.thread
        left = await self._store.find(key.team, key.channel, turn.message.ts)
        if left is not None and left.state is TurnState.WAITING:
            # It gave way to an earlier message: shown as waiting, unless it is claimed at once.
            self._on_waiting(left)
        if left is None or left.state is not TurnState.RUNNING or left.epoch != turn.epoch:
            return None
        return left

    async def _fail(self, turn: Turn, error: Exception | None) -> None:
        """End a turn whose handler left it open. Its author is told first: a restart between the
        two finds it open, and tells the thread."""
        log.error("turn was left open by its handler and ends as failed")
        if error is not None:
            sentence = error.sentence if isinstance(error, BotError) else BotError.sentence
            await self._signs.told(turn.message, sentence)
        # What its replies could not take back is not known here.
        await self._store.finish(turn, TurnState.FAILED, status_left=True)


async def _tried(
    work: Callable[[Turn], Awaitable[bool]], turn: Turn
) -> tuple[bool, Exception | None]:
    """Let the handler have a turn: whether it has ended for certain, and what the handler could not
    cope with, logged."""
    try:
        return await work(turn), None
    except BotError as error:
        log.warning("turn could not be brought to its end: %s", error)
        return False, error
    except Exception as error:
        log.exception("the handler of turns failed")
        return False, error
