"""The runtimes of one bot: as many as it may have, each started when there is enough to do for it.

A runtime looks after all of its live sessions whenever one of them comes to rest (measured with
1.0.102: half a millisecond of processor time for each), so that two with ten sessions each answer
more than one with twenty. Each takes some 250 MB, which a bot with few live sessions need not have.

All of them work on the same data folder. A session is with one of them at a time: it may be opened
in another one only once the first has let go of it (`Runtime.holds`) or has ended.
"""

from __future__ import annotations

import asyncio
import logging

from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.errors import AgentError, AgentFault

log = logging.getLogger(__name__)

MORE_FROM = 4
"""With so many sessions in each runtime, the next runtime is begun."""
WAIT_FROM = 8
"""With so many, a session that is to be opened waits for it: it stays where it is opened."""
WAIT_SECONDS = 2.0
"""Counted from where its start began."""
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
        self._died = False
        self._closed = False

    @property
    def up(self) -> Runtime | None:
        """The runtime, if it runs."""
        runtime = self._runtime
        return None if runtime is None or runtime.gone else runtime

    async def running(self, model: str) -> Runtime:
        """The runtime, started if need be; one start at a time. Raises `AgentError`."""
        async with self._one_start:
            if self._closed:
                raise AgentError(AgentFault.RUNTIME, "the agent is closed")
            if self._runtime is not None and self._runtime.gone:
                self._died = True
                await self._runtime.clear_away()
                self._runtime = None
            if self._runtime is None:
                self._runtime = await Runtime.start(
                    self._options, model, number=self._number, first=not self._started
                )
                self._started = True
                if self._died:
                    self._options.watch.runtime_restarted()
                self._died = False
            return self._runtime

    async def cleared(self) -> None:
        """Wait until nothing is left of a runtime that has gone. Bounded; raises nothing."""
        if self._runtime is not None and self._runtime.gone:
            await self._runtime.clear_away()

    async def stop(self, *, for_good: bool) -> None:
        """End the runtime, if it runs. Raises nothing."""
        self._closed = self._closed or for_good
        async with self._one_start:
            runtime, self._runtime = self._runtime, None
            if runtime is not None:
                # Shielded: half a stop would leave a runtime behind.
                await asyncio.shield(runtime.stop())


class Runtimes:
    """All of them."""

    def __init__(self, options: RuntimeOptions) -> None:
        self._clock, self._watch = options.clock, options.watch
        self._places = [Place(options, number) for number in range(1, options.runtimes + 1)]
        self._growing: asyncio.Task[None] | None = None
        self._grows_since = 0.0
        self._not_before = 0.0

    @property
    def up(self) -> list[Runtime]:
        """Those that run."""
        return [runtime for place in self._places if (runtime := place.up) is not None]

    def holder(self, session_id: str) -> Runtime | None:
        """The one that has a session, or may have it: nobody else must open it."""
        return next((each for each in self.up if session_id in each.holds), None)

    async def some(self, model: str) -> Runtime:
        """One that runs, for what any of them can do; the first one is started if none does.
        Raises `AgentError`."""
        await self._cleared()
        up = self.up
        return up[0] if up else await self._places[0].running(model)

    async def least_loaded(self, model: str) -> Runtime:
        """The one with the fewest sessions, which may be one more than there were. Raises
        `AgentError` when there is none and none can be started."""
        first = await self.some(model)
        least = min(map(_load, self.up), default=0)
        if least >= MORE_FROM and (growing := self._grow(model)) and least >= WAIT_FROM:
            left = self._grows_since + WAIT_SECONDS - asyncio.get_running_loop().time()
            await asyncio.wait({growing}, timeout=max(0.0, left))
        return min(self.up, key=_load, default=first)

    async def restart(self, model: str) -> None:
        """End all of them, and start the first one anew. Raises `AgentError`."""
        await self._stop_all(for_good=False)
        await self.some(model)
        self._watch.runtime_restarted()

    async def close(self) -> None:
        """End all of them for good. Raises nothing."""
        await self._stop_all(for_good=True)

    async def _cleared(self) -> None:
        """Until nothing is left of those that have gone: what does not answer any more may still
        write into the histories, and another one would read them."""
        await asyncio.gather(*(place.cleared() for place in self._places))

    async def _stop_all(self, *, for_good: bool) -> None:
        if self._growing is not None:
            self._growing.cancel()
            await asyncio.wait({self._growing})
        await asyncio.gather(*(place.stop(for_good=for_good) for place in self._places))

    def _grow(self, model: str) -> asyncio.Task[None] | None:
        """Begin to start one more, if there may be one; at most one at a time."""
        if self._growing is not None and not self._growing.done():
            return self._growing
        place = next((place for place in self._places if place.up is None), None)
        if place is None or self._clock.monotonic() < self._not_before:
            return None
        self._grows_since = asyncio.get_running_loop().time()
        self._growing = asyncio.create_task(self._add(place, model), name="one more runtime")
        return self._growing

    async def _add(self, place: Place, model: str) -> None:
        try:
            await place.running(model)
        except Exception as error:  # whatever it was: the others go on
            self._not_before = self._clock.monotonic() + AGAIN_SECONDS
            log.warning(
                "one more Copilot runtime did not start, the others go on; it is tried again in "
                "%d s at the earliest: %s",
                *(AGAIN_SECONDS, error),
            )


def _load(runtime: Runtime) -> int:
    """How many sessions a runtime has; those count, too, that it does not let go of: it is slow."""
    return len(runtime.holds)
