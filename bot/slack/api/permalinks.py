"""Fetches the permalinks of threads from Slack and caches them."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from bot.domain.messages import ThreadKey
from bot.slack.api.calls import SlackCallError
from bot.slack.api.client import SlackClient

log = logging.getLogger(__name__)

_MAX_CACHED: Final = 2_000
_FETCH_SECONDS: Final = 3.0
"""Timeout in seconds for all links of a card together. The card is shown without the late ones."""


class Permalinks:
    """Fetches and caches permalinks."""

    def __init__(self, client: SlackClient) -> None:
        self._client = client
        self._cache: OrderedDict[ThreadKey, str] = OrderedDict()

    async def fetch(self, threads: Collection[ThreadKey]) -> Mapping[ThreadKey, str]:
        """The permalinks of those threads for which Slack returns one within 3 s. Raises no
        `SlackError`."""
        unknown = [thread for thread in threads if thread not in self._cache]
        if unknown:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FETCH_SECONDS):
                    await asyncio.gather(*(self._fetch_one(thread) for thread in unknown))
        urls = {thread: self._cache.get(thread, "") for thread in threads}
        while len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)
        return {thread: url for thread, url in urls.items() if url}

    async def _fetch_one(self, thread: ThreadKey) -> None:
        try:
            response = await self._client.call(
                self._client.web.chat_getPermalink,
                max_wait=0.0,
                seconds=_FETCH_SECONDS,
                channel=thread.channel,
                message_ts=thread.root_ts,
            )
        except SlackCallError as error:
            log.info("permalink not found: thread=%s reason=%s", thread, error)
            return
        url = response.get("permalink")
        if isinstance(url, str) and url.startswith(("https://", "http://")):
            self._cache[thread] = url.replace("|", "%7C").replace(">", "%3E")
