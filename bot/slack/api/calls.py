"""The border through which the bot calls Slack: every call bounded, every trouble named.

The question that decides what comes after trouble is answered here: may it have been done all the
same? A call whose connection dropped may; a call that Slack refused may not.
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
"""No call waits longer for its answer."""

MAX_WAIT_SECONDS: Final = 60.0
"""How long a call waits in all, in seconds, when there are too many."""

RATE_LIMITED: Final = "ratelimited"
"""The code of a call that was not done because there are too many."""

_MAX_DOUBLINGS: Final = 4
"""So often the pause of a second between tries is doubled."""

T = TypeVar("T")

ApiMethod = Callable[..., Awaitable[AsyncSlackResponse]]

# In the body or, for HTTP 429, in place of it (docs.slack.dev/apis/web-api/rate-limits).
_RATE_LIMITED_CODES: Final = frozenset({RATE_LIMITED, "rate_limited"})
# Slack's own words: part of the operation may have succeeded before the error.
_UNCERTAIN_CODES: Final = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)


class SlackCallError(SlackError):
    """A call did not succeed."""

    def __init__(
        self, code: str, detail: str = "", *, maybe_done: bool = False, retry_after: float = 0.0
    ) -> None:
        super().__init__(code, detail)
        self.maybe_done = maybe_done
        """Whether Slack may have done it all the same."""
        self.retry_after = retry_after
        self.transient = maybe_done or code in _RATE_LIMITED_CODES or code == "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """What a call is for."""

    priority: Priority = Priority.NORMAL
    thread: str = ""
    """Which thread, where that is not to be seen by the arguments."""


_DEFAULT_CONTEXT: Final = CallContext()


class ApiCaller:
    """Calls methods of a workspace's client, which repeats nothing on its own. One for the
    workspace: what Slack takes of its calls is shared by all who call."""

    def __init__(self, clock: Clock, rate_multiplier: int = 1) -> None:
        """Slack takes `times` as many calls as it says in public."""
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
        """What Slack answers. Raises `SlackCallError`: with the code `RATE_LIMITED` when there are
        too many calls, and it was surely not done.

        Waits while that is so, `max_wait` seconds in all at most, and not at all for what can be
        left out; each try is bounded to `seconds`.
        """
        until = self._clock.monotonic() + max_wait
        claim = _rate_request(method, context, arguments)
        while True:
            pause = await self.rate_limiter.acquire(claim, until)
            if pause:
                raise SlackCallError(RATE_LIMITED, "called too often", retry_after=pause)
            try:
                return await call_once(method(**arguments), seconds)
            except SlackCallError as error:
                if error.code not in _RATE_LIMITED_CODES:
                    raise
                self.rate_limiter.block(claim, error.retry_after)

    async def call_with_retries(
        self, method: ApiMethod, *, retry_seconds: float, seconds: float, **arguments: object
    ) -> Mapping[str, object]:
        """The same for a call that does no harm when it is done twice. Raises `SlackCallError`.

        Waits out whatever may pass: no try is begun later than `within` seconds after the first,
        and each is bounded to `seconds`.
        """
        until, tries = self._clock.monotonic() + retry_seconds, 0
        while True:
            left = until - self._clock.monotonic()
            try:
                return await self(method, max_wait=left, seconds=seconds, **arguments)
            except SlackCallError as error:
                pause = retry_delay(error, tries)
                if not error.transient or self._clock.monotonic() + pause > until:
                    raise
            tries += 1
            await self._clock.sleep(pause)


def _rate_request(
    method: ApiMethod, context: CallContext, arguments: Mapping[str, object]
) -> RateRequest:
    """What a call takes of the budget; the SDK's names are Slack's with other dots."""
    name = str(getattr(method, "__name__", "")).replace("_", ".")
    channel = str(arguments.get("channel") or arguments.get("channel_id") or "")
    thread = context.thread
    if not thread:
        about = arguments.get("thread_ts") or arguments.get("user") or arguments.get("user_id")
        thread = f"{channel}/{about or ''}"
    return RateRequest(method=name, channel=channel, thread=thread, priority=context.priority)


def retry_delay(error: SlackCallError, attempts: int) -> float:
    """Seconds until a call that failed is tried again, after `tries` others that failed too."""
    return max(error.retry_after, 2.0 ** min(attempts, _MAX_DOUBLINGS))


async def call_once(
    call: Awaitable[AsyncSlackResponse], seconds: float = CALL_SECONDS
) -> Mapping[str, object]:
    """What Slack answers to one call, tried once. Raises `SlackCallError`."""
    try:
        async with time_limit(SYSTEM_CLOCK, seconds):
            answer = await call
    except SlackApiError as error:
        raise _to_call_error(error) from error
    except TimeoutError as error:
        raise SlackCallError("timeout", f"none within {seconds:.0f} s", maybe_done=True) from error
    except aiohttp.ClientConnectorError as error:
        raise SlackCallError("unreachable", type(error).__name__) from error
    except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
        raise SlackCallError("unreachable", type(error).__name__, maybe_done=True) from error
    if not isinstance(answer.data, dict):
        raise SlackCallError("not_json", maybe_done=True)
    return answer.data


async def with_timeout(work: Awaitable[T], seconds: float) -> T:
    """What comes of `work`. Raises `SlackCallError` when it takes longer than that, beside its
    own."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise SlackCallError("timeout", f"none within {seconds:.0f} s", maybe_done=True) from error


def _to_call_error(error: SlackApiError) -> SlackCallError:
    """What an error means; where the answer is not Slack's (a proxy's page), nothing is sure."""
    response = error.response
    if isinstance(response, AsyncSlackResponse):
        status, headers, data = response.status_code, response.headers, response.data
    else:  # the SDK hands on what it could not read
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
    """What `Retry-After` says, in seconds; one where it says nothing sensible."""
    return float(header) if isinstance(header, str) and header.isdecimal() else 1.0
