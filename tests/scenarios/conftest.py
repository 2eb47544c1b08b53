"""Fixtures with the whole bot in a Slack workspace on localhost: only Slack and the model are not
real."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from bot.app import Bot, open_bot
from bot.config.settings import Settings
from bot.ports import Clock
from bot.turns.prompt import QUESTION
from slack_emulator.server import RunningEmulator, running_emulator
from tests.emulator_client import GENERAL, PEOPLE, SIGNING_SECRET, EmulatorClient, Json
from tests.scripted_model import Answer, ScriptedModel

MANIFEST = Path(__file__).parents[2] / "manifest.yml"


def app_config_of(manifest: Path) -> dict[str, object]:
    """The app configuration of a manifest, in the emulator's form."""
    manifest_data = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    return {
        "scopes": manifest_data["oauth_config"]["scopes"]["bot"],
        "subscriptions": manifest_data["settings"]["event_subscriptions"]["bot_events"],
        "commands": manifest_data["features"]["slash_commands"],
        "shortcuts": manifest_data["features"]["shortcuts"],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyAction:
    """A button or an entry of a menu under a message."""

    ts: str
    command_name: str
    block: str
    action: str
    value: str | None
    """The value of a menu's entry; None for a button."""
    label: str


def reply_actions_in(message: Json) -> list[ReplyAction]:
    """All buttons and menu entries with a command under a message."""
    found = []
    for block in message.get("blocks", []):
        for element in [*block.get("elements", []), block.get("accessory") or {}]:
            several = element.get("options")
            for one in [element] if several is None else several:
                value = one.get("value", "")
                if not value.startswith("{"):
                    continue
                found.append(
                    ReplyAction(
                        ts=message["ts"],
                        command_name=json.loads(value)["v"],
                        block=block["block_id"],
                        action=element["action_id"],
                        value=None if several is None else value,
                        label=one["text"]["text"],
                    )
                )
    return found


def text_of(shown: Json) -> str:
    """Every readable text on a card or a page, including the labels of its buttons."""
    return "\n".join(_texts(shown.get("blocks") or [])) or str(shown.get("text", ""))


def _texts(part: object) -> Iterator[str]:
    match part:
        case {"text": str(text)}:
            yield text
        case dict():
            yield from (text for each in part.values() for text in _texts(each))
        case list():
            yield from (text for each in part for text in _texts(each))


def full_text_of(message: Json) -> str:
    """Every text of a message or a view, including the values of its buttons."""
    texts = [str(message.get("text", ""))]
    waiting: list[object] = [message.get("blocks", [])]
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, dict):
            waiting[:0] = part.values()
        elif isinstance(part, list):
            waiting[:0] = part
        elif isinstance(part, str):
            texts.append(part)
    return "\n".join(texts)


class ScenarioClient(EmulatorClient):
    """The users' side of the workspace, with the checks that many scenarios need."""

    async def shows(self, channel: str, thread_ts: str, text: str) -> bool:
        """True if the bot shows `text` in the thread now."""
        return any(text in shown for shown in await self.bot_texts(channel, thread_ts))

    async def until_shown(
        self, channel: str, thread_ts: str, text: str, timeout: float = 30.0
    ) -> None:
        """Wait until the bot shows `text` in the thread."""
        await self.wait_for(
            lambda: self.shows(channel, thread_ts, text), timeout, f"the thread shows {text!r}"
        )

    async def reply_action(
        self, channel: str, thread_ts: str, command_name: str, n: int = -1
    ) -> ReplyAction:
        """The button or menu entry of a command under the bot's messages in a thread: the last one,
        or the one with the index `n`."""

        async def found() -> ReplyAction | None:
            messages = await self.bot_messages(channel, thread_ts)
            actions = [
                action
                for message in messages
                for action in reply_actions_in(message)
                if action.command_name == command_name
            ]
            return actions[n] if len(actions) > (n if n >= 0 else 0) else None

        return await self.wait_for(found, why=f"a reply has {command_name!r} under it")

    async def press_reply_action(self, person: str, channel: str, action: ReplyAction) -> None:
        """Press a button or choose a menu entry."""
        await self.press(
            person, channel, action.ts, action.action, block_id=action.block, value=action.value
        )

    async def ephemeral_after_message(
        self, person: str, channel: str, thread_ts: str, text: str, times: int | None = None
    ) -> str:
        """Send a command in a thread and wait for the ephemeral message to its author."""
        before = len(await self.ephemeral(person)) if times is None else times - 1
        await self.say(person, channel, text, thread_ts=thread_ts)
        return await self.wait_for_ephemeral(person, before + 1)

    async def start_thread(self, person: str, *questions: str, channel: str = GENERAL) -> str:
        """Start a thread with these questions and wait for an answer to each; return its `ts`."""
        ts = await self.say(person, channel, f"@threadpilot {questions[0]}")
        await self.wait_until_answered(channel, ts, person=person)
        for number, question in enumerate(questions[1:], start=2):
            await self.say(person, channel, question, thread_ts=ts)
            await self.wait_until_answered(channel, ts, n=number, person=person)
        return ts

    async def files_of(self, person: str) -> list[tuple[str, str]]:
        """Name and content of the files in a user's direct messages with the bot, oldest first."""
        direct = await self.dm(person)
        found = []
        for message in reversed(await self.history(direct, person)):
            for file in message.get("files", []):
                headers = {"Authorization": f"Bearer xoxp-{person}"}
                async with self.http.get(file["url_private"], headers=headers) as answer:
                    assert answer.status == 200
                    found.append((str(file["name"]), (await answer.read()).decode()))
        return found

    async def ephemeral_after(self, person: str, action: Awaitable[object]) -> Json:
        """The card that the user alone is shown after an action."""
        before = len(await self.ephemeral(person))
        await action
        await self.wait_for_ephemeral(person, before + 1)
        return (await self.ephemeral(person))[before]

    async def home_tab_of(self, person: str) -> Json:
        """The Home tab of a user as the bot published it last."""
        pages: list[Json] = [
            call["answer"]["view"]
            for call in await self.calls("views.publish")
            if call["arguments"]["user_id"] == PEOPLE[person] and (call["answer"] or {}).get("ok")
        ]
        return pages[-1] if pages else {}

    async def wait_for_home_tab_text(self, person: str, text: str) -> Json:
        """Wait until a user's Home tab, as published last, shows `text`; return the view."""

        async def shown() -> Json | None:
            page = await self.home_tab_of(person)
            return page if text in text_of(page) else None

        return await self.wait_for(shown, why=f"the Home tab of {person} shows {text!r}")

    async def card_for(
        self, person: str, channel: str, text: str, thread_ts: str | None = None
    ) -> Json:
        """Give a command, in a thread by message and elsewhere by slash command, and wait for the
        card that the user alone is shown."""
        before = len(await self.ephemeral(person))
        if thread_ts is None:
            await self.command(person, channel, "/copilot", text)
        else:
            await self.say(person, channel, text, thread_ts=thread_ts)
        await self.wait_for_ephemeral(person, before + 1)
        return (await self.ephemeral(person))[-1]

    async def wait_for_ephemeral_text(self, person: str, text: str, timeout: float = 20.0) -> Json:
        """Wait until a message or an updated card that the user alone is shown has `text`; return
        the message."""

        async def found() -> Json | None:
            fitting = [each for each in await self.ephemeral(person) if text in full_text_of(each)]
            return fitting[-1] if fitting else None

        return await self.wait_for(found, timeout, f"{person} is shown {text!r}")

    async def wait_for_dm_text(self, person: str, text: str, timeout: float = 30.0) -> Json:
        """Wait until the bot shows `text` in the direct messages with a user; return the
        message."""
        channel = await self.dm(person)

        async def shown() -> Json | None:
            fitting = [m for m in await self.history(channel, person) if text in full_text_of(m)]
            return fitting[0] if fitting else None

        return await self.wait_for(shown, timeout, f"{person} is shown {text!r} directly")

    async def until_idle(self, bot: Bot) -> None:
        """Wait until no turn runs: an answer is shown a moment before its turn is recorded as
        done."""

        async def idle() -> bool:
            return bot.inbox.running_count == 0

        await self.wait_for(idle, 20.0, "no turn runs")

    async def wait_for_published_home_text(self, person: str, text: str) -> Json:
        """Wait until a user's opened Home tab shows `text`; return the view.

        The tab is not opened for that, because the bot would then render it again.
        """

        async def shown() -> Json | None:
            published = [
                call["answer"]["view"]
                for call in await self.calls("views.publish")
                if call["status"] == 200
                and call["answer"]["ok"]
                and call["arguments"]["user_id"] == PEOPLE[person]
            ]
            return published[-1] if published and text in full_text_of(published[-1]) else None

        return await self.wait_for(shown, 20.0, f"{person}'s Home tab shows {text!r}")

    async def ask_in_new_thread(self, person: str, text: str, channel: str = GENERAL) -> str:
        """Ask the bot in a new thread and wait for the answer; return the thread's `ts`."""
        ts = await self.say(person, channel, f"@threadpilot {text}")
        await self.wait_until_answered(channel, ts, person=person)
        return ts

    async def reactions(self, channel: str, ts: str) -> list[str]:
        """The names of the reactions on a message."""
        found = await self.call("alice", "reactions.get", channel=channel, timestamp=ts)
        return [reaction["name"] for reaction in found["message"].get("reactions", [])]

    async def wait_until_reaction_set(self, channel: str, ts: str) -> None:
        """Wait until a message is shown as waiting."""
        await self.wait_for(lambda: self.reactions(channel, ts), why=f"{ts} is shown as waiting")

    async def wait_until_reaction_cleared(self, channel: str, ts: str) -> None:
        """Wait until a message is no longer shown as waiting."""

        async def unmarked() -> bool:
            return await self.reactions(channel, ts) == []

        await self.wait_for(unmarked, why=f"{ts} is no longer shown as waiting")

    async def wait_for_ephemeral(self, person: str, times: int = 1) -> str:
        """Wait until the bot has sent a user an ephemeral message; return the text of the last
        one."""

        async def latest() -> str | None:
            messages = await self.ephemeral(person)
            return str(messages[-1]["text"]) if len(messages) >= times else None

        return await self.wait_for(latest, why=f"{person} gets an ephemeral message")


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    async with running_emulator() as emulator:
        yield emulator


@pytest.fixture
async def slack(emulator: RunningEmulator) -> AsyncIterator[ScenarioClient]:
    """The client of a workspace with the app as the manifest describes it: its scopes are
    enough."""
    async with ScenarioClient(emulator.url) as slack:
        await slack.app(**app_config_of(MANIFEST))
        yield slack


def question_of(prompt: str) -> str:
    """The question of a prompt, without the quoted context."""
    return prompt.rpartition(f"{QUESTION}\n")[2]


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel() as model:
        model.default = Answer(lambda request: f"You said: {question_of(request.prompt)}")
        yield model


def environment(emulator: RunningEmulator, model: ScriptedModel, data_dir: Path) -> dict[str, str]:
    """The settings of a whole bot."""
    return {
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_APP_TOKEN": "xapp-sandbox",
        "SLACK_API_URL": emulator.api_url,
        "MODEL_BASE_URL": model.url,
        "DATA_DIR": str(data_dir),
        "SHUTDOWN_SECONDS": "5",
    }


@pytest.fixture
def env(emulator: RunningEmulator, model: ScriptedModel, tmp_path: Path) -> dict[str, str]:
    """The environment of the test's bot; the test may change it before the bot starts."""
    return environment(emulator, model, tmp_path / "data")


class Bots:
    """Starts bots one after another, and stops those that still run at the end of the test."""

    def __init__(self, env: dict[str, str], slack: ScenarioClient) -> None:
        self.env = env
        self._slack = slack
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def running(self, clock: Clock | None = None) -> AsyncIterator[Bot]:
        settings = Settings.from_env(self.env)
        async with open_bot(settings, clock=clock) as bot:
            if settings.slack_mode == "http":
                port = settings.http_port
                await self._slack.app(request_url=f"http://127.0.0.1:{port}/slack/events")
            yield bot

    async def start(self, clock: Clock | None = None) -> Bot:
        """Start a bot that runs until the test ends."""
        self.bot = await self._stack.enter_async_context(self.running(clock))
        return self.bot

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture
async def bots(env: dict[str, str], slack: ScenarioClient) -> AsyncIterator[Bots]:
    bots = Bots(env, slack)
    try:
        yield bots
    finally:
        await bots.close()


async def start_busy_thread(bots: Bots, slack: ScenarioClient, model: ScriptedModel) -> str:
    """Alice's thread in the middle of an answer, "one done", which continues when the model is
    released."""
    model.when("first", Answer(chunks=["one ", "done"], hold_after=1))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    return ts


@pytest.fixture(params=["socket", "http"])
def transport(request: pytest.FixtureRequest, env: dict[str, str]) -> str:
    """Both transports: a test with this fixture runs once with each."""
    mode = str(request.param)
    if mode == "http":
        env.update(
            SLACK_MODE="http",
            SLACK_APP_TOKEN="",
            SLACK_SIGNING_SECRET=SIGNING_SECRET,
            HTTP_PORT=str(free_port()),
        )
    return mode


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
