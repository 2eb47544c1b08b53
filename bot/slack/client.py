"""The one client of Slack's Web API that the whole bot calls through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.calls import make_client


@asynccontextmanager
async def open_client(token: str, base_url: str) -> AsyncIterator[AsyncWebClient]:
    """A client whose connections are shared by all calls: without a session of its own the SDK
    opens a new connection for each. `base_url` ends with `/api/`."""
    async with aiohttp.ClientSession() as session:
        yield make_client(token, base_url, session)
