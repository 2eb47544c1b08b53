"""A long answer in parts that each fit a Slack message.

The cut is decided while the answer grows, for what a stream has shown cannot be taken back: near
the limit text is held back for a moment, until a good place for the cut is known. An open code
fence is closed at the end of a part and opened again at the head of the next.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.slack.formatting.sanitize import WORD_JOINER

PART_LIMIT: Final = 11_000
"""Characters to a part, closer and opener included. Slack takes 12,000 of `markdown_text`
(docs.slack.dev, chat.postMessage); the rest is room for a note and for how Slack counts."""

MIN_PART_LIMIT: Final = 600
"""Below this, openers and closers would leave no room for text."""

_CUT_ZONE_CHARS: Final = 800
"""Near the end of a part this many characters are looked at for a place to cut."""

_SENTENCE_END: Final = re.compile(r"[.!?…][\"')\]*_]*\s+|[。！？]")
_SPACE: Final = re.compile(r"\s+")
_NO_BREAK_BEFORE: Final = frozenset("\u200d\ufe0e\ufe0f\u2060@")
"""Characters that must not begin a part: they belong to the one before them; and an `@` that an
e-mail address made harmless could ping at the head of a message."""
_HARD_CUT_ZONE_CHARS: Final = 64


@dataclass(slots=True)
class PartText:
    """What one message of the answer says."""

    fence_opener: str
    """Opens the fence again that the part before had to close; mostly empty."""
    body: str = ""
    """The answer's own text, its first character kept from pinging."""
    is_final: bool = False
    """Whether nothing more comes to it."""
    note: str = ""
    """What the bot itself has to say at the end of it."""
    action_blocks: Sequence[Mapping[str, object]] = ()
    """The blocks that stand under it."""

    @property
    def text(self) -> str:
        """As it grows: a beginning of `closed`, while there is no note."""
        return self.fence_opener + self.body

    @property
    def closed_text(self) -> str:
        """As it may stand alone: with an open fence closed, and the note."""
        text = self.text
        fence = find_open_fence(text)
        if fence is not None:
            text += fence.closer(text)
        if not self.note:
            return text
        return f"{text}\n\n{self.note}" if text.strip() else self.note

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing to see: Slack refuses such a message."""
        return not (self.body.strip() or self.note)


class Splitter:
    """Turns a growing text into parts; what a part's text says, it goes on saying."""

    def __init__(self, limit: int = PART_LIMIT) -> None:
        if limit < MIN_PART_LIMIT:
            raise ValueError(f"a part needs {MIN_PART_LIMIT} characters, not {limit}")
        self._capacity = limit - MAX_CLOSER_CHARS
        self._zone = min(_CUT_ZONE_CHARS, limit // 4)
        self._pending = ""
        self.parts: list[PartText] = []

    def add_text(self, text: str) -> None:
        """The answer says more."""
        self._pending += text
        position = 0
        while position < len(self._pending):
            part = self._open_part()
            if part is not self.parts[0] and not part.body and self._pending[position] == "@":
                # What made it harmless (an e-mail address, say) stands in the part before.
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
        """End the last part here, though it is not full: at the best place after the `shown`
        characters of it that cannot be taken back."""
        if not self.parts or self.parts[-1].is_final:
            return
        part = self.parts[-1]
        start = max(0, shown_chars - len(part.fence_opener))
        unsent = part.body[start:]
        end = len(unsent.rstrip("`~"))
        cut = next((places[-1] for places in _cut_candidates(unsent) if places), end)
        held, self._pending = unsent[cut:] + self._pending, ""
        part.body = part.body[: start + cut]
        part.is_final = True
        self.add_text(held)

    def complete(self) -> None:
        """There is nothing more to come."""
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
    """Where to cut, with `room` characters left; None while that depends on what comes.

    The end of a paragraph is taken as soon as there is one, everything else when the room is full.
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
    """A cut where there is no good place: at least not within a character or a row of marks."""
    candidates = range(room, max(room - _HARD_CUT_ZONE_CHARS, 1), -1)
    return next((at for at in candidates if not _breaks_cluster(text[at - 1], text[at])), room)


def _breaks_cluster(before: str, after: str) -> bool:
    """Whether a cut between two characters would tear apart what belongs together."""
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
        """The line that opens the same fence again at the head of another message."""
        return f"{self.indent}{self.marker}{self.info[:_MAX_INFO]}\n"

    def closer(self, text: str) -> str:
        """What closes this fence after `text`."""
        gap = "" if text.endswith("\n") else "\n"
        return f"{gap}{self.indent}{self.marker}"


MAX_CLOSER_CHARS: Final = len("\n") + _MAX_INDENT + _MAX_MARKER
"""No closer is longer, in characters."""


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
    """Whether a message that began at `position` of `text` would begin with a fence."""
    return _FENCE_START.match(text, position) is not None


def _parse_opening(line: str) -> Fence | None:
    opening = _OPENING.match(line)
    if opening is None:
        return None
    marker, info = opening["marker"], opening["info"].rstrip()
    indent = re.sub(r"[^ \t]", " ", opening["indent"])
    if marker[0] in info or len(indent) > _MAX_INDENT:
        return None  # `code` within a line, or a longer run than a message can repeat
    return Fence(indent=indent, marker=marker, info=info)


def _is_closing(line: str, fence: Fence) -> bool:
    run = line.strip()
    return len(run) >= len(fence.marker) and not run.strip(fence.marker[0])
