"""Where a Markdown text is code, in which nothing is a link, told as the text comes in.

It says so only where every reading of the text agrees: code that is taken for text costs a word
joiner in it, text that is taken for code would let a link through. So a fence counts when it is an
ordinary one at the margin (the end of a list would end one in it), and a span when it begins and
ends on one line that nothing else makes ambiguous.
(CommonMark 0.31, sections 4.5 and 6.1.)
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST_LINE: Final = 2_000
"""In a longer line nothing is taken for a span."""

_FENCE_OPENING: Final = re.compile(r"(`{3,100})[\w+#.-]{0,40}[ \t]*")
_FENCE_CLOSING: Final = re.compile(r" {0,3}(`{3,})[ \t]*")
_FENCE_PREFIX: Final = re.compile(r"(?:[-*+>\s]|\d{1,20}[.)])*")
"""What may stand before a fence: indents, and the marks of lists and quotes."""
_SPAN_TOKENS: Final = re.compile(r"[^\\`]+|\\|`+")
_BACKTICKS: Final = re.compile(r"`+")


class CodeSpanTracker:
    """Reads a text piece by piece and knows whether it is in code at its end."""

    def __init__(self) -> None:
        self._fence_marker = ""
        """What opened the fence that is open; "" where none is."""
        self._in_fence = False
        """The same by a reading that lets whatever looks like a fence open or close one."""
        self._saw_tilde_fence = False
        """Whether there was what may be a fence of the other kind: then nothing counts any more."""
        self._line = ""
        self._prefix_end = 0
        """Where the marks end with which the line begins, as far as they have been read."""
        self._spans = OpenSpans()
        self._span_may_continue = False
        """Whether a span may have begun on an earlier line of the paragraph."""

    def advance(self, text: str) -> None:
        """The text goes on so."""
        head, *others = text.split("\n")
        self._extend(head)
        for line in others:
            self._end_line()
            self._line, self._prefix_end, self._spans = "", 0, OpenSpans()
            self._extend(line)

    def is_in_code(self, rest: str, *, final: bool) -> bool | None:
        """Whether what comes now, `rest`, begins within code; None while that is not known.
        `final`: nothing comes after `rest` that would count."""
        if self._saw_tilde_fence:
            return False
        if self._fence_marker:
            return self._in_fence and not self._starts_with_fence("```")
        if (
            self._in_fence
            or self._span_may_continue
            or len(self._line) > _LONGEST_LINE
            or "<" in self._line
        ):
            return False
        begun = self._spans.open_lengths()
        if not begun:
            return False
        upto, newline, _ = rest.partition("\n")
        runs = [(found.end(), len(found[0])) for found in _BACKTICKS.finditer(upto)]
        if final or newline:
            return not {length for _, length in runs}.isdisjoint(begun)
        # A run at the end may go on, and which span has begun depends on what comes.
        ended = (length for end, length in runs if end < len(upto))
        return True if begun[0] in ended else None

    def _extend(self, text: str) -> None:
        more = text[: _LONGEST_LINE + 1 - len(self._line)]
        self._line += more
        self._spans.advance(more)

    def _starts_with_fence(self, fence: str) -> bool:
        """Whether the line begins with what some reading takes for a fence."""
        marks = _FENCE_PREFIX.match(self._line, self._prefix_end)
        self._prefix_end = marks.end() if marks else self._prefix_end
        return self._line.startswith(fence, self._prefix_end)

    def _end_line(self) -> None:
        line = self._line.rstrip("\r")
        self._saw_tilde_fence = self._saw_tilde_fence or self._starts_with_fence("~~~")
        if self._starts_with_fence("```"):
            self._in_fence = not self._in_fence
        if self._fence_marker:
            closes = _FENCE_CLOSING.fullmatch(line)
            if closes is not None and len(closes[1]) >= len(self._fence_marker):
                self._fence_marker = ""
        elif opens := _FENCE_OPENING.fullmatch(line):
            self._fence_marker = opens[1]
        if not line.strip():
            self._span_may_continue = False
        elif len(line) > _LONGEST_LINE or self._spans.open_lengths():
            self._span_may_continue = True


class OpenSpans:
    """Which spans have begun in a line and are not ended in it, as it grows: the first of each
    length.

    A run of backticks ends the first span that as long a run began, and whatever began in it; else
    it may begin one itself, without its first one behind a backslash.
    """

    def __init__(self) -> None:
        self._open_lengths: list[int] = []
        self._after_backslash = False
        """Whether the next character stands behind one that counts."""
        self._run_length = 0
        """So long is the run at the end, which may go on."""
        self._run_escaped = False
        """Whether that run stands behind a backslash."""

    def advance(self, text: str) -> None:
        """The line goes on so."""
        for part in _SPAN_TOKENS.findall(text):
            if part[0] == "`":
                if not self._run_length:
                    self._run_escaped, self._after_backslash = self._after_backslash, False
                self._run_length += len(part)
                continue
            self._end_run()
            self._after_backslash = part == "\\" and not self._after_backslash

    def open_lengths(self) -> list[int]:
        """The lengths of the runs that began them, in order. The run at the end is at its end."""
        self._end_run()
        return self._open_lengths

    def _end_run(self) -> None:
        ticks, self._run_length = self._run_length, 0
        if not ticks:
            return
        if ticks in self._open_lengths:
            del self._open_lengths[self._open_lengths.index(ticks) :]
            return
        length = ticks - self._run_escaped
        if (
            length and length not in self._open_lengths
        ):  # what ends one ends the first of its length
            self._open_lengths.append(length)
