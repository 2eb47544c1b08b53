"""Runs `make chaos`: rounds from new seeds, the kill at every step and the full loads.

    python -m tests.chaos

`CHAOS_SECONDS` bounds the whole run (600 by default, 360 at least). `CHAOS_SEED=n` plays only the
round of that seed. The exit status is 1 if a check failed and 2 if the time is too short to run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from tests.chaos.generator import script
from tests.chaos.rounds import Result, play

STEPS: Final = 40
AT_ONCE: Final = 3
"""Number of rounds at the same time: a round waits more than it works."""
LOAD_SECONDS: Final = 200.0
"""Time in seconds for the load tests, which always run at their promised size. Time that they do
not use stays unused."""
SWEEP_SHARE: Final = 0.5
"""Maximum share of the remaining time for the kill sweep; the rounds get the other half."""
ENDING_SHARE: Final = 0.15
"""Share of the sweep's time that is reserved for its last restarts."""
RESERVED_SECONDS: Final = 20.0
"""Time in seconds for the clean-up and the table."""
FIRST_ROUND_SECONDS: Final = 60.0
"""Estimate in seconds for a round before the first one has finished."""
LEAST_SECONDS: Final = RESERVED_SECONDS + LOAD_SECONDS + (FIRST_ROUND_SECONDS + 10.0) / SWEEP_SHARE
"""Minimum of `CHAOS_SECONDS`: with less there is no time for one round."""


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the final table."""

    name: str
    outcome: str
    well: bool


@dataclass(slots=True)
class Rounds:
    """Plays rounds until their time is over."""

    until: float
    results: list[Result] = field(default_factory=list)
    longest: float = FIRST_ROUND_SECONDS

    async def play(self, seeds: Iterator[int]) -> Part:
        """Play several rounds at once and print each failure at once."""
        await asyncio.gather(*(self._play(seeds) for _ in range(AT_ONCE)))
        return self.part()

    async def _play(self, seeds: Iterator[int]) -> None:
        while time.monotonic() + self.longest < self.until:
            await self.one(next(seeds))

    async def one(self, seed: int) -> None:
        """Play one round; its folder is kept only if a check failed."""
        folder = Path(tempfile.mkdtemp(prefix=f"threadpilot-chaos-{seed}-"))
        result = await play(script(seed, STEPS), folder)
        self.results.append(result)
        self.longest = max(self.longest, result.seconds)
        print(result.line, flush=True)
        if result.problems:
            print(result, flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)

    def part(self) -> Part:
        """The line of the table for the rounds so far."""
        wrong = [result.script.seed for result in self.results if result.problems]
        messages = sum(result.messages for result in self.results)
        kills = sum(result.kills for result in self.results)
        faults = sum(result.faults for result in self.results)
        counts = f"{len(self.results)} rounds, {messages} messages, {kills} kills, {faults} faults"
        what = f"WRONG in seeds {wrong}" if wrong else "every message settled once"
        return Part("rounds", f"{counts}: {what}", not wrong and bool(self.results))


async def tests(name: str, file: str, seconds: float, **env: str) -> Part:
    """Run the tests of a file at full size, for at most `seconds`."""
    print(f"\n== {name}: {file}, at most {seconds:.0f} s", flush=True)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", file),
        env={**os.environ, "CHAOS": "full", **env},
        stdout=PIPE,
        stderr=STDOUT,
    )
    last = ["no output"]
    try:
        async with asyncio.timeout(seconds):
            await _echo(process, last)
            status = await process.wait()
    except TimeoutError:
        return Part(name, f"cut short after {seconds:.0f} s", well=False)
    finally:
        await _end(process)
    return Part(name, last[0], status == 0)


async def _echo(process: Process, last: list[str]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        print(text, flush=True)
        if text:
            last[0] = text


async def _end(process: Process) -> None:
    """Interrupt the process first, so that pytest can clean up, and then kill it."""
    if process.returncode is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), RESERVED_SECONDS / 2)
    if process.returncode is None:
        process.kill()
        await process.wait()


async def everything(seconds: float, parts: list[Part]) -> None:
    """Run all parts one after another; each gets the time that the previous one did not use."""
    until = time.monotonic() + seconds - RESERVED_SECONDS
    folder = Path(__file__).parent
    load = LOAD_SECONDS
    sweep = SWEEP_SHARE * (seconds - RESERVED_SECONDS - load)
    print(f"== rounds of {STEPS} steps, {AT_ONCE} at once", flush=True)
    rounds = Rounds(until - sweep - load)
    first = int(time.time()) % 1_000_000
    parts.append(await rounds.play(count(first)))
    left = until - time.monotonic() - load
    bound = {"CHAOS_SWEEP_SECONDS": f"{left * (1 - ENDING_SHARE):.0f}", "CHAOS_SEED": str(first)}
    parts.append(await tests("kill sweep", str(folder / "test_kill_sweep.py"), left, **bound))
    left = until - time.monotonic()
    parts.append(await tests("load", str(folder / "test_load.py"), left))


async def alone(seed: int, parts: list[Part]) -> None:
    """Play the round of one seed."""
    print(script(seed, STEPS), flush=True)
    rounds = Rounds(until=0.0)
    await rounds.one(seed)
    parts.append(rounds.part())


async def main() -> int:
    """Run the command; SIGTERM ends it and every process that it has started."""
    work = asyncio.current_task()
    assert work is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    seed = os.environ.get("CHAOS_SEED", "")
    seconds = float(os.environ.get("CHAOS_SECONDS") or 600)
    if not seed and seconds < LEAST_SECONDS:
        print(
            f"CHAOS_SECONDS={seconds:g} is too little: the loads alone take {LOAD_SECONDS:g} s. "
            f"Give it {LEAST_SECONDS:.0f} s or more; CHAOS_SEED=1 plays one round, in a minute.",
            file=sys.stderr,
        )
        return 2
    parts: list[Part] = []
    try:
        await (alone(int(seed), parts) if seed else everything(seconds, parts))
    except asyncio.CancelledError:
        parts.append(Part("the rest", "was cut short", well=False))
    print()
    for part in parts:
        print(f"{'well ' if part.well else 'WRONG'}  {part.name:<12}{part.outcome}")
    return 0 if all(part.well for part in parts) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
