"""Builds the transport and the callbacks that bring Slack's events to the core."""

from __future__ import annotations

import logging

from bot.commands.router import MessageRouter
from bot.domain.cards import Card
from bot.errors import NotAllowed
from bot.ports import CardPublisher
from bot.services import Services
from bot.sessions.prewarm import SessionPrewarmer
from bot.slack.events.parser import DeletedEvent, EditedEvent, StoppedEvent
from bot.slack.receiver import Callbacks, Transport
from bot.slack.transport.http import HttpTransport
from bot.slack.transport.socket_mode import SocketModeTransport
from bot.turns.inbox import Inbox
from bot.turns.processor import TurnProcessor

log = logging.getLogger(__name__)


def build_transport(services: Services) -> Transport:
    """The transport that `SLACK_MODE` names; it is not open yet."""
    settings = services.settings
    if settings.slack_mode != "http":
        return SocketModeTransport(
            app_token=settings.slack_app_token,
            clock=services.clock,
            api_url=settings.slack_api_url,
            telemetry=services.telemetry_setup.telemetry,
        )

    async def check_ready() -> bool:
        """True while the database is writable. The runtime does not count: the turn that needs it
        starts it again."""
        await services.store.check_writable()
        return True

    return HttpTransport(
        signing_secret=settings.slack_signing_secret,
        clock=services.clock,
        check_ready=check_ready,
        host=settings.http_host,
        port=settings.http_port,
    )


def build_callbacks(
    router: MessageRouter,
    inbox: Inbox,
    turn_processor: TurnProcessor,
    prewarmer: SessionPrewarmer,
    publisher: CardPublisher,
) -> Callbacks:
    """The callbacks that pass Slack's events on to the part that handles them."""

    async def on_edited(event: EditedEvent) -> bool:
        text = router.redact(event.text)
        return await inbox.handle_edit(event.team, event.channel, event.ts, text)

    async def on_deleted(event: DeletedEvent) -> None:
        await inbox.handle_deletion(event.team, event.channel, event.ts)

    async def on_stopped(event: StoppedEvent) -> None:
        thread = event.thread
        try:
            await turn_processor.stop_answer(thread, event.user)
        except NotAllowed as error:
            log.info("stop refused: thread=%s user=%s reason=%s", thread, event.user, error)
            card = Card(text=error.user_message)
            await publisher.post_ephemeral(event.user, thread.channel, thread.root_ts, card)

    return Callbacks(
        on_message=router.route_message,
        on_edited=on_edited,
        on_deleted=on_deleted,
        on_stopped=on_stopped,
        on_direct_opened=lambda event: prewarmer.prewarm_for_dm(event.user, event.channel),
    )
