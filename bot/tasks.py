"""Work that goes on after Slack has been answered: tracked, bounded in number and in time.

Whatever happens to one piece of work is logged and stays its own trouble: it cannot stop the
intake or another piece.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from bot.errors import BotError

log = logging.getLogger(__name__)


class Background:
    """A bounded set of running tasks."""

    def __init__(self, limit: int = 500, seconds: float = 60.0) -> None:
        """At most `limit` pieces of work at once, each cut off after `seconds`."""
        self._limit = limit
        self._seconds = seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None] | None:
        """Run `work` and keep hold of it until it ends; None (and a log line) if too much runs."""
        if len(self._tasks) >= self._limit:
            work.close()
            log.error("too much is going on (%d pieces of work): left out: %s", self._limit, name)
            return None
        task = asyncio.create_task(self._watched(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, grace: float = 5.0) -> None:
        """Let what runs end within `grace` seconds, then cancel the rest and see it end."""
        tasks = set(self._tasks)
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            log.warning("given up at the end: %s", task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=grace)

    async def _watched(self, name: str, work: Coroutine[object, object, None]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await work
        except BotError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s failed", name)
