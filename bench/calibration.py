"""Measures the pace of this machine, so that a slow one measures less within the ten minutes.

The SDK alone answers in a few sessions for some seconds, which uses the model, the runtime and
Python, as most rows do. The pace is its turns per second, divided by those of the reference machine
of the sizes. Other load on the machine lowers the pace, too.
"""

from __future__ import annotations

from typing import Final

from bench.comparison import Goal, Round, Row
from bench.ground import Ground
from bench.groups import Group, Outcome, measured
from bench.programs import running_bare, running_model

PLANNED_FOR: Final = 150.0
"""Turns per second of the SDK alone on the reference machine of the sizes: two quiet cores."""
SLOWEST: Final = 0.1
"""The pace of a machine on which the pace itself could not be measured."""
SECONDS: Final = 30.0
"""Timeout in seconds for the calibration; on a fast machine it takes six."""
ASKING_SECONDS: Final = 3.0
SESSIONS: Final = 8
QUESTIONS: Final = 4
"""Number of questions to each session before the clock is checked again."""
GROUP: Final = Group("calibration", "The machine", "bench.calibration", SECONDS)


async def pace() -> float:
    """The pace of this machine: 1 is the reference machine; at least `SLOWEST`."""
    return pace_of(await measured(GROUP, SECONDS))


def pace_of(outcome: Outcome) -> float:
    """The pace from the outcome of the calibration."""
    return max([SLOWEST, *(row.ratio for row in outcome.rows)])


async def rows(ground: Ground) -> list[Row]:
    """One row, whose ratio is the pace."""
    sessions = [f"s-{number}" for number in range(SESSIONS)]
    async with (
        running_model(ground.folder) as model,
        running_bare(model, ground.folder / "bare") as bare,
    ):

        async def turns(number: int) -> tuple[int, float]:
            """Run turns; return their number and the seconds that they took."""
            prompts = {
                name: [f"instant m{number * QUESTIONS + each + 1}" for each in range(QUESTIONS)]
                for name in sessions
            }
            answer = await bare.ask(do="loop", prompts=prompts)
            return int(str(answer["answers"])), float(str(answer["seconds"]))

        await bare.ask(do="open", sessions=sessions)
        await turns(0)
        ended = ground.clock() + ground.pick(ASKING_SECONDS, 0.0)
        done = [await turns(1)]
        while ground.clock() < ended:
            done.append(await turns(len(done) + 1))
    turn_count = sum(count for count, _ in done)
    return [
        Row(
            name="Pace",
            measured=f"{turn_count:,} turns of the SDK alone in {SESSIONS} sessions",
            against="the same on the machine that the sizes are made for",
            unit="turns/s",
            rounds=(Round(turn_count / sum(seconds for _, seconds in done), PLANNED_FOR),),
            goal=Goal(least=SLOWEST),
        )
    ]
