"""A workspace's client with what a thread says, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from slack_sdk.web.async_client import AsyncWebClient

from bot.model import ThreadKey
from bot.slack.calls import Calls

_PAGE: Final = 200
_MAX_PAGES: Final = 5


class Client:
    """One workspace's client. Everything raises `CallError`."""

    def __init__(self, web: AsyncWebClient, calls: Calls) -> None:
        self.web = web
        self.calls = calls

    async def replies(
        self, thread: ThreadKey, *, oldest: str | None = None, latest: str | None = None
    ) -> AsyncIterator[Mapping[str, object]]:
        """A thread's messages, oldest first, 1,000 at most; the root comes whatever `oldest`.
        Those at `oldest` and at `latest` themselves are left out."""
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self.calls(
                self.web.conversations_replies,
                channel=thread.channel,
                ts=thread.root_ts,
                oldest=oldest,
                latest=latest,
                include_all_metadata=True,
                limit=_PAGE,
                cursor=cursor,
            )
            found = page.get("messages")
            for message in found if isinstance(found, list) else ():
                if isinstance(message, dict):
                    yield message
            rest = page.get("response_metadata")
            cursor = str(rest.get("next_cursor") or "") if isinstance(rest, dict) else ""
            if not cursor:
                return


def order(ts: str) -> tuple[int, str]:
    """A `ts` as something that sorts: seconds, then their fraction."""
    seconds, _, fraction = ts.partition(".")
    return (int(seconds) if seconds.isdecimal() else 0, fraction)
