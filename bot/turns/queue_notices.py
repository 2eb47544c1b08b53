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
from bot.turns.indicator_cleanup import TakingBack

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Calls to Slack at once: marks are many and not urgent, answers shall not queue behind them."""
MAX_PENDING = 2_000
"""Things left to do; beyond it a mark is left out, which loses nobody's answer."""
CALL_SECONDS = 60.0
MOMENT_SECONDS = 0.5
"""Who waits no longer than that is not shown as waiting: it would come and go, and cost four calls
of which nobody has anything."""
UNMARK = "unmark"


class WaitingSigns:
    """Marks on messages, and sentences for their authors alone, in background tasks."""

    def __init__(self, store: Store, workspace: Workspace, clock: Clock) -> None:
        self._store = store
        self._workspace = workspace
        self._clock = clock
        self._moments: dict[str, asyncio.Task[None]] = {}
        self._last: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._left = TakingBack("the mark of a wait", store.marks_left, self._unmark_again, clock)

    @property
    def pending(self) -> int:
        """How much is left to do."""
        return len(self._tasks) + len(self._moments) + self._left.busy

    def look(self) -> None:
        """Take back what is left of earlier marks, also of those from before a restart."""
        self._left.look()

    def show(self, turn: Turn) -> None:
        """Show that the message waits, if it still does after a moment."""
        lane = _lane(turn.message)
        if lane in self._moments or len(self._moments) >= MAX_PENDING:
            return
        moment = asyncio.create_task(self._mark_later(turn), name=f"moment {lane}")
        self._moments[lane] = moment
        moment.add_done_callback(lambda _: self._moments.pop(lane, None))

    def take_back(self, turn: Turn) -> None:
        """Take the mark back, if there is one or one is on its way."""
        lane = _lane(turn.message)
        if (moment := self._moments.get(lane)) is not None:
            moment.cancel()
        if turn.waited or lane in self._last:
            self._do(turn.message, UNMARK, partial(self._unmark_first, turn))

    def whisper(
        self,
        message: Message,
        sentence: str,
        then: Callable[[], Awaitable[object]] | None = None,
    ) -> asyncio.Task[None] | None:
        """Tell the author alone and, unless that may be tried again, do `then`; None where too
        much is left to do already."""

        async def tell() -> None:
            told = await self._workspace.whisper(message, sentence)
            if told and then is not None:
                await then()

        return self._do(message, "whisper", tell)

    async def told(self, message: Message, sentence: str) -> None:
        """Tell the author alone, and wait until that is done; bounded, never raises."""
        task = self.whisper(message, sentence)
        if task is not None:
            await asyncio.wait({task})

    async def close(self, seconds: float) -> None:
        """Let what is under way end within `seconds`, then give it up. Marks that are left then
        are taken back by the next start."""
        for moment in tuple(self._moments.values()):
            moment.cancel()
        await self._left.close()
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in late:
            log.warning("given up at the end: %s", task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=seconds)

    async def _mark_later(self, turn: Turn) -> None:
        async def mark() -> None:
            if not await self._store.show_waiting(turn):
                return
            if not await self._workspace.mark_waiting(turn.message):
                await self._store.note_unmarked(turn)

        await self._clock.sleep(MOMENT_SECONDS)
        self._do(turn.message, "mark", mark)

    async def _unmark_first(self, turn: Turn) -> None:
        """Take a mark back at once; where that does not work out, it is one of those left."""
        unmarked = False
        try:
            unmarked = await self._unmark(turn)
        except BotError as error:
            log.info("the mark of a wait is taken back later: %s", error)
        finally:
            if not unmarked:
                self._left.look()

    async def _unmark_again(self, turn: Turn) -> bool:
        """Take a mark back that is left; not while something else is done about its message.
        Raises `BotError`."""
        if _lane(turn.message) in self._last:
            return False
        outcome: bool | BotError = False

        async def unmark() -> None:
            nonlocal outcome
            try:
                outcome = await self._unmark(turn)
            except BotError as error:
                outcome = error

        task = self._do(turn.message, UNMARK, unmark)
        if task is not None:
            await asyncio.wait({task})
        if isinstance(outcome, BotError):
            raise outcome
        return outcome

    async def _unmark(self, turn: Turn) -> bool:
        unmarked = await self._workspace.unmark_waiting(turn.message)
        if unmarked:
            await self._store.note_unmarked(turn)
        return unmarked

    def _do(
        self, message: Message, what: str, work: Callable[[], Awaitable[None]]
    ) -> asyncio.Task[None] | None:
        """Do something about a message, after what is being done about it already."""
        lane = _lane(message)
        # What was marked must be unmarked, and there are no more of these than of marks.
        if len(self._tasks) >= MAX_PENDING and what != UNMARK:
            log.error("too much is to be shown beside the turns; left out: %s %s", what, lane)
            return None
        before = self._last.get(lane)
        task = asyncio.create_task(self._in_order(before, work), name=f"{what} {lane}")
        self._last[lane] = task
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(lane, ended))
        return task

    async def _in_order(
        self, before: asyncio.Task[None] | None, work: Callable[[], Awaitable[None]]
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        try:
            async with self._slots, asyncio.timeout(CALL_SECONDS):
                await work()
        except (BotError, TimeoutError) as error:
            log.warning("a message could not be marked or its author told: %s", error)
        except Exception:
            log.exception("a message could not be marked or its author told")

    def _ended(self, lane: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._last.get(lane) is task:
            del self._last[lane]


def _lane(message: Message) -> str:
    return f"{message.thread.team}/{message.thread.channel}/{message.ts}"
