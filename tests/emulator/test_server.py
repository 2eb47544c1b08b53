"""The emulator listens on this machine only, says why it cannot start, and serves its page."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import pytest

from slack_emulator.__main__ import main
from slack_emulator.server import EmulatorError, running_emulator
from tests.emulator_client import GENERAL, EmulatorClient


async def test_it_listens_on_this_machine_only() -> None:
    with pytest.raises(EmulatorError, match="this machine only"):
        async with running_emulator(host="0.0.0.0"):  # noqa: S104 - what must be refused
            pass


async def test_two_emulators_are_independent() -> None:
    async with (
        running_emulator() as one,
        running_emulator() as other,
        EmulatorClient(one.url) as here,
        EmulatorClient(other.url) as there,
    ):
        await here.say("alice", GENERAL, "hello")
        assert len(await here.history(GENERAL)) == 1
        assert await there.history(GENERAL) == []


def test_a_port_in_use_gets_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == (
        f"Port {port} is in use: end the program that has it, or choose another with --port.\n"
    )


@pytest.mark.parametrize("argv", [["--port", "many"], ["--port", "70000"], ["--sing"]])
def test_wrong_arguments_end_with_status_2(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert "usage" in capsys.readouterr().err


def test_another_machines_address_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "192.0.2.1", "--port", "0"]) == 1
    assert "this machine only" in capsys.readouterr().err


async def test_the_command_prints_its_url_and_ends_when_stopped() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "slack_emulator", "--port", "0", "--notice", "A tiny model."),
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            url = (await process.stdout.readline()).decode().split()[-1]
            async with EmulatorClient(url) as client:
                assert (await client.as_app("auth.test"))["user"] == "threadpilot"
            process.send_signal(signal.SIGTERM)
            await process.stdout.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_page_allows_no_other_script(client: EmulatorClient) -> None:
    async with client.http.get(f"{client.url}/") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["none.js", "..%2fserver.py", "__init__.py"])
async def test_only_the_pages_files_are_served(client: EmulatorClient, name: str) -> None:
    async with client.http.get(f"{client.url}/page/{name}") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Host": "["}]
)
async def test_pages_of_other_sites_cannot_reach_it(
    client: EmulatorClient, headers: dict[str, str]
) -> None:
    async with client.http.post(f"{client.url}/sandbox/reset", headers=headers) as answer:
        assert answer.status in (400, 403)
    await client.say("alice", GENERAL, "still here")
