"""Work that an order began and that goes on after its answer: one of a kind at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bot.errors import BotError

log = logging.getLogger(__name__)


class Errands:
    """Keeps hold of what was begun until it ends."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def under_way(self, name: str) -> bool:
        return name in self._under_way

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Begin work; False when one of that name is under way."""
        if name in self._under_way:
            return False
        task = asyncio.create_task(self._watched(name, work), name=name)
        self._under_way[name] = task
        task.add_done_callback(lambda _: self._under_way.pop(name, None))
        return True

    async def close(self, seconds: float = 10.0) -> None:
        """Cancel what is under way, and give it so many seconds to put things right."""
        tasks = set(self._under_way.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                log.warning("given up at the end: %s", task.get_name())

    async def _watched(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except BotError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s failed", name)
