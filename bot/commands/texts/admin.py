"""Defines the texts of the `admin` command, in plain friendly English."""

from __future__ import annotations

from typing import Final

# Overview ----------------------------------------------------------------------------------------

TITLE: Final = "Admin"
OVERVIEW: Final = (
    "`admin` takes one of these: `cleanup`, `sessions`, `usage`, `users`, `audit`, `limits`, "
    "`pause`, `resume`, `drain`."
)
UNKNOWN: Final = "I don't know `admin {word}`. " + OVERVIEW
TAKES_NO_ARGS: Final = (
    "Nothing done: `admin {word}` affects everyone and takes nothing else. Send just `admin "
    "{word}`."
)
ACTIVITY: Final = "Turns running: {running}. New messages {state}."
TAKEN: Final = "are answered"
ON_HOLD: Final = "are queued until you resume"
SESSIONS: Final = "Sessions"
USAGE: Final = "Usage"
USERS: Final = "Users"
AUDIT: Final = "Audit"
LIMITS: Final = "Limits"
CLEANUP: Final = "Clean up"
PAUSE: Final = "Pause"
RESUME: Final = "Resume"
PAGE: Final = "Page {page} of {last}"
NEWER: Final = "‹ Back"
OLDER: Final = "More ›"

# Cleanup -----------------------------------------------------------------------------------------

CLEANUP_TITLE: Final = "Clean up"
FOUND: Final = "{sessions}, {size}. Last used between {oldest} and {newest}."
FOUND_NONE: Final = "No matching sessions."
FILTER_HELP: Final = (
    "Choose the sessions: `--older-than 30d` (or `12h`, `2w`), `--channel here`, `--user @name`, "
    "`--model name`, `--keep 100` (keeps the newest 100), or `--all`."
)
UNREACHABLE: Final = (
    "Leftover data on disk, of no thread: {sessions}, {size}. It's removed as well."
)
MISSING_ON_DISK: Final = (
    "Leftover records without data on disk: {sessions}. The button below removes them."
)
LOCKS: Final = "Left behind by a killed runtime: {locks}. Removed as well."
IN_USE: Final = "Sessions in use are left out. Nothing has been deleted yet."
DELETE: Final = "Delete"
DELETE_CONFIRM: Final = (
    "{sessions} will be deleted permanently, with their memory and history. Slack messages stay."
)
REMOVE_ORPHANS: Final = "Remove leftovers"
REMOVE_ORPHANS_CONFIRM: Final = "Leftovers will be removed permanently: {orphans} in all."
BUTTON_ONLY: Final = (
    "Deleting needs the button under a preview. Send `admin cleanup {flags}` first."
)
BEGUN: Final = "Cleanup started. I'll post progress in our direct messages."
RUNNING: Final = "A cleanup is running already. Please wait until it's done, or cancel it."
PROGRESS: Final = "Cleaning up: {deleted} of {total} deleted so far."
CANCEL: Final = "Cancel"
CANCELLING: Final = "I'll stop after the sessions in progress. What is deleted stays deleted."
NOT_RUNNING: Final = "No cleanup is running."
DONE: Final = "Cleanup finished."
CANCELLED: Final = "Cleanup cancelled."
ENDED_EARLY: Final = "The cleanup stopped early. {trouble} Run it again to finish the rest."
INTERRUPTED: Final = (
    "The cleanup was interrupted because I'm shutting down. Run it again to finish the rest."
)
RESULT: Final = "{deleted} deleted, {size} freed."
RESULT_SKIPPED: Final = "{sessions} skipped, because they're in use."
RESULT_ORPHANS: Final = "Leftovers removed: {orphans}."
RESULT_LOCKS: Final = "Left behind by a killed runtime and removed: {locks}."
RESULT_FAILED: Final = "{sessions} could not be deleted."

# Usage and users ---------------------------------------------------------------------------------

USAGE_TITLE: Final = "Usage of the last {period}, by {by}"
USAGE_HOW: Final = (
    "For example `admin usage month by model`; also by `people`, `channel` or `thread`."
)
USAGE_NONE: Final = "No usage in the last {period}."
USAGE_TOP: Final = "Top {count}."
A_THREAD: Final = "A thread"
ELSEWHERE: Final = "A thread in a channel that you can't see"
USERS_TITLE: Final = "Users of the last 30 days"
USERS_ORDER: Final = "Most usage first."
USERS_NONE: Final = "No usage in the last 30 days."
USERS_HOW: Final = "Try `admin users`, or `admin users 2` for the second page."
LAST_USE: Final = "last used {age}"
IS_BLOCKED: Final = "blocked"
BLOCK: Final = "Block"
UNBLOCK: Final = "Unblock"
BLOCK_CONFIRM: Final = "{name} will get no replies until unblocked."

# Limits ------------------------------------------------------------------------------------------

LIMITS_TITLE: Final = "Limits"
LIMITS_HOW: Final = "`admin limits @name block`, `unblock`, `20 a day`, `unlimited`, or `default`"
DEFAULT_QUOTA: Final = "Default: {limit}."
NO_LIMIT: Final = "no limit"
A_DAY: Final = "{turns} in 24 hours"
NO_OTHER_QUOTAS: Final = "No user is blocked or has their own limit."
USE_DEFAULT: Final = "Use default"
NO_SUCH_USER: Final = "I don't know `{given}`. Mention the user, or give their member ID."
BLOCKED_NOW: Final = "{name} is blocked and gets no more replies."
UNBLOCKED: Final = "{name} is no longer blocked."
WAS_NOT_BLOCKED: Final = "{name} was not blocked."
QUOTA_NOW: Final = "Limit of {name}: {limit}."
NOT_YOURSELF: Final = "You can't block yourself."

# Audit -------------------------------------------------------------------------------------------

AUDIT_TITLE: Final = "Audit log"
AUDIT_NONE: Final = "No entries yet."
AUDIT_HOW: Final = "Try `admin audit`, or `admin audit 2` for the second page."
SYSTEM_ACTOR: Final = "Threadpilot"

# Pause and drain ---------------------------------------------------------------------------------

PAUSED: Final = (
    "Paused. New messages are queued. Still running: {running}. `admin resume` continues."
)
ALREADY_PAUSED: Final = "Already paused. `admin resume` continues."
RESUMED: Final = "Resumed. Queued messages are answered now."
NOT_PAUSED: Final = "I'm not paused."
DRAINING: Final = (
    "Draining: new messages are queued. Still running: {running}. I'll send you a direct message "
    "when all replies have finished. A restart or `admin resume` continues."
)
DRAINED: Final = (
    "All replies have finished. It's safe to stop Threadpilot. Queued messages are answered after "
    "the restart, or after `admin resume`."
)
NOT_DRAINED: Final = (
    "Some replies are still running after {minutes} minutes, so I've stopped watching."
)
DRAIN_RESUMED: Final = "I've been resumed, so I've stopped watching the drain."
