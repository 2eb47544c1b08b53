"""Where the system lets a process have too few files open, Threadpilot says so at once."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.config.settings import SETTINGS
from bot.file_descriptors import MIN_OPEN_FILES, required_open_files

READY_BUT_FOR_SLACK = {
    "SLACK_BOT_TOKEN": "xoxb-sandbox",
    "SLACK_APP_TOKEN": "xapp-sandbox",
    "SLACK_API_URL": "http://127.0.0.1:9/api/",
    "MODEL_BASE_URL": "http://127.0.0.1:9/v1",
}
"""Settings of a bot whose Slack cannot be reached."""


def threadpilot(
    *arguments: str,
    descriptors: int,
    cwd: Path,
    most: int | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """The command where the system allows so many, which it may raise to `most`."""

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, most or descriptors))

    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        preexec_fn=few,
        env=dict(env or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("descriptors", [24, MIN_OPEN_FILES - 1])
@pytest.mark.parametrize("command", ["run", "demo", "doctor"])
def test_too_few_descriptors_are_reported_in_a_sentence(
    command: str, descriptors: int, tmp_path: Path
) -> None:
    ended = threadpilot(command, descriptors=descriptors, cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert f"{descriptors} open files and connections, but {MIN_OPEN_FILES} are needed." in line
    assert "`ulimit -n 1024`" in line


def test_the_least_number_is_enough_to_begin(tmp_path: Path) -> None:
    """What is wrong then are the settings."""
    ended = threadpilot("run", descriptors=MIN_OPEN_FILES, cwd=tmp_path)
    assert ended.returncode == 2
    assert "SLACK_BOT_TOKEN is not set" in ended.stderr


def test_many_sessions_need_more_for_the_runtime(tmp_path: Path) -> None:
    env = READY_BUT_FOR_SLACK | {"MAX_SESSIONS": "1000"}
    ended = threadpilot("run", descriptors=1_024, cwd=tmp_path, env=env)
    assert ended.returncode == 1
    assert "1024 open files and connections, but 5050 are needed for MAX_SESSIONS=1000" in (
        ended.stderr
    )
    assert "`ulimit -n 5050`" in ended.stderr


def test_a_limit_that_may_be_raised_is_raised(tmp_path: Path) -> None:
    """The command goes on to what it is for."""
    ended = threadpilot("doctor", descriptors=24, most=400, cwd=tmp_path, env=READY_BUT_FOR_SLACK)
    assert "open files and connections" not in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Slack" in ended.stdout


def test_what_needs_none_can_be_asked_all_the_same(tmp_path: Path) -> None:
    assert threadpilot("--help", descriptors=24, cwd=tmp_path).returncode == 0


def test_a_bot_as_it_is_set_up_by_default_fits_into_what_systems_mostly_allow() -> None:
    assert required_open_files(int({s.name: s.default for s in SETTINGS}["MAX_SESSIONS"])) <= 1_024
