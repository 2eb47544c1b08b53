"""Runs bounded background tasks, and waits for the first of several coroutines.

A failure of a task is logged and has no effect on its caller or on other tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

from bot.clock import Clock
from bot.errors import BotError

log = logging.getLogger(__name__)


class BackgroundTasks:
    """A bounded set of running tasks."""

    def __init__(
        self, limit: int | None = 500, timeout: float | None = 60.0, *, optional: bool = False
    ) -> None:
        """`limit` is the maximum number of running tasks. `timeout` is the maximum duration of each
        one in seconds. None sets no bound. Failures of `optional` tasks have no effect for users:
        they are logged at INFO."""
        self._limit = limit
        self._timeout = timeout
        self._optional = optional
        self._tasks: set[asyncio.Task[None]] = set()
        self._unique: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """The number of running tasks."""
        return len(self._tasks)

    def is_running(self, name: str) -> bool:
        """True if a unique task of that name is running."""
        return name in self._unique

    def spawn(
        self, name: str, work: Coroutine[object, object, None], *, unique: bool = False
    ) -> asyncio.Task[None] | None:
        """Run `work` in a task that is tracked until it ends.

        Returns the task. Returns None, and closes `work`, if the limit is reached, or if the task
        is to be `unique` and one of that name is running.
        """
        if unique and name in self._unique:
            work.close()
            return None
        if self._limit is not None and len(self._tasks) >= self._limit:
            work.close()
            level = logging.DEBUG if self._optional else logging.ERROR
            log.log(level, "task not started: name=%s running=%d", name, len(self._tasks))
            return None
        task = asyncio.create_task(self._run(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before its start, it never ran
        if unique:
            self._unique[name] = task
            task.add_done_callback(lambda _: self._unique.pop(name, None))
        return task

    def cancel(self, name: str) -> None:
        """Cancel the unique task of that name, if one is running."""
        if (task := self._unique.get(name)) is not None:
            task.cancel()

    async def close(self, grace: float = 5.0, cancel_timeout: float = 5.0) -> None:
        """Let running tasks end within `grace` seconds, then cancel the rest and wait at most
        `cancel_timeout` seconds for them. With a grace of 0 all are cancelled at once."""
        if self._tasks and grace:
            await asyncio.wait(set(self._tasks), timeout=grace)
        late = set(self._tasks)
        for task in late:
            if grace:
                log.warning("task cancelled on close: name=%s", task.get_name())
            task.cancel()
        if late:
            _, stuck = await asyncio.wait(late, timeout=cancel_timeout)
            for task in stuck:
                log.warning("task does not end on close: name=%s", task.get_name())

    async def _run(self, name: str, work: Coroutine[object, object, None]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await work
        except BotError as error:
            level = logging.INFO if self._optional else logging.WARNING
            log.log(level, "task failed: name=%s reason=%s", name, error)
        except Exception as error:
            if self._optional and isinstance(error, TimeoutError):
                log.info("task failed: name=%s reason=timed out", name)
            else:  # with the place where it hung or failed
                log.exception("task failed: name=%s", name)


async def wait_for_event(event: asyncio.Event, clock: Clock, seconds: float | None) -> None:
    """Wait until `event` is set or `seconds` have passed; None waits for the event alone."""
    if event.is_set():
        return
    if seconds is None:
        await event.wait()
    else:
        await first_completed(event.wait(), clock.sleep(seconds))


async def first_completed(*waits: Coroutine[object, object, object]) -> None:
    """Wait until one of the coroutines ends; the others are cancelled. Raises what it raised."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
