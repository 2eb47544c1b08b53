"""`kill -9` at every step that a script comes to: which there are is found out by a bot that lives,
then one bot after another dies at one of them, each in a place of its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.crash_fixtures import CrashFixture, crash_fixture
from tests.chaos.crashing_bot import CrashingBot, CrashPoint, Step
from tests.chaos.scripts import Script, one_person
from tests.scripted_model import ScriptedModel

LANES = 2
"""So many places at once: one for each processor of a small machine."""
MOST_OF_A_KIND = 3
"""What comes again and again, like looking for the next turn, is not worth more deaths."""
_FIRST_DEATH = CrashPoint(Step("chat.appendStream"), "after")
_EACH_TIME = CrashPoint(Step("commit record"), "after")
"""A step that every script comes to, however slow the machine is."""
_DEATH_SECONDS = 30.0
"""How long a bot may take to die at a step that it has come to: what is settled by that step is
seen before it is dead."""


@dataclass(slots=True)
class SweepResult:
    """What came of it."""

    script: str
    done: list[CrashPoint] = field(default_factory=list)
    missed: list[CrashPoint] = field(default_factory=list)
    """Deaths whose step did not come this time; the bot was killed at the end instead."""
    left: list[CrashPoint] = field(default_factory=list)
    """Deaths for which there was no time."""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return "\n".join(
            [
                f"kill -9, {self.script}: {len(self.done)} deaths in {self.seconds:.0f} s, "
                f"{len(self.problems)} of them with harm; {len(self.missed)} not come to, "
                f"{len(self.left)} left for want of time",
                *self.problems,
            ]
        )


async def sweep(
    script: Script, folder: Path, *, seconds: float, seed: int, every: int = 1
) -> SweepResult:
    """Let bots die under a script's hands at each step, or at each `every`-th and one that comes
    for certain, in about `seconds` at most. `seed` says which come last, for which there may be no
    time."""
    began = time.monotonic()
    swept = SweepResult(script.__name__)
    steps = await _steps_of(script, folder / "living")
    deaths = deaths_at(steps, seed)
    swept.left = deaths if every == 1 else [_EACH_TIME, *deaths[1::every]]
    await _all(swept, script, folder, began + seconds)
    swept.seconds = time.monotonic() - began
    return swept


async def restarting(fixture: CrashFixture, bot: CrashingBot) -> None:
    """A bot died in the middle of an answer; what the next one does from its start to where all is
    settled is the script that is swept here."""
    del bot
    await fixture.wait_until_done_or_dead(fixture.last)


def deaths_at(steps: Sequence[Step], seed: int) -> list[CrashPoint]:
    """Right after each step, and right before the first of each kind: elsewhere the one before has
    just been done. Right after the first of each kind comes first, the others in any order."""
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
    """What a bot does to the outside that lives through a script."""
    async with ScriptedModel() as model, crash_fixture(model, folder) as fixture:
        bot = await _played(fixture, script, None)
        assert bot.alive, bot.stderr
        return bot.steps


async def _die(script: Script, death: CrashPoint, folder: Path) -> bool:
    """One bot's death and what comes after it; whether it came to its step. AssertionError where
    it did harm."""
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
