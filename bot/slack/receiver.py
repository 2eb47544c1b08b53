"""What becomes of everything that Slack says, whichever door it came through.

A message is written to the inbox **before** Slack is told that it arrived: if it cannot be
written, Slack is not told, and delivers it again. Everything else is acknowledged and done
afterwards, each piece of work on its own.

Bolt dispatches what people operate: commands, buttons, forms. Events are dispatched here: Bolt
would acknowledge them before their listeners run, and takes as long for each as all the rest of
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
"""How many deliveries may be under way; Slack delivers at most about 8 a second (30,000/h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """Who is told what people say and do."""

    on_message: Callable[[Message], Awaitable[AcceptResult]]
    """Has the message on disk when it returns; whatever it raises, Slack delivers again."""
    on_edited: Callable[[EditedEvent], Awaitable[bool]]
    """Whether the message has a turn, so that its author has been told what comes of the edit."""
    on_deleted: Callable[[DeletedEvent], Coroutine[object, object, None]]
    on_stopped: Callable[[StoppedEvent], Coroutine[object, object, None]]
    on_direct_opened: Callable[[HomeOpenedEvent], None] | None = None
    """Somebody opened their direct messages with the bot; returns at once."""


class EventReceiver:
    """Takes what the doors bring and answers as Slack expects it."""

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
        """`record_seconds` is how long writing a message to the inbox may take."""
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

    async def deliver(self, body: Json, headers: Mapping[str, str] | None = None) -> BoltResponse:
        """Take one delivery, whose sender has been checked. Only a 200 means that it is taken.

        Never raises: a payload that makes no sense is acknowledged, as Slack would only repeat it.
        """
        with self._telemetry.observe_delivery() as outcome:
            answer = await self._dispatch_within_limit(body, headers)
            outcome.outcome = "taken" if answer.status == 200 else "refused"
            return answer

    async def _dispatch_within_limit(
        self, body: Json, headers: Mapping[str, str] | None
    ) -> BoltResponse:
        """Take one delivery, unless too many are under way."""
        if self._in_flight >= _MAX_CONCURRENT_DELIVERIES:
            log.error(
                "%d deliveries are under way; one is left for Slack to repeat",
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
        """Take the event of a message that was said while nothing was heard, as if it came now;
        None for one that is nothing for the bot. Raises what recording it raises, and
        `TimeoutError`: then it is not taken."""
        fact = parse_event(body, self._identity)
        if not isinstance(fact, Message):
            return None
        async with asyncio.timeout(self._record_seconds):
            return await self._callbacks.on_message(fact)

    async def drain(self, seconds: float = 5.0) -> None:
        """Wait until no delivery is under way; call when the door is closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    async def _dispatch(self, body: Json, headers: Mapping[str, str] | None) -> BoltResponse:
        if body.get("type") == "event_callback":
            return BoltResponse(status=200 if await self._handle_event(body) else 503, body="")
        if installing_team(body) not in ("", self._identity.team):
            log.info("ignored: %s, %s", _delivery_kind(body), OTHER_WORKSPACE.reason)
            return BoltResponse(status=200, body="")
        request = _build_bolt_request(body, headers)
        if request is None:
            log.warning("a delivery makes no sense and is left alone: %s", _delivery_kind(body))
            return BoltResponse(status=200, body="")
        answer = await self.app.async_dispatch(request)
        if answer.status == 404:  # Bolt's word for "nobody registered for this"
            log.info("nothing to do for a delivery: %s", _delivery_kind(body))
            return BoltResponse(status=200, body="")
        return answer

    # What Bolt knows --------------------------------------------------------------------------

    def _build_app(self) -> AsyncApp:
        quiet = logging.getLogger("bot.slack.bolt")
        # What Bolt warns of is how it was set up (it reads SLACK_* variables that are not for it)
        # and unmatched deliveries, which are logged above.
        quiet.setLevel(logging.ERROR)
        app = AsyncApp(
            name="threadpilot",
            logger=quiet,
            client=self._client.web,
            # The answer of auth.test, asked once at the start: with a token alone Bolt asks on
            # the first event, and acknowledges that event if Slack does not answer.
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
        """Take an event; False when Slack is to bring it again. What is done besides recording a
        message is done afterwards."""
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
                log.log(level, "ignored: %s", ignored.reason)
        return True

    async def _record_message(self, message: Message) -> bool:
        try:
            async with asyncio.timeout(self._record_seconds):
                await self._callbacks.on_message(message)
        except Exception as error:
            trouble = None if isinstance(error, BotError | TimeoutError) else error
            log.error(  # noqa: TRY400 - what is known needs no trace
                "a message could not be recorded, Slack will bring it again: %s",
                str(error) or "it took too long",
                exc_info=trouble,
            )
            return False
        return True

    async def _handle_edit(self, edited: EditedEvent) -> None:
        has_turn = await self._callbacks.on_edited(edited)
        if edited.adds_mention and not has_turn:
            await self._notify_late_mention(edited)

    async def _notify_late_mention(self, edited: EditedEvent) -> None:
        """An edit that makes a message a mention starts no turn, and nobody else would say so."""
        await post_ephemeral(
            self._client,
            edited.channel,
            edited.user,
            edited.root_ts,
            text=texts.MENTIONED_BY_EDIT,
        )


def _build_bolt_request(body: Json, headers: Mapping[str, str] | None) -> AsyncBoltRequest | None:
    """The delivery as Bolt takes it, or None for shapes that Bolt would stumble over."""
    if body.get("type") == "block_actions" and parse_button_press(body) is None:
        return None
    try:
        # The doors have read and checked the body, so Bolt is given it as Socket Mode would.
        # (Its own reading of forms loses every command that contains the word "payload".)
        return AsyncBoltRequest(mode="socket_mode", body=body, headers=dict(headers or {}))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError):
        return None


def _build_authorize(
    identity: BotIdentity, token: str | None
) -> Callable[[], Awaitable[AuthorizeResult]]:
    """Bolt's authorization with what is known already. (It cannot call a method for this.)"""

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
    """What kind of delivery it is, for the log: never what it says."""
    kind = body.get("type", body.get("command"))
    return repr(kind[:60]) if isinstance(kind, str) else "unknown"


class Transport(Protocol):
    """A way in: Socket Mode or signed HTTP."""

    def open(
        self, receiver: EventReceiver, on_connection_change: Callable[[bool], None]
    ) -> AbstractAsyncContextManager[None]:
        """Bring everything that Slack says to `intake`, from when this is entered until it is
        left. `heard` is told True whenever Slack is heard that was not until then, and False when
        nothing is heard any more. Raises `SlackError` or `SettingsError` when the door does not
        open."""
        ...
