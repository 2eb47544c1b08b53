"""Builds the bot: every part once, in the order in which a message passes them.

Leaving closes the parts in the opposite order. First the connection to Slack closes, then running
turns end, then the services of `bot.services` close: sessions, runtime, database.
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
from bot.domain.cards import text_result
from bot.ports import Clock, Store
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
from bot.slack.workspace import SlackWorkspace
from bot.slack_callbacks import build_callbacks, build_transport
from bot.startup_retry import enter_until_started, retry_until_started
from bot.telemetry.gauges import StatusProbe
from bot.turns.comparison import ComparisonRunner
from bot.turns.inbox import Inbox
from bot.turns.processor import TurnProcessor
from bot.turns.prompt import PromptBuilder
from bot.turns.responder import TurnResponder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A running bot, for its caller."""

    inbox: Inbox
    turn_processor: TurnProcessor
    pool: SessionPool
    maintenance: Maintenance


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slack:
    """The workspace as the bot uses it."""

    client: SlackClient
    identity: BotIdentity
    adapters: SlackAdapters


@asynccontextmanager
async def open_bot(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Bot]:
    """Run a bot while inside. Transient failures at the start are waited for. Raises `BotError` if
    a part does not open."""
    opened = open_services(settings, clock or SystemClock())
    async with opened as services, open_bot_on(services) as bot:
        yield bot


@asynccontextmanager
async def open_bot_on(services: Services) -> AsyncIterator[Bot]:
    """Like `open_bot`, with open services; leaving does not close them."""
    async with AsyncExitStack() as stack:
        slack = await _open_slack(stack, services)
        async with _running_bot(stack, services, slack) as bot:
            yield bot


async def _open_slack(stack: AsyncExitStack, services: Services) -> _Slack:
    """Connect to the Web API, and wait for the runtime; `stack` closes both. Raises `BotError`."""
    settings, clock = services.settings, services.clock
    client = await stack.enter_async_context(
        open_client(
            settings.slack_bot_token,
            settings.slack_api_url,
            clock,
            services.telemetry_setup.telemetry,
            rate_multiplier=settings.slack_limits,
        )
    )
    identity = await _wait_for_slack_and_runtime(client, services.agent, clock)
    identity = replace(identity, answered_bots=settings.allowed_bots)
    await stack.enter_async_context(services.model_selector.keep_refreshed())
    adapters = build_adapters(client, identity, clock)
    return _Slack(client=client, identity=identity, adapters=adapters)


async def _wait_for_slack_and_runtime(
    client: SlackClient, agent: CopilotAgent, clock: Clock
) -> BotIdentity:
    """The bot's identity, once Slack answers and the runtime runs; both are retried until then. A
    lasting failure of one ends the wait for the other: raises `BotError`."""
    slack = asyncio.create_task(
        retry_until_started(clock, "Slack", lambda: fetch_identity(client.web))
    )
    runtime = asyncio.create_task(
        retry_until_started(clock, "the Copilot runtime", agent.start_runtime)
    )
    try:
        identity, _ = await asyncio.gather(slack, runtime)
        return identity
    finally:
        for task in (slack, runtime):
            task.cancel()
        await asyncio.wait({slack, runtime})


@asynccontextmanager
async def _running_bot(
    stack: AsyncExitStack, services: Services, slack: _Slack
) -> AsyncIterator[Bot]:
    """Receive messages and commands while inside. Raises `BotError`."""
    settings, store, clock = services.settings, services.store, services.clock
    agent, pool, model_selector = services.agent, services.pool, services.model_selector
    users, publisher = slack.adapters.users, slack.adapters.publisher
    telemetry = services.telemetry_setup.telemetry
    access = AccessPolicy(users, _access_config(settings))
    quotas = QuotaPolicy(store, clock, per_day=settings.max_turns_per_day)
    admission = AdmissionCheck(access, quotas, store)
    prewarmer = SessionPrewarmer(store, pool, model_selector)
    stack.push_async_callback(prewarmer.close)
    workspace = SlackWorkspace(
        slack.client, clock, save_part=store.save_part, identity=slack.identity
    )
    turns = TurnProcessor(
        store,
        workspace,
        clock,
        responder=_build_responder(services, slack),
        admission=admission,
        max_message_chars=settings.max_message_chars,
    )
    inbox = Inbox(
        *(store, clock, workspace, turns),
        max_turns=settings.max_turns,
        drain_seconds=settings.shutdown_seconds,
        on_waiting=prewarmer.prewarm_for_turn,
        telemetry=telemetry,
    )
    cleanup = Cleanup(
        *(store, agent, pool, clock), sessions_dir=folder_of_sessions(settings.data_dir)
    )
    handlers = build_handlers(
        CommandDependencies(
            store=store,
            agent=agent,
            pool=pool,
            model_selector=model_selector,
            inbox=inbox,
            turn_processor=turns,
            access=access,
            users=users,
            publisher=publisher,
            cleanup=cleanup,
            quotas=quotas,
            clock=clock,
            slash_command=manifest.SLASH_COMMAND,
        )
    )
    stack.push_async_callback(handlers.close)
    dispatcher = CommandDispatcher(
        *(store, access, handlers.by_name, quotas),
        start=lambda command: command_runner.start_command(command),
        clock=clock,
        wake=inbox.wake,
        redact=SecretRedactor(settings.secrets),
    )
    command_runner = CommandRunner(dispatcher, publisher, clock)
    router = MessageRouter(dispatcher, inbox.enqueue, lambda: _known_names(model_selector))
    home = HomeTab(
        *(store, access, users, model_selector, agent, clock),
        slash_command=manifest.SLASH_COMMAND,
        activity=lambda: BotActivity(
            running_turns=inbox.running_count,
            open_sessions=pool.open_count,
            max_sessions=settings.max_sessions,
            paused=inbox.paused,
        ),
    )
    gateway = SlackGateway(
        slack.client,
        RetryingTransport(build_transport(services), clock),
        build_callbacks(router, inbox, turns, prewarmer, publisher),
        users=users,
        publisher=publisher,
        command_runner=command_runner,
        known_names=lambda: _known_names(model_selector),
        home_cards=home.build_cards,
        admission=admission,
        outbox_config=OutboxConfig(store=store, clock=clock, redact=dispatcher.redact),
        identity=slack.identity,
        backfill_config=BackfillConfig(
            store=store, clock=clock, max_seconds=settings.catch_up_seconds
        ),
        telemetry=telemetry,
    )
    maintenance = Maintenance(
        *(store, agent, pool, cleanup, publisher, clock), _retention_policy(settings)
    )
    await retry_until_started(
        clock, "the database", lambda: _restore_paused(store, slack.identity.team, inbox)
    )
    unfinished = await retry_until_started(clock, "the database", dispatcher.load_unfinished)
    await enter_until_started(clock, "the database", stack, inbox.dispatch_turns)
    await stack.enter_async_context(gateway.connection())
    for command, run_again in unfinished:
        if run_again:
            await dispatcher.start_recorded(command)
        else:
            text = texts.RESTARTED.format(command=command.name)
            command_runner.deliver_later(command, text_result(text))
    await stack.enter_async_context(maintenance)
    _publish_status(services, inbox, gateway)
    yield Bot(inbox=inbox, turn_processor=turns, pool=pool, maintenance=maintenance)


def _publish_status(services: Services, inbox: Inbox, gateway: SlackGateway) -> None:
    """Make the state of the bot visible to operators."""

    async def check_ready() -> bool:
        """True if Slack is connected and the database is writable."""
        await services.store.check_writable()
        return gateway.is_connected

    services.telemetry_setup.set_probe(
        StatusProbe(
            running_turns=lambda: inbox.running_count,
            queued_turns=services.store.queue_length,
            max_sessions=services.settings.max_sessions,
            live_sessions=lambda: services.pool.open_count,
            paused=lambda: inbox.paused,
            runtime_memory=services.agent.memory_bytes,
            is_connected=lambda: gateway.is_connected,
            is_backfilling=lambda: gateway.is_backfilling,
        ),
        check_ready,
    )


def _build_responder(services: Services, slack: _Slack) -> TurnResponder:
    settings, store, clock = services.settings, services.store, services.clock
    pool, model_selector = services.pool, services.model_selector
    return TurnResponder(
        *(store, pool, clock),
        model_selector=model_selector,
        prompt_builder=PromptBuilder(
            *(store, slack.adapters.thread_history, slack.adapters.users),
            max_messages=settings.context_messages,
        ),
        comparison_runner=ComparisonRunner(
            *(store, services.agent, pool, model_selector, clock),
            turn_seconds=settings.turn_seconds,
        ),
        turn_seconds=settings.turn_seconds,
    )


async def _restore_paused(store: Store, team: str, inbox: Inbox) -> None:
    """Pause the inbox if the bot was paused when it stopped. Raises `StoreError`."""
    if await is_paused(store, team):
        log.warning("turns paused by an admin: messages are queued")
        inbox.pause_turns()


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
