"""Streams the answer of a live session to a prompt into a reply, and adds up its token usage."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager

from bot.domain.agent_events import (
    AnswerStopped,
    ContextUsage,
    PromptAccepted,
    TextComplete,
    TextDelta,
    TextRetracted,
    TokensUsed,
)
from bot.domain.usage import TokenUsage
from bot.ports import AgentSession, Clock, Reply

log = logging.getLogger(__name__)


class ActivePrompts:
    """The sessions that answer one turn, so that the turn can be stopped."""

    def __init__(self) -> None:
        self._sessions: list[AgentSession] = []
        self.stop_requested = False
        """True once the turn is to stop."""

    @contextmanager
    def track(self, session: AgentSession) -> Iterator[None]:
        """Register a session that answers while inside."""
        self._sessions.append(session)
        try:
            yield
        finally:
            self._sessions.remove(session)

    async def stop_all(self) -> None:
        """Abort all sessions that answer, and prevent further prompts."""
        self.stop_requested = True
        await asyncio.gather(*(session.abort() for session in self._sessions))


class UsageMeter:
    """Adds up the token usage and the duration of a turn."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_at: float | None = None
        self._model = ""
        self._input_tokens = 0
        self._output_tokens = 0
        self._context = ContextUsage(tokens=0, limit=0)

    def start_timer(self) -> None:
        """Start the timer, unless it runs: the time of a failed first try counts too."""
        if self._started_at is None:
            self._started_at = self._clock.monotonic()

    def add(self, event: TokensUsed | ContextUsage) -> None:
        """Add the tokens of a model call, or note the size of the context."""
        match event:
            case TokensUsed(model=model, input_tokens=tokens_in, output_tokens=tokens_out):
                self._model = model
                self._input_tokens += tokens_in
                self._output_tokens += tokens_out
            case ContextUsage():
                self._context = event

    @property
    def total_usage(self) -> TokenUsage:
        """The usage up to now."""
        return TokenUsage(
            model=self._model,
            input_tokens=self._input_tokens,
            output_tokens=self._output_tokens,
            seconds=0.0 if self._started_at is None else self._clock.monotonic() - self._started_at,
            context_tokens=self._context.tokens,
            context_limit=self._context.limit,
        )


async def stream_answer(
    session: AgentSession,
    prompt: str,
    buffer: AnswerBuffer,
    usage_meter: UsageMeter,
    *,
    on_prompt_accepted: Callable[[str], Awaitable[None]],
    sink: Reply | None = None,
) -> bool:
    """Send the prompt and stream the answer to `buffer` and `sink`. True if it was stopped.

    `on_prompt_accepted` gets the id of the prompt in the session's history. Raises `AgentError`,
    and what `on_prompt_accepted` raises.
    """
    stopped = False
    usage_meter.start_timer()
    async with aclosing(session.ask(prompt)) as events:
        async for event in events:
            match event:
                case PromptAccepted(event_id=event_id):
                    await on_prompt_accepted(event_id)
                case TextDelta(text=text):
                    delta = buffer.add(text)
                    if sink is not None:
                        sink.append(delta)
                case TextRetracted():
                    if buffer.discard_current() and sink is not None:
                        sink.replace(buffer.text)
                case TextComplete(text=text):
                    if buffer.complete_current(text) and sink is not None:
                        sink.replace(buffer.text)
                case TokensUsed() | ContextUsage():
                    usage_meter.add(event)
                case AnswerStopped():
                    stopped = True
    usage = usage_meter.total_usage
    log.debug(
        "answer streamed: model=%s input_tokens=%d output_tokens=%d",
        *(usage.model, usage.input_tokens, usage.output_tokens),
    )
    return stopped


_SEPARATOR = "\n\n"


class AnswerBuffer:
    """The answer of the model up to now.

    An answer may consist of several messages, one per model call, with a blank line between them.
    The text of a model call that failed and was retried does not count.
    """

    def __init__(self) -> None:
        self._completed: list[str] = []
        self._current: list[str] = []

    @property
    def text(self) -> str:
        """The whole answer up to now."""
        return _SEPARATOR.join(part for part in (*self._completed, "".join(self._current)) if part)

    def add(self, text: str) -> str:
        """Add a delta. Returns the text to append to the shown answer, or an empty string."""
        if not text:
            return ""
        first = not self._current
        self._current.append(text)
        return _SEPARATOR + text if first and self._completed else text

    def discard_current(self) -> bool:
        """Discard the current message. True if any of it was shown."""
        shown = bool(self._current)
        self._current.clear()
        return shown

    def discard_all(self) -> None:
        """Discard the whole answer, before a retry."""
        self._completed.clear()
        self._current.clear()

    def complete_current(self, text: str) -> bool:
        """Complete the current message with `text`. True if `text` differs from the added deltas:
        then the shown answer has to be replaced."""
        differs = "".join(self._current) != text
        self._current.clear()
        if text:
            self._completed.append(text)
        return differs
