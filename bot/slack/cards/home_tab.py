"""Publishes the Home tab, and sets the suggested prompts of the Messages tab."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from bot.domain.cards import Card
from bot.errors import BotError
from bot.slack import texts
from bot.slack.api.client import SlackClient
from bot.slack.api.permalinks import Permalinks
from bot.slack.cards.render import linked_threads, render_home
from bot.slack.events.parser import HomeOpenedEvent

log = logging.getLogger(__name__)

LoadHomeCards = Callable[[str], Awaitable[Sequence[Card]]]
"""Returns the cards on the Home tab of a user (by id)."""

_CARDS_SECONDS: Final = 20.0
_MAX_WAIT_SECONDS: Final = 10.0


class HomeTabPublisher:
    """Updates the tab that a user opens."""

    def __init__(
        self, client: SlackClient, permalinks: Permalinks, load_cards: LoadHomeCards
    ) -> None:
        self._client = client
        self._permalinks = permalinks
        self._load_cards = load_cards

    async def on_opened(self, event: HomeOpenedEvent) -> None:
        """Update the tab that was opened. Raises `SlackError`."""
        if event.tab == "messages":
            await self._set_prompts(event.channel)
        else:
            await self.publish(event.user)

    async def publish(self, user: str, notice: Card | None = None) -> None:
        """Update a user's Home tab, with `notice` (a command's result) on top. Raises
        `SlackError`."""
        cards = await self._cards_for(user)
        pinned = [notice] if notice is not None else []
        links = await self._permalinks.fetch(linked_threads([*pinned, *cards]))
        view = {"type": "home", "blocks": render_home(cards, links, pinned)}
        await self._client.call(
            self._client.web.views_publish, max_wait=_MAX_WAIT_SECONDS, user_id=user, view=view
        )

    async def _cards_for(self, user: str) -> Sequence[Card]:
        """The cards to show; one card with a sentence if they cannot be loaded."""
        try:
            async with asyncio.timeout(_CARDS_SECONDS):
                return await self._load_cards(user)
        except BotError as error:
            log.warning("Home tab not loaded: user=%s reason=%s", user, error)
            return (Card(text=error.user_message),)
        except Exception:
            log.exception("Home tab not loaded: user=%s", user)
            return (Card(text=BotError.user_message),)

    async def _set_prompts(self, channel: str) -> None:
        prompts = [{"title": title, "message": message} for title, message in texts.PROMPTS]
        await self._client.call(
            self._client.web.assistant_threads_setSuggestedPrompts,
            max_wait=_MAX_WAIT_SECONDS,
            channel_id=channel,
            title=texts.PROMPTS_TITLE,
            prompts=prompts,
        )
