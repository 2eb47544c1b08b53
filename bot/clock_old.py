"""Time, as the story asks for it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, handed in so that tests can move it."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; for measuring."""
        ...

    async def sleep(self, seconds: float) -> None: ...
