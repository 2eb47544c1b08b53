"""Who looks from outside, as the settings say: metrics, traces, both or nobody.

The packages for traces are an extra. They are imported here only, and only when traces are wanted.
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
from bot.domain.turns import Accepted, Turn, TurnState
from bot.errors import SettingsError
from bot.ports import UNWATCHED, Clock, Outcome, Step, Watch
from bot.telemetry.gauges import Sights
from bot.telemetry.metrics import Metrics
from bot.telemetry.server import Site

NO_PACKAGES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the packages that send traces are not installed: run "
    "pip install '.[tracing]' in Threadpilot's folder, or leave the setting out."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who looks at a bot."""

    watch: Watch
    """Is told what happens."""
    site: Site | None
    """Where the operators look; None when there is no such door."""

    def show(self, sights: Sights, ready: Callable[[], Awaitable[bool]]) -> None:
        """The bot hears Slack: `Site.show`."""
        if self.site is not None:
            self.site.show(sights, ready)


@asynccontextmanager
async def open_watching(
    *, clock: Clock, metrics_host: str, metrics_port: int, traces_to: str
) -> AsyncIterator[Watching]:
    """Metrics are served at a port that is not 0, traces sent to an endpoint that is not empty.

    Raises `SettingsError` when the address cannot be had or the packages for traces are missing.
    """
    async with AsyncExitStack() as opened:
        watches: list[Watch] = []
        site = None
        if metrics_port:
            metrics = Metrics(clock)
            site = Site(metrics.registry)
            await opened.enter_async_context(site.open(metrics_host, metrics_port))
            watches.append(metrics)
        if traces_to:
            watches.append(await opened.enter_async_context(_tracing(traces_to, clock)))
        yield Watching(watch=_all_of(watches), site=site)


def _all_of(watches: list[Watch]) -> Watch:
    match watches:
        case []:
            return UNWATCHED
        case [watch]:
            return watch
    return Together(watches)


@asynccontextmanager
async def _tracing(endpoint: str, clock: Clock) -> AsyncIterator[Watch]:
    try:
        from bot.telemetry.tracing import open_tracing
    except ImportError as error:
        raise SettingsError([NO_PACKAGES]) from error
    async with open_tracing(endpoint, clock) as tracing:
        yield tracing


class Together:
    """`bot.ports.Watch` for several."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._watches = tuple(watches)

    def delivery(self) -> AbstractContextManager[Outcome]:
        return self._told(lambda watch: watch.delivery())

    def accepted(self, accepted: Accepted) -> None:
        for watch in self._watches:
            watch.accepted(accepted)

    @contextmanager
    def running(self, turn: Turn) -> Iterator[None]:
        with ExitStack() as inside:
            for watch in self._watches:
                inside.enter_context(watch.running(turn))
            yield

    def shown(self, turn: Turn) -> None:
        for watch in self._watches:
            watch.shown(turn)

    def ended(self, turn: Turn, state: TurnState) -> None:
        for watch in self._watches:
            watch.ended(turn, state)

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        with ExitStack() as inside:
            for watch in self._watches:
                inside.enter_context(watch.step(step))
            yield

    def calling(self, method: str) -> AbstractContextManager[Outcome]:
        return self._told(lambda watch: watch.calling(method))

    def used(self, used: TokensUsed) -> None:
        for watch in self._watches:
            watch.used(used)

    def committing(self) -> AbstractContextManager[Outcome]:
        return self._told(lambda watch: watch.committing())

    def lines(self, up: int) -> None:
        for watch in self._watches:
            watch.lines(up)

    def runtime_restarted(self) -> None:
        for watch in self._watches:
            watch.runtime_restarted()

    @contextmanager
    def _told(self, enter: Callable[[Watch], AbstractContextManager[Outcome]]) -> Iterator[Outcome]:
        """What is said to one outcome, all are told."""
        outcome = Outcome()
        with ExitStack() as inside:
            theirs = [inside.enter_context(enter(watch)) for watch in self._watches]
            try:
                yield outcome
            finally:
                for each in theirs:
                    each.said = outcome.said
