"""The wiring: every part of the bot, once, in the order in which a message meets them.

Leaving closes them in the opposite order: stop hearing Slack, let running turns end, let go of the
sessions, stop the runtime, close the database.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from bot.clock import SystemClock
from bot.config import Settings
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.inbox import Inbox
from bot.ports import Clock, Store
from bot.sessions import Sessions
from bot.slack.calls import open_client
from bot.slack.events import Deleted, Edited, Stopped
from bot.slack.gateway import Door, SlackGateway
from bot.slack.intake import Callbacks
from bot.slack.signed_http import SignedHttp
from bot.slack.socket_mode import SocketMode
from bot.slack.workspace import SlackWorkspace
from bot.store import open_store
from bot.turns import Turns

log = logging.getLogger(__name__)

READY = "threadpilot is ready: it hears Slack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A running bot, for whoever started it."""

    inbox: Inbox
    turns: Turns
    sessions: Sessions


@asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Bot]:
    """A whole bot, hearing Slack while inside. Raises `BotError` when a part does not open."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as opened:
        store = await opened.enter_async_context(
            open_store(settings.data_dir, clock=clock, per_user=settings.max_turns_per_user)
        )
        client = await opened.enter_async_context(
            open_client(settings.slack_bot_token, settings.slack_api_url)
        )
        agent = await opened.enter_async_context(CopilotAgent(runtime_options(settings, clock)))
        sessions = Sessions(agent, size=settings.max_sessions)
        opened.push_async_callback(sessions.close)
        workspace = SlackWorkspace(client, clock, note_part=store.note_part)
        turns = Turns(
            store,
            sessions,
            workspace,
            clock,
            max_message_chars=settings.max_message_chars,
            turn_seconds=settings.turn_seconds,
        )
        inbox = Inbox(
            store,
            clock,
            workspace,
            turns,
            max_turns=settings.max_turns,
            drain_seconds=settings.shutdown_seconds,
        )
        bot = Bot(inbox=inbox, turns=turns, sessions=sessions)
        gateway = SlackGateway(
            client,
            _door(settings, clock, store),
            _callbacks(bot),
            admins=settings.admin_users,
            state=lambda: _state(bot),
        )
        await gateway.identity()
        await agent.start()
        await opened.enter_async_context(inbox.running())
        await opened.enter_async_context(gateway.listening())
        yield bot


async def serve(settings: Settings) -> None:
    """Run the bot until SIGTERM or Ctrl-C; while it is still starting, they cut that short.

    Raises `BotError` when it cannot start.
    """
    up, asked = asyncio.Event(), asyncio.Event()
    bot = asyncio.create_task(_until(asked, up, settings))

    def stop() -> None:
        if not asked.is_set() and not up.is_set():
            bot.cancel()
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await bot


async def _until(asked: asyncio.Event, up: asyncio.Event, settings: Settings) -> None:
    async with running(settings):
        up.set()
        print(READY, file=sys.stderr, flush=True)
        await asked.wait()
        log.info("asked to stop: finishing what runs")


def runtime_options(settings: Settings, clock: Clock) -> RuntimeOptions:
    """What the runtime is run with; a model server of one's own goes before GitHub's models."""
    return RuntimeOptions(
        data_dir=settings.data_dir,
        cli_path=settings.copilot_cli_path,
        base_url=settings.model_base_url,
        api_key=settings.model_api_key,
        model=settings.model,
        github_token="" if settings.model_base_url else settings.github_token,
        silence_seconds=settings.silence_seconds,
        clock=clock,
    )


def _door(settings: Settings, clock: Clock, store: Store) -> Door:
    if settings.slack_mode == "http":

        async def ready() -> bool:
            """Messages can be taken while the database takes them; the runtime is started anew by
            the turn that needs it."""
            await store.check()
            return True

        return SignedHttp(
            signing_secret=settings.slack_signing_secret,
            clock=clock,
            ready=ready,
            host=settings.http_host,
            port=settings.http_port,
        )
    return SocketMode(
        app_token=settings.slack_app_token, clock=clock, api_url=settings.slack_api_url
    )


def _callbacks(bot: Bot) -> Callbacks:
    """Who is told what people say and do."""

    async def edited(fact: Edited) -> bool:
        return await bot.inbox.edited(fact.team, fact.channel, fact.ts, fact.text)

    async def deleted(fact: Deleted) -> None:
        await bot.inbox.deleted(fact.team, fact.channel, fact.ts)

    async def stopped(fact: Stopped) -> None:
        await bot.turns.stop(fact.thread, fact.user)

    return Callbacks(
        on_message=bot.inbox.accept, on_edited=edited, on_deleted=deleted, on_stopped=stopped
    )


async def _state(bot: Bot) -> Sequence[str]:
    """What admins see on the Home tab."""
    return (f"Turns running: {bot.inbox.busy}", f"Sessions live: {bot.sessions.live}")
