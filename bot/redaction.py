"""Takes the bot's own secrets out of what is asked, answered and kept.

Nobody tells a model the bot's tokens; but somebody may paste one into Slack, or a role's folder may
hold a file with one. What passes to and from a session, and what people write, is looked through
for those values: they are shown as `[secret]` and kept nowhere. They are found, too, with something
between their letters that a reader does not see or passes over. In any other disguise, spelled
backwards or in Base64, they are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

REPLACEMENT: Final = "[secret]"

MIN_SECRET_CHARS: Final = 8
"""Shorter values are words: taking them out would spoil what people write and hide nothing."""
MAX_GAP_CHARS: Final = 8
"""So many characters may stand between two letters of a value; more of them nobody passes over."""

_IGNORED_CHAR: Final = (
    r"[\s`*_~\\\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""What is passed over: space, marks of Markdown, and what is not seen at all."""
_IGNORED_CHARS: Final = re.compile(f"{_IGNORED_CHAR}+")
_GAP_TOO_LONG: Final = re.compile(f"{_IGNORED_CHAR}{{{MAX_GAP_CHARS + 1}}}")


class SecretRedactor:
    """Knows the values that may be shown nowhere."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        kept = (secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS)
        self._secrets = sorted(kept, key=len, reverse=True)
        letters = (_IGNORED_CHARS.sub("", secret) for secret in self._secrets)
        # Where nearly nothing is left of a value, it is only looked for as it is.
        self._letters = [each for each in letters if len(each) >= MIN_SECRET_CHARS]
        looked_for = [*map(re.escape, self._secrets), *map(_gapped_pattern, self._letters)]
        self._pattern = re.compile("|".join(looked_for) or r"(?!)")
        firsts = {re.escape(each[0]) for each in (*self._secrets, *self._letters)}
        self._first_char = re.compile("|".join(firsts) or r"(?!)")
        longest = max(map(len, self._secrets), default=0)
        self._max_match_chars = longest * (1 + MAX_GAP_CHARS)

    def __call__(self, text: str) -> str:
        """`text` without them. Takes as long as the text is, whatever stands in it."""
        return self._pattern.sub(REPLACEMENT, text)

    def partial_match_length(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of one of them."""
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
    """A pattern for these letters, with what is passed over between them. It never goes back: what
    is passed over is no letter."""
    return f"{_IGNORED_CHAR}{{0,{MAX_GAP_CHARS}}}".join(map(re.escape, letters))


class StreamRedactor:
    """Text that comes in pieces, wherever a secret is cut."""

    def __init__(self, redactor: SecretRedactor) -> None:
        self._redactor = redactor
        self._pending = ""

    def redact_chunk(self, text: str) -> str:
        """What of the text up to here is decided and has not been given out."""
        clean = self._redactor(self._pending + text)
        end = len(clean) - self._redactor.partial_match_length(clean)
        self._pending = clean[end:]
        return clean[:end]

    def redact_rest(self) -> str:
        """The rest; what comes after this is another text."""
        held, self._pending = self._pending, ""
        return held
