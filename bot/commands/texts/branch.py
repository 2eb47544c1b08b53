"""What people are told about answering anew, going back, forking and comparing."""

from __future__ import annotations

from typing import Final

# Answering anew -----------------------------------------------------------------------------------

NOTHING_TO_REPEAT: Final = "There is no answer in this thread's session that I could give anew."
NOT_FINISHED: Final = "That message has no answer yet."
OTHER_SESSION: Final = (
    "This thread goes on with another session, which does not know that answer. "
    "`!resume` takes up an earlier one."
)
NOT_A_COMPARISON: Final = "A comparison can't be answered anew. Ask for another one."
UNKNOWN_MODEL: Final = "I know no model called “{name}”. These I know: {models}."
NO_MODELS: Final = "none just now"
RETRY: Final = "I'll answer that anew."
RETRY_WITH: Final = "I'll answer that anew with {model}."
RETRY_PENDING: Final = "I'm about to answer that anew."
RETRY_CONFIRM: Final = (
    "To answer that anew I have to forget what came after it ({count} more). The messages stay."
)
RETRY_ANYWAY: Final = "Answer anew"
RETRY_TRUNCATES: Final = (
    "To answer that anew I would have to forget what came after it ({count} more). Only the person "
    "whose session this is, or somebody in charge of me, can have me do that."
)
FULL: Final = "Sorry, too many messages are waiting for me just now. Please try again later."

# Going back ---------------------------------------------------------------------------------------

BUSY: Final = "I'm answering in this thread just now. Stop me first, or wait."
NOTHING_BEFORE: Final = "There is nothing in this thread's session to go back to."
REWOUND: Final = (
    "{name} had me go back: I no longer know “{question}”{others}. The messages stay in the thread."
)
AND_OTHERS: Final = " and the {count} after it"
AND_ONE: Final = " and the one after it"

# Forking ------------------------------------------------------------------------------------------

NOTHING_TO_FORK: Final = "There is nothing in this session yet that a fork could know."
STILL_BLIND: Final = (
    "That is an answer of a comparison that nobody has gone on with yet. Use the buttons under the "
    "comparison."
)
ONE_FORK_AT_A_TIME: Final = (
    "I'm making a fork for you already. Please say it again when that one is there."
)
FORKS_USED_UP: Final = (
    "You've had {count} forks within the last hour. Please go on in one of them, or wait a while."
)
FORK_TITLE: Final = "Fork of {title}"
UNTITLED: Final = "a session"
FORK_ROOT: Final = "{name} goes on here from another thread: I know what was said there."
FORK_ROOT_UPTO: Final = "{name} goes on here from another thread: I know it up to “{question}”."
FORK_ORIGIN: Final = "The thread that it comes from"
FORK_HINT: Final = "Write in this thread to go on. The other thread stays as it is."
FORK_HINT_ROLE: Final = (
    "Write `{role}: …` in the new thread to go on with it. The other thread stays as it is."
)
FORKED: Final = "Here is the new thread. It knows everything up to here."
FORKED_UPTO: Final = "Here is the new thread. It knows everything up to that answer."

# Comparing ----------------------------------------------------------------------------------------

COMPARE_SYNTAX: Final = (
    "Name two to {most} models and then your question: `compare gpt-a gpt-b what is …?`. "
    "These I know: {models}."
)
NO_QUESTION: Final = "Which question shall I put to them? Write it after the models' names."
ASKS_SEVERAL: Final = "{name} asks {count} models: {question}"
NO_SUCH_COMPARISON: Final = "That comparison is over: there is nothing to vote on any more."
VOTED: Final = "Your vote for {label} counts. You can change it until the models are shown."
VOTED_OPEN: Final = "Your vote for {label} counts."
NO_VOTE: Final = "The models are shown already, so no more votes are taken."
NOT_IN_CHANNEL: Final = "I'm not in this conversation yet. Invite me, then ask again."
REVEALED: Final = "Which model said what:"
CANDIDATE: Final = "{label}: {model}"
COST: Final = "{seconds:.1f} s · {taken:,} tokens in · {given:,} out · {votes}"
NO_VOTES: Final = "no votes"
ONE_VOTE: Final = "1 vote"
VOTES: Final = "{count} votes"
FAILED: Final = "no answer"
KEPT_ALREADY: Final = "An answer of this comparison was chosen already."
KEPT: Final = "We go on with answer {label} of {model}. What was before it is known as well."
KEPT_BEFORE: Final = (
    "The session that this thread had is {handle} and can be taken back with `!resume {handle}`."
)
GONE: Final = "The session behind that answer is gone, so it can't be gone on with."
