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

from bot.access.admission import Gate
from bot.access.policy import Access, Doorkeeping
from bot.access.quotas import Limits
from bot.clock import SystemClock
from bot.commands import texts
from bot.commands.admin.pause import is_paused
from bot.commands.dispatcher import Desk
from bot.commands.handlers import Parts, handlers
from bot.commands.home_tab import Doing, HomePage
from bot.commands.parser import Known
from bot.config.settings import Settings
from bot.copilot.agent import CopilotAgent
from bot.domain.cards import Card, told
from bot.errors import NotAllowed
from bot.ports import Board, Clock, Store, Watch
from bot.redaction import Redaction
from bot.services import Engine, open_engine
from bot.sessions.cleanup import Cleanup
from bot.sessions.lock_files import folder_of_sessions
from bot.sessions.maintenance import Keeping, Tending
from bot.sessions.model_selection import Choosing
from bot.sessions.pool import Sessions
from bot.sessions.prewarm import Prewarming
from bot.slack import manifest
from bot.slack.api.client import Client, open_client
from bot.slack.events.parser import Deleted, Edited, Stopped
from bot.slack.gateway import Adapters, CatchUp, PatientDoor, SlackGateway, adapters
from bot.slack.identity import Identity, who_are_we
from bot.slack.interactions.command_runner import OrderCounter
from bot.slack.interactions.question_outbox import Book
from bot.slack.receiver import Callbacks, Door
from bot.slack.transport.http import SignedHttp
from bot.slack.transport.socket_mode import SocketMode
from bot.slack.workspace import SlackWorkspace
from bot.startup_retry import entered, patiently
from bot.telemetry.gauges import Sights
from bot.telemetry.setup import Watching
from bot.turns.comparison import Comparing
from bot.turns.inbox import Inbox
from bot.turns.processor import Turns
from bot.turns.prompt import Quoting
from bot.turns.responder import Answering

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A running bot, for whoever started it."""

    inbox: Inbox
    turns: Turns
    sessions: Sessions
    tending: Tending


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """What the bot has to do with: its database, its runtime, its workspace."""

    settings: Settings
    clock: Clock
    watching: Watching
    store: Store
    client: Client
    us: Identity
    agent: CopilotAgent
    slack: Adapters
    sessions: Sessions
    choosing: Choosing


@asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Bot]:
    """A whole bot, hearing Slack while inside; what is in passing trouble is waited for. Raises
    `BotError` when a part does not open."""
    async with open_engine(settings, clock or SystemClock()) as engine, running_on(engine) as bot:
        yield bot


@asynccontextmanager
async def running_on(engine: Engine) -> AsyncIterator[Bot]:
    """The same with an engine that is open already, and stays open afterwards."""
    async with AsyncExitStack() as opened:
        world = await _open(opened, engine)
        async with _working(opened, world) as bot:
            yield bot


async def _open(opened: AsyncExitStack, engine: Engine) -> _World:
    """Open what the bot has to do with beside its engine; `opened` closes it. Raises `BotError`."""
    settings, clock, agent = engine.settings, engine.clock, engine.agent
    client = await opened.enter_async_context(
        open_client(
            *(settings.slack_bot_token, settings.slack_api_url, clock, engine.watching.watch),
            times=settings.slack_limits,
        )
    )
    us = replace(await _both_up(client, agent, clock), answers=settings.allowed_bots)
    choosing = Choosing(engine.store, agent, engine.roles, model=settings.model, clock=clock)
    await opened.enter_async_context(choosing.running())
    return _World(
        settings=settings,
        clock=clock,
        watching=engine.watching,
        store=engine.store,
        client=client,
        us=us,
        agent=agent,
        slack=adapters(client, us, clock),
        sessions=engine.sessions,
        choosing=choosing,
    )


async def _both_up(client: Client, agent: CopilotAgent, clock: Clock) -> Identity:
    """Who the bot is, once Slack says so and the runtime runs, both tried until they do. What is
    wrong with either of them for good ends the waiting for the other: raises `BotError`."""
    slack = asyncio.create_task(patiently(clock, "Slack", lambda: who_are_we(client.web)))
    runtime = asyncio.create_task(patiently(clock, "the Copilot runtime", agent.start))
    try:
        us, _ = await asyncio.gather(slack, runtime)
        return us
    finally:
        for waiting in (slack, runtime):
            waiting.cancel()
        await asyncio.wait({slack, runtime})


@asynccontextmanager
async def _working(opened: AsyncExitStack, world: _World) -> AsyncIterator[Bot]:
    """Take messages and orders while inside. Raises `BotError`."""
    settings, store, clock = world.settings, world.store, world.clock
    access = Access(world.slack.people, _doorkeeping(settings))
    limits = Limits(store, clock, per_day=settings.max_turns_per_day)
    gate = Gate(access, limits, store)
    prewarming = Prewarming(store, world.sessions, world.choosing)
    opened.push_async_callback(prewarming.close)
    workspace = SlackWorkspace(world.client, clock, note_part=store.note_part, us=world.us)
    turns = Turns(
        store,
        workspace,
        clock,
        answering=_answering(world),
        gate=gate,
        max_message_chars=settings.max_message_chars,
    )
    inbox = Inbox(
        *(store, clock, workspace, turns),
        max_turns=settings.max_turns,
        drain_seconds=settings.shutdown_seconds,
        on_waiting=prewarming.for_turn,
        watch=world.watching.watch,
    )
    cleanup = Cleanup(
        *(store, world.agent, world.sessions, clock),
        sessions=folder_of_sessions(settings.data_dir),
    )
    board = world.slack.board
    by_verb = handlers(
        Parts(
            store=store,
            agent=world.agent,
            sessions=world.sessions,
            choosing=world.choosing,
            inbox=inbox,
            turns=turns,
            access=access,
            people=world.slack.people,
            board=board,
            cleanup=cleanup,
            limits=limits,
            clock=clock,
            command=manifest.COMMAND,
        )
    )
    opened.push_async_callback(by_verb.close)
    desk = Desk(
        *(store, access, by_verb.by_verb, limits),
        ask=inbox.accept,
        known=lambda: _known(world.choosing),
        start=lambda order: counter.start(order),
        clock=clock,
        wake=inbox.look_again,
        redact=Redaction(settings.secrets),
    )
    counter = OrderCounter(desk, board, clock)
    home = HomePage(
        *(store, access, world.slack.people, world.choosing, world.agent, clock),
        command=manifest.COMMAND,
        doing=lambda: Doing(
            running=inbox.busy,
            live=world.sessions.live,
            places=settings.max_sessions,
            paused=inbox.paused,
        ),
    )
    gateway = SlackGateway(
        world.client,
        PatientDoor(_door(settings, clock, store, world.watching.watch), clock),
        _callbacks(desk, inbox, turns, prewarming, board),
        people=world.slack.people,
        board=board,
        orders=counter,
        known=lambda: _known(world.choosing),
        home=home.cards,
        gate=gate,
        book=Book(store=store, clock=clock, redact=desk.without_secrets),
        us=world.us,
        catch_up=CatchUp(store=store, clock=clock, seconds=settings.catch_up_seconds),
        watch=world.watching.watch,
    )
    tending = Tending(
        *(store, world.agent, world.sessions, cleanup, board, clock), _keeping(settings)
    )
    await patiently(clock, "the database", lambda: _take_up(world, inbox))
    unfinished = await patiently(clock, "the database", desk.take_up)
    await entered(clock, "the database", opened, inbox.running)
    await opened.enter_async_context(gateway.listening())
    for order, again in unfinished:
        if again:
            await desk.begin(order)
        else:
            counter.tell_later(order, told(texts.RESTARTED.format(verb=order.verb)))
    await opened.enter_async_context(tending)
    _show(world, inbox, gateway)
    yield Bot(inbox=inbox, turns=turns, sessions=world.sessions, tending=tending)


def _show(world: _World, inbox: Inbox, gateway: SlackGateway) -> None:
    """Let those who look after the bot see how it stands."""

    async def ready() -> bool:
        """Slack is heard, and what it says could be recorded."""
        await world.store.check()
        return gateway.hearing

    world.watching.show(
        Sights(
            running=lambda: inbox.busy,
            waiting=world.store.queue_length,
            places=world.settings.max_sessions,
            live=lambda: world.sessions.live,
            paused=lambda: inbox.paused,
            memory=world.agent.memory,
            hearing=lambda: gateway.hearing,
            catching_up=lambda: gateway.catching_up,
        ),
        ready,
    )


def _answering(world: _World) -> Answering:
    store, sessions, choosing = world.store, world.sessions, world.choosing
    return Answering(
        *(store, sessions, world.clock),
        choosing=choosing,
        quoting=Quoting(
            *(store, world.slack.listening, world.slack.people),
            most=world.settings.context_messages,
        ),
        comparing=Comparing(
            *(store, world.agent, sessions, choosing, world.clock),
            turn_seconds=world.settings.turn_seconds,
        ),
        turn_seconds=world.settings.turn_seconds,
    )


async def _take_up(world: _World, inbox: Inbox) -> None:
    """Begin as the bot was left: paused, if it was. Raises `StoreError`."""
    if await is_paused(world.store, world.us.team):
        log.warning("paused by somebody in charge: messages are taken, and wait")
        inbox.pause()


def _door(settings: Settings, clock: Clock, store: Store, watch: Watch) -> Door:
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
        app_token=settings.slack_app_token,
        clock=clock,
        api_url=settings.slack_api_url,
        watch=watch,
    )


def _callbacks(
    desk: Desk, inbox: Inbox, turns: Turns, prewarming: Prewarming, board: Board
) -> Callbacks:
    """Who is told what people say and do."""

    async def edited(fact: Edited) -> bool:
        text = desk.without_secrets(fact.text)
        return await inbox.edited(fact.team, fact.channel, fact.ts, text)

    async def deleted(fact: Deleted) -> None:
        await inbox.deleted(fact.team, fact.channel, fact.ts)

    async def stopped(fact: Stopped) -> None:
        try:
            await turns.stop(fact.thread, fact.user)
        except NotAllowed as error:
            log.info("%s does not stop thread %s: %s", fact.user, fact.thread, error)
            card = Card(text=error.sentence)
            await board.tell(fact.user, fact.thread.channel, fact.thread.root_ts, card)

    return Callbacks(
        on_message=desk.accept,
        on_edited=edited,
        on_deleted=deleted,
        on_stopped=stopped,
        on_direct_opened=lambda fact: prewarming.for_direct(fact.user, fact.channel),
    )


def _known(choosing: Choosing) -> Known:
    return Known(models=choosing.models, roles=choosing.roles)


def _doorkeeping(settings: Settings) -> Doorkeeping:
    return Doorkeeping(
        admins=settings.admin_users,
        workspace_admins=settings.workspace_admins,
        admin_group=settings.admin_group,
        guests=settings.allow_guests,
        external=settings.allow_external,
        channels=settings.allowed_channels,
        users=settings.allowed_users,
        bots=settings.allowed_bots,
    )


def _keeping(settings: Settings) -> Keeping:
    return Keeping(
        memory_mb=settings.runtime_memory_mb,
        days=settings.retention_days,
        sessions=settings.retention_sessions,
        mb=settings.retention_mb,
    )
