"""What was heard of a thread before the message that made the thread known is taken in again.

Slack keeps no order, least of all when it brings a message again that could not be taken the first
time. Until the thread is known its messages are people talking to people, and what they say is not
kept; so it is read from Slack once more, and the inbox judges it anew. What cannot be read just
then is a gap, and a bot that dies before that reads it at its next start with all that was said
since (`bot.slack.events.gaps`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from bot.domain.messages import Accepted, Message, ThreadKey
from bot.slack.events.backfill import CaughtUp
from bot.tasks import Background

log = logging.getLogger(__name__)

READ_SECONDS: Final = 55.0
"""For all tries together; less than `Background` lets a piece of work take."""


class Overtaken:
    """Hands messages on, and looks after those that a first one was overtaken by."""

    def __init__(
        self,
        on_message: Callable[[Message], Awaitable[Accepted]],
        read: Callable[[ThreadKey, str], Awaitable[CaughtUp]],
        background: Background,
        unread: Callable[[float], None],
    ) -> None:
        """`read` takes in what was said in a thread after a `ts`, and never fails for Slack's
        sake. `unread` is told since when something could not be read that may be later, in seconds
        since the epoch."""
        self._on_message = on_message
        self._read = read
        self._background = background
        self._unread = unread

    async def on_message(self, message: Message) -> Accepted:
        """`bot.slack.receiver.Callbacks.on_message`."""
        accepted = await self._on_message(message)
        if accepted.overtaken:
            work = self._again(message)
            if self._background.start("what was heard too early", work) is None:
                self._unread(float(message.ts))
        return accepted

    async def _again(self, message: Message) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                caught = await self._read(message.thread, message.ts)
        except TimeoutError:
            log.warning("what thread %s was told too early was not read in time", message.thread)
            self._unread(float(message.ts))
            return
        if caught.for_later:
            self._unread(float(message.ts))
        log.info(
            "what was heard of thread %s before it was known is taken in again: %d messages, %d of "
            "them for the bot",
            *(message.thread, caught.messages, caught.taken),
        )
