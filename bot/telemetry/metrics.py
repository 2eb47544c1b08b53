"""Counts and times what happens in the bot, for Prometheus.

No label identifies a user, a channel or a thread, and every label has a bounded number of values.
Units and names follow prometheus.io/docs/practices/naming. Each bot has its own registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from bot import __version__
from bot.domain.agent_events import TokensUsed
from bot.domain.turns import AcceptResult, AcceptStatus, Turn, TurnState
from bot.ports import Clock, Observation, Telemetry, TurnStep

_FAST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Histogram buckets in seconds, for operations that normally take milliseconds."""
_ACK_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 3.0, 5.0, 10.0)
"""Histogram buckets in seconds. Slack waits 3 s (docs.slack.dev/apis/events-api), which has its own
bucket."""
_API_CALL_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_WAIT_BUCKETS: Final = (
    0.1,
    0.25,
    0.5,
    1.0,
    2.0,
    3.0,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
)
"""Histogram buckets in seconds, for what a user waits for."""

MAX_MODELS: Final = 20
"""Maximum number of models with their own label. Users choose models by name."""
OTHER_MODEL: Final = "other"
"""The label of all further models."""


class PrometheusTelemetry(Telemetry):
    """Counts and times, for Prometheus."""

    def __init__(self, clock: Clock) -> None:
        """`clock` times the turns."""
        self.registry = CollectorRegistry()
        self._clock = clock
        self._labelled_models: set[str] = set()
        self._awaiting_first_text: dict[int, Turn] = {}
        """Running turns whose reply has no text in the thread yet."""
        self._register_metrics()

    def _register_metrics(self) -> None:
        registry = self.registry
        ProcessCollector(registry=registry)
        Info("threadpilot_build", "Which Threadpilot this is.", registry=registry).info(
            {"version": __version__}
        )
        self._messages = Counter(
            "threadpilot_messages",
            "Messages offered to the inbox, by result.",
            ["acceptance"],
            registry=registry,
        )
        self._turns = Counter(
            "threadpilot_turns",
            "Turns that have ended, by final state.",
            ["state"],
            registry=registry,
        )
        self._ack_seconds = Histogram(
            "threadpilot_acknowledge_seconds",
            "From reading a delivery of Slack to acknowledging it, by answer; Slack allows 3 s.",
            ["answer"],
            buckets=_ACK_BUCKETS,
            registry=registry,
        )
        self._wait_seconds = Histogram(
            "threadpilot_turn_wait_seconds",
            "From storing a message to the start of its turn.",
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        self._first_text_seconds = Histogram(
            "threadpilot_first_text_seconds",
            "From storing a message to the first text of its reply in the thread.",
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        self._turn_seconds = Histogram(
            "threadpilot_turn_seconds",
            "From storing a message to the end of its turn, by final state.",
            ["state"],
            buckets=_WAIT_BUCKETS,
            registry=registry,
        )
        self._step_seconds = Histogram(
            "threadpilot_step_seconds",
            "Steps of a turn in the Copilot runtime: resume or create a session, accept a prompt.",
            ["step"],
            buckets=_FAST_BUCKETS,
            registry=registry,
        )
        self._api_call_count = Counter(
            "threadpilot_slack_calls",
            "Attempts to call a method of Slack's Web API, by answer; ratelimited is HTTP 429.",
            ["method", "answer"],
            registry=registry,
        )
        self._api_call_seconds = Histogram(
            "threadpilot_slack_call_seconds",
            "Time that Slack takes to answer a call, by method.",
            ["method"],
            buckets=_API_CALL_BUCKETS,
            registry=registry,
        )
        self._tokens = Counter(
            "threadpilot_tokens",
            "Tokens that models read (input) and wrote (output).",
            ["model", "kind"],
            registry=registry,
        )
        self._restarts = Counter(
            "threadpilot_runtime_restarts",
            "Restarts of the Copilot runtime.",
            registry=registry,
        )
        self._connections = Gauge(
            "threadpilot_slack_lines",
            "Open Socket Mode connections to Slack; 0 with SLACK_MODE=http.",
            registry=registry,
        )
        self._commit_seconds = Histogram(
            "threadpilot_database_commit_seconds",
            "Time of a database commit until it is on disk, by result.",
            ["result"],
            buckets=_FAST_BUCKETS,
            registry=registry,
        )
        self._initialize_labels()

    def _initialize_labels(self) -> None:
        """Set the series that exist to 0, so that the first event shows as a rise."""
        for acceptance in AcceptStatus:
            self._messages.labels(acceptance.value)
        for state in TurnState:
            if state.final:
                self._turns.labels(state.value)
        for step in TurnStep:
            self._step_seconds.labels(step.value)
        for answer in ("taken", "refused"):
            self._ack_seconds.labels(answer)
        for result in ("ok", "failed"):
            self._commit_seconds.labels(result)

    # `bot.ports.Telemetry`
    # --------------------------------------------------------------------------

    @contextmanager
    def observe_delivery(self) -> Iterator[Observation]:
        began, observation = self._clock.monotonic(), Observation()
        try:
            yield observation
        finally:
            self._ack_seconds.labels(observation.outcome).observe(self._clock.monotonic() - began)

    def record_message(self, result: AcceptResult) -> None:
        self._messages.labels(result.status.value).inc()

    @contextmanager
    def observe_turn(self, turn: Turn) -> Iterator[None]:
        if turn.epoch == 1 and not turn.state.final:
            self._wait_seconds.observe(self._seconds_since_accepted(turn))
        if not turn.prompted:  # else an earlier claim may have posted text
            self._awaiting_first_text[turn.id] = turn
        try:
            yield
        finally:
            self._awaiting_first_text.pop(turn.id, None)

    def record_reply_posted(self, turn: Turn) -> None:
        if self._awaiting_first_text.pop(turn.id, None) is not None:
            self._first_text_seconds.observe(self._seconds_since_accepted(turn))

    def record_turn_ended(self, turn: Turn, state: TurnState) -> None:
        self._turns.labels(state.value).inc()
        self._turn_seconds.labels(state.value).observe(self._seconds_since_accepted(turn))

    @contextmanager
    def observe_step(self, step: TurnStep) -> Iterator[None]:
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._step_seconds.labels(step.value).observe(self._clock.monotonic() - began)

    @contextmanager
    def observe_api_call(self, method: str) -> Iterator[Observation]:
        began, observation = self._clock.monotonic(), Observation()
        try:
            yield observation
        finally:
            self._api_call_count.labels(method, observation.outcome).inc()
            self._api_call_seconds.labels(method).observe(self._clock.monotonic() - began)

    def record_tokens(self, tokens: TokensUsed) -> None:
        model = self._model_label(tokens.model)
        self._tokens.labels(model, "input").inc(max(0, tokens.input_tokens))
        self._tokens.labels(model, "output").inc(max(0, tokens.output_tokens))

    @contextmanager
    def observe_commit(self) -> Iterator[Observation]:
        began, observation = self._clock.monotonic(), Observation()
        try:
            yield observation
        finally:
            self._commit_seconds.labels(observation.outcome).observe(
                self._clock.monotonic() - began
            )

    def record_connections(self, count: int) -> None:
        self._connections.set(count)

    def record_runtime_restart(self) -> None:
        self._restarts.inc()

    # --------------------------------------------------------------------------------------------

    def _seconds_since_accepted(self, turn: Turn) -> float:
        """Seconds since the turn's message was stored. Not below 0, even if the system clock was
        set back."""
        return max(0.0, self._clock.now() - turn.accepted_at)

    def _model_label(self, model: str) -> str:
        """The model's label: its name, or `OTHER_MODEL` once there are `MAX_MODELS`."""
        if model not in self._labelled_models:
            if len(self._labelled_models) >= MAX_MODELS:
                return OTHER_MODEL
            self._labelled_models.add(model)
        return model
