"""Tests that the bot stops within its timeout if a part hangs, and that the next start recovers the
rest."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

from bot.cli.run import CLOSE_SECONDS
from bot.turns.processor import LOST
from tests.emulator_client import GENERAL
from tests.integration.copilot.session_probe import freeze, runs, runtimes_of
from tests.scenarios.conftest import ScenarioClient
from tests.scenarios.operations.test_restart import threadpilot
from tests.scripted_model import Answer, ScriptedModel

SHUTDOWN_SECONDS = 2
LEEWAY_SECONDS = 5.0
"""Time in seconds for the interpreter's own end, on a busy machine."""

_SLACK = (
    "chat.startStream",
    "chat.appendStream",
    "chat.stopStream",
    "chat.postMessage",
    "chat.update",
    "agents.sessions.setStatus",
    "reactions.add",
    "reactions.remove",
    "conversations.replies",
)


async def test_asked_to_stop_it_ends_though_slack_the_runtime_and_the_database_hang(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The running turn and the waiting message each have one outcome after the next start."""
    env["SHUTDOWN_SECONDS"] = str(SHUTDOWN_SECONDS)
    model.when("first", Answer(chunks=["half ", "done"], hold_after=1, times=1))
    file = Path(env["DATA_DIR"]) / "threadpilot.db"
    async with threadpilot("run", env=env) as process:
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        await model.reached()
        await slack.until_shown(GENERAL, ts, "half")
        second = await slack.say("alice", GENERAL, "second", thread_ts=ts)
        await slack.wait_until_reaction_set(GENERAL, second)
        [runtime] = runtimes_of(Path(env["DATA_DIR"]), parent=process.pid)
        for method in _SLACK:
            await slack.fault(method, "slow", times=1_000, seconds=90)
        await freeze(runtime)
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("BEGIN EXCLUSIVE")
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0
            took = time.monotonic() - begun
            database.execute("ROLLBACK")
    assert took < SHUTDOWN_SECONDS + CLOSE_SECONDS + LEEWAY_SECONDS
    assert not runs(runtime), "no frozen runtime is left behind"
    await slack.clear_faults()
    async with threadpilot("run", env=env):
        await slack.until_shown(GENERAL, ts, "You said: second", timeout=60)
        await slack.wait_until_answered(GENERAL, ts, n=2)
        shown = await slack.bot_texts(GENERAL, ts)
    assert len(shown) == 2
    assert shown[0] == "You said: first" or LOST in shown[0]
    assert shown[1] == "You said: second"


async def test_what_hangs_for_good_is_left_and_the_exit_is_still_a_good_one() -> None:
    """A disk that does not respond blocks every thread that writes to it."""
    ending = (
        "import time\n"
        "from bot.cli.run import force_exit_after\n"
        "force_exit_after(0.1)\n"
        "time.sleep(60)\n"
        "raise SystemExit(3)\n"
    )
    await ends_well(ending)


async def test_asked_to_stop_while_a_part_hangs_at_its_start_it_ends_as_well() -> None:
    """A disk that does not respond during a migration of the database."""
    starting = (
        "import asyncio, os, signal, time, types\n"
        "from contextlib import asynccontextmanager\n"
        "from bot.cli import run\n"
        "@asynccontextmanager\n"
        "async def hangs(settings, clock):\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        await asyncio.Event().wait()\n"
        "        yield\n"
        "    finally:\n"
        "        time.sleep(60)\n"
        "run.open_services, run.CLOSE_SECONDS = hangs, 0.1\n"
        "asyncio.run(run.serve(types.SimpleNamespace(shutdown_seconds=0.0)))\n"
        "raise SystemExit(3)\n"
    )
    await ends_well(starting)


async def ends_well(program: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
