"""Asking a live session one prompt: what it says becomes the answer, what it costs is added up."""

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
    """The sessions that are being asked for one turn, for whoever wants to stop it."""

    def __init__(self) -> None:
        self._sessions: list[AgentSession] = []
        self.stop_requested = False

    @contextmanager
    def track(self, session: AgentSession) -> Iterator[None]:
        """A session is being asked while inside."""
        self._sessions.append(session)
        try:
            yield
        finally:
            self._sessions.remove(session)

    async def stop_all(self) -> None:
        """Stop what is being asked, and what would be asked next."""
        self.stop_requested = True
        await asyncio.gather(*(session.abort() for session in self._sessions))


class UsageMeter:
    """What asking costs, added up while it goes on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_at: float | None = None
        self._model = ""
        self._input_tokens = 0
        self._output_tokens = 0
        self._context = ContextUsage(tokens=0, limit=0)

    def start_timer(self) -> None:
        """From now on time is counted; also that of a first asking that came to nothing."""
        if self._started_at is None:
            self._started_at = self._clock.monotonic()

    def add(self, event: TokensUsed | ContextUsage) -> None:
        """One more model call, or a look at the context."""
        match event:
            case TokensUsed(model=model, input_tokens=taken, output_tokens=given):
                self._model = model
                self._input_tokens += taken
                self._output_tokens += given
            case ContextUsage():
                self._context = event

    @property
    def total_usage(self) -> TokenUsage:
        """What it came to up to now."""
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
    """Ask, and pass the answer on as it comes; whether it was stopped. `taken` is told the id of
    the prompt in the session's history. Raises `AgentError`, and what `taken` raises."""
    stopped = False
    usage_meter.start_timer()
    async with aclosing(session.ask(prompt)) as events:
        async for event in events:
            match event:
                case PromptAccepted(event_id=event_id):
                    await on_prompt_accepted(event_id)
                case TextDelta(text=text):
                    more = buffer.add(text)
                    if sink is not None:
                        sink.append(more)
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
    log.debug(
        "model %s took %d tokens and gave %d",
        *(
            usage_meter.total_usage.model,
            usage_meter.total_usage.input_tokens,
            usage_meter.total_usage.output_tokens,
        ),
    )
    return stopped


_SEPARATOR = "\n\n"


class AnswerBuffer:
    """What the model has said up to here.

    A prompt may be answered in several messages (one per model call), shown with a blank line
    between them. What a model call said before it failed and was tried again does not count.
    """

    def __init__(self) -> None:
        self._completed: list[str] = []
        self._current: list[str] = []

    @property
    def text(self) -> str:
        """The whole answer up to here."""
        return _SEPARATOR.join(part for part in (*self._completed, "".join(self._current)) if part)

    def add(self, text: str) -> str:
        """The model said more; what of it is to be appended to what is shown."""
        if not text:
            return ""
        first = not self._current
        self._current.append(text)
        return _SEPARATOR + text if first and self._completed else text

    def discard_current(self) -> bool:
        """The current message does not count; whether anything of it had been shown."""
        shown = bool(self._current)
        self._current.clear()
        return shown

    def discard_all(self) -> None:
        """Nothing of it counts: it is asked for anew."""
        self._completed.clear()
        self._current.clear()

    def complete_current(self, text: str) -> bool:
        """The current message is complete and says `text`; whether that differs from what had
        been added (then everything shown has to be replaced)."""
        differs = "".join(self._current) != text
        self._current.clear()
        if text:
            self._completed.append(text)
        return differs
