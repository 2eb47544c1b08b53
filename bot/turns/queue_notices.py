"""Marks queued messages with a reaction, and posts notices to their authors.

The reaction is added after a delay and removed when the turn starts. Reactions are set in the
background and delay no turn. The calls for one message run in order, so that no reaction outlives
the wait. The number of parallel calls is bounded.

An indicator is recorded before the reaction is added, until it is removed. Slack allows fewer
removals a minute than additions; a removal that fails is repeated later
(`bot.turns.indicator_cleanup`). Queued messages are still marked, up to a bound: an unmarked queued
message is worse than a reaction that stays for a minute after the answer.
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
"""Maximum number of parallel calls to Slack: indicators are many and not urgent, and must not delay
answers."""
MAX_PENDING = 2_000
"""Maximum number of pending actions. Above it indicators are left out, which loses no answer."""
CALL_SECONDS = 60.0
"""Timeout of one action, in seconds."""
INDICATOR_DELAY_SECONDS = 0.5
"""Interval, in seconds, before a queued message is marked. A shorter one would only add and remove
the reaction, which costs four calls."""
CLEAR_INDICATOR = "unmark"


class QueueNotices:
    """Waiting reactions on messages, and ephemeral notices for their authors."""

    def __init__(self, store: Store, workspace: Workspace, clock: Clock) -> None:
        self._store = store
        self._workspace = workspace
        self._clock = clock
        self._delayed = BackgroundTasks(limit=None, timeout=None)
        self._last_task: dict[str, asyncio.Task[None]] = {}
        self._tasks = BackgroundTasks(limit=None, timeout=None)
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_CALLS)
        self._cleanup = IndicatorCleanup(
            "the waiting reaction", store.stale_waiting_indicators, self._retry_clear, clock
        )

    @property
    def pending_count(self) -> int:
        """The number of pending actions."""
        return len(self._tasks) + len(self._delayed) + self._cleanup.is_active

    def trigger_cleanup(self) -> None:
        """Remove stale indicators, also those from before a restart."""
        self._cleanup.trigger()

    def schedule_indicator(self, turn: Turn) -> None:
        """Mark the message of a turn if it still waits after the delay."""
        key = _message_key(turn.message)
        if len(self._delayed) < MAX_PENDING:
            self._delayed.spawn(key, self._show_after_delay(turn), unique=True)

    def clear_indicator(self, turn: Turn) -> None:
        """Remove the reaction, if there is one or one is being added."""
        key = _message_key(turn.message)
        self._delayed.cancel(key)
        if turn.may_be_marked_waiting or key in self._last_task:
            self._enqueue(turn.message, CLEAR_INDICATOR, partial(self._clear_now, turn))

    def notify_author(
        self,
        message: Message,
        text: str,
        on_sent: Callable[[], Awaitable[object]] | None = None,
    ) -> asyncio.Task[None] | None:
        """Post an ephemeral message to the author, and call `on_sent` unless the post may be
        retried. Returns the task; None if too many actions are pending."""

        async def post() -> None:
            sent = await self._workspace.post_notice(message, text)
            if sent and on_sent is not None:
                await on_sent()

        return self._enqueue(message, "notify", post)

    async def notify_author_and_wait(self, message: Message, text: str) -> None:
        """Like `notify_author`, and wait until it is done; bounded, never raises."""
        task = self.notify_author(message, text)
        if task is not None:
            await asyncio.wait({task})

    async def close(self, timeout: float) -> None:
        """Let running actions end within `timeout` seconds, then cancel them. The next start
        removes the indicators that are left."""
        await self._delayed.close(grace=0, cancel_timeout=timeout)
        await self._cleanup.close()
        await self._tasks.close(grace=timeout, cancel_timeout=timeout)

    async def _show_after_delay(self, turn: Turn) -> None:
        async def add_reaction() -> None:
            if not await self._store.add_waiting_indicator(turn):
                return
            if not await self._workspace.add_waiting_reaction(turn.message):
                await self._store.remove_waiting_indicator(turn)

        await self._clock.sleep(INDICATOR_DELAY_SECONDS)
        self._enqueue(turn.message, "mark", add_reaction)

    async def _clear_now(self, turn: Turn) -> None:
        """Remove a reaction at once; if that fails, the cleanup removes it later."""
        removed = False
        try:
            removed = await self._clear(turn)
        except BotError as error:
            log.info("waiting reaction not removed yet: reason=%s", error)
        finally:
            if not removed:
                self._cleanup.trigger()

    async def _retry_clear(self, turn: Turn) -> bool:
        """Remove a stale reaction; False while other actions for its message run. Raises
        `BotError`."""
        if _message_key(turn.message) in self._last_task:
            return False
        result: bool | BotError = False

        async def remove_reaction() -> None:
            nonlocal result
            try:
                result = await self._clear(turn)
            except BotError as error:
                result = error

        task = self._enqueue(turn.message, CLEAR_INDICATOR, remove_reaction)
        if task is not None:
            await asyncio.wait({task})
        if isinstance(result, BotError):
            raise result
        return result

    async def _clear(self, turn: Turn) -> bool:
        removed = await self._workspace.remove_waiting_reaction(turn.message)
        if removed:
            await self._store.remove_waiting_indicator(turn)
        return removed

    def _enqueue(
        self, message: Message, action: str, work: Callable[[], Awaitable[None]]
    ) -> asyncio.Task[None] | None:
        """Run an action for a message after the earlier actions for it."""
        key = _message_key(message)
        # Removals are never left out; there are no more of them than of additions.
        if len(self._tasks) >= MAX_PENDING and action != CLEAR_INDICATOR:
            log.error("queue notice left out, too many pending: action=%s message=%s", action, key)
            return None
        previous = self._last_task.get(key)
        task = self._tasks.spawn(f"{action} {key}", self._run_after(previous, work))
        if task is not None:
            self._last_task[key] = task
            task.add_done_callback(lambda ended: self._on_task_done(key, ended))
        return task

    async def _run_after(
        self, previous: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]
    ) -> None:
        if previous is not None:
            await asyncio.wait([previous])
        async with self._slots, asyncio.timeout(CALL_SECONDS):
            await work()

    def _on_task_done(self, key: str, task: asyncio.Task[None]) -> None:
        if self._last_task.get(key) is task:
            del self._last_task[key]


def _message_key(message: Message) -> str:
    return f"{message.thread.team}/{message.thread.channel}/{message.ts}"
