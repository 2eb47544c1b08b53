"""Defines the texts for users who are not answered, and for messages without a question."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.domain.users import AccessRole

NO_QUESTION: Final = "There's no question in your message. How can I help?"


ONLY_EMOJI: Final = "I can only see emoji in your message. Please ask in words."


TOO_LONG: Final = (
    "Your message has {length:,} characters, and I can take up to {limit:,}. Please shorten it or "
    "split it."
)


EXTERNAL_USER: Final = (
    "I only answer members of this workspace. Please ask one of them to post your question."
)


UNKNOWN_USER: Final = (
    "I can't check who you are right now, so I can't answer yet. Please try again in a minute."
)


GUEST: Final = "I don't answer guests of this workspace. Please ask a member to post your question."


USER_NOT_ALLOWED: Final = "You don't have access to Threadpilot yet. Please ask a bot admin."


CHANNEL_NOT_ALLOWED: Final = "I only answer in certain channels, and this isn't one of them."


NOT_VISIBLE: Final = "That's in a channel that you can't see."


ADMIN_UNKNOWN: Final = (
    "I can't check right now whether you're an admin. Please try again in a minute."
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
    "Bots have asked me several times in a row here. I'll stop answering them until a person posts "
    "in this thread."
)


STOP_YOUR_OWN: Final = (
    "Guests and users of other workspaces can only stop replies to their own messages."
)


STOP_UNSURE: Final = (
    "I can't check right now whether you may stop this, so I'll continue. Please try again in a "
    "moment."
)
