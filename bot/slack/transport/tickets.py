"""Tickets for Socket Mode: each opens one connection, and Slack gives few of them.

`apps.connections.open` may be called about once a minute
(docs.slack.dev/reference/methods/apps.connections.open: Tier 1). A bot whose lines break gets a
few at once; when none of them leads anywhere it asks ever more slowly, whoever asks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from slack_sdk.web.async_client import AsyncWebClient

from bot.ports import Clock
from bot.slack.api.auth_errors import APP_REFUSED, with_remedy
from bot.slack.api.calls import CallError, called
from bot.slack.api.rate_limiter import LONGEST_CLOSED

MOST_PAUSE_SECONDS: Final = 60.0


@dataclass(slots=True, kw_only=True)
class Tickets:
    """One for the app: all its lines ask here, one after another."""

    client: AsyncWebClient
    app_token: str = field(repr=False)
    clock: Clock
    at_once: int
    """So many are asked for without a pause: one for each line."""
    pause: float
    """Seconds before the next one where those led nowhere; doubled each time, 60 at most."""
    _asked: int = 0
    _not_before: float = 0.0
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def next(self) -> str:
        """Where to connect. Waits as long as it takes for its turn. Raises `CallError`."""
        async with self._asking:
            await self.clock.sleep(self._not_before - self.clock.monotonic())
            self._asked += 1
            wait = 0.0
            if self._asked >= self.at_once:
                doubled = min(self._asked - self.at_once, 10)
                wait = min(self.pause * 2.0**doubled, MOST_PAUSE_SECONDS)
            try:
                return await self._ask()
            except CallError as error:
                wait = max(wait, min(error.retry_after, LONGEST_CLOSED))
                raise
            finally:
                self._not_before = self.clock.monotonic() + wait

    async def first(self) -> str:
        """The same for the start, without waiting. Raises `SlackError`: with the remedy in its
        text when the token is bad."""
        try:
            return await self._ask()
        except CallError as error:
            raise with_remedy(error, APP_REFUSED) from error

    def led_in(self) -> None:
        """A ticket led to Slack's hello: from here on tickets are as good as ever."""
        self._asked = 0
        self._not_before = 0.0

    async def _ask(self) -> str:
        answer = await called(self.client.apps_connections_open(app_token=self.app_token))
        address = answer.get("url")
        if not isinstance(address, str):
            raise CallError("no_address", "apps.connections.open answered without an address")
        return address
