"""Takes back what the bot shows in Slack for a time only, until it is done, over restarts.

Who shows something takes it back as well, at once. What then still stands there, because Slack was
in trouble, took no more calls, or the bot died, is on record (`bot.ports.SignStore`), and is taken
back here, one after another. Nothing waits for that.
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

FIRST_PAUSE: Final = 1.0
"""Seconds until it is tried again after trouble; doubled with each time."""
MOST_PAUSE: Final = 60.0
NOT_YET_PAUSE: Final = 10.0
"""Seconds until those are looked at again that could not be taken back just then."""
_CLOSE_SECONDS: Final = 1.0

Left = Callable[[int], Awaitable[Sequence[Turn]]]
"""The turns, beyond an id, of which something may still stand in Slack; the oldest of them."""
TakeBack = Callable[[Turn], Awaitable[bool]]
"""Takes it back, and notes that; False where that cannot be done yet. Raises `BotError`."""


class TakingBack:
    """Takes one kind of sign back, in a background task that ends when nothing is left."""

    def __init__(self, what: str, left: Left, take_back: TakeBack, clock: Clock) -> None:
        """`what` is taken back, for the log."""
        self._what = what
        self._left = left
        self._take_back = take_back
        self._clock = clock
        self._wanted = False
        self._tries = 0
        """So often in a row nothing was to be had."""
        self._after = 0
        """The id with which there was trouble last: the others have their turns first."""
        self._refused: set[int] = set()
        """Turns of which Slack will not have it: for the next start. All are on record."""
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is left to take back, as far as is known."""
        return self._task is not None

    def look(self) -> None:
        """Something may be left."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"taking back {self._what}")
            self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Leave the rest to the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CLOSE_SECONDS)

    async def _run(self) -> None:
        self._tries = 0
        while self._wanted:
            self._wanted = False
            try:
                all_back, pause = await self._go_through(), NOT_YET_PAUSE
            except BotError as error:
                all_back, pause = False, self._pause_after(error)
            if not all_back:
                self._wanted = True
                await self._clock.sleep(pause)

    async def _go_through(self) -> bool:
        """Take back all that is left; whether nothing is. Raises `BotError` at the first trouble
        that may pass: mostly it is that of the others as well."""
        all_back = True
        async for turn in self._all_left():
            if turn.id not in self._refused and not await self._once(turn):
                all_back = False
        self._after = 0
        return all_back

    async def _all_left(self) -> AsyncIterator[Turn]:
        """All that is left, the oldest first; from where there was trouble last, once round."""
        begin, last = self._after, self._after
        while page := await self._left(last):
            for turn in page:
                last = turn.id
                yield turn
        last = 0
        while last < begin and (page := await self._left(last)):
            for turn in page:
                last = turn.id
                if last <= begin:
                    yield turn

    def _pause_after(self, error: BotError) -> float:
        asked = error.retry_after
        level = logging.INFO if asked else logging.WARNING  # Slack takes only so many calls
        log.log(level, "%s could not be taken back yet: %s", self._what, error)
        pause = min(max(asked, FIRST_PAUSE * 2.0 ** min(self._tries, 8)), MOST_PAUSE)
        self._tries += 1
        return pause

    async def _once(self, turn: Turn) -> bool:
        try:
            back = await self._take_back(turn)
        except SlackError as error:
            if error.passing:
                self._after = turn.id
                raise
            log.warning("%s of turn %d stays until a start: %s", self._what, turn.id, error)
            self._refused.add(turn.id)
            return True
        self._tries = 0
        return back

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled() and task.exception() is not None:
            log.error("%s is not taken back", self._what, exc_info=task.exception())


def statuses_of(store: Store, workspace: Workspace, clock: Clock) -> TakingBack:
    """Takes back that threads show work that nobody does."""

    async def take_back(turn: Turn) -> bool:
        back = await workspace.take_status_back(turn.message.thread)
        if back:
            await store.note_status_back(turn)
        return back

    return TakingBack("the status", store.statuses_left, take_back, clock)
