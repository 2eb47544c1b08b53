"""Measures look-ups, pages and a cleanup preview of a million threads, against a thousand.

Both databases are queried through the bot's own store in this process, warm and in alternating
order, and their threads run on the same processor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random
from statistics import median
from time import perf_counter
from typing import Final

from bench.comparison import Goal, Limit, Round, Row, p99
from bench.ground import Ground
from bench.machine import threads_apart
from bench.many_threads import SIZE, ManyThreads, make_threads
from bot.clock import SystemClock
from bot.commands.sessions import PAGE_SIZE
from bot.domain.sessions import OrphanReport, SessionFilter
from bot.ports import Store
from bot.store import open_store

MANY: Final = 1_000_000
FEW: Final = 1_000
ROUNDS: Final = 9
TRIAL: Final = 20_000
"""Number of threads of the trial, which measures the time per thread."""
FILLING: Final = 0.5
"""Maximum share of the time for filling the databases."""
DEARER: Final = 1.5
"""Ratio of the time per thread among many to that of the trial, because of the indexes."""
PART: Final = 0.4
"""Maximum share of the time left for one row."""
LOOK_UPS: Final = 1_000
"""Number of look-ups in a round."""
LISTS: Final = 200
PAGE: Final = 1_000
MEANT: Final = 500
"""Number of sessions that match the cleanup."""
ALLOWED_MS: Final = 1.0
GOAL: Final = Goal(most=1.5)

Ask = Callable[["_Side"], Awaitable[None]]


class FoundWrong(Exception):
    """The store gave a wrong answer, so its speed is worth nothing."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two databases."""

    made: ManyThreads
    store: Store
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311  # no secret

    @property
    def last_page(self) -> int:
        return -(-self.made.threads // PAGE_SIZE)

    def any_thread(self) -> int:
        return self.random.randint(1, self.made.threads)


@dataclass(frozen=True, slots=True)
class _Compared:
    """Both databases, and the share of the planned questions in a round."""

    many: _Side
    few: _Side
    ground: Ground
    share: float

    async def row(
        self,
        name: str,
        measured: str,
        against: str,
        ask: Ask,
        times: int,
        *,
        limited: bool = False,
        note: str = "",
    ) -> Row:
        """One row: each round is the median of `times` questions."""
        times = max(3, int(times * self.share))
        each: list[float] = []
        await self._round(ask, times, [])
        planned = self.ground.pick(ROUNDS, 2)
        rounds = await self.ground.part(PART).repeated(
            name, planned, lambda _: self._round(ask, times, each)
        )
        limit = Limit(name="p99", value=p99(each), most=ALLOWED_MS, unit="ms")
        return Row(
            name=f"{self.many.made.threads:,} mapped threads: {name}",
            measured=measured,
            against=against,
            unit="ms",
            rounds=tuple(rounds),
            goal=GOAL,
            limits=(limit,) if limited else (),
            note=note,
        )

    async def _round(self, ask: Ask, times: int, each: list[float]) -> Round:
        """The medians of both sides, asked one question each in alternating order.

        How soon a thread wakes up depends on what the machine has just done. Appends the duration
        of each question to the many to `each`.
        """
        many, few = list[float](), list[float]()
        for number in range(times):
            for side in (self.many, self.few) if number % 2 else (self.few, self.many):
                (many if side is self.many else few).append(await _seconds(ask, side))
        each.extend(many)
        return Round(median(many), median(few))


async def rows(ground: Ground) -> list[Row]:
    """Two rows for look-ups, two for pages, and one for a preview."""
    size = ground.sized("threads on record", MANY, least=MANY // 10, tiny=900, spare=1.5)
    size = await asyncio.to_thread(_that_fit, ground, size)
    begun = perf_counter()
    many, few = [
        await asyncio.to_thread(make_threads, ground.folder / name, threads)
        for name, threads in (("many", size), ("few", ground.pick(FEW, 300)))
    ]
    took = perf_counter() - begun
    clock = SystemClock()
    async with (
        open_store(many.folder, clock=clock, max_running_per_user=1) as of_many,
        open_store(few.folder, clock=clock, max_running_per_user=1) as of_few,
    ):
        with threads_apart():
            return await _all(ground, _Side(many, of_many), _Side(few, of_few), took)


def _that_fit(ground: Ground, planned: int) -> int:
    """The number of threads that fit into the time, by a trial.

    Other load may have started after the calibration, and the databases cannot be filled halfway.
    """
    if ground.tiny:
        return planned
    begun = perf_counter()
    make_threads(ground.folder / "trial", TRIAL)
    each = (perf_counter() - begun) / TRIAL
    return ground.part(FILLING).fitting(
        "threads on record", planned, least=MANY // 10, each_seconds=each * DEARER
    )


async def _all(ground: Ground, many: _Side, few: _Side, took: float) -> list[Row]:
    compared = _Compared(many=many, few=few, ground=ground, share=ground.pick(1.0, 0.01))
    return [
        *await _look_ups(compared, took),
        *await _pages(compared, ground.pick(PAGE, 20)),
        await _preview(compared, ground.pick(MEANT, 50)),
    ]


async def _look_ups(compared: _Compared, took: float) -> list[Row]:
    few = f"{compared.few.made.threads:,}"
    way = median([await _seconds(_nothing, compared.many) for _ in range(LOOK_UPS // 10)])
    note = (
        f"Any of them, at random. The switch to the database's thread and back takes {way:.3g} ms. "
        f"The databases were filled in {took:.0f} s, by the store's own schema with all its "
        "indexes; they hold a turn, a session and the messages of each thread."
    )
    return [
        await compared.row(
            "look-up",
            "a message's thread and the users in it",
            f"one of {few} threads",
            _thread,
            LOOK_UPS,
            limited=True,
            note=note,
        ),
        await compared.row(
            "session",
            "the session of a thread",
            f"one of {few} threads",
            _session,
            LOOK_UPS,
            limited=True,
        ),
    ]


async def _pages(compared: _Compared, page: int) -> list[Row]:
    few = compared.few
    measured = "`sessions all`, page {page:,}: how many there are, and the {size} on it"
    note = (
        f"A list of {few.made.threads:,} has no page {page:,}: the last one is used instead. "
        "A list of a user's own sessions takes time in proportion to their number."
    )
    return [
        await compared.row(
            f"page {each:,}",
            measured.format(page=each, size=PAGE_SIZE),
            f"page {min(each, few.last_page):,} of {few.made.threads:,} sessions",
            _page(each),
            LISTS,
            note=note if each > 1 else "",
        )
        for each in (1, page)
    ]


async def _preview(compared: _Compared, meant: int) -> Row:
    many = compared.many
    threads = many.made.threads
    oldest = SessionFilter(unused_since=many.made.unused_since(threads * 9 // 10))
    all_old = median([await _seconds(_totals(oldest), many) for _ in range(20)])
    sizes = {many.made.session_id(number): SIZE for number in range(1, threads + 1)}
    begun = perf_counter()
    if await many.store.save_sizes(sizes) != OrphanReport(orphan_sizes={}, missing_count=0):
        raise FoundWrong("the sessions on record are not those that were made")
    every = perf_counter() - begun
    return await compared.row(
        "cleanup preview",
        f"what the {meant} sessions come to that were unused for the longest",
        f"as many of {compared.few.made.threads:,}",
        _meant(meant),
        LISTS,
        note=(
            f"Nine tenths of the {threads:,} instead: {all_old:.3g} ms. Not in the result, and "
            "growing with the data on disk: before it answers, a preview also has the runtime list "
            "all its sessions, and looks for those that only one side has. The second step "
            f"took {every:.2f} s for {threads:,}, in small steps beside everything else."
        ),
    )


async def _seconds(ask: Ask, side: _Side) -> float:
    """Duration of one answer in milliseconds."""
    begun = perf_counter()
    await ask(side)
    return (perf_counter() - begun) * 1_000


async def _nothing(side: _Side) -> None:
    await side.store.queue_length()


async def _thread(side: _Side) -> None:
    key = side.made.key(side.any_thread())
    found = await side.store.thread_by_key(key)
    if found is None or found.key != key or len(found.participants) != 1:
        raise FoundWrong(f"thread {key}")


async def _session(side: _Side) -> None:
    number = side.any_thread()
    found = await side.store.current_session(side.made.key(number))
    if found is None or found.number != number:
        raise FoundWrong(f"the session of thread {number}")


def _page(wished: int) -> Ask:
    """The queries of the command `sessions all`."""

    async def ask(side: _Side) -> None:
        total = (await side.store.session_totals(SessionFilter())).count
        page = min(wished, -(-total // PAGE_SIZE))
        offset = (page - 1) * PAGE_SIZE
        found = await side.store.list_sessions(SessionFilter(), offset, PAGE_SIZE)
        first = side.made.threads - offset
        expected = range(first, max(0, first - PAGE_SIZE), -1)
        if [session.number for session in found.sessions] != list(expected):
            raise FoundWrong(f"page {page:,} of {total:,}")

    return ask


def _meant(sessions: int) -> Ask:
    async def ask(side: _Side) -> None:
        wanted = SessionFilter(unused_since=side.made.unused_since(sessions))
        found = await side.store.session_totals(wanted)
        if (found.count, found.size) != (sessions, sessions * SIZE):
            raise FoundWrong(f"{found.count} sessions instead of {sessions}")

    return ask


def _totals(wanted: SessionFilter) -> Ask:
    async def ask(side: _Side) -> None:
        await side.store.session_totals(wanted)

    return ask
