"""One answer on its way from the runtime to whoever reads it.

The runtime speaks when it likes, the reader reads when it can. In between text that has piled up
is put together, so that what waits is never more than a few entries and one answer's text.
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
"""Characters. A small model can go on for ever. What is too long for a thread is given as a file
(`bot.slack.replies.overflow_file`), so this is for the memory."""
_MAX_CHUNK_CHARS = 50_000
"""Characters. What nobody has read yet piles up in pieces of this size: to add to one takes as
long as it is."""
ERROR_SECONDS = 3.0
"""How long the session may take to come to rest after it reported an error: milliseconds."""


class PromptEvents:
    """Hears the events of one prompt, and hands them on by `next`."""

    def __init__(self, options: RuntimeOptions) -> None:
        self.prompt_sent = asyncio.Event()
        """Set when the runtime has, or should have, the prompt."""
        self.runtime_done = asyncio.Event()
        """Set when the runtime says no more about this prompt: it rests, or it is gone."""
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
        """Whether the reader will get nothing more than what waits."""
        return self._complete

    @property
    def pending_count(self) -> int:
        """How many events wait to be read."""
        return len(self._pending)

    async def next_event(self) -> AgentEvent | None:
        """The next event; None at the end. Raises the `AgentError` that the answer ended with."""
        while not self._pending:
            if self._complete:
                if self._error is not None:
                    raise self._error
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._pending.popleft()

    def handle_event(self, event: SessionEvent) -> None:
        """Take an event of the runtime. Called on the loop, in order."""
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
        """The runtime is no more: nothing will come."""
        self.runtime_done.set()
        self._finish(AgentError(AgentErrorKind.RUNTIME, f"the runtime is gone: {reason}"))

    def complete_as_stopped(self) -> None:
        """End the answer as stopped, unless it has ended."""
        self._finish(None, stopped=True)

    def cancel_timers(self) -> None:
        """Let go of the timers."""
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
                # What piled up of this message is overruled before anybody has read it.
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
                AgentError(AgentErrorKind.MODEL, f"it says more than {MAX_ANSWER_CHARS:,} letters")
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
        detail = f"no sign of life for {self._silence_seconds:g} s"
        self.fail(AgentError(AgentErrorKind.SILENT, detail))


async def redact_events(
    events: AsyncGenerator[AgentEvent, None], redactor: SecretRedactor
) -> AsyncGenerator[AgentEvent, None]:
    """The same events, and the same error at their end."""
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
