"""Fixture for load tests: a workspace in which many messages arrive at once.

The bot runs in its own process, so that its memory is measured alone, and on a fast clock.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import aiohttp

from slack_emulator.delivery.http import signature_headers
from slack_emulator.server import running_emulator
from tests.chaos import fast_clock
from tests.chaos.database_reader import DatabaseReader, Row
from tests.chaos.generator import expected_answer, question
from tests.chaos.oracle import OPEN
from tests.chaos.supervised_command import SupervisedCommand
from tests.emulator_client import BOT_USER, PEOPLE, SIGNING_SECRET, Json, shown_text
from tests.scenarios.conftest import (
    MANIFEST,
    ScenarioClient,
    app_config_of,
    environment,
    free_port,
    question_of,
)
from tests.scripted_model import Answer, ScriptedModel

T = TypeVar("T")

LOOK_SECONDS: Final = 0.2
SENDERS: Final = 64
"""Number of deliveries at once, as Slack's own servers send them."""
HOLD_SECONDS: Final = 400.0


class PatientModel(ScriptedModel):
    """Gives the `expected_answer`, and holds an answer for longer than other tests need."""

    def __init__(self) -> None:
        super().__init__()
        self.default = Answer(lambda request: expected_answer(question_of(request.prompt)))
        self.hold_seconds = HOLD_SECONDS


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a user wrote."""

    channel: str
    ts: str
    root_ts: str
    text: str


@dataclass(slots=True)
class Acknowledgements:
    """The bot's responses to Slack's deliveries."""

    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFixture:
    """Users, Slack, the model and a bot."""

    slack: ScenarioClient
    model: PatientModel
    bot: SupervisedCommand
    records: DatabaseReader
    address: str
    """The bot's URL for signed HTTP; empty with Socket Mode."""

    async def ask(
        self, number: int, person: str, channel: str, *, root_ts: str = "", lines: int = 3
    ) -> Question:
        """Write a question; one that begins a thread mentions the bot."""
        text = question(number // 1000, number % 1000, lines)
        message = text if root_ts else f"@threadpilot {text}"
        ts = await self.slack.say(person, channel, message, thread_ts=root_ts or None)
        return Question(channel, ts, root_ts or ts, text)

    async def until(self, look: Callable[[list[Row]], T | None], seconds: float, why: str) -> T:
        """Poll the turns on record until `look` returns a true value, and return it.

        Raises `AssertionError` after `seconds`.
        """
        until = time.monotonic() + seconds
        while not (seen := look(self.records.turns())):
            assert time.monotonic() < until, f"Not so after {seconds:.0f} s: {why}"
            await asyncio.sleep(LOOK_SECONDS)
        return seen

    async def until_settled(self, questions: Iterable[Question], seconds: float) -> list[Row]:
        """Wait until every question has its outcome; return the turns in the same order."""
        expected = list(questions)

        def settled(rows: list[Row]) -> list[Row] | None:
            by_place = {(row.channel, row.ts): row for row in rows if row.state not in OPEN}
            found = [by_place.get((one.channel, one.ts)) for one in expected]
            done = [row for row in found if row is not None]
            return done if len(done) == len(expected) else None

        return await self.until(settled, seconds, f"{len(expected)} questions are settled")

    async def shown(self, thread: Question, person: str = "alice") -> list[str]:
        """The texts of the bot's messages in a thread, oldest first."""
        messages = await self.slack.bot_messages(thread.channel, thread.root_ts, person)
        return [shown_text(message) for message in messages]

    async def deliver(self, payloads: Iterable[Json]) -> Acknowledgements:
        """Send events to the bot by signed HTTP, many at once, and return its responses."""
        waiting, acknowledgements = iter(payloads), Acknowledgements()

        async def send(session: aiohttp.ClientSession) -> None:
            for payload in waiting:
                body = json.dumps(payload).encode()
                headers = signature_headers(body, time.time()) | {
                    "Content-Type": "application/json"
                }
                began = time.monotonic()
                async with session.post(self.address, data=body, headers=headers) as answer:
                    await answer.read()
                acknowledgements.seconds.append(time.monotonic() - began)
                acknowledgements.statuses.append(answer.status)

        connector = aiohttp.TCPConnector(limit=SENDERS)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(send(session) for _ in range(SENDERS)))
        return acknowledgements


@asynccontextmanager
async def load_fixture(
    folder: Path, mode: str = "socket", **settings: str
) -> AsyncIterator[LoadFixture]:
    """A workspace with a bot. The bot keeps to Slack's limits on its own fast clock; the emulator,
    whose clock is the real one, has no limits."""
    async with AsyncExitStack() as opened:
        emulator = await opened.enter_async_context(running_emulator())
        model = await opened.enter_async_context(PatientModel())
        slack = await opened.enter_async_context(ScenarioClient(emulator.url))
        await slack.app(**app_config_of(MANIFEST), limits=False)
        port = free_port()
        env = environment(emulator, model, folder / "data") | {
            "SILENCE_SECONDS": "3600",
            "TURN_SECONDS": "36000",
            **settings,
        }
        if mode == "http":
            env |= {
                "SLACK_MODE": "http",
                "SLACK_SIGNING_SECRET": SIGNING_SECRET,
                "HTTP_PORT": str(port),
            }
        bot = SupervisedCommand(env, folder / "bot.log", fast_clock.main)
        await opened.enter_async_context(bot.kept_running())
        await bot.up()
        yield LoadFixture(
            slack=slack,
            model=model,
            bot=bot,
            records=DatabaseReader(folder / "data"),
            address=f"http://127.0.0.1:{port}/slack/events" if mode == "http" else "",
        )
        await bot.stop()
        assert not bot.faults, bot.faults


_ids = itertools.count(1)


def event(kind: str, channel: str, person: str, ts: str, text: str, thread_ts: str = "") -> Json:
    """An event as Slack sends it when a user has written a message."""
    message = {
        "type": kind,
        "channel": channel,
        "user": PEOPLE[person],
        "team": "T0SANDBOX",
        "ts": ts,
        "text": text.replace("@threadpilot", f"<@{BOT_USER}>"),
    }
    if kind == "message":
        message["channel_type"] = "channel"
    if thread_ts:
        message["thread_ts"] = thread_ts
    return {
        "type": "event_callback",
        "event_id": f"Ev{next(_ids):09}",
        "team_id": "T0SANDBOX",
        "authorizations": [{"team_id": "T0SANDBOX"}],
        "event": message,
    }
