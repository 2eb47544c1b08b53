"""How much of what Slack takes an answer costs, and how far what is shown is behind the model."""

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
"""Seconds at most, at every change, by how many threads there are at once."""
GOAL: Final = Goal(most=1.0)
_MINUTE: Final = 60.0
_OWN: Final = frozenset({"apps.connections.open", "auth.test"})
"""What a bot calls to be there at all: no answer costs it."""
_WORD: Final = re.compile(r"\b(?:word|piece)-(\d+)\b")


@dataclass(frozen=True, slots=True)
class Way:
    """How the bench's model answers."""

    name: str
    words: int
    words_per_piece: int
    piece_seconds: float

    def out_at(self, word: int) -> float:
        """When a word, counted from 1, leaves the model: seconds after the answer was asked for."""
        return FIRST_TOKEN_SECONDS + (word - 1) // self.words_per_piece * self.piece_seconds

    def shown(self, text: str, mark: str) -> int:
        """The last word of an answer that a message shows; 0 where it shows none."""
        if f"{mark}-end" in text:
            return self.words
        last = max(map(int, _WORD.findall(text)), default=0)
        return max(last, int(mark in text))


LONG: Final = Way("long", LONG_WORDS, LONG_WORDS_PER_PIECE, PIECE_SECONDS)
COARSE: Final = Way("coarse", LONG_WORDS, COARSE_WORDS_PER_PIECE, COARSE_PIECE_SECONDS)
STEADY: Final = Way("steady", STEADY_PIECES, 1, PIECE_SECONDS)


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many threads are answered at once, and where."""

    threads: int
    way: Way
    channels: tuple[str, ...] = (CHANNEL,)


CROWDS: Final = (
    Crowd(1, LONG),
    Crowd(10, LONG),
    # 2,500 pieces a second would measure the runtime and not what Slack takes.
    Crowd(50, COARSE, (CHANNEL, "C0DEV")),
)
LEAST_MANY: Final = 25
EVERY_PIECE_PACE: Final = 0.6
"""The slowest machine that follows 500 pieces a second (`bench.calibration`)."""
TINY_CROWDS: Final = (Crowd(1, STEADY), Crowd(3, STEADY, (CHANNEL, "C0DEV")))


@dataclass(slots=True)
class Watched:
    """What a workspace sees of the bot while it answers."""

    calls: list[tuple[float, str, str]] = field(default_factory=list)
    """When, which method, and for which channel where Slack counts each by itself."""
    shown: dict[str, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    """By the thread's root: every change."""

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
    """The method that came closest to what Slack takes of it in a minute."""

    method: str
    calls: int
    allowed: int


def busiest(calls: Sequence[tuple[float, str, str]]) -> Busiest:
    """By the most calls in any minute. `ValueError` where there is none."""
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
    """At each change that shows more: how many seconds the oldest word that it shows for the first
    time had been out of the model."""
    seen, found = 0, list[float]()
    for change in changes:
        now = way.shown(change.text, mark)
        if now > seen:
            found.append(change.at - requested - way.out_at(seen + 1))
            seen = now
    return found


@dataclass(frozen=True, slots=True)
class Answered:
    """So many threads were answered at once."""

    crowd: Crowd
    busiest: Busiest
    calls: Mapping[str, int]
    """Of all answers, by method."""
    refused: int
    behind: Sequence[Sequence[float]]
    """Seconds, of each thread."""
    seconds: Sequence[float]
    """Until each answer was there whole."""


async def answered(crowd: Crowd, folder: Path) -> Answered:
    """Ask in all the threads at once, of a bot that has called nothing before."""
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
    """Those of the size of the run. A slow machine could not follow the model, which has a pace of
    its own: there it speaks in fewer pieces, and the last crowd is smaller."""
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
    """What is told of it."""
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
            f"of {of.crowd.way.words:,} words, each in a thread of its own, asked for in "
            f"{'one channel' if channels == 1 else f'{channels} channels'} by three people. Calls "
            f"per answer: {each}. Whenever more was shown, the oldest word of it had been out of "
            f"the model for {percentile(late, 0.5):.1f} s (p50), {percentile(late, 0.95):.1f} s "
            f"(p95), {max(late):.1f} s (most); the first text for {percentile(first, 0.5):.2f} s "
            f"(p50), {max(first):.1f} s (most). Answers were whole after "
            f"{percentile(of.seconds, 0.5):.0f} s (p50), {max(of.seconds):.0f} s (most)."
        ),
    )
