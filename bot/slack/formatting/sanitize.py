"""What a model wrote, made safe to show: it cannot ping anybody and cannot upset Slack.

Slack documents no way to switch mentions off in Markdown, and escaping everything would spoil
code. So only what Slack would read as a ping, a mention or one of its other tokens gets a word
joiner (U+2060, which nobody sees) after its first character; every other character stays.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from bot.slack.formatting.mrkdwn import escaped

WORD_JOINER: Final = "\u2060"

_GROUPS: Final = ("channel", "everyone", "here")
_COMMANDS: Final = ("!channel", "!everyone", "!group", "!here")
_PREFIXES: Final = ("!subteam^", "!date^")

# Users start with U or W, bots with B, conversations with C, D or G (docs.slack.dev: formatting).
_LIVE: Final = re.compile(
    r"""
    < (?= \\?                              # Markdown takes a backslash before "!" away
        (?: (?i: !(?:channel|everyone|group|here) ) (?![A-Za-z0-9_])
          | (?i: !(?:subteam|date) \^ )
          | [@\#][UWBCDG][A-Z0-9>|]
        )
    )
    | (?<![^\W_]) @ (?= (?i: channel|everyone|here ) (?! _?[^\W_] ) )
    """,
    re.VERBOSE,
)
_ID_BEGUN: Final = re.compile(r"[@#][UWBCDG]?\Z")
_LONGEST_UNDECIDED: Final = len(r"<\!everyone")

_UNSHOWABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)


def showable(text: str) -> str:
    """`text` with a replacement mark for each character that no message can hold: control
    characters and half surrogate pairs; and for those that let text be read in another order than
    it stands in, which hide what code does (CVE-2021-42574)."""
    return _UNSHOWABLE.sub("\ufffd", text)


def defanged(text: str) -> str:
    """The whole of `text`, unable to ping."""
    defanger = Defanger()
    return defanger.feed(text) + defanger.end()


class Defanger:
    """Makes text inert piece by piece, however it is cut into pieces.

    A tail that may yet become a token is held back (at most 11 characters) until it is decided.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._before = ""

    def feed(self, text: str) -> str:
        """What of the text up to here is decided and has not been given out."""
        return self._give(self._tail + text, final=False)

    def end(self) -> str:
        """The rest; after this comes nothing more."""
        return self._give(self._tail, final=True)

    def _give(self, pending: str, *, final: bool) -> str:
        upto = len(pending) if final else _decided(pending)
        context = self._before + pending
        start = position = len(self._before)
        given: list[str] = []
        for token in _LIVE.finditer(context, start, len(context)):
            if token.start() >= start + upto:
                break
            given += (context[position : token.end()], WORD_JOINER)
            position = token.end()
        given.append(context[position : start + upto])
        self._tail = pending[upto:]
        self._before = context[: start + upto][-1:]
        return "".join(given)


def _decided(text: str) -> int:
    """How many characters of `text` no continuation can turn into (part of) a token's start."""
    for start in range(max(0, len(text) - _LONGEST_UNDECIDED), len(text)):
        if text[start] in "<@" and _undecided(text[start:]):
            return start
    return len(text)


def _undecided(tail: str) -> bool:
    """Whether what follows decides if `tail`, which begins with `<` or `@`, is a token."""
    if tail[0] == "@":
        word = tail[1:].casefold()
        return any(g.startswith(word) or word in (g, f"{g}_") for g in _GROUPS)
    inner = tail[1:].removeprefix("\\")
    word = inner.casefold()
    starts = any(token.startswith(word) for token in (*_COMMANDS, *_PREFIXES))
    return starts or _ID_BEGUN.match(inner) is not None


def pieces(text: str, size: int, most: int) -> Iterator[str]:
    """The text as inert pieces of at most `size` characters, cut at line ends where it can be;
    what does not fit into `most` of them is left out."""
    rest = text.strip()
    for number in range(most):
        if not rest:
            return
        if number == most - 1:
            yield clipped(rest, size)
            return
        end = _fitting(rest, size)
        if end < len(rest):
            line = rest.rfind("\n", end // 2, end)
            end = line if line > 0 else end
        yield escaped(showable(rest[:end]))
        rest = rest[end:].lstrip("\n")


def clipped(text: str, most: int) -> str:
    """Text that nothing is live in, at most `most` characters with its entities."""
    text = showable(text.strip())
    if _fitting(text, most) == len(text):
        return escaped(text)
    return f"{escaped(text[: _fitting(text, most - 1)])}…"


def _fitting(text: str, most: int) -> int:
    """How many characters of `text` fit into `most` when they are escaped."""
    return bisect_right(
        range(min(len(text), most)), most, key=lambda n: len(escaped(text[: n + 1]))
    )


def cut(text: str, most: int) -> str:
    """Plain text of at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
