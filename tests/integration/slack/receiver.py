"""Fakes that record what the event receiver passes on."""

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
from bot.slack.interactions.command_runner import CommandRunner
from bot.slack.interactions.listeners import Listeners
from bot.slack.interactions.question_outbox import OutboxConfig, QuestionOutbox
from bot.slack.interactions.question_service import QuestionService
from bot.slack.receiver import Callbacks, EventReceiver
from bot.tasks import BackgroundTasks
from tests.integration.slack.interactions.command_runner import Recorder

IDENTITY = BotIdentity(team="T0SANDBOX", user="U0PILOT", bot="B0PILOT", name="threadpilot")


class RecordingReceiver:
    """Records events. The next `failing` messages cannot be recorded; with `answering` each
    message gets a turn."""

    def __init__(self) -> None:
        self.events: list[Message | EditedEvent | DeletedEvent | StoppedEvent] = []
        self.opened: list[HomeOpenedEvent] = []
        """The events of opened direct messages."""
        self.failing = 0
        self.answering = False
        self.attempts = 0
        self._turns: set[tuple[str, str]] = set()
        self.released = asyncio.Event()
        self.released.set()
        self._changed = asyncio.Condition()

    @property
    def messages(self) -> list[Message]:
        return [fact for fact in self.events if isinstance(fact, Message)]

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
        """Wait until `holds` returns True; fails after `seconds`."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: holds(self))

    async def wait_until_attempted(self, times: int) -> None:
        """Wait until `times` messages were delivered, recorded or not."""
        await self.wait_until(lambda receiver: receiver.attempts >= times)

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
        self.events.append(fact)
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class FakeQuestionOutbox:
    """Stores pending questions in memory."""

    def __init__(self, receiver: RecordingReceiver) -> None:
        self._receiver = receiver
        self._kept: dict[str, PendingQuestion] = {}

    async def save_question(self, question: PendingQuestion) -> bool:
        if question.event_id in {message.event_id for message in self._receiver.messages}:
            return False
        return self._kept.setdefault(question.event_id, question) is question

    async def delete_question(self, event_id: str) -> None:
        self._kept.pop(event_id, None)

    async def pending_questions(self) -> Sequence[PendingQuestion]:
        return tuple(self._kept.values())


class AllowAllAdmission(AdmissionCheck):
    """Admits the users of the default access configuration, without quotas."""

    def __init__(self, users: UserDirectory) -> None:
        self._access = AccessPolicy(users, AccessConfig())

    async def denial_for(self, user_id: str, channel: str, *, external: bool) -> str:
        user = await self._access.fetch_user(user_id)
        denial = await self._access.channel_denial(user, channel, external=external)
        return "" if denial is None else access_texts.DENIAL_TEXTS[denial]


def event_receiver_for(
    receiver: RecordingReceiver,
    background: BackgroundTasks,
    record_seconds: float = 10.0,
    dispatcher: Recorder | None = None,
) -> EventReceiver:
    """A receiver without a Slack to call."""
    web = AsyncWebClient(token="xoxb-sandbox", base_url="http://127.0.0.1:9/api/", timeout=2)
    dispatcher, clock = dispatcher or Recorder(), SystemClock()
    client = SlackClient(web, ApiCaller(clock))
    slack = build_adapters(client, IDENTITY, clock)
    admission = AllowAllAdmission(slack.users)
    outbox_config = OutboxConfig(store=FakeQuestionOutbox(receiver), clock=clock)
    outbox = QuestionOutbox(
        client, IDENTITY, receiver.callbacks.on_message, outbox_config, admission
    )
    question_service = QuestionService(IDENTITY, outbox, outbox_config, background, admission)
    command_runner = CommandRunner(dispatcher, slack.publisher, clock)
    home_tab = HomeTabPublisher(client, slack.publisher.permalinks, dispatcher.home)
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
            question_service,
            command_runner,
            dispatcher.known,
            home_tab,
        ),
        home_tab,
        record_seconds,
    )
