"""`kill -9` of the bot at whatever it does to the outside, before and after it: each time the next
bot brings every message to its one outcome.

A small sample in the ordinary run; with CHAOS=full all of it, for CHAOS_SWEEP_SECONDS at most, and
CHAOS_SEED says for which there is no time left.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from tests.chaos.kill_sweep import restarting, sweep
from tests.chaos.scripts import Script, a_command, a_long_answer, one_person, two_people

FULL: Final = os.environ.get("CHAOS") == "full"
SECONDS: Final = float(os.environ.get("CHAOS_SWEEP_SECONDS", "220"))
"""For all scripts together, with what it takes to end the last of each less than four minutes."""
SEED: Final = int(os.environ.get("CHAOS_SEED") or 1)
_ALL: Final[dict[Script, float]] = {
    one_person: 0.3,
    two_people: 0.25,
    restarting: 0.25,
    a_command: 0.1,
    a_long_answer: 0.1,
}
"""What share of the time each gets."""
_SAMPLE_EVERY: Final = 24


@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", _ALL, ids=lambda script: script.__name__)
async def test_wherever_a_bot_is_killed_the_next_one_settles_every_message_once(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = SECONDS * _ALL[script] if FULL else 30.0
    every = 1 if FULL else _SAMPLE_EVERY
    swept = await sweep(script, tmp_path, seconds=seconds, seed=SEED, every=every)
    with capsys.disabled():
        if FULL:
            print(f"\n{swept}")
    assert not swept.problems, str(swept)
    assert swept.done, str(swept)
