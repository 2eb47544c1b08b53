"""Which messages are not answered, and the one sentence that their authors get instead."""

from __future__ import annotations

import re
import unicodedata

from bot.domain.messages import Message

NO_QUESTION = "You called me, but there is no question in your message. What can I do for you?"
ONLY_EMOJI = "I can only see emoji in your message. Please ask me in words."
TOO_LONG = (
    "Your message has {length:,} characters and I take up to {limit:,}. "
    "Please shorten it, or send it in pieces."
)
OUTSIDER = (
    "Sorry, I only answer people of this workspace. Please ask one of them to put your question."
)
UNKNOWN = (
    "I can't find out just now who you are, so I can't answer yet. Please ask again in a minute."
)


def refusal(message: Message, *, max_chars: int) -> str:
    """The sentence for a message that is not answered; empty when it is."""
    if not message.text:
        return NO_QUESTION
    if len(message.text) > max_chars:
        return TOO_LONG.format(length=len(message.text), limit=max_chars)
    if only_emoji(message.text):
        return ONLY_EMOJI
    return ""


_EMOJI_NAME = re.compile(r":[a-z0-9_+'-]+(?:::skin-tone-[2-6])?:", re.IGNORECASE)
_SKIN_TONES = frozenset("\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
_JOINING = ("Cf", "Mn", "Me")
"""What stands beside a symbol and is none by itself."""


def only_emoji(text: str) -> bool:
    """Whether there is nothing but emoji, as `:names:` or as characters, in a message."""
    rest, names = _EMOJI_NAME.subn("", text)
    drawn = [character for character in rest if not character.isspace()]
    kinds = [("So" if c in _SKIN_TONES else unicodedata.category(c)) for c in drawn]
    return bool(names or "So" in kinds) and all(kind in ("So", *_JOINING) for kind in kinds)
