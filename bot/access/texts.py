"""Defines the texts for users who are not answered, and for messages without a question."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.domain.users import AccessRole

NO_QUESTION = "You called me, but there is no question in your message. What can I do for you?"


ONLY_EMOJI = "I can only see emoji in your message. Please ask me in words."


TOO_LONG = (
    "Your message has {length:,} characters and I take up to {limit:,}. "
    "Please shorten it, or send it in pieces."
)


EXTERNAL_USER = (
    "Sorry, I only answer people of this workspace. Please ask one of them to put your question."
)


UNKNOWN_USER = (
    "I can't find out just now who you are, so I can't answer yet. Please ask again in a minute."
)


GUEST: Final = (
    "Sorry, I don't answer guests of this workspace. Please ask somebody who belongs to it."
)


USER_NOT_ALLOWED: Final = (
    "Sorry, I only answer certain people here. Please ask those who are in charge of me to let "
    "you in."
)


CHANNEL_NOT_ALLOWED: Final = "Sorry, I only answer in certain channels, and this isn't one of them."


NOT_VISIBLE: Final = "That belongs to a place that you can't see."


ADMIN_UNKNOWN: Final = (
    "I can't find out just now whether you are in charge of me, so I don't do that yet. Please try "
    "again in a minute."
)


DENIAL_TEXTS: Final[Mapping[AccessRole, str]] = MappingProxyType(
    {
        AccessRole.GUEST: GUEST,
        AccessRole.EXTERNAL: EXTERNAL_USER,
        AccessRole.USER_NOT_ALLOWED: USER_NOT_ALLOWED,
        AccessRole.CHANNEL_NOT_ALLOWED: CHANNEL_NOT_ALLOWED,
        AccessRole.NO_ACCESS: NOT_VISIBLE,
        AccessRole.ADMIN_UNKNOWN: ADMIN_UNKNOWN,
    }
)


BOT_LOOP: Final = (
    "Bots have asked me several times in a row here. I stop answering them until a person writes "
    "in this thread."
)


STOP_YOUR_OWN: Final = (
    "Guests and people of other workspaces can only stop what they have asked me themselves."
)


STOP_UNSURE: Final = (
    "I can't find out just now whether you may stop this, so I go on. Please try again in a moment."
)
