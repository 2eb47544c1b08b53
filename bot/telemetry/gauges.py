"""How the bot stands at the moment of looking: gauges for Prometheus, asked when it asks."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

log = logging.getLogger(__name__)

_SECONDS: Final = 2.0
"""How long one look may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sights:
    """What can be seen of a bot that runs."""

    running: Callable[[], int]
    """Turns that run."""
    waiting: Callable[[], Awaitable[int]]
    """Turns that wait."""
    places: int
    """How many sessions may be live."""
    live: Callable[[], int]
    """How many are."""
    paused: Callable[[], bool]
    memory: Callable[[], Awaitable[int]]
    """Bytes that the runtime takes; 0 while it does not run."""
    hearing: Callable[[], bool]
    """Whether Slack is heard."""
    catching_up: Callable[[], bool]
    """Whether something that was said while nothing was heard is still to be read."""


class Gauges:
    """Looks at a bot. What could not be seen is `NaN`: unknown, and not an old number."""

    def __init__(self, registry: CollectorRegistry, sights: Sights) -> None:
        """Adds its gauges to `registry`: once to each."""
        self._sights = sights

        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(f"threadpilot_{name}", meaning, registry=registry)

        self._running = gauge("turns_running", "Turns that run.")
        self._waiting = gauge("turns_waiting", "Turns that wait: the queue's length.")
        self._live = gauge("sessions_live", "Copilot sessions that are open.")
        self._places = gauge("sessions_places", "Copilot sessions that may be open at once.")
        self._paused = gauge("paused", "1 while somebody in charge has paused the bot, else 0.")
        self._memory = gauge(
            "runtime_memory_bytes", "Memory of the Copilot runtime; 0 while it does not run."
        )
        self._hearing = gauge("hearing", "1 while Slack is heard, in either mode, else 0.")
        self._catching_up = gauge(
            "catching_up", "1 while what was said in a gap is still to be read, else 0."
        )

    async def look(self) -> None:
        """Set every gauge. Bounded; raises nothing but cancellation."""
        sights = self._sights
        self._running.set(sights.running())
        self._live.set(sights.live())
        self._places.set(sights.places)
        self._paused.set(sights.paused())
        self._hearing.set(sights.hearing())
        self._catching_up.set(sights.catching_up())
        waiting, memory = await asyncio.gather(_seen(sights.waiting()), _seen(sights.memory()))
        self._waiting.set(waiting)
        self._memory.set(memory)


async def _seen(looking: Awaitable[int]) -> float:
    try:
        async with asyncio.timeout(_SECONDS):
            return float(await looking)
    except Exception as error:
        log.warning("a gauge could not be read: %r", error)
        return math.nan
