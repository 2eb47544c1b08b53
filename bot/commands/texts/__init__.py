"""Every text that people are told in answer to an order, in plain friendly English."""

from __future__ import annotations

from typing import Final

# Why not -----------------------------------------------------------------------------------------

NO_SUCH_SESSION: Final = "I know no session of that name that you may see. `sessions` lists yours."
NOT_YOURS: Final = (
    "Only the person whose session this is, or somebody in charge of me, can `{command}` here."
)
NOT_PARTICIPANT: Final = "Only those who have written in this thread can `{command}` here."
ADMINS_ONLY: Final = "Only those who are in charge of me can do that."
OUTDATED: Final = "This is from an earlier time and does nothing any more."
ONLY_IN_THREADS: Final = "That goes in a thread. Write `!{command}` there."
TOOK_TOO_LONG: Final = (
    "That takes longer than I may spend on it, so I stopped. Please look how far it got."
)
TOO_MANY: Final = (
    "You've given me a lot to do at once, and I'm still busy with it. Please say that again in a "
    "minute."
)
RESTARTED: Final = (
    "I was restarted while I was busy with your `{command}`. Please look whether it was done, "
    "and say it again if not."
)
