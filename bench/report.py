"""The report of a run: one table of all rows, with what has to be known to read it right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from bench.comparison import Row
from bench.formatting import (
    MET,
    NOT_MET,
    figure,
    goal,
    missed,
    most,
    pace,
    result_and_ratio,
    spread,
    value,
)
from bench.groups import Outcome

CHART: Final = "chart.svg"
"""The chart's name, beside the report."""

_HEAD: Final = """\
# How fast the bot is

Written by `make bench`; by hand nothing. `bench/NOTES.md` tells how it is measured, what was tried,
and what came of it.

Each round measures both sides right after one another on the same machine, now the one first, now
the other. A row's result is what its goal is about: the ratio of ours to theirs, or, where the goal
says so, how much more ours is, or ours alone. It is the median of the rounds, its spread the lowest
and the highest of them. Figures beside it are medians, for information: another machine has others.
What cannot be measured in rounds, such as memory, is measured once.
"""
_COLUMNS: Final = (
    *("row", "measured", "against", "ours", "theirs"),
    *("result", "spread", "goal", "met"),
)
_PLACE: Final = re.compile(r"(?<![\w.:/])/(?:[^\s/:'\"()]+/)+")
"""Folders at the beginning of a path, which are of one machine."""


@dataclass(frozen=True, slots=True)
class Run:
    """All that a report tells."""

    outcomes: tuple[Outcome, ...]
    at: datetime
    """When it was begun."""
    seconds: float
    """How long it took."""
    machine: tuple[tuple[str, str], ...]
    """What it ran on: names and values."""
    tiny: bool = False
    pace: float = 1.0
    """How fast the machine was before anything was measured (`bench.calibration`)."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """All that was measured."""
        return tuple(row for outcome in self.outcomes for row in outcome.rows)

    @property
    def unmeasured(self) -> tuple[Outcome, ...]:
        """The groups of which nothing came."""
        return tuple(outcome for outcome in self.outcomes if outcome.why)

    @property
    def unmet(self) -> tuple[Row, ...]:
        """The rows whose goal was not met."""
        return tuple(row for row in self.rows if not row.met)


def headline(run: Run) -> str:
    """How many goals are met, and how much is not known."""
    says = f"{len(run.rows) - len(run.unmet)} of {len(run.rows)} goals are met"
    if run.unmeasured:
        groups = "group is" if len(run.unmeasured) == 1 else "groups are"
        says += f", {len(run.unmeasured)} {groups} not measured"
    return says


def summary(run: Run) -> list[str]:
    """The run in a few lines: how many goals are met, which are not, what was not measured."""
    lines = [f"{headline(run)}."]
    lines += [f"Not met: {row.name}: {'; '.join(missed(row))}." for row in run.unmet]
    lines += [
        f"Not measured: {each.group.title}: {without_places(each.why)}." for each in run.unmeasured
    ]
    if run.tiny:
        lines.append("A tiny run, only to see that it works: its figures are worth nothing.")
    return lines


def markdown(run: Run) -> str:
    """The report as Markdown."""
    sections = [_HEAD, _bullets(summary(run)), f"![All rows as a chart]({CHART})\n", _table(run)]
    if limits := _limits(run):
        sections.append(f"## What has to hold beside the result\n\n{limits}")
    if notes := _notes(run):
        sections.append(f"## Notes\n\n{_bullets(notes)}")
    sections.append(f"## Where and when\n\n{_where(run)}")
    return "\n".join(sections)


def without_places(text: str) -> str:
    """A text without the folders of the machine on which it was written."""
    return _PLACE.sub("…/", text)


def _table(run: Run) -> str:
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS))]
    for outcome in run.outcomes:
        lines += [_line(_cells(row)) for row in outcome.rows]
        if outcome.why:
            why = f"not measured: {without_places(outcome.why)}"
            lines.append(_line([outcome.group.title, why, *[""] * 6, f"{NOT_MET} no"]))
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    return [
        row.name,
        row.measured,
        row.against,
        f"{figure(row.ours)} {row.unit}".rstrip(),
        f"{figure(row.theirs)} {row.unit}".rstrip(),
        result_and_ratio(row),
        spread(row),
        goal(row),
        f"{MET} yes" if row.met else f"{NOT_MET} no",
    ]


def _limits(run: Run) -> str:
    lines = [
        _line(
            [
                row.name,
                limit.name,
                value(limit),
                f"≤ {most(limit)}",
                f"{MET} yes" if limit.met else f"{NOT_MET} no",
            ]
        )
        for row in run.rows
        for limit in row.limits
    ]
    if not lines:
        return ""
    head = _line(["row", "what", "measured", "goal", "met"])
    return "\n".join([head, _line(["---"] * 5), *lines]) + "\n"


def _notes(run: Run) -> list[str]:
    """What has to be known of the rows, and of what less was measured than planned."""
    return [f"**{row.name}:** {row.note}" for row in run.rows if row.note] + [
        f"**{each.group.title}:** on this machine less than planned: {'; '.join(each.less)}."
        for each in run.outcomes
        if each.less
    ]


def _where(run: Run) -> str:
    facts = [
        f"{run.at:%Y-%m-%d %H:%M} UTC, {run.seconds / 60:.1f} minutes in all",
        f"pace: {pace(run.pace)}",
        *(f"{name}: {value}" for name, value in run.machine),
    ]
    return _bullets(facts)


def _bullets(texts: Sequence[str]) -> str:
    return "".join(f"- {_safe(text)}\n" for text in texts)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_safe(cell).replace('|', '&#124;') for cell in cells)} |"


def _safe(text: str) -> str:
    """On one line, and without anything that Markdown takes for HTML, a link or a picture."""
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("[", "\\["), ("]", "\\]")):
        text = text.replace(sign, written)
    return " ".join(text.split())
