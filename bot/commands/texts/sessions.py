"""Defines the texts about sessions and threads, in plain friendly English."""

from __future__ import annotations

from typing import Final

# Shared -------------------------------------------------------------------------------------------

UNTITLED: Final = "untitled"
UNKNOWN_MODEL: Final = "unknown model"
USAGE_HINT: Final = "I didn't get that. Usage: `{command} {usage}`."
USAGE_HINT_PLAIN: Final = "I didn't get that. Send just `{command}`."
NO_SESSION: Final = "This thread has no session yet. The first question to me starts one."
BUSY: Final = "{handle} is replying right now. Wait for it or press Stop, then try again."
AWAITED: Final = (
    "Messages in its thread are queued for {handle}. Wait for the replies, or clear the queue "
    "there with `!stop queue`, then try again."
)
PAGE: Final = "Page {page} of {last}"

# Help --------------------------------------------------------------------------------------------

HELP_TITLE: Final = "Commands"
HELP_IN_THREAD: Final = "Anything else is a question. `!` commands work without a mention."
HELP_IN_CHANNEL: Final = (
    "Anything else is a question. Threads have more commands: send `!help` in one."
)
SESSIONS: Final = "My sessions"
STATUS: Final = "Status"

# Sessions ----------------------------------------------------------------------------------------

MINE_TITLE: Final = "Your sessions"
ALL_TITLE: Final = "All sessions"
NONE_OF_MINE: Final = "You have no sessions yet. Ask me something to start one."
NONE_AT_ALL: Final = "There are no sessions yet."
LISTED: Final = "{first} to {last} of {total}, last used first."
ELSEWHERE: Final = "in a channel that you can't see"
CURRENT: Final = "active"
INACTIVE: Final = "archived"
COMPARED: Final = "comparison copy"
RUNNING: Final = "running"
OWNED_BY: Final = "owner: {name}"
NEWER: Final = "‹ Newer"
OLDER: Final = "Older ›"
RESET: Final = "Reset"
RESET_CONFIRM: Final = (
    "The thread of {handle} gets a fresh session. {handle} is archived, and `!resume {handle}` "
    "restores it."
)
DELETE: Final = "Delete"
DELETE_CONFIRM: Final = (
    "Delete {handle} with its memory and history? This can't be undone. Slack messages stay."
)

# Status ------------------------------------------------------------------------------------------

STATUS_TITLE: Final = "{handle}, {title}"
STATUS_STATE: Final = "State: {state}"
STATUS_OWNER: Final = "Owner: {name}"
STATUS_MODEL: Final = "Model: {model} ({rule})"
STATUS_BLIND: Final = "Model: hidden, so that the comparison stays fair"
STATUS_DEFAULT: Final = "the default"
STATUS_EFFORT: Final = "Effort: {effort}"
STATUS_TURNS: Final = "Turns: {turns} ({input} tokens in, {output} out)"
STATUS_CONTEXT: Final = "Context: {used} of {limit} tokens ({percent} %)"
STATUS_QUEUE: Final = "Queue: {queue}"
STATUS_NOTHING_WAITS: Final = "nothing queued"
STATUS_WAITING: Final = "{messages} queued"
STATUS_IDLE: Final = "no reply running"
STATUS_ANSWERING: Final = "a reply is being written"
STATUS_OTHERS: Final = "Other sessions here: {sessions}"
STATUS_QUIET: Final = "Quiet: I reply here only when mentioned; `!join` changes that"
STATUS_TAKES_PART: Final = "I take part in this thread; `!quiet` changes that"
STATUS_ID: Final = "Runtime id: {id}"
HISTORY: Final = "History"
EXPORT: Final = "Export"

# Reset and resume --------------------------------------------------------------------------------

RESET_DONE: Final = (
    "Fresh start: I've forgotten this thread so far. `!resume {handle}` restores it."
)
RESET_DONE_ROLE: Final = (
    "Fresh start for the {role} session of this thread. `!resume {handle}` restores the previous "
    "one."
)
RESET_ELSEWHERE: Final = "Fresh start for the thread of {handle}."
RESET_RUNNING: Final = "The reply in progress still belongs to {handle}."
RESET_FRESH: Final = "This session is fresh already: it has had no question yet."
RESET_INACTIVE: Final = "{handle} is archived already; its thread uses another session."
RESUME: Final = "Resume"
RESUME_TITLE: Final = "Which session?"
RESUME_WHICH: Final = "You can resume these previous sessions in this thread."
RESUME_NONE: Final = "You have no previous session to resume in this thread."
RESUME_NO_HANDLE: Final = "Name the session, like `!resume s12`. `sessions` lists yours."
RESUME_PRESENT: Final = "{handle} is this thread's session already."
RESUME_COPY: Final = (
    "{handle} is an answer of a comparison. To continue with it, use its button under that "
    "comparison."
)
RESUME_OTHER_CHANNEL: Final = (
    "{handle} belongs to another channel. Sessions stay in their channel, so that nothing said in "
    "one shows up in another."
)
RESUME_NOT_YOURS: Final = (
    "This thread's session belongs to another user. Only they or an admin can replace it."
)
RESUME_TOO_EARLY: Final = (
    "I don't know this thread yet. Ask me something in it first, then resume the session."
)
RESUME_DONE: Final = "Resumed {handle}: I remember {turns}."
RESUME_DONE_NAMED: Final = "Resumed {handle} (“{title}”): I remember {turns}."
RESUME_BEFORE: Final = " The previous session is {handle}: `!resume {handle}` restores it."
RESUME_MOVED: Final = (
    "This thread's session {handle} was resumed in another thread. The next message to me here "
    "starts a fresh one."
)

# Stop, title, quiet ------------------------------------------------------------------------------

STOPPED: Final = "Stopped."
NOTHING_RUNS: Final = "No reply is running in this thread."
WAITS: Final = " {messages} still queued."
ONE_IS: Final = "1 message is"
MANY_ARE: Final = "{count} messages are"
DROP: Final = "Clear queue"
DROP_CONFIRM: Final = (
    "Clear the queue? Messages of all users that are queued in this thread won't be answered."
)
DROPPED: Final = " Queue cleared: {messages} won't be answered."
NOTHING_WAITED: Final = " The queue was empty."
TITLE_SET: Final = "{handle} is now called “{title}”."
TITLE_IS: Final = "{handle} is called “{title}”. `!title <title>` renames it."
TITLE_NONE: Final = "{handle} has no title yet. `!title <title>` sets one."
TITLE_TOO_LONG: Final = "A title can have {most} characters; this one has {length}."
TITLE_EMPTY: Final = "That title has no readable text."
QUIET: Final = "I'll stay silent in this thread unless you mention me. `!join` brings me back."
QUIET_DIRECT: Final = (
    "I won't answer in this thread. `!join` brings me back. Other threads stay as they are."
)
QUIET_ALREADY: Final = "I'm quiet in this thread already. `!join` brings me back."
JOINED: Final = "I take part in this thread again."
JOINED_ALREADY: Final = "I take part in this thread already. `!quiet` makes me silent."

# History, transcripts ----------------------------------------------------------------------------

HISTORY_TITLE: Final = "{handle}, {title}"
HISTORY_EMPTY: Final = "{handle} has had no question yet."
HISTORY_UNAVAILABLE: Final = (
    "{handle} was asked {turns} before I kept a history, so there's nothing to show."
)
HISTORY_WHO: Final = "{number}. {name}, {age}"
HISTORY_EARLIER: Final = "‹ Earlier"
HISTORY_LATER: Final = "Later ›"
NO_ANSWER: Final = "(no answer)"
EXPORT_DONE: Final = "The transcript of {handle} with {turns} is in our direct messages."
EXPORT_COMMENT: Final = "The transcript of {handle}, as you asked."
EXPORT_OMITTED: Final = " It was too long for one file, so the oldest {turns} are left out."
TRANSCRIPT_SESSION: Final = "Session"
TRANSCRIPT_ROLE: Final = "Role"
TRANSCRIPT_OWNER: Final = "Owner"
TRANSCRIPT_CREATED: Final = "Created"
TRANSCRIPT_TURNS: Final = "Turns"
TRANSCRIPT_TOKENS: Final = "Tokens: {input} in, {output} out"
TRANSCRIPT_COST: Final = "{input} tokens in, {output} out"
TRANSCRIPT_OMITTED: Final = "Left out: the oldest {turns}"

# A side question ---------------------------------------------------------------------------------

ASK_NOTHING: Final = "There's no question yet. Try `!ask what is Python?`."
ASK_TOO_LONG: Final = "A side question can have {most} characters; this one has {length}."
ASK_ONE_AT_A_TIME: Final = "I'm still answering your last side question. One at a time, please."
ASK_PAUSED: Final = "I'm paused, so I can't take side questions. Questions in a thread are queued."
ASK_TITLE: Final = "Side question"
ASK_ANSWERED: Final = "“{question}”\n\n{answer}"
ASK_CLIPPED: Final = "The answer was longer; this is the beginning."
ASK_SMALL: Final = "This isn't part of the thread's memory."
ASK_SMALL_ALONE: Final = "Asked outside of threads, so I won't remember it."
ASK_EMPTY: Final = "The model gave an empty answer. Please try again, or rephrase it."

# Deleting ----------------------------------------------------------------------------------------

DELETED: Final = "{handle} is deleted permanently; {size} freed."
DELETED_HERE: Final = (
    "The session of this thread was deleted. The next message to me starts a fresh one."
)

# Usage -------------------------------------------------------------------------------------------

PERIODS: Final = {
    "day": "in the last 24 hours",
    "week": "in the last 7 days",
    "month": "in the last 30 days",
}
PERIOD_LABELS: Final = {"day": "Day", "week": "Week", "month": "Month"}
USAGE_TITLE: Final = "Usage {period}"
USAGE_OF: Final = {
    "thread": "Usage of this thread {period}.",
    "me": "Your usage {period}.",
    "channel": "Usage of this channel {period}.",
    "model": "Your usage {period}, by model.",
}
USAGE_OF_ALL: Final = "Usage of all users {period}, by model."
USAGE_NAMES: Final = {"thread": "This thread", "me": "You", "channel": "This channel"}
USAGE_ROW: Final = "{turns}, {input} tokens in, {output} out"
USAGE_NOTHING: Final = "No usage."
USAGE_NO_THREAD: Final = "This isn't a thread. Send `!usage by thread` in one."
USAGE_NO_CHANNEL: Final = "This isn't a channel. Send that in one."
