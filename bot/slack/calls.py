"""The border through which the bot calls Slack: every call bounded, every trouble named.

The question that decides what comes after trouble is answered here: may it have been done all the
same? A call whose connection dropped may; a call that Slack refused may not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import SlackError
from bot.ports import Clock

CALL_SECONDS: Final = 30.0
"""No call waits longer for its answer."""

PATIENCE: Final = 60.0
"""How long a call waits in all, in seconds, when Slack says that there were too many."""

_MOST_DOUBLED: Final = 4
"""So often the pause of a second between tries is doubled."""

T = TypeVar("T")

Method = Callable[..., Awaitable[AsyncSlackResponse]]

# In the body or, for HTTP 429, in place of it (docs.slack.dev/apis/web-api/rate-limits).
_TOO_MANY: Final = frozenset({"ratelimited", "rate_limited"})
# Slack's own words: part of the operation may have succeeded before the error.
_UNCERTAIN: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)


class CallError(SlackError):
    """A call did not succeed."""

    def __init__(
        self, code: str, detail: str = "", *, maybe_done: bool = False, retry_after: float = 0.0
    ) -> None:
        super().__init__(code, detail)
        self.maybe_done = maybe_done
        """Whether Slack may have done it all the same."""
        self.retry_after = retry_after
        """Seconds that Slack wants to be left alone."""
        self.passing = maybe_done or code in _TOO_MANY or code == "unreachable"


def make_client(token: str, base_url: str, session: aiohttp.ClientSession) -> AsyncWebClient:
    """A client that repeats nothing on its own: the SDK would post twice after a dropped
    connection. `base_url` ends with `/api/`; the session is the caller's to close."""
    return AsyncWebClient(token=token, base_url=base_url, session=session, retry_handlers=[])


@asynccontextmanager
async def open_client(token: str, base_url: str) -> AsyncIterator[AsyncWebClient]:
    """A client with connections of its own, which all calls share: without a session the SDK
    opens a new one for each call."""
    async with aiohttp.ClientSession() as session:
        yield make_client(token, base_url, session)


class Calls:
    """Calls methods of a client that repeats nothing on its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def __call__(
        self,
        method: Method,
        *,
        patience: float = PATIENCE,
        seconds: float = CALL_SECONDS,
        **arguments: object,
    ) -> Mapping[str, object]:
        """What Slack answers. Raises `CallError`.

        Waits while Slack says that there are too many calls, `patience` seconds in all at most;
        each try is bounded to `seconds`.
        """
        waited = 0.0
        while True:
            try:
                return await called(method(**arguments), seconds)
            except CallError as error:
                pause = max(error.retry_after, 0.1)
                if error.code not in _TOO_MANY or waited + pause > patience:
                    raise
            await self._clock.sleep(pause)
            waited += pause

    async def until_done(
        self, method: Method, *, within: float, seconds: float, **arguments: object
    ) -> Mapping[str, object]:
        """The same for a call that does no harm when it is done twice. Raises `CallError`.

        Waits out whatever may pass: no try is begun later than `within` seconds after the first,
        and each is bounded to `seconds`.
        """
        until, tries = self._clock.monotonic() + within, 0
        while True:
            try:
                return await called(method(**arguments), seconds)
            except CallError as error:
                pause = next_try(error, tries)
                if not error.passing or self._clock.monotonic() + pause > until:
                    raise
            tries += 1
            await self._clock.sleep(pause)


def next_try(error: CallError, tries: int) -> float:
    """Seconds until a call that failed is tried again, after `tries` others that failed too."""
    return max(error.retry_after, 2.0 ** min(tries, _MOST_DOUBLED))


async def called(
    call: Awaitable[AsyncSlackResponse], seconds: float = CALL_SECONDS
) -> Mapping[str, object]:
    """What Slack answers to one call, tried once. Raises `CallError`."""
    try:
        async with asyncio.timeout(seconds):
            answer = await call
    except SlackApiError as error:
        raise _refusal(error) from error
    except TimeoutError as error:
        raise CallError("timeout", f"none within {seconds:.0f} s", maybe_done=True) from error
    except aiohttp.ClientConnectorError as error:
        raise CallError("unreachable", type(error).__name__) from error
    except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
        raise CallError("unreachable", type(error).__name__, maybe_done=True) from error
    if not isinstance(answer.data, dict):
        raise CallError("not_json", maybe_done=True)
    return answer.data


async def bounded(work: Awaitable[T], seconds: float) -> T:
    """What comes of `work`. Raises `CallError` when it takes longer than that, beside its own."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise CallError("timeout", f"none within {seconds:.0f} s", maybe_done=True) from error


def _refusal(error: SlackApiError) -> CallError:
    """What an error means; where the answer is not Slack's (a proxy's page), nothing is sure."""
    response = error.response
    if isinstance(response, AsyncSlackResponse):
        status, headers, data = response.status_code, response.headers, response.data
    else:  # the SDK hands on what it could not read
        status, headers, data = getattr(response, "status", 0), {}, None
    code = data.get("error") if isinstance(data, dict) else None
    if status == 429 or code in _TOO_MANY:
        return CallError("ratelimited", retry_after=_seconds(headers.get("Retry-After")))
    if not isinstance(code, str):
        return CallError(f"http_{status}", maybe_done=not 400 <= status < 500)
    return CallError(code, maybe_done=code in _UNCERTAIN or status >= 500)


def _seconds(header: object) -> float:
    """What `Retry-After` says, in seconds; one where it says nothing sensible."""
    return float(header) if isinstance(header, str) and header.isdecimal() else 1.0
