"""Who the gateway tells in these tests: somebody who writes down what he hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from slack_sdk.web.async_client import AsyncWebClient

from bot.access import texts as access_texts
from bot.access.admission import AdmissionCheck
from bot.access.policy import AccessConfig, AccessPolicy
from bot.clock import SystemClock
from bot.domain.commands import PendingQuestion
from bot.domain.messages import Message
from bot.domain.turns import AcceptResult, AcceptStatus, Turn, TurnState
from bot.errors import StoreError
from bot.ports import UserDirectory
from bot.slack.api.calls import ApiCaller
from bot.slack.api.client import SlackClient
from bot.slack.cards.home_tab import HomeTabPublisher
from bot.slack.events.parser import DeletedEvent, EditedEvent, HomeOpenedEvent, StoppedEvent
from bot.slack.gateway import build_adapters
from bot.slack.identity import BotIdentity
from bot.slack.interactions.ask import QuestionService
from bot.slack.interactions.command_runner import CommandRunner
from bot.slack.interactions.listeners import Listeners
from bot.slack.interactions.question_outbox import OutboxConfig, QuestionOutbox
from bot.slack.receiver import Callbacks, EventReceiver
from bot.tasks import BackgroundTasks
from tests.integration.slack.interactions.command_runner import Recorder

IDENTITY = BotIdentity(team="T0SANDBOX", user="U0PILOT", bot="B0PILOT", name="threadpilot")


class RecordingReceiver:
    """Keeps what is heard; `failing` makes the next so many messages impossible to record,
    `answering` makes a turn of each."""

    def __init__(self) -> None:
        self.heard: list[Message | EditedEvent | DeletedEvent | StoppedEvent] = []
        self.opened: list[HomeOpenedEvent] = []
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
            on_deleted=self._record,
            on_stopped=self._record,
            on_direct_opened=self.opened.append,
        )

    async def wait_until(
        self, holds: Callable[[RecordingReceiver], bool], seconds: float = 10.0
    ) -> None:
        """Wait until what has been heard is enough; fails after `seconds`."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: holds(self))

    async def wait_until_attempted(self, times: int) -> None:
        """Wait until so many messages have been brought, whether they can be kept or not."""
        await self.wait_until(lambda ears: ears.attempts >= times)

    async def _on_message(self, message: Message) -> AcceptResult:
        self.attempts += 1
        await self._notify()
        await self.released.wait()
        if self.failing:
            self.failing -= 1
            await self._notify()
            raise StoreError("the disk is full")
        seen = {(known.thread.channel, known.ts) for known in self.messages}
        if (message.thread.channel, message.ts) in seen:
            await self._notify()
            return AcceptResult(status=AcceptStatus.DUPLICATE)
        await self._record(message)
        if not self.answering:
            return AcceptResult(status=AcceptStatus.OVERHEARD)
        self._turns.add((message.thread.channel, message.ts))
        turn = Turn(id=self.attempts, message=message, state=TurnState.WAITING, epoch=0)
        return AcceptResult(status=AcceptStatus.SCHEDULED, turn=turn)

    async def _on_edited(self, edited: EditedEvent) -> bool:
        await self._record(edited)
        return (edited.channel, edited.ts) in self._turns

    async def _record(self, fact: Message | EditedEvent | DeletedEvent | StoppedEvent) -> None:
        self.heard.append(fact)
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class FakeQuestionOutbox:
    """Keeps the questions that are on their way, as long as the test lasts."""

    def __init__(self, ears: RecordingReceiver) -> None:
        self._ears = ears
        self._kept: dict[str, PendingQuestion] = {}

    async def save_question(self, question: PendingQuestion) -> bool:
        if question.event_id in {message.event_id for message in self._ears.messages}:
            return False
        return self._kept.setdefault(question.event_id, question) is question

    async def delete_question(self, event_id: str) -> None:
        self._kept.pop(event_id, None)

    async def pending_questions(self) -> Sequence[PendingQuestion]:
        return tuple(self._kept.values())


class AllowAllAdmission(AdmissionCheck):
    """Answers everybody whom the bot answers where nothing is set, as often as they like."""

    def __init__(self, people: UserDirectory) -> None:
        self._access = AccessPolicy(people, AccessConfig())

    async def denial_for(self, user_id: str, channel: str, *, external: bool) -> str:
        person = await self._access.fetch_user(user_id)
        out = await self._access.channel_denial(person, channel, external=external)
        return "" if out is None else access_texts.DENIAL_TEXTS[out]


def event_receiver_for(
    receiver: RecordingReceiver,
    background: BackgroundTasks,
    record_seconds: float = 10.0,
    dispatcher: Recorder | None = None,
) -> EventReceiver:
    """An intake that has no Slack to call: for what needs none."""
    web = AsyncWebClient(token="xoxb-sandbox", base_url="http://127.0.0.1:9/api/", timeout=2)
    dispatcher, clock = dispatcher or Recorder(), SystemClock()
    client = SlackClient(web, ApiCaller(clock))
    slack = build_adapters(client, IDENTITY, clock)
    gate = AllowAllAdmission(slack.users)
    book = OutboxConfig(store=FakeQuestionOutbox(receiver), clock=clock)
    questions = QuestionOutbox(client, IDENTITY, receiver.callbacks.on_message, book, gate)
    asking = QuestionService(IDENTITY, questions, book, background, gate)
    orders = CommandRunner(dispatcher, slack.publisher, clock)
    home = HomeTabPublisher(client, slack.publisher.permalinks, dispatcher.home)
    return EventReceiver(
        client,
        IDENTITY,
        receiver.callbacks,
        background,
        Listeners(
            client,
            IDENTITY,
            background,
            slack.users,
            asking,
            orders,
            dispatcher.known,
            home,
        ),
        home,
        record_seconds,
    )
