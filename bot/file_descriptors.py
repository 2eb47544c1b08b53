"""Raises the limit of open files and connections to the number that the bot needs."""

from __future__ import annotations

import sys
from typing import Final

from bot.errors import TooFewDescriptors

MIN_OPEN_FILES: Final = 256
"""Number of descriptors for the bot: at most 128 connections from Slack, 32 from operators, their
reserve, and about 50 for Slack's Web API, the database and the runtime (measured). The rest is a
reserve."""

_RUNTIME_FILES: Final = 50
_FILES_PER_SESSION: Final = 5
"""Number of descriptors for each live session in the runtime, a process with the same limit: it
uses 16, and 4 for each live session (measured, CLI 1.0.102)."""

TOO_FEW: Final = (
    "the system allows a process {limit} open files and connections, but {needed} are needed"
    "{why}. Raise the limit: `ulimit -n {more}` in a shell, `LimitNOFILE={more}` for systemd, "
    "`--ulimit nofile={more}` for Docker."
)
FOR_SESSIONS: Final = " for MAX_SESSIONS={sessions}"


def required_open_files(sessions: int) -> int:
    """Number of open files needed for `sessions` live sessions."""
    return max(MIN_OPEN_FILES, _RUNTIME_FILES + _FILES_PER_SESSION * sessions)


def raise_open_file_limit(sessions: int = 0) -> None:
    """Raise the limit of this process and its children to the number that is needed.

    Raises `TooFewDescriptors` if the system does not allow it.
    """
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    needed = required_open_files(sessions)
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft_limit == resource.RLIM_INFINITY or soft_limit >= needed:
        return
    try:
        # Raise the soft limit, which any process may raise up to the hard limit.
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard_limit))
    except (OSError, ValueError) as error:
        why = FOR_SESSIONS.format(sessions=sessions) if needed > MIN_OPEN_FILES else ""
        more = max(1_024, needed)
        raise TooFewDescriptors(
            TOO_FEW.format(limit=hard_limit, needed=needed, why=why, more=more)
        ) from error
