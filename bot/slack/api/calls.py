"""Calls the Slack Web API with timeouts and rate limits, and turns failures into errors.

Each error says whether Slack may have carried out the call. A call whose connection dropped may
have been carried out; a call that Slack refused was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.clock import SYSTEM_CLOCK, time_limit
from bot.errors import SlackError
from bot.ports import Clock
from bot.slack.api.rate_limiter import Priority, RateLimiter, RateRequest

CALL_SECONDS: Final = 30.0
"""Timeout in seconds of one call."""

MAX_WAIT_SECONDS: Final = 60.0
"""Maximum time in seconds that a call waits in all for the rate limit."""

RATE_LIMITED: Final = "ratelimited"
"""The error code of a call that was not made because of the rate limit."""

_MAX_DOUBLINGS: Final = 4
"""Maximum number of times that the delay of one second between tries is doubled."""

T = TypeVar("T")

ApiMethod = Callable[..., Awaitable[AsyncSlackResponse]]

# In the body, or in its place for HTTP 429 (docs.slack.dev/apis/web-api/rate-limits).
_RATE_LIMITED_CODES: Final = frozenset({RATE_LIMITED, "rate_limited"})
# Slack documents for them: part of the operation may have succeeded before the error.
_UNCERTAIN_CODES: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)


class SlackCallError(SlackError):
    """A failed call."""

    def __init__(
        self, code: str, detail: str = "", *, maybe_done: bool = False, retry_after: float = 0.0
    ) -> None:
        super().__init__(code, detail)
        self.maybe_done = maybe_done
        """Whether Slack may have carried out the call all the same."""
        self.retry_after = retry_after
        self.transient = maybe_done or code in _RATE_LIMITED_CODES or code == "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """What a call is for."""

    priority: Priority = Priority.NORMAL
    thread: str = ""
    """The thread, if the arguments do not name it."""


_DEFAULT_CONTEXT: Final = CallContext()


class ApiCaller:
    """Calls methods of a workspace's client, which never retries by itself.

    There is one for the workspace, since all callers share its rate limits.
    """

    def __init__(self, clock: Clock, rate_multiplier: int = 1) -> None:
        """`rate_multiplier`: Slack allows this many times its documented rates."""
        self.rate_limiter = RateLimiter(clock, rate_multiplier)
        self._clock = clock

    async def __call__(
        self,
        method: ApiMethod,
        context: CallContext = _DEFAULT_CONTEXT,
        /,
        *,
        max_wait: float = MAX_WAIT_SECONDS,
        seconds: float = CALL_SECONDS,
        **arguments: object,
    ) -> Mapping[str, object]:
        """The response of Slack.

        While the rate limit is reached, waits for at most `max_wait` seconds in all; an optional
        call does not wait. Each try takes at most `seconds`.

        Raises `SlackCallError`. With the code `RATE_LIMITED` the call was certainly not made.
        """
        deadline = self._clock.monotonic() + max_wait
        request = _rate_request(method, context, arguments)
        while True:
            delay = await self.rate_limiter.acquire(request, deadline)
            if delay:
                raise SlackCallError(RATE_LIMITED, "called too often", retry_after=delay)
            try:
                return await call_once(method(**arguments), seconds)
            except SlackCallError as error:
                if error.code not in _RATE_LIMITED_CODES:
                    raise
                self.rate_limiter.block(request, error.retry_after)

    async def call_with_retries(
        self, method: ApiMethod, *, retry_seconds: float, seconds: float, **arguments: object
    ) -> Mapping[str, object]:
        """The response to a call that is safe to repeat. Raises `SlackCallError`.

        Repeats the call after a transient error. The last try begins at most `retry_seconds`
        seconds after the first, and each takes at most `seconds`.
        """
        deadline, attempts = self._clock.monotonic() + retry_seconds, 0
        while True:
            remaining = deadline - self._clock.monotonic()
            try:
                return await self(method, max_wait=remaining, seconds=seconds, **arguments)
            except SlackCallError as error:
                delay = retry_delay(error, attempts)
                if not error.transient or self._clock.monotonic() + delay > deadline:
                    raise
            attempts += 1
            await self._clock.sleep(delay)


def _rate_request(
    method: ApiMethod, context: CallContext, arguments: Mapping[str, object]
) -> RateRequest:
    """What a call requests of the rate limiter. The SDK's method names are Slack's with other
    dots."""
    name = str(getattr(method, "__name__", "")).replace("_", ".")
    channel = str(arguments.get("channel") or arguments.get("channel_id") or "")
    thread = context.thread
    if not thread:
        subject = arguments.get("thread_ts") or arguments.get("user") or arguments.get("user_id")
        thread = f"{channel}/{subject or ''}"
    return RateRequest(method=name, channel=channel, thread=thread, priority=context.priority)


def retry_delay(error: SlackCallError, attempts: int) -> float:
    """Seconds until a failed call is tried again, after `attempts` earlier failures."""
    return max(error.retry_after, 2.0 ** min(attempts, _MAX_DOUBLINGS))


async def call_once(
    call: Awaitable[AsyncSlackResponse], seconds: float = CALL_SECONDS
) -> Mapping[str, object]:
    """The response of Slack to a single try. Raises `SlackCallError`."""
    try:
        async with time_limit(SYSTEM_CLOCK, seconds):
            response = await call
    except SlackApiError as error:
        raise _to_call_error(error) from error
    except TimeoutError as error:
        raise SlackCallError("timeout", f"none within {seconds:.0f} s", maybe_done=True) from error
    except aiohttp.ClientConnectorError as error:
        raise SlackCallError("unreachable", type(error).__name__) from error
    except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
        raise SlackCallError("unreachable", type(error).__name__, maybe_done=True) from error
    if not isinstance(response.data, dict):
        raise SlackCallError("not_json", maybe_done=True)
    return response.data


async def with_timeout(work: Awaitable[T], seconds: float) -> T:
    """The result of `work`. Raises what `work` raises, and `SlackCallError` after `seconds`
    seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise SlackCallError("timeout", f"none within {seconds:.0f} s", maybe_done=True) from error


def _to_call_error(error: SlackApiError) -> SlackCallError:
    """The error for a response. If the response is not Slack's (but a proxy's page, for instance),
    the call may have been carried out."""
    response = error.response
    if isinstance(response, AsyncSlackResponse):
        status, headers, data = response.status_code, response.headers, response.data
    else:  # the SDK passes on what it could not parse
        status, headers, data = getattr(response, "status", 0), {}, None
    code = data.get("error") if isinstance(data, dict) else None
    if status == 429 or code in _RATE_LIMITED_CODES:
        return SlackCallError(
            RATE_LIMITED, retry_after=_parse_retry_after(headers.get("Retry-After"))
        )
    if not isinstance(code, str):
        return SlackCallError(f"http_{status}", maybe_done=not 400 <= status < 500)
    return SlackCallError(code, maybe_done=code in _UNCERTAIN_CODES or status >= 500)


def _parse_retry_after(header: object) -> float:
    """The seconds in `Retry-After`, or 1.0 if the header is missing or invalid."""
    return float(header) if isinstance(header, str) and header.isdecimal() else 1.0
