"""Measures an answer's calls against Slack's rate limits, and how far the shown text lags."""

from __future__ import annotations

import asyncio
import re
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Final

from bench.comparison import Goal, Limit, Round, Row, percentile
from bench.ground import Ground
from bench.model import (
    COARSE_PIECE_SECONDS,
    COARSE_WORDS_PER_PIECE,
    FIRST_TOKEN_SECONDS,
    LONG_WORDS,
    LONG_WORDS_PER_PIECE,
    PIECE_SECONDS,
    STEADY_PIECES,
    request_times,
)
from bench.programs import REQUEST_LOG, running_bot, running_model
from bench.slack_side import CHANNEL, PEOPLE, Shown, SlackSide, running_slack
from bot.slack.api.rate_limiter import RATE_LIMITS
from slack_emulator.call_log import LoggedCall
from slack_emulator.rate_limits import PER_MINUTE

ALLOWED_BEHIND: Final = {10: 2.0}
"""Maximum lag in seconds at every change, by the number of threads at once."""
GOAL: Final = Goal(most=1.0)
_MINUTE: Final = 60.0
_OWN: Final = frozenset({"apps.connections.open", "auth.test"})
"""Methods that a bot calls at its start, which no answer costs."""
_WORD: Final = re.compile(r"\b(?:word|piece)-(\d+)\b")


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways in which the bench's model answers."""

    name: str
    words: int
    words_per_piece: int
    piece_seconds: float

    def out_at(self, word: int) -> float:
        """Seconds from the request until the model sends a word, counted from 1."""
        return FIRST_TOKEN_SECONDS + (word - 1) // self.words_per_piece * self.piece_seconds

    def shown(self, text: str, mark: str) -> int:
        """The number of the last word that a message shows; 0 if it shows none."""
        if f"{mark}-end" in text:
            return self.words
        last = max(map(int, _WORD.findall(text)), default=0)
        return max(last, int(mark in text))


LONG: Final = Way("long", LONG_WORDS, LONG_WORDS_PER_PIECE, PIECE_SECONDS)
COARSE: Final = Way("coarse", LONG_WORDS, COARSE_WORDS_PER_PIECE, COARSE_PIECE_SECONDS)
STEADY: Final = Way("steady", STEADY_PIECES, 1, PIECE_SECONDS)


@dataclass(frozen=True, slots=True)
class Crowd:
    """A number of threads that are answered at once, and their channels."""

    threads: int
    way: Way
    channels: tuple[str, ...] = (CHANNEL,)


CROWDS: Final = (
    Crowd(1, LONG),
    Crowd(10, LONG),
    # 2,500 pieces a second would measure the runtime and not Slack's limits.
    Crowd(50, COARSE, (CHANNEL, "C0DEV")),
)
LEAST_MANY: Final = 25
EVERY_PIECE_PACE: Final = 0.6
"""Minimum pace of a machine that follows 500 pieces a second (`bench.calibration`)."""
TINY_CROWDS: Final = (Crowd(1, STEADY), Crowd(3, STEADY, (CHANNEL, "C0DEV")))


@dataclass(slots=True)
class Watched:
    """The calls and the changes of a bot that answers."""

    calls: list[tuple[float, str, str]] = field(default_factory=list)
    """Time and method of each call, and its channel if Slack counts each channel separately."""
    shown: dict[str, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    """Every change, by the thread's root."""

    def watch(self, slack: SlackSide) -> None:
        slack.emulator.slack.call_log.add_listener(self._call)
        slack.watch(lambda root, shown: self.shown[root].append(shown))

    def _call(self, call: LoggedCall) -> None:
        rule = RATE_LIMITS.get(call.method)
        arguments = call.arguments if rule is not None and rule.per_channel else {}
        channel = str(arguments.get("channel") or arguments.get("channel_id") or "")
        self.calls.append((time.perf_counter(), call.method, channel))


@dataclass(frozen=True, slots=True)
class Busiest:
    """The method that came closest to its limit per minute."""

    method: str
    calls: int
    allowed: int


def busiest(calls: Sequence[tuple[float, str, str]]) -> Busiest:
    """The busiest method by its most calls in any minute. Raises `ValueError` if there is none."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for at, method, channel in calls:
        times[method, channel].append(at)
    found = [
        Busiest(method, _most_in_a_minute(sorted(at)), PER_MINUTE[method])
        for (method, _), at in times.items()
        if method in PER_MINUTE and method not in _OWN
    ]
    return max(found, key=lambda each: each.calls / each.allowed)


def _most_in_a_minute(times: Sequence[float]) -> int:
    return max(bisect_right(times, at + _MINUTE) - start for start, at in enumerate(times))


def behind(way: Way, mark: str, requested: float, changes: Sequence[Shown]) -> list[float]:
    """The lag in seconds of each change that shows more: the age of its oldest new word."""
    seen, found = 0, list[float]()
    for change in changes:
        now = way.shown(change.text, mark)
        if now > seen:
            found.append(change.at - requested - way.out_at(seen + 1))
            seen = now
    return found


@dataclass(frozen=True, slots=True)
class Answered:
    """The measurement of threads that were answered at once."""

    crowd: Crowd
    busiest: Busiest
    calls: Mapping[str, int]
    """Number of calls for all answers, by method."""
    refused: int
    behind: Sequence[Sequence[float]]
    """The lags of each thread in seconds."""
    seconds: Sequence[float]
    """Seconds until each answer was complete."""


async def answered(crowd: Crowd, folder: Path) -> Answered:
    """Ask in all threads at once, with a bot that has made no calls before."""
    way, threads, watched = crowd.way, range(crowd.threads), Watched()
    settings = {"MAX_TURNS": str(crowd.threads), "MAX_SESSIONS": str(crowd.threads)}
    async with running_model(folder) as model_url, running_slack(limits=True) as slack:
        async with running_bot(slack, model_url, folder, **settings):
            slack.forget_calls()
            watched.watch(slack)
            sent = [
                await slack.ask(way.name, person=person, channel=channel)
                for _, person, channel in zip(
                    threads, cycle(PEOPLE), cycle(crowd.channels), strict=False
                )
            ]
            seconds = await asyncio.gather(*map(slack.ended, sent))
        calls, refused = dict(slack.calls), slack.refused.total()
        requested = request_times(folder / REQUEST_LOG)
    return Answered(
        crowd,
        busiest(watched.calls),
        calls,
        refused,
        [behind(way, one.mark, requested[one.mark], watched.shown[one.root_ts]) for one in sent],
        seconds,
    )


async def rows(ground: Ground) -> list[Row]:
    """One row for each crowd."""
    return [row(await answered(each, ground.folder / f"{each.threads}")) for each in crowds(ground)]


def crowds(ground: Ground) -> Sequence[Crowd]:
    """The crowds for the size of the run.

    A slow machine could not follow the model's fixed pace: there the model sends fewer pieces, and
    the last crowd is smaller.
    """
    if ground.tiny:
        return TINY_CROWDS
    one, ten, many = CROWDS
    if ground.pace < EVERY_PIECE_PACE:
        ten = replace(ten, way=COARSE)
        ground.less.append(f"10 pieces a second instead of 50 ({ten.threads} threads)")
    what = "threads at once (Slack's limits)"
    threads = ground.sized(what, many.threads, least=LEAST_MANY, tiny=1, spare=1.5)
    return one, ten, replace(many, threads=threads)


def row(of: Answered) -> Row:
    """The row of a measurement."""
    count, channels = of.crowd.threads, len(of.crowd.channels)
    threads = "1 thread" if count == 1 else f"{count} threads at once"
    most, late = of.busiest, [seconds for thread in of.behind for seconds in thread]
    first = [thread[0] for thread in of.behind]
    limits = [Limit(name="429s", value=of.refused, most=0, unit="")]
    if count in ALLOWED_BEHIND:
        most_late = Limit(name="behind", value=max(late), most=ALLOWED_BEHIND[count], unit="s")
        limits.append(most_late)
    each = ", ".join(
        f"{calls / count:.1f} {method}"
        for method, calls in sorted(of.calls.items(), key=lambda item: (-item[1], item[0]))
        if method in PER_MINUTE and method not in _OWN
    )
    return Row(
        name=f"Slack calls, {threads}",
        measured=f"calls of {most.method}, in their busiest minute",
        against="what Slack's tier takes of it in a minute",
        unit="calls",
        rounds=(Round(most.calls, most.allowed),),
        goal=GOAL,
        limits=tuple(limits),
        note=(
            "All methods are counted; the row shows the one that is nearest to its limit. Answers "
            f"of {of.crowd.way.words:,} words, each in its own thread, in "
            f"{'one channel' if channels == 1 else f'{channels} channels'}, to three users. Calls "
            f"per answer: {each}. The oldest new word of a change lagged the model by "
            f"{percentile(late, 0.5):.1f} s (p50), {percentile(late, 0.95):.1f} s "
            f"(p95), {max(late):.1f} s (most); the first text by {percentile(first, 0.5):.2f} s "
            f"(p50), {max(first):.1f} s (most). Answers were complete after "
            f"{percentile(of.seconds, 0.5):.0f} s (p50), {max(of.seconds):.0f} s (most)."
        ),
    )
