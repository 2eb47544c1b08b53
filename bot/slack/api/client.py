"""Creates a workspace's client and reads threads, channels and conversations page by page."""

from __future__ import annotations

import logging
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.domain.messages import ThreadKey
from bot.ports import NULL_TELEMETRY, Clock, Telemetry
from bot.slack.api.calls import MAX_WAIT_SECONDS, ApiCaller

log = logging.getLogger(__name__)

_PAGE_SIZE: Final = 200
_MAX_PAGES: Final = 5
_MAX_HISTORY_PAGES: Final = 25
"""Maximum number of pages of a channel. They come newest first, and missed messages may be
older."""

PageItem = Mapping[str, object]
"""One message or channel of a page."""
PageRequest = Awaitable[Mapping[str, object]]
"""A request for a page, not yet awaited."""


class SlackClient:
    """A workspace's client with its rate-limited caller. All methods raise `SlackCallError`."""

    def __init__(self, web: AsyncWebClient, call: ApiCaller) -> None:
        self.web = web
        self.call = call

    async def replies(
        self,
        thread: ThreadKey,
        *,
        oldest: str | None = None,
        latest: str | None = None,
        max_wait: float = MAX_WAIT_SECONDS,
    ) -> AsyncGenerator[PageItem, None]:
        """At most 1,000 messages of a thread, oldest first.

        The root always comes, even if it is older than `oldest`. Messages at `oldest` and at
        `latest` themselves are left out. Each page waits for the rate limit for at most `max_wait`
        seconds.
        """

        def fetch_page(cursor: str | None) -> PageRequest:
            return self.call(
                self.web.conversations_replies,
                channel=thread.channel,
                ts=thread.root_ts,
                max_wait=max_wait,
                oldest=oldest,
                latest=latest,
                include_all_metadata=True,
                limit=_PAGE_SIZE,
                cursor=cursor,
            )

        async for page in _paginate(fetch_page, "messages"):
            for message in page:
                yield message

    def history(
        self, channel: str, oldest: str, *, max_wait: float = MAX_WAIT_SECONDS
    ) -> AsyncGenerator[Sequence[PageItem], None]:
        """At most 5,000 messages of a channel after `oldest`, without replies in threads, page by
        page, newest first. `max_wait` is as in `replies`."""

        def fetch_page(cursor: str | None) -> PageRequest:
            return self.call(
                self.web.conversations_history,
                max_wait=max_wait,
                channel=channel,
                oldest=oldest,
                include_all_metadata=True,
                limit=_PAGE_SIZE,
                cursor=cursor,
            )

        return _paginate(fetch_page, "messages", _MAX_HISTORY_PAGES)

    def conversations(self) -> AsyncGenerator[Sequence[PageItem], None]:
        """At most 1,000 conversations that the bot is in, page by page."""

        def fetch_page(cursor: str | None) -> PageRequest:
            return self.call(
                self.web.users_conversations,
                types="public_channel,private_channel,mpim,im",
                exclude_archived=True,
                limit=_PAGE_SIZE,
                cursor=cursor,
            )

        return _paginate(fetch_page, "channels")


async def _paginate(
    fetch_page: Callable[[str | None], PageRequest], key: str, max_pages: int = _MAX_PAGES
) -> AsyncGenerator[Sequence[PageItem], None]:
    """The lists under `key` on at most `max_pages` pages; `fetch_page` requests the page at a
    cursor."""
    cursor: str | None = None
    for _ in range(max_pages):
        page = await fetch_page(cursor)
        found = page.get(key)
        items = found if isinstance(found, list) else ()
        yield [item for item in items if isinstance(item, dict)]
        metadata = page.get("response_metadata")
        cursor = str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""
        if not cursor:
            return
    log.warning("page limit reached, the rest is left out: list=%s pages=%d", key, max_pages)


@asynccontextmanager
async def open_client(
    token: str,
    base_url: str,
    clock: Clock,
    telemetry: Telemetry = NULL_TELEMETRY,
    *,
    rate_multiplier: int = 1,
) -> AsyncIterator[SlackClient]:
    """A client with a session of its own, which all its calls share: without one the SDK opens a
    session per call.

    `rate_multiplier`: Slack allows this many times its documented rates.
    """
    async with aiohttp.ClientSession() as session:
        yield SlackClient(
            make_client(token, base_url, session, telemetry), ApiCaller(clock, rate_multiplier)
        )


def ts_sort_key(ts: str) -> tuple[int, str]:
    """A sort key for a `ts`: its seconds, then their fraction."""
    seconds, _, fraction = ts.partition(".")
    return (int(seconds) if seconds.isdecimal() else 0, fraction)


def make_client(
    token: str, base_url: str, session: aiohttp.ClientSession, telemetry: Telemetry = NULL_TELEMETRY
) -> AsyncWebClient:
    """A client that never retries by itself: the SDK would post twice after a dropped connection.

    `base_url` ends with `/api/`. The caller closes the session.
    """
    return InstrumentedWebClient(
        token=token, base_url=base_url, session=session, telemetry=telemetry
    )


class InstrumentedWebClient(AsyncWebClient):
    """Slack's client with telemetry for each call. It never retries by itself."""

    def __init__(
        self,
        *,
        telemetry: Telemetry,
        base_url: str,
        token: str | None = None,
        timeout: int = 30,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        super().__init__(
            token=token, base_url=base_url, timeout=timeout, session=session, retry_handlers=[]
        )
        self._telemetry = telemetry

    async def api_call(  # type: ignore[no-untyped-def]  # what the SDK's methods hand on
        self, api_method: str, **arguments
    ) -> AsyncSlackResponse:
        with self._telemetry.observe_api_call(api_method) as observation:
            try:
                response = await super().api_call(api_method, **arguments)
            except SlackApiError as error:
                observation.outcome = _outcome_label(error)
                raise
            except (SlackClientError, aiohttp.ClientError, OSError, ValueError):
                observation.outcome = "unreachable"
                raise
            observation.outcome = "ok"
            return response


def _outcome_label(error: SlackApiError) -> str:
    """The outcome label of an error, one of a few words."""
    response = error.response
    if not isinstance(response, AsyncSlackResponse):  # the SDK could not parse it
        return "failed"
    data = response.data
    code = data.get("error") if isinstance(data, dict) else None
    if response.status_code == 429 or code in ("ratelimited", "rate_limited"):
        return "ratelimited"
    return "failed" if response.status_code >= 500 or not isinstance(code, str) else "refused"
