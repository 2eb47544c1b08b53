"""Records the app's Web API calls for tests: bounded, newest last, without tokens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from slack_emulator.state.entities import Json

MAX_CALLS: Final = 5_000
_SECRET_ARGUMENTS: Final = frozenset({"token"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """One call and its response."""

    method: str
    arguments: Json
    time: float
    status: int
    response: Json | None
    """None if no response, or no readable response, was sent."""
    fault: str | None = None

    def as_json(self) -> Json:
        return {
            "method": self.method,
            "arguments": self.arguments,
            "time": self.time,
            "status": self.status,
            "answer": self.response,
            "fault": self.fault,
        }


class CallLog:
    """The recorded calls, and the listeners for new ones."""

    def __init__(self) -> None:
        self._calls: deque[LoggedCall] = deque(maxlen=MAX_CALLS)
        self._listeners: list[Callable[[LoggedCall], None]] = []

    def add_listener(self, listener: Callable[[LoggedCall], None]) -> None:
        """Call `listener` for every call from now on."""
        self._listeners.append(listener)

    def record(self, call: LoggedCall) -> None:
        """Record a call."""
        self._calls.append(call)
        for reader in self._listeners:
            reader(call)

    def list_calls(self, method: str | None = None) -> list[Json]:
        """The calls, oldest first; only those of `method` if it is given."""
        return [call.as_json() for call in self._calls if method in (None, call.method)]

    def clear(self) -> None:
        """Delete all calls."""
        self._calls.clear()


def strip_secrets(arguments: Mapping[str, object]) -> Json:
    """The arguments without secrets."""
    return {name: value for name, value in arguments.items() if name not in _SECRET_ARGUMENTS}
