"""Renders the report of a run as Markdown: one table of all rows, with notes on how to read it."""

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
"""The file name of the chart, beside the report."""

_HEAD: Final = """\
# How fast the bot is

Written by `make bench`; do not edit it by hand. `bench/NOTES.md` explains how it is measured, which
changes were tried, and what they brought.

Each round measures both sides one right after the other on the same machine, in alternating order.
A row's result is the figure that its goal bounds: the ratio of ours to theirs, the difference, or
ours alone. It is the median of the rounds; the spread is their lowest and highest result. The
other figures are medians, for information: another machine has others. What cannot be measured in
rounds, such as memory, is measured once.
"""
_COLUMNS: Final = (
    *("row", "measured", "against", "ours", "theirs"),
    *("result", "spread", "goal", "met"),
)
_PLACE: Final = re.compile(r"(?<![\w.:/])/(?:[^\s/:'\"()]+/)+")
"""Folders at the beginning of a path, which differ between machines."""


@dataclass(frozen=True, slots=True)
class Run:
    """All data of a report."""

    outcomes: tuple[Outcome, ...]
    at: datetime
    """Start of the run."""
    seconds: float
    """Duration in seconds."""
    machine: tuple[tuple[str, str], ...]
    """Names and values of the machine's properties."""
    tiny: bool = False
    pace: float = 1.0
    """The pace of the machine before the measurements (`bench.calibration`)."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows that were measured."""
        return tuple(row for outcome in self.outcomes for row in outcome.rows)

    @property
    def unmeasured(self) -> tuple[Outcome, ...]:
        """The groups without a result."""
        return tuple(outcome for outcome in self.outcomes if outcome.why)

    @property
    def unmet(self) -> tuple[Row, ...]:
        """The rows whose goal was not met."""
        return tuple(row for row in self.rows if not row.met)


def headline(run: Run) -> str:
    """The number of goals that are met, and of groups that are not measured."""
    says = f"{len(run.rows) - len(run.unmet)} of {len(run.rows)} goals are met"
    if run.unmeasured:
        groups = "group is" if len(run.unmeasured) == 1 else "groups are"
        says += f", {len(run.unmeasured)} {groups} not measured"
    return says


def summary(run: Run) -> list[str]:
    """The run in a few lines: how many goals are met, which are not, and what is not measured."""
    lines = [f"{headline(run)}."]
    lines += [f"Not met: {row.name}: {'; '.join(missed(row))}." for row in run.unmet]
    lines += [
        f"Not measured: {each.group.title}: {without_places(each.why)}." for each in run.unmeasured
    ]
    if run.tiny:
        lines.append("A tiny run, which only checks the bench: its figures are worth nothing.")
    return lines


def markdown(run: Run) -> str:
    """The report as Markdown."""
    sections = [_HEAD, _bullets(summary(run)), f"![All rows as a chart]({CHART})\n", _table(run)]
    if limits := _limits(run):
        sections.append(f"## Limits beside the result\n\n{limits}")
    if notes := _notes(run):
        sections.append(f"## Notes\n\n{_bullets(notes)}")
    sections.append(f"## Where and when\n\n{_where(run)}")
    return "\n".join(sections)


def without_places(text: str) -> str:
    """The text without the folders of this machine."""
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
    """The notes on the rows, and on what was less than planned."""
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
    """The text on one line, with HTML, links and images of Markdown escaped."""
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("[", "\\["), ("]", "\\]")):
        text = text.replace(sign, written)
    return " ".join(text.split())
