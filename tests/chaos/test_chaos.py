"""Whatever meets whatever: every message is settled once, and Slack shows what the model said.

A short round here; `make chaos` plays long ones for minutes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.rounds import play
from tests.chaos.seeds import script

SEED = 117
"""One in which the bot and its runtime are killed, and Slack and the model have a bad day."""


@pytest.mark.timeout(300)  # far more than it takes: a round waits for what the seed breaks to heal
async def test_a_round_of_chaos_ends_with_every_message_settled_once(tmp_path: Path) -> None:
    result = await play(script(SEED, steps=12), tmp_path)
    assert not result.problems, str(result)
