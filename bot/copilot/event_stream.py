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

from bot.clock import wait_awake
from bot.copilot.events import Idle, Reading
from bot.copilot.options import RuntimeOptions
from bot.domain.agent_events import (
    AgentEvent,
    AnswerStopped,
    ContextUsed,
    TextAdded,
    TextSettled,
    TextTakenBack,
    TokensUsed,
)
from bot.errors import AgentError, AgentFault
from bot.redaction import Flow, Redaction

LONGEST_ANSWER = 6_000_000
"""Characters. A small model can go on for ever. What is too long for a thread is given as a file
(`bot.slack.replies.overflow_file`), so this is for the memory."""
_PIECE = 50_000
"""Characters. What nobody has read yet piles up in pieces of this size: to add to one takes as
long as it is."""
ERROR_SECONDS = 3.0
"""How long the session may take to come to rest after it reported an error: milliseconds."""


class Answering:
    """Hears the events of one prompt, and hands them on by `next`."""

    def __init__(self, options: RuntimeOptions) -> None:
        self.sent = asyncio.Event()
        """Set when the runtime has, or should have, the prompt."""
        self.over = asyncio.Event()
        """Set when the runtime says no more about this prompt: it rests, or it is gone."""
        self._reading = Reading(options.without_secrets)
        self._clock = options.clock
        self._watch = options.watch
        self._silence_seconds = options.silence_seconds
        self._heard_at = self._clock.monotonic()
        self._waiting: deque[AgentEvent] = deque()
        self._length = 0
        self._ended = False
        self._error: AgentError | None = None
        self._reported: AgentError | None = None
        self._news = asyncio.Event()
        self._silence = asyncio.create_task(self._watch_silence())
        self._error_timer: asyncio.TimerHandle | None = None

    @property
    def ended(self) -> bool:
        """Whether the reader will get nothing more than what waits."""
        return self._ended

    @property
    def waiting(self) -> int:
        """How many events wait to be read."""
        return len(self._waiting)

    async def next(self) -> AgentEvent | None:
        """The next event; None at the end. Raises the `AgentError` that the answer ended with."""
        while not self._waiting:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def hear(self, event: SessionEvent) -> None:
        """Take an event of the runtime. Called on the loop, in order."""
        self._heard_at = self._clock.monotonic()
        match self._reading.read(event):
            case None:
                pass
            case Idle(stopped=stopped):
                self.over.set()
                self._end(self._reported, stopped=stopped)
            case AgentError() as error:
                self._reported = error
                loop = asyncio.get_running_loop()
                self._error_timer = loop.call_later(ERROR_SECONDS, self.fail, error)
            case heard:
                if isinstance(heard, TokensUsed):
                    self._watch.used(heard)
                self._put(heard)

    def fail(self, error: AgentError) -> None:
        """End the answer with an error, unless it has ended."""
        self._end(error)

    def runtime_gone(self, reason: str) -> None:
        """The runtime is no more: nothing will come."""
        self.over.set()
        self._end(AgentError(AgentFault.RUNTIME, f"the runtime is gone: {reason}"))

    def stopped(self) -> None:
        """End the answer as stopped, unless it has ended."""
        self._end(None, stopped=True)

    def close(self) -> None:
        """Let go of the timers."""
        self._silence.cancel()
        if self._error_timer is not None:
            self._error_timer.cancel()

    def _put(self, event: AgentEvent) -> None:
        if self._ended:
            return
        match event:
            case TextAdded(text=text):
                self._length += len(text)
                last = self._waiting[-1] if self._waiting else None
                if isinstance(last, TextAdded) and len(last.text) < _PIECE:
                    self._waiting[-1] = TextAdded(text=last.text + text)
                else:
                    self._waiting.append(event)
            case TextSettled() | TextTakenBack():
                # What piled up of this message is overruled before anybody has read it.
                while self._waiting and isinstance(self._waiting[-1], TextAdded):
                    self._waiting.pop()
                self._waiting.append(event)
            case ContextUsed():
                if self._waiting and isinstance(self._waiting[-1], ContextUsed):
                    self._waiting.pop()
                self._waiting.append(event)
            case _:
                self._waiting.append(event)
        self._news.set()
        if self._length > LONGEST_ANSWER:
            self.fail(AgentError(AgentFault.MODEL, f"it says more than {LONGEST_ANSWER:,} letters"))

    def _end(self, error: AgentError | None, *, stopped: bool = False) -> None:
        if self._ended:
            return
        if error is None and stopped:
            self._waiting.append(AnswerStopped())
        self._ended = True
        self._error = error
        self.close()
        self._news.set()

    async def _watch_silence(self) -> None:
        await wait_awake(self._clock, self._silence_seconds, since=lambda: self._heard_at)
        detail = f"no sign of life for {self._silence_seconds:g} s"
        self.fail(AgentError(AgentFault.SILENT, detail))


async def redacted(
    events: AsyncGenerator[AgentEvent, None], redaction: Redaction
) -> AsyncGenerator[AgentEvent, None]:
    """The same events, and the same error at their end."""
    flow = Flow(redaction)
    async with aclosing(events):
        try:
            async for event in events:
                for passed in _passed(event, flow, redaction):
                    yield passed
        except AgentError:
            if rest := flow.end():
                yield TextAdded(text=rest)
            raise
    if rest := flow.end():
        yield TextAdded(text=rest)


def _passed(event: AgentEvent, flow: Flow, redaction: Redaction) -> list[AgentEvent]:
    match event:
        case TextAdded(text=text):
            decided = flow.feed(text)
            return [TextAdded(text=decided)] if decided else []
        case TextSettled(text=text):
            flow.end()
            return [TextSettled(text=redaction(text))]
        case TextTakenBack():
            flow.end()
        case AnswerStopped():
            rest = flow.end()
            return [TextAdded(text=rest), event] if rest else [event]
        case _:
            pass
    return [event]
