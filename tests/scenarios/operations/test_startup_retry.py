"""Tests that the start waits during transient trouble, with one log line, and else ends at once."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

import pytest

from bot.cli.run import READY
from bot.copilot.install import LIBRARY, PROGRAM, find_runtime
from bot.errors import SlackError
from bot.slack.api.auth_errors import APP_TOKEN_REFUSED, BOT_TOKEN_REFUSED, SLACK_UNREACHABLE
from bot.startup_retry import RETRY_MAX_SECONDS
from tests.fakes import QuickClock
from tests.integration.copilot.session_probe import runtimes_of, wait_until
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scenarios.operations.operator_client import Operator
from tests.scenarios.operations.test_restart import run, threadpilot, wait_for_output

SECONDS = 60.0
WAITING = "start waits for "


@pytest.fixture
def operator(bots: Bots, slack: ScenarioClient) -> Operator:
    return Operator(bots, slack)


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def waits(output: str) -> list[str]:
    """The lines in which the bot says that it waits."""
    return [line for line in output.splitlines() if WAITING in line]


# Slack ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
async def test_a_bot_that_is_started_while_slack_is_in_trouble_waits_for_it(
    env: dict[str, str], slack: ScenarioClient, operator: Operator, method: str
) -> None:
    """The bot lives, is not ready, logs the reason once, and connects to Slack as soon as it
    can."""
    await slack.fault(method, "500", times=10_000)
    async with threadpilot("run", env=env, until=WAITING) as process:

        async def tried() -> bool:
            return len(await slack.calls(method)) >= 3

        await slack.wait_for(tried, SECONDS, f"{method} is tried again")
        assert (await operator.get("/healthz"))[0] == 200
        assert await operator.get("/readyz") == (503, '{"ready": false}')
        await slack.clear_faults()
        output = await wait_for_output(process, READY)
        assert waits(output) == []
        assert "start continues" in output
        assert (await operator.get("/readyz"))[0] == 200
        await slack.ask_in_new_thread("alice", "hello")
        process.send_signal(signal.SIGTERM)
        _, rest = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0
    assert b"Traceback" not in rest
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("auth.test", "429"),
        ("auth.test", "drop_before"),
        ("auth.test", "garbage"),
        ("apps.connections.open", "429"),
        ("apps.connections.open", "drop_after"),
        ("apps.connections.open", "garbage"),
        ("socket", "refuse"),
    ],
)
async def test_any_transient_trouble_of_slack_at_the_start_is_survived(
    bots: Bots, slack: ScenarioClient, method: str, kind: str
) -> None:
    await slack.fault(method, kind, times=4, retry_after=1)
    await bots.start(QuickClock())
    await slack.ask_in_new_thread("alice", "hello")
    assert await slack.faults() == []


async def test_one_line_is_logged_when_the_trouble_begins_changes_and_ends(
    bots: Bots, slack: ScenarioClient, caplog: pytest.LogCaptureFixture
) -> None:
    await slack.fault("auth.test", "500", times=4)
    await slack.fault("auth.test", "429", times=3, retry_after=1)
    await bots.start(QuickClock())
    waiting = [line for line in caplog.messages if line.startswith("start waits for Slack")]
    assert len(waiting) == 2
    assert all(SLACK_UNREACHABLE in line for line in waiting)
    assert caplog.messages.count("start continues: Slack is available") == 1
    assert len(await slack.calls("auth.test")) >= 8


async def test_slack_is_not_asked_more_often_than_it_wants_to_be(
    bots: Bots, slack: ScenarioClient
) -> None:
    await slack.fault("auth.test", "429", times=1, retry_after=RETRY_MAX_SECONDS * 4)
    began = asyncio.get_running_loop().time()
    await bots.start(QuickClock())
    took = asyncio.get_running_loop().time() - began
    assert took >= RETRY_MAX_SECONDS * 4 / QuickClock.speed


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("auth.test", signal.SIGTERM),
        ("auth.test", signal.SIGINT),
        ("apps.connections.open", signal.SIGTERM),
    ],
)
async def test_a_bot_that_waits_ends_at_once_when_it_is_asked_to_and_leaves_nothing_behind(
    env: dict[str, str], slack: ScenarioClient, method: str, kind: signal.Signals
) -> None:
    await slack.fault(method, "500", times=10_000)
    async with threadpilot("run", env=env, until=WAITING) as process:
        await wait_until(
            lambda: len(runtimes_of(Path(env["DATA_DIR"]), parent=process.pid)) == 1, 30
        )
        process.send_signal(kind)
        _, output = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert READY not in output.decode()
    assert "Traceback" not in output.decode()
    assert runtimes_of(Path(env["DATA_DIR"])) == []


async def test_a_second_bot_is_refused_while_the_first_one_waits(
    env: dict[str, str], slack: ScenarioClient
) -> None:
    await slack.fault("auth.test", "500", times=10_000)
    async with threadpilot("run", env=env, until=WAITING):
        status, output = await run("run", env=env)
    assert status == 1
    assert "data folder" in output


@pytest.mark.parametrize(
    ("method", "sentence", "code"),
    [
        ("auth.test", BOT_TOKEN_REFUSED, "account_inactive"),
        ("auth.test", BOT_TOKEN_REFUSED, "invalid_auth"),
        ("apps.connections.open", APP_TOKEN_REFUSED, "missing_scope"),
    ],
)
async def test_a_refusal_that_comes_after_passing_trouble_ends_the_start(
    env: dict[str, str], slack: ScenarioClient, method: str, sentence: str, code: str
) -> None:
    await slack.fault(method, "500", times=2)
    await slack.fault(method, "error", error=code, times=10)
    status, output = await run("run", env=env)
    assert status == 1
    assert sentence.format(code=code) in output
    assert len(waits(output)) == 1
    assert "Traceback" not in output


async def test_what_is_no_trouble_of_slacks_ends_the_start(
    bots: Bots, slack: ScenarioClient
) -> None:
    """For example, an address without Slack."""
    bots.env["SLACK_API_URL"] = f"{slack.url}/nothing/api/"
    with pytest.raises(SlackError, match="SLACK_API_URL"):
        async with bots.running():
            pass


# The runtime ------------------------------------------------------------------------------------


def a_runtime_that_dies(folder: Path) -> tuple[Path, Path]:
    """A program that ends at once until a file exists, and then becomes the real runtime; and that
    file. (The real runtime cannot be made to fail at its start.)"""
    program, good = folder / "sick", folder / "good"
    program.write_text(f'#!/bin/sh\n[ -e "{good}" ] || exit 3\nexec "{find_runtime(None)}" "$@"\n')
    program.chmod(0o700)
    return program, good


async def test_a_runtime_that_dies_at_its_start_is_started_again_until_it_runs(
    env: dict[str, str], slack: ScenarioClient, operator: Operator, tmp_path: Path
) -> None:
    program, good = a_runtime_that_dies(tmp_path)
    env["COPILOT_CLI_PATH"] = str(program)
    async with threadpilot("run", env=env, until=WAITING) as process:
        assert (await operator.get("/readyz"))[0] == 503
        good.touch()
        output = await wait_for_output(process, READY)
        assert "start continues: the Copilot runtime is available" in output
        assert waits(output) == []
        await slack.ask_in_new_thread("alice", "hello")
        assert len(runtimes_of(Path(env["DATA_DIR"]), parent=process.pid)) == 1


async def test_a_runtime_that_is_not_installed_ends_the_start_though_slack_is_in_trouble(
    env: dict[str, str], slack: ScenarioClient, tmp_path: Path
) -> None:
    program = tmp_path / PROGRAM
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    env["COPILOT_CLI_PATH"] = str(program)
    await slack.fault("auth.test", "500", times=10_000)
    status, output = await run("run", env=env)
    assert status == 1
    assert f"{LIBRARY} is missing" in output
    assert "Traceback" not in output


async def test_a_refused_token_ends_the_start_though_the_runtime_dies(
    env: dict[str, str], slack: ScenarioClient, tmp_path: Path
) -> None:
    env["COPILOT_CLI_PATH"] = str(a_runtime_that_dies(tmp_path)[0])
    await slack.fault("auth.test", "500", times=2)
    await slack.fault("auth.test", "error", error="invalid_auth", times=10)
    status, output = await run("run", env=env)
    assert status == 1
    assert BOT_TOKEN_REFUSED.format(code="invalid_auth") in output
