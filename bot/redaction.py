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

TAKEN_OUT: Final = "[secret]"

SHORTEST: Final = 8
"""Shorter values are words: taking them out would spoil what people write and hide nothing."""
MOST_BETWEEN: Final = 8
"""So many characters may stand between two letters of a value; more of them nobody passes over."""

_BETWEEN: Final = (
    r"[\s`*_~\\\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""What is passed over: space, marks of Markdown, and what is not seen at all."""
_PASSED_OVER: Final = re.compile(f"{_BETWEEN}+")
_TOO_MUCH: Final = re.compile(f"{_BETWEEN}{{{MOST_BETWEEN + 1}}}")


class Redaction:
    """Knows the values that may be shown nowhere."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        kept = (secret for secret in secrets if len(secret) >= SHORTEST)
        self._secrets = sorted(kept, key=len, reverse=True)
        letters = (_PASSED_OVER.sub("", secret) for secret in self._secrets)
        # Where nearly nothing is left of a value, it is only looked for as it is.
        self._letters = [each for each in letters if len(each) >= SHORTEST]
        looked_for = [*map(re.escape, self._secrets), *map(_loosely, self._letters)]
        self._found = re.compile("|".join(looked_for) or r"(?!)")
        firsts = {re.escape(each[0]) for each in (*self._secrets, *self._letters)}
        self._first = re.compile("|".join(firsts) or r"(?!)")
        longest = max(map(len, self._secrets), default=0)
        self._reach = longest * (1 + MOST_BETWEEN)

    def __call__(self, text: str) -> str:
        """`text` without them. Takes as long as the text is, whatever stands in it."""
        return self._found.sub(TAKEN_OUT, text)

    def begun(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of one of them."""
        tail = text[max(0, len(text) - self._reach) :]
        for first in self._first.finditer(tail):
            if self._begins(tail[first.start() :]):
                return len(tail) - first.start()
        return 0

    def _begins(self, text: str) -> bool:
        if any(secret.startswith(text) for secret in self._secrets):
            return True
        letters = _PASSED_OVER.sub("", text)
        known = any(each.startswith(letters) for each in self._letters)
        return known and _TOO_MUCH.search(text) is None


def _loosely(letters: str) -> str:
    """A pattern for these letters, with what is passed over between them. It never goes back: what
    is passed over is no letter."""
    return f"{_BETWEEN}{{0,{MOST_BETWEEN}}}".join(map(re.escape, letters))


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
