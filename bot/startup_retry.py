"""What the bot needs to start is tried again while the trouble with it is one that passes.

Slack, the runtime and the database may be in trouble just when the bot starts. It waits for them
instead of ending: whoever looks after it would only start it again. What does not pass, such as a
token that is refused, ends the start at once.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final, TypeVar

from bot.clock import Clock
from bot.errors import BotError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_SECONDS: Final = 1.0
"""Doubled with each try."""
MOST_PAUSE_SECONDS: Final = 30.0
MOST_ASKED_SECONDS: Final = 300.0
"""So long it is left alone at most where it asks to be."""


async def patiently(clock: Clock, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """What comes of the first attempt that succeeds; however many it takes. Raises what an attempt
    raises, but for a `BotError` that passes.

    `what` is tried, for the log: a line when the trouble begins, changes or ends, none for a try.
    """
    said, pause = "", FIRST_PAUSE_SECONDS
    while True:
        try:
            result = await attempt()
        except BotError as error:
            if not error.passing:
                raise
            if str(error) != said:
                said = str(error)
                log.warning("waiting for %s, which is tried until it works: %s", what, said)
            asked = min(error.retry_after, MOST_ASKED_SECONDS)
        else:
            if said:
                log.info("%s works now", what)
            return result
        await clock.sleep(max(pause, asked))
        pause = min(2 * pause, MOST_PAUSE_SECONDS)


async def entered(
    clock: Clock,
    what: str,
    opened: AsyncExitStack,
    make: Callable[[], AbstractAsyncContextManager[T]],
) -> T:
    """The same for something that is opened, made anew for each try: what did not open has closed
    again. `opened` closes it at last."""
    return await patiently(clock, what, lambda: opened.enter_async_context(make()))
