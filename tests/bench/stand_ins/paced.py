"""Takes longer on a slower machine, by its own clock: eight rounds of a hundred questions.

A round takes forty seconds on the reference machine of the sizes.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Final

from bench.comparison import Row
from bench.ground import Ground
from tests.bench.row_fixtures import row

SLOWER: Final = "BENCH_TEST_SLOWER"
"""Name of the variable that says how many times slower this machine is."""
QUESTION_SECONDS: Final = 0.4


async def rows(ground: Ground) -> list[Row]:
    slower, spent = float(os.environ[SLOWER]), 0.0
    began = time.monotonic()
    ground = replace(ground, clock=lambda: began + spent)
    questions = ground.sized("questions a round", 100, least=10, tiny=1)

    async def once(_: int) -> float:
        nonlocal spent
        spent += questions * QUESTION_SECONDS * slower
        return 1.0

    return [row("quick enough", *await ground.repeated("paced", 8, once))]
