"""The bot's process is suspended for a while and continues: answers of that time count."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from bot.errors import AGENT_ERROR_MESSAGES, AgentErrorKind
from tests.emulator_client import GENERAL
from tests.integration.copilot.session_probe import freeze, runs, runtimes_of
from tests.scenarios.conftest import ScenarioClient
from tests.scenarios.operations.test_restart import threadpilot
from tests.scripted_model import Answer, ScriptedModel

ANSWERS = 10
WORDS = 150
"""Number of pieces of each answer. They do not fit into a pipe, so they cannot be read at once."""
SILENCE_SECONDS = 4


async def test_answers_that_ended_while_the_bot_was_stopped_are_shown(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    """For longer than a model may be silent: neither the model nor the runtime times out."""
    env.update(SILENCE_SECONDS=str(SILENCE_SECONDS), MAX_TURNS_PER_USER=str(ANSWERS))
    chunks = ["it begins ", *["and goes on "] * WORDS, "and ends"]
    model.when("question", Answer(chunks=chunks, hold_after=1))
    async with threadpilot("run", env=env) as process:
        threads = [
            await slack.say("alice", GENERAL, f"@threadpilot question {number}")
            for number in range(ANSWERS)
        ]
        await model.reached(ANSWERS)
        for ts in threads:
            await slack.until_shown(GENERAL, ts, "it begins")
        [runtime] = runtimes_of(Path(env["DATA_DIR"]), process.pid)
        await freeze(process.pid)
        model.release()
        await asyncio.sleep(2 * SILENCE_SECONDS)  # the suspension itself
        os.kill(process.pid, signal.SIGCONT)
        for ts in threads:
            await slack.until_shown(GENERAL, ts, "and ends")
            await slack.wait_until_answered(GENERAL, ts)
            [shown] = await slack.bot_texts(GENERAL, ts)
            assert AGENT_ERROR_MESSAGES[AgentErrorKind.SILENT] not in shown
        assert runs(runtime)
