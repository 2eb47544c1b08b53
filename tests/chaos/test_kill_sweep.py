"""Tests `kill -9` before and after every step: the next bot settles every message exactly once.

The ordinary run takes a small sample. `CHAOS=full` sweeps all steps, for `CHAOS_SWEEP_SECONDS` at
most; `CHAOS_SEED` sets the order, and so the steps for which there is no time.
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
"""Maximum time in seconds for all scripts; with the end of each script's last death, less than
four minutes."""
SEED: Final = int(os.environ.get("CHAOS_SEED") or 1)
_ALL: Final[dict[Script, float]] = {
    one_person: 0.3,
    two_people: 0.25,
    restarting: 0.25,
    a_command: 0.1,
    a_long_answer: 0.1,
}
"""Share of the time for each script."""
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
