"""Defines the texts of retry, rewind, fork and compare, in plain friendly English."""

from __future__ import annotations

from typing import Final

# Retry --------------------------------------------------------------------------------------------

NOTHING_TO_REPEAT: Final = "There's no reply in this thread's session to retry."
NOT_FINISHED: Final = "That message has no reply yet."
OTHER_SESSION: Final = (
    "This thread now uses another session, which doesn't know that reply. `!resume` restores a "
    "previous one."
)
NOT_A_COMPARISON: Final = "A comparison can't be retried. Please start a new one."
UNKNOWN_MODEL: Final = "I don't know a model called “{name}”. Available: {models}."
NO_MODELS: Final = "none right now"
RETRY: Final = "I'll retry that."
RETRY_WITH: Final = "I'll retry that with {model}."
RETRY_PENDING: Final = "I'm already retrying that."
RETRY_CONFIRM: Final = (
    "Retrying this makes me forget what came after it ({count} more). The messages stay in the "
    "thread."
)
RETRY_ANYWAY: Final = "Retry"
RETRY_TRUNCATES: Final = (
    "Retrying this would make me forget what came after it ({count} more). Only the owner of this "
    "session or an admin can do that."
)
FULL: Final = "Sorry, my queue is full right now. Please try again later."

# Rewind -------------------------------------------------------------------------------------------

BUSY: Final = "I'm replying in this thread right now. Stop me first, or wait."
NOTHING_BEFORE: Final = "There's nothing in this thread's session to rewind."
REWOUND: Final = (
    "{name} rewound this session. I've forgotten “{question}”{others}; the messages stay here."
)
AND_OTHERS: Final = " and the {count} after it"
AND_ONE: Final = " and the one after it"

# Fork ---------------------------------------------------------------------------------------------

NOTHING_TO_FORK: Final = "This session is empty, so there's nothing to fork."
STILL_BLIND: Final = (
    "That's an answer of a comparison that isn't kept yet. Use the buttons under the comparison."
)
ONE_FORK_AT_A_TIME: Final = "I'm already making a fork for you. Please try again when it's ready."
FORKS_USED_UP: Final = (
    "You've made {count} forks in the last hour. Please continue in one of them, or wait a while."
)
FORK_TITLE: Final = "Fork of {title}"
UNTITLED: Final = "a session"
FORK_ROOT: Final = "{name} forked another thread here. I remember what was said there."
FORK_ROOT_UPTO: Final = (
    "{name} forked another thread here. I remember everything up to “{question}”."
)
FORK_ORIGIN: Final = "Original thread"
FORK_HINT: Final = "Post in this thread to continue. The original thread stays as it is."
FORK_HINT_ROLE: Final = (
    "Post `{role}: …` in the new thread to continue. The original thread stays as it is."
)
FORKED: Final = "Here's the fork. It knows everything up to here."
FORKED_UPTO: Final = "Here's the fork. It knows everything up to that reply."

# Compare ------------------------------------------------------------------------------------------

COMPARE_SYNTAX: Final = (
    "Name 2–{most} models and then your question: `compare gpt-a gpt-b what is …?`. Available: "
    "{models}."
)
NO_QUESTION: Final = "What should I ask them? Write your question after the models' names."
ASKS_SEVERAL: Final = "{name} asks {count} models: {question}"
NO_SUCH_COMPARISON: Final = "That comparison is no longer available."
VOTED: Final = "Your vote for {label} counts. You can change it until the models are shown."
VOTED_OPEN: Final = "Your vote for {label} counts."
NO_VOTE: Final = "The models are shown already, so voting is closed."
NOT_IN_CHANNEL: Final = "I'm not in this conversation yet. Invite me, then try again."
REVEALED: Final = "Which model said what:"
CANDIDATE: Final = "{label}: {model}"
COST: Final = "{seconds:.1f} s · {taken:,} tokens in · {given:,} out · {votes}"
NO_VOTES: Final = "no votes"
ONE_VOTE: Final = "1 vote"
VOTES: Final = "{count} votes"
FAILED: Final = "no answer"
KEPT_ALREADY: Final = "An answer of this comparison is kept already."
KEPT: Final = "Continuing with {label} ({model}). I remember everything before it."
KEPT_BEFORE: Final = "The previous session is {handle}: `!resume {handle}` restores it."
GONE: Final = "The session behind that answer no longer exists, so I can't continue with it."
