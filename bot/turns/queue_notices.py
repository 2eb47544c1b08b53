"""How people see that their message waits: a mark on it, where it waits for longer than a moment,
taken back when its turn comes.

Marks are set beside the turns, never in their way. What is done about one message is done in
order, so that a mark never outlives the wait it stands for; how much goes on at once is bounded.

A mark is on record from before it is set until it is gone: what cannot be taken back at once, for
Slack lets fewer be taken back in a minute than set, is taken back later
(`bot.turns.indicator_cleanup`). Those who wait are marked all the same, up to a bound: it is worse
not to know that one's message waits than to see a mark for a minute longer, beside the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from bot.domain.messages import Message
from bot.domain.turns import Turn
from bot.errors import BotError
from bot.ports import Clock, Store, Workspace
from bot.tasks import BackgroundTasks
from bot.turns.indicator_cleanup import IndicatorCleanup

log = logging.getLogger(__name__)

MAX_CONCURRENT_CALLS = 4
"""Calls to Slack at once: marks are many and not urgent, answers shall not queue behind them."""
MAX_PENDING = 2_000
"""Things left to do; beyond it a mark is left out, which loses nobody's answer."""
CALL_SECONDS = 60.0
INDICATOR_DELAY_SECONDS = 0.5
"""Who waits no longer than that is not shown as waiting: it would come and go, and cost four calls
of which nobody has anything."""
CLEAR_INDICATOR = "unmark"


class QueueNotices:
    """Marks on messages, and sentences for their authors alone, in background tasks."""

    def __init__(self, store: Store, workspace: Workspace, clock: Clock) -> None:
        self._store = store
        self._workspace = workspace
        self._clock = clock
        self._delayed = BackgroundTasks(limit=None, timeout=None)
        self._last_task: dict[str, asyncio.Task[None]] = {}
        self._tasks = BackgroundTasks(limit=None, timeout=None)
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_CALLS)
        self._cleanup = IndicatorCleanup(
            "the mark of a wait", store.stale_waiting_indicators, self._retry_clear, clock
        )

    @property
    def pending_count(self) -> int:
        """How much is left to do."""
        return len(self._tasks) + len(self._delayed) + self._cleanup.is_active

    def trigger_cleanup(self) -> None:
        """Take back what is left of earlier marks, also of those from before a restart."""
        self._cleanup.trigger()

    def schedule_indicator(self, turn: Turn) -> None:
        """Show that the message waits, if it still does after a moment."""
        lane = _message_key(turn.message)
        if len(self._delayed) < MAX_PENDING:
            self._delayed.spawn(lane, self._show_after_delay(turn), unique=True)

    def clear_indicator(self, turn: Turn) -> None:
        """Take the mark back, if there is one or one is on its way."""
        lane = _message_key(turn.message)
        self._delayed.cancel(lane)
        if turn.may_be_marked_waiting or lane in self._last_task:
            self._enqueue(turn.message, CLEAR_INDICATOR, partial(self._clear_now, turn))

    def notify_author(
        self,
        message: Message,
        text: str,
        on_sent: Callable[[], Awaitable[object]] | None = None,
    ) -> asyncio.Task[None] | None:
        """Tell the author alone and, unless that may be tried again, do `then`; None where too
        much is left to do already."""

        async def tell() -> None:
            told = await self._workspace.post_notice(message, text)
            if told and on_sent is not None:
                await on_sent()

        return self._enqueue(message, "whisper", tell)

    async def notify_author_and_wait(self, message: Message, text: str) -> None:
        """Tell the author alone, and wait until that is done; bounded, never raises."""
        task = self.notify_author(message, text)
        if task is not None:
            await asyncio.wait({task})

    async def close(self, timeout: float) -> None:
        """Let what is under way end within `seconds`, then give it up. Marks that are left then
        are taken back by the next start."""
        await self._delayed.close(grace=0, cancel_timeout=timeout)
        await self._cleanup.close()
        await self._tasks.close(grace=timeout, cancel_timeout=timeout)

    async def _show_after_delay(self, turn: Turn) -> None:
        async def mark() -> None:
            if not await self._store.add_waiting_indicator(turn):
                return
            if not await self._workspace.add_waiting_reaction(turn.message):
                await self._store.remove_waiting_indicator(turn)

        await self._clock.sleep(INDICATOR_DELAY_SECONDS)
        self._enqueue(turn.message, "mark", mark)

    async def _clear_now(self, turn: Turn) -> None:
        """Take a mark back at once; where that does not work out, it is one of those left."""
        unmarked = False
        try:
            unmarked = await self._clear(turn)
        except BotError as error:
            log.info("the mark of a wait is taken back later: %s", error)
        finally:
            if not unmarked:
                self._cleanup.trigger()

    async def _retry_clear(self, turn: Turn) -> bool:
        """Take a mark back that is left; not while something else is done about its message.
        Raises `BotError`."""
        if _message_key(turn.message) in self._last_task:
            return False
        outcome: bool | BotError = False

        async def unmark() -> None:
            nonlocal outcome
            try:
                outcome = await self._clear(turn)
            except BotError as error:
                outcome = error

        task = self._enqueue(turn.message, CLEAR_INDICATOR, unmark)
        if task is not None:
            await asyncio.wait({task})
        if isinstance(outcome, BotError):
            raise outcome
        return outcome

    async def _clear(self, turn: Turn) -> bool:
        unmarked = await self._workspace.remove_waiting_reaction(turn.message)
        if unmarked:
            await self._store.remove_waiting_indicator(turn)
        return unmarked

    def _enqueue(
        self, message: Message, action: str, work: Callable[[], Awaitable[None]]
    ) -> asyncio.Task[None] | None:
        """Do something about a message, after what is being done about it already."""
        lane = _message_key(message)
        # What was marked must be unmarked, and there are no more of these than of marks.
        if len(self._tasks) >= MAX_PENDING and action != CLEAR_INDICATOR:
            log.error("too much is to be shown beside the turns; left out: %s %s", action, lane)
            return None
        before = self._last_task.get(lane)
        task = self._tasks.spawn(f"{action} {lane}", self._run_after(before, work))
        if task is not None:
            self._last_task[lane] = task
            task.add_done_callback(lambda ended: self._on_task_done(lane, ended))
        return task

    async def _run_after(
        self, previous: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]
    ) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        async with self._slots, asyncio.timeout(CALL_SECONDS):
            await work()

    def _on_task_done(self, lane: str, task: asyncio.Task[None]) -> None:
        if self._last_task.get(lane) is task:
            del self._last_task[lane]


def _message_key(message: Message) -> str:
    return f"{message.thread.team}/{message.thread.channel}/{message.ts}"
