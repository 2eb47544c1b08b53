"""Tests the demo: one command, one address, a real answer of a real model, no process left."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.demo import local_model, main
from tests.emulator_client import GENERAL, EmulatorClient

READY_SECONDS = 60.0
ANSWER_SECONDS = 100.0
END_SECONDS = 30.0

# A developer's real settings must not reach the tests' demo.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("SLACK_", "MODEL", "GITHUB_TOKEN", "DEMO_"))
}


class Started:
    """A running demo, as the user at the terminal sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def until(self, pattern: str) -> re.Match[str]:
        """Read the output up to a match of the pattern."""
        assert self.process.stdout is not None
        async with asyncio.timeout(READY_SECONDS):
            while not (found := re.search(pattern, self.output)):
                line = await self.process.stdout.readline()
                assert line, f"the demo ended; it wrote:\n{self.output}"
                self.output += line.decode()
        return found

    async def end(self) -> int:
        """Read it to its end; its exit status."""
        assert self.process.stdout is not None
        async with asyncio.timeout(END_SECONDS):
            self.output += (await self.process.stdout.read()).decode()
            return await self.process.wait()


@asynccontextmanager
async def started(data: Path, *arguments: str, **more: str) -> AsyncIterator[Started]:
    """`threadpilot demo` with its own data folder; killed if the test does not end it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "demo", "--port", "0", "--data", str(data), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**ENVIRONMENT, **more},
    )
    try:
        yield Started(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def descendants(pid: int) -> set[int]:
    """Every process that this one has started, and they in turn."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def gone(pids: set[int]) -> bool:
    """Whether all of them end, soon."""
    async with asyncio.timeout(END_SECONDS):
        while any(_runs(pid) for pid in pids):  # noqa: ASYNC110 - others' children tell nobody
            await asyncio.sleep(0.05)
    return True


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    # A zombie is a process that has ended, too.
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_what_is_python_is_answered_by_the_small_model_and_streamed(tmp_path: Path) -> None:
    """The README's question, typed in #general; then Ctrl-C, and nothing is left behind."""
    async with started(tmp_path) as run:
        url = (await run.until(r"ready: +(http://127\.0\.0\.1:\d+/)"))[1]
        parts = descendants(run.process.pid)
        async with EmulatorClient(url) as people:
            ts = await people.say("alice", GENERAL, "@threadpilot what is Python?")
            answers = await people.wait_until_answered(GENERAL, ts, timeout=ANSWER_SECONDS)
            [stream] = await people.calls("chat.startStream")
        await run.until("To stop it: +Ctrl-C")
        assert len(answers) == 1
        assert len(answers[0].split()) >= 5
        first = "".join(chunk["text"] for chunk in stream["arguments"]["chunks"])
        assert 0 < len(first) < len(answers[0]), "the answer came in one piece"
        assert len(parts) >= 3, "the model, the bot and the runtime run"
        run.process.send_signal(signal.SIGINT)
        assert await run.end() == 0
        assert run.output.endswith("Stopped.\n")
        assert await gone(parts)
        assert run.output.count("http://") == 1, "one address, not a choice of them"


async def test_a_demo_that_is_killed_ends_its_processes(tmp_path: Path) -> None:
    async with started(tmp_path) as run:
        await run.until("ready:")
        parts = descendants(run.process.pid)
        assert parts
        run.process.kill()
        assert await gone(parts)


async def test_a_model_that_dies_ends_the_demo_with_a_sentence(tmp_path: Path) -> None:
    async with started(tmp_path) as run:
        await run.until("ready:")
        parts = descendants(run.process.pid)
        (model,) = (pid for pid in parts if b"local_model" in command_of(pid))
        os.kill(model, signal.SIGKILL)
        assert await run.end() == 1
        assert "The model ended by itself" in run.output
        assert "Traceback" not in run.output
        assert await gone(parts)


async def test_a_bot_that_cannot_start_says_why_and_everything_ends(tmp_path: Path) -> None:
    async with started(tmp_path, LOG_LEVEL="LOUD", MODEL_BASE_URL="http://127.0.0.1:9/v1") as run:
        assert await run.end() == 1
    assert "The bot did not start." in run.output
    assert "LOG_LEVEL (it is 'LOUD')" in run.output
    assert "Traceback" not in run.output


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_in_use_is_reported_with_a_way_out(
    taken_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main.main(["--port", str(taken_port), "--data", str(tmp_path / "data")])
    error_output = capsys.readouterr().err
    assert status == 1
    assert f"Port {taken_port} is in use" in error_output
    assert f"make demo PORT={taken_port + 1}" in error_output
    assert not (tmp_path / "data").exists(), "something was started all the same"


@pytest.mark.parametrize("port", ["-1", "65536", "http", "", "²"])
def test_a_port_that_is_none_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main.main([f"--port={port}"])
    assert refused.value.code == 2
    assert "65535" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 not a model"])
def test_a_file_that_is_no_model_is_reported(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.gguf"
    if content is not None:
        file.write_bytes(content)
    assert main.main(["--gguf", str(file), "--data", str(tmp_path)]) == 1
    assert "no GGUF model file" in capsys.readouterr().err


async def test_a_broken_model_file_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF" + bytes(64))
    async with started(tmp_path / "data", "--gguf", str(file)) as run:
        assert await run.end() == 1
    assert "The model did not start" in run.output


def test_a_data_folder_that_cannot_be_made_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main.main(["--port", "0", "--data", str(tmp_path / "file" / "data")]) == 1
    assert "threadpilot demo --data" in capsys.readouterr().err


def test_the_small_model_is_used_where_none_is_configured() -> None:
    model = main.select_model({}, None)
    assert model.gguf == local_model.find_bundled_gguf()
    assert "tiny" in model.notice
    for way in ("GITHUB_TOKEN", "MODEL_BASE_URL", "GGUF="):
        assert way in model.notice, f"the page does not tell of {way}"


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "MODEL_BASE_URL"])
def test_a_configured_model_is_used_instead_of_the_small_one(name: str) -> None:
    model = main.select_model({name: "given"}, None)
    assert model.gguf is None
    assert "given" not in model.notice + model.summary


def test_the_users_own_file_is_preferred(tmp_path: Path) -> None:
    file = tmp_path / "clever.gguf"
    file.write_bytes(b"GGUF")
    by_argument = main.select_model({"MODEL_BASE_URL": "given"}, file)
    by_environment = main.select_model({"DEMO_GGUF": str(file)}, None)
    assert by_argument == by_environment
    assert by_argument.gguf == file
    assert "clever" in by_argument.notice
    assert str(tmp_path) not in by_argument.notice


def test_a_model_name_alone_is_explained() -> None:
    model = main.select_model({"MODEL": "clever"}, None)
    assert model.gguf is not None
    assert "where the model runs" in model.summary
