"""The wiring: every part of the bot, once, in the order in which a message meets them.

Leaving closes them in the opposite order: stop hearing Slack, let running turns end, and then what
`bot.services` opened: let go of the sessions, stop the runtime, close the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from bot.access.admission import AdmissionCheck
from bot.access.policy import AccessConfig, AccessPolicy
from bot.access.quotas import QuotaPolicy
from bot.clock import SystemClock
from bot.commands import texts
from bot.commands.admin.pause import is_paused
from bot.commands.dispatcher import CommandDispatcher
from bot.commands.handlers import CommandDependencies, build_handlers
from bot.commands.home_tab import BotActivity, HomeTab
from bot.commands.parser import KnownNames
from bot.commands.router import MessageRouter
from bot.config.settings import Settings
from bot.copilot.agent import CopilotAgent
from bot.domain.cards import Card, text_result
from bot.errors import NotAllowed
from bot.ports import CardPublisher, Clock, Store, Telemetry
from bot.redaction import SecretRedactor
from bot.services import Services, open_services
from bot.sessions.cleanup import Cleanup
from bot.sessions.lock_files import folder_of_sessions
from bot.sessions.maintenance import Maintenance, RetentionPolicy
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool
from bot.sessions.prewarm import SessionPrewarmer
from bot.slack import manifest
from bot.slack.api.client import SlackClient, open_client
from bot.slack.events.parser import DeletedEvent, EditedEvent, StoppedEvent
from bot.slack.gateway import (
    BackfillConfig,
    RetryingTransport,
    SlackAdapters,
    SlackGateway,
    build_adapters,
)
from bot.slack.identity import BotIdentity, fetch_identity
from bot.slack.interactions.command_runner import CommandRunner
from bot.slack.interactions.question_outbox import OutboxConfig
from bot.slack.receiver import Callbacks, Transport
from bot.slack.transport.http import HttpTransport
from bot.slack.transport.socket_mode import SocketModeTransport
from bot.slack.workspace import SlackWorkspace
from bot.startup_retry import enter_until_started, retry_until_started
from bot.telemetry.gauges import StatusProbe
from bot.telemetry.setup import TelemetrySetup
from bot.turns.comparison import ComparisonRunner
from bot.turns.inbox import Inbox
from bot.turns.processor import TurnProcessor
from bot.turns.prompt import PromptBuilder
from bot.turns.responder import TurnResponder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A running bot, for whoever started it."""

    inbox: Inbox
    turn_processor: TurnProcessor
    pool: SessionPool
    maintenance: Maintenance


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dependencies:
    """What the bot has to do with: its database, its runtime, its workspace."""

    settings: Settings
    clock: Clock
    telemetry_setup: TelemetrySetup
    store: Store
    client: SlackClient
    identity: BotIdentity
    agent: CopilotAgent
    slack: SlackAdapters
    pool: SessionPool
    model_selector: ModelSelector


@asynccontextmanager
async def open_bot(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Bot]:
    """A whole bot, hearing Slack while inside; what is in passing trouble is waited for. Raises
    `BotError` when a part does not open."""
    opened = open_services(settings, clock or SystemClock())
    async with opened as services, open_bot_on(services) as bot:
        yield bot


@asynccontextmanager
async def open_bot_on(services: Services) -> AsyncIterator[Bot]:
    """The same with an engine that is open already, and stays open afterwards."""
    async with AsyncExitStack() as opened:
        world = await _open_dependencies(opened, services)
        async with _running_bot(opened, world) as bot:
            yield bot


async def _open_dependencies(stack: AsyncExitStack, services: Services) -> _Dependencies:
    """Open what the bot has to do with beside its engine; `opened` closes it. Raises `BotError`."""
    settings, clock, agent = services.settings, services.clock, services.agent
    client = await stack.enter_async_context(
        open_client(
            settings.slack_bot_token,
            settings.slack_api_url,
            clock,
            services.telemetry_setup.telemetry,
            rate_multiplier=settings.slack_limits,
        )
    )
    found = await _wait_for_slack_and_runtime(client, agent, clock)
    identity = replace(found, answered_bots=settings.allowed_bots)
    choosing = ModelSelector(
        services.store, agent, services.roles, model=settings.model, clock=clock
    )
    await stack.enter_async_context(choosing.keep_refreshed())
    return _Dependencies(
        settings=settings,
        clock=clock,
        telemetry_setup=services.telemetry_setup,
        store=services.store,
        client=client,
        identity=identity,
        agent=agent,
        slack=build_adapters(client, identity, clock),
        pool=services.pool,
        model_selector=choosing,
    )


async def _wait_for_slack_and_runtime(
    client: SlackClient, agent: CopilotAgent, clock: Clock
) -> BotIdentity:
    """Who the bot is, once Slack says so and the runtime runs, both tried until they do. What is
    wrong with either of them for good ends the waiting for the other: raises `BotError`."""
    slack = asyncio.create_task(
        retry_until_started(clock, "Slack", lambda: fetch_identity(client.web))
    )
    runtime = asyncio.create_task(
        retry_until_started(clock, "the Copilot runtime", agent.start_runtime)
    )
    try:
        us, _ = await asyncio.gather(slack, runtime)
        return us
    finally:
        for waiting in (slack, runtime):
            waiting.cancel()
        await asyncio.wait({slack, runtime})


@asynccontextmanager
async def _running_bot(stack: AsyncExitStack, deps: _Dependencies) -> AsyncIterator[Bot]:
    """Take messages and orders while inside. Raises `BotError`."""
    settings, store, clock = deps.settings, deps.store, deps.clock
    access = AccessPolicy(deps.slack.users, _access_config(settings))
    limits = QuotaPolicy(store, clock, per_day=settings.max_turns_per_day)
    gate = AdmissionCheck(access, limits, store)
    prewarming = SessionPrewarmer(store, deps.pool, deps.model_selector)
    stack.push_async_callback(prewarming.close)
    workspace = SlackWorkspace(
        deps.client, clock, save_part=store.save_part, identity=deps.identity
    )
    turns = TurnProcessor(
        store,
        workspace,
        clock,
        responder=_build_responder(deps),
        admission=gate,
        max_message_chars=settings.max_message_chars,
    )
    inbox = Inbox(
        *(store, clock, workspace, turns),
        max_turns=settings.max_turns,
        drain_seconds=settings.shutdown_seconds,
        on_waiting=prewarming.prewarm_for_turn,
        telemetry=deps.telemetry_setup.telemetry,
    )
    cleanup = Cleanup(
        *(store, deps.agent, deps.pool, clock),
        sessions_dir=folder_of_sessions(settings.data_dir),
    )
    board = deps.slack.publisher
    by_verb = build_handlers(
        CommandDependencies(
            store=store,
            agent=deps.agent,
            pool=deps.pool,
            model_selector=deps.model_selector,
            inbox=inbox,
            turn_processor=turns,
            access=access,
            users=deps.slack.users,
            publisher=board,
            cleanup=cleanup,
            quotas=limits,
            clock=clock,
            slash_command=manifest.SLASH_COMMAND,
        )
    )
    stack.push_async_callback(by_verb.close)
    desk = CommandDispatcher(
        *(store, access, by_verb.by_name, limits),
        start=lambda order: counter.start_command(order),
        clock=clock,
        wake=inbox.wake,
        redact=SecretRedactor(settings.secrets),
    )
    counter = CommandRunner(desk, board, clock)
    router = MessageRouter(desk, inbox.enqueue, lambda: _known_names(deps.model_selector))
    home = HomeTab(
        *(store, access, deps.slack.users, deps.model_selector, deps.agent, clock),
        slash_command=manifest.SLASH_COMMAND,
        activity=lambda: BotActivity(
            running_turns=inbox.running_count,
            open_sessions=deps.pool.open_count,
            max_sessions=settings.max_sessions,
            paused=inbox.paused,
        ),
    )
    gateway = SlackGateway(
        deps.client,
        RetryingTransport(
            _build_transport(settings, clock, store, deps.telemetry_setup.telemetry), clock
        ),
        _build_callbacks(router, inbox, turns, prewarming, board),
        users=deps.slack.users,
        publisher=board,
        command_runner=counter,
        known_names=lambda: _known_names(deps.model_selector),
        home_cards=home.build_cards,
        admission=gate,
        outbox_config=OutboxConfig(store=store, clock=clock, redact=desk.redact),
        identity=deps.identity,
        backfill_config=BackfillConfig(
            store=store, clock=clock, max_seconds=settings.catch_up_seconds
        ),
        telemetry=deps.telemetry_setup.telemetry,
    )
    tending = Maintenance(
        *(store, deps.agent, deps.pool, cleanup, board, clock), _retention_policy(settings)
    )
    await retry_until_started(clock, "the database", lambda: _restore_paused(deps, inbox))
    unfinished = await retry_until_started(clock, "the database", desk.load_unfinished)
    await enter_until_started(clock, "the database", stack, inbox.dispatch_turns)
    await stack.enter_async_context(gateway.connection())
    for order, again in unfinished:
        if again:
            await desk.start_recorded(order)
        else:
            counter.deliver_later(order, text_result(texts.RESTARTED.format(command=order.name)))
    await stack.enter_async_context(tending)
    _publish_status(deps, inbox, gateway)
    yield Bot(inbox=inbox, turn_processor=turns, pool=deps.pool, maintenance=tending)


def _publish_status(deps: _Dependencies, inbox: Inbox, gateway: SlackGateway) -> None:
    """Let those who look after the bot see how it stands."""

    async def ready() -> bool:
        """Slack is heard, and what it says could be recorded."""
        await deps.store.check_writable()
        return gateway.is_connected

    deps.telemetry_setup.set_probe(
        StatusProbe(
            running_turns=lambda: inbox.running_count,
            queued_turns=deps.store.queue_length,
            max_sessions=deps.settings.max_sessions,
            live_sessions=lambda: deps.pool.open_count,
            paused=lambda: inbox.paused,
            runtime_memory=deps.agent.memory_bytes,
            is_connected=lambda: gateway.is_connected,
            is_backfilling=lambda: gateway.is_backfilling,
        ),
        ready,
    )


def _build_responder(deps: _Dependencies) -> TurnResponder:
    store, sessions, choosing = deps.store, deps.pool, deps.model_selector
    return TurnResponder(
        *(store, sessions, deps.clock),
        model_selector=choosing,
        prompt_builder=PromptBuilder(
            *(store, deps.slack.thread_history, deps.slack.users),
            max_messages=deps.settings.context_messages,
        ),
        comparison_runner=ComparisonRunner(
            *(store, deps.agent, sessions, choosing, deps.clock),
            turn_seconds=deps.settings.turn_seconds,
        ),
        turn_seconds=deps.settings.turn_seconds,
    )


async def _restore_paused(deps: _Dependencies, inbox: Inbox) -> None:
    """Begin as the bot was left: paused, if it was. Raises `StoreError`."""
    if await is_paused(deps.store, deps.identity.team):
        log.warning("paused by somebody in charge: messages are taken, and wait")
        inbox.pause_turns()


def _build_transport(
    settings: Settings, clock: Clock, store: Store, telemetry: Telemetry
) -> Transport:
    if settings.slack_mode == "http":

        async def ready() -> bool:
            """Messages can be taken while the database takes them; the runtime is started anew by
            the turn that needs it."""
            await store.check_writable()
            return True

        return HttpTransport(
            signing_secret=settings.slack_signing_secret,
            clock=clock,
            check_ready=ready,
            host=settings.http_host,
            port=settings.http_port,
        )
    return SocketModeTransport(
        app_token=settings.slack_app_token,
        clock=clock,
        api_url=settings.slack_api_url,
        telemetry=telemetry,
    )


def _build_callbacks(
    router: MessageRouter,
    inbox: Inbox,
    turn_processor: TurnProcessor,
    prewarmer: SessionPrewarmer,
    publisher: CardPublisher,
) -> Callbacks:
    """Who is told what people say and do."""

    async def edited(fact: EditedEvent) -> bool:
        text = router.redact(fact.text)
        return await inbox.handle_edit(fact.team, fact.channel, fact.ts, text)

    async def deleted(fact: DeletedEvent) -> None:
        await inbox.handle_deletion(fact.team, fact.channel, fact.ts)

    async def stopped(fact: StoppedEvent) -> None:
        try:
            await turn_processor.stop_answer(fact.thread, fact.user)
        except NotAllowed as error:
            log.info("%s does not stop thread %s: %s", fact.user, fact.thread, error)
            card = Card(text=error.user_message)
            await publisher.post_ephemeral(
                fact.user, fact.thread.channel, fact.thread.root_ts, card
            )

    return Callbacks(
        on_message=router.route_message,
        on_edited=edited,
        on_deleted=deleted,
        on_stopped=stopped,
        on_direct_opened=lambda fact: prewarmer.prewarm_for_dm(fact.user, fact.channel),
    )


def _known_names(model_selector: ModelSelector) -> KnownNames:
    return KnownNames(models=model_selector.model_names, roles=model_selector.role_names)


def _access_config(settings: Settings) -> AccessConfig:
    return AccessConfig(
        admins=settings.admin_users,
        workspace_admins=settings.workspace_admins,
        admin_group=settings.admin_group,
        guests=settings.allow_guests,
        external=settings.allow_external,
        channels=settings.allowed_channels,
        users=settings.allowed_users,
        bots=settings.allowed_bots,
    )


def _retention_policy(settings: Settings) -> RetentionPolicy:
    return RetentionPolicy(
        max_runtime_memory_mb=settings.runtime_memory_mb,
        max_unused_days=settings.retention_days,
        max_sessions=settings.retention_sessions,
        max_disk_mb=settings.retention_mb,
    )
