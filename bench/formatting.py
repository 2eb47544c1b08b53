"""Formats figures, results and goals for the report."""

from __future__ import annotations

from bench.comparison import Limit, Row

MET, NOT_MET = "✓", "✗"


def figure(value: float) -> str:
    """A value with about three significant digits."""
    if not value:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 else f"{value:.3g}"


def result(row: Row) -> str:
    """The result of a row, with enough digits to show on which side of the goal it is."""
    for digits in (1, 2, 3, 4) if abs(row.result) >= 10 else (2, 3, 4):
        if row.goal.met_by(round(row.result, digits)) == row.goal.met_by(row.result):
            return _result(row, f"{row.result:.{digits}f}")
    return _result(row, f"{row.result!r}")


def result_and_ratio(row: Row) -> str:
    """The result of a row, followed by the ratio if the result is not the ratio."""
    text = result(row)
    return text if text.endswith("×") else f"{text} ({row.ratio:.2f}×)"


def spread(row: Row) -> str:
    """The lowest and the highest round, and the number of rounds."""
    if len(row.rounds) == 1:
        return "one round"
    low, high = row.spread
    if row.goal.most_more is not None:
        between = f"{low:+.2f} to {high:+.2f} {row.unit}"
    else:
        between = _result(row, f"{low:.2f}–{high:.2f}")
    return f"{between} in {len(row.rounds)} rounds"


def bound(row: Row) -> str:
    """The bound on the result of a row."""
    figures = f"{row.goal.bound:g}"
    if row.goal.most_more is not None:
        return f"≤ {figures} {row.unit} more"
    return f"{'≤' if row.goal.least is None else '≥'} {_result(row, figures)}"


def goal(row: Row) -> str:
    """The goal of a row with its limits."""
    return ", ".join([bound(row), *(f"{limit.name} ≤ {most(limit)}" for limit in row.limits)])


def pace(of: float) -> str:
    """The pace of a machine with its meaning."""
    return f"{of:.2f}; with 1.00 or more everything is measured as planned"


def value(limit: Limit) -> str:
    """The measured value of a limit."""
    return _with_unit(figure(limit.value), limit.unit)


def most(limit: Limit) -> str:
    """The maximum of a limit."""
    return _with_unit(figure(limit.most), limit.unit)


def missed(row: Row) -> list[str]:
    """All parts of a row's goal that are not met, or an empty list."""
    results = [] if row.goal.met_by(row.result) else [f"{result(row)}, not {bound(row)}"]
    return results + missed_limits(row)


def missed_limits(row: Row) -> list[str]:
    """The limits of a row that are exceeded, or an empty list."""
    return [
        f"{limit.name} {value(limit)}, not ≤ {most(limit)}" for limit in row.limits if not limit.met
    ]


def _result(row: Row, figures: str) -> str:
    """The figures of a row's result with sign and unit: a ratio, a difference, or ours."""
    if row.goal.most_more is not None:
        return f"{'' if figures.startswith('-') else '+'}{figures} {row.unit}"
    return _with_unit(figures, row.unit) if row.goal.most_ours is not None else f"{figures}×"


def _with_unit(figures: str, unit: str) -> str:
    return f"{figures} {unit}".rstrip()
