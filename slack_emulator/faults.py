"""Stores the faults that a test sets: failures of Slack, each for a number of times.

`/sandbox/faults` sets them. They affect the app only; calls of users succeed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from slack_emulator.app_config import InvalidAppConfig
from slack_emulator.state.entities import Json

CALL_KINDS: Final = ("429", "500", "drop_before", "drop_after", "slow", "garbage", "error")
SOCKET_KINDS: Final = ("drop", "refuse", "dead-ticket", "half-open", "disconnect")
ON_CONNECT_KINDS: Final = ("refuse", "dead-ticket")
"""Socket faults that affect new connections, not the open ones."""
EVENT_KINDS: Final = ("duplicate", "reorder", "redeliver", "lose")
MAX_FAULTS: Final = 1_000
MAX_TIMES: Final = 100_000

SOCKET: Final = "socket"
EVENTS: Final = "events"
ANY: Final = "*"


@dataclass(slots=True)
class Fault:
    """One kind of failure, and how often it is still due."""

    id: int
    method: str
    """A Web API method, `*` for any, `socket` or `events`."""
    kind: str
    remaining: int
    seconds: float = 1.0
    """`retry_after` of a 429, or the delay of `slow`."""
    error: str = "internal_error"
    """The error code of an `error`, or the reason of a `disconnect`."""
    connection_count: int = 0
    """Number of open connections that a socket fault affects, the oldest first; 0 means all."""
    hit_count: int = field(default=0)

    def as_json(self) -> Json:
        return {
            "id": self.id,
            "method": self.method,
            "kind": self.kind,
            "times": self.remaining,
            "retry_after": self.seconds,
            "error": self.error,
            "lines": self.connection_count,
            "met": self.hit_count,
        }


class Faults:
    """The faults that are set, in the order in which they apply."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def add(self, spec: Mapping[str, object]) -> Fault:
        """Set a fault. Raises InvalidAppConfig for an invalid one."""
        if len(self._faults) >= MAX_FAULTS:
            raise InvalidAppConfig("Too many faults are set already.")
        method, kind = _target_and_kind(spec)
        error = spec.get("error", spec.get("reason"))
        if kind == "error" and not (isinstance(error, str) and error):
            raise InvalidAppConfig("A fault of the kind error needs an error: Slack's error code.")
        seconds = spec.get("retry_after", spec.get("seconds", spec.get("delay", 1.0)))
        default = "warning" if kind == "disconnect" else "internal_error"
        fault = Fault(
            id=next(self._ids),
            method=method,
            kind=kind,
            remaining=_integer("times", spec.get("times", 1)),
            seconds=_seconds(seconds),
            error=error if isinstance(error, str) and error else default,
            connection_count=_integer("lines", spec.get("lines", 0), minimum=0),
        )
        self._faults.append(fault)
        return fault

    def list_faults(self) -> list[Json]:
        """The faults that are still due."""
        return [fault.as_json() for fault in self._faults]

    def remove(self, fault: Fault) -> None:
        """Remove one fault."""
        if fault in self._faults:
            self._faults.remove(fault)

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def consume(self, method: str, kinds: tuple[str, ...] = CALL_KINDS) -> Fault | None:
        """The fault that applies to this call, counted down, or None."""
        for fault in self._faults:
            if fault.kind in kinds and fault.method in (method, ANY):
                return self._count_down(fault)
        return None

    def _count_down(self, fault: Fault) -> Fault:
        fault.remaining -= 1
        fault.hit_count += 1
        if fault.remaining <= 0:
            self.remove(fault)
        return fault


def _target_and_kind(spec: Mapping[str, object]) -> tuple[str, str]:
    """Parse `{"method": m, "kind": k}`, or the short forms `{"socket": k}` and `{"events": k}`."""
    method, kind = spec.get("method"), spec.get("kind", "")
    for place in (SOCKET, EVENTS):
        if isinstance(spec.get(place), str):
            method, kind = place, spec[place]
    if not isinstance(kind, str | int) or isinstance(kind, bool):
        raise InvalidAppConfig("A fault needs a kind.")
    kind = str(kind).replace("half_open", "half-open")
    if kind in SOCKET_KINDS and method in (None, SOCKET):
        return SOCKET, kind
    if kind in EVENT_KINDS and method in (None, EVENTS):
        return EVENTS, kind
    if kind not in CALL_KINDS:
        known = ", ".join((*CALL_KINDS, *SOCKET_KINDS, *EVENT_KINDS))
        raise InvalidAppConfig(f"This kind of fault does not exist. Known kinds: {known}.")
    if not isinstance(method, str) or not method or method in (SOCKET, EVENTS):
        raise InvalidAppConfig("A fault of this kind needs a method, such as chat.postMessage.")
    return method, kind


def _integer(name: str, value: object, minimum: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= MAX_TIMES:
        raise InvalidAppConfig(f"{name} must be a whole number from {minimum} to {MAX_TIMES}.")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidAppConfig("retry_after and seconds must be numbers.")
    if not math.isfinite(value) or not 0 <= value <= 3_600:
        raise InvalidAppConfig("retry_after and seconds must be from 0 to 3600.")
    return float(value)
