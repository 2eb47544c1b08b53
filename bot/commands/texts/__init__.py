"""Defines the texts that several commands share, in plain friendly English."""

from __future__ import annotations

from typing import Final

# Refusals ----------------------------------------------------------------------------------------

NO_SUCH_SESSION: Final = "I can't find that session. `!sessions` lists yours."
NOT_YOURS: Final = "Only the owner of this session or an admin can use `{command}` here."
NOT_PARTICIPANT: Final = (
    "Post in this thread first, then you can use `{command}` here. Commands don't count as posts."
)
ADMINS_ONLY: Final = "Only Threadpilot admins can do that."
OLD_BUTTON: Final = "This button has expired."
ONLY_IN_THREADS: Final = "`{command}` works in a thread. Open one and send `!{command}`."
TOOK_TOO_LONG: Final = "That took too long, so I stopped. Please check how far it got."
TOO_MANY: Final = "I'm still busy with your earlier commands. Please try again in a minute."
RESTARTED: Final = (
    "I was restarted during your `{command}`. Please check if it was done, and send it again if "
    "not."
)
