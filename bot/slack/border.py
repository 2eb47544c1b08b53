"""The border to Slack for the pages and commands: bounded waits, and `SlackError` for trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import SlackError


async def called(
    call: Awaitable[AsyncSlackResponse], seconds: float = 20.0
) -> Mapping[str, object]:
    """What Slack answered. Raises `SlackError` with Slack's own code, or with `timeout` or
    `unreachable` (the call may have been done all the same). Waits `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            answer = await call
    except SlackApiError as error:
        raise SlackError(_code(error)) from error
    except TimeoutError as error:
        raise SlackError("timeout", f"no answer within {seconds:.0f} s") from error
    except (SlackClientError, aiohttp.ClientError, OSError, ValueError) as error:
        raise SlackError("unreachable", type(error).__name__) from error
    if not isinstance(answer.data, dict):
        raise SlackError("unreachable", "the answer is not JSON")
    return answer.data


def _code(error: SlackApiError) -> str:
    """Slack's error code; where the answer is not Slack's (a proxy's page, say), its status."""
    response = error.response
    if isinstance(response, AsyncSlackResponse):
        if isinstance(response.data, dict) and isinstance(code := response.data.get("error"), str):
            return code
        return f"http_{response.status_code}"
    return "unreachable"
