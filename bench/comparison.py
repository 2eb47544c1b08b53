"""What a row of the bench is: two things measured in turns, how they compare, and whether that is
good.

Machines differ and are noisy, so each round measures both within the same minute, now the one
first, now the other, and a row's result is the median of its rounds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Final, TypeVar

T = TypeVar("T")
Measure = Callable[[], Awaitable[float]]

_KEEP_SHARE: Final = 0.99


@dataclass(frozen=True, slots=True)
class Round:
    """Both sides, measured right after one another."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Ours by theirs. `ZeroDivisionError` where theirs is nothing, which measures nothing."""
        return self.ours / self.theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What has to come of a row. Exactly one of the four is given."""

    most: float | None = None
    """The ratio is this at most."""
    least: float | None = None
    """The ratio is this at least."""
    most_more: float | None = None
    """Ours is at most so much more than theirs, in the row's unit: for what adds the same time
    however fast the other side is."""
    most_ours: float | None = None
    """Ours is so much at most, in the row's unit; theirs is for information."""

    def __post_init__(self) -> None:
        given = (self.most, self.least, self.most_more, self.most_ours)
        if sum(one is not None for one in given) != 1:
            raise ValueError("a goal is one of most, least, most_more and most_ours")

    @property
    def bound(self) -> float:
        """The figure that has to be kept to."""
        given = (self.most, self.least, self.most_more, self.most_ours)
        return next(one for one in given if one is not None)

    def result(self, once: Round) -> float:
        """What of a round is compared with the bound."""
        if self.most_more is not None:
            return once.ours - once.theirs
        return once.ours if self.most_ours is not None else once.ratio

    def met_by(self, result: float) -> bool:
        """Whether a result is good enough."""
        return result >= self.least if self.least is not None else result <= self.bound

    def as_ratio(self, result: float, theirs: float) -> float:
        """A result, or the bound, as a ratio to `theirs`: where it is in a chart of ratios."""
        if self.most_more is not None:
            return 1 + result / theirs
        return result / theirs if self.most_ours is not None else result


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Something that has to hold beside the ratio: a figure that may be so much at most."""

    name: str
    """Such as "p99"."""
    value: float
    most: float
    unit: str

    @property
    def met(self) -> bool:
        return self.value <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    name: str
    measured: str
    """What of ours, in a few words."""
    against: str
    """What it is held against."""
    unit: str
    """Of both sides' figures."""
    rounds: tuple[Round, ...]
    goal: Goal
    limits: tuple[Limit, ...] = ()
    note: str = ""
    """What has to be known to read the figures right."""

    def __post_init__(self) -> None:
        if not self.rounds:
            raise ValueError(f"{self.name}: nothing was measured")

    @property
    def ours(self) -> float:
        return median(each.ours for each in self.rounds)

    @property
    def theirs(self) -> float:
        return median(each.theirs for each in self.rounds)

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios, which is not the ratio of the medians."""
        return median(each.ratio for each in self.rounds)

    @property
    def result(self) -> float:
        """What the goal is about: the ratio, the difference, or ours; the median of the rounds."""
        return median(map(self.goal.result, self.rounds))

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest result of a round."""
        results = [self.goal.result(each) for each in self.rounds]
        return min(results), max(results)

    @property
    def met(self) -> bool:
        """Whether the result is good enough, and everything else holds."""
        return self.goal.met_by(self.result) and all(limit.met for limit in self.limits)

    def as_ratio(self, result: float) -> float:
        """Where a result of this row is in a chart of ratios."""
        return self.goal.as_ratio(result, self.theirs)


async def in_turn(
    number: int, ours: Callable[[], Awaitable[T]], theirs: Callable[[], Awaitable[T]]
) -> tuple[T, T]:
    """Measure both once; whoever was first is second with the next number."""
    if number % 2 == 0:
        mine = await ours()
        return mine, await theirs()
    other = await theirs()
    return await ours(), other


async def interleaved(rounds: int, ours: Measure, theirs: Measure) -> tuple[Round, ...]:
    """Measure both so many times, in turns: whoever was first is second the next time."""
    return tuple([Round(*await in_turn(number, ours, theirs)) for number in range(rounds)])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of all does not exceed; `share` 0.99 is p99. Raises
    `ValueError` where there is none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def p99(values: Sequence[float]) -> float:
    """What 99 of 100 do not exceed."""
    return percentile(values, _KEEP_SHARE)
