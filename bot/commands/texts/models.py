"""Defines the texts about models, roles, settings and the Home tab, in plain friendly English."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.domain.preferences import Scope

# Models ------------------------------------------------------------------------------------------

MODEL_TITLE: Final = "Models"
MODEL_NOW: Final = "This thread uses {model} ({rule})."
MODEL_FOR_NEW: Final = "A new thread of yours here uses {model} ({rule})."
MODEL_AND_EFFORT: Final = "{model}, thinking effort {effort}"
SOME_MODEL: Final = "the model server's default"
CHOSEN_FOR: Final = "Model for {scope}: {model}."
NOTHING_CHOSEN_FOR: Final = "No model is set for {scope}."
EFFORT_ONLY: Final = "thinking effort {effort} with any model"
MODELS_ARE: Final = "Available models: {models}."
MODELS_MORE: Final = "{models} and {more} more"
NO_MODELS: Final = "I can't get the list of models right now. Please try again in a minute."
MODEL_HINT: Final = (
    "`model <name> [low|medium|high]` in a thread sets its model, `… for me` that of all your "
    "threads. `model default` goes back to the default."
)
USE: Final = "Use {model}"
USE_LABEL: Final = "Use another model"
CLEAR_CHOICE: Final = "Back to default"
MODEL_USAGE: Final = (
    "I didn't get that. Usage: `model <name|default> [low|medium|high] [for me|channel|workspace]`."
)
NO_SUCH_MODEL: Final = "I don't know a model called “{name}”."
MODEL_OF_NO_THREAD: Final = (
    "Which thread? Send `!model {args}` in it, or `model {args} for me` for all your threads."
)
NO_CHANNEL: Final = "Which channel? Please send that in the channel you mean."

YOU: Final = "You"
CHOSE: Final = "{actor} chose {model} for {scope}."
CHOSE_DEFAULT: Final = "{actor} cleared the model for {scope}."
FROM_NEXT: Final = "It's used from the next reply on."
STILL_RUNNING: Final = "The reply in progress still uses the previous model."
NOW_USING: Final = "Now it's {model} ({rule})."
SCOPE_NAMES: Final[Mapping[Scope, str]] = MappingProxyType(
    {
        Scope.THREAD: "this thread",
        Scope.CHANNEL: "this channel",
        Scope.USER: "your threads",
        Scope.WORKSPACE: "the workspace",
    }
)

# A user's own settings ---------------------------------------------------------------------------

SET_MODEL: Final = "Your threads use {model} from the next reply on."
SET_DEFAULT: Final = "Your threads use the default model again."
SET_VERBOSITY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "brief": "I'll keep replies in your threads short.",
        "normal": "I'll reply in your threads at the normal length.",
        "detailed": "I'll reply in your threads in detail.",
    }
)

# Roles -------------------------------------------------------------------------------------------

ROLES_TITLE: Final = "Roles"
ROLES: Final = (
    "A role has its own session in a thread, beside the main one, and its own way of working."
)
ROLES_HINT: Final = (
    "Mention me and start with the role and a colon, for example `{role}: your question`."
)
NO_SUCH_ROLE: Final = "I don't know a role called “{name}”. Available roles:"
ROLES_MORE: Final = "{sentence} There are also: {names}."
ROLE_MODEL: Final = "model {model}"
ROLE_READS: Final = "can read files"
ROLE_HERE: Final = "{handle} in this thread, {turns}"
ROLE_NOT_HERE: Final = "no session in this thread yet"
ROLE_BEGIN: Final = "Start"
ROLE_BEGUN: Final = (
    "This thread has a {role} session now: {handle}. It has its own memory, and reads this thread "
    "with its first question. To ask it, mention me and start with its name: `{role}: your "
    "question`."
)
ROLE_THERE: Final = (
    "This thread has a {role} session already: {handle}, {turns}. To ask it, mention me and start "
    "with its name: `{role}: your question`."
)
ROLE_UNKNOWN_THREAD: Final = (
    "I don't know this thread yet. Just ask: mention me and write `{role}: your question`."
)
ROLE_OF_NO_THREAD: Final = "A role needs a thread. Send `!role {role}` in one."

# The Home tab ------------------------------------------------------------------------------------

HELLO: Final = "Hello, I'm Threadpilot"
WHAT: Final = (
    "I bring GitHub Copilot into Slack: each thread is one session. Ask in a thread, and I write "
    "my reply there for everyone in the thread to read."
)
HOW: Final = (
    "Mention me in a channel, and I reply in the thread. Continue in that thread: I remember it, "
    "and while it's just the two of us you don't need to mention me. Or send me a direct message: "
    "each one starts a thread of its own. `{command} <question>` asks from any channel that I'm in."
)
MEMORY: Final = (
    "I remember what was said in a thread, even after a restart, and use it nowhere else unless "
    "someone forks or resumes its session. I can read a channel only after I've been invited to it."
)

HELP: Final = "What I can do"

MY_SESSIONS: Final = "Your sessions"
NO_SESSIONS: Final = "No sessions yet. Ask me something to start one."
SESSIONS_SHOWN: Final = "The newest {shown} of {total}."
SESSIONS_ALL: Final = "All my sessions"
RUNNING_TITLE: Final = "Running now"
RUNNING: Final = "I'm writing these replies for you."
RUNNING_LINE: Final = "“{text}”"

USAGE_TITLE: Final = "Your usage"
USAGE_LINE: Final = "{period}: {turns}, {tokens} tokens"
PERIODS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        "day": ("Last 24 hours", 1),
        "week": ("Last 7 days", 7),
        "month": ("Last 30 days", 30),
    }
)
"""The name of each period, and its days."""

SETTINGS_TITLE: Final = "Your settings"
SETTINGS: Final = "Used in every thread you start."
MY_MODEL: Final = "Model"
MY_MODEL_DETAIL: Final = "A thread's or channel's own model overrides this."
USUAL_MODEL: Final = "Default"
MY_VERBOSITY: Final = "Length of replies"
VERBOSITY_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"brief": "Brief", "normal": "Normal", "detailed": "Detailed"}
)

SCORES_TITLE: Final = "Best models"
SCORES: Final = "Votes in comparisons, in channels where you have sessions."
SCORE: Final = "{place}. {model}: {votes} in {compared}, kept {kept}"
IN_CHANNEL_OF: Final = "Channel of “{title}”"
IN_DIRECT: Final = "Our direct messages"

WORKSPACE_TITLE: Final = "Admin"
TURNS_RUNNING: Final = "Turns running: {count}"
TURNS_WAITING: Final = "Turns queued: {count}"
SESSIONS_LIVE: Final = "Open sessions: {live} of {places}"
RUNTIME_MEMORY: Final = "Runtime memory: {size}"
RUNTIME_RESTS: Final = "The runtime isn't running; the next question starts it."
SESSIONS_STORED: Final = "Stored sessions: {count}"
WITH_SIZE: Final = "{text}, {size}"
PAUSED: Final = "Paused: new questions are queued."
MANY: Final = "{count} or more"
ADMIN_SESSIONS: Final = "All sessions"
ADMIN_USAGE: Final = "Usage"
ADMIN_USERS: Final = "Users"
ADMIN_CLEANUP: Final = "Clean up"
ADMIN_AUDIT: Final = "Audit"
ADMIN_PAUSE: Final = "Pause"
ADMIN_PAUSE_CONFIRM: Final = "New questions of all users are queued until you resume."
ADMIN_RESUME: Final = "Resume"
