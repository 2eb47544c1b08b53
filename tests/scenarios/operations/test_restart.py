"""Tests the real command over stops, kills and restarts: no waiting message is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.cli.main import main
from bot.turns import processor
from tests import forked_processes
from tests.emulator_client import GENERAL, SIGNING_SECRET
from tests.forked_processes import Process
from tests.scenarios.conftest import ScenarioClient
from tests.scripted_model import Answer, ScriptedModel

START_SECONDS = 90.0
"""Timeout in seconds of a start; it takes a few seconds, also on a busy machine."""


@asynccontextmanager
async def threadpilot(
    *arguments: str, env: dict[str, str], until: str = "ready"
) -> AsyncIterator[Process]:
    """Run the command in its own process; yields it after `until` is on standard error."""
    process = await forked_processes.start(main, *arguments, env={**os.environ, **env}, stderr=PIPE)
    try:
        await wait_for_output(process, until)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def wait_for_output(process: Process, word: str) -> str:
    """Wait until this word is on standard error; return the output since the last call."""
    output = await asyncio.wait_for(_read_until(process, word), START_SECONDS)
    assert word in output, output
    return output


async def _read_until(process: Process, word: str) -> str:
    assert process.stderr is not None
    output = ""
    while word not in output:
        line = await process.stderr.readline()
        if not line:
            break
        output += line.decode()
    return output


async def test_killed_with_messages_waiting_the_bot_answers_them_after_a_restart(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("first", Answer(chunks=["half ", "done"], hold_after=1, times=1))
    async with threadpilot("run", env=env) as process:
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        await model.reached()
        await slack.until_shown(GENERAL, ts, "half")
        second = await slack.say("alice", GENERAL, "second", thread_ts=ts)
        await slack.wait_until_reaction_set(GENERAL, second)
        process.kill()
        await process.wait()
    model.release()
    async with threadpilot("run", env=env):
        await slack.until_shown(GENERAL, ts, "You said: second")
        await slack.wait_until_answered(GENERAL, ts, n=2)
        shown = await slack.bot_texts(GENERAL, ts)
    assert len(shown) == 2
    assert processor.LOST in shown[0]
    assert shown[1] == "You said: second"
    assert await slack.reactions(GENERAL, second) == []


async def test_a_turn_lost_by_a_restart_can_be_retried_and_the_prompt_is_sent_once(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The runtime keeps a prompt without an answer: the bot removes it first."""
    model.when("first", Answer(chunks=["half ", "done"], hold_after=1, times=1))
    async with threadpilot("run", env=env) as process:
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        await model.reached()
        await slack.until_shown(GENERAL, ts, "half")
        process.kill()
        await process.wait()
    model.release()
    async with threadpilot("run", env=env):
        await slack.until_shown(GENERAL, ts, processor.LOST)
        await slack.wait_until_answered(GENERAL, ts)
        await slack.press_reply_action(
            "alice", GENERAL, await slack.reply_action(GENERAL, ts, "retry")
        )
        await slack.until_shown(GENERAL, ts, "You said: first")
        await slack.wait_until_answered(GENERAL, ts, n=2)
        shown = await slack.bot_texts(GENERAL, ts)
    assert len(shown) == 2
    assert shown[1] == "You said: first"
    assert [request.prompts for request in model.requests] == [("first",)] * 2


async def test_a_question_by_command_whose_bot_is_killed_before_the_post_is_asked_once(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The command was acknowledged, but the question was not in the channel yet."""
    async with threadpilot("run", env=env) as process:
        await slack.fault("chat.postMessage", "slow", times=1, seconds=60)
        await slack.command("alice", GENERAL, "/copilot", "what is Python?")
        process.kill()
        await process.wait()
    await slack.clear_faults()
    async with threadpilot("run", env=env):

        async def posted() -> list[str]:
            return [m["ts"] for m in await slack.history(GENERAL) if m.get("bot_id")]

        [root] = await slack.wait_for(posted, timeout=30, why="the question is posted")
        await slack.until_shown(GENERAL, root, "You said: what is Python?")
        assert await slack.wait_until_answered(GENERAL, root) == ["You said: what is Python?"]
    assert await posted() == [root]
    assert len(model.requests) == 1


async def test_asked_to_stop_the_bot_finishes_what_runs_and_exits_0(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("first", Answer(chunks=["half ", "done"], hold_after=1))
    async with threadpilot("run", env=env) as process:
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        await model.reached()
        process.send_signal(signal.SIGTERM)
        assert "finishing running turns" in await _read_until(process, "bot stopping")
        model.release()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    assert await slack.bot_texts(GENERAL, ts) == ["half done"]


async def test_asked_to_stop_while_it_starts_the_bot_ends_at_once(
    env: dict[str, str], slack: ScenarioClient
) -> None:
    """Also from its first line on, in a process that has imported nothing."""
    await slack.fault("auth.test", "slow", times=1, seconds=3_600)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"), env={**os.environ, **env}
    )
    try:
        await slack.wait_for(lambda: accepts_connections(process.pid), START_SECONDS)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), START_SECONDS) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def accepts_connections(pid: int) -> bool:
    return takes_sigterm_in_hand(pid)


def takes_sigterm_in_hand(pid: int) -> bool:
    """Read the kernel's bit mask of the signals that the process catches."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


async def test_a_turn_that_does_not_finish_in_time_is_recovered_at_the_next_start(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    env["SHUTDOWN_SECONDS"] = "0"
    model.default = Answer("The whole answer.")
    model.when("first", Answer(chunks=["half ", "done"], hold_after=1, times=1))
    async with threadpilot("run", env=env) as process:
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        await model.reached()
        await slack.until_shown(GENERAL, ts, "half")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 0
    async with threadpilot("run", env=env):
        await slack.until_shown(GENERAL, ts, "The whole answer.")
        await slack.wait_until_answered(GENERAL, ts)
        assert await slack.bot_texts(GENERAL, ts) == ["The whole answer."]


async def test_what_was_said_while_the_bot_was_away_is_answered_when_slack_redelivers(
    env: dict[str, str], slack: ScenarioClient
) -> None:
    """The bot dies between Slack's delivery and its acknowledgement."""
    async with threadpilot("run", env=env) as process:
        process.send_signal(signal.SIGSTOP)
        ts = await slack.say("alice", GENERAL, "@threadpilot are you there?")
        process.kill()
        await process.wait()
    async with threadpilot("run", env=env):
        await slack.advance(61)
        await slack.until_shown(GENERAL, ts, "You said: are you there?")
        await slack.wait_until_answered(GENERAL, ts)
        assert len(await slack.bot_texts(GENERAL, ts)) == 1


async def run(*arguments: str, env: dict[str, str]) -> tuple[int, str]:
    env = {**os.environ, **env}
    process = await forked_processes.start(main, *arguments, env=env, stdout=PIPE, stderr=PIPE)
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return process.returncode or 0, out.decode() + err.decode()


async def test_texts_of_users_and_the_model_are_not_logged_at_any_level(
    env: dict[str, str], slack: ScenarioClient
) -> None:
    env["LOG_LEVEL"] = "DEBUG"
    async with threadpilot("run", env=env) as process:
        ts = await slack.say("alice", GENERAL, "@threadpilot zebrafish")
        await slack.until_shown(GENERAL, ts, "You said: zebrafish")
        await slack.command("alice", GENERAL, "/copilot", "walrus")
        process.send_signal(signal.SIGTERM)
        _, output = await asyncio.wait_for(process.communicate(), 30)
    assert b"turn ended" in output
    for canary in (b"zebrafish", b"walrus", b"xoxb-", b"xapp-", b"verification"):
        assert canary not in output


async def test_wrong_settings_are_all_reported_and_exit_with_2(env: dict[str, str]) -> None:
    env.update(SLACK_BOT_TOKEN="", MAX_TURNS="many")
    status, output = await run("run", env=env)
    assert status == 2
    assert "SLACK_BOT_TOKEN is not set" in output
    assert "MAX_TURNS (it is 'many')" in output


@pytest.mark.parametrize(
    ("name", "token"),
    [("SLACK_BOT_TOKEN", "xoxb-wrong-canary"), ("SLACK_APP_TOKEN", "xapp-wrong-canary")],
)
async def test_a_token_that_slack_does_not_know_is_reported_with_the_remedy(
    env: dict[str, str], name: str, token: str
) -> None:
    env[name] = token
    status, output = await run("run", env=env)
    assert status == 1
    assert name in output
    assert "canary" not in output
    assert "Traceback" not in output


async def test_a_port_in_use_is_reported_like_a_wrong_setting(env: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        env.update(SLACK_MODE="http", SLACK_SIGNING_SECRET=SIGNING_SECRET, HTTP_PORT=port)
        status, output = await run("run", env=env)
    assert status == 2
    assert "HTTP_PORT" in output
    assert "Traceback" not in output


async def test_a_second_bot_on_the_same_data_is_refused(env: dict[str, str]) -> None:
    async with threadpilot("run", env=env):
        status, output = await run("run", env=env)
    assert status == 1
    assert "data folder" in output.lower()
    assert "Traceback" not in output


async def test_the_command_tells_its_version_and_refuses_what_it_does_not_know() -> None:
    assert await run("--version", env={}) == (0, "threadpilot 0.1.0\n")
    status, output = await run("fly", env={})
    assert status == 2
    assert "invalid choice" in output
