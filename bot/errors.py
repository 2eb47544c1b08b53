"""Defines Threadpilot's own errors, each with a message for users.

    BotError
    ├── SettingsError          the environment or .env is wrong; ends the program with status 2
    ├── TooFewDescriptors      the system allows too few open files (`bot.file_descriptors`)
    ├── StoreError             the database cannot be used at the moment
    │   ├── DataFolderInUse    another process holds the data folder
    │   └── SchemaTooNew       the database was written by a newer Threadpilot
    ├── FilterSyntaxError      invalid cleanup flags (`bot.sessions.cleanup_filter`)
    ├── CleanupInProgress      a second cleanup was requested (`bot.sessions.cleanup`)
    ├── CommandFailed          a command of the shell failed (`bot.cli.sessions`)
    ├── NotAllowed             the user lacks the permission for a command
    ├── AgentError             the model or the runtime could not answer
    └── SlackError             Slack refused or could not be reached
        └── SlackCallError     … and whether the call may have had its effect
                               (`bot.slack.api.calls`)

Foreign exceptions become one of these where they enter (`bot.slack`, `bot.copilot`, `bot.store`).
The original is kept as `__cause__`. `str(error)` is for operators. `error.user_message` is for
users in Slack and never holds exception text, URLs, tokens or paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class BotError(Exception):
    """A failure with a message for users."""

    user_message = "Sorry, something went wrong on my side. Please try again in a moment."
    transient: bool = False
    """True if the same operation may succeed later without any change."""
    retry_after: float = 0.0
    """Minimum time, in seconds, before a retry, as the failing service asks for."""


class SettingsError(BotError):
    """The settings are invalid; `faults` lists every fault, each with its remedy."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class TooFewDescriptors(BotError):
    """The system allows fewer open files and connections than the process needs."""


class StoreError(BotError):
    """The database cannot be used at the moment."""

    user_message = (
        "Sorry, I can't reach my database right now. Please try again in a few minutes. "
        "If it keeps happening, ask an admin to take a look."
    )


class DataFolderInUse(StoreError):
    """Another process holds the data folder: one process per database."""


class SchemaTooNew(StoreError):
    """A newer Threadpilot wrote the database; the operator upgrades, or restores a backup."""


class NotAllowed(BotError):
    """The user lacks the permission for a command; `user_message` says why."""

    def __init__(self, user_message: str) -> None:
        self.user_message = user_message
        super().__init__(user_message)


class AgentErrorKind(StrEnum):
    """The reason why the model or the runtime did not answer."""

    ACCESS = "access"
    RATE_LIMIT = "rate_limit"
    UNREACHABLE = "unreachable"
    MODEL = "model"
    TOO_LONG = "too_long"
    SILENT = "silent"
    RUNTIME = "runtime"
    EMPTY = "empty"
    TIMED_OUT = "endless"
    BUSY = "busy"
    UNSUPPORTED = "unsupported"
    NO_SESSION = "no_session"
    MODEL_GONE = "model_gone"


AGENT_ERROR_MESSAGES: dict[AgentErrorKind, str] = {
    AgentErrorKind.ACCESS: (
        "The model rejected my credentials, so I can't reply. "
        "Ask an admin to check the key and its access."
    ),
    AgentErrorKind.RATE_LIMIT: "The model gets too many requests right now. "
    "Please try again in a minute.",
    AgentErrorKind.UNREACHABLE: "I can't reach the model right now. "
    "Please try again in a few minutes.",
    AgentErrorKind.MODEL: "The model ran into a problem with this question. Please try again.",
    AgentErrorKind.TOO_LONG: "This thread is too long for the model. "
    "Please continue in a new thread.",
    AgentErrorKind.SILENT: "The model stopped responding, so I stopped waiting. Please try again.",
    AgentErrorKind.RUNTIME: "The Copilot runtime stopped during my reply and is restarting. "
    "Please try again.",
    AgentErrorKind.EMPTY: "The model returned an empty answer. "
    "Please try again, or rephrase your question.",
    AgentErrorKind.TIMED_OUT: "This took longer than the time limit for one reply, so I stopped. "
    "Please ask for less at once.",
    AgentErrorKind.BUSY: "I'm working on too many threads at once. Please try again in a minute.",
    AgentErrorKind.UNSUPPORTED: "The Copilot runtime doesn't support this. "
    "An admin can check for an update.",
    AgentErrorKind.NO_SESSION: "This session is empty. Ask me something first.",
    AgentErrorKind.MODEL_GONE: "This thread's model is no longer available. "
    "Choose another one with `!model`.",
}


class AgentError(BotError):
    """The model or the runtime could not answer; `kind` is the reason."""

    def __init__(self, kind: AgentErrorKind, detail: str, *, transient: bool = False) -> None:
        self.kind = kind
        self.transient = transient
        self.user_message = AGENT_ERROR_MESSAGES[kind]
        super().__init__(f"{kind}: {detail}")


class SlackError(BotError):
    """Slack refused a call or could not be reached; `code` is Slack's own error code."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        super().__init__(f"{code}: {detail}" if detail else code)
