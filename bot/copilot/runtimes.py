"""The runtimes of one bot: as many as it may have, each started when there is enough to do for it.

A runtime looks after all of its live sessions whenever one of them comes to rest (measured with
1.0.102: half a millisecond of processor time for each), so that two with ten sessions each answer
more than one with twenty. Each takes some 250 MB, which a bot with few live sessions need not have.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.errors import AgentError, AgentFault

log = logging.getLogger(__name__)

MORE_FROM = 4
"""With so many live sessions in each runtime, the next runtime is begun."""
WAIT_FROM = 8
"""With so many, a session that is to be opened waits for it: it stays where it is opened."""
WAIT_SECONDS = 2.0
AGAIN_SECONDS = 60.0
"""So long no further runtime is begun after one did not start."""


class Place:
    """A place for one runtime: started when it is wanted, and anew when it has gone."""

    def __init__(self, options: RuntimeOptions, number: int) -> None:
        self._options = options
        self._number = number
        self._runtime: Runtime | None = None
        self._one_start = asyncio.Lock()
        self._started = False

    @property
    def up(self) -> Runtime | None:
        """The runtime, if it runs."""
        runtime = self._runtime
        return None if runtime is None or runtime.gone else runtime

    async def running(self, model: str, closed: Callable[[], bool]) -> Runtime:
        """The runtime, started if need be; one start at a time. Raises `AgentError`."""
        async with self._one_start:
            if closed():
                raise AgentError(AgentFault.RUNTIME, "the agent is closed")
            if self._runtime is not None and self._runtime.gone:
                gone, self._runtime = self._runtime, None
                await gone.clear_away()
            if self._runtime is None:
                self._runtime = await Runtime.start(
                    self._options, model, number=self._number, first=not self._started
                )
                if self._started:
                    self._options.watch.runtime_restarted()
                self._started = True
            return self._runtime

    async def stop(self) -> None:
        """End the runtime, if it runs. Raises nothing."""
        async with self._one_start:
            runtime, self._runtime = self._runtime, None
            if runtime is not None:
                # Shielded: half a stop would leave a runtime behind.
                await asyncio.shield(runtime.stop())


class Runtimes:
    """All of them."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._clock = options.clock
        self._places = [Place(options, number) for number in range(1, options.runtimes + 1)]
        self._growing: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._closed = False

    @property
    def up(self) -> list[Runtime]:
        """Those that run."""
        return [runtime for place in self._places if (runtime := place.up) is not None]

    async def some(self, model: str) -> Runtime:
        """One that runs, for what any of them can do; the first one is started if none does.
        Raises `AgentError`."""
        up = self.up
        if up and not self._closed:
            return up[0]
        return await self._places[0].running(model, self._is_closed)

    async def least_loaded(self, model: str, load: Callable[[Runtime], int]) -> Runtime:
        """The one with the fewest sessions, which may be one more than there were. Raises
        `AgentError` when there is none and none can be started."""
        up = self.up
        least = min(map(load, up), default=0)
        if least >= MORE_FROM and (growing := self._grow(model)) and least >= WAIT_FROM:
            await asyncio.wait({growing}, timeout=WAIT_SECONDS)
        if self._closed or not self.up:
            return await self.some(model)
        return min(self.up, key=load)

    async def restart(self, model: str) -> None:
        """End all of them, and start the first one anew. Raises `AgentError`."""
        await self._stop_all()
        await self.some(model)

    async def close(self) -> None:
        """End all of them for good. Raises nothing."""
        self._closed = True
        await self._stop_all()

    async def _stop_all(self) -> None:
        if self._growing is not None:
            self._growing.cancel()
            await asyncio.wait({self._growing})
        await asyncio.gather(*(place.stop() for place in self._places))

    def _grow(self, model: str) -> asyncio.Task[None] | None:
        """Begin to start one more, if there may be one; at most one at a time."""
        if self._growing is not None and not self._growing.done():
            return self._growing
        place = next((place for place in self._places if place.up is None), None)
        if place is None or self._closed or self._clock.monotonic() < self._not_before:
            return None
        self._growing = asyncio.create_task(self._add(place, model), name="one more runtime")
        return self._growing

    async def _add(self, place: Place, model: str) -> None:
        try:
            await place.running(model, self._is_closed)
        except AgentError as error:
            self._not_before = self._clock.monotonic() + AGAIN_SECONDS
            log.warning(
                "one more Copilot runtime did not start, the others go on; it is tried again in "
                "%d s at the earliest: %s",
                *(AGAIN_SECONDS, error),
            )

    def _is_closed(self) -> bool:
        return self._closed
