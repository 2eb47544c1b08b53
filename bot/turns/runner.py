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
from bot.logs import log_context
from bot.ports import NULL_TELEMETRY, Clock, Store, Telemetry
from bot.tasks import first_completed, wait_for_event
from bot.turns.queue_notices import QueueNotices

log = logging.getLogger(__name__)

RETRY_INITIAL_SECONDS = 0.1
RETRY_MAX_SECONDS = 30.0
DELIVERY_RETRY_SECONDS = 3600.0
"""How long an ending on record is tried to be shown, while Slack is in trouble. Until then it holds
its thread."""
MAX_PENDING_DELIVERIES = 200
"""Beyond them they keep their places, so that fewer new turns begin: Slack is down for all."""
CANCEL_SECONDS = 8.0
"""How long cancelled turns get to close their replies, which takes Slack a moment when it is well:
what stays open after that is taken over by the next start."""
REQUEUE_SECONDS = 5.0
"""How long putting on record that a turn waits again may take."""


class TurnHandler(Protocol):
    """Who answers. What is returned: whether the end of the turn is on record for certain."""

    async def process(self, turn: Turn) -> bool:
        """Bring a claimed turn to its end, or let it wait again."""
        ...

    async def finish_interrupted(self, turn: Turn) -> bool:
        """Bring a turn to its end that was cut short; shows its answer when one is on record."""
        ...


class TurnRunner:
    """The turns that have been handed out and have not ended."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        handler: TurnHandler,
        notices: QueueNotices,
        *,
        on_slot_free: Callable[[], None],
        on_waiting: Callable[[Turn], None],
        telemetry: Telemetry = NULL_TELEMETRY,
    ) -> None:
        """`on_change` is called when a place has become free, `on_waiting` with a turn that gave
        way to an earlier message of its thread and waits again."""
        self._store = store
        self._clock = clock
        self._handler = handler
        self._notices = notices
        self._on_slot_free = on_slot_free
        self._on_waiting = on_waiting
        self._telemetry = telemetry
        self._tasks: dict[asyncio.Task[None], Turn | None] = {}
        """None for those that are only settled: they stay as they are when they are cut short."""
        self._pending_delivery: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    @property
    def busy_slots(self) -> int:
        """How many places are taken."""
        return len(self._tasks) - len(self._pending_delivery)

    @property
    def pending_delivery_count(self) -> int:
        """How many answers wait for Slack to take them."""
        return len(self._pending_delivery)

    def is_running(self, turn_id: int) -> bool:
        """Whether a turn is being answered."""
        return any(turn is not None and turn.id == turn_id for turn in self._tasks.values())

    def start_turn(self, turn: Turn, *, interrupted: bool) -> None:
        """Run a turn: answer it or, with `settle`, bring it to its end that a restart left open."""
        run = self._finish_interrupted(turn) if interrupted else self._process(turn)
        task = asyncio.create_task(run, name=f"turn {turn.id}")
        self._tasks[task] = None if interrupted else turn
        task.add_done_callback(self._on_task_done)

    async def wait_until_empty(self) -> None:
        """Wait until no place is taken."""
        while working := set(self._tasks) - self._pending_delivery:
            # One that is parked meanwhile does not end.
            await asyncio.wait(working, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)

    def enable_retries(self) -> None:
        """Go on with trying what does not succeed, from now on until `closing`."""
        self._closing.clear()

    def disable_retries(self) -> None:
        """Nothing that did not succeed is tried again."""
        self._closing.set()

    async def drain(self, timeout: float) -> None:
        """Give running turns `seconds` to end; those that do not are cut short, and wait for the
        next start. For when no more are begun. Takes 16 s more at most."""
        if self._tasks:
            log.info("waiting up to %g s for %d running turns", timeout, len(self._tasks))
            await first_completed(asyncio.wait(set(self._tasks)), self._clock.sleep(timeout))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, stuck = await asyncio.wait(set(self._tasks), timeout=CANCEL_SECONDS)
            await self._abandon(stuck)

    async def _abandon(self, stuck: set[asyncio.Task[None]]) -> None:
        """Leave turns whose replies do not close to the next start, as if they had."""
        left = [turn for task in stuck if (turn := self._tasks.get(task)) is not None]
        for task in stuck:
            log.warning("%s does not end; it is left to the next start", task.get_name())
        await asyncio.gather(*map(self._requeue, left))
        for task in stuck:
            task.cancel()
        if stuck:
            await asyncio.wait(stuck, timeout=3.0)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._pending_delivery.discard(task)
        self._on_slot_free()
        if not task.cancelled() and task.exception() is not None:
            log.error("%s broke off", task.get_name(), exc_info=task.exception())

    # One turn

    async def _process(self, turn: Turn) -> None:
        with log_context(turn), self._telemetry.observe_turn(turn):
            try:
                ended, error = await _run_handler(self._handler.process, turn)
            except asyncio.CancelledError:
                await self._requeue(turn)
                raise
            if not ended:
                await self._ensure_ended(turn, error)

    async def _finish_interrupted(self, turn: Turn) -> None:
        # Cut short again it stays as it is: the next start finds it as this one did.
        with log_context(turn), self._telemetry.observe_turn(turn):
            ended, error = await _run_handler(self._handler.finish_interrupted, turn)
            if not ended:
                await self._ensure_ended(turn, error)

    async def _requeue(self, turn: Turn) -> None:
        """Leave a turn that is cut short to the next start: to be answered afresh or, with its
        answer on record, to be shown."""
        try:
            async with asyncio.timeout(REQUEUE_SECONDS):
                left = await self._load_if_running(turn)
                if left is not None and left.result is None:
                    await self._store.requeue(left)
                    log.info("turn is cut short and waits for the next start")
        except (StoreError, TimeoutError) as error:
            log.warning("turn could not be handed back, the next start settles it: %s", error)

    async def _ensure_ended(self, turn: Turn, error: Exception | None) -> None:
        """A turn whose handler is through must have ended, or it would block its thread for ever.

        An ending on record is shown, again and again while trouble lasts that may pass. Without
        one, or after trouble of our own, the turn ends here.
        """
        pause, until = RETRY_INITIAL_SECONDS, self._clock.monotonic() + DELIVERY_RETRY_SECONDS
        hopeless = False
        while not self._closing.is_set():
            try:
                left = await self._load_if_running(turn)
                if left is None:
                    return
                if left.result is None or hopeless or self._clock.monotonic() >= until:
                    owed, error = error, None  # it is told once, also where it ends later
                    await self._fail(left, owed)
                    return
                self._release_slot()
                ended, error = await _run_handler(self._handler.finish_interrupted, left)
                if ended:
                    return
                hopeless = not isinstance(error, BotError)
                if hopeless:
                    continue
            except StoreError as trouble:
                log.warning("turn cannot be ended: %s; again in %g s", trouble, pause)
            await wait_for_event(self._closing, self._clock, pause)
            pause = min(2 * pause, RETRY_MAX_SECONDS)

    def _release_slot(self) -> None:
        """The turn of the running task leaves its place to others, where that is to be had."""
        task = asyncio.current_task()
        if (
            task in self._tasks
            and task not in self._pending_delivery
            and self.pending_delivery_count < MAX_PENDING_DELIVERIES
        ):
            log.warning("turn leaves its place to others until its answer can be shown")
            self._pending_delivery.add(task)
            self._on_slot_free()

    async def _load_if_running(self, turn: Turn) -> Turn | None:
        """The turn as it is on record, if it still runs under this claim."""
        key = turn.message.thread
        left = await self._store.turn_by_ts(key.team, key.channel, turn.message.ts)
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
            sentence = error.user_message if isinstance(error, BotError) else BotError.user_message
            await self._notices.notify_author_and_wait(turn.message, sentence)
        # What its replies could not take back is not known here.
        await self._store.finish_turn(turn, TurnState.FAILED, status_uncleared=True)


async def _run_handler(
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
