"""What happens in the bot as numbers for Prometheus: counters and histograms.

No label names a person, a channel or a thread, and every label has a bounded number of values.
Units and names are those that prometheus.io/docs/practices/naming advises. Each bot has a registry
of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from bot import __version__
from bot.domain.agent_events import TokensUsed
from bot.domain.turns import Acceptance, Accepted, Turn, TurnState
from bot.ports import Clock, Outcome, Step

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds, for what takes milliseconds when all is well."""
_ACKNOWLEDGED: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 3.0, 5.0, 10.0)
"""Slack waits 3 s (docs.slack.dev/apis/events-api); it gets its own bucket."""
_CALLED: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WAITED: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""For what a person waits for."""

MOST_MODELS: Final = 20
OTHER: Final = "other"
"""The label of all models beyond the first so many: people choose models by name."""


class Metrics:
    """`bot.ports.Watch` that counts."""

    def __init__(self, clock: Clock) -> None:
        """Turns are timed by `clock`."""
        self.registry = CollectorRegistry()
        self._clock = clock
        self._models: set[str] = set()
        self._unshown: dict[int, Turn] = {}
        """Turns that run and of whose reply nothing stands in the thread yet."""
        self._make()

    def _make(self) -> None:
        registry = self.registry
        ProcessCollector(registry=registry)
        Info("threadpilot_build", "Which Threadpilot this is.", registry=registry).info(
            {"version": __version__}
        )
        self._messages = Counter(
            "threadpilot_messages",
            "Messages at the inbox's door, by what became of them.",
            ["acceptance"],
            registry=registry,
        )
        self._turns = Counter(
            "threadpilot_turns",
            "Turns that have ended, by their last state.",
            ["state"],
            registry=registry,
        )
        self._acknowledged = Histogram(
            "threadpilot_acknowledge_seconds",
            "From reading what Slack brings to acknowledging it, by answer; Slack allows 3 s.",
            ["answer"],
            buckets=_ACKNOWLEDGED,
            registry=registry,
        )
        self._waited = Histogram(
            "threadpilot_turn_wait_seconds",
            "From a message on record to the beginning of its turn.",
            buckets=_WAITED,
            registry=registry,
        )
        self._first_text = Histogram(
            "threadpilot_first_text_seconds",
            "From a message on record to the first text of its reply in the thread.",
            buckets=_WAITED,
            registry=registry,
        )
        self._whole = Histogram(
            "threadpilot_turn_seconds",
            "From a message on record to the end of its turn, by last state.",
            ["state"],
            buckets=_WAITED,
            registry=registry,
        )
        self._steps = Histogram(
            "threadpilot_step_seconds",
            "Steps of a turn in the Copilot runtime: a session resumed or created, a prompt taken.",
            ["step"],
            buckets=_QUICK,
            registry=registry,
        )
        self._calls = Counter(
            "threadpilot_slack_calls",
            "Tries to call a method of Slack's Web API, by answer; ratelimited is HTTP 429.",
            ["method", "answer"],
            registry=registry,
        )
        self._called = Histogram(
            "threadpilot_slack_call_seconds",
            "How long Slack takes to answer a call, by method.",
            ["method"],
            buckets=_CALLED,
            registry=registry,
        )
        self._tokens = Counter(
            "threadpilot_tokens",
            "Tokens that models took (input) and gave (output).",
            ["model", "kind"],
            registry=registry,
        )
        self._restarts = Counter(
            "threadpilot_runtime_restarts",
            "Times that the Copilot runtime was started again.",
            registry=registry,
        )
        self._lines = Gauge(
            "threadpilot_slack_lines",
            "Lines to Slack by Socket Mode that are up; 0 with SLACK_MODE=http.",
            registry=registry,
        )
        self._commits = Histogram(
            "threadpilot_database_commit_seconds",
            "Commits of the database, until they are on disk, by result.",
            ["result"],
            buckets=_QUICK,
            registry=registry,
        )
        self._begin_with_zeros()

    def _begin_with_zeros(self) -> None:
        """What has not happened yet is there as 0, so that its first time shows as a rise."""
        for acceptance in Acceptance:
            self._messages.labels(acceptance.value)
        for state in TurnState:
            if state.final:
                self._turns.labels(state.value)
        for step in Step:
            self._steps.labels(step.value)
        for answer in ("taken", "refused"):
            self._acknowledged.labels(answer)
        for result in ("ok", "failed"):
            self._commits.labels(result)

    # `bot.ports.Watch` --------------------------------------------------------------------------

    @contextmanager
    def delivery(self) -> Iterator[Outcome]:
        began, outcome = self._clock.monotonic(), Outcome()
        try:
            yield outcome
        finally:
            self._acknowledged.labels(outcome.said).observe(self._clock.monotonic() - began)

    def accepted(self, accepted: Accepted) -> None:
        self._messages.labels(accepted.acceptance.value).inc()

    @contextmanager
    def running(self, turn: Turn) -> Iterator[None]:
        if turn.epoch == 1 and not turn.state.final:
            self._waited.observe(self._since(turn))
        if not turn.prompted:  # else an earlier claim may have shown something
            self._unshown[turn.id] = turn
        try:
            yield
        finally:
            self._unshown.pop(turn.id, None)

    def shown(self, turn: Turn) -> None:
        if self._unshown.pop(turn.id, None) is not None:
            self._first_text.observe(self._since(turn))

    def ended(self, turn: Turn, state: TurnState) -> None:
        self._turns.labels(state.value).inc()
        self._whole.labels(state.value).observe(self._since(turn))

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._steps.labels(step.value).observe(self._clock.monotonic() - began)

    @contextmanager
    def calling(self, method: str) -> Iterator[Outcome]:
        began, outcome = self._clock.monotonic(), Outcome()
        try:
            yield outcome
        finally:
            self._calls.labels(method, outcome.said).inc()
            self._called.labels(method).observe(self._clock.monotonic() - began)

    def used(self, used: TokensUsed) -> None:
        model = self._known(used.model)
        self._tokens.labels(model, "input").inc(max(0, used.input_tokens))
        self._tokens.labels(model, "output").inc(max(0, used.output_tokens))

    @contextmanager
    def committing(self) -> Iterator[Outcome]:
        began, outcome = self._clock.monotonic(), Outcome()
        try:
            yield outcome
        finally:
            self._commits.labels(outcome.said).observe(self._clock.monotonic() - began)

    def lines(self, up: int) -> None:
        self._lines.set(up)

    def runtime_restarted(self) -> None:
        self._restarts.inc()

    # --------------------------------------------------------------------------------------------

    def _since(self, turn: Turn) -> float:
        """Seconds since the turn's message was put on record; never less than none, though the
        machine's clock be put back."""
        return max(0.0, self._clock.now() - turn.accepted)

    def _known(self, model: str) -> str:
        """The model's label."""
        if model not in self._models:
            if len(self._models) >= MOST_MODELS:
                return OTHER
            self._models.add(model)
        return model
