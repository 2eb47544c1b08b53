"""Buffers the events of one answer between the runtime and its reader.

The runtime sends events at its own pace, and the reader reads at its own. Unread text is joined, so
that the buffer never holds more than a few entries and the text of one answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from copilot.session_events import SessionEvent

from bot.clock import sleep_excluding_stalls
from bot.copilot.events import EventReader, SessionIdle
from bot.copilot.options import RuntimeOptions
from bot.domain.agent_events import (
    AgentEvent,
    AnswerStopped,
    ContextUsage,
    TextComplete,
    TextDelta,
    TextRetracted,
    TokensUsed,
)
from bot.errors import AgentError, AgentErrorKind
from bot.redaction import SecretRedactor, StreamRedactor

MAX_ANSWER_CHARS = 6_000_000
"""Maximum length of an answer, in characters. A small model can write without end. This bounds the
memory: an answer that is too long for a thread becomes a file
(`bot.slack.replies.overflow_file`)."""
_MAX_CHUNK_CHARS = 50_000
"""Maximum length of one unread piece of text, in characters. Appending to a piece copies it, so the
time grows with its length."""
ERROR_SECONDS = 3.0
"""Timeout for the session to become idle after it reported an error, in seconds. It takes
milliseconds."""


class PromptEvents:
    """Receives the events of one prompt and returns them from `next_event`."""

    def __init__(self, options: RuntimeOptions) -> None:
        self.prompt_sent = asyncio.Event()
        """Set when the prompt was sent, also if sending failed."""
        self.runtime_done = asyncio.Event()
        """Set when no more events of this prompt will come: the session is idle, or the runtime has
        gone."""
        self._reader = EventReader(options.sanitize_for_log)
        self._clock = options.clock
        self._telemetry = options.telemetry
        self._silence_seconds = options.silence_seconds
        self._last_event_at = self._clock.monotonic()
        self._pending: deque[AgentEvent] = deque()
        self._text_chars = 0
        self._complete = False
        self._error: AgentError | None = None
        self._reported_error: AgentError | None = None
        self._changed = asyncio.Event()
        self._silence_task = asyncio.create_task(self._monitor_silence())
        self._error_timer: asyncio.TimerHandle | None = None

    @property
    def is_complete(self) -> bool:
        """True if no events will be added to the pending ones."""
        return self._complete

    @property
    def pending_count(self) -> int:
        """Number of events that are not read yet."""
        return len(self._pending)

    async def next_event(self) -> AgentEvent | None:
        """The next event, or None at the end. Raises the `AgentError` that ended the answer."""
        while not self._pending:
            if self._complete:
                if self._error is not None:
                    raise self._error
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._pending.popleft()

    def handle_event(self, event: SessionEvent) -> None:
        """Handle an event of the runtime. Called on the event loop, in order."""
        self._last_event_at = self._clock.monotonic()
        match self._reader.translate(event):
            case None:
                pass
            case SessionIdle(stopped=stopped):
                self.runtime_done.set()
                self._finish(self._reported_error, stopped=stopped)
            case AgentError() as error:
                self._reported_error = error
                loop = asyncio.get_running_loop()
                self._error_timer = loop.call_later(ERROR_SECONDS, self.fail, error)
            case translated:
                if isinstance(translated, TokensUsed):
                    self._telemetry.record_tokens(translated)
                self._enqueue(translated)

    def fail(self, error: AgentError) -> None:
        """End the answer with an error, unless it has ended."""
        self._finish(error)

    def fail_runtime_gone(self, reason: str) -> None:
        """End the answer with an error, because the runtime has gone."""
        self.runtime_done.set()
        self._finish(AgentError(AgentErrorKind.RUNTIME, f"the runtime is gone: {reason}"))

    def complete_as_stopped(self) -> None:
        """End the answer as stopped, unless it has ended."""
        self._finish(None, stopped=True)

    def cancel_timers(self) -> None:
        """Cancel the timers for silence and for errors."""
        self._silence_task.cancel()
        if self._error_timer is not None:
            self._error_timer.cancel()

    def _enqueue(self, event: AgentEvent) -> None:
        if self._complete:
            return
        match event:
            case TextDelta(text=text):
                self._text_chars += len(text)
                last = self._pending[-1] if self._pending else None
                if isinstance(last, TextDelta) and len(last.text) < _MAX_CHUNK_CHARS:
                    self._pending[-1] = TextDelta(text=last.text + text)
                else:
                    self._pending.append(event)
            case TextComplete() | TextRetracted():
                # The unread text of this message is replaced.
                while self._pending and isinstance(self._pending[-1], TextDelta):
                    self._pending.pop()
                self._pending.append(event)
            case ContextUsage():
                if self._pending and isinstance(self._pending[-1], ContextUsage):
                    self._pending.pop()
                self._pending.append(event)
            case _:
                self._pending.append(event)
        self._changed.set()
        if self._text_chars > MAX_ANSWER_CHARS:
            self.fail(
                AgentError(
                    AgentErrorKind.MODEL,
                    f"the answer is longer than {MAX_ANSWER_CHARS:,} characters",
                )
            )

    def _finish(self, error: AgentError | None, *, stopped: bool = False) -> None:
        if self._complete:
            return
        if error is None and stopped:
            self._pending.append(AnswerStopped())
        self._complete = True
        self._error = error
        self.cancel_timers()
        self._changed.set()

    async def _monitor_silence(self) -> None:
        await sleep_excluding_stalls(
            self._clock, self._silence_seconds, since=lambda: self._last_event_at
        )
        detail = f"no event for {self._silence_seconds:g} s"
        self.fail(AgentError(AgentErrorKind.SILENT, detail))


async def redact_events(
    events: AsyncGenerator[AgentEvent, None], redactor: SecretRedactor
) -> AsyncGenerator[AgentEvent, None]:
    """The same events without secrets, and the same error at their end."""
    stream = StreamRedactor(redactor)
    async with aclosing(events):
        try:
            async for event in events:
                for redacted in _redact_event(event, stream, redactor):
                    yield redacted
        except AgentError:
            if rest := stream.redact_rest():
                yield TextDelta(text=rest)
            raise
    if rest := stream.redact_rest():
        yield TextDelta(text=rest)


def _redact_event(
    event: AgentEvent, stream: StreamRedactor, redactor: SecretRedactor
) -> list[AgentEvent]:
    match event:
        case TextDelta(text=text):
            decided = stream.redact_chunk(text)
            return [TextDelta(text=decided)] if decided else []
        case TextComplete(text=text):
            stream.redact_rest()
            return [TextComplete(text=redactor(text))]
        case TextRetracted():
            stream.redact_rest()
        case AnswerStopped():
            rest = stream.redact_rest()
            return [TextDelta(text=rest), event] if rest else [event]
        case _:
            pass
    return [event]
