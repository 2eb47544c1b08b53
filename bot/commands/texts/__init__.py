"""Every text that people are told in answer to an order, in plain friendly English."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.access import refusals
from bot.domain.users import Standing

# Why not -----------------------------------------------------------------------------------------

GUEST: Final = (
    "Sorry, I don't answer guests of this workspace. Please ask somebody who belongs to it."
)
UNLISTED: Final = (
    "Sorry, I only answer certain people here. Please ask those who are in charge of me to let "
    "you in."
)
ELSEWHERE: Final = "Sorry, I only answer in certain channels, and this isn't one of them."
NOT_SEEN: Final = "That belongs to a place that you can't see."
UNSURE: Final = (
    "I can't find out just now whether you are in charge of me, so I don't do that yet. Please try "
    "again in a minute."
)
KEPT_OUT: Final[Mapping[Standing, str]] = MappingProxyType(
    {
        Standing.GUEST: GUEST,
        Standing.EXTERNAL: refusals.OUTSIDER,
        Standing.UNLISTED: UNLISTED,
        Standing.ELSEWHERE: ELSEWHERE,
        Standing.STRANGER: NOT_SEEN,
        Standing.UNSURE: UNSURE,
    }
)
BOTS_TALK: Final = (
    "Bots have asked me several times in a row here. I stop answering them until a person writes "
    "in this thread."
)
NO_SUCH_SESSION: Final = "I know no session of that name that you may see. `sessions` lists yours."
NOT_YOURS: Final = (
    "Only the person whose session this is, or somebody in charge of me, can `{verb}` here."
)
NOT_TAKING_PART: Final = "Only those who have written in this thread can `{verb}` here."
STOP_YOUR_OWN: Final = (
    "Guests and people of other workspaces can only stop what they have asked me themselves."
)
STOP_UNSURE: Final = (
    "I can't find out just now whether you may stop this, so I go on. Please try again in a moment."
)
ADMINS_ONLY: Final = "Only those who are in charge of me can do that."
NO_LONGER: Final = "This is from an earlier time and does nothing any more."
ONLY_IN_THREADS: Final = "That goes in a thread. Write `!{verb}` there."
TOOK_TOO_LONG: Final = (
    "That takes longer than I may spend on it, so I stopped. Please look how far it got."
)
TOO_MANY: Final = (
    "You've given me a lot to do at once, and I'm still busy with it. Please say that again in a "
    "minute."
)
RESTARTED: Final = (
    "I was restarted while I was busy with your `{verb}`. Please look whether it was done, "
    "and say it again if not."
)
