"""Who is answered at all: no guests, outsiders or blocked people, and nobody without turns left."""

from __future__ import annotations

import logging
from typing import Final

from bot import refusals
from bot.errors import SlackError
from bot.limits import Limits
from bot.model import Message
from bot.orders import words
from bot.orders.access import Access

log = logging.getLogger(__name__)

UNKNOWN: Final = (
    "I can't find out just now who you are, so I can't answer yet. Please ask again in a minute."
)


class Gate:
    """`bot.turns.Gate`."""

    def __init__(self, access: Access, limits: Limits) -> None:
        self._access = access
        self._limits = limits

    async def refusal(self, message: Message) -> str:
        """The sentence why the author of a message is not answered; empty when they are. Who
        cannot be looked up is not answered. Raises `StoreError`."""
        return await self.closed_to(message.user, external=message.external)

    async def closed_to(self, user: str, *, external: bool) -> str:
        """The same for somebody who is about to ask; `external`: whether Slack says that they are
        of another workspace. Raises `StoreError`."""
        try:
            person = await self._access.person(user)
        except SlackError as error:
            log.warning("who asks could not be looked up: %s", error)
            return refusals.OUTSIDER if external else UNKNOWN
        out = self._access.kept_out(person, external=external)
        if out is not None:
            return words.KEPT_OUT[out]
        return await self._limits.refusal(user)
