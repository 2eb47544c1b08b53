"""Who the gateway tells in these tests: somebody who writes down what he hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from slack_sdk.web.async_client import AsyncWebClient

from bot.access import texts as access_texts
from bot.access.policy import Access, Doorkeeping
from bot.clock import SystemClock
from bot.domain.commands import OpenQuestion
from bot.domain.messages import Message
from bot.domain.turns import Acceptance, Accepted, Turn, TurnState
from bot.errors import StoreError
from bot.ports import People
from bot.slack.api.calls import Calls
from bot.slack.api.client import Client
from bot.slack.cards.home_tab import Home
from bot.slack.events.parser import Deleted, Edited, HomeOpened, Stopped
from bot.slack.gateway import adapters
from bot.slack.identity import Identity
from bot.slack.interactions.ask import Asking
from bot.slack.interactions.command_runner import OrderCounter
from bot.slack.interactions.listeners import Controls
from bot.slack.interactions.modals import Actions
from bot.slack.interactions.question_outbox import Book, Questions
from bot.slack.interactions.slash_command import Commands
from bot.slack.receiver import Callbacks, Intake
from bot.tasks import Background
from tests.integration.slack.interactions.command_runner import Recorder

US = Identity(team="T0SANDBOX", user="U0PILOT", bot="B0PILOT", name="threadpilot")


class Ears:
    """Keeps what is heard; `failing` makes the next so many messages impossible to record,
    `answering` makes a turn of each."""

    def __init__(self) -> None:
        self.heard: list[Message | Edited | Deleted | Stopped] = []
        self.opened: list[HomeOpened] = []
        """Whose direct messages with the bot were opened."""
        self.failing = 0
        self.answering = False
        self.attempts = 0
        self._turns: set[tuple[str, str]] = set()
        self.released = asyncio.Event()
        self.released.set()
        self._changed = asyncio.Condition()

    @property
    def messages(self) -> list[Message]:
        return [fact for fact in self.heard if isinstance(fact, Message)]

    @property
    def callbacks(self) -> Callbacks:
        return Callbacks(
            on_message=self._on_message,
            on_edited=self._on_edited,
            on_deleted=self._hear,
            on_stopped=self._hear,
            on_direct_opened=self.opened.append,
        )

    async def until(self, holds: Callable[[Ears], bool], seconds: float = 10.0) -> None:
        """Wait until what has been heard is enough; fails after `seconds`."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: holds(self))

    async def until_attempted(self, times: int) -> None:
        """Wait until so many messages have been brought, whether they can be kept or not."""
        await self.until(lambda ears: ears.attempts >= times)

    async def _on_message(self, message: Message) -> Accepted:
        self.attempts += 1
        await self._tell()
        await self.released.wait()
        if self.failing:
            self.failing -= 1
            await self._tell()
            raise StoreError("the disk is full")
        seen = {(known.thread.channel, known.ts) for known in self.messages}
        if (message.thread.channel, message.ts) in seen:
            await self._tell()
            return Accepted(acceptance=Acceptance.REPEATED)
        await self._hear(message)
        if not self.answering:
            return Accepted(acceptance=Acceptance.OVERHEARD)
        self._turns.add((message.thread.channel, message.ts))
        turn = Turn(id=self.attempts, message=message, state=TurnState.WAITING, epoch=0)
        return Accepted(acceptance=Acceptance.SCHEDULED, turn=turn)

    async def _on_edited(self, edited: Edited) -> bool:
        await self._hear(edited)
        return (edited.channel, edited.ts) in self._turns

    async def _hear(self, fact: Message | Edited | Deleted | Stopped) -> None:
        self.heard.append(fact)
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Notebook:
    """Keeps the questions that are on their way, as long as the test lasts."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears
        self._kept: dict[str, OpenQuestion] = {}

    async def note_question(self, question: OpenQuestion) -> bool:
        if question.event_id in {message.event_id for message in self._ears.messages}:
            return False
        return self._kept.setdefault(question.event_id, question) is question

    async def drop_question(self, event_id: str) -> None:
        self._kept.pop(event_id, None)

    async def open_questions(self) -> Sequence[OpenQuestion]:
        return tuple(self._kept.values())


class WithoutLimits:
    """Answers everybody whom the bot answers where nothing is set, as often as they like."""

    def __init__(self, people: People) -> None:
        self._access = Access(people, Doorkeeping())

    async def closed_to(self, user: str, channel: str, *, external: bool) -> str:
        person = await self._access.person_now(user)
        out = await self._access.shut_out(person, channel, external=external)
        return "" if out is None else access_texts.KEPT_OUT[out]


def intake_for(
    ears: Ears,
    background: Background,
    record_seconds: float = 10.0,
    desk: Recorder | None = None,
) -> Intake:
    """An intake that has no Slack to call: for what needs none."""
    web = AsyncWebClient(token="xoxb-sandbox", base_url="http://127.0.0.1:9/api/", timeout=2)
    desk, clock = desk or Recorder(), SystemClock()
    client = Client(web, Calls(clock))
    slack = adapters(client, US, clock)
    gate = WithoutLimits(slack.people)
    book = Book(store=Notebook(ears), clock=clock)
    questions = Questions(client, US, ears.callbacks.on_message, book, gate)
    asking = Asking(US, questions, book, background, gate)
    orders = OrderCounter(desk, slack.board, clock)
    home = Home(client, slack.board.links, desk.home)
    return Intake(
        client,
        US,
        ears.callbacks,
        background,
        Controls(
            client,
            US,
            background,
            Commands(US, slack.people, asking, orders, desk.known),
            Actions(client, asking),
            orders,
            home,
        ),
        home,
        record_seconds,
    )
