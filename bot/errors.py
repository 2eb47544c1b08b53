"""Every error of Threadpilot's own, and what each tells the people in the thread.

    BotError
    ├── SettingsError          the environment or .env is wrong; ends the program with status 2
    ├── TooFewDescriptors      the system allows too few open files (`bot.file_descriptors`)
    ├── StoreError             the database cannot be used just now
    │   ├── DataFolderInUse    another process holds the data folder
    │   └── SchemaTooNew       the database was written by a newer Threadpilot
    ├── NotUnderstood          the flags of a cleanup make no sense (`bot.sessions.cleanup_filter`)
    ├── CleanupRuns            one cleanup at a time (`bot.sessions.cleanup`)
    ├── NotDone                an order from the shell could not be carried out (`bot.cli.sessions`)
    ├── NotAllowed             somebody wants something done that they have no right to
    ├── AgentError             the model or the runtime could not answer
    └── SlackError             Slack refused or could not be reached
        └── CallError          … and whether it may have been done (`bot.slack.api.calls`)

Foreign exceptions become one of these where they enter (`bot.slack`, `bot.copilot`, `bot.store`),
the original kept as `__cause__`. `str(error)` is for operators; `error.sentence` is for people in
Slack and never holds exception text, URLs, tokens or paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class BotError(Exception):
    """Something went wrong that Threadpilot knows how to name."""

    user_message = "Sorry, something went wrong on my side. Please ask again in a moment."
    transient: bool = False
    """Whether the same may succeed later, though nobody changes anything."""
    retry_after: float = 0.0
    """Seconds that whoever is in trouble wants to be left alone."""


class SettingsError(BotError):
    """The settings do not fit; `faults` lists everything that is wrong, each with its remedy."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class TooFewDescriptors(BotError):
    """The system lets the process have fewer files and connections open than it needs."""


class StoreError(BotError):
    """The database cannot be used just now."""

    user_message = (
        "Sorry, I can't reach my memory just now. Please ask again in a few minutes; "
        "if it goes on, tell the person who runs me."
    )


class DataFolderInUse(StoreError):
    """Another process holds the data folder: one process per database."""


class SchemaTooNew(StoreError):
    """The database was written by a newer Threadpilot; upgrade, or restore a backup."""


class NotAllowed(BotError):
    """Somebody wants something done that they have no right to; `sentence` tells them why."""

    def __init__(self, user_message: str) -> None:
        self.user_message = user_message
        super().__init__(user_message)


class AgentErrorKind(StrEnum):
    """Why the model or the runtime did not answer."""

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
        "I'm not allowed to use the model just now. "
        "Please tell the person who runs me: its key or access needs a look."
    ),
    AgentErrorKind.RATE_LIMIT: "The model is taking too many questions just now. "
    "Please ask again in a minute.",
    AgentErrorKind.UNREACHABLE: "I can't reach the model just now. "
    "Please ask again in a few minutes.",
    AgentErrorKind.MODEL: "The model ran into a problem with this question. Please ask again.",
    AgentErrorKind.TOO_LONG: "This thread has grown too long for the model. "
    "Please go on in a new thread.",
    AgentErrorKind.SILENT: "The model went silent, so I stopped waiting. Please ask again.",
    AgentErrorKind.RUNTIME: "My engine stopped while I was answering and is starting again. "
    "Please ask again.",
    AgentErrorKind.EMPTY: "The model gave an empty answer. "
    "Please ask again, or put it another way.",
    AgentErrorKind.TIMED_OUT: "This took longer than I may spend on one question, so I stopped. "
    "Please ask for less at once.",
    AgentErrorKind.BUSY: "I'm working on too many threads at once. Please ask again in a minute.",
    AgentErrorKind.UNSUPPORTED: "My engine can't do this. "
    "The person who runs me can look for an update.",
    AgentErrorKind.NO_SESSION: "There is nothing in this session yet. Ask me something first.",
    AgentErrorKind.MODEL_GONE: "The model of this thread can't be used any more. "
    "Choose another one with `!model`.",
}


class AgentError(BotError):
    """The model or the runtime could not answer; `fault` says which kind of trouble it was."""

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
