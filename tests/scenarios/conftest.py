"""The whole bot in a Slack workspace on localhost: everything real but Slack and the model."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import yaml

from bot.app import Bot, running
from bot.config import Settings
from bot.ports import Clock
from bot.sandbox.server import Sandbox, running_sandbox
from tests.sandbox_client import GENERAL, SIGNING_SECRET, SandboxClient
from tests.scripted_model import Answer, ScriptedModel

MANIFEST = Path(__file__).parents[2] / "manifest.yml"


def the_app_of(manifest: Path) -> dict[str, object]:
    """What a manifest asks Slack for, as the sandbox takes it."""
    asked = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    return {
        "scopes": asked["oauth_config"]["scopes"]["bot"],
        "subscriptions": asked["settings"]["event_subscriptions"]["bot_events"],
        "commands": asked["features"]["slash_commands"],
        "shortcuts": asked["features"]["shortcuts"],
    }


class Scene(SandboxClient):
    """The people's side of the workspace, with what scenarios look at again and again."""

    async def shows(self, channel: str, thread_ts: str, text: str) -> bool:
        """Whether the bot shows `text` somewhere in the thread just now."""
        return any(text in shown for shown in await self.bot_texts(channel, thread_ts))

    async def until_shown(
        self, channel: str, thread_ts: str, text: str, timeout: float = 30.0
    ) -> None:
        """Wait until the bot shows `text` in the thread."""
        await self.wait_for(
            lambda: self.shows(channel, thread_ts, text), timeout, f"the thread shows {text!r}"
        )

    async def marks(self, channel: str, ts: str) -> list[str]:
        """The names of the reactions on a message."""
        found = await self.call("alice", "reactions.get", channel=channel, timestamp=ts)
        return [reaction["name"] for reaction in found["message"].get("reactions", [])]

    async def until_marked(self, channel: str, ts: str) -> None:
        """Wait until a message is shown as waiting."""
        await self.wait_for(lambda: self.marks(channel, ts), why=f"{ts} is shown as waiting")

    async def until_unmarked(self, channel: str, ts: str) -> None:
        """Wait until a message is no longer shown as waiting."""

        async def unmarked() -> bool:
            return await self.marks(channel, ts) == []

        await self.wait_for(unmarked, why=f"{ts} is no longer shown as waiting")

    async def until_whispered(self, person: str, times: int = 1) -> str:
        """Wait until the bot has told a person something; the last of it."""

        async def told() -> str | None:
            whispers = await self.ephemeral(person)
            return str(whispers[-1]["text"]) if len(whispers) >= times else None

        return await self.wait_for(told, why=f"{person} is told something")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def slack(sandbox: Sandbox) -> AsyncIterator[Scene]:
    """The app is installed as the manifest says: the scenarios get by with what it asks for."""
    async with Scene(sandbox.url) as slack:
        await slack.app(**the_app_of(MANIFEST))
        yield slack


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel() as model:
        yield model


def environment(sandbox: Sandbox, model: ScriptedModel, data_dir: Path) -> dict[str, str]:
    """What it takes to be a whole bot."""
    return {
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_APP_TOKEN": "xapp-sandbox",
        "SLACK_API_URL": sandbox.api_url,
        "MODEL_BASE_URL": model.url,
        "DATA_DIR": str(data_dir),
        "SHUTDOWN_SECONDS": "5",
    }


@pytest.fixture
def env(sandbox: Sandbox, model: ScriptedModel, tmp_path: Path) -> dict[str, str]:
    """The environment of the test's bot; the test may change it before the bot starts."""
    return environment(sandbox, model, tmp_path / "data")


class Bots:
    """Starts bots, one after another, and stops what a test leaves running."""

    def __init__(self, env: dict[str, str], slack: Scene) -> None:
        self.env = env
        self._slack = slack
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def running(self, clock: Clock | None = None) -> AsyncIterator[Bot]:
        settings = Settings.from_env(self.env)
        async with running(settings, clock=clock) as bot:
            if settings.slack_mode == "http":
                port = settings.http_port
                await self._slack.app(request_url=f"http://127.0.0.1:{port}/slack/events")
            yield bot

    async def start(self, clock: Clock | None = None) -> Bot:
        """A bot that lives until the test ends."""
        return await self._stack.enter_async_context(self.running(clock))

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def bots(env: dict[str, str], slack: Scene) -> AsyncIterator[Bots]:
    bots = Bots(env, slack)
    try:
        yield bots
    finally:
        await bots.close()


async def a_busy_thread(bots: Bots, slack: Scene, model: ScriptedModel) -> str:
    """Alice's thread, in which the bot is in the middle of an answer, "one done", that goes on when
    the model is released."""
    model.when("first", Answer(chunks=["one ", "done"], hold_after=1))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    return ts


@pytest.fixture(params=["socket", "http"])
def door(request: pytest.FixtureRequest, env: dict[str, str]) -> str:
    """Both ways in: a test that asks for this runs once with each."""
    mode = str(request.param)
    if mode == "http":
        env.update(
            SLACK_MODE="http",
            SLACK_APP_TOKEN="",
            SLACK_SIGNING_SECRET=SIGNING_SECRET,
            HTTP_PORT=str(a_free_port()),
        )
    return mode


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
