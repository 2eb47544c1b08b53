"""How many files and connections the system lets a process have open, and how many are needed."""

from __future__ import annotations

import sys
from typing import Final

from bot.errors import TooFewDescriptors

MIN_OPEN_FILES: Final = 256
"""By the bot: 128 connections of Slack and 32 of operators at most, their reserve, and some 50 for
Slack's Web API, the database and the runtime (measured); the rest is to spare."""

_RUNTIME_FILES: Final = 50
_FILES_PER_SESSION: Final = 5
"""By the runtime, a process of its own with the same limit: 16, and 4 for each session that is live
(measured, CLI 1.0.102)."""

TOO_FEW: Final = (
    "the system lets a process have {limit} files and connections open, and {needed} are needed"
    "{why}. Start it with more: `ulimit -n {more}` in a shell, `LimitNOFILE={more}` for systemd, "
    "`--ulimit nofile={more}` for Docker."
)
FOR_SESSIONS: Final = " for MAX_SESSIONS={sessions}"


def required_open_files(sessions: int) -> int:
    """How many are needed for so many live sessions."""
    return max(MIN_OPEN_FILES, _RUNTIME_FILES + _FILES_PER_SESSION * sessions)


def raise_open_file_limit(sessions: int = 0) -> None:
    """See that this process, and those that it starts, may have as many as are needed.

    Raises `TooFewDescriptors` where the system does not allow it.
    """
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    wanted = required_open_files(sessions)
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or limit >= wanted:
        return
    try:
        # Where only the limit that anybody may raise is too low, it is raised.
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    except (OSError, ValueError) as error:
        why = FOR_SESSIONS.format(sessions=sessions) if wanted > MIN_OPEN_FILES else ""
        more = max(1_024, wanted)
        raise TooFewDescriptors(
            TOO_FEW.format(limit=most, needed=wanted, why=why, more=more)
        ) from error
