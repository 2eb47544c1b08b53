"""Where a Markdown text is code, in which nothing is a link, told as the text comes in.

It says so only where every reading of the text agrees: code that is taken for text costs a word
joiner in it, text that is taken for code would let a link through. So a fence counts when it is an
ordinary one at the margin (the end of a list would end one in it), and a span when it begins and
ends on one line that nothing else makes ambiguous.
(CommonMark 0.31, sections 4.5 and 6.1.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_LONGEST_LINE: Final = 2_000
"""In a longer line nothing is taken for a span."""

_OPENS: Final = re.compile(r"(`{3,100})[\w+#.-]{0,40}[ \t]*")
_CLOSES: Final = re.compile(r" {0,3}(`{3,})[ \t]*")
_FENCELIKE: Final = re.compile(r"\s*(?:[-*+>\s]|\d+[.)])*`{3}")
_TILDES: Final = re.compile(r"\s*(?:[-*+>\s]|\d+[.)])*~{3}")
_RUN: Final = re.compile(r"\\.|(`+)", re.DOTALL)
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
        self._loose = False
        """Whether a span may have begun on an earlier line of the paragraph."""

    def read(self, text: str) -> None:
        """The text goes on so."""
        head, *others = text.split("\n")
        self._go_on(head)
        for line in others:
            self._end_line()
            self._line = line[: _LONGEST_LINE + 1]

    def in_code(self, rest: str, *, final: bool) -> bool | None:
        """Whether what comes now, `rest`, begins within code; None while that is not known.
        `final`: nothing comes after `rest` that would count."""
        if self._tildes:
            return False
        if self._marker:
            return self._inside and _FENCELIKE.match(self._line) is None
        if self._inside or self._loose or len(self._line) > _LONGEST_LINE or "<" in self._line:
            return False
        upto, newline, _ = rest.partition("\n")
        ended = final or bool(newline)
        for run in _unmatched(self._line):
            for found in _TICKS.finditer(upto):
                if found.end() == len(upto) and not ended:
                    return None  # the run may go on
                if len(found[0]) == run:
                    return True
            if not ended:
                return None
        return False

    def _go_on(self, text: str) -> None:
        self._line += text[: _LONGEST_LINE + 1 - len(self._line)]

    def _end_line(self) -> None:
        line = self._line.rstrip("\r")
        self._tildes = self._tildes or _TILDES.match(line) is not None
        if _FENCELIKE.match(line):
            self._inside = not self._inside
        if self._marker:
            closes = _CLOSES.fullmatch(line)
            if closes is not None and len(closes[1]) >= len(self._marker):
                self._marker = ""
        elif opens := _OPENS.fullmatch(line):
            self._marker = opens[1]
        if not line.strip():
            self._loose = False
        elif len(line) > _LONGEST_LINE or next(_unmatched(line), 0):
            self._loose = True


def _unmatched(line: str) -> Iterator[int]:
    """The lengths of the runs of backticks in a line that may begin a span and are not ended in it,
    in order."""
    at = 0
    while (found := _RUN.search(line, at)) is not None:
        at = found.end()
        if found[1] is None:
            continue
        run = len(found[1])
        closing = next((t for t in _TICKS.finditer(line, at) if len(t[0]) == run), None)
        if closing is None:
            yield run
        else:
            at = closing.end()
