"""Measures the memory of the bot and its runtime, and its growth after many threads.

    python -m bench.rows.memory --threads 10000     all threads, which takes longer than `make
                                                    bench` may; prints the rows

Each thread has one turn and its own session; few sessions stay live.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.comparison import Goal, Limit, Round, Row
from bench.formatting import goal, result_and_ratio, value
from bench.ground import Ground
from bench.programs import MB, Program, running_bare, running_bot, running_model
from bench.slack_side import SlackSide, running_slack

GROWTH_GOAL: Final = Goal(most=1.3)
TOGETHER_MB: Final = 300.0
"""Maximum memory of the bot and its runtime together in MB, with `LIVE` sessions."""
TOGETHER_GOAL: Final = Goal(most_ours=TOGETHER_MB)
FEW: Final = 100
MANY: Final = 10_000
SECONDS: Final = 40.0
"""Time in seconds for the threads of `make bench` after the first few."""
SECONDS_SHARE: Final = 0.6
"""Maximum share of the time left for these threads."""
TIMES_AS_MANY: Final = 2
"""Minimum ratio of all threads to the few: below it there is nothing to compare."""
AT_ONCE: Final = 8
LIVE: Final = 20
"""MAX_SESSIONS."""
RUNTIME_TIMES: Final = 1.5
"""Maximum ratio of the runtime's memory at the end to that after few threads."""


class TooFewThreads(Exception):
    """The machine is too slow for a comparison: there are too few threads to show growth."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """Resident memory in MB."""

    own: float
    """Memory of the Python process."""
    runtime: float

    @property
    def together(self) -> float:
        return self.own + self.runtime


@dataclass(frozen=True, slots=True)
class _Threads:
    """Numbers of threads with a turn each."""

    live: int
    """Number of sessions that stay live."""
    few: int
    many: int
    """Maximum number of threads."""
    seconds: float
    """Time in seconds for all threads after the few."""


async def rows(ground: Ground) -> list[Row]:
    """One row for the memory with live sessions, and one for its growth after as many threads as
    fit into the time."""
    live, many = ground.pick((LIVE, MANY), (2, 6))
    few = ground.sized("threads to begin with (memory)", FEW, least=2 * LIVE, tiny=3, spare=2.0)
    seconds = min(SECONDS, SECONDS_SHARE * ground.left)
    return await _rows(ground.folder, _Threads(live, few, many, seconds))


async def _rows(folder: Path, threads: _Threads) -> list[Row]:
    async with running_model(folder) as model:
        theirs = await _of_the_sdk(model, folder / "theirs", threads.live)
        return await _of_the_bot(model, folder / "ours", threads, theirs)


async def _of_the_sdk(model: str, folder: Path, live: int) -> _Taken:
    """Memory of the SDK alone with `live` sessions, each asked once."""
    sessions = [f"s-{number}" for number in range(live)]
    async with running_bare(model, folder) as bare:
        await bare.ask(do="open", sessions=sessions)
        prompts = {name: [f"instant m{number}"] for number, name in enumerate(sessions)}
        await bare.ask(do="loop", prompts=prompts)
        return _taken(bare)


async def _of_the_bot(model: str, folder: Path, threads: _Threads, theirs: _Taken) -> list[Row]:
    live, few, many = threads.live, threads.few, threads.many
    settings = {"MAX_SESSIONS": str(live), "MAX_TURNS": str(min(AT_ONCE, live))}
    async with (
        running_slack(limits=False) as slack,
        running_bot(slack, model, folder, **settings) as bot,
    ):
        done = await _threads(slack, lambda count: count < live)
        first = _taken(bot)
        done += await _threads(slack, lambda count: count < few - live)
        before = _taken(bot)
        until = time.monotonic() + threads.seconds
        done += await _threads(slack, lambda count: count < many - few and time.monotonic() < until)
        after = _taken(bot)
    enough_to_compare(few, done)
    return [_together(first, theirs, live), _growth(before, after, threads, done)]


def _together(ours: _Taken, theirs: _Taken, live: int) -> Row:
    return Row(
        name=f"Memory, {live} live sessions",
        measured="what the bot's process and its runtime take together",
        against="the SDK alone and its runtime, as many sessions",
        unit="MB",
        rounds=(Round(ours.together, theirs.together),),
        goal=TOGETHER_GOAL,
        note=f"Resident memory after one turn in each of {live} threads. The bot's process takes "
        f"{ours.own:.0f} MB of it, its runtime {ours.runtime:.0f} MB; of the SDK alone "
        f"{theirs.own:.0f} and {theirs.runtime:.0f} MB.",
    )


def _growth(before: _Taken, after: _Taken, threads: _Threads, done: int) -> Row:
    most = RUNTIME_TIMES * before.runtime
    return Row(
        name="Memory",
        measured=f"what the bot's process takes after {done:,} threads had a turn each",
        against=f"the same after {threads.few:,}",
        unit="MB",
        rounds=(Round(after.own, before.own),),
        goal=GROWTH_GOAL,
        limits=(
            Limit(name="the runtime", value=after.runtime, most=most, unit="MB"),
            Limit(name="together", value=after.together, most=TOGETHER_MB, unit="MB"),
        ),
        note=f"Resident memory. {threads.live} sessions stay live; the runtime, which has them, "
        f"may take {RUNTIME_TIMES:g} times what it took after {threads.few:,} threads at most. As "
        f"many threads as fit into {threads.seconds:.0f} s; `make bench-memory` goes on to "
        f"{MANY:,}.",
    )


def enough_to_compare(few: int, done: int) -> None:
    """Raise `TooFewThreads` if there are hardly more threads than the few."""
    if done < TIMES_AS_MANY * few:
        raise TooFewThreads(f"{done:,} threads in the time there was, against {few:,}")


async def _threads(slack: SlackSide, more: Callable[[int], bool]) -> int:
    """Run turns in new threads, several at once, while `more` is true for the number begun.

    Returns the number of turns.
    """
    begun = itertools.count()
    total = 0

    async def one_after_another() -> None:
        nonlocal total
        while more(next(begun)):
            await slack.ended(await slack.ask("instant"))
            total += 1

    async with asyncio.TaskGroup() as asking:
        for _ in range(AT_ONCE):
            asking.create_task(one_after_another())
    return total


def _taken(program: Program) -> _Taken:
    return _Taken(own=program.memory() / MB, runtime=program.memory_of_children() / MB)


def main() -> None:
    """Measure with the number of threads on the command line, without a time limit."""
    parser = argparse.ArgumentParser(prog="python -m bench.rows.memory")
    parser.add_argument("--threads", type=int, default=MANY)
    wanted = parser.parse_args()
    threads = _Threads(LIVE, FEW, wanted.threads, math.inf)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for row in asyncio.run(_rows(Path(folder), threads)):
            print(f"{row.measured}: {row.ours:.1f} MB; {row.against}: {row.theirs:.1f} MB")
            print(f"{result_and_ratio(row)}, goal {goal(row)}: {'met' if row.met else 'not met'}")
            for limit in row.limits:
                print(f"{limit.name}: {value(limit)}, at most {limit.most:.1f} {limit.unit}")


if __name__ == "__main__":
    main()
