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
from bot.domain.turns import Accepted
from bot.errors import BotError
from bot.ports import UNWATCHED, Watch
from bot.slack import texts
from bot.slack.api.client import Client
from bot.slack.api.ephemeral import post_aside
from bot.slack.cards.home_tab import Home
from bot.slack.events.parser import (
    ELSEWHERE,
    Deleted,
    Edited,
    HomeOpened,
    Ignored,
    Stopped,
    read_event,
)
from bot.slack.identity import Identity
from bot.slack.interactions.listeners import Controls
from bot.slack.interactions.payloads import installing_team, read_press
from bot.tasks import Background

log = logging.getLogger(__name__)

Json = dict[str, object]

_AT_ONCE: Final = 1_000
"""How many deliveries may be under way; Slack delivers at most about 8 a second (30,000/h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callbacks:
    """Who is told what people say and do."""

    on_message: Callable[[Message], Awaitable[Accepted]]
    """Has the message on disk when it returns; whatever it raises, Slack delivers again."""
    on_edited: Callable[[Edited], Awaitable[bool]]
    """Whether the message has a turn, so that its author has been told what comes of the edit."""
    on_deleted: Callable[[Deleted], Coroutine[object, object, None]]
    on_stopped: Callable[[Stopped], Coroutine[object, object, None]]
    on_direct_opened: Callable[[HomeOpened], None] | None = None
    """Somebody opened their direct messages with the bot; returns at once."""


class Intake:
    """Takes what the doors bring and answers as Slack expects it."""

    def __init__(
        self,
        client: Client,
        us: Identity,
        callbacks: Callbacks,
        background: Background,
        controls: Controls,
        home: Home,
        record_seconds: float = 10.0,
        watch: Watch = UNWATCHED,
    ) -> None:
        """`record_seconds` is how long writing a message to the inbox may take."""
        self._client = client
        self._us = us
        self._callbacks = callbacks
        self._background = background
        self._controls = controls
        self._home = home
        self._record_seconds = record_seconds
        self._watch = watch
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.app = self._bolt()

    async def deliver(self, body: Json, headers: Mapping[str, str] | None = None) -> BoltResponse:
        """Take one delivery, whose sender has been checked. Only a 200 means that it is taken.

        Never raises: a payload that makes no sense is acknowledged, as Slack would only repeat it.
        """
        with self._watch.delivery() as outcome:
            answer = await self._bounded(body, headers)
            outcome.said = "taken" if answer.status == 200 else "refused"
            return answer

    async def _bounded(self, body: Json, headers: Mapping[str, str] | None) -> BoltResponse:
        """Take one delivery, unless too many are under way."""
        if self._under_way >= _AT_ONCE:
            log.error("%d deliveries are under way; one is left for Slack to repeat", _AT_ONCE)
            return BoltResponse(status=503, body="")
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._dispatch(body, headers)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def missed(self, body: Json) -> Accepted | None:
        """Take the event of a message that was said while nothing was heard, as if it came now;
        None for one that is nothing for the bot. Raises what recording it raises, and
        `TimeoutError`: then it is not taken."""
        fact = read_event(body, self._us)
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
            return BoltResponse(status=200 if await self._heard(body) else 503, body="")
        if installing_team(body) not in ("", self._us.team):
            log.info("ignored: %s, %s", _kind(body), ELSEWHERE.reason)
            return BoltResponse(status=200, body="")
        request = _request(body, headers)
        if request is None:
            log.warning("a delivery makes no sense and is left alone: %s", _kind(body))
            return BoltResponse(status=200, body="")
        answer = await self.app.async_dispatch(request)
        if answer.status == 404:  # Bolt's word for "nobody registered for this"
            log.info("nothing to do for a delivery: %s", _kind(body))
            return BoltResponse(status=200, body="")
        return answer

    # What Bolt knows --------------------------------------------------------------------------

    def _bolt(self) -> AsyncApp:
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
            authorize=_authorizing(self._us, self._client.web.token),
            signing_secret="",
            request_verification_enabled=False,
            ssl_check_enabled=False,
            ignoring_self_events_enabled=False,  # bot.slack.events.parser decides it, in one place
            attaching_function_token_enabled=False,
            attaching_conversation_kwargs_enabled=False,
        )
        self._controls.register(app)
        return app

    # Events -----------------------------------------------------------------------------------

    async def _heard(self, body: Json) -> bool:
        """Take an event; False when Slack is to bring it again. What is done besides recording a
        message is done afterwards."""
        match read_event(body, self._us):
            case Message() as message:
                return await self._on_disk(message)
            case Edited() as edited:
                self._background.start("an edit", self._edited(edited))
            case Deleted() as deleted:
                self._background.start("a deletion", self._callbacks.on_deleted(deleted))
            case Stopped() as stopped:
                self._background.start("a stop", self._callbacks.on_stopped(stopped))
            case HomeOpened() as opened:
                if opened.tab == "messages" and self._callbacks.on_direct_opened is not None:
                    self._callbacks.on_direct_opened(opened)
                self._background.start("showing the home tab", self._home.opened(opened))
            case Ignored() as ignored:
                level = logging.INFO if ignored.notable else logging.DEBUG
                log.log(level, "ignored: %s", ignored.reason)
        return True

    async def _on_disk(self, message: Message) -> bool:
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

    async def _edited(self, edited: Edited) -> None:
        has_turn = await self._callbacks.on_edited(edited)
        if edited.mentions_us and not has_turn:
            await self._tell_of_late_mention(edited)

    async def _tell_of_late_mention(self, edited: Edited) -> None:
        """An edit that makes a message a mention starts no turn, and nobody else would say so."""
        await post_aside(
            self._client,
            edited.channel,
            edited.user,
            texts.MENTIONED_BY_EDIT,
            root_ts=edited.root_ts,
        )


def _request(body: Json, headers: Mapping[str, str] | None) -> AsyncBoltRequest | None:
    """The delivery as Bolt takes it, or None for shapes that Bolt would stumble over."""
    if body.get("type") == "block_actions" and read_press(body) is None:
        return None
    try:
        # The doors have read and checked the body, so Bolt is given it as Socket Mode would.
        # (Its own reading of forms loses every command that contains the word "payload".)
        return AsyncBoltRequest(mode="socket_mode", body=body, headers=dict(headers or {}))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, RecursionError):
        return None


def _authorizing(us: Identity, token: str | None) -> Callable[[], Awaitable[AuthorizeResult]]:
    """Bolt's authorization with what is known already. (It cannot call a method for this.)"""

    async def authorize() -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None,
            team_id=us.team,
            bot_user_id=us.user,
            bot_id=us.bot,
            bot_token=token,
        )

    return authorize


def _kind(body: Json) -> str:
    """What kind of delivery it is, for the log: never what it says."""
    kind = body.get("type", body.get("command"))
    return repr(kind[:60]) if isinstance(kind, str) else "unknown"


class Door(Protocol):
    """A way in: Socket Mode or signed HTTP."""

    def open(
        self, intake: Intake, heard: Callable[[bool], None]
    ) -> AbstractAsyncContextManager[None]:
        """Bring everything that Slack says to `intake`, from when this is entered until it is
        left. `heard` is told True whenever Slack is heard that was not until then, and False when
        nothing is heard any more. Raises `SlackError` or `SettingsError` when the door does not
        open."""
        ...
