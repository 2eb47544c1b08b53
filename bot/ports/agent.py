"""What the story asks of the Copilot runtime.

Several of the runtime's functions behind these verbs are marked experimental; where one is missing
the verb raises `AgentError` with `AgentErrorKind.UNSUPPORTED`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.agent_events import AgentEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """What a session is opened with; the runtime keeps only the conversation."""

    model: str = ""
    """"": the model of the settings, else the server's first, else the plan's default."""
    effort: str = ""
    """Reasoning effort (`low`, `medium`, `high`); "" leaves it to the model."""
    instructions: str = ""
    """What the model is told besides the general instructions."""
    tools: tuple[str, ...] = ()
    """The tools that it has; only reading ones are ever let through."""
    folder: str = ""
    """The only folder in which those tools read: an absolute path without symbolic links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptIds:
    """The ids (`PromptAccepted.event_id`) of the prompts in a session's history, oldest first."""

    all: Sequence[str] = ()
    unanswered: Sequence[str] = ()
    """Those at the end that no answer follows."""


class AgentSession(Protocol):
    """One live session of the runtime. One prompt at a time: the caller sees to it."""

    @property
    def id(self) -> str: ...

    @property
    def alive(self) -> bool:
        """False once the runtime behind it has gone; it must then be opened anew."""
        ...

    @property
    def is_new(self) -> bool:
        """Whether it knows nothing: it was made when it was opened, and not asked since."""
        ...

    @property
    def resumed(self) -> bool:
        """Whether it was opened over a history and not asked since: what a bot or a runtime that
        died left at its end may still be there."""
        ...

    def ask(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """Send a prompt and follow the answer to its end.

        `PromptAccepted` comes first. Ends normally when the session is idle again, with
        `AnswerStopped` last when stopped.
        Raises `AgentError` for every other end: among them silence (no event for the configured
        time: the answer is aborted first) and a runtime that died (noticed within 2 s).
        A consumer that stops reading must `aclose()` the iterator; that aborts the answer and
        returns within 5 s whatever the runtime does. Cancellation does the same.
        """
        ...

    async def abort(self) -> None:
        """Abort the running answer, if there is one; `ask` then ends with `AnswerStopped`.
        Returns within 5 s whatever the runtime does. Safe when idle."""
        ...

    async def close(self) -> None:
        """Let go of the session; its memory stays on disk. Bounded, never raises."""
        ...

    @property
    def config(self) -> SessionConfig:
        """What it runs with now."""
        ...

    async def switch_model(self, model: str, effort: str) -> None:
        """Go on with another model, and make sure that it does. Raises `AgentError`: MODEL_GONE
        when the runtime stays with another one. Bounded to 15 s. Only at rest."""
        ...

    async def truncate_from(self, event_id: str) -> bool:
        """Cut the history: the prompt with this id (`PromptAccepted.event_id`) and all after it.
        False when the history has no such prompt (any more). Only at rest. Raises `AgentError`."""
        ...

    async def prompt_ids(self) -> PromptIds:
        """The prompts in its history: to see what a runtime or a bot that died left there, and
        what it did not keep. Only at rest. Raises `AgentError`."""
        ...

    async def ask_side_question(self, question: str) -> str:
        """The answer to a side question that knows the history and does not enter it; also while
        an answer is under way. Raises `AgentError`; bounded like `ask` by silence."""
        ...

    async def rename(self, title: str) -> None:
        """Give the session a name in the runtime. Raises `AgentError`."""
        ...


class Agent(Protocol):
    """The Copilot runtime."""

    async def open_session(
        self, session_id: str, config: SessionConfig = SessionConfig()
    ) -> AgentSession:
        """Resume the session or, only when the runtime says that there is none, create it.

        Starts the runtime when it is not running. The model is verified after a resume. Raises
        `AgentError`; bounded to 60 s.
        """
        ...

    async def fork_session(self, session_id: str, *, before: str = "", title: str = "") -> str:
        """Copy a session, at rest or not: all of it, or all before the prompt with the id
        `before`. The copy's id. Raises `AgentError`: NO_SESSION when the runtime has none (it has
        none before the first prompt)."""
        ...

    async def delete_sessions(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        """Delete sessions for good, open ones too; the bytes freed by each. What is not there
        frees 0. Raises `AgentError`."""
        ...

    async def stored_sizes(self) -> Mapping[str, int]:
        """All sessions that the runtime has on disk, with their bytes. Raises `AgentError`."""
        ...

    async def list_models(self) -> Sequence[str]:
        """The names of the models that can be chosen, the default one first. Remembered for a
        minute. Raises `AgentError`; bounded to 5 s."""
        ...

    async def memory_bytes(self) -> int:
        """How much memory its process takes, with those that it started, in bytes; 0 while it does
        not run."""
        ...

    async def restart(self) -> None:
        """End its process and start it anew; for when no session is held. Raises
        `AgentError`."""
        ...
