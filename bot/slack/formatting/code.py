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

_OPENS: Final = re.compile(r"(`{3,100})[\w+#.-]{0,40}[ \t]*")
_CLOSES: Final = re.compile(r" {0,3}(`{3,})[ \t]*")
_MARKS: Final = re.compile(r"(?:[-*+>\s]|\d{1,20}[.)])*")
"""What may stand before a fence: indents, and the marks of lists and quotes."""
_PARTS: Final = re.compile(r"[^\\`]+|\\|`+")
_TICKS: Final = re.compile(r"`+")


class CodeReader:
    """Reads a text piece by piece and knows whether it is in code at its end."""

    def __init__(self) -> None:
        self._marker = ""
        """What opened the fence that is open; "" where none is."""
        self._inside = False
        """The same by a reading that lets whatever looks like a fence open or close one."""
        self._tildes = False
        """Whether there was what may be a fence of the other kind: then nothing counts any more."""
        self._line = ""
        self._marks = 0
        """Where the marks end with which the line begins, as far as they have been read."""
        self._spans = Spans()
        self._loose = False
        """Whether a span may have begun on an earlier line of the paragraph."""

    def read(self, text: str) -> None:
        """The text goes on so."""
        head, *others = text.split("\n")
        self._go_on(head)
        for line in others:
            self._end_line()
            self._line, self._marks, self._spans = "", 0, Spans()
            self._go_on(line)

    def in_code(self, rest: str, *, final: bool) -> bool | None:
        """Whether what comes now, `rest`, begins within code; None while that is not known.
        `final`: nothing comes after `rest` that would count."""
        if self._tildes:
            return False
        if self._marker:
            return self._inside and not self._begins_with("```")
        if self._inside or self._loose or len(self._line) > _LONGEST_LINE or "<" in self._line:
            return False
        begun = self._spans.begun()
        if not begun:
            return False
        upto, newline, _ = rest.partition("\n")
        runs = [(found.end(), len(found[0])) for found in _TICKS.finditer(upto)]
        if final or newline:
            return not {length for _, length in runs}.isdisjoint(begun)
        # A run at the end may go on, and which span has begun depends on what comes.
        ended = (length for end, length in runs if end < len(upto))
        return True if begun[0] in ended else None

    def _go_on(self, text: str) -> None:
        more = text[: _LONGEST_LINE + 1 - len(self._line)]
        self._line += more
        self._spans.read(more)

    def _begins_with(self, fence: str) -> bool:
        """Whether the line begins with what some reading takes for a fence."""
        marks = _MARKS.match(self._line, self._marks)
        self._marks = marks.end() if marks else self._marks
        return self._line.startswith(fence, self._marks)

    def _end_line(self) -> None:
        line = self._line.rstrip("\r")
        self._tildes = self._tildes or self._begins_with("~~~")
        if self._begins_with("```"):
            self._inside = not self._inside
        if self._marker:
            closes = _CLOSES.fullmatch(line)
            if closes is not None and len(closes[1]) >= len(self._marker):
                self._marker = ""
        elif opens := _OPENS.fullmatch(line):
            self._marker = opens[1]
        if not line.strip():
            self._loose = False
        elif len(line) > _LONGEST_LINE or self._spans.begun():
            self._loose = True


class Spans:
    """Which spans have begun in a line and are not ended in it, as it grows: the first of each
    length.

    A run of backticks ends the first span that as long a run began, and whatever began in it; else
    it may begin one itself, without its first one behind a backslash.
    """

    def __init__(self) -> None:
        self._begun: list[int] = []
        self._backslash = False
        """Whether the next character stands behind one that counts."""
        self._ticks = 0
        """So long is the run at the end, which may go on."""
        self._escaped = False
        """Whether that run stands behind a backslash."""

    def read(self, text: str) -> None:
        """The line goes on so."""
        for part in _PARTS.findall(text):
            if part[0] == "`":
                if not self._ticks:
                    self._escaped, self._backslash = self._backslash, False
                self._ticks += len(part)
                continue
            self._end_run()
            self._backslash = part == "\\" and not self._backslash

    def begun(self) -> list[int]:
        """The lengths of the runs that began them, in order. The run at the end is at its end."""
        self._end_run()
        return self._begun

    def _end_run(self) -> None:
        ticks, self._ticks = self._ticks, 0
        if not ticks:
            return
        if ticks in self._begun:
            del self._begun[self._begun.index(ticks) :]
            return
        length = ticks - self._escaped
        if length and length not in self._begun:  # what ends one ends the first of its length
            self._begun.append(length)
