"""Every Web API call of the app, for those who test it: bounded, newest last, without tokens."""

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
    """One call, and what it was answered."""

    method: str
    arguments: Json
    time: float
    status: int
    response: Json | None
    """None where nothing, or nothing readable, went back."""
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
    """The calls, and who wants to hear of them."""

    def __init__(self) -> None:
        self._calls: deque[LoggedCall] = deque(maxlen=MAX_CALLS)
        self._listeners: list[Callable[[LoggedCall], None]] = []

    def add_listener(self, listener: Callable[[LoggedCall], None]) -> None:
        """Tell `reader` of every call from now on."""
        self._listeners.append(listener)

    def record(self, call: LoggedCall) -> None:
        """Write a call down."""
        self._calls.append(call)
        for reader in self._listeners:
            reader(call)

    def list_calls(self, method: str | None = None) -> list[Json]:
        """The calls, oldest first; of one method if it is named."""
        return [call.as_json() for call in self._calls if method in (None, call.method)]

    def clear(self) -> None:
        """Forget all of them."""
        self._calls.clear()


def strip_secrets(arguments: Mapping[str, object]) -> Json:
    """The arguments as they may be shown."""
    return {name: value for name, value in arguments.items() if name not in _SECRET_ARGUMENTS}
