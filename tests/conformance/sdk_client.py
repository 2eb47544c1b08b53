"""Builds clients of Slack's Python SDK for the emulator, as an app's author would."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.conformance.http_client import BOT, Outside


def client_for(outside: Outside, token: str | None = BOT) -> AsyncWebClient:
    """The SDK's client as an app would make it, without hidden retries."""
    return AsyncWebClient(token=token, base_url=f"{outside.url}/api/", retry_handlers=[])


async def code_of(call: Awaitable[object]) -> str:
    """The error code with which a call fails."""
    with pytest.raises(SlackApiError) as refused:
        await call
    return str(refused.value.response["error"])
