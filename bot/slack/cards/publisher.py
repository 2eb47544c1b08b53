"""Posts cards and files to Slack: implements `bot.ports.CardPublisher`.

Cards never ping or unfurl. A posted card carries metadata, so that a card whose call failed
half-way is found again instead of being posted twice.
"""

from __future__ import annotations

import logging
from typing import Final

from bot.domain.cards import Card
from bot.domain.messages import ThreadKey
from bot.slack.api.calls import CallContext, SlackCallError
from bot.slack.api.client import SlackClient
from bot.slack.api.ephemeral import post_ephemeral
from bot.slack.api.files import FileUpload, upload_file
from bot.slack.api.permalinks import Permalinks
from bot.slack.api.post_search import find_post
from bot.slack.api.rate_limiter import Priority
from bot.slack.cards.render import RenderedCard, linked_threads, render_card
from bot.slack.formatting.mrkdwn import escape
from bot.slack.formatting.sanitize import sanitize

log = logging.getLogger(__name__)

CARD_EVENT_TYPE: Final = "threadpilot_card"
"""The type of the metadata on every posted card."""

_CALL_SECONDS: Final = 10.0
_MAX_WAIT_SECONDS: Final = 20.0
_MAX_TITLE_CHARS: Final = 200
_MAX_COMMENT_CHARS: Final = 1_000


class SlackCardPublisher:
    """Posts, updates and shows cards."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._web = client.web
        self._call = client.call
        self.permalinks = Permalinks(client)

    async def post(self, thread: ThreadKey, card: Card, *, command_key: str = "") -> str:
        """`CardPublisher.post`. `command_key` is the key of the command that the card answers, for
        `is_posted`."""
        rendered = await self.render(card, thread=thread)
        return await self._post(thread.channel, rendered, command_key, thread.root_ts)

    async def is_posted(self, thread: ThreadKey, command_key: str, after: str) -> bool:
        """True if the card that answers this command is in the thread, after the message `after`.
        Raises `SlackError`."""
        messages = self._client.replies(thread, oldest=after or None)
        return bool(await find_post(messages, CARD_EVENT_TYPE, {"order": command_key}))

    async def post_to_channel(self, channel: str, card: Card) -> str:
        """`CardPublisher.post_to_channel`."""
        return await self._post(channel, await self.render(card), "", "")

    async def update(self, channel: str, ts: str, card: Card) -> None:
        """`CardPublisher.update`. The card's buttons refer to the thread of the card."""
        rendered = await self.render(card)
        await self._call(
            self._web.chat_update,
            max_wait=_MAX_WAIT_SECONDS,
            seconds=_CALL_SECONDS,
            channel=channel,
            ts=ts,
            **_message_arguments(rendered),
        )

    async def post_ephemeral(self, user: str, channel: str, root_ts: str, card: Card) -> None:
        """`CardPublisher.post_ephemeral`."""
        try:
            await self.send_ephemeral(user, channel, root_ts, await self.render(card))
        except SlackCallError as error:
            log.warning(
                "ephemeral card not shown: user=%s channel=%s reason=%s", user, channel, error
            )

    async def send_ephemeral(
        self, user: str, channel: str, root_ts: str, rendered: RenderedCard
    ) -> None:
        """Show a card to one user only. Raises `SlackError`."""
        await post_ephemeral(
            self._client,
            channel,
            user,
            root_ts,
            max_wait=_MAX_WAIT_SECONDS,
            seconds=_CALL_SECONDS,
            **_message_arguments(rendered),
        )

    async def open_dm(self, user: str) -> str:
        """`CardPublisher.open_dm`."""
        response = await self._call(
            self._web.conversations_open,
            max_wait=_MAX_WAIT_SECONDS,
            seconds=_CALL_SECONDS,
            users=user,
        )
        channel = response.get("channel")
        channel_id = channel.get("id") if isinstance(channel, dict) else None
        if not isinstance(channel_id, str):
            raise SlackCallError("not_json", "no channel in the response")
        return channel_id

    async def upload(self, user: str, name: str, content: str, comment: str) -> None:
        """`CardPublisher.upload`."""
        channel = await self.open_dm(user)
        escaped = escape(sanitize(comment[:_MAX_COMMENT_CHARS]))
        file = FileUpload(name=name, content=content, channel=channel, comment=escaped)
        await upload_file(self._client, CallContext(priority=Priority.HIGH), file)

    async def set_title(self, thread: ThreadKey, title: str) -> None:
        """`CardPublisher.set_title`."""
        try:
            await self._call(
                self._web.agents_sessions_rename,
                max_wait=0.0,
                seconds=_CALL_SECONDS,
                channel_id=thread.channel,
                thread_ts=thread.root_ts,
                title=sanitize(" ".join(title.split()))[:_MAX_TITLE_CHARS],
            )
        except SlackCallError as error:
            log.info("session title not set in Slack: reason=%s", error)

    async def render(
        self, card: Card, *, thread: ThreadKey | None = None, command_name: str = ""
    ) -> RenderedCard:
        """The card with its links fetched; see `bot.slack.cards.render.render_card`."""
        links = await self.permalinks.fetch(linked_threads([card]))
        return render_card(card, thread=thread, command_name=command_name, links=links)

    async def _post(
        self, channel: str, rendered: RenderedCard, command_key: str, root_ts: str
    ) -> str:
        response = await self._call(
            self._web.chat_postMessage,
            max_wait=_MAX_WAIT_SECONDS,
            seconds=_CALL_SECONDS,
            channel=channel,
            thread_ts=root_ts or None,
            **_message_arguments(rendered),
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": CARD_EVENT_TYPE, "event_payload": {"order": command_key}},
        )
        ts = response.get("ts")
        if not isinstance(ts, str):
            raise SlackCallError("not_json", "no message in the response", maybe_done=True)
        return ts


def _message_arguments(rendered: RenderedCard) -> dict[str, object]:
    """A rendered card as arguments of a call, which link and ping nothing."""
    return {"text": rendered.text, "blocks": rendered.blocks, "parse": "none", "link_names": False}
