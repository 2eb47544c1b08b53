"""Defines a row of the bench: two sides measured in alternating rounds, and a goal.

Machines differ and are noisy. So each round measures both sides within the same minute, in
alternating order, and a row's result is the median of its rounds.
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
    """Both sides, measured one right after the other."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Ours divided by theirs. Raises `ZeroDivisionError` if theirs is 0."""
        return self.ours / self.theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The goal of a row. Exactly one of the four bounds is given."""

    most: float | None = None
    """Maximum ratio."""
    least: float | None = None
    """Minimum ratio."""
    most_more: float | None = None
    """Maximum difference of ours and theirs, in the row's unit: for a cost that does not depend on
    the speed of the other side."""
    most_ours: float | None = None
    """Maximum of ours, in the row's unit; theirs is for information."""

    def __post_init__(self) -> None:
        given = (self.most, self.least, self.most_more, self.most_ours)
        if sum(one is not None for one in given) != 1:
            raise ValueError("a goal is one of most, least, most_more and most_ours")

    @property
    def bound(self) -> float:
        """The bound that is given."""
        given = (self.most, self.least, self.most_more, self.most_ours)
        return next(one for one in given if one is not None)

    def result(self, once: Round) -> float:
        """The figure of a round that is compared with the bound."""
        if self.most_more is not None:
            return once.ours - once.theirs
        return once.ours if self.most_ours is not None else once.ratio

    def met_by(self, result: float) -> bool:
        """True if a result meets the goal."""
        return result >= self.least if self.least is not None else result <= self.bound

    def as_ratio(self, result: float, theirs: float) -> float:
        """A result, or the bound, as a ratio to `theirs`: its position in the chart."""
        if self.most_more is not None:
            return 1 + result / theirs
        return result / theirs if self.most_ours is not None else result


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A second figure of a row with a maximum."""

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
    """The measurement of our side, in a few words."""
    against: str
    """The other side, in a few words."""
    unit: str
    """The unit of both sides' figures."""
    rounds: tuple[Round, ...]
    goal: Goal
    limits: tuple[Limit, ...] = ()
    note: str = ""
    """An explanation of the figures, or an empty string."""

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
        """The median of the rounds' results: the ratio, the difference, or ours, by the goal."""
        return median(map(self.goal.result, self.rounds))

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest result of a round."""
        results = [self.goal.result(each) for each in self.rounds]
        return min(results), max(results)

    @property
    def met(self) -> bool:
        """True if the result meets the goal and all limits hold."""
        return self.goal.met_by(self.result) and all(limit.met for limit in self.limits)

    def as_ratio(self, result: float) -> float:
        """A result of this row as a ratio: its position in the chart."""
        return self.goal.as_ratio(result, self.theirs)


async def in_turn(
    number: int, ours: Callable[[], Awaitable[T]], theirs: Callable[[], Awaitable[T]]
) -> tuple[T, T]:
    """Measure both once; the order alternates with the number."""
    if number % 2 == 0:
        mine = await ours()
        return mine, await theirs()
    other = await theirs()
    return await ours(), other


async def interleaved(rounds: int, ours: Measure, theirs: Measure) -> tuple[Round, ...]:
    """Measure both so many times, in alternating order."""
    return tuple([Round(*await in_turn(number, ours, theirs)) for number in range(rounds)])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all values does not exceed; `share` 0.99 is p99.

    Raises `ValueError` if there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def p99(values: Sequence[float]) -> float:
    """The value that 99 of 100 values do not exceed."""
    return percentile(values, _KEEP_SHARE)
