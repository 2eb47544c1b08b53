"""A workspace's client with what a thread or a channel says, page by page."""

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
from bot.ports import UNWATCHED, Clock, Watch
from bot.slack.api.calls import PATIENCE, Calls

log = logging.getLogger(__name__)

_PAGE: Final = 200
_MAX_PAGES: Final = 5
_HISTORY_PAGES: Final = 25
"""The newest messages come first, and those that were missed may be older."""

Item = Mapping[str, object]
"""One message or channel of a page."""
Asked = Awaitable[Mapping[str, object]]
"""A page that is on its way."""


class Client:
    """One workspace's client, and what its calls go by. Everything raises `CallError`."""

    def __init__(self, web: AsyncWebClient, calls: Calls) -> None:
        self.web = web
        self.calls = calls

    async def replies(
        self,
        thread: ThreadKey,
        *,
        oldest: str | None = None,
        latest: str | None = None,
        patience: float = PATIENCE,
    ) -> AsyncGenerator[Item, None]:
        """A thread's messages, oldest first, 1,000 at most; the root comes whatever `oldest`.
        Those at `oldest` and at `latest` themselves are left out. A page waits for `patience`
        seconds at most where there are too many calls."""

        def asked(cursor: str | None) -> Asked:
            return self.calls(
                self.web.conversations_replies,
                channel=thread.channel,
                ts=thread.root_ts,
                patience=patience,
                oldest=oldest,
                latest=latest,
                include_all_metadata=True,
                limit=_PAGE,
                cursor=cursor,
            )

        async for page in _pages(asked, "messages"):
            for message in page:
                yield message

    def history(
        self, channel: str, oldest: str, *, patience: float = PATIENCE
    ) -> AsyncGenerator[Sequence[Item], None]:
        """What was said in a channel after `oldest`, without the answers in threads: page by page,
        the newest first, 5,000 messages at most; `patience` as for `replies`."""

        def asked(cursor: str | None) -> Asked:
            return self.calls(
                self.web.conversations_history,
                patience=patience,
                channel=channel,
                oldest=oldest,
                include_all_metadata=True,
                limit=_PAGE,
                cursor=cursor,
            )

        return _pages(asked, "messages", _HISTORY_PAGES)

    def conversations(self) -> AsyncGenerator[Sequence[Item], None]:
        """The conversations that the bot is in, page by page, 1,000 at most."""

        def asked(cursor: str | None) -> Asked:
            return self.calls(
                self.web.users_conversations,
                types="public_channel,private_channel,mpim,im",
                exclude_archived=True,
                limit=_PAGE,
                cursor=cursor,
            )

        return _pages(asked, "channels")


async def _pages(
    ask: Callable[[str | None], Asked], name: str, most: int = _MAX_PAGES
) -> AsyncGenerator[Sequence[Item], None]:
    """What stands on the pages under a name, on so many at most; `ask` calls for the page at a
    cursor."""
    cursor: str | None = None
    for _ in range(most):
        page = await ask(cursor)
        found = page.get(name)
        listed = found if isinstance(found, list) else ()
        yield [each for each in listed if isinstance(each, dict)]
        rest = page.get("response_metadata")
        cursor = str(rest.get("next_cursor") or "") if isinstance(rest, dict) else ""
        if not cursor:
            return
    log.warning("there are more %s than are read at once: the rest is left out", name)


@asynccontextmanager
async def open_client(
    token: str, base_url: str, clock: Clock, watch: Watch = UNWATCHED, *, times: int = 1
) -> AsyncIterator[Client]:
    """A client with connections of its own, which all calls share: without a session the SDK
    opens a new one for each call. Slack takes `times` as many calls as it says in public."""
    async with aiohttp.ClientSession() as session:
        yield Client(make_client(token, base_url, session, watch), Calls(clock, times))


def order(ts: str) -> tuple[int, str]:
    """A `ts` as something that sorts: seconds, then their fraction."""
    seconds, _, fraction = ts.partition(".")
    return (int(seconds) if seconds.isdecimal() else 0, fraction)


Block = dict[str, object]


def make_client(
    token: str, base_url: str, session: aiohttp.ClientSession, watch: Watch = UNWATCHED
) -> AsyncWebClient:
    """A client that repeats nothing on its own: the SDK would post twice after a dropped
    connection. `base_url` ends with `/api/`; the session is the caller's to close."""
    return WatchedClient(token=token, base_url=base_url, session=session, watch=watch)


class WatchedClient(AsyncWebClient):
    """Slack's client, watched. It repeats nothing on its own."""

    def __init__(
        self,
        *,
        watch: Watch,
        base_url: str,
        token: str | None = None,
        timeout: int = 30,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        super().__init__(
            token=token, base_url=base_url, timeout=timeout, session=session, retry_handlers=[]
        )
        self._watch = watch

    async def api_call(  # type: ignore[no-untyped-def]  # what the SDK's methods hand on
        self, api_method: str, **given
    ) -> AsyncSlackResponse:
        with self._watch.calling(api_method) as outcome:
            try:
                answer = await super().api_call(api_method, **given)
            except SlackApiError as error:
                outcome.said = _refusal(error)
                raise
            except (SlackClientError, aiohttp.ClientError, OSError, ValueError):
                outcome.said = "unreachable"
                raise
            outcome.said = "ok"
            return answer


def _refusal(error: SlackApiError) -> str:
    """What kind of no it was, in one of a few words."""
    response = error.response
    if not isinstance(response, AsyncSlackResponse):  # the SDK could not read it
        return "failed"
    data = response.data
    code = data.get("error") if isinstance(data, dict) else None
    if response.status_code == 429 or code in ("ratelimited", "rate_limited"):
        return "ratelimited"
    return "failed" if response.status_code >= 500 or not isinstance(code, str) else "refused"
