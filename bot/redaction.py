"""Takes the bot's own secrets out of what is asked, answered and kept.

Nobody tells a model the bot's tokens; but somebody may paste one into Slack, or a role's folder may
hold a file with one. What passes to and from a session, and what people write, is looked through
for exactly those values: they are shown as `[secret]` and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

TAKEN_OUT: Final = "[secret]"

SHORTEST: Final = 8
"""Shorter values are words: taking them out would spoil what people write and hide nothing."""


class Redaction:
    """Knows the values that may be shown nowhere."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        kept = (secret for secret in secrets if len(secret) >= SHORTEST)
        self._secrets = sorted(kept, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """`text` without them."""
        for secret in self._secrets:
            text = text.replace(secret, TAKEN_OUT)
        return text

    def begun(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of one of them."""
        longest = max((len(secret) - 1 for secret in self._secrets), default=0)
        for length in range(min(longest, len(text)), 0, -1):
            tail = text[-length:]
            if any(secret.startswith(tail) for secret in self._secrets):
                return length
        return 0


class Flow:
    """Text that comes in pieces, wherever a secret is cut."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._held = ""

    def feed(self, text: str) -> str:
        """What of the text up to here is decided and has not been given out."""
        clean = self._redaction(self._held + text)
        end = len(clean) - self._redaction.begun(clean)
        self._held = clean[end:]
        return clean[:end]

    def end(self) -> str:
        """The rest; what comes after this is another text."""
        held, self._held = self._held, ""
        return held
