"""Defines the texts of `threadpilot sessions` and `threadpilot audit`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ABOUT: Final = "Manage the bot's sessions from a shell while the bot is not running."
HELP_LIST: Final = "list sessions, the last used first"
HELP_RESET: Final = "start a fresh session in a session's thread; the old one is kept"
HELP_DELETE: Final = "delete a session permanently"
HELP_CLEANUP: Final = "delete many sessions, and leftover data"
HELP_EXPORT: Final = "write a session's transcript"
HELP_OWNER: Final = "only sessions of one user (a Slack user id)"
HELP_CHANNEL: Final = "only sessions of one channel (a Slack channel id)"
HELP_FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--older-than": "only sessions unused for this long: 12h, 30d, 2w",
        "--unused-since": "only sessions unused since a time in seconds since 1970",
        "--channel": "only sessions of one channel (a Slack channel id)",
        "--user": "only sessions of one user (a Slack user id)",
        "--model": "only sessions that last used this model",
        "--keep": "keep this many of the newest sessions",
    }
)
HELP_ALL: Final = "all sessions"
HELP_ORPHANS: Final = "only leftover data"
HELP_DRY_RUN: Final = "only show what would be deleted"
HELP_YES: Final = "do not ask for confirmation"
HELP_JSON: Final = "the same as --format json"

SETTINGS: Final = "the settings are wrong:"
INTERRUPTED: Final = "interrupted. Run the same command again to do the rest."
NO_DATABASE: Final = "there is no database in {folder}: is DATA_DIR right?"
BAD_PAGE: Final = "give a whole number from 1 upwards"
NO_SUCH_SESSION: Final = "there is no session {given}; `threadpilot sessions list` lists them."
NOT_CURRENT: Final = "{handle} is archived already: its thread has another session."
IN_USE: Final = (
    "{handle} has an unanswered question: start the bot, let it answer, stop it, then try again."
)
LISTED: Final = "{sessions}, page {page} of {last}"
UNTITLED: Final = "untitled"
CURRENT: Final = "active"
INACTIVE: Final = "archived"
RESET: Final = "The thread of {handle} now has the fresh session {fresh}. {handle} is archived."
DELETE_QUESTION: Final = "Delete {handle} ({title}) permanently?"
DELETED: Final = "{handle} is deleted, {size} freed."
NOTHING_DELETED: Final = "nothing was deleted."
YES_OR_NO: Final = "[y/N]"
SAY_WHICH: Final = (
    "say which sessions to delete: --older-than 30d, --channel, --user, --model, --keep, "
    "or --all; --orphans for leftover data only."
)
FOUND: Final = "To be deleted: {sessions}, {size}"
USED: Final = "  last used between {oldest} and {newest}"
UNREACHABLE: Final = "On disk but not in the database (deleted as well): {sessions}, {size}"
LOST: Final = "In the database but not on disk (removed with --orphans): {sessions}"
LOCKS: Final = "Left by a runtime that was killed (removed as well): {locks}"
CLEANUP_QUESTION: Final = "Delete all of this permanently?"
PROGRESS: Final = "{deleted} of {total} deleted"
RESULT: Final = (
    "{deleted} deleted, {size} freed, {skipped} in use skipped, {orphans} orphans, "
    "{locks} locks, {failed} failed"
)
REPEAT: Final = "the cleanup is not complete. Run the same command again to do the rest."
WRITTEN: Final = "written to {file}"

ABOUT_AUDIT: Final = "Check the audit log of admin acts. The bot may be running."
HELP_VERIFY: Final = "check that no entry was changed or removed"
HELP_EXPECT: Final = "a hash from an earlier run, which must still be that of an entry"
BAD_HASH: Final = "give a hash as `threadpilot audit verify` prints it: 64 characters, 0-9 and a-f"
