"""Connects the Slack transport to the event receiver and manages their lifetime.

`async with gateway.connection():` is entered when Slack is connected. At the end the transport
closes first; then running work gets a short time to finish.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import (
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace

from bot.access.admission import AdmissionCheck
from bot.commands.parser import KnownNames
from bot.domain.turns import AcceptResult
from bot.ports import NULL_TELEMETRY, CheckpointStore, Clock, Telemetry, UserDirectory
from bot.slack.api.client import SlackClient
from bot.slack.cards.home_tab import HomeTabPublisher, LoadHomeCards
from bot.slack.cards.publisher import SlackCardPublisher
from bot.slack.events.backfill import Backfill, Json
from bot.slack.events.gaps import GapMonitor, OutOfOrderFilter
from bot.slack.identity import BotIdentity, fetch_identity
from bot.slack.interactions.command_runner import CommandRunner
from bot.slack.interactions.listeners import Listeners
from bot.slack.interactions.question_outbox import OutboxConfig, QuestionOutbox
from bot.slack.interactions.question_service import QuestionService
from bot.slack.receiver import Callbacks, EventReceiver, Transport
from bot.slack.thread_history import SlackThreadHistory
from bot.slack.users import SlackUsers
from bot.startup_retry import enter_until_started
from bot.tasks import BackgroundTasks

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryingTransport:
    """Retries a transport until it opens, unless its error is permanent."""

    transport: Transport
    clock: Clock

    @asynccontextmanager
    async def open(
        self, receiver: EventReceiver, on_connection_change: Callable[[bool], None]
    ) -> AsyncIterator[None]:
        """`Transport.open`."""
        async with AsyncExitStack() as opened:
            await enter_until_started(
                self.clock,
                "a connection to Slack",
                opened,
                lambda: self.transport.open(receiver, on_connection_change),
            )
            yield


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillConfig:
    """The settings and dependencies of the backfill."""

    store: CheckpointStore
    clock: Clock
    max_seconds: float
    """Maximum age in seconds of the messages to fetch; with 0 no gap is filled."""


class SlackGateway:
    """Connects the bot to Slack."""

    def __init__(
        self,
        client: SlackClient,
        transport: Transport,
        callbacks: Callbacks,
        *,
        users: UserDirectory,
        publisher: SlackCardPublisher,
        command_runner: CommandRunner,
        known_names: Callable[[], KnownNames],
        home_cards: LoadHomeCards,
        admission: AdmissionCheck,
        outbox_config: OutboxConfig,
        identity: BotIdentity | None = None,
        backfill_config: BackfillConfig | None = None,
        telemetry: Telemetry = NULL_TELEMETRY,
    ) -> None:
        """`client` has the bot's token and Slack's address. `command_runner` is closed when the
        connection ends. `known_names` returns the names that commands may use at this moment, and
        `home_cards` the cards of a Home tab. `identity` is fetched unless it is given. Without
        `backfill_config` no missed messages are fetched."""
        self._client = client
        self._transport = transport
        self._callbacks = callbacks
        self._users = users
        self._publisher = publisher
        self._command_runner = command_runner
        self._known_names = known_names
        self._home_cards = home_cards
        self._admission = admission
        self._outbox_config = outbox_config
        self._identity = identity
        self._backfill_config = backfill_config
        self._telemetry = telemetry
        self.is_connected = False
        """True while the bot is connected to Slack."""
        self._gap_monitor: GapMonitor | None = None

    @property
    def is_backfilling(self) -> bool:
        """True if missed messages are still to be fetched."""
        return self._gap_monitor is not None and self._gap_monitor.has_gap

    async def identity(self) -> BotIdentity:
        """The bot's identity, fetched once. Raises `SlackError`."""
        if self._identity is None:
            self._identity = await fetch_identity(self._client.web)
        return self._identity

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        """Entered when the bot is connected. Raises `SlackError` or `SettingsError`."""
        identity = await self.identity()
        background_tasks = BackgroundTasks()
        callbacks = self._callbacks

        async def deliver_missed(body: Json) -> AcceptResult | None:
            return await receiver.deliver_missed(body)

        if self._backfill_config is not None:
            config = self._backfill_config
            backfill = Backfill(self._client, identity, config.store, config.clock, deliver_missed)
            self._gap_monitor = _build_gap_monitor(config, backfill)
            out_of_order_filter = OutOfOrderFilter(
                callbacks.on_message, backfill.read_thread, background_tasks, self._report_unread
            )
            callbacks = replace(callbacks, on_message=out_of_order_filter.on_message)
        outbox = QuestionOutbox(
            self._client, identity, callbacks.on_message, self._outbox_config, self._admission
        )
        receiver = self._build_receiver(identity, background_tasks, outbox, callbacks)
        try:
            async with self._transport.open(receiver, self._on_connection_change):
                log.info("connected to Slack: bot=@%s team=%s", identity.name, identity.team)
                async with (
                    self._gap_monitor.monitoring()
                    if self._gap_monitor is not None
                    else nullcontext(),
                    outbox.resuming(),
                ):
                    yield
        finally:
            self.is_connected = False
            await receiver.drain()
            await asyncio.gather(self._command_runner.close(), background_tasks.close())

    def _on_connection_change(self, connected: bool) -> None:
        self.is_connected = connected
        if self._gap_monitor is not None:
            self._gap_monitor.set_connected(connected)

    def _report_unread(self, since: float) -> None:
        if self._gap_monitor is not None:
            self._gap_monitor.report_unread(since)

    def _build_receiver(
        self,
        identity: BotIdentity,
        background_tasks: BackgroundTasks,
        outbox: QuestionOutbox,
        callbacks: Callbacks,
    ) -> EventReceiver:
        question_service = QuestionService(
            identity, outbox, self._outbox_config, background_tasks, self._admission
        )
        home_tab = HomeTabPublisher(self._client, self._publisher.permalinks, self._home_cards)
        listeners = Listeners(
            self._client,
            identity,
            background_tasks,
            self._users,
            question_service,
            self._command_runner,
            self._known_names,
            home_tab,
        )
        return EventReceiver(
            self._client,
            identity,
            callbacks,
            background_tasks,
            listeners,
            home_tab,
            telemetry=self._telemetry,
        )


def _build_gap_monitor(config: BackfillConfig, backfill: Backfill) -> GapMonitor | None:
    if config.max_seconds <= 0:
        return None
    return GapMonitor(
        config.store, config.clock, backfill.read_since, max_seconds=config.max_seconds
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackAdapters:
    """Slack's implementations of `bot.ports.slack`, without `Workspace`."""

    users: SlackUsers
    thread_history: SlackThreadHistory
    publisher: SlackCardPublisher


def build_adapters(client: SlackClient, identity: BotIdentity, clock: Clock) -> SlackAdapters:
    """The adapters; they share the client and its rate limits."""
    users = SlackUsers(client, identity, clock)
    return SlackAdapters(
        users=users,
        thread_history=SlackThreadHistory(client, identity, users),
        publisher=SlackCardPublisher(client),
    )
