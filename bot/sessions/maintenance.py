"""Looks after what nobody looks after: the runtime's memory, and sessions that have grown old.

Every minute: a runtime that takes too much memory is started anew when nothing runs. Every hour:
what the person who runs the bot does not want to keep goes, those unused for the longest first, and
never one that somebody uses. Nothing that goes wrong here ends the tending.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from bot.domain.sessions import SessionFilter, SessionRecord
from bot.errors import BotError
from bot.ports import Agent, Board, Clock, Store
from bot.sessions.cleanup import Cleanup, Report
from bot.sessions.cleanup_filter import Narrowing
from bot.sessions.cleanup_notices import Farewells

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
RENEW_WITHIN: Final = 5.0
"""Seconds in which running turns may end before the runtime is started anew; new ones wait."""
RENEW_EVERY: Final = 600.0
TIDY_EVERY: Final = 3_600.0
COMPARISONS_KEPT: Final = 7 * 86_400.0
"""Seconds after which the copies of a comparison go, where none of them was kept."""
COMPARISONS_EVERY: Final = 86_400.0
_DAY: Final = 86_400.0
_MB: Final = 1024**2
_PAGE: Final = 500
_MOST_PAGES: Final = 20
"""10,000 sessions go for their size in one round; the next round takes the rest."""

END_SECONDS: Final = 10.0
"""How long leaving waits for what is under way to be cut short."""

BY: Final = ""
"""Who did it, in the audit: nobody, the bot itself."""
RETENTION: Final = "retention"


class Renewing(Protocol):
    """The pool of live sessions, as far as the runtime's memory is concerned."""

    async def renew(self, within: float) -> bool:
        """Start the runtime anew, if within so many seconds no session is held any more."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is kept; 0 sets no limit."""

    memory_mb: int = 0
    """Of the runtime."""
    days: int = 0
    sessions: int = 0
    mb: int = 0
    """Of all sessions on disk."""


class Tending:
    """Runs in the background from entering to leaving."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        pool: Renewing,
        cleanup: Cleanup,
        board: Board,
        clock: Clock,
        keeping: Keeping,
    ) -> None:
        self._store = store
        self._agent = agent
        self._pool = pool
        self._cleanup = cleanup
        self._board = board
        self._clock = clock
        self._keeping = keeping
        self._task: asyncio.Task[None] | None = None
        self._renewed = self._tidied = self._compared = float("-inf")

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tend(), name="tending")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if self._task is not None:
            self._task.cancel()
            _, late = await asyncio.wait([self._task], timeout=END_SECONDS)
            if late:
                log.warning("given up at the end: tending")
            self._task = None
        return False

    async def _tend(self) -> None:
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            now = self._clock.monotonic()
            if self._keeping.memory_mb and now - self._renewed >= RENEW_EVERY:
                await self._safely("look at the runtime's memory", self._watch_memory)
            if now - self._tidied >= TIDY_EVERY:
                self._tidied = now
                await self._safely("delete old sessions", self.tidy)
            if now - self._compared >= COMPARISONS_EVERY:
                self._compared = now
                await self._safely("delete old comparisons", self._tidy_comparisons)

    async def _safely(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except BotError as error:
            log.warning("could not %s: %s", what, error)
        except Exception:
            log.exception("could not %s", what)

    async def _watch_memory(self) -> None:
        taken = await self._agent.memory()
        if taken <= self._keeping.memory_mb * _MB:
            return
        self._renewed = self._clock.monotonic()
        log.warning("the runtime takes %d MB: it is to be started anew", taken // _MB)
        if not await self._pool.renew(within=RENEW_WITHIN):
            log.warning("the runtime is not started anew yet: too much runs")

    async def tidy(self) -> None:
        """Delete what is not to be kept. Raises `BotError`."""
        await self._store.note_sizes(await self._agent.stored())
        farewells = Farewells(self._board)
        keeping, now = self._keeping, self._clock.now()
        if keeping.days:
            await self._delete(
                f"unused for {keeping.days} days",
                SessionFilter(unused_since=now - keeping.days * _DAY),
                farewells,
            )
        if keeping.sessions:
            await self._delete(
                f"beyond {keeping.sessions} sessions",
                SessionFilter(keep_newest=keeping.sessions, unused_since=now),
                farewells,
            )
        if keeping.mb:
            kept = await self._that_fit(keeping.mb * _MB)
            if kept is not None:
                await self._delete(
                    f"beyond {keeping.mb} MB",
                    SessionFilter(keep_newest=kept, unused_since=now),
                    farewells,
                )
        if farewells.untold:
            log.info("%d threads were not told that their session is gone", farewells.untold)

    async def _that_fit(self, most: int) -> int | None:
        """How many of the newest sessions fit into so many bytes; None when all do."""
        everything = await self._store.totals(SessionFilter())
        excess, left = everything.size - most, everything.count
        for _ in range(_MOST_PAGES):
            if excess <= 0 or left <= 0:
                break
            offset = max(0, left - _PAGE)
            page = await self._store.sessions(SessionFilter(), offset, left - offset)
            for session in reversed(page.sessions):
                if excess <= 0:
                    break
                excess -= session.size
                left -= 1
        return left if left < everything.count else None

    async def _tidy_comparisons(self) -> None:
        """Copies that were made to answer one question, where another answer, or none, was kept."""
        since = self._clock.now() - COMPARISONS_KEPT
        await self._delete(
            "comparisons of which no answer was kept",
            SessionFilter(copies=True, unused_since=since),
            Farewells(self._board, most=0),
        )

    async def _delete(self, why: str, wanted: SessionFilter, farewells: Farewells) -> None:
        begun = False

        async def going(_: Sequence[SessionRecord]) -> None:
            """It is on record before anything goes, and only where something does."""
            nonlocal begun
            if not begun:
                begun = True
                await self._store.audit(BY, RETENTION, why, "begun")

        report: Report = await self._cleanup.run(
            Narrowing(wanted=wanted), going=going, gone=farewells.tell, orphans=False
        )
        if begun:
            detail = f"{report.deleted} sessions, {report.bytes} bytes"
            await self._store.audit(BY, RETENTION, why, detail)
