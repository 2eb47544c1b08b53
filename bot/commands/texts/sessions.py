"""What people are told of threads and sessions: lists, state, transcripts, what was spent."""

from __future__ import annotations

from typing import Final

# What is said in several places ------------------------------------------------------------------

UNTITLED: Final = "untitled"
UNKNOWN_MODEL: Final = "unknown model"
USAGE_HINT: Final = "I did not understand that. It goes `{verb} {usage}`."
USAGE_HINT_PLAIN: Final = "I did not understand that: nothing goes after `{verb}`."
NO_SESSION: Final = (
    "There is no session in this thread yet. It begins with the first question to me."
)
BUSY: Final = "{handle} is answering just now. Wait for it or press Stop, then say it again."
AWAITED: Final = (
    "Messages in its thread still wait for {handle}. Let them be answered, or drop them there with "
    "`!stop queue`; then say it again."
)
PAGE: Final = "Page {page} of {last}"

# Help --------------------------------------------------------------------------------------------

HELP_TITLE: Final = "What you can tell me"
HELP_IN_THREAD: Final = (
    "Whatever is none of these is a question for me. With the `!` no mention is needed."
)
HELP_IN_CHANNEL: Final = (
    "Whatever is none of these is a question for me. "
    "In a thread there is more: write `!help` there."
)
SESSIONS: Final = "My sessions"
STATUS: Final = "Status"

# Sessions ----------------------------------------------------------------------------------------

MINE_TITLE: Final = "Your sessions"
ALL_TITLE: Final = "Everybody's sessions"
NONE_OF_MINE: Final = "You have no sessions yet. Ask me something, and you have one."
NONE_AT_ALL: Final = "There are no sessions yet."
LISTED: Final = "{first} to {last} of {total}, the last used first."
ELSEWHERE: Final = "in a place that you can't see just now"
CURRENT: Final = "current"
INACTIVE: Final = "set aside"
COMPARED: Final = "copied for a comparison"
RUNNING: Final = "running"
OWNED_BY: Final = "of {name}"
NEWER: Final = "‹ Newer"
OLDER: Final = "Older ›"
RESET: Final = "Reset"
RESET_CONFIRM: Final = (
    "The thread of {handle} goes on with a fresh session. {handle} is kept and can be taken back."
)
DELETE: Final = "Delete"
DELETE_CONFIRM: Final = "Delete {handle} and all that it remembers? It can't be brought back."

# Status ------------------------------------------------------------------------------------------

STATUS_TITLE: Final = "{handle}, {title}"
STATUS_STATE: Final = "State: {state}"
STATUS_OWNER: Final = "Owner: {name}"
STATUS_MODEL: Final = "Model: {model} ({rule})"
STATUS_BLIND: Final = "Model: not told, so that the comparison stays fair"
STATUS_DEFAULT: Final = "the default one"
STATUS_EFFORT: Final = "Effort: {effort}"
STATUS_TURNS: Final = "Turns: {turns} ({input} tokens in, {output} out)"
STATUS_CONTEXT: Final = "Context: {used} of {limit} tokens ({percent} %)"
STATUS_QUEUE: Final = "Queue: {queue}"
STATUS_NOTHING_WAITS: Final = "nothing waits"
STATUS_WAITING: Final = "{messages} waiting"
STATUS_IDLE: Final = "nothing runs"
STATUS_ANSWERING: Final = "an answer is being written"
STATUS_OTHERS: Final = "Beside it: {sessions}"
STATUS_QUIET: Final = "Quiet: I answer here only when mentioned; `!join` changes that"
STATUS_TAKES_PART: Final = "I take part in this thread; `!quiet` changes that"
STATUS_ID: Final = "The runtime's id: {id}"
HISTORY: Final = "History"
EXPORT: Final = "Export"

# A fresh session, an earlier one -----------------------------------------------------------------

RESET_DONE: Final = (
    "This thread goes on with a fresh session that knows nothing of what was said. "
    "The old one is {handle}: `!resume {handle}` takes it back."
)
RESET_DONE_ROLE: Final = (
    "The {role} session of this thread starts afresh. "
    "The old one is {handle}: `!resume {handle}` takes it back."
)
RESET_ELSEWHERE: Final = "Done: the thread of {handle} goes on with a fresh session."
RESET_RUNNING: Final = "The answer that is being written is still {handle}'s."
RESET_FRESH: Final = "This session is fresh already: it has not been asked anything."
RESET_INACTIVE: Final = "{handle} is set aside already; its thread goes on without it."
RESUME: Final = "Resume"
RESUME_TITLE: Final = "Which session?"
RESUME_WHICH: Final = "These earlier sessions can be taken up in this thread."
RESUME_NONE: Final = "There is no earlier session of yours that could be taken up in this thread."
RESUME_NO_HANDLE: Final = (
    "Name the session by its handle, like `!resume s12`. `sessions` lists yours."
)
RESUME_PRESENT: Final = "{handle} is this thread's session already."
RESUME_COPY: Final = (
    "{handle} is one of the answers of a comparison. To go on with it, use “Keep” under that "
    "comparison."
)
RESUME_OTHER_CHANNEL: Final = (
    "{handle} belongs to another channel, and sessions stay where they belong, so that nothing "
    "of one place is told in another."
)
RESUME_NOT_YOURS: Final = (
    "This thread's session belongs to somebody else. Only they, or somebody in charge of me, can "
    "put another one in its place."
)
RESUME_TOO_EARLY: Final = (
    "I don't know this thread yet. Ask me something in it first, then take up the session."
)
RESUME_DONE: Final = "This thread goes on with {handle}, which remembers {turns}."
RESUME_DONE_NAMED: Final = "This thread goes on with {handle} (“{title}”), which remembers {turns}."
RESUME_BEFORE: Final = " The one before is {handle}: `!resume {handle}` takes it back."
RESUME_MOVED: Final = (
    "This thread's session {handle} was taken up in another thread. "
    "The next message to me here starts afresh."
)

# Stop, title, quiet ------------------------------------------------------------------------------

STOPPED: Final = "I stopped."
NOTHING_RUNS: Final = "Nothing is being answered in this thread."
WAITS: Final = " {messages} still in line."
ONE_IS: Final = "One message is"
MANY_ARE: Final = "{count} messages are"
DROP: Final = "Drop what waits"
DROP_CONFIRM: Final = "Messages of everybody in this thread that wait for an answer get none."
DROPPED: Final = " {messages} that waited won't be answered."
NOTHING_WAITED: Final = " Nothing was waiting."
TITLE_SET: Final = "{handle} is now called “{title}”."
TITLE_IS: Final = "{handle} is called “{title}”. `!title <title>` gives it another name."
TITLE_NONE: Final = "{handle} has no title yet. `!title <title>` gives it one."
TITLE_TOO_LONG: Final = "A title has {most} characters at most; this one has {length}."
TITLE_EMPTY: Final = "There is nothing in that title that could be read."
QUIET: Final = (
    "I stay silent in this thread from now on. Mention me, and I still answer; "
    "`!join` lets me take part again."
)
QUIET_DIRECT: Final = (
    "I don't answer in this thread from now on; "
    "`!join` lets me take part again. Other threads are as before."
)
QUIET_ALREADY: Final = "I'm quiet in this thread already. `!join` lets me take part again."
JOINED: Final = "I take part in this thread again."
JOINED_ALREADY: Final = "I take part in this thread already. `!quiet` makes me silent."

# History, transcripts ----------------------------------------------------------------------------

HISTORY_TITLE: Final = "{handle}, {title}"
HISTORY_EMPTY: Final = "{handle} has not been asked anything yet."
HISTORY_UNAVAILABLE: Final = (
    "{handle} was asked {turns} before I began to keep a history; there is nothing to show."
)
HISTORY_WHO: Final = "{number}. {name}, {age}"
HISTORY_EARLIER: Final = "‹ Earlier"
HISTORY_LATER: Final = "Later ›"
NO_ANSWER: Final = "(no answer)"
EXPORT_DONE: Final = "The transcript of {handle} with {turns} is in our direct messages."
EXPORT_COMMENT: Final = "The transcript of {handle} that you asked for."
EXPORT_OMITTED: Final = " It was too long for one file: the oldest {turns} are not in it."
TRANSCRIPT_SESSION: Final = "Session"
TRANSCRIPT_ROLE: Final = "Role"
TRANSCRIPT_OWNER: Final = "Owner"
TRANSCRIPT_CREATED: Final = "Begun"
TRANSCRIPT_TURNS: Final = "Turns"
TRANSCRIPT_TOKENS: Final = "Tokens: {input} in, {output} out"
TRANSCRIPT_COST: Final = "{input} tokens in, {output} out"
TRANSCRIPT_OMITTED: Final = "Left out: the oldest {turns}"

# A side question ---------------------------------------------------------------------------------

ASK_NOTHING: Final = "There is no question yet. It goes `ask <question>`."
ASK_TOO_LONG: Final = "A side question has {most} characters at most; this one has {length}."
ASK_ONE_AT_A_TIME: Final = "I'm still at your last side question. One at a time, please."
ASK_PAUSED: Final = (
    "I'm paused just now, so I don't take side questions. Questions in a thread wait until I go on."
)
ASK_TITLE: Final = "Asked on the side"
ASK_ANSWERED: Final = "“{question}”\n\n{answer}"
ASK_CLIPPED: Final = "The answer was longer; this is its beginning."
ASK_SMALL: Final = "This does not enter the thread's memory."
ASK_SMALL_ALONE: Final = "Asked without any thread; nobody remembers it."
ASK_EMPTY: Final = "The model gave an empty answer. Please ask again, or put it another way."

# Deleting ----------------------------------------------------------------------------------------

DELETED: Final = "{handle} is gone for good, and {size} are free again."
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
    "thread": "What was used in this thread {period}.",
    "me": "What you used {period}.",
    "channel": "What was used in this channel {period}.",
    "model": "What you used {period}, by model.",
}
USAGE_OF_ALL: Final = "What everybody used {period}, by model."
USAGE_NAMES: Final = {"thread": "This thread", "me": "You", "channel": "This channel"}
USAGE_ROW: Final = "{turns}, {input} tokens in, {output} out"
USAGE_NOTHING: Final = "Nothing."
USAGE_NO_THREAD: Final = "There is no thread here. Write `!usage by thread` in one."
USAGE_NO_CHANNEL: Final = "There is no channel here. Ask for this in one."
