"""The bot's own pages: its Home tab, and the suggestions that open its Messages tab."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import words
from bot.slack.blocks import home_page
from bot.slack.calls import called
from bot.slack.events import HomeOpened, Identity


class Home:
    """Shows the pages to whoever opens them."""

    def __init__(
        self,
        client: AsyncWebClient,
        us: Identity,
        admins: frozenset[str],
        state: Callable[[], Awaitable[Sequence[str]]] | None,
    ) -> None:
        """`admins` see on the Home tab what `state` tells: one line each."""
        self._client = client
        self._us = us
        self._admins = admins
        self._state = state

    async def opened(self, opened: HomeOpened) -> None:
        """Show the tab that was opened. Raises `SlackError`."""
        if opened.tab == "messages":
            await self._suggest(opened.channel)
            return
        lines: Sequence[str] = ()
        if self._state is not None and opened.user in self._admins:
            lines = await self._state()
        page = home_page(self._us.name, lines)
        await called(self._client.views_publish(user_id=opened.user, view=page))

    async def _suggest(self, channel: str) -> None:
        prompts = [{"title": title, "message": message} for title, message in words.PROMPTS]
        await called(
            self._client.assistant_threads_setSuggestedPrompts(
                channel_id=channel, title=words.PROMPTS_TITLE, prompts=prompts
            )
        )
