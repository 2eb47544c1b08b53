"""Kills a bot (`kill -9`) at every step of a script, each in its own workspace.

A first bot lives through the script to find out its steps.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bot.store.sqlite.store import SqliteStore
from tests.chaos.crash_fixtures import CrashFixture, crash_fixture
from tests.chaos.crashing_bot import CrashingBot, CrashPoint, Step, commit_of
from tests.chaos.scripts import Script, one_person
from tests.scripted_model import ScriptedModel

LANES = 2
"""Number of workspaces at once: one for each processor of a small machine."""
MOST_OF_A_KIND = 3
"""Maximum number of deaths at steps of one name: a repeated step is not worth more."""
_FIRST_DEATH = CrashPoint(Step("chat.appendStream"), "after")
_EACH_TIME = CrashPoint(commit_of(SqliteStore.record_result), "after")
"""A step that every script reaches, even on a slow machine."""
_DEATH_SECONDS = 30.0
"""Timeout in seconds for a bot to die at a step that it has reached: the result of the step can be
seen before the process is dead."""


@dataclass(slots=True)
class SweepResult:
    """The result of a sweep."""

    script: str
    done: list[CrashPoint] = field(default_factory=list)
    missed: list[CrashPoint] = field(default_factory=list)
    """Crash points that were not reached; the bot was killed at the end instead."""
    left: list[CrashPoint] = field(default_factory=list)
    """Crash points for which there was no time."""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return "\n".join(
            [
                f"kill -9, {self.script}: {len(self.done)} deaths in {self.seconds:.0f} s, "
                f"{len(self.problems)} of them with harm; {len(self.missed)} not reached, "
                f"{len(self.left)} left for lack of time",
                *self.problems,
            ]
        )


async def sweep(
    script: Script, folder: Path, *, seconds: float, seed: int, every: int = 1
) -> SweepResult:
    """Play a script and kill a bot at each step, for about `seconds` at most.

    With `every` it is each `every`-th step and one that is always reached. `seed` sets the order,
    and so the steps for which there may be no time.
    """
    began = time.monotonic()
    swept = SweepResult(script.__name__)
    steps = await _steps_of(script, folder / "living")
    deaths = deaths_at(steps, seed)
    swept.left = deaths if every == 1 else [_EACH_TIME, *deaths[1::every]]
    await _all(swept, script, folder, began + seconds)
    swept.seconds = time.monotonic() - began
    return swept


async def restarting(fixture: CrashFixture, bot: CrashingBot) -> None:
    """The script of a restart: one bot died during an answer, and the next one settles all."""
    del bot
    await fixture.wait_until_done_or_dead(fixture.last)


def deaths_at(steps: Sequence[Step], seed: int) -> list[CrashPoint]:
    """The crash points of a sweep: after each step, and before the first step of each name.

    Before any other step the state is that after the previous one. The points after the first step
    of each name come first, the others follow in random order.
    """
    first = [step for step in steps if step.number == 1]
    again = [step for step in steps if 1 < step.number <= MOST_OF_A_KIND]
    others = [
        *(CrashPoint(step, "after") for step in again),
        *(CrashPoint(step, "before") for step in first),
    ]
    random.Random(seed).shuffle(others)  # noqa: S311  # an order, no secret
    return [*(CrashPoint(step, "after") for step in first), *others]


async def _all(swept: SweepResult, script: Script, folder: Path, until: float) -> None:
    longest = 0.0

    async def lane() -> None:
        nonlocal longest
        while swept.left and time.monotonic() + longest < until:
            death, began = swept.left.pop(0), time.monotonic()
            try:
                died = await _die(script, death, folder / str(death))
            except Exception as error:
                swept.done.append(death)
                swept.problems.append(f"{death}: {type(error).__name__}: {str(error)[:2_000]}")
            else:
                (swept.done if died else swept.missed).append(death)
            longest = max(longest, time.monotonic() - began)

    await asyncio.gather(*(lane() for _ in range(LANES)))


async def _steps_of(script: Script, folder: Path) -> list[Step]:
    """The steps of a bot that lives through a script."""
    async with ScriptedModel() as model, crash_fixture(model, folder) as fixture:
        bot = await _played(fixture, script, None)
        assert bot.alive, bot.stderr
        return bot.steps


async def _die(script: Script, death: CrashPoint, folder: Path) -> bool:
    """Kill one bot and check the recovery. True if the bot reached its step.

    Raises `AssertionError` if a message was harmed.
    """
    async with ScriptedModel() as model, crash_fixture(model, folder) as fixture:
        bot = await _played(fixture, script, death)
        if death.step in bot.steps:
            with suppress(TimeoutError):
                await bot.ended(_DEATH_SECONDS)
        died = not bot.alive
        assert bot.killed or not died, bot.stderr
        await bot.kill()
        try:
            await fixture.wait_and_retry()
        except Exception as error:
            raise AssertionError(
                f"{error}\n{fixture.rows}\n{fixture.last.stderr[-4_000:]}"
            ) from error
        return died


async def _played(fixture: CrashFixture, script: Script, death: CrashPoint | None) -> CrashingBot:
    if script is not restarting:
        bot = await fixture.start(death, watched=False)
        assert bot.alive, bot.stderr
        bot.watch()
        await script(fixture, bot)
        return bot
    first = await fixture.start(_FIRST_DEATH, watched=False)
    first.watch()
    await one_person(fixture, first)
    assert first.killed, first.stderr
    bot = await fixture.start(death)
    await script(fixture, bot)
    return bot
