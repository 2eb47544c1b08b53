"""Replies of the bot in a real emulator over real HTTP; the test takes the place of a model."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import aiohttp

from bot.domain.messages import Message, ThreadKey, Trigger
from bot.domain.turns import ReplyPart, Turn, TurnState
from bot.ports import Clock
from bot.slack.api.calls import ApiCaller
from bot.slack.api.client import SlackClient, make_client
from bot.slack.workspace import SlackWorkspace
from tests.conformance.http_client import (
    ALICE,
    BOT,
    GENERAL,
    TEAM,
    Json,
    Outside,
    emulator_over_http,
)
from tests.emulator_client import shown_text
from tests.fakes import ManualClock, QuickClock
from tests.integration.slack.receiver import IDENTITY

ALICE_ID = "UALICE"
ONE = frozenset({ALICE_ID})
SEVERAL = frozenset({ALICE_ID, "UBOB"})

_ids = itertools.count(1)


@dataclass
class ReplyFixture:
    """A bot and an emulator for a test."""

    outside: Outside
    session: aiohttp.ClientSession
    clock: Clock
    saved_parts: dict[int, dict[int, ReplyPart]] = field(default_factory=dict)
    """The saved parts, by turn and number."""
    workspace: SlackWorkspace = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The bot after a restart: it knows only what was saved."""
        web = make_client(BOT, f"{self.outside.url}/api/", self.session)
        client = SlackClient(web, ApiCaller(self.clock))
        self.workspace = SlackWorkspace(client, self.clock, self._save_part, identity=IDENTITY)

    async def _save_part(self, turn: Turn, part: ReplyPart) -> None:
        self.saved_parts.setdefault(turn.id, {})[part.number] = part

    def parts(self, turn: Turn) -> Sequence[ReplyPart]:
        return sorted(self.saved_parts.get(turn.id, {}).values(), key=lambda part: part.number)

    async def start_turn(self, channel: str = GENERAL, token: str = ALICE) -> Turn:
        """A user's question, as a running turn."""
        ts = await self.outside.say(token, channel, "a question")
        message = Message(
            event_id=f"Ev{next(_ids)}",
            thread=ThreadKey(team=TEAM, channel=channel, root_ts=ts),
            ts=ts,
            user=ALICE_ID,
            user_team=TEAM,
            text="a question",
            trigger=Trigger.MENTION,
        )
        return Turn(id=next(_ids), message=message, state=TurnState.RUNNING, epoch=1)

    async def fault(self, method: str, kind: str, times: int = 1, **more: object) -> None:
        await self.outside.control(
            "faults", {"method": method, "kind": kind, "times": times, **more}
        )

    async def no_faults(self) -> None:
        """Slack works again."""
        async with self.outside.http.delete(f"{self.outside.url}/sandbox/faults") as answer:
            assert answer.status == 200

    async def messages(self, turn: Turn) -> list[Json]:
        """The bot's messages in the turn's thread, oldest first."""
        thread = turn.message.thread
        response = await self.outside.act(
            "conversations.replies",
            ALICE,
            channel=thread.channel,
            ts=thread.root_ts,
            include_all_metadata=True,
            limit=1000,
        )
        return [message for message in response["messages"] if message.get("bot_id")]

    async def texts(self, turn: Turn) -> list[str]:
        return [shown_text(message) for message in await self.messages(turn)]

    async def wait_until_delivered(
        self, answers: Sequence[asyncio.Task[None]], clock: ManualClock, *, most_seconds: int
    ) -> None:
        """Let the time of the bot and of Slack pass until all answers are delivered, for at most
        `seconds`."""
        for _ in range(most_seconds):
            await clock.advance(1.0)
            await self.outside.advance(1.0)
            await asyncio.sleep(0.01)
            if all(task.done() for task in answers):
                break
        await asyncio.gather(*answers)

    async def methods(self) -> list[str]:
        """The app's calls in order, by method."""
        listed = await self.outside.control("calls")
        return [str(call["method"]) for call in listed]


def rerun_of(turn: Turn) -> Turn:
    """The turn as it is claimed after a restart."""
    return replace(turn, epoch=turn.epoch + 1)


@asynccontextmanager
async def reply_fixture(clock: Clock | None = None) -> AsyncIterator[ReplyFixture]:
    """A fresh emulator and a bot that can reply in it."""
    async with emulator_over_http() as outside, aiohttp.ClientSession() as session:
        yield ReplyFixture(outside, session, clock or QuickClock())
