"""Rows and runs without measurements, for the tests of the report."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.comparison import Goal, Limit, Round, Row
from bench.groups import Group, Outcome
from bench.report import Run

MOST = Goal(most=1.5)


def rounds(*ratios: float, theirs: float = 20.0) -> tuple[Round, ...]:
    """Rounds with these ratios."""
    return tuple(Round(theirs * ratio, theirs) for ratio in ratios)


def row(
    name: str,
    *ratios: float,
    goal: Goal = MOST,
    limits: tuple[Limit, ...] = (),
    note: str = "",
    against: str = "the bare SDK",
) -> Row:
    """A row with these ratios."""
    return Row(
        name=name,
        measured="what the bot does",
        against=against,
        unit="ms",
        rounds=rounds(*ratios),
        goal=goal,
        limits=limits,
        note=note,
    )


def group(name: str, module: str = "", seconds: float = 10) -> Group:
    """A group with that name."""
    return Group(name, name.capitalize(), module or f"tests.bench.stand_ins.{name}", seconds)


def run(*outcomes: Outcome, tiny: bool = False) -> Run:
    """A run with these outcomes."""
    at = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    return Run(outcomes, at, 420.0, (("Python", "3.11.7"),), tiny=tiny)


def outcome(name: str, *of: Row, why: str = "") -> Outcome:
    """The outcome of a group."""
    return Outcome(group(name), of, why)
