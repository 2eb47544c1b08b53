"""Records one OpenTelemetry trace for each turn: from Slack's event to the end of the turn.

    event (received → stored)
    ├── wait (stored → claimed)
    └── turn (claimed → ended), one for each claim: after a restart there is a second
        ├── resume, create, prompt: steps in the Copilot runtime; its own spans are below these
        └── slack chat.appendStream …: each call of Slack's Web API

The ids of the trace and of its first span are derived from the message (workspace, channel, `ts`).
So a turn is one trace across restarts, without stored ids. The runtime's SDK reads the current
context and passes it on (`copilot/_telemetry.py`, github-copilot-sdk 1.0.25).

Spans identify turns and threads by their ids. They have no message text, no user names and no error
texts.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from bot import __version__
from bot.domain.messages import Message
from bot.domain.turns import AcceptResult, AcceptStatus, Turn, TurnState
from bot.logs import trace_context
from bot.ports import Clock, Observation, Telemetry, TurnStep

_EXPORT_SECONDS: Final = 5.0
"""Timeout for one export, in seconds."""
_CLOSE_SECONDS: Final = 5.0
"""Timeout for the export of the last spans when the bot stops, in seconds."""

_FAILED_STATES: Final = frozenset({TurnState.FAILED, TurnState.LOST})

_forced_span_context: ContextVar[SpanContext | None] = ContextVar(
    "forced_span_context", default=None
)
_received_at: ContextVar[int | None] = ContextVar("received_at", default=None)


class _MessageIdGenerator(RandomIdGenerator):
    """Random ids, but ids that are derived from the message for the first span of a trace."""

    def generate_trace_id(self) -> int:
        forced = _forced_span_context.get()
        return super().generate_trace_id() if forced is None else forced.trace_id

    def generate_span_id(self) -> int:
        forced = _forced_span_context.get()
        return super().generate_span_id() if forced is None else forced.span_id


@asynccontextmanager
async def open_tracing(endpoint: str, clock: Clock) -> AsyncIterator[TracingTelemetry]:
    """Send traces to `endpoint` (OTLP over HTTP, without `/v1/traces`) until the block ends.

    The end of the block sends the remaining spans, bounded to 5 s. Spans that cannot be sent are
    dropped. Other variables of the standard apply if they are set in the environment:
    `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and so on
    (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables).
    """
    resource = Resource({"service.name": "threadpilot", "service.version": __version__})
    provider = TracerProvider(
        resource=resource.merge(OTELResourceDetector().detect()),
        id_generator=_MessageIdGenerator(),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(
        endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield TracingTelemetry(provider, clock)
    finally:
        await _shut_down(provider)


class TracingTelemetry(Telemetry):
    """Records traces.

    Tokens are in the runtime's own spans. A commit is for many turns at once, and a connection for
    no turn. A runtime start shows as a gap before its session.
    """

    def __init__(self, provider: TracerProvider, clock: Clock) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("threadpilot", __version__)
        self._clock = clock
        self._turn_spans: dict[int, Span] = {}
        """The spans of running turns, by turn id."""
        self._turns_with_text: set[int] = set()

    @contextmanager
    def observe_delivery(self) -> Iterator[Observation]:
        token = _received_at.set(self._now())
        try:
            yield Observation()
        finally:
            _received_at.reset(token)

    def record_message(self, result: AcceptResult) -> None:
        turn = result.turn
        if turn is None:
            return
        ids = _forced_span_context.set(self._root_span_context(turn.message))
        try:
            span = self._tracer.start_span(
                "event",
                otel.Context(),
                kind=SpanKind.CONSUMER,
                attributes={
                    **_turn_attributes(turn),
                    "threadpilot.trigger": turn.message.trigger.value,
                    "threadpilot.acceptance": result.status.value,
                },
                start_time=_received_at.get() or _to_nanoseconds(turn.accepted_at),
            )
        finally:
            _forced_span_context.reset(ids)
        if result.status is AcceptStatus.QUEUE_FULL:
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._now())

    @contextmanager
    def observe_turn(self, turn: Turn) -> Iterator[None]:
        first = self._root_span_context(turn.message)
        parent = trace.set_span_in_context(NonRecordingSpan(first), otel.Context())
        if turn.epoch == 1:
            wait = self._tracer.start_span(
                "wait",
                parent,
                attributes=_turn_attributes(turn),
                start_time=_to_nanoseconds(turn.accepted_at),
            )
            wait.end(self._now())
        span = self._tracer.start_span(
            "turn",
            parent,
            attributes={**_turn_attributes(turn), "threadpilot.claim": turn.epoch},
            start_time=self._now(),
        )
        self._turn_spans[turn.id] = span
        try:
            with self._activate_span(span), trace_context(f"{first.trace_id:032x}"):
                yield
        finally:
            self._turn_spans.pop(turn.id, None)
            self._turns_with_text.discard(turn.id)
            span.end(self._now())

    def record_reply_posted(self, turn: Turn) -> None:
        span = self._turn_spans.get(turn.id)
        if span is not None and turn.id not in self._turns_with_text:
            self._turns_with_text.add(turn.id)
            span.add_event("first text", timestamp=self._now())

    def record_turn_ended(self, turn: Turn, state: TurnState) -> None:
        span = self._turn_spans.get(turn.id)
        if span is not None:
            span.set_attribute("threadpilot.state", state.value)
            span.set_status(Status(StatusCode.ERROR if state in _FAILED_STATES else StatusCode.OK))

    @contextmanager
    def observe_step(self, step: TurnStep) -> Iterator[None]:
        with self._child_span(step.value, SpanKind.CLIENT):
            yield

    @contextmanager
    def observe_api_call(self, method: str) -> Iterator[Observation]:
        observation = Observation()
        with self._child_span(f"slack {method}", SpanKind.CLIENT) as span:
            try:
                yield observation
            finally:
                span.set_attribute("threadpilot.answer", observation.outcome)
                if observation.outcome != "ok":
                    span.set_status(Status(StatusCode.ERROR))

    # --------------------------------------------------------------------------------------------

    @contextmanager
    def _child_span(self, name: str, kind: SpanKind) -> Iterator[Span]:
        """A span of the running turn, or an invalid span outside of a turn."""
        if not trace.get_current_span().get_span_context().is_valid:
            yield trace.INVALID_SPAN
            return
        span = self._tracer.start_span(name, kind=kind, start_time=self._now())
        try:
            with self._activate_span(span):
                yield span
        except BaseException:
            span.set_status(Status(StatusCode.ERROR))
            raise
        finally:
            span.end(self._now())

    @contextmanager
    def _activate_span(self, span: Span) -> Iterator[None]:
        """Make the span the current one in the block. It does not record the text of exceptions."""
        token = otel.attach(trace.set_span_in_context(span))
        try:
            yield
        finally:
            otel.detach(token)

    def _root_span_context(self, message: Message) -> SpanContext:
        """The first span of a message's trace. It may have been recorded before a restart."""
        key = message.thread
        name = f"{key.team}/{key.channel}/{message.ts}"
        digest = hashlib.sha256(name.encode()).digest()
        trace_id = int.from_bytes(digest[:16], "big") or 1
        sampled = self._provider.sampler.should_sample(otel.Context(), trace_id, "event").decision
        return SpanContext(
            trace_id=trace_id,
            span_id=int.from_bytes(digest[16:24], "big") or 1,
            is_remote=True,
            trace_flags=trace.TraceFlags(
                trace.TraceFlags.SAMPLED
                if sampled is Decision.RECORD_AND_SAMPLE
                else trace.TraceFlags.DEFAULT
            ),
        )

    def _now(self) -> int:
        return _to_nanoseconds(self._clock.now())


def _turn_attributes(turn: Turn) -> dict[str, AttributeValue]:
    return {"threadpilot.turn": turn.id, "threadpilot.thread": str(turn.message.thread)}


def _to_nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


async def _shut_down(provider: TracerProvider) -> None:
    """Send the remaining spans, or drop them after the timeout.

    Runs on its own thread, which the end of the program does not wait for: the collector may hang.
    """
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def close() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # the loop has ended since
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=close, name="closing the traces", daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await done.wait()
