"""Reads the bot's current state into gauges, each time that Prometheus asks."""

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
"""Timeout for reading one value, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusProbe:
    """Functions that read the state of a running bot."""

    running_turns: Callable[[], int]
    """Number of running turns."""
    queued_turns: Callable[[], Awaitable[int]]
    """Number of queued turns."""
    max_sessions: int
    """Maximum number of live sessions."""
    live_sessions: Callable[[], int]
    """Number of live sessions."""
    paused: Callable[[], bool]
    runtime_memory: Callable[[], Awaitable[int]]
    """Memory of the runtime in bytes; 0 while it does not run."""
    is_connected: Callable[[], bool]
    """True if events of Slack are received."""
    is_backfilling: Callable[[], bool]
    """True if missed messages are still to be fetched."""


class Gauges:
    """Gauges of a bot's state. A value that cannot be read is `NaN`, not an old number."""

    def __init__(self, registry: CollectorRegistry, probe: StatusProbe) -> None:
        """Add the gauges to `registry`, which must not have them yet."""
        self._probe = probe

        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(f"threadpilot_{name}", meaning, registry=registry)

        self._running_turns = gauge("turns_running", "Running turns.")
        self._queued_turns = gauge("turns_waiting", "Queued turns.")
        self._live_sessions = gauge("sessions_live", "Copilot sessions that are open.")
        self._max_sessions = gauge("sessions_places", "Copilot sessions that may be open at once.")
        self._paused = gauge("paused", "1 while an admin has paused the bot, else 0.")
        self._runtime_memory = gauge(
            "runtime_memory_bytes", "Memory of the Copilot runtime; 0 while it does not run."
        )
        self._connected = gauge(
            "hearing", "1 while events of Slack are received, in either mode, else 0."
        )
        self._backfilling = gauge(
            "catching_up", "1 while messages of a gap are still to be fetched, else 0."
        )

    async def refresh(self) -> None:
        """Read every value and set its gauge. Bounded; raises nothing but cancellation."""
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
        log.warning("gauge could not be read: error=%r", error)
        return math.nan
