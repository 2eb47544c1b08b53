"""Where the bot shows cards and gives files: `bot.ports.Board` in Slack.

Nothing that is shown pings, unfurls or is live. What is posted carries metadata, so that a card
whose call failed half-way can be found again instead of standing there twice.
"""

from __future__ import annotations

import logging
from typing import Final

from bot.domain.cards import Card
from bot.domain.messages import ThreadKey
from bot.slack.api.calls import CallError, Cause
from bot.slack.api.client import Client
from bot.slack.api.files import Upload, upload
from bot.slack.api.permalinks import Links
from bot.slack.api.rate_limiter import Urgency
from bot.slack.cards.render import Drawn, draw, threads_of
from bot.slack.formatting.mrkdwn import escaped
from bot.slack.formatting.sanitize import showable

log = logging.getLogger(__name__)

CARD_EVENT: Final = "threadpilot_card"
"""The metadata's name on every card that is posted."""

_SECONDS: Final = 10.0
_PATIENCE: Final = 20.0
_TITLE: Final = 200
_COMMENT: Final = 1_000


class SlackBoard:
    """Shows cards."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._web = client.web
        self._calls = client.calls
        self.links = Links(client)

    async def show(self, thread: ThreadKey, card: Card, *, order: str = "") -> str:
        """`Board.show`; `order` is the key of the order that the card answers, for `shown`."""
        drawn = await self.drawn(card, thread=thread)
        return await self._post(thread.channel, drawn, order, thread.root_ts)

    async def shown(self, thread: ThreadKey, order: str, after: str) -> bool:
        """Whether the card that answers this order stands in the thread, after the message
        `after`. Raises `SlackError`."""
        async for message in self._client.replies(thread, oldest=after or None):
            metadata = message.get("metadata")
            payload = metadata.get("event_payload") if isinstance(metadata, dict) else None
            if isinstance(payload, dict) and payload.get("order") == order:
                return True
        return False

    async def begin(self, channel: str, card: Card) -> str:
        """`Board.begin`."""
        return await self._post(channel, await self.drawn(card), "", "")

    async def redraw(self, channel: str, ts: str, card: Card) -> None:
        """`Board.redraw`. Its buttons are about the thread in which the card stands."""
        drawn = await self.drawn(card)
        await self._calls(
            self._web.chat_update,
            patience=_PATIENCE,
            seconds=_SECONDS,
            channel=channel,
            ts=ts,
            **_inert(drawn),
        )

    async def tell(self, user: str, channel: str, root_ts: str, card: Card) -> None:
        """`Board.tell`."""
        try:
            await self.whisper(user, channel, root_ts, await self.drawn(card))
        except CallError as error:
            log.warning("a person could not be told alone: %s", error)

    async def whisper(self, user: str, channel: str, root_ts: str, drawn: Drawn) -> None:
        """Show a card to one person alone. Raises `SlackError`."""
        await self._calls(
            self._web.chat_postEphemeral,
            Cause(urgency=Urgency.FIRST),
            patience=_PATIENCE,
            seconds=_SECONDS,
            channel=channel,
            user=user,
            thread_ts=root_ts or None,
            **_inert(drawn),
        )

    async def direct(self, user: str) -> str:
        """`Board.direct`."""
        opened = await self._calls(
            self._web.conversations_open, patience=_PATIENCE, seconds=_SECONDS, users=user
        )
        channel = opened.get("channel")
        found = channel.get("id") if isinstance(channel, dict) else None
        if not isinstance(found, str):
            raise CallError("not_json", "the answer names no channel")
        return found

    async def upload(self, user: str, name: str, content: str, comment: str) -> None:
        """`Board.upload`."""
        channel = await self.direct(user)
        told = escaped(showable(comment[:_COMMENT]))
        file = Upload(name=name, content=content, channel=channel, comment=told)
        await upload(self._client, Cause(urgency=Urgency.FIRST), file)

    async def entitle(self, thread: ThreadKey, title: str) -> None:
        """`Board.entitle`."""
        try:
            await self._calls(
                self._web.agents_sessions_rename,
                patience=0.0,
                seconds=_SECONDS,
                channel_id=thread.channel,
                thread_ts=thread.root_ts,
                title=showable(" ".join(title.split()))[:_TITLE],
            )
        except CallError as error:
            log.info("the agent session could not be given a title in Slack: %s", error)

    async def drawn(self, card: Card, *, thread: ThreadKey | None = None, verb: str = "") -> Drawn:
        """A card with its links looked up; see `bot.slack.cards.render.draw`."""
        links = await self.links.of(threads_of([card]))
        return draw(card, thread=thread, verb=verb, links=links)

    async def _post(self, channel: str, drawn: Drawn, order: str, root_ts: str) -> str:
        answer = await self._calls(
            self._web.chat_postMessage,
            patience=_PATIENCE,
            seconds=_SECONDS,
            channel=channel,
            thread_ts=root_ts or None,
            **_inert(drawn),
            unfurl_links=False,
            unfurl_media=False,
            metadata={"event_type": CARD_EVENT, "event_payload": {"order": order}},
        )
        ts = answer.get("ts")
        if not isinstance(ts, str):
            raise CallError("not_json", "the answer names no message", maybe_done=True)
        return ts


def _inert(drawn: Drawn) -> dict[str, object]:
    """A drawn card as arguments of a call, nothing in it turned into a link or a ping."""
    return {"text": drawn.text, "blocks": drawn.blocks, "parse": "none", "link_names": False}
