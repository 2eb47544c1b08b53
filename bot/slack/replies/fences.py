"""Markdown's code fences: where one is open, it must be closed before a message ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LONGEST_INDENT: Final = 40
_LONGEST_MARKER: Final = 100
_LONGEST_INFO: Final = 80

_LIST_MARKERS: Final = r"(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*"
_OPENING: Final = re.compile(
    rf"(?P<indent>[ \t]{{0,{_LONGEST_INDENT}}}{_LIST_MARKERS})"
    rf"(?P<marker>`{{3,{_LONGEST_MARKER}}}|~{{3,{_LONGEST_MARKER}}})(?P<info>.*)",
    re.DOTALL,
)
_RUN: Final = re.compile(r"[ \t]*(?:`{3}|~{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """An open code fence."""

    indent: str
    marker: str
    info: str

    @property
    def opener(self) -> str:
        """The line that opens the same fence again at the head of another message."""
        return f"{self.indent}{self.marker}{self.info[:_LONGEST_INFO]}\n"

    def closer(self, text: str) -> str:
        """What closes this fence after `text`."""
        gap = "" if text.endswith("\n") else "\n"
        return f"{gap}{self.indent}{self.marker}"


LONGEST_CLOSER: Final = len("\n") + _LONGEST_INDENT + _LONGEST_MARKER
"""No closer is longer, in characters."""


def open_fence(text: str) -> Fence | None:
    """The fence that is open at the end of `text`, a whole message so far, or None."""
    fence: Fence | None = None
    for line in text.split("\n"):
        if fence is None:
            fence = _opened_by(line)
        elif _closes(line, fence):
            fence = None
    return fence


def starts_like_fence(text: str, position: int) -> bool:
    """Whether a message that began at `position` of `text` would begin with a fence."""
    return _RUN.match(text, position) is not None


def _opened_by(line: str) -> Fence | None:
    opening = _OPENING.match(line)
    if opening is None:
        return None
    marker, info = opening["marker"], opening["info"].rstrip()
    indent = re.sub(r"[^ \t]", " ", opening["indent"])
    if marker[0] in info or len(indent) > _LONGEST_INDENT:
        return None  # `code` within a line, or a longer run than a message can repeat
    return Fence(indent=indent, marker=marker, info=info)


def _closes(line: str, fence: Fence) -> bool:
    run = line.strip()
    return len(run) >= len(fence.marker) and not run.strip(fence.marker[0])
