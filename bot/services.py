"""What the bot works with, whoever talks to it: its database, its runtime, the sessions.

It knows nothing of Slack, so that the runtime, a process of its own, can be begun before all that
Slack needs is even imported.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bot.commands.registry import COMMANDS_AND_ALIASES
from bot.config.settings import Settings
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.ports import NULL_TELEMETRY, Clock, Store, Telemetry
from bot.redaction import SecretRedactor
from bot.sessions.pool import SessionPool
from bot.sessions.roles import Role, load_roles
from bot.startup_retry import enter_until_started
from bot.store import open_store
from bot.telemetry.setup import TelemetrySetup, open_telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """An open one. Its runtime may still be starting: `agent.start` waits for it."""

    settings: Settings
    clock: Clock
    roles: Mapping[str, Role]
    telemetry_setup: TelemetrySetup
    store: Store
    agent: CopilotAgent
    pool: SessionPool


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock) -> AsyncIterator[Services]:
    """Open the database, however long it is locked, and begin to start the runtime. Leaving lets go
    of the sessions, stops the runtime and closes the database. Raises `BotError` when a part does
    not open."""
    roles = load_roles(settings.roles_file, reserved_names=frozenset(COMMANDS_AND_ALIASES))
    async with AsyncExitStack() as opened:
        watching = await opened.enter_async_context(
            open_telemetry(
                clock=clock,
                metrics_host=settings.metrics_host,
                metrics_port=settings.metrics_port,
                otlp_endpoint=settings.otel_exporter_otlp_endpoint,
            )
        )
        watch, per_user = watching.telemetry, settings.max_turns_per_user
        # First the database: the data folder's lock keeps a second bot from the sessions.
        store = await enter_until_started(
            *(clock, "the database", opened),
            lambda: open_store(
                settings.data_dir, clock=clock, max_running_per_user=per_user, telemetry=watch
            ),
        )
        agent = await opened.enter_async_context(
            CopilotAgent(runtime_options(settings, clock, watch))
        )
        agent.start_runtime_in_background()
        sessions = SessionPool(
            agent, size=settings.max_sessions, wait_seconds=settings.pool_seconds
        )
        opened.push_async_callback(sessions.close)
        yield Services(
            settings=settings,
            clock=clock,
            roles=roles,
            telemetry_setup=watching,
            store=store,
            agent=agent,
            pool=sessions,
        )


def runtime_options(
    settings: Settings, clock: Clock, telemetry: Telemetry = NULL_TELEMETRY
) -> RuntimeOptions:
    """What the runtime is run with; a model server of one's own goes before GitHub's models."""
    return RuntimeOptions(
        data_dir=settings.data_dir,
        cli_path=settings.copilot_cli_path,
        base_url=settings.model_base_url,
        api_key=settings.model_api_key,
        model=settings.model,
        github_token="" if settings.model_base_url else settings.github_token,
        silence_seconds=settings.silence_seconds,
        redact=SecretRedactor(settings.secrets),
        clock=clock,
        telemetry=telemetry,
        otlp_endpoint=settings.otel_exporter_otlp_endpoint,
    )
