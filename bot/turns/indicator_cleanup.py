"""Takes back what the bot shows in Slack for a time only, until it is done, over restarts.

Who shows something takes it back as well, at once. What then still stands there, because Slack was
in trouble, took no more calls, or the bot died, is on record (`bot.ports.IndicatorStore`), and is
taken back here, one after another. Nothing waits for that.
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
"""Seconds until it is tried again after trouble; doubled with each time."""
RETRY_MAX_SECONDS: Final = 60.0
RECHECK_SECONDS: Final = 10.0
"""Seconds until those are looked at again that could not be taken back just then."""
_CLOSE_SECONDS: Final = 1.0

ListPending = Callable[[int], Awaitable[Sequence[Turn]]]
"""The turns, beyond an id, of which something may still stand in Slack; the oldest of them."""
ClearIndicator = Callable[[Turn], Awaitable[bool]]
"""Takes it back, and notes that; False where that cannot be done yet. Raises `BotError`."""


class IndicatorCleanup:
    """Takes one kind of sign back, in a background task that ends when nothing is left."""

    def __init__(
        self, label: str, list_pending: ListPending, clear_indicator: ClearIndicator, clock: Clock
    ) -> None:
        """`what` is taken back, for the log."""
        self._label = label
        self._list_pending = list_pending
        self._clear_indicator = clear_indicator
        self._clock = clock
        self._requested = False
        self._failures = 0
        """So often in a row nothing was to be had."""
        self._resume_after_id = 0
        """The id with which there was trouble last: the others have their turns first."""
        self._rejected: set[int] = set()
        """Turns of which Slack will not have it: for the next start. All are on record."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_active(self) -> bool:
        """Whether something is left to take back, as far as is known."""
        return self._task is not None

    def trigger(self) -> None:
        """Something may be left."""
        self._requested = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"taking back {self._label}")
            self._task.add_done_callback(self._on_task_done)

    async def close(self) -> None:
        """Leave the rest to the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CLOSE_SECONDS)

    async def _run(self) -> None:
        self._failures = 0
        while self._requested:
            self._requested = False
            try:
                all_back, pause = await self._clear_all(), RECHECK_SECONDS
            except BotError as error:
                all_back, pause = False, self._backoff_for(error)
            if not all_back:
                self._requested = True
                await self._clock.sleep(pause)

    async def _clear_all(self) -> bool:
        """Take back all that is left; whether nothing is. Raises `BotError` at the first trouble
        that may pass: mostly it is that of the others as well."""
        all_back = True
        async for turn in self._iter_pending():
            if turn.id not in self._rejected and not await self._try_clear(turn):
                all_back = False
        self._resume_after_id = 0
        return all_back

    async def _iter_pending(self) -> AsyncIterator[Turn]:
        """All that is left, the oldest first; from where there was trouble last, once round."""
        begin, last = self._resume_after_id, self._resume_after_id
        while page := await self._list_pending(last):
            for turn in page:
                last = turn.id
                yield turn
        last = 0
        while last < begin and (page := await self._list_pending(last)):
            for turn in page:
                last = turn.id
                if last <= begin:
                    yield turn

    def _backoff_for(self, error: BotError) -> float:
        asked = error.retry_after
        level = logging.INFO if asked else logging.WARNING  # Slack takes only so many calls
        log.log(level, "%s could not be taken back yet: %s", self._label, error)
        pause = min(
            max(asked, RETRY_INITIAL_SECONDS * 2.0 ** min(self._failures, 8)), RETRY_MAX_SECONDS
        )
        self._failures += 1
        return pause

    async def _try_clear(self, turn: Turn) -> bool:
        try:
            back = await self._clear_indicator(turn)
        except SlackError as error:
            if error.transient:
                self._resume_after_id = turn.id
                raise
            log.warning("%s of turn %d stays until a start: %s", self._label, turn.id, error)
            self._rejected.add(turn.id)
            return True
        self._failures = 0
        return back

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled() and task.exception() is not None:
            log.error("%s is not taken back", self._label, exc_info=task.exception())


def create_status_cleanup(store: Store, workspace: Workspace, clock: Clock) -> IndicatorCleanup:
    """Takes back that threads show work that nobody does."""

    async def take_back(turn: Turn) -> bool:
        back = await workspace.clear_status(turn.message.thread)
        if back:
            await store.remove_status_indicator(turn)
        return back

    return IndicatorCleanup("the status", store.stale_status_indicators, take_back, clock)
