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

from bot.clock import REAL, time_limit
from bot.errors import SlackError
from bot.ports import Clock
from bot.slack.api.rate_limiter import Budget, Claim, Urgency

CALL_SECONDS: Final = 30.0
"""No call waits longer for its answer."""

PATIENCE: Final = 60.0
"""How long a call waits in all, in seconds, when there are too many."""

TOO_MANY: Final = "ratelimited"
"""The code of a call that was not done because there are too many."""

_MOST_DOUBLED: Final = 4
"""So often the pause of a second between tries is doubled."""

T = TypeVar("T")

Method = Callable[..., Awaitable[AsyncSlackResponse]]

# In the body or, for HTTP 429, in place of it (docs.slack.dev/apis/web-api/rate-limits).
_TOO_MANY: Final = frozenset({TOO_MANY, "rate_limited"})
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
        self.passing = maybe_done or code in _TOO_MANY or code == "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a call is for."""

    urgency: Urgency = Urgency.USUAL
    thread: str = ""
    """Which thread, where that is not to be seen by the arguments."""


_USUAL: Final = Cause()


class Calls:
    """Calls methods of a workspace's client, which repeats nothing on its own. One for the
    workspace: what Slack takes of its calls is shared by all who call."""

    def __init__(self, clock: Clock, times: int = 1) -> None:
        """Slack takes `times` as many calls as it says in public."""
        self.budget = Budget(clock, times)
        self._clock = clock

    async def __call__(
        self,
        method: Method,
        cause: Cause = _USUAL,
        /,
        *,
        patience: float = PATIENCE,
        seconds: float = CALL_SECONDS,
        **arguments: object,
    ) -> Mapping[str, object]:
        """What Slack answers. Raises `CallError`: with the code `TOO_MANY` when there are too many
        calls, and it was surely not done.

        Waits while that is so, `patience` seconds in all at most, and not at all for what can be
        left out; each try is bounded to `seconds`.
        """
        until = self._clock.monotonic() + patience
        claim = _claim(method, cause, arguments)
        while True:
            pause = await self.budget.take(claim, until)
            if pause:
                raise CallError(TOO_MANY, "called too often", retry_after=pause)
            try:
                return await called(method(**arguments), seconds)
            except CallError as error:
                if error.code not in _TOO_MANY:
                    raise
                self.budget.close(claim, error.retry_after)

    async def until_done(
        self, method: Method, *, within: float, seconds: float, **arguments: object
    ) -> Mapping[str, object]:
        """The same for a call that does no harm when it is done twice. Raises `CallError`.

        Waits out whatever may pass: no try is begun later than `within` seconds after the first,
        and each is bounded to `seconds`.
        """
        until, tries = self._clock.monotonic() + within, 0
        while True:
            left = until - self._clock.monotonic()
            try:
                return await self(method, patience=left, seconds=seconds, **arguments)
            except CallError as error:
                pause = next_try(error, tries)
                if not error.passing or self._clock.monotonic() + pause > until:
                    raise
            tries += 1
            await self._clock.sleep(pause)


def _claim(method: Method, cause: Cause, arguments: Mapping[str, object]) -> Claim:
    """What a call takes of the budget; the SDK's names are Slack's with other dots."""
    name = str(getattr(method, "__name__", "")).replace("_", ".")
    channel = str(arguments.get("channel") or arguments.get("channel_id") or "")
    thread = cause.thread
    if not thread:
        about = arguments.get("thread_ts") or arguments.get("user") or arguments.get("user_id")
        thread = f"{channel}/{about or ''}"
    return Claim(method=name, channel=channel, thread=thread, urgency=cause.urgency)


def next_try(error: CallError, tries: int) -> float:
    """Seconds until a call that failed is tried again, after `tries` others that failed too."""
    return max(error.retry_after, 2.0 ** min(tries, _MOST_DOUBLED))


async def called(
    call: Awaitable[AsyncSlackResponse], seconds: float = CALL_SECONDS
) -> Mapping[str, object]:
    """What Slack answers to one call, tried once. Raises `CallError`."""
    try:
        async with time_limit(REAL, seconds):
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
        return CallError(TOO_MANY, retry_after=_seconds(headers.get("Retry-After")))
    if not isinstance(code, str):
        return CallError(f"http_{status}", maybe_done=not 400 <= status < 500)
    return CallError(code, maybe_done=code in _UNCERTAIN or status >= 500)


def _seconds(header: object) -> float:
    """What `Retry-After` says, in seconds; one where it says nothing sensible."""
    return float(header) if isinstance(header, str) and header.isdecimal() else 1.0
