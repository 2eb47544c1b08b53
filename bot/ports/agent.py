"""Defines the interface to the Copilot runtime.

Several of the runtime's functions behind these methods are marked experimental. If one is missing,
the method raises `AgentError` with `AgentErrorKind.UNSUPPORTED`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.agent_events import AgentEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """The config of a session. The runtime stores only the conversation."""

    model: str = ""
    """The model, or "" for the model of the settings, else the server's first, else the plan's
    default."""
    effort: str = ""
    """Reasoning effort (`low`, `medium`, `high`), or "" for the model's default."""
    instructions: str = ""
    """Instructions for the model, in addition to the system prompt."""
    tools: tuple[str, ...] = ()
    """Names of tools. Only tools that read are allowed."""
    folder: str = ""
    """The only folder in which the tools read: an absolute path without symbolic links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptIds:
    """The ids (`PromptAccepted.event_id`) of the prompts in a session's history, oldest first."""

    all: Sequence[str] = ()
    unanswered: Sequence[str] = ()
    """The prompts at the end of the history that have no answer."""


class AgentSession(Protocol):
    """One live session of the runtime. The caller must send one prompt at a time."""

    @property
    def id(self) -> str: ...

    @property
    def alive(self) -> bool:
        """True until the session is closed or its runtime has gone; then open it again."""
        ...

    @property
    def is_new(self) -> bool:
        """True if the session was created when it was opened, and had no prompt since."""
        ...

    @property
    def resumed(self) -> bool:
        """True if the session was opened with a history and had no prompt since.

        The end of the history may have prompts that a crashed bot or runtime left.
        """
        ...

    def ask(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """Send a prompt and follow the answer to its end.

        `PromptAccepted` comes first. The iterator ends when the session is idle again, with
        `AnswerStopped` as the last event of an aborted answer.

        Raises `AgentError` for every other end. Examples are silence (no event for the configured
        time: the answer is aborted first) and a runtime that died (noticed within 2 s).

        A consumer that stops reading must `aclose()` the iterator. That aborts the answer and
        returns within 5 s, even if the runtime hangs. Cancellation does the same.
        """
        ...

    async def abort(self) -> None:
        """Abort the running answer, if there is one. `ask` then ends with `AnswerStopped`.

        Returns within 5 s, even if the runtime hangs. Safe when idle.
        """
        ...

    async def close(self) -> None:
        """Close the session. Its history stays on disk. Bounded, never raises."""
        ...

    @property
    def config(self) -> SessionConfig:
        """The current config."""
        ...

    async def switch_model(self, model: str, effort: str) -> None:
        """Continue with another model, and verify the switch. The session must be idle.

        Raises `AgentError`: MODEL_GONE if the runtime stays with another model. Bounded to 15 s.
        """
        ...

    async def truncate_from(self, event_id: str) -> bool:
        """Remove the prompt with this id (`PromptAccepted.event_id`) and all later history.

        False if the history has no such prompt. The session must be idle. Raises `AgentError`.
        """
        ...

    async def prompt_ids(self) -> PromptIds:
        """The prompts in the history. They show what a crashed runtime or bot stored, and what it
        lost. The session must be idle. Raises `AgentError`."""
        ...

    async def ask_side_question(self, question: str) -> str:
        """The answer to a side question, which uses the history and is not stored in it.

        Also works while an answer is running. Raises `AgentError`; bounded by silence like `ask`.
        """
        ...

    async def rename(self, title: str) -> None:
        """Give the session a name in the runtime. Raises `AgentError`."""
        ...


class Agent(Protocol):
    """The Copilot runtime."""

    async def open_session(
        self, session_id: str, config: SessionConfig = SessionConfig()
    ) -> AgentSession:
        """Resume the session, or create it only if the runtime has no such session.

        Starts the runtime if it is not running. Verifies the model after a resume. Raises
        `AgentError`; bounded to 60 s.
        """
        ...

    async def fork_session(self, session_id: str, *, before: str = "", title: str = "") -> str:
        """Copy a session, idle or not: all of it, or all before the prompt with the id `before`.

        Returns the copy's id. Raises `AgentError`: NO_SESSION if the runtime has no such session,
        which is also the case before its first prompt.
        """
        ...

    async def delete_sessions(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        """Delete sessions permanently, also open ones. Raises `AgentError`.

        Returns the number of bytes that each one freed: 0 for a session that does not exist.
        """
        ...

    async def stored_sizes(self) -> Mapping[str, int]:
        """The size of each session on disk, in bytes. Raises `AgentError`."""
        ...

    async def list_models(self) -> Sequence[str]:
        """The names of the available models, the default first. Cached for a minute.

        Raises `AgentError`; bounded to 5 s.
        """
        ...

    async def memory_bytes(self) -> int:
        """Memory of the runtime's process and its children, in bytes, or 0 if it does not run."""
        ...

    async def restart(self) -> None:
        """Stop the runtime and start it again. No session may be open. Raises `AgentError`."""
        ...
