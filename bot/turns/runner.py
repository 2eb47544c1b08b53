"""Runs turns: each in a task of its own, until it has ended exactly once.

A running turn takes one of `max_turns` slots. A turn whose result is recorded, but cannot be shown
while Slack is down, becomes a pending delivery. It retries by itself and holds its thread, so that
the order there stays, but frees its slot and that of its author.
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
"""Interval before the first retry, in seconds; doubled with each retry."""
RETRY_MAX_SECONDS = 30.0
"""Maximum interval between two retries, in seconds."""
DELIVERY_RETRY_SECONDS = 3600.0
"""Timeout, in seconds, for showing a recorded result while Slack is down. Until then the turn holds
its thread."""
MAX_PENDING_DELIVERIES = 200
"""Maximum number of pending deliveries. Above it turns keep their slots, which throttles new turns
while Slack is down."""
CANCEL_SECONDS = 8.0
"""Timeout, in seconds, for cancelled turns to close their replies, which takes a moment while Slack
works. The next start finishes the rest."""
REQUEUE_SECONDS = 5.0
"""Timeout, in seconds, for requeueing a turn."""


class TurnHandler(Protocol):
    """Processes turns. Its methods return True if the end of the turn is surely recorded."""

    async def process(self, turn: Turn) -> bool:
        """Process a claimed turn to its end, or requeue it."""
        ...

    async def finish_interrupted(self, turn: Turn) -> bool:
        """Finish an interrupted turn; a recorded result is shown."""
        ...


class TurnRunner:
    """The turns that were dispatched and have not ended."""

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
        """`on_slot_free` is called when a slot becomes free, `on_waiting` with a turn that was
        requeued for an earlier message of its thread."""
        self._store = store
        self._clock = clock
        self._handler = handler
        self._notices = notices
        self._on_slot_free = on_slot_free
        self._on_waiting = on_waiting
        self._telemetry = telemetry
        self._tasks: dict[asyncio.Task[None], Turn | None] = {}
        """None for interrupted turns: they stay as they are if they are cancelled."""
        self._pending_delivery: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    @property
    def busy_slots(self) -> int:
        """The number of taken slots."""
        return len(self._tasks) - len(self._pending_delivery)

    @property
    def pending_delivery_count(self) -> int:
        """The number of results that wait until Slack accepts them."""
        return len(self._pending_delivery)

    def is_running(self, turn_id: int) -> bool:
        """True if the turn is being processed."""
        return any(turn is not None and turn.id == turn_id for turn in self._tasks.values())

    def start_turn(self, turn: Turn, *, interrupted: bool) -> None:
        """Run a claimed turn; with `interrupted`, finish a turn that a restart interrupted."""
        run = self._finish_interrupted(turn) if interrupted else self._process(turn)
        task = asyncio.create_task(run, name=f"turn {turn.id}")
        self._tasks[task] = None if interrupted else turn
        task.add_done_callback(self._on_task_done)

    async def wait_until_empty(self) -> None:
        """Wait until no slot is taken."""
        while busy := set(self._tasks) - self._pending_delivery:
            # A turn that becomes a pending delivery frees its slot, but does not end.
            await asyncio.wait(busy, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)

    def enable_retries(self) -> None:
        """Retry failed turns, until `disable_retries`."""
        self._closing.clear()

    def disable_retries(self) -> None:
        """Stop retrying failed turns."""
        self._closing.set()

    async def drain(self, timeout: float) -> None:
        """Give running turns `timeout` seconds to end, then cancel and requeue them. The caller
        starts no more turns. Takes at most 16 s more."""
        if self._tasks:
            log.info("waiting for running turns: turns=%d seconds=%g", len(self._tasks), timeout)
            await first_completed(asyncio.wait(set(self._tasks)), self._clock.sleep(timeout))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, stuck = await asyncio.wait(set(self._tasks), timeout=CANCEL_SECONDS)
            await self._abandon(stuck)

    async def _abandon(self, stuck: set[asyncio.Task[None]]) -> None:
        """Requeue turns whose replies do not close, as if they had closed."""
        turns = [turn for task in stuck if (turn := self._tasks.get(task)) is not None]
        for task in stuck:
            log.warning("%s does not end, left to the next start", task.get_name())
        await asyncio.gather(*map(self._requeue, turns))
        for task in stuck:
            task.cancel()
        if stuck:
            await asyncio.wait(stuck, timeout=3.0)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._pending_delivery.discard(task)
        self._on_slot_free()
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    # Processing one turn

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
        # If it is cancelled it stays as it is, and the next start finds it again.
        with log_context(turn), self._telemetry.observe_turn(turn):
            ended, error = await _run_handler(self._handler.finish_interrupted, turn)
            if not ended:
                await self._ensure_ended(turn, error)

    async def _requeue(self, turn: Turn) -> None:
        """Leave a cancelled turn to the next start: it is requeued or, with a recorded result,
        stays as it is to be shown."""
        try:
            async with asyncio.timeout(REQUEUE_SECONDS):
                current = await self._load_if_running(turn)
                if current is not None and current.result is None:
                    await self._store.requeue(current)
                    log.info("turn cancelled and requeued for the next start")
        except (StoreError, TimeoutError) as error:
            log.warning("turn not requeued, left to the next start: reason=%s", error)

    async def _ensure_ended(self, turn: Turn, error: Exception | None) -> None:
        """End a turn that its handler left open, or it would block its thread.

        A recorded result is shown, with retries after transient errors. Without a result, or after
        an unexpected error, the turn fails.
        """
        pause, deadline = RETRY_INITIAL_SECONDS, self._clock.monotonic() + DELIVERY_RETRY_SECONDS
        permanent = False
        while not self._closing.is_set():
            try:
                current = await self._load_if_running(turn)
                if current is None:
                    return
                if current.result is None or permanent or self._clock.monotonic() >= deadline:
                    reported, error = error, None  # one notice, also if the end is retried
                    await self._fail(current, reported)
                    return
                self._release_slot()
                ended, error = await _run_handler(self._handler.finish_interrupted, current)
                if ended:
                    return
                permanent = not isinstance(error, BotError)
                if permanent:
                    continue
            except StoreError as store_error:
                log.warning("turn not ended yet: retry_in=%g reason=%s", pause, store_error)
            await wait_for_event(self._closing, self._clock, pause)
            pause = min(2 * pause, RETRY_MAX_SECONDS)

    def _release_slot(self) -> None:
        """Free the slot of the current task's turn, unless too many deliveries are pending."""
        task = asyncio.current_task()
        if (
            task in self._tasks
            and task not in self._pending_delivery
            and self.pending_delivery_count < MAX_PENDING_DELIVERIES
        ):
            log.warning("turn freed its slot until its result can be shown")
            self._pending_delivery.add(task)
            self._on_slot_free()

    async def _load_if_running(self, turn: Turn) -> Turn | None:
        """The recorded turn if it still runs under this claim, else None."""
        key = turn.message.thread
        current = await self._store.turn_by_ts(key.team, key.channel, turn.message.ts)
        if current is not None and current.state is TurnState.WAITING:
            # Requeued for an earlier message: it gets an indicator unless it is claimed at once.
            self._on_waiting(current)
        if current is None or current.state is not TurnState.RUNNING or current.epoch != turn.epoch:
            return None
        return current

    async def _fail(self, turn: Turn, error: Exception | None) -> None:
        """End a turn that its handler left open as failed. Its author is notified first: after a
        restart between the two, the turn is still open and the thread gets a message."""
        log.error("turn left open by its handler, ended as failed")
        if error is not None:
            text = error.user_message if isinstance(error, BotError) else BotError.user_message
            await self._notices.notify_author_and_wait(turn.message, text)
        # It is unknown here whether the status was cleared.
        await self._store.finish_turn(turn, TurnState.FAILED, may_show_status=True)


async def _run_handler(
    method: Callable[[Turn], Awaitable[bool]], turn: Turn
) -> tuple[bool, Exception | None]:
    """Run a method of the handler. Returns True if the turn has surely ended, and the error of the
    handler, which is logged, or None."""
    try:
        return await method(turn), None
    except BotError as error:
        log.warning("turn failed: reason=%s", error)
        return False, error
    except Exception as error:
        log.exception("turn failed")
        return False, error
