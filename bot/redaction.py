"""Removes the bot's own secrets from questions, answers and stored text.

The bot gives its tokens to no model. But a user may paste one into Slack, or a file in a role's
folder may hold one. All text to and from a session, and the text of messages, is searched for
these values. They are replaced by `[secret]` and never stored. A value is also found with invisible
or ignorable characters between its letters. In other forms, such as reversed or in Base64, it is
not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

REPLACEMENT: Final = "[secret]"

MIN_SECRET_CHARS: Final = 8
"""Minimum length of a secret, in characters. Shorter values are ordinary words: removing them would
spoil messages and hide nothing."""
MAX_GAP_CHARS: Final = 8
"""Maximum number of ignored characters between two letters of a value; a reader notices more."""

_IGNORED_CHAR: Final = (
    r"[\s`*_~\\\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Ignored characters: white space, Markdown markers and invisible characters."""
_IGNORED_CHARS: Final = re.compile(f"{_IGNORED_CHAR}+")
_GAP_TOO_LONG: Final = re.compile(f"{_IGNORED_CHAR}{{{MAX_GAP_CHARS + 1}}}")


class SecretRedactor:
    """Replaces secret values in a text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        kept = (secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS)
        self._secrets = sorted(kept, key=len, reverse=True)
        letters = (_IGNORED_CHARS.sub("", secret) for secret in self._secrets)
        # A value that consists mostly of ignored characters is only matched as it is.
        self._letters = [each for each in letters if len(each) >= MIN_SECRET_CHARS]
        patterns = [*map(re.escape, self._secrets), *map(_gapped_pattern, self._letters)]
        self._pattern = re.compile("|".join(patterns) or r"(?!)")
        first_chars = {re.escape(each[0]) for each in (*self._secrets, *self._letters)}
        self._first_char = re.compile("|".join(first_chars) or r"(?!)")
        longest = max(map(len, self._secrets), default=0)
        self._max_match_chars = longest * (1 + MAX_GAP_CHARS)

    def __call__(self, text: str) -> str:
        """`text` without the secrets. The time is linear in its length, for any content."""
        return self._pattern.sub(REPLACEMENT, text)

    def partial_match_length(self, text: str) -> int:
        """The number of characters at the end of `text` that may begin a secret; 0 if none may."""
        tail = text[max(0, len(text) - self._max_match_chars) :]
        for first in self._first_char.finditer(tail):
            if self._may_start_secret(tail[first.start() :]):
                return len(tail) - first.start()
        return 0

    def _may_start_secret(self, text: str) -> bool:
        if any(secret.startswith(text) for secret in self._secrets):
            return True
        letters = _IGNORED_CHARS.sub("", text)
        known = any(each.startswith(letters) for each in self._letters)
        return known and _GAP_TOO_LONG.search(text) is None


def _gapped_pattern(letters: str) -> str:
    """A pattern for these letters with ignored characters between them. It never backtracks: an
    ignored character is not a letter."""
    return f"{_IGNORED_CHAR}{{0,{MAX_GAP_CHARS}}}".join(map(re.escape, letters))


class StreamRedactor:
    """Redacts text that arrives in chunks; a secret may be split between chunks."""

    def __init__(self, redactor: SecretRedactor) -> None:
        self._redactor = redactor
        self._pending = ""

    def redact_chunk(self, text: str) -> str:
        """The redacted text that is final and was not returned yet, or an empty string."""
        clean = self._redactor(self._pending + text)
        end = len(clean) - self._redactor.partial_match_length(clean)
        self._pending = clean[end:]
        return clean[:end]

    def redact_rest(self) -> str:
        """The redacted rest, or an empty string; the next chunk begins a new text."""
        rest, self._pending = self._pending, ""
        return rest
