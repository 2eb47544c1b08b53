"""What people are told about models, roles and their settings, and all that the Home tab says."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.domain.preferences import Scope

# Models ------------------------------------------------------------------------------------------

MODEL_TITLE: Final = "Models"
MODEL_NOW: Final = "This thread is answered by {model} ({rule})."
MODEL_FOR_NEW: Final = "A thread of yours here would be answered by {model} ({rule})."
MODEL_AND_EFFORT: Final = "{model}, thinking effort {effort}"
SOME_MODEL: Final = "the model server's own choice"
CHOSEN_FOR: Final = "Chosen for {scope}: {model}."
NOTHING_CHOSEN_FOR: Final = "Nothing is chosen for {scope}."
EFFORT_ONLY: Final = "thinking effort {effort}, with whatever model"
MODELS_ARE: Final = "I can use: {models}."
MODELS_MORE: Final = "{models} and {more} more"
NO_MODELS: Final = "I can't get the list of models just now. Please try again in a minute."
MODEL_HINT: Final = (
    "`model <name> [low|medium|high]` in a thread chooses for that thread, "
    "`… for me` for all your threads. `model default` takes it back."
)
USE: Final = "Use {model}"
USE_LABEL: Final = "Use another model"
CLEAR_CHOICE: Final = "Back to the usual one"
MODEL_USAGE: Final = (
    "Please say it like this: `model <name|default> [low|medium|high] [for me|channel|workspace]`."
)
NO_SUCH_MODEL: Final = "I know no model called “{name}”."
MODEL_OF_NO_THREAD: Final = (
    "Which thread? Write `!model {args}` in it, or `model {args} for me` for all your threads."
)
NO_CHANNEL: Final = "Which channel? Please say that in the channel that you mean."

YOU: Final = "You"
CHOSE: Final = "{actor} chose {model} for {scope}."
CHOSE_DEFAULT: Final = "{actor} took the choice for {scope} back."
FROM_NEXT: Final = "It counts from the next answer on."
STILL_RUNNING: Final = "The answer that is being written is still from the model before."
NOW_USING: Final = "Now it is {model} ({rule})."
SCOPE_NAMES: Final[Mapping[Scope, str]] = MappingProxyType(
    {
        Scope.THREAD: "this thread",
        Scope.CHANNEL: "this channel",
        Scope.USER: "your threads",
        Scope.WORKSPACE: "the workspace",
    }
)

# Settings of one's own ---------------------------------------------------------------------------

SET_MODEL: Final = "Your threads are answered by {model} from the next answer on."
SET_DEFAULT: Final = "Your threads are answered by the usual model again."
SET_VERBOSITY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "brief": "I keep my answers in your threads short.",
        "normal": "I answer in your threads at the usual length.",
        "detailed": "I answer in your threads in detail.",
    }
)

# Roles -------------------------------------------------------------------------------------------

ROLES_TITLE: Final = "Roles"
ROLES: Final = (
    "A role is a session of its own beside this thread's main one, with its own way of working."
)
ROLES_HINT: Final = (
    "Mention me and begin with the role and a colon, for example `{role}: your question`."
)
NO_SUCH_ROLE: Final = "I know no role called “{name}”. These are there:"
ROLES_MORE: Final = "{sentence} There are also: {names}."
ROLE_MODEL: Final = "model {model}"
ROLE_READS: Final = "can read files"
ROLE_HERE: Final = "{handle} in this thread, {turns}"
ROLE_NOT_HERE: Final = "no session in this thread yet"
ROLE_BEGIN: Final = "Begin"
ROLE_BEGUN: Final = (
    "This thread has a {role} session now: {handle}. It has a memory of its own; with its first "
    "question it is told what was said in this thread. "
    "To ask it, mention me and begin with its name: `{role}: your question`."
)
ROLE_THERE: Final = (
    "This thread has a {role} session already: {handle}, {turns}. "
    "To ask it, mention me and begin with its name: `{role}: your question`."
)
ROLE_UNKNOWN_THREAD: Final = (
    "There is nothing in this thread yet. Just ask: mention me and write `{role}: your question`."
)
ROLE_OF_NO_THREAD: Final = "A role belongs to a thread. Write `!role {role}` in one."

# The Home tab ------------------------------------------------------------------------------------

HELLO: Final = "Hello, I'm Threadpilot"
WHAT: Final = (
    "I bring GitHub Copilot into Slack: every thread is one session. Ask in a thread and I answer "
    "there, as it is written, for everybody in the thread to read."
)
HOW: Final = (
    "Mention me in a channel and I answer in the thread. Go on in that thread: I remember it, and "
    "while it is just the two of us no mention is needed. Or write to me directly: every message "
    "starts a thread of its own. `{command} <question>` asks from anywhere in a channel where I am."
)
MEMORY: Final = (
    "What was said in a thread I remember there, also after a restart, and use nowhere else unless "
    "somebody forks or resumes its session. I hear a channel only after I've been invited to it."
)

HELP: Final = "What I can do"

MY_SESSIONS: Final = "Your sessions"
NO_SESSIONS: Final = "You have none yet: ask me something, and its thread is your first."
SESSIONS_SHOWN: Final = "The newest {shown} of {total}."
SESSIONS_ALL: Final = "All my sessions"
RUNNING_TITLE: Final = "Just now"
RUNNING: Final = "I'm writing these answers for you."
RUNNING_LINE: Final = "“{text}”"

USAGE_TITLE: Final = "What you used"
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
SETTINGS: Final = "They count in every thread that you begin."
MY_MODEL: Final = "Model"
MY_MODEL_DETAIL: Final = "A choice for a thread or its channel goes before it."
USUAL_MODEL: Final = "The usual one"
MY_VERBOSITY: Final = "Length of my answers"
VERBOSITY_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"brief": "Brief", "normal": "Normal", "detailed": "Detailed"}
)

SCORES_TITLE: Final = "Which model does best"
SCORES: Final = "Votes in the comparisons of channels where you have sessions."
SCORE: Final = "{place}. {model}: {votes} in {compared}, kept {kept}"
IN_CHANNEL_OF: Final = "In the channel of “{title}”"
IN_DIRECT: Final = "In our direct messages"

WORKSPACE_TITLE: Final = "The workspace, for those in charge"
TURNS_RUNNING: Final = "Turns running: {count}"
TURNS_WAITING: Final = "Turns waiting: {count}"
SESSIONS_LIVE: Final = "Sessions live: {live} of {places}"
RUNTIME_MEMORY: Final = "Memory of the runtime: {size}"
RUNTIME_RESTS: Final = "The runtime is not running; the next question starts it."
SESSIONS_STORED: Final = "Sessions on record: {count}"
WITH_SIZE: Final = "{text}, {size}"
PAUSED: Final = "I'm paused: new questions wait."
MANY: Final = "{count} or more"
ADMIN_SESSIONS: Final = "All sessions"
ADMIN_USAGE: Final = "Usage"
ADMIN_USERS: Final = "People"
ADMIN_CLEANUP: Final = "Clean up"
ADMIN_AUDIT: Final = "Audit"
ADMIN_PAUSE: Final = "Pause"
ADMIN_PAUSE_CONFIRM: Final = "New questions of everybody will wait until you go on."
ADMIN_RESUME: Final = "Go on"
