"""Runs `threadpilot demo`: the bot in a Slack workspace on localhost, with a small local model.

It needs no account. The Slack emulator runs in this process. The model and the bot are child
processes, and the bot runs exactly as with `threadpilot run`. Ctrl-C ends all of them, in reverse
order of their start.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bot.config.settings import SETTINGS
from bot.demo import local_model
from bot.demo.processes import READY_SECONDS, ChildProcess, DemoProcessError, run_process
from bot.slack import texts as slack_texts
from bot.slack.manifest import ASK_ABOUT_MESSAGE, BOT_EVENTS, SCOPES, SLASH_COMMAND
from slack_emulator.server import EmulatorError, RunningEmulator, running_emulator
from slack_emulator.state.entities import APP_TOKEN, BOT_TOKEN

PORT: Final = 8787
DATA_DIR: Final = Path("data/demo")
CUSTOM_MODEL_ANSWER_TOKENS: Final = 1_500
"""Maximum length of an answer of the user's own GGUF model, in tokens. Such a model probably ends
its answers by itself."""

# Texts for the terminal and the page ------------------------------------------------------------

STARTING_MODEL: Final = "Starting the model …"
STARTING_BOT: Final = "Starting the bot …"
READY: Final = """
Threadpilot's demo is ready:  {url}
Type in #general:             @threadpilot what is Python?
{model}
To stop it:                   Ctrl-C   (logs and memory are kept in {data})
"""
STOPPING: Final = "Stopping …"
STOPPED: Final = "Stopped."
PORT_IN_USE: Final = (
    "Port {port} is in use, perhaps by another demo. Stop that one, or choose another port: "
    "`make demo PORT={other}`."
)
NO_FOLDER: Final = (
    "The demo's folder {folder} cannot be created ({why}). Choose another: "
    "`threadpilot demo --data FOLDER`."
)
NO_SUCH_GGUF: Final = "There is no GGUF model file {file}."
NOT_INSTALLED: Final = (
    "The demo's small model is not installed. Run `make setup`; or start the demo with "
    "GITHUB_TOKEN or MODEL_BASE_URL set."
)
MODEL_ALONE: Final = (
    "MODEL is set, but not where the model runs: set GITHUB_TOKEN or MODEL_BASE_URL as well. "
    "The demo uses its own model."
)
_BETTER_MODEL_HINT: Final = (
    "For a better one, stop the demo and start it again with GITHUB_TOKEN set (your Copilot plan's "
    "models), or MODEL_BASE_URL, MODEL_API_KEY and MODEL (any OpenAI-compatible server), or with "
    "make demo GGUF=your-model.gguf."
)
TINY_NOTICE: Final = (
    "Everything here runs on this machine. The model is tiny (SmolLM2, 135 million parameters): "
    "it shows how the bot works, and many of its answers are wrong. " + _BETTER_MODEL_HINT
)
OWN_NOTICE: Final = "The Slack workspace, the bot and the model {name} run on this machine."
CONFIGURED_NOTICE: Final = (
    "The Slack workspace and the bot run on this machine; answers come from the model that you "
    "configured."
)
TINY_SUMMARY: Final = "The model is tiny; the page says how to plug in a better one."


class DemoError(Exception):
    """The demo cannot start. The text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoModel:
    """The model of the demo."""

    notice: str
    summary: str
    """A short form of the notice, for the terminal."""
    gguf: Path | None = None
    """The file to serve, or None for a model on another server."""
    max_answer_tokens: int = local_model.MAX_ANSWER_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A running demo."""

    url: str
    """The address of the emulator's page."""
    processes: tuple[ChildProcess, ...]


def main(argv: Sequence[str]) -> int:
    """Run the demo until it is stopped. Returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        model = select_model(os.environ, arguments.gguf)
        return asyncio.run(_run_until_stopped(arguments.port, model, arguments.data))
    except (DemoError, DemoProcessError, EmulatorError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def select_model(env: Mapping[str, str], gguf: Path | None) -> DemoModel:
    """The user's own file, else the model of the settings, else the small model.

    Raises `DemoError` if the file is not GGUF, or the small model is not installed.
    """
    gguf = gguf or (Path(env["DEMO_GGUF"]) if env.get("DEMO_GGUF") else None)
    if gguf is not None:
        if not local_model.is_gguf(gguf):
            raise DemoError(NO_SUCH_GGUF.format(file=gguf))
        notice = OWN_NOTICE.format(name=gguf.stem)
        return DemoModel(
            notice=notice,
            summary=notice,
            gguf=gguf.absolute(),
            max_answer_tokens=CUSTOM_MODEL_ANSWER_TOKENS,
        )
    if env.get("GITHUB_TOKEN") or env.get("MODEL_BASE_URL"):
        return DemoModel(notice=CONFIGURED_NOTICE, summary=CONFIGURED_NOTICE)
    bundled = local_model.find_bundled_gguf()
    if bundled is None:
        raise DemoError(NOT_INSTALLED)
    summary = MODEL_ALONE if env.get("MODEL") else TINY_SUMMARY
    return DemoModel(notice=TINY_NOTICE, summary=summary, gguf=bundled)


@asynccontextmanager
async def run_demo(
    port: int, model: DemoModel, data: Path, env: Mapping[str, str]
) -> AsyncIterator[Demo]:
    """Start everything and wait until it is ready. The end of the block stops it in reverse order.

    Port 0 uses any free port. Raises `DemoError`, `EmulatorError` or `DemoProcessError`, each with
    a text that says what to do.
    """
    _check_port_free(port)
    data = _make_data_folder(data)
    async with AsyncExitStack() as stack:
        emulator = await stack.enter_async_context(running_emulator(port, notice=model.notice))
        await _install_app(emulator)
        processes = []
        settings = _bot_settings(env, emulator.api_url, data)
        if model.gguf is not None:
            print(STARTING_MODEL, flush=True)
            server, address = await _start_model(stack, model, data, env)
            processes.append(server)
            for name in ("GITHUB_TOKEN", "MODEL_API_KEY", "MODEL"):
                settings.pop(name, None)
            settings["MODEL_BASE_URL"] = address
        print(STARTING_BOT, flush=True)
        processes.append(await _start_bot(stack, {**_without_settings(env), **settings}, data))
        yield Demo(url=f"{emulator.url}/", processes=tuple(processes))


async def _install_app(emulator: RunningEmulator) -> None:
    """Register the app in the emulator as its manifest does in Slack.

    The page offers its commands and shortcuts. The app gets only the scopes and events that it has
    in a real workspace.
    """
    app = {
        "scopes": [*SCOPES],
        "subscriptions": [*BOT_EVENTS],
        "commands": [
            {
                "command": SLASH_COMMAND,
                "description": "Ask a question in a new thread",
                "usage_hint": "[question, or help]",
            }
        ],
        "shortcuts": [{"callback_id": ASK_ABOUT_MESSAGE, "name": slack_texts.ABOUT_SHORTCUT}],
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{emulator.url}/sandbox/app", json=app) as answer,
    ):
        answer.raise_for_status()


async def _run_until_stopped(port: int, model: DemoModel, data: Path) -> int:
    """Run the demo until Ctrl-C, SIGTERM, a closed terminal, or the end of a child process.

    Returns the exit status.
    """
    stop_requested = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    up = asyncio.create_task(_run_and_report(port, model, data))
    end = asyncio.create_task(stop_requested.wait())
    await asyncio.wait({up, end}, return_when=asyncio.FIRST_COMPLETED)
    if not up.done():
        print(f"\n{STOPPING}", flush=True)
        up.cancel()
        await asyncio.wait({up})
    end.cancel()
    if up.cancelled():
        print(STOPPED, flush=True)
        return 0
    up.result()
    return 1


async def _run_and_report(port: int, model: DemoModel, data: Path) -> None:
    """Run the demo until it is cancelled. Raises `DemoProcessError` if a child process ends."""
    async with run_demo(port, model, data, os.environ) as up:
        print(READY.format(url=up.url, model=model.summary, data=data), flush=True)
        ends = [asyncio.create_task(process.wait_exit()) for process in up.processes]
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        raise DemoProcessError(done.pop().result())


async def _start_model(
    stack: AsyncExitStack, model: DemoModel, data: Path, env: Mapping[str, str]
) -> tuple[ChildProcess, str]:
    """Start the model's server. Returns its process and its address."""
    command = [sys.executable, "-m", "bot.demo.local_model", str(model.gguf)]
    process = await stack.enter_async_context(
        run_process(
            "The model",
            [*command, "--answer-tokens", str(model.max_answer_tokens)],
            # Passive: otherwise its threads spin while they wait, and take the bot's core.
            environment={**_without_settings(env), "OMP_WAIT_POLICY": "passive"},
            log=data / "model.log",
        )
    )
    ready = await process.wait_for_output(re.compile(r"^ready (\S+)$", re.MULTILINE), READY_SECONDS)
    return process, ready[1]


async def _start_bot(stack: AsyncExitStack, env: Mapping[str, str], data: Path) -> ChildProcess:
    """Start the bot, connected to the emulator. Returns its process."""
    command = [sys.executable, "-m", "bot", "run"]
    process = await stack.enter_async_context(
        run_process("The bot", command, environment=env, log=data / "bot.log")
    )
    await process.wait_for_output(re.compile(r"\bready\b"), READY_SECONDS)
    return process


def _bot_settings(env: Mapping[str, str], api_url: str, data: Path) -> dict[str, str]:
    """The bot's settings: the emulator's for Slack, the user's for the rest.

    The bot runs in the data folder, so that it does not read the `.env` of a real workspace.
    """
    own = {
        name: env[name] for name in _SETTING_NAMES if name in env and not name.startswith("SLACK_")
    }
    return {
        "SHUTDOWN_SECONDS": "5",  # a user of the demo does not wait longer after Ctrl-C
        **own,
        "SLACK_BOT_TOKEN": BOT_TOKEN,
        "SLACK_APP_TOKEN": APP_TOKEN,
        "SLACK_API_URL": api_url,
        "DATA_DIR": str(data),
    }


_SETTING_NAMES: Final = frozenset(setting.name for setting in SETTINGS)


def _without_settings(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without the bot's settings."""
    return {name: value for name, value in env.items() if name not in _SETTING_NAMES}


def _make_data_folder(data: Path) -> Path:
    """The data folder, which is created if missing. Raises `DemoError` if that fails."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(NO_FOLDER.format(folder=data, why=error.strerror)) from error
    return data.absolute()


def _check_port_free(port: int) -> None:
    """Raise `DemoError` if the port is in use. Called before anything is started."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            other = port + 1 if port < 65_535 else PORT
            raise DemoError(PORT_IN_USE.format(port=port, other=other)) from error


def _port_number(given: str) -> int:
    if not given.isascii() or not given.isdigit() or not 0 <= int(given) <= 65_535:
        raise argparse.ArgumentTypeError("give a whole number from 0 (any free port) to 65535")
    return int(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="threadpilot demo",
        description="The bot in a Slack workspace on localhost, with a small local model.",
    )
    parser.add_argument(
        "--port", type=_port_number, default=PORT, help="the port of the page (%(default)s)"
    )
    parser.add_argument("--gguf", type=Path, help="a GGUF model file of your own")
    parser.add_argument(
        "--data", type=Path, default=DATA_DIR, help="the folder for the demo's data (%(default)s)"
    )
    return parser
