"""Runs the echo app by Node, as its developer would, and shows its output if it fails."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.conformance.http_client import APP, BOT, SIGNING_SECRET

APP_FOLDER = Path(__file__).parent / "echo-app"
PACKAGES = Path(__file__).parents[2] / ".venv" / "conformance" / "node_modules"
START_SECONDS = 30.0
NOT_INSTALLED = "@slack/bolt is not installed for the tests: run `make setup-tests`."


class EchoApp:
    """The running app; `ready` is the line that it printed when it was ready."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self.ready = ""

    async def started(self) -> None:
        """Wait for the app's first line. Raises AssertionError with its output if there is none."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(START_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        self.ready = line.decode().strip()
        assert self.ready, f"the echo app did not start:\n{self.output}"

    async def listen(self) -> None:
        """Collect what the app writes to standard error, until it ends."""
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._lines.append(line.decode(errors="replace"))

    @property
    def output(self) -> str:
        """The output of the app on standard error so far."""
        return "".join(self._lines) or "(it wrote nothing)"

    @property
    def port(self) -> int:
        """The port on which the app listens for signed requests."""
        return int(self.ready.rsplit(" ", 1)[-1])

    async def end(self) -> None:
        """Kill the app, and wait until it and its pipes are closed."""
        assert self._process.stdout is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._process.stdout.read()


@asynccontextmanager
async def echo_app(api_url: str, mode: str) -> AsyncIterator[EchoApp]:
    """The echo app, connected by Socket Mode or listening for signed HTTP, until the context
    ends."""
    node = shutil.which("node")
    assert node is not None, NOT_INSTALLED
    assert (PACKAGES / "@slack" / "bolt").is_dir(), NOT_INSTALLED
    process = await asyncio.create_subprocess_exec(
        node,
        str(APP_FOLDER / "app.js"),
        env={
            "PATH": os.environ["PATH"],
            "NODE_PATH": str(PACKAGES),
            "SLACK_API_URL": api_url,
            "SLACK_MODE": mode,
            "SLACK_BOT_TOKEN": BOT,
            "SLACK_APP_TOKEN": APP,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    app = EchoApp(process)
    stderr_task = asyncio.create_task(app.listen())
    try:
        await app.started()
        try:
            yield app
        except BaseException as failure:
            failure.add_note(f"The echo app wrote:\n{app.output}")
            raise
    finally:
        await app.end()
        await stderr_task
