"""Receives deliveries from both transports and dispatches them to the callbacks and listeners.

A message is written to the inbox **before** it is acknowledged: if that fails, Slack delivers it
again. All other deliveries are acknowledged first and handled afterwards, each in a task.

Bolt dispatches interactions: commands, buttons, modals. Events are dispatched here: Bolt would
acknowledge them before their listeners run. It also takes as long for each as all the rest of
recording it (measured).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    suppress,
)
from dataclasses import dataclass
from typing import Final, Protocol

from slack_bolt.async_app import AsyncApp, AsyncBoltRequest
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse

from bot.domain.messages import Message
from bot.domain.turns import AcceptResult
from bot.errors import BotError
from bot.ports import NULL_TELEMETRY, Telemetry
from bot.slack import texts
from bot.slack.api.client import SlackClient
from bot.slack.api.ephemeral import post_ephemeral
from bot.slack.cards.home_tab import HomeTabPublisher
from bot.slack.events.parser import (
    OTHER_WORKSPACE,
    DeletedEvent,
    EditedEvent,
    HomeOpenedEvent,
    IgnoredEvent,
    StoppedEvent,
    parse_event,
)
from bot.slack.identity import BotIdentity
from bot.slack.interactions.listeners import Listeners
from bot.slack.interactions.payloads import installing_team, parse_button_press
from bot.tasks import BackgroundTasks

log = logging.getLogger(__name__)

Json = dict[str, object]

_MAX_CONCURRENT_DELIVERIES: Final = 1_000
"""Maximum number of deliveries in progress; Slack sends at most about 8 a second (30,000/h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """The functions that handle the events of users."""

    on_message: Callable[[Message], Awaitable[AcceptResult]]
    """Returns when the message is on disk; if it raises, Slack delivers the message again."""
    on_edited: Callable[[EditedEvent], Awaitable[bool]]
    """True if the message has a turn, so that its author was informed about the edit."""
    on_deleted: Callable[[DeletedEvent], Coroutine[object, object, None]]
    on_stopped: Callable[[StoppedEvent], Coroutine[object, object, None]]
    on_direct_opened: Callable[[HomeOpenedEvent], None] | None = None
    """A user opened the direct messages with the bot; returns at once."""


class EventReceiver:
    """Takes deliveries of the transports and responds as Slack expects."""

    def __init__(
        self,
        client: SlackClient,
        identity: BotIdentity,
        callbacks: Callbacks,
        background_tasks: BackgroundTasks,
        listeners: Listeners,
        home_tab: HomeTabPublisher,
        record_seconds: float = 10.0,
        telemetry: Telemetry = NULL_TELEMETRY,
    ) -> None:
        """`record_seconds` is the timeout in seconds for writing a message to the inbox."""
        self._client = client
        self._identity = identity
        self._callbacks = callbacks
        self._background_tasks = background_tasks
        self._listeners = listeners
        self._home_tab = home_tab
        self._record_seconds = record_seconds
        self._telemetry = telemetry
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.app = self._build_app()

    async def receive(self, body: Json, headers: Mapping[str, str] | None = None) -> BoltResponse:
        """Take one delivery, whose sender was verified. Only status 200 means that it is accepted.

        Never raises: a malformed payload is acknowledged, as Slack would only repeat it.
        """
        with self._telemetry.observe_delivery() as observation:
            response = await self._dispatch_within_limit(body, headers)
            observation.outcome = "taken" if response.status == 200 else "refused"
            return response

    async def _dispatch_within_limit(
        self, body: Json, headers: Mapping[str, str] | None
    ) -> BoltResponse:
        """Take one delivery, unless too many are in progress."""
        if self._in_flight >= _MAX_CONCURRENT_DELIVERIES:
            log.error(
                "delivery refused, Slack repeats it: in_progress=%d",
                _MAX_CONCURRENT_DELIVERIES,
            )
            return BoltResponse(status=503, body="")
        self._in_flight += 1
        self._idle.clear()
        try:
            return await self._dispatch(body, headers)
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()

    async def deliver_missed(self, body: Json) -> AcceptResult | None:
        """Take the event of a missed message. Returns None if it is not for the bot. Raises the
        errors of recording and `TimeoutError`: then the message is not accepted."""
        event = parse_event(body, self._identity)
        if not isinstance(event, Message):
            return None
        async with asyncio.timeout(self._record_seconds):
            return await self._callbacks.on_message(event)

    async def drain(self, seconds: float = 5.0) -> None:
        """Wait until no delivery is in progress; call it when the transport is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _dispatch(self, body: Json, headers: Mapping[str, str] | None) -> BoltResponse:
        if body.get("type") == "event_callback":
            return BoltResponse(status=200 if await self._handle_event(body) else 503, body="")
        if installing_team(body) not in ("", self._identity.team):
            log.info(
                "delivery ignored: type=%s reason=%s", _delivery_kind(body), OTHER_WORKSPACE.reason
            )
            return BoltResponse(status=200, body="")
        request = _build_bolt_request(body, headers)
        if request is None:
            log.warning("delivery ignored, malformed: type=%s", _delivery_kind(body))
            return BoltResponse(status=200, body="")
        response = await self.app.async_dispatch(request)
        if response.status == 404:  # Bolt found no listener
            log.info("delivery ignored, no listener: type=%s", _delivery_kind(body))
            return BoltResponse(status=200, body="")
        return response

    # Bolt -------------------------------------------------------------------------------------

    def _build_app(self) -> AsyncApp:
        bolt_log = logging.getLogger("bot.slack.bolt")
        # Bolt warns about its set-up (it reads SLACK_* variables that are not for it) and about
        # unmatched deliveries, which are logged above.
        bolt_log.setLevel(logging.ERROR)
        app = AsyncApp(
            name="threadpilot",
            logger=bolt_log,
            client=self._client.web,
            # The result of auth.test at the start. With a token alone Bolt calls it on the first
            # event, and acknowledges that event if Slack does not respond.
            authorize=_build_authorize(self._identity, self._client.web.token),
            signing_secret="",
            request_verification_enabled=False,
            ssl_check_enabled=False,
            ignoring_self_events_enabled=False,  # bot.slack.events.parser decides it, in one place
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        self._listeners.register(app)
        return app

    # Events -----------------------------------------------------------------------------------

    async def _handle_event(self, body: Json) -> bool:
        """Take an event. False if Slack has to send it again. Except for the recording of a
        message, the work is done after the acknowledgement."""
        match parse_event(body, self._identity):
            case Message() as message:
                return await self._record_message(message)
            case EditedEvent() as edited:
                self._background_tasks.spawn("an edit", self._handle_edit(edited))
            case DeletedEvent() as deleted:
                self._background_tasks.spawn("a deletion", self._callbacks.on_deleted(deleted))
            case StoppedEvent() as stopped:
                self._background_tasks.spawn("a stop", self._callbacks.on_stopped(stopped))
            case HomeOpenedEvent() as opened:
                if opened.tab == "messages" and self._callbacks.on_direct_opened is not None:
                    self._callbacks.on_direct_opened(opened)
                self._background_tasks.spawn(
                    "showing the home tab", self._home_tab.on_opened(opened)
                )
            case IgnoredEvent() as ignored:
                level = logging.INFO if ignored.notable else logging.DEBUG
                log.log(level, "event ignored: reason=%s", ignored.reason)
        return True

    async def _record_message(self, message: Message) -> bool:
        try:
            async with asyncio.timeout(self._record_seconds):
                await self._callbacks.on_message(message)
        except Exception as error:
            unexpected = None if isinstance(error, BotError | TimeoutError) else error
            log.error(  # noqa: TRY400 - expected errors need no trace
                "message not recorded, Slack repeats it: reason=%s",
                str(error) or "timeout",
                exc_info=unexpected,
            )
            return False
        return True

    async def _handle_edit(self, edited: EditedEvent) -> None:
        has_turn = await self._callbacks.on_edited(edited)
        if edited.adds_mention and not has_turn:
            await self._notify_late_mention(edited)

    async def _notify_late_mention(self, edited: EditedEvent) -> None:
        """Explain to the author that a mention added by an edit starts no turn."""
        await post_ephemeral(
            self._client,
            edited.channel,
            edited.user,
            edited.root_ts,
            text=texts.MENTIONED_BY_EDIT,
        )


def _build_bolt_request(body: Json, headers: Mapping[str, str] | None) -> AsyncBoltRequest | None:
    """The request for Bolt, or None for shapes that Bolt cannot handle."""
    if body.get("type") == "block_actions" and parse_button_press(body) is None:
        return None
    try:
        # The transports have read and verified the body, so Bolt gets it as in Socket Mode.
        # (Bolt's own form parser loses every command that contains the word "payload".)
        return AsyncBoltRequest(mode="socket_mode", body=body, headers=dict(headers or {}))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError):
        return None


def _build_authorize(
    identity: BotIdentity, token: str | None
) -> Callable[[], Awaitable[AuthorizeResult]]:
    """Bolt's authorize function with the known identity. (Bolt does not accept a method.)"""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None,
            team_id=identity.team,
            bot_user_id=identity.user,
            bot_id=identity.bot,
            bot_token=token,
        )

    return authorize


def _delivery_kind(body: Json) -> str:
    """The type of the delivery for the log, never its content."""
    kind = body.get("type", body.get("command"))
    return repr(kind[:60]) if isinstance(kind, str) else "unknown"


class Transport(Protocol):
    """Receives deliveries from Slack: Socket Mode or HTTP."""

    def open(
        self, receiver: EventReceiver, on_connection_change: Callable[[bool], None]
    ) -> AbstractAsyncContextManager[None]:
        """Pass all deliveries to `receiver` inside the context.

        `on_connection_change` is called with True when Slack is connected and was not before, and
        with False when no connection is up. Raises `SlackError` or `SettingsError` if the
        transport cannot open.
        """
        ...
