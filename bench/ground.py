"""Defines where a group is measured, with which sizes, and until when.

The sizes are made for the reference machine of `bench.calibration`. On a slower one they are
smaller, and no round starts that would not end in time. The report lists what is less than planned.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

from bench.comparison import Measure, Round, in_turn

T = TypeVar("T")

LEAST_ROUNDS: Final = 3
"""Minimum number of rounds, however long they take: a median of fewer says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The folder, the sizes and the deadline of one group of rows."""

    folder: Path
    """An empty folder, which is removed afterwards."""
    tiny: bool = False
    """True for a mere test of the bench: the figures are worth nothing."""
    pace: float = 1.0
    """The pace of this machine (`bench.calibration`): 1 is the reference machine."""
    until: float = math.inf
    """The deadline of the measurement, by `clock`."""
    clock: Callable[[], float] = time.monotonic
    less: list[str] = field(default_factory=list)
    """Everything that was less than planned, as text for the report."""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.until - self.clock())

    def pick(self, full: T, tiny: T) -> T:
        """`full` or, in a tiny run, `tiny`."""
        return tiny if self.tiny else full

    def sized(self, what: str, full: int, *, least: int, tiny: int, spare: float = 1.0) -> int:
        """The number of something: fewer on a slower machine, but at least `least`.

        `spare` is how many times slower the machine may be before there are fewer.
        """
        if self.tiny:
            return tiny
        size = min(full, max(least, round(full * self.pace * spare)))
        if size < full:
            self.less.append(f"{size:,} {what} instead of {full:,}")
        return size

    def fitting(self, what: str, full: int, *, least: int, each_seconds: float) -> int:
        """The number of something that fits into the time left, if each takes `each_seconds`.

        It does not depend on the calibration and is at least `least`.
        """
        if self.tiny or math.isinf(self.until):
            return full
        size = min(full, max(least, int(self.left / each_seconds)))
        if size < full:
            self.less.append(f"{size:,} {what} instead of {full:,}, for lack of time")
        return size

    def part(self, share: float) -> Ground:
        """The same with a share of the time left."""
        return replace(self, until=self.clock() + share * self.left)

    async def repeated(
        self, what: str, planned: int, once: Callable[[int], Awaitable[T]]
    ) -> list[T]:
        """Call `once` with 0, 1 and so on, as often as planned; return all results.

        After `LEAST_ROUNDS` it stops if a call as long as the longest so far would end too late.
        """
        done, longest = list[T](), 0.0
        while len(done) < planned:
            if len(done) >= LEAST_ROUNDS and longest > self.left:
                self.less.append(f"{len(done)} rounds instead of {planned} ({what})")
                break
            began = self.clock()
            done.append(await once(len(done)))
            longest = max(longest, self.clock() - began)
        return done

    async def rounds(
        self, what: str, planned: int, ours: Measure, theirs: Measure
    ) -> tuple[Round, ...]:
        """Measure both in alternating order, in as many of the planned rounds as fit."""
        pairs = await self.repeated(what, planned, lambda number: in_turn(number, ours, theirs))
        return tuple(Round(*pair) for pair in pairs)
