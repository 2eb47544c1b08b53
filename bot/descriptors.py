"""How many files and connections the system lets the process have open, and how many it needs."""

from __future__ import annotations

import sys
from typing import Final

from bot.errors import TooFewDescriptors

NEEDED: Final = 256
"""128 connections of Slack and 32 of operators at most (over HTTP), their reserve, and some 60 for
Slack's Web API, the database and the runtime; the rest is to spare."""

_TOO_FEW: Final = (
    "the system lets it have {limit} files and connections open, and it needs {needed}. Start it "
    "with more: `ulimit -n 1024` in a shell, `LimitNOFILE=1024` for systemd, "
    "`--ulimit nofile=1024` for Docker."
)


def check_descriptors() -> None:
    """Raises `TooFewDescriptors` where there are fewer than the program needs."""
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < NEEDED:
        raise TooFewDescriptors(_TOO_FEW.format(limit=limit, needed=NEEDED))
