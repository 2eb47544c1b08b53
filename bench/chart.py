"""Renders all rows as one SVG chart: each as a ratio with its spread and its goal.

The SVG is written by hand, because the chart is simple. It has its own background and follows the
reader's light or dark mode; met and not met differ in shape and text, not by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from math import log
from typing import Final

from bench.comparison import Row
from bench.formatting import MET, NOT_MET, goal, missed, missed_limits, result, spread
from bench.groups import Outcome
from bench.report import Run, headline, without_places

WIDTH: Final = 1000
_NAMES, _LEFT, _RIGHT, _WORDS = 24, 384, 764, 784
"""Positions of the names, of both ends of the scale, and of the text beside it."""
_TOP, _HEADING, _ROW, _BOTTOM = 92, 30, 38, 62
_NAME_CHARS, _AGAINST_CHARS, _WORDS_CHARS = 54, 58, 33
_MARKS: Final = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
_LEAST_WIDE: Final = (0.5, 2.0)

_STYLE: Final = """
  .card { fill: #ffffff; stroke: #d1d9e0 }
  text { font: 13px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
  text, .ink { fill: #1f2328 }
  .title { font-size: 17px; font-weight: 600 }
  .heading { font-weight: 600 }
  .small { font-size: 11px }
  .small, .soft { fill: #59636e }
  .strong { font-weight: 600 }
  .grid { stroke: #d1d9e0 }
  .one { stroke: #59636e; stroke-width: 1.5 }
  .holds { fill: #0969da; opacity: 0.09 }
  .goal { stroke: #1f2328; stroke-width: 2 }
  .met { fill: #0969da; stroke: #0969da }
  .unmet { fill: #ffffff; stroke: #bc4c00 }
  path.whisker { fill: none; stroke-width: 2 }
  text.unmet { fill: #bc4c00; stroke: none }
  text.met { fill: #0969da; stroke: none }
  @media (prefers-color-scheme: dark) {
    .card { fill: #0d1117; stroke: #3d444d }
    text, .ink { fill: #f0f6fc }
    .small, .soft { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .one { stroke: #9198a1 }
    .holds { fill: #4493f8; opacity: 0.16 }
    .goal { stroke: #f0f6fc }
    .met { fill: #4493f8; stroke: #4493f8 }
    .unmet { fill: #0d1117; stroke: #f0883e }
    text.unmet { fill: #f0883e }
    text.met { fill: #4493f8 }
  }
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale of ratios from left to right."""

    low: float
    high: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Scale:
        """A scale that is wide enough for all rows and goals, within the marks."""
        values = list(chain.from_iterable((*_spread_of(row), _goal_of(row)) for row in rows))
        low = max((mark for mark in _MARKS if mark <= min(values, default=1.0)), default=_MARKS[0])
        high = min(
            (mark for mark in _MARKS if mark >= max(values, default=1.0)), default=_MARKS[-1]
        )
        return cls(min(low, _LEAST_WIDE[0]), max(high, _LEAST_WIDE[1]))

    @property
    def marks(self) -> tuple[float, ...]:
        """The ratios that get a grid line."""
        return tuple(mark for mark in _MARKS if self.low <= mark <= self.high)

    def at(self, value: float) -> float:
        """The position of a ratio; a ratio beyond the scale is at its end."""
        clipped = min(max(value, self.low), self.high)
        share = log(clipped / self.low) / log(self.high / self.low)
        return round(_LEFT + share * (_RIGHT - _LEFT), 1)


def svg(run: Run) -> str:
    """The chart of a run."""
    scale = Scale.of(run.rows)
    parts, y = list[str](), _TOP
    for outcome in run.outcomes:
        parts += _group(outcome, scale, y)
        y += _HEADING + _ROW * max(1, len(outcome.rows))
    height = y + _BOTTOM
    says = headline(run)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="title desc">',
        f'<title id="title">How fast the bot is: {says}</title>',
        f'<desc id="desc">{_safe(" ".join(_described(row) for row in run.rows))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>',
        _text(_NAMES, 34, "How fast the bot is: ratios and their goals", "title"),
        _text(
            _NAMES, 56, f"{says}. A tiny run: worth nothing." if run.tiny else f"{says}.", "soft"
        ),
        *_grid(scale, y),
        *parts,
        *_legend(y + 34),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _grid(scale: Scale, bottom: int) -> Iterator[str]:
    for mark in scale.marks:
        x = scale.at(mark)
        style = "one" if mark == 1 else "grid"
        yield f'<line class="{style}" x1="{x}" x2="{x}" y1="{_TOP}" y2="{bottom}"/>'
        yield _text(x, _TOP - 8, f"{mark:g}×", "small", middle=True)


def _group(outcome: Outcome, scale: Scale, y: int) -> Iterator[str]:
    yield _text(_NAMES, y + 22, outcome.group.title, "heading")
    y += _HEADING
    for row in outcome.rows:
        yield from _row(row, scale, y + _ROW // 2)
        y += _ROW
    if outcome.why:
        why = without_places(outcome.why)
        yield f"<g><title>{_safe(why)}</title>"
        yield _text(_NAMES, y + 17, f"{NOT_MET} not measured", "unmet strong")
        yield _text(_NAMES, y + 32, _cut(why, _AGAINST_CHARS), "small")
        yield "</g>"


def _row(row: Row, scale: Scale, y: int) -> Iterator[str]:
    style = "met" if row.met else "unmet"
    yield f"<g><title>{_safe(_described(row))}</title>"
    yield _text(_NAMES, y - 2, _cut(row.name, _NAME_CHARS))
    yield _text(_NAMES, y + 13, _cut(f"against {row.against}", _AGAINST_CHARS), "small")
    yield from _goal(row, scale, y)
    low, high = map(scale.at, _spread_of(row))
    yield (
        f'<path class="{style} whisker" '
        f'd="M{low} {y - 5}V{y + 5}M{low} {y}H{high}M{high} {y - 5}V{y + 5}"/>'
    )
    ratio = row.as_ratio(row.result)
    x = scale.at(ratio)
    if row.met:
        yield f'<circle class="met" cx="{x}" cy="{y}" r="5.5"/>'
    else:
        yield _diamond(x, y)
    if not scale.low <= ratio <= scale.high:
        way = 5 if ratio > scale.high else -5
        yield f'<path class="{style} whisker" d="M{x + 2 * way} {y - 5}l{way} 5l{-way} 5"/>'
    yield _text(_WORDS, y - 2, f"{result(row)} {MET if row.met else NOT_MET}", f"{style} strong")
    broken = "; ".join(missed_limits(row))
    yield _text(_WORDS, y + 13, _cut(broken or f"goal {goal(row)}", _WORDS_CHARS), "small")
    yield "</g>"


def _goal(row: Row, scale: Scale, y: int) -> Iterator[str]:
    """The goal's line, and the side on which it is met."""
    x = scale.at(_goal_of(row))
    begin, end = (_LEFT, x) if row.goal.least is None else (x, _RIGHT)
    yield f'<rect class="holds" x="{begin}" y="{y - 12}" width="{end - begin:.1f}" height="24"/>'
    yield f'<line class="goal" x1="{x}" x2="{x}" y1="{y - 12}" y2="{y + 12}"/>'


def _legend(y: int) -> Iterator[str]:
    x = _NAMES
    yield f'<circle class="met" cx="{x + 6}" cy="{y - 4}" r="5.5"/>'
    yield _text(x + 20, y, "met: the median round", "small")
    x += 180
    yield _diamond(x + 7, y - 4)
    yield _text(x + 22, y, "not met", "small")
    x += 96
    yield f'<path class="met whisker" d="M{x} {y - 9}v10m0 -5h28m0 -5v10"/>'
    yield _text(x + 38, y, "lowest to highest round", "small")
    x += 204
    yield f'<rect class="holds" x="{x}" y="{y - 14}" width="28" height="20"/>'
    yield f'<line class="goal" x1="{x + 28}" x2="{x + 28}" y1="{y - 14}" y2="{y + 6}"/>'
    yield _text(x + 40, y, "the goal, and the side on which it is met", "small")


def _diamond(x: float, y: int) -> str:
    return f'<path class="unmet" stroke-width="2.5" d="M{x} {y - 7}l7 7l-7 7l-7 -7z"/>'


def _text(x: float, y: int, words: str, style: str = "", *, middle: bool = False) -> str:
    given = f' class="{style}"' if style else ""
    given += ' text-anchor="middle"' if middle else ""
    return f'<text x="{x}" y="{y}"{given}>{_safe(words)}</text>'


def _described(row: Row) -> str:
    """A row as a sentence, for readers who cannot see the chart."""
    verdict = "met" if row.met else f"not met: {'; '.join(missed(row))}"
    return f"{row.name}: {result(row)} ({spread(row)}), goal {goal(row)}, {verdict}."


def _goal_of(row: Row) -> float:
    return row.as_ratio(row.goal.bound)


def _spread_of(row: Row) -> tuple[float, float]:
    low, high = row.spread
    return row.as_ratio(low), row.as_ratio(high)


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def _safe(words: str) -> str:
    """The text escaped for XML."""
    return escape("".join(sign if sign.isprintable() else " " for sign in words))
