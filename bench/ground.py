"""What a group is measured on: where, how much of everything, and until when.

The sizes are made for the machine of `bench.calibration`. On a slower one they are smaller, and no
round is begun that would not end in time; all that is less than planned is noted for the report.
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
"""With fewer, a median says nothing: so many are measured however long they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A place for one group of rows, and how much is measured there."""

    folder: Path
    """Empty, and gone afterwards."""
    tiny: bool = False
    """Only to see that it works: the figures are worth nothing."""
    pace: float = 1.0
    """How fast this machine is (`bench.calibration`): 1 is the one that the sizes are made for."""
    until: float = math.inf
    """When everything has to be measured, by `clock`."""
    clock: Callable[[], float] = time.monotonic
    less: list[str] = field(default_factory=list)
    """Everything that was less than planned, in words for the report."""

    @property
    def left(self) -> float:
        """Seconds until everything has to be measured."""
        return max(0.0, self.until - self.clock())

    def pick(self, full: T, tiny: T) -> T:
        """How much of something, by the size of the run."""
        return tiny if self.tiny else full

    def sized(self, what: str, full: int, *, least: int, tiny: int, spare: float = 1.0) -> int:
        """How many of something: on a slower machine fewer, but never fewer than `least`. `spare`
        is how many times slower it may be before there are fewer."""
        if self.tiny:
            return tiny
        size = min(full, max(least, round(full * self.pace * spare)))
        if size < full:
            self.less.append(f"{size:,} {what} instead of {full:,}")
        return size

    def fitting(self, what: str, full: int, *, least: int, each_seconds: float) -> int:
        """How many of something fit into the time that is left where each takes so long just now,
        whatever the machine did when it was calibrated: never fewer than `least`."""
        if self.tiny or math.isinf(self.until):
            return full
        size = min(full, max(least, int(self.left / each_seconds)))
        if size < full:
            self.less.append(f"{size:,} {what} instead of {full:,}, for want of time")
        return size

    def part(self, share: float) -> Ground:
        """The same with a part of the time that is left."""
        return replace(self, until=self.clock() + share * self.left)

    async def repeated(
        self, what: str, planned: int, once: Callable[[int], Awaitable[T]]
    ) -> list[T]:
        """Call `once` with 0, 1 and so on, as often as planned; after `LEAST_ROUNDS` only while
        one more, if it takes as long as the longest so far, ends in time."""
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
        """Measure both in turns, in as many of the planned rounds as there is time for."""
        pairs = await self.repeated(what, planned, lambda number: in_turn(number, ours, theirs))
        return tuple(Round(*pair) for pair in pairs)
