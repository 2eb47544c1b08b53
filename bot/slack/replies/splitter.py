"""Splits a growing answer into parts that each fit a Slack message.

Each cut is decided while the answer grows, since text in a stream cannot be changed. So near the
limit the text is held back for a moment, until a good place for the cut is known. A part closes an
open code fence at its end, and the next part opens it again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.slack.formatting.sanitize import WORD_JOINER

PART_LIMIT: Final = 11_000
"""Maximum number of characters of a part, fence opener and closer included. Slack takes 12,000 of
`markdown_text` (docs.slack.dev, chat.postMessage). The rest is room for a note and for how Slack
counts."""

MIN_PART_LIMIT: Final = 600
"""Minimum value of a limit. Below it, openers and closers would leave no room for text."""

_CUT_ZONE_CHARS: Final = 800
"""Number of characters at the end of a part in which a place to cut is searched."""

_SENTENCE_END: Final = re.compile(r"[.!?…][\"')\]*_]*\s+|[。！？]")
_SPACE: Final = re.compile(r"\s+")
_NO_BREAK_BEFORE: Final = frozenset("\u200d\ufe0e\ufe0f\u2060@")
"""Characters that must not begin a part. They belong to the character before them; and an `@` that
is harmless in a mail address could ping at the head of a message."""
_HARD_CUT_ZONE_CHARS: Final = 64


@dataclass(slots=True)
class PartText:
    """The text of one message of the answer."""

    fence_opener: str
    """The line that opens again the fence that the part before had to close; often empty."""
    body: str = ""
    """The answer's own text. Its first character cannot ping."""
    is_final: bool = False
    """Whether no more text will be added."""
    note: str = ""
    """The bot's own note at the end."""
    action_blocks: Sequence[Mapping[str, object]] = ()
    """The blocks below the text."""

    @property
    def text(self) -> str:
        """The text so far: a prefix of `closed_text` while there is no note."""
        return self.fence_opener + self.body

    @property
    def closed_text(self) -> str:
        """The text as a complete message: with an open fence closed, and the note."""
        text = self.text
        fence = find_open_fence(text)
        if fence is not None:
            text += fence.closer(text)
        if not self.note:
            return text
        return f"{text}\n\n{self.note}" if text.strip() else self.note

    @property
    def is_blank(self) -> bool:
        """True if there is nothing to see: Slack refuses such a message."""
        return not (self.body.strip() or self.note)


class Splitter:
    """Splits a growing text. What a part has shown does not change."""

    def __init__(self, limit: int = PART_LIMIT) -> None:
        if limit < MIN_PART_LIMIT:
            raise ValueError(f"a part needs {MIN_PART_LIMIT} characters, not {limit}")
        self._capacity = limit - MAX_CLOSER_CHARS
        self._zone = min(_CUT_ZONE_CHARS, limit // 4)
        self._pending = ""
        self.parts: list[PartText] = []

    def add_text(self, text: str) -> None:
        """Add text to the end."""
        self._pending += text
        position = 0
        while position < len(self._pending):
            part = self._open_part()
            if part is not self.parts[0] and not part.body and self._pending[position] == "@":
                # The characters that made it harmless (of a mail address, say) are in the part
                # before.
                part.body, position = f"@{WORD_JOINER}", position + 1
                continue
            room = self._capacity - len(part.text)
            taken = room - self._zone
            if taken <= 0:
                cut = _find_cut(self._pending[position : position + room + 1], room)
                if cut is None:
                    break
                taken, part.is_final = cut, True
            part.body += self._pending[position : position + taken]
            position += taken
        self._pending = self._pending[position:]

    def end_part(self, shown_chars: int) -> None:
        """End the last part before it is full: at the best place after its first `shown_chars`
        characters, which are already shown."""
        if not self.parts or self.parts[-1].is_final:
            return
        part = self.parts[-1]
        start = max(0, shown_chars - len(part.fence_opener))
        unsent = part.body[start:]
        end = len(unsent.rstrip("`~"))
        cut = next((places[-1] for places in _cut_candidates(unsent) if places), end)
        rest, self._pending = unsent[cut:] + self._pending, ""
        part.body = part.body[: start + cut]
        part.is_final = True
        self.add_text(rest)

    def complete(self) -> None:
        """End the text."""
        if self._pending:
            self._open_part().body += self._pending
            self._pending = ""
        if self.parts:
            self.parts[-1].is_final = True

    def _open_part(self) -> PartText:
        """The part that takes the next text."""
        if not self.parts or self.parts[-1].is_final:
            fence = find_open_fence(self.parts[-1].text) if self.parts else None
            self.parts.append(PartText(fence.opener if fence else ""))
        return self.parts[-1]


def _find_cut(window: str, room: int) -> int | None:
    """Where to cut, with `room` characters left; None if that depends on more text.

    The first end of a paragraph is taken at once, all other places only when the room is full.
    """
    paragraph = window.find("\n\n", 0, room)
    if paragraph >= 0:
        return paragraph + 2
    if len(window) <= room:
        return None
    return next(
        (places[-1] for places in _cut_candidates(window[:room]) if places), _hard_cut(window, room)
    )


def _cut_candidates(text: str) -> Iterator[list[int]]:
    """Places to cut, the best kind first: after a paragraph, a line, a sentence, a word."""
    yield [found + 2 for found in _find_all(text, "\n\n")]
    yield [found + 1 for found in _find_all(text, "\n")]
    for pattern in (_SENTENCE_END, _SPACE):
        ends = (found.end() for found in pattern.finditer(text))
        yield [end for end in ends if end < len(text) and not starts_fence(text, end)]


def _find_all(text: str, needle: str) -> Iterator[int]:
    found = text.find(needle)
    while found >= 0:
        yield found
        found = text.find(needle, found + 1)


def _hard_cut(text: str, room: int) -> int:
    """A cut where there is no good place. It still avoids splitting a character or a row of
    marks."""
    candidates = range(room, max(room - _HARD_CUT_ZONE_CHARS, 1), -1)
    return next((at for at in candidates if not _breaks_cluster(text[at - 1], text[at])), room)


def _breaks_cluster(before: str, after: str) -> bool:
    """True if a cut between two characters would split what belongs together."""
    return (
        after in _NO_BREAK_BEFORE
        or before in "<\u200d\u2060"
        or unicodedata.combining(after) != 0
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or ("\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff")
        or (before == after and before in "`~*_")
    )


_MAX_INDENT: Final = 40


_MAX_MARKER: Final = 100


_MAX_INFO: Final = 80


_LIST_MARKERS: Final = r"(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*"


_OPENING: Final = re.compile(
    rf"(?P<indent>[ \t]{{0,{_MAX_INDENT}}}{_LIST_MARKERS})"
    rf"(?P<marker>`{{3,{_MAX_MARKER}}}|~{{3,{_MAX_MARKER}}})(?P<info>.*)",
    re.DOTALL,
)


_FENCE_START: Final = re.compile(r"[ \t]*(?:`{3}|~{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """An open code fence."""

    indent: str
    marker: str
    info: str

    @property
    def opener(self) -> str:
        """The line that opens the same fence at the head of another message."""
        return f"{self.indent}{self.marker}{self.info[:_MAX_INFO]}\n"

    def closer(self, text: str) -> str:
        """The line that closes this fence after `text`."""
        gap = "" if text.endswith("\n") else "\n"
        return f"{gap}{self.indent}{self.marker}"


MAX_CLOSER_CHARS: Final = len("\n") + _MAX_INDENT + _MAX_MARKER
"""Maximum length of a closer in characters."""


def find_open_fence(text: str) -> Fence | None:
    """The fence that is open at the end of `text`, a whole message so far, or None."""
    fence: Fence | None = None
    for line in text.split("\n"):
        if fence is None:
            fence = _parse_opening(line)
        elif _is_closing(line, fence):
            fence = None
    return fence


def starts_fence(text: str, position: int) -> bool:
    """True if a message that began at `position` of `text` would begin with a fence."""
    return _FENCE_START.match(text, position) is not None


def _parse_opening(line: str) -> Fence | None:
    opening = _OPENING.match(line)
    if opening is None:
        return None
    marker, info = opening["marker"], opening["info"].rstrip()
    indent = re.sub(r"[^ \t]", " ", opening["indent"])
    if marker[0] in info or len(indent) > _MAX_INDENT:
        return None  # `code` within a line, or a run that is too long to repeat
    return Fence(indent=indent, marker=marker, info=info)


def _is_closing(line: str, fence: Fence) -> bool:
    run = line.strip()
    return len(run) >= len(fence.marker) and not run.strip(fence.marker[0])
