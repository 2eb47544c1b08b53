"""Which places somebody sees, for lists that tell of several of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from bot.errors import SlackError
from bot.ports import People

log = logging.getLogger(__name__)


async def seen_of(people: People, user: str, channels: Iterable[str]) -> frozenset[str]:
    """Those of some channels that somebody sees just now. Where Slack does not tell, they do not:
    trouble with one of them must not take the whole list away. Raises nothing."""

    async def sees(channel: str) -> bool:
        try:
            return await people.sees(user, channel)
        except SlackError as error:
            log.warning("whether %s sees %s could not be found out: %s", user, channel, error)
            return False

    wanted = sorted(set(channels))
    answers = await asyncio.gather(*map(sees, wanted))
    return frozenset(channel for channel, seen in zip(wanted, answers, strict=True) if seen)
