"""Sets up metrics, traces, both or neither, by the settings.

The packages for traces are an extra. Only this module imports them, and only if traces are enabled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass

from bot.domain.agent_events import TokensUsed
from bot.domain.turns import AcceptResult, Turn, TurnState
from bot.errors import SettingsError
from bot.ports import NULL_TELEMETRY, Clock, Observation, Telemetry, TurnStep
from bot.telemetry.gauges import StatusProbe
from bot.telemetry.metrics import PrometheusTelemetry
from bot.telemetry.server import TelemetryServer

NO_PACKAGES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages that send traces are not installed: run "
    "pip install '.[tracing]' in Threadpilot's folder, or leave the setting out."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySetup:
    """The telemetry of a bot."""

    telemetry: Telemetry
    server: TelemetryServer | None
    """The server for operators, or None if it is disabled."""

    def set_probe(self, probe: StatusProbe, ready_check: Callable[[], Awaitable[bool]]) -> None:
        """As `TelemetryServer.set_probe`. Has no effect without a server."""
        if self.server is not None:
            self.server.set_probe(probe, ready_check)


@asynccontextmanager
async def open_telemetry(
    *, clock: Clock, metrics_host: str, metrics_port: int, otlp_endpoint: str
) -> AsyncIterator[TelemetrySetup]:
    """Serve metrics unless the port is 0, and send traces unless the endpoint is empty.

    Raises `SettingsError` if the address is not available or the packages for traces are missing.
    """
    async with AsyncExitStack() as stack:
        members: list[Telemetry] = []
        server = None
        if metrics_port:
            metrics = PrometheusTelemetry(clock)
            server = TelemetryServer(metrics.registry)
            await stack.enter_async_context(server.serve(metrics_host, metrics_port))
            members.append(metrics)
        if otlp_endpoint:
            members.append(await stack.enter_async_context(_open_tracing(otlp_endpoint, clock)))
        yield TelemetrySetup(telemetry=_combine(members), server=server)


def _combine(members: list[Telemetry]) -> Telemetry:
    match members:
        case []:
            return NULL_TELEMETRY
        case [member]:
            return member
    return CompositeTelemetry(members)


@asynccontextmanager
async def _open_tracing(endpoint: str, clock: Clock) -> AsyncIterator[Telemetry]:
    try:
        from bot.telemetry.tracing import open_tracing
    except ImportError as error:
        raise SettingsError([NO_PACKAGES]) from error
    async with open_tracing(endpoint, clock) as tracing:
        yield tracing


class CompositeTelemetry(Telemetry):
    """Passes every call on to several members."""

    def __init__(self, members: Sequence[Telemetry]) -> None:
        self._members = tuple(members)

    def observe_delivery(self) -> AbstractContextManager[Observation]:
        return self._observe_all(lambda member: member.observe_delivery())

    def record_message(self, result: AcceptResult) -> None:
        for member in self._members:
            member.record_message(result)

    @contextmanager
    def observe_turn(self, turn: Turn) -> Iterator[None]:
        with ExitStack() as stack:
            for member in self._members:
                stack.enter_context(member.observe_turn(turn))
            yield

    def record_reply_posted(self, turn: Turn) -> None:
        for member in self._members:
            member.record_reply_posted(turn)

    def record_turn_ended(self, turn: Turn, state: TurnState) -> None:
        for member in self._members:
            member.record_turn_ended(turn, state)

    @contextmanager
    def observe_step(self, step: TurnStep) -> Iterator[None]:
        with ExitStack() as stack:
            for member in self._members:
                stack.enter_context(member.observe_step(step))
            yield

    def observe_api_call(self, method: str) -> AbstractContextManager[Observation]:
        return self._observe_all(lambda member: member.observe_api_call(method))

    def record_tokens(self, tokens: TokensUsed) -> None:
        for member in self._members:
            member.record_tokens(tokens)

    def observe_commit(self) -> AbstractContextManager[Observation]:
        return self._observe_all(lambda member: member.observe_commit())

    def record_connections(self, count: int) -> None:
        for member in self._members:
            member.record_connections(count)

    def record_runtime_restart(self) -> None:
        for member in self._members:
            member.record_runtime_restart()

    @contextmanager
    def _observe_all(
        self, enter: Callable[[Telemetry], AbstractContextManager[Observation]]
    ) -> Iterator[Observation]:
        """An observation whose outcome is copied to those of all members."""
        observation = Observation()
        with ExitStack() as stack:
            observations = [stack.enter_context(enter(member)) for member in self._members]
            try:
                yield observation
            finally:
                for one in observations:
                    one.outcome = observation.outcome
