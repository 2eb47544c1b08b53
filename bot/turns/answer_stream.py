"""Asking a live session one prompt: what it says becomes the answer, what it costs is added up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Protocol

from bot.domain.agent_events import (
    AnswerStopped,
    ContextUsed,
    PromptTaken,
    TextAdded,
    TextSettled,
    TextTakenBack,
    TokensUsed,
)
from bot.domain.usage import Spent
from bot.ports import AgentSession, Clock

log = logging.getLogger(__name__)


class Showing(Protocol):
    """Where an answer shows as it grows: what `bot.ports.Reply` has for that."""

    def append(self, text: str) -> None:
        """The model said more."""
        ...

    def replace(self, text: str) -> None:
        """The whole answer up to here is `text`."""
        ...


class Underway:
    """The sessions that are being asked for one turn, for whoever wants to stop it."""

    def __init__(self) -> None:
        self._sessions: list[AgentSession] = []
        self.stop_wanted = False

    @contextmanager
    def of(self, session: AgentSession) -> Iterator[None]:
        """A session is being asked while inside."""
        self._sessions.append(session)
        try:
            yield
        finally:
            self._sessions.remove(session)

    async def stop(self) -> None:
        """Stop what is being asked, and what would be asked next."""
        self.stop_wanted = True
        await asyncio.gather(*(session.stop() for session in self._sessions))


class Cost:
    """What asking costs, added up while it goes on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: float | None = None
        self._model = ""
        self._taken = 0
        self._given = 0
        self._context = ContextUsed(tokens=0, limit=0)

    def begin(self) -> None:
        """From now on time is counted; also that of a first asking that came to nothing."""
        if self._began is None:
            self._began = self._clock.monotonic()

    def add(self, event: TokensUsed | ContextUsed) -> None:
        """One more model call, or a look at the context."""
        match event:
            case TokensUsed(model=model, input_tokens=taken, output_tokens=given):
                self._model = model
                self._taken += taken
                self._given += given
            case ContextUsed():
                self._context = event

    @property
    def spent(self) -> Spent:
        """What it came to up to now."""
        return Spent(
            model=self._model,
            input_tokens=self._taken,
            output_tokens=self._given,
            seconds=0.0 if self._began is None else self._clock.monotonic() - self._began,
            context_tokens=self._context.tokens,
            context_limit=self._context.limit,
        )


async def follow(
    session: AgentSession,
    prompt: str,
    answer: Answer,
    cost: Cost,
    *,
    taken: Callable[[str], Awaitable[None]],
    showing: Showing | None = None,
) -> bool:
    """Ask, and pass the answer on as it comes; whether it was stopped. `taken` is told the id of
    the prompt in the session's history. Raises `AgentError`, and what `taken` raises."""
    stopped = False
    cost.begin()
    async with aclosing(session.ask(prompt)) as events:
        async for event in events:
            match event:
                case PromptTaken(event=event_id):
                    await taken(event_id)
                case TextAdded(text=text):
                    more = answer.add(text)
                    if showing is not None:
                        showing.append(more)
                case TextTakenBack():
                    if answer.take_back() and showing is not None:
                        showing.replace(answer.text)
                case TextSettled(text=text):
                    if answer.settle(text) and showing is not None:
                        showing.replace(answer.text)
                case TokensUsed() | ContextUsed():
                    cost.add(event)
                case AnswerStopped():
                    stopped = True
    log.debug(
        "model %s took %d tokens and gave %d",
        *(cost.spent.model, cost.spent.input_tokens, cost.spent.output_tokens),
    )
    return stopped


_GAP = "\n\n"


class Answer:
    """What the model has said up to here.

    A prompt may be answered in several messages (one per model call), shown with a blank line
    between them. What a model call said before it failed and was tried again does not count.
    """

    def __init__(self) -> None:
        self._settled: list[str] = []
        self._current: list[str] = []

    @property
    def text(self) -> str:
        """The whole answer up to here."""
        return _GAP.join(part for part in (*self._settled, "".join(self._current)) if part)

    def add(self, text: str) -> str:
        """The model said more; what of it is to be appended to what is shown."""
        if not text:
            return ""
        first = not self._current
        self._current.append(text)
        return _GAP + text if first and self._settled else text

    def take_back(self) -> bool:
        """The current message does not count; whether anything of it had been shown."""
        shown = bool(self._current)
        self._current.clear()
        return shown

    def take_all_back(self) -> None:
        """Nothing of it counts: it is asked for anew."""
        self._settled.clear()
        self._current.clear()

    def settle(self, text: str) -> bool:
        """The current message is complete and says `text`; whether that differs from what had
        been added (then everything shown has to be replaced)."""
        differs = "".join(self._current) != text
        self._current.clear()
        if text:
            self._settled.append(text)
        return differs
