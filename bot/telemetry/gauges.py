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

_READ_TIMEOUT_SECONDS: Final = 2.0
"""How long one look may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusProbe:
    """What can be seen of a bot that runs."""

    running_turns: Callable[[], int]
    """Turns that run."""
    queued_turns: Callable[[], Awaitable[int]]
    """Turns that wait."""
    max_sessions: int
    """How many sessions may be live."""
    live_sessions: Callable[[], int]
    """How many are."""
    paused: Callable[[], bool]
    runtime_memory: Callable[[], Awaitable[int]]
    """Bytes that the runtime takes; 0 while it does not run."""
    is_connected: Callable[[], bool]
    """Whether Slack is heard."""
    is_backfilling: Callable[[], bool]
    """Whether something that was said while nothing was heard is still to be read."""


class Gauges:
    """Looks at a bot. What could not be seen is `NaN`: unknown, and not an old number."""

    def __init__(self, registry: CollectorRegistry, probe: StatusProbe) -> None:
        """Adds its gauges to `registry`: once to each."""
        self._probe = probe

        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(f"threadpilot_{name}", meaning, registry=registry)

        self._running_turns = gauge("turns_running", "Turns that run.")
        self._queued_turns = gauge("turns_waiting", "Turns that wait: the queue's length.")
        self._live_sessions = gauge("sessions_live", "Copilot sessions that are open.")
        self._max_sessions = gauge("sessions_places", "Copilot sessions that may be open at once.")
        self._paused = gauge("paused", "1 while somebody in charge has paused the bot, else 0.")
        self._runtime_memory = gauge(
            "runtime_memory_bytes", "Memory of the Copilot runtime; 0 while it does not run."
        )
        self._connected = gauge("hearing", "1 while Slack is heard, in either mode, else 0.")
        self._backfilling = gauge(
            "catching_up", "1 while what was said in a gap is still to be read, else 0."
        )

    async def refresh(self) -> None:
        """Set every gauge. Bounded; raises nothing but cancellation."""
        probe = self._probe
        self._running_turns.set(probe.running_turns())
        self._live_sessions.set(probe.live_sessions())
        self._max_sessions.set(probe.max_sessions)
        self._paused.set(probe.paused())
        self._connected.set(probe.is_connected())
        self._backfilling.set(probe.is_backfilling())
        queued, memory = await asyncio.gather(
            _read_value(probe.queued_turns()), _read_value(probe.runtime_memory())
        )
        self._queued_turns.set(queued)
        self._runtime_memory.set(memory)


async def _read_value(value: Awaitable[int]) -> float:
    try:
        async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
            return float(await value)
    except Exception as error:
        log.warning("a gauge could not be read: %r", error)
        return math.nan
