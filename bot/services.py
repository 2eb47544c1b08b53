"""Opens the services that do not depend on Slack: telemetry, store, runtime and session pool.

This module does not import Slack's libraries: the runtime, which is a process of its own, starts
while they are imported.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from bot.commands.registry import COMMANDS_AND_ALIASES
from bot.config.settings import Settings
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.ports import NULL_TELEMETRY, Clock, Store, Telemetry
from bot.redaction import SecretRedactor
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool
from bot.sessions.roles import load_roles
from bot.startup_retry import enter_until_started
from bot.store import open_store
from bot.telemetry.setup import TelemetrySetup, open_telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The open services. The runtime may still be starting: `agent.start_runtime` waits for it."""

    settings: Settings
    clock: Clock
    telemetry_setup: TelemetrySetup
    store: Store
    agent: CopilotAgent
    model_selector: ModelSelector
    pool: SessionPool


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock) -> AsyncIterator[Services]:
    """Open the services and start the runtime in the background. A locked database is waited for
    without limit. Leaving closes the sessions, the runtime and the database, in this order. Raises
    `BotError` if a service does not open."""
    roles = load_roles(settings.roles_file, reserved_names=frozenset(COMMANDS_AND_ALIASES))
    async with AsyncExitStack() as stack:
        telemetry_setup = await stack.enter_async_context(
            open_telemetry(
                clock=clock,
                metrics_host=settings.metrics_host,
                metrics_port=settings.metrics_port,
                otlp_endpoint=settings.otel_exporter_otlp_endpoint,
            )
        )
        telemetry, per_user = telemetry_setup.telemetry, settings.max_turns_per_user
        # The store first: the lock of the data folder keeps a second bot away from the sessions.
        store = await enter_until_started(
            *(clock, "the database", stack),
            lambda: open_store(
                settings.data_dir, clock=clock, max_running_per_user=per_user, telemetry=telemetry
            ),
        )
        agent = await stack.enter_async_context(
            CopilotAgent(runtime_options(settings, clock, telemetry))
        )
        agent.start_runtime_in_background()
        pool = SessionPool(agent, size=settings.max_sessions, wait_seconds=settings.pool_seconds)
        stack.push_async_callback(pool.close)
        yield Services(
            settings=settings,
            clock=clock,
            telemetry_setup=telemetry_setup,
            store=store,
            agent=agent,
            model_selector=ModelSelector(store, agent, roles, model=settings.model, clock=clock),
            pool=pool,
        )


def runtime_options(
    settings: Settings, clock: Clock, telemetry: Telemetry = NULL_TELEMETRY
) -> RuntimeOptions:
    """The options of the runtime. A model server of the operator replaces GitHub's models."""
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
