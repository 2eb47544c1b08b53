"""Who is answered at all: no guests, outsiders or blocked people, only people and channels on the
lists where there are lists, nobody without turns left, and no bots that talk to the bot for ever.
"""

from __future__ import annotations

import logging
from typing import Final

from bot import refusals
from bot.errors import SlackError
from bot.limits import Limits
from bot.model import BOTS_IN_A_ROW, Message, Trigger
from bot.orders import words
from bot.orders.access import Access
from bot.ports import ThreadStore

log = logging.getLogger(__name__)

UNKNOWN: Final = (
    "I can't find out just now who you are, so I can't answer yet. Please ask again in a minute."
)


class Gate:
    """`bot.turns.Gate`."""

    def __init__(self, access: Access, limits: Limits, store: ThreadStore) -> None:
        self._access = access
        self._limits = limits
        self._store = store

    async def refusal(self, message: Message) -> str:
        """The sentence why the author of a message is not answered; empty when they are. Who
        cannot be looked up is not answered. Raises `StoreError`."""
        if message.trigger is Trigger.BOT_MENTION:
            return await self._closed_to_bot(message)
        return await self.closed_to(message.user, message.thread.channel, external=message.external)

    async def closed_to(self, user: str, channel: str, *, external: bool) -> str:
        """The same for somebody who is about to ask in a channel; `external`: whether Slack says
        that they are of another workspace. Raises `StoreError`."""
        try:
            person = await self._access.person(user)
            out = await self._access.kept_out(person, channel, external=external)
        except SlackError as error:
            log.warning("who asks could not be looked up: %s", error)
            return refusals.OUTSIDER if external else UNKNOWN
        if out is not None:
            return words.KEPT_OUT[out]
        return await self._limits.refusal(user)

    async def _closed_to_bot(self, message: Message) -> str:
        out = self._access.bot_kept_out(message.user, message.thread.channel)
        if out is not None:
            return words.KEPT_OUT[out]
        if await self._store.bots_before(message) >= BOTS_IN_A_ROW:
            return words.BOTS_TALK
        return await self._limits.refusal(message.user)
