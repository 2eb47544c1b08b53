"""Addresses of threads, for people to follow: asked of Slack once each."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from bot.domain.messages import ThreadKey
from bot.slack.api.calls import CallError
from bot.slack.api.client import Client

log = logging.getLogger(__name__)

_KNOWN: Final = 2_000
_SECONDS: Final = 3.0
"""For all links of a card together: it is shown without those that take longer."""


class Links:
    """The addresses that were asked for."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._addresses: OrderedDict[ThreadKey, str] = OrderedDict()

    async def of(self, threads: Collection[ThreadKey]) -> Mapping[ThreadKey, str]:
        """The addresses of those threads that have one and whose address Slack tells in 3 s.
        Never raises for Slack's sake."""
        unknown = [thread for thread in threads if thread not in self._addresses]
        if unknown:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    await asyncio.gather(*(self._ask(thread) for thread in unknown))
        known = {thread: self._addresses.get(thread, "") for thread in threads}
        while len(self._addresses) > _KNOWN:
            self._addresses.popitem(last=False)
        return {thread: address for thread, address in known.items() if address}

    async def _ask(self, thread: ThreadKey) -> None:
        try:
            answer = await self._client.calls(
                self._client.web.chat_getPermalink,
                patience=0.0,
                seconds=_SECONDS,
                channel=thread.channel,
                message_ts=thread.root_ts,
            )
        except CallError as error:
            log.info("no address of a thread: %s", error)
            return
        address = answer.get("permalink")
        if isinstance(address, str) and address.startswith(("https://", "http://")):
            self._addresses[thread] = address.replace("|", "%7C").replace(">", "%3E")
