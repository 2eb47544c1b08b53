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

RETRY_INITIAL_SECONDS: Final = 1.0
"""Doubled with each try."""
RETRY_MAX_SECONDS: Final = 30.0
MAX_RETRY_AFTER_SECONDS: Final = 300.0
"""So long it is left alone at most where it asks to be."""


async def retry_until_started(clock: Clock, label: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """What comes of the first attempt that succeeds; however many it takes. Raises what an attempt
    raises, but for a `BotError` that passes.

    `what` is tried, for the log: a line when the trouble begins, changes or ends, none for a try.
    """
    said, pause = "", RETRY_INITIAL_SECONDS
    while True:
        try:
            result = await attempt()
        except BotError as error:
            if not error.transient:
                raise
            if str(error) != said:
                said = str(error)
                log.warning("waiting for %s, which is tried until it works: %s", label, said)
            asked = min(error.retry_after, MAX_RETRY_AFTER_SECONDS)
        else:
            if said:
                log.info("%s works now", label)
            return result
        await clock.sleep(max(pause, asked))
        pause = min(2 * pause, RETRY_MAX_SECONDS)


async def enter_until_started(
    clock: Clock,
    label: str,
    stack: AsyncExitStack,
    factory: Callable[[], AbstractAsyncContextManager[T]],
) -> T:
    """The same for something that is opened, made anew for each try: what did not open has closed
    again. `opened` closes it at last."""
    return await retry_until_started(clock, label, lambda: stack.enter_async_context(factory()))
