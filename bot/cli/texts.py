"""What `threadpilot sessions` and `threadpilot audit` say on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ABOUT: Final = "Look after the bot's sessions from a shell, while the bot itself does not run."
HELP_LIST: Final = "list sessions, the last used first"
HELP_RESET: Final = "let a session's thread go on with a fresh one; the old one is kept"
HELP_DELETE: Final = "delete a session for good"
HELP_CLEANUP: Final = "delete many sessions, and what has lost its other half"
HELP_EXPORT: Final = "write a session's transcript"
HELP_OWNER: Final = "only those of one person (a Slack user id)"
HELP_CHANNEL: Final = "only those of one channel (a Slack channel id)"
HELP_FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--older-than": "only those unused for so long: 12h, 30d, 2w",
        "--unused-since": "the same as a time: seconds since 1970",
        "--channel": "only those of one channel (a Slack channel id)",
        "--user": "only those of one person (a Slack user id)",
        "--model": "only those last asked with this model",
        "--keep": "leave out the newest so many",
    }
)
HELP_ALL: Final = "all sessions"
HELP_ORPHANS: Final = "only what has lost its other half"
HELP_DRY_RUN: Final = "only say what would go"
HELP_YES: Final = "do not ask"
HELP_JSON: Final = "the same as --format json"

SETTINGS: Final = "the settings are wrong:"
INTERRUPTED: Final = "interrupted; running the same again does the rest."
NO_DATABASE: Final = "there is no database in {folder}: is DATA_DIR right?"
BAD_PAGE: Final = "give a whole number from 1 upwards"
NO_SUCH_SESSION: Final = "there is no session {given}; `threadpilot sessions list` lists them."
NOT_CURRENT: Final = "{handle} is set aside already: its thread goes on with another session."
IN_USE: Final = (
    "{handle} has a question that is still to be answered: start the bot, let it answer, "
    "stop it, then try again."
)
LISTED: Final = "{sessions}, page {page} of {last}"
UNTITLED: Final = "untitled"
CURRENT: Final = "current"
INACTIVE: Final = "set aside"
RESET: Final = "The thread of {handle} goes on with {fresh}. {handle} is kept."
DELETE_QUESTION: Final = "Delete {handle} ({title}) for good?"
DELETED: Final = "{handle} is deleted, {size} freed."
NOTHING_DELETED: Final = "nothing was deleted."
YES_OR_NO: Final = "[y/N]"
SAY_WHICH: Final = (
    "say which sessions are to go: --older-than 30d, --channel, --user, --model, --keep, "
    "or --all; --orphans for what has lost its other half alone."
)
FOUND: Final = "To be deleted: {sessions}, {size}"
USED: Final = "  last used between {oldest} and {newest}"
UNREACHABLE: Final = "On disk and on no record (deleted as well): {sessions}, {size}"
LOST: Final = "On record and not on disk (taken off with --orphans): {sessions}"
LOCKS: Final = "Left behind by an engine that was killed (removed as well): {locks}"
CLEANUP_QUESTION: Final = "Delete all this for good?"
PROGRESS: Final = "{deleted} of {total} deleted"
RESULT: Final = (
    "{deleted} deleted, {size} freed, {skipped} in use left out, {orphans} orphans, "
    "{locks} locks, {failed} failed"
)
REPEAT: Final = "it ended before its end; running the same again does the rest."
WRITTEN: Final = "written to {file}"

ABOUT_AUDIT: Final = "Look at the record of what those in charge did; the bot may run meanwhile."
HELP_VERIFY: Final = "check that no entry was changed or taken out"
HELP_EXPECT: Final = "a hash that it told earlier, which must still be that of an entry"
BAD_HASH: Final = "give a hash as `threadpilot audit verify` tells it: 64 characters, 0-9 and a-f"
