"""Starts the processes of the peers, and waits until each is connected to Slack."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.bare import MODEL
from bench.peers.bolt_sample import READY as BOLT_READY
from bench.programs import START_SECONDS, Program, ProgramError, running
from bench.slack_side import SlackSide
from bot.copilot.install import find_runtime, make_runtime_dirs, runtime_environment
from bot.copilot.options import SYSTEM_PROMPT, RuntimeOptions
from slack_emulator.state.entities import APP_TOKEN, BOT_TOKEN

NOT_INSTALLED: Final = "the Chat SDK is not installed for the bench: run `make setup-bench`"
_SCRIPT: Final = Path(__file__).parent / "chat_sdk" / "bot.mjs"
PACKAGES: Final = Path(sys.prefix) / "share" / "threadpilot" / "peers" / "node_modules"
_CHAT_SDK_READY: Final = "Chat SDK is connected to Slack"


@asynccontextmanager
async def running_bolt_sample(
    slack: SlackSide, model_url: str, folder: Path
) -> AsyncIterator[Program]:
    """The sample on Bolt (`bench.peers.bolt_sample`), connected by Socket Mode."""
    command = (sys.executable, "-m", "bench.peers.bolt_sample", slack.api_url, model_url)
    async with running(*command, str(folder / "data"), log=folder / "bolt.log") as sample:
        await _ready(sample, BOLT_READY)
        yield sample


@asynccontextmanager
async def running_chat_sdk(
    slack: SlackSide, model_url: str, folder: Path
) -> AsyncIterator[Program]:
    """The bot on the Chat SDK (`chat_sdk/bot.mjs`), connected by Socket Mode.

    Raises `ProgramError` if it is not installed.
    """
    node = shutil.which("node")
    if node is None or not PACKAGES.is_dir():
        raise ProgramError(NOT_INSTALLED)
    script = _beside_its_packages(folder)
    env = {
        "SLACK_API_URL": slack.api_url,
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_APP_TOKEN": APP_TOKEN,
        "COPILOT": json.dumps(_copilot(model_url, folder / "data")),
        "NODE_ENV": "production",
    }
    async with running(node, str(script), log=folder / "chat-sdk.log", env=env) as bot:
        await _ready(bot, _CHAT_SDK_READY)
        yield bot


def _beside_its_packages(folder: Path) -> Path:
    """A copy of the script in a folder where Node finds its packages."""
    folder.mkdir(parents=True)
    (folder / "node_modules").symlink_to(PACKAGES)
    return Path(shutil.copy(_SCRIPT, folder))


async def _ready(program: Program, words: str) -> None:
    """Wait for the line that says that it is connected to Slack."""
    line = await program.line(START_SECONDS)
    if line != words:
        raise ProgramError(f"it printed {line!r}; its log:\n{program.log_tail()}")


def _copilot(model_url: str, folder: Path) -> dict[str, object]:
    """The options of `bench.bare.started` and `bench.bare.session_options` for the JavaScript
    SDK."""
    folders = make_runtime_dirs(folder)
    options = RuntimeOptions(data_dir=folder, base_url=model_url)
    return {
        "runtime": str(find_runtime(None)),
        "state": str(folders.state),
        "work": str(folders.work),
        "env": runtime_environment(options, folders, MODEL, os.environ),
        "session": {
            "model": MODEL,
            "provider": {"type": "openai", "baseUrl": model_url},
            "streaming": True,
            "availableTools": [],
            "systemMessage": {"mode": "replace", "content": SYSTEM_PROMPT},
        },
    }
