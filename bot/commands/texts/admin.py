"""What those in charge are told in answer to `admin` orders, in plain friendly English."""

from __future__ import annotations

from typing import Final

# Overview ----------------------------------------------------------------------------------------

TITLE: Final = "In charge"
OVERVIEW: Final = (
    "`admin` goes on with one of these: `cleanup`, `sessions`, `usage`, `users`, `audit`, "
    "`limits`, `pause`, `resume`, `drain`."
)
UNKNOWN: Final = "I don't know `admin {word}`. " + OVERVIEW
TAKES_NO_ARGS: Final = (
    "I have done nothing: `admin {word}` concerns everybody, and nothing goes after it. "
    "Say just `admin {word}`."
)
ACTIVITY: Final = "Turns running: {running}. New messages {state}."
TAKEN: Final = "are taken"
ON_HOLD: Final = "wait until I am told to go on"
SESSIONS: Final = "Sessions"
USAGE: Final = "Usage"
USERS: Final = "People"
AUDIT: Final = "Audit"
LIMITS: Final = "Limits"
CLEANUP: Final = "Clean up"
PAUSE: Final = "Pause"
RESUME: Final = "Go on"
PAGE: Final = "Page {page} of {last}"
NEWER: Final = "‹ Back"
OLDER: Final = "More ›"

# Cleanup -----------------------------------------------------------------------------------------

CLEANUP_TITLE: Final = "Clean up"
FOUND: Final = "{sessions}, {size}. Last used between {oldest} and {newest}."
FOUND_NONE: Final = "No session fits."
FILTER_HELP: Final = (
    "Say which ones are to go: `--older-than 30d` (or `12h`, `2w`), `--channel here`, "
    "`--user @somebody`, `--model name`, `--keep 100` (the newest so many stay), or `--all`."
)
UNREACHABLE: Final = "On disk, but of no thread: {sessions}, {size}. That goes along."
MISSING_ON_DISK: Final = (
    "{sessions} on record whose memory is gone from the disk. The button below takes them off."
)
LOCKS: Final = "{locks} left behind by an engine that was killed: they go along."
IN_USE: Final = "Sessions that somebody is using are left out. Nothing has been deleted yet."
DELETE: Final = "Delete"
DELETE_CONFIRM: Final = (
    "{sessions} will be deleted for good, with all that was asked and answered in them."
)
REMOVE_ORPHANS: Final = "Remove what is left over"
REMOVE_ORPHANS_CONFIRM: Final = (
    "What has lost its other half will be removed for good: {orphans} in all."
)
BUTTON_ONLY: Final = "Deleting needs the button under a preview. Say `admin cleanup {flags}` first."
BEGUN: Final = "I have begun. How it goes is shown in our direct messages."
RUNNING: Final = "A cleanup is under way already. Please wait until it is done, or cancel it."
PROGRESS: Final = "Cleaning up: {deleted} of {total} deleted so far."
CANCEL: Final = "Cancel"
CANCELLING: Final = "I stop after the ones that I am at. What is deleted stays deleted."
NOT_RUNNING: Final = "No cleanup is under way."
DONE: Final = "The cleanup is done."
CANCELLED: Final = "The cleanup was cancelled before its end."
ENDED_EARLY: Final = "The cleanup ended before its end. {trouble} Doing it again does the rest."
INTERRUPTED: Final = (
    "The cleanup was interrupted because I am being stopped. Doing it again does the rest."
)
RESULT: Final = "{deleted} deleted, {size} freed."
RESULT_SKIPPED: Final = "{sessions} left out, because somebody is using them."
RESULT_ORPHANS: Final = "Without its other half, and removed: {orphans}."
RESULT_LOCKS: Final = "{locks} left behind removed."
RESULT_FAILED: Final = "{sessions} could not be deleted."

# Usage and people --------------------------------------------------------------------------------

USAGE_TITLE: Final = "Usage of the last {period}, by {by}"
USAGE_HOW: Final = "`admin usage [day|week|month] [by people|channel|model|thread]`"
USAGE_NONE: Final = "Nobody has asked anything in the last {period}."
USAGE_TOP: Final = "The {count} that used the most."
A_THREAD: Final = "A thread"
ELSEWHERE: Final = "A thread in a place that you don't see"
USERS_TITLE: Final = "People of the last 30 days"
USERS_ORDER: Final = "Who used the most comes first."
USERS_NONE: Final = "Nobody has asked anything in the last 30 days."
USERS_HOW: Final = "`admin users [page]`"
LAST_USE: Final = "last use {age}"
IS_BLOCKED: Final = "blocked"
BLOCK: Final = "Block"
UNBLOCK: Final = "Unblock"
BLOCK_CONFIRM: Final = "{name} will get no more answers until unblocked."

# Limits ------------------------------------------------------------------------------------------

LIMITS_TITLE: Final = "Limits"
LIMITS_HOW: Final = (
    "`admin limits @somebody block`, `unblock`, `20 a day`, `unlimited`, or `default`"
)
DEFAULT_QUOTA: Final = "Everybody may have {limit}."
NO_LIMIT: Final = "as many turns as they like"
A_DAY: Final = "{turns} in 24 hours"
NO_OTHER_QUOTAS: Final = "Nobody is blocked or has a limit of their own."
USE_DEFAULT: Final = "As everybody"
NO_SUCH_USER: Final = "I don't know who `{given}` is. Mention them, or give their member ID."
BLOCKED_NOW: Final = "{name} is blocked and gets no more answers."
UNBLOCKED: Final = "{name} is not blocked any more."
WAS_NOT_BLOCKED: Final = "{name} was not blocked."
QUOTA_NOW: Final = "{name} may have {limit}."
NOT_YOURSELF: Final = "You can't block yourself."

# Audit -------------------------------------------------------------------------------------------

AUDIT_TITLE: Final = "What those in charge did"
AUDIT_NONE: Final = "Nothing has been done yet."
AUDIT_HOW: Final = "`admin audit [page]`"
SYSTEM_ACTOR: Final = "Threadpilot itself"

# Pause and drain ---------------------------------------------------------------------------------

PAUSED: Final = (
    "I take no new turns now; new messages wait. {running} running now may end. "
    "`admin resume` lets me go on."
)
ALREADY_PAUSED: Final = "I take no new turns already. `admin resume` lets me go on."
RESUMED: Final = "I go on: what waited is answered now."
NOT_PAUSED: Final = "I am not paused."
DRAINING: Final = (
    "I take no new turns now and let {running} end. I tell you in our direct messages when "
    "nothing runs any more. A restart lets me go on, or `admin resume`."
)
DRAINED: Final = (
    "Nothing runs any more: I can be stopped now. New messages wait, and are answered after the "
    "restart, or after `admin resume`."
)
NOT_DRAINED: Final = "Something still runs after {minutes} minutes: I have stopped watching."
DRAIN_RESUMED: Final = "I was told to go on, so I have stopped waiting for the end of what runs."
