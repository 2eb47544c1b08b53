"""Removes stale indicators, such as waiting reactions and statuses, from Slack, over restarts.

The code that sets an indicator also removes it, at once. That may fail: Slack is down, its rate
limit is reached, or the bot dies. Such an indicator is recorded (`bot.ports.IndicatorStore`) and
removed here in the background, one after another. No turn waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from bot.domain.turns import Turn
from bot.errors import BotError, SlackError
from bot.ports import Clock, Store, Workspace

log = logging.getLogger(__name__)

RETRY_INITIAL_SECONDS: Final = 1.0
"""Interval before the first retry after an error, in seconds; doubled with each retry."""
RETRY_MAX_SECONDS: Final = 60.0
"""Maximum interval between two retries, in seconds."""
RECHECK_SECONDS: Final = 10.0
"""Interval before indicators that could not be removed yet are checked again, in seconds."""
_CLOSE_SECONDS: Final = 1.0
"""Timeout on close, in seconds."""

ListPending = Callable[[int], Awaitable[Sequence[Turn]]]
"""Lists the oldest turns, after a turn id, that may still have an indicator in Slack."""
ClearIndicator = Callable[[Turn], Awaitable[bool]]
"""Removes an indicator and its record; False if it cannot be removed yet. Raises `BotError`."""


class IndicatorCleanup:
    """Removes one kind of indicator, in a background task that ends when none is left."""

    def __init__(
        self, label: str, list_pending: ListPending, clear_indicator: ClearIndicator, clock: Clock
    ) -> None:
        """`label` names the indicator in the log."""
        self._label = label
        self._list_pending = list_pending
        self._clear_indicator = clear_indicator
        self._clock = clock
        self._requested = False
        self._failures = 0
        """Number of failures in a row."""
        self._resume_after_id = 0
        """The turn id of the last failure: the others are tried first."""
        self._rejected: set[int] = set()
        """Turns whose indicators Slack refuses to remove; the next start tries again."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_active(self) -> bool:
        """True while indicators are known to be left."""
        return self._task is not None

    def trigger(self) -> None:
        """Check for indicators that are left."""
        self._requested = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"remove {self._label}")
            self._task.add_done_callback(self._on_task_done)

    async def close(self) -> None:
        """Stop; the next start removes the rest."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CLOSE_SECONDS)

    async def _run(self) -> None:
        self._failures = 0
        while self._requested:
            self._requested = False
            try:
                all_cleared, pause = await self._clear_all(), RECHECK_SECONDS
            except BotError as error:
                all_cleared, pause = False, self._backoff_for(error)
            if not all_cleared:
                self._requested = True
                await self._clock.sleep(pause)

    async def _clear_all(self) -> bool:
        """Remove all indicators that are left. True if none remains. Raises `BotError` at the first
        transient error: mostly it affects the others too."""
        all_cleared = True
        async for turn in self._iter_pending():
            if turn.id not in self._rejected and not await self._try_clear(turn):
                all_cleared = False
        self._resume_after_id = 0
        return all_cleared

    async def _iter_pending(self) -> AsyncIterator[Turn]:
        """The turns that are left, oldest first, in one round that begins after the last
        failure."""
        start, last = self._resume_after_id, self._resume_after_id
        while page := await self._list_pending(last):
            for turn in page:
                last = turn.id
                yield turn
        last = 0
        while last < start and (page := await self._list_pending(last)):
            for turn in page:
                last = turn.id
                if last <= start:
                    yield turn

    def _backoff_for(self, error: BotError) -> float:
        retry_after = error.retry_after
        level = logging.INFO if retry_after else logging.WARNING  # a rate limit is expected
        log.log(level, "%s not removed yet: reason=%s", self._label, error)
        pause = min(
            max(retry_after, RETRY_INITIAL_SECONDS * 2.0 ** min(self._failures, 8)),
            RETRY_MAX_SECONDS,
        )
        self._failures += 1
        return pause

    async def _try_clear(self, turn: Turn) -> bool:
        try:
            cleared = await self._clear_indicator(turn)
        except SlackError as error:
            if error.transient:
                self._resume_after_id = turn.id
                raise
            log.warning(
                "%s not removed until the next start: turn=%d reason=%s",
                self._label,
                turn.id,
                error,
            )
            self._rejected.add(turn.id)
            return True
        self._failures = 0
        return cleared

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled() and task.exception() is not None:
            log.error("removal of %s failed", self._label, exc_info=task.exception())


def create_status_cleanup(store: Store, workspace: Workspace, clock: Clock) -> IndicatorCleanup:
    """The cleanup of statuses whose turns have ended."""

    async def clear_status(turn: Turn) -> bool:
        cleared = await workspace.clear_status(turn.message.thread)
        if cleared:
            await store.remove_status_indicator(turn)
        return cleared

    return IndicatorCleanup("the status", store.stale_status_indicators, clear_status, clock)
