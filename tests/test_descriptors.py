"""Where the system lets a process have too few files open, Threadpilot says so at once."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from bot.descriptors import NEEDED


def threadpilot(*arguments: str, descriptors: int) -> subprocess.CompletedProcess[str]:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        preexec_fn=few,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("descriptors", [24, NEEDED - 1])
@pytest.mark.parametrize("command", ["run", "demo", "doctor"])
def test_too_few_descriptors_are_told_in_a_sentence(command: str, descriptors: int) -> None:
    ended = threadpilot(command, descriptors=descriptors)
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert f"{descriptors} files and connections open, and it needs {NEEDED}" in line
    assert "ulimit -n 1024" in line


def test_the_least_number_is_enough_to_begin() -> None:
    """What is wrong then are the settings."""
    ended = threadpilot("run", descriptors=NEEDED)
    assert ended.returncode == 2
    assert "SLACK_BOT_TOKEN is not set" in ended.stderr


def test_what_needs_none_can_be_asked_all_the_same() -> None:
    assert threadpilot("--help", descriptors=24).returncode == 0
