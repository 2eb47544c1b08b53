"""Several who watch at the same time: each is told everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from bot.domain.messages import Accepted, TokensUsed, Turn, TurnState
from bot.ports import Outcome, Step, Watch


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
