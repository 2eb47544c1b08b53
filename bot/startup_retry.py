"""Retries the steps of the start while they fail with transient errors.

Slack, the runtime and the database may be down when the bot starts. The bot waits for them: a
service manager would only start it again. A permanent error, such as a refused token, ends the
start at once.
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
"""Interval before the first retry, in seconds; doubled with each retry."""
RETRY_MAX_SECONDS: Final = 30.0
"""Maximum interval between two retries, in seconds."""
MAX_RETRY_AFTER_SECONDS: Final = 300.0
"""Maximum interval, in seconds, where the failing service asks for a pause."""


async def retry_until_started(clock: Clock, label: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of the first attempt that succeeds, without a limit of attempts. Raises what an
    attempt raises, except for a transient `BotError`.

    `label` names the step in the log. A line is logged when the error appears, changes or ends, not
    for each attempt.
    """
    logged_error, pause = "", RETRY_INITIAL_SECONDS
    while True:
        try:
            result = await attempt()
        except BotError as error:
            if not error.transient:
                raise
            if str(error) != logged_error:
                logged_error = str(error)
                log.warning("start waits for %s: reason=%s", label, logged_error)
            retry_after = min(error.retry_after, MAX_RETRY_AFTER_SECONDS)
        else:
            if logged_error:
                log.info("start continues: %s is available", label)
            return result
        await clock.sleep(max(pause, retry_after))
        pause = min(2 * pause, RETRY_MAX_SECONDS)


async def enter_until_started(
    clock: Clock,
    label: str,
    stack: AsyncExitStack,
    factory: Callable[[], AbstractAsyncContextManager[T]],
) -> T:
    """Like `retry_until_started` for a context manager, created again for each attempt. `stack`
    closes it at the end; one that does not open has closed itself."""
    return await retry_until_started(clock, label, lambda: stack.enter_async_context(factory()))
