"""Work that goes on after Slack has been answered: tracked, bounded in number and in time.

Whatever happens to one piece of work is logged and stays its own trouble: it cannot stop the
intake or another piece.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

from bot.clock import Clock
from bot.errors import BotError

log = logging.getLogger(__name__)


class BackgroundTasks:
    """A bounded set of running tasks."""

    def __init__(self, limit: int = 500, seconds: float = 60.0) -> None:
        """At most `limit` pieces of work at once, each cut off after `seconds`."""
        self._limit = limit
        self._seconds = seconds
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None] | None:
        """Run `work` and keep hold of it until it ends; None (and a log line) if too much runs."""
        if len(self._tasks) >= self._limit:
            work.close()
            log.error("too much is going on (%d pieces of work): left out: %s", self._limit, name)
            return None
        task = asyncio.create_task(self._run(name, work), name=name)
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

    async def _run(self, name: str, work: Coroutine[object, object, None]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await work
        except BotError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s failed", name)


class NamedTasks:
    """Keeps hold of what was begun until it ends."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def is_running(self, name: str) -> bool:
        return name in self._tasks

    def start_task(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Begin work; False when one of that name is under way."""
        if name in self._tasks:
            return False
        task = asyncio.create_task(self._run_logged(name, work), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))
        return True

    async def close(self, seconds: float = 10.0) -> None:
        """Cancel what is under way, and give it so many seconds to put things right."""
        tasks = set(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                log.warning("given up at the end: %s", task.get_name())

    async def _run_logged(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except BotError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s failed", name)


async def wait_for_event(event: asyncio.Event, clock: Clock, seconds: float | None) -> None:
    """Wait until `event` is set or `seconds` have passed; None waits for the event alone."""
    if event.is_set():
        return
    waits = [asyncio.create_task(_wait_event(event))]
    if seconds is not None:
        waits.append(asyncio.create_task(_sleep(clock, seconds)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def _wait_event(event: asyncio.Event) -> None:
    await event.wait()


async def _sleep(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


async def first_completed(*waits: Coroutine[object, object, object]) -> None:
    """Until one of them is through; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
