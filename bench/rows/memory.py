"""How much more memory the bot takes after many threads than after few.

    python -m bench.rows.memory --threads 10000     the whole of it, which takes longer than `make
                                                    bench` may; prints the row

Each thread has one turn, and so one session of its own; few of them stay live.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.ground import Ground
from bench.measuring import Goal, Limit, Round, Row
from bench.programs import MB, Program, running_bot, running_model
from bench.slack_side import SlackSide, running_slack
from bench.words import goal, ratio, value

GOAL: Final = Goal(most=1.3)
FEW: Final = 100
MANY: Final = 10_000
SECONDS: Final = 40.0
"""For the threads of `make bench`, beside the first few."""
TIMES_AS_MANY: Final = 2
"""With fewer than so many times the few threads there is nothing to compare."""
AT_ONCE: Final = 8
LIVE: Final = 20
"""MAX_SESSIONS."""
RUNTIME_TIMES: Final = 1.5
"""So many times what they took after few threads the runtimes may take at most."""


class TooFewThreads(Exception):
    """The machine is too slow for a comparison: after as good as the same it takes the same."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """Resident megabytes."""

    bot: float
    runtime: float


async def rows(ground: Ground) -> list[Row]:
    """Megabytes of the bot's process; as many threads as fit into the time."""
    few = ground.pick(FEW, 2)
    return [await _row(ground.folder, few, ground.pick(MANY, 4), SECONDS)]


async def _row(folder: Path, few: int, many: int, seconds: float) -> Row:
    async with (
        running_model(folder) as model,
        running_slack(limits=False) as slack,
        running_bot(
            *(slack, model, folder / "ours"), MAX_SESSIONS=str(LIVE), MAX_TURNS=str(AT_ONCE)
        ) as bot,
    ):
        done = await _threads(slack, lambda count: count < few)
        before = _taken(bot)
        until = time.monotonic() + seconds
        done += await _threads(slack, lambda count: count < many - few and time.monotonic() < until)
        after = _taken(bot)
    enough_to_compare(few, done)
    return Row(
        name="Memory",
        measured=f"what the bot's process takes after {done:,} threads had a turn each",
        against=f"the same after {few:,}",
        unit="MB",
        rounds=(Round(after.bot, before.bot),),
        goal=GOAL,
        limits=(
            Limit(
                name="the runtimes",
                value=after.runtime,
                most=RUNTIME_TIMES * before.runtime,
                unit="MB",
            ),
        ),
        note=f"Resident memory. {LIVE} sessions stay live; the runtimes, which have them, may take "
        f"{RUNTIME_TIMES:g} times what they took after {few:,} threads at most. As many threads as "
        f"fit into {SECONDS:.0f} s; `make bench-memory` goes on to {MANY:,}.",
    )


def enough_to_compare(few: int, done: int) -> None:
    """Raises `TooFewThreads` where there were hardly more threads than few."""
    if done < TIMES_AS_MANY * few:
        raise TooFewThreads(f"{done:,} threads in the time there was, against {few:,}")


async def _threads(slack: SlackSide, more: Callable[[int], bool]) -> int:
    """Have turns in new threads, several at once, as long as `more` says so of how many were begun;
    how many there were."""
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


def _taken(bot: Program) -> _Taken:
    return _Taken(bot=bot.memory() / MB, runtime=bot.memory_of_children() / MB)


def main() -> None:
    """Measure with as many threads as are wanted, however long that takes."""
    parser = argparse.ArgumentParser(prog="python -m bench.rows.memory")
    parser.add_argument("--threads", type=int, default=MANY)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        row = asyncio.run(_row(Path(folder), FEW, wanted.threads, float("inf")))
    print(f"{row.measured}: {row.ours:.1f} MB; {row.against}: {row.theirs:.1f} MB")
    print(f"ratio {ratio(row)}, goal {goal(row)}: {'met' if row.met else 'not met'}")
    for limit in row.limits:
        print(f"{limit.name}: {value(limit)}, at most {limit.most:.1f} {limit.unit}")


if __name__ == "__main__":
    main()
