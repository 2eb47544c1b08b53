"""A session opened again while its runtime still lets go of it late."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from tests.copilot.asking import answer_of
from tests.copilot.test_runtimes import pid_of
from tests.scripted_model import ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("count", [1, 2])
async def test_it_remembers_from_the_first_question_on(
    options: RuntimeOptions, model: ScriptedModel, tmp_path: Path, count: int
) -> None:
    async with CopilotAgent(replace(options, data_dir=tmp_path, runtimes=count)) as agent:
        for number in range(10):  # one of five went wrong, blank or with an error
            stuck = await agent.open(f"stuck-{number}")
            await answer_of(stuck, "one")
            os.kill(pid_of(stuck), signal.SIGSTOP)
            await stuck.close()
            os.kill(pid_of(stuck), signal.SIGCONT)
            again = await agent.open(stuck.id)
            assert not again.blank
            await answer_of(again, "two")
            assert model.requests[-1].prompts == ("one", "two")
            await again.close()
