"""What a row of the bench is: two things measured in turns, their ratio, and whether that is good.

Machines differ and are noisy, so only ratios count: each round measures both within the same
minute, now the one first, now the other, and the row's ratio is the median of its rounds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Final

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
    """What the ratio has to be: at most this, or at least that. One of them is given."""

    most: float | None = None
    least: float | None = None

    def __post_init__(self) -> None:
        if (self.most is None) == (self.least is None):
            raise ValueError("a goal is either a most or a least")

    def __str__(self) -> str:
        return f"≤ {self.most:g}×" if self.most is not None else f"≥ {self.least:g}×"

    def met_by(self, ratio: float) -> bool:
        """Whether a ratio is good enough."""
        if self.most is not None:
            return ratio <= self.most
        return self.least is not None and ratio >= self.least


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
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest ratio of a round."""
        ratios = [each.ratio for each in self.rounds]
        return min(ratios), max(ratios)

    @property
    def met(self) -> bool:
        """Whether the ratio is good enough, and everything else holds."""
        return self.goal.met_by(self.ratio) and all(limit.met for limit in self.limits)


async def interleaved(rounds: int, ours: Measure, theirs: Measure) -> tuple[Round, ...]:
    """Measure both so many times, in turns: whoever was first is second the next time."""
    measured = []
    for number in range(rounds):
        if number % 2 == 0:
            mine = await ours()
            other = await theirs()
        else:
            other = await theirs()
            mine = await ours()
        measured.append(Round(mine, other))
    return tuple(measured)


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
