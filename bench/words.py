"""Figures as people read them."""

from __future__ import annotations

from bench.measuring import Limit, Row

MET, NOT_MET = "✓", "✗"


def figure(value: float) -> str:
    """About three digits that count."""
    if not value:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 else f"{value:.3g}"


def ratio(row: Row) -> str:
    """The ratio of a row, in as many digits as show on which side of its goal it is."""
    for digits in (1, 2, 3, 4) if row.ratio >= 10 else (2, 3, 4):
        if row.goal.met_by(round(row.ratio, digits)) == row.goal.met_by(row.ratio):
            return f"{row.ratio:.{digits}f}×"
    return f"{row.ratio!r}×"


def spread(row: Row) -> str:
    """The lowest and the highest round, and how many there were."""
    if len(row.rounds) == 1:
        return "one round"
    low, high = row.spread
    return f"{low:.2f}–{high:.2f}× in {len(row.rounds)} rounds"


def goal(row: Row) -> str:
    """The goal of a row, with all that has to hold beside it."""
    return ", ".join([str(row.goal), *(f"{limit.name} ≤ {most(limit)}" for limit in row.limits)])


def value(limit: Limit) -> str:
    """What was measured of a limit."""
    return _with_unit(limit.value, limit.unit)


def most(limit: Limit) -> str:
    """What a limit allows."""
    return _with_unit(limit.most, limit.unit)


def missed(row: Row) -> list[str]:
    """Everything that does not hold for a row."""
    ratios = [] if row.goal.met_by(row.ratio) else [f"{ratio(row)}, not {row.goal}"]
    return ratios + missed_limits(row)


def missed_limits(row: Row) -> list[str]:
    """What does not hold for a row beside its ratio."""
    return [
        f"{limit.name} {value(limit)}, not ≤ {most(limit)}" for limit in row.limits if not limit.met
    ]


def _with_unit(number: float, unit: str) -> str:
    return f"{figure(number)} {unit}".rstrip()
