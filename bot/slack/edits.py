"""An edit that makes a message a mention starts no turn, and its author is told so.

The story tells people what becomes of an edit to a message that has a turn; nobody would say a
word about one that has none. Which messages have a turn is remembered here for a while: two
sentences that do not fit together would be worse than none.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from slack_sdk.web.async_client import AsyncWebClient

from bot.model import Accepted, Message
from bot.slack import words
from bot.slack.asides import post_aside
from bot.slack.events import Edited

_REMEMBERED: Final = 1_000
"""Messages with a turn. After a restart none is known, and then an edit that adds a mention to one
may be told of twice: by the story and by this."""


class Edits:
    """Hands edits on, and tells people that their late mention is not heard."""

    def __init__(
        self, client: AsyncWebClient, on_edited: Callable[[Edited], Awaitable[None]]
    ) -> None:
        self._client = client
        self._on_edited = on_edited
        self._have_turns: OrderedDict[tuple[str, str], None] = OrderedDict()

    def note(self, message: Message, accepted: Accepted) -> None:
        """A message has been taken in; where it has a turn, its edits are the story's to tell."""
        if accepted.turn is None:
            return
        self._have_turns[message.thread.channel, message.ts] = None
        if len(self._have_turns) > _REMEMBERED:
            self._have_turns.popitem(last=False)

    async def changed(self, edited: Edited) -> None:
        """A message was edited. Raises `BotError`."""
        known = (edited.channel, edited.ts) in self._have_turns
        await self._on_edited(edited)
        if edited.mentions_us and not known:
            await post_aside(
                self._client,
                edited.channel,
                edited.user,
                words.MENTIONED_BY_EDIT,
                root_ts=edited.root_ts,
            )
