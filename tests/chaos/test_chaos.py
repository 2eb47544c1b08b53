"""Tests a short round of chaos: every message is settled once and Slack shows its answer.

`make chaos` plays long rounds for minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.__main__ import LEAST_SECONDS
from tests.chaos.generator import script
from tests.chaos.rounds import play

SEED = 117
"""A seed with kills of the bot and its runtime, and faults of Slack and the model."""


@pytest.mark.timeout(300)  # far more than it takes: a round waits until its faults are over
async def test_a_round_of_chaos_ends_with_every_message_settled_once(tmp_path: Path) -> None:
    result = await play(script(SEED, steps=12), tmp_path)
    assert not result.problems, str(result)


def test_too_little_time_for_it_is_refused_with_the_least_that_makes_sense() -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "tests.chaos"],
        env={**os.environ, "CHAOS_SECONDS": "260", "CHAOS_SEED": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "CHAOS_SECONDS=260 is too little" in refused.stderr
    assert f"Give it {LEAST_SECONDS:.0f} s or more" in refused.stderr
