"""Tracks where a growing Markdown text is code, since nothing in code is a link.

It reports code only where every reading of the text agrees. Code taken for text only gets a word
joiner; text taken for code would let a link through.

So a fence counts only if it is an ordinary one at the margin: in a list, the end of the list would
end it. A span counts only if it begins and ends on one line that nothing else makes ambiguous.
(CommonMark 0.31, sections 4.5 and 6.1.)
"""

from __future__ import annotations

import re
from typing import Final

_LONGEST_LINE: Final = 2_000
"""Maximum number of characters of a line in which spans count."""

_FENCE_OPENING: Final = re.compile(r"(`{3,100})[\w+#.-]{0,40}[ \t]*")
_FENCE_CLOSING: Final = re.compile(r" {0,3}(`{3,})[ \t]*")
_FENCE_PREFIX: Final = re.compile(r"(?:[-*+>\s]|\d{1,20}[.)])*")
"""What may come before a fence: indents, and the marks of lists and quotes."""
_SPAN_TOKENS: Final = re.compile(r"[^\\`]+|\\|`+")
_BACKTICKS: Final = re.compile(r"`+")


class CodeSpanTracker:
    """Reads a text piece by piece and reports whether its end is in code."""

    def __init__(self) -> None:
        self._fence_marker = ""
        """The marker of the open fence, or an empty string."""
        self._in_fence = False
        """Whether a fence is open if everything that looks like a fence opens or closes one."""
        self._saw_tilde_fence = False
        """Whether there was a line like a fence of the other kind. From then on nothing counts as
        code."""
        self._line = ""
        self._prefix_end = 0
        """Where the marks at the beginning of the line end, as far as they have been read."""
        self._spans = OpenSpans()
        self._span_may_continue = False
        """Whether a span may have begun on an earlier line of the paragraph."""

    def advance(self, text: str) -> None:
        """Add text to the end."""
        first, *lines = text.split("\n")
        self._extend(first)
        for line in lines:
            self._end_line()
            self._line, self._prefix_end, self._spans = "", 0, OpenSpans()
            self._extend(line)

    def is_in_code(self, rest: str, *, final: bool) -> bool | None:
        """True if what comes next, `rest`, begins within code; None if that is not known yet.
        `final` says that nothing after `rest` would change that."""
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
        open_lengths = self._spans.open_lengths()
        if not open_lengths:
            return False
        line, newline, _ = rest.partition("\n")
        runs = [(found.end(), len(found[0])) for found in _BACKTICKS.finditer(line)]
        if final or newline:
            return not {length for _, length in runs}.isdisjoint(open_lengths)
        # A run at the end may continue, and what comes next decides which span has begun.
        ended = (length for end, length in runs if end < len(line))
        return True if open_lengths[0] in ended else None

    def _extend(self, text: str) -> None:
        added = text[: _LONGEST_LINE + 1 - len(self._line)]
        self._line += added
        self._spans.advance(added)

    def _starts_with_fence(self, fence: str) -> bool:
        """True if the line begins with what some reading takes for a fence."""
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
    """Tracks the spans that have begun but not ended in a growing line: the first of each length.

    A run of backticks ends the first span with a run of its length, and all spans within it.
    Otherwise it may begin a span. Behind a backslash its first backtick does not count.
    """

    def __init__(self) -> None:
        self._open_lengths: list[int] = []
        self._after_backslash = False
        """Whether a backslash that counts precedes the next character."""
        self._run_length = 0
        """Length of the run at the end, which may continue."""
        self._run_escaped = False
        """Whether a backslash precedes that run."""

    def advance(self, text: str) -> None:
        """Add text to the end of the line."""
        for part in _SPAN_TOKENS.findall(text):
            if part[0] == "`":
                if not self._run_length:
                    self._run_escaped, self._after_backslash = self._after_backslash, False
                self._run_length += len(part)
                continue
            self._end_run()
            self._after_backslash = part == "\\" and not self._after_backslash

    def open_lengths(self) -> list[int]:
        """The lengths of the runs that began the open spans, in order. This ends the run at the
        end."""
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
        if length and length not in self._open_lengths:  # a run ends the first span of its length
            self._open_lengths.append(length)
