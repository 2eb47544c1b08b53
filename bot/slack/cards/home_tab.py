"""The bot's own pages: its Home tab, and the suggestions that open its Messages tab."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from bot.domain.cards import Card
from bot.errors import BotError
from bot.slack import texts
from bot.slack.api.client import Client
from bot.slack.api.permalinks import Links
from bot.slack.cards.render import draw_home, threads_of
from bot.slack.events.parser import HomeOpened

log = logging.getLogger(__name__)

HomeCards = Callable[[str], Awaitable[Sequence[Card]]]
"""What the Home tab of a user (by id) shows."""

_CARDS_SECONDS: Final = 20.0
_PATIENCE: Final = 10.0


class Home:
    """Shows the pages to whoever opens them."""

    def __init__(self, client: Client, links: Links, cards: HomeCards) -> None:
        self._client = client
        self._links = links
        self._cards = cards

    async def opened(self, opened: HomeOpened) -> None:
        """Show the tab that was opened. Raises `SlackError`."""
        if opened.tab == "messages":
            await self._suggest(opened.channel)
        else:
            await self.publish(opened.user)

    async def publish(self, user: str, notice: Card | None = None) -> None:
        """Show somebody their Home tab as it is now; on top what has just come of an order.

        Raises `SlackError`.
        """
        cards = await self._cards_of(user)
        on_top = [notice] if notice is not None else []
        links = await self._links.of(threads_of([*on_top, *cards]))
        page = {"type": "home", "blocks": draw_home(cards, links, on_top)}
        await self._client.calls(
            self._client.web.views_publish, patience=_PATIENCE, user_id=user, view=page
        )

    async def _cards_of(self, user: str) -> Sequence[Card]:
        """What there is to show; where that cannot be told just now, a sentence."""
        try:
            async with asyncio.timeout(_CARDS_SECONDS):
                return await self._cards(user)
        except BotError as error:
            log.warning("the Home tab could not be made: %s", error)
            return (Card(text=error.sentence),)
        except Exception:
            log.exception("the Home tab could not be made")
            return (Card(text=BotError.sentence),)

    async def _suggest(self, channel: str) -> None:
        prompts = [{"title": title, "message": message} for title, message in texts.PROMPTS]
        await self._client.calls(
            self._client.web.assistant_threads_setSuggestedPrompts,
            patience=_PATIENCE,
            channel_id=channel,
            title=texts.PROMPTS_TITLE,
            prompts=prompts,
        )
