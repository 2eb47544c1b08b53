"""Two Copilot runtimes share the threads, and one of them dies under running turns."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.copilot.asking import runtimes_of
from tests.sandbox_client import GENERAL
from tests.scenarios.conftest import Bots, Scene, question_of
from tests.scripted_model import Answer, ScriptedModel

THREADS = 10


async def test_one_of_two_runtimes_is_killed_and_every_thread_is_answered_once_and_remembers(
    bots: Bots, slack: Scene, model: ScriptedModel
) -> None:
    bots.env.update(RUNTIMES="2", MAX_TURNS_PER_USER=str(THREADS))
    for number in range(THREADS):
        held = Answer(chunks=["half ", "done"], hold_after=1, times=1)
        model.when(f"second {number}", held)
    bot = await bots.start()
    threads = [
        await slack.say("alice", GENERAL, f"@threadpilot first {number}")
        for number in range(THREADS)
    ]
    for ts in threads:
        await slack.until_answered(GENERAL, ts)
    for number, ts in enumerate(threads):
        await slack.say("alice", GENERAL, f"second {number}", thread_ts=ts)
    await model.reached(THREADS)
    [_, one] = await until_two(bots, slack)
    before = len(model.requests)
    os.kill(one, signal.SIGKILL)
    await model.asked(before + 1)
    model.release()
    for ts in threads:
        await slack.until_answered(GENERAL, ts, n=2)
    await slack.until_idle(bot)
    again = [question_of(request.prompt) for request in model.requests[before:]]
    assert 0 < len(again) < THREADS, "only those that had lost their runtime are asked again"
    assert len(set(again)) == len(again)
    for number, ts in enumerate(threads):
        second = f"second {number}"
        answer = f"You said: {second}" if second in again else "half done"
        assert await slack.bot_texts(GENERAL, ts) == [f"You said: first {number}", answer]
    for number, ts in enumerate(threads):
        await slack.say("alice", GENERAL, f"third {number}", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, f"You said: third {number}")
        said = [question_of(prompt) for prompt in model.requests[-1].prompts]
        assert said == [f"first {number}", f"second {number}", f"third {number}"]


async def until_two(bots: Bots, slack: Scene) -> list[int]:
    """Wait until two runtimes run; their process ids."""

    async def two() -> list[int] | None:
        found = runtimes_of(Path(bots.env["DATA_DIR"]))
        return found if len(found) == 2 else None

    return await slack.wait_for(two, 60.0, "two runtimes run")
