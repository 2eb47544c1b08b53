"""Escapes a model's text, so that it pings no user and Slack accepts it.

Slack documents no way to switch mentions off in Markdown, and escaping everything would spoil code.
So an invisible word joiner (U+2060) goes after the first character of each ping, mention or other
token of Slack. All other characters stay.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from bot.slack.formatting.mrkdwn import escape

WORD_JOINER: Final = "\u2060"

_GROUPS: Final = ("channel", "everyone", "here")
_COMMANDS: Final = ("!channel", "!everyone", "!group", "!here")
_PREFIXES: Final = ("!subteam^", "!date^")

# Ids of users start with U or W, of bots with B, of conversations with C, D or G (docs.slack.dev:
# formatting).
_PING_TOKEN: Final = re.compile(
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
_PARTIAL_ID: Final = re.compile(r"[@#][UWBCDG]?\Z")
_MAX_PARTIAL_CHARS: Final = len(r"<\!everyone")

_FORBIDDEN_CHARS: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)


def sanitize(text: str) -> str:
    """The text with a replacement mark for each character that is not allowed in a message.

    These are control characters and unpaired surrogates. They are also the characters that change
    the reading order, which can hide what code does (CVE-2021-42574).
    """
    return _FORBIDDEN_CHARS.sub("\ufffd", text)


def escape_mentions(text: str) -> str:
    """The whole text with all pings escaped."""
    escaper = MentionEscaper()
    return escaper.feed(text) + escaper.flush()


class MentionEscaper:
    """Escapes pings in text that comes in pieces of any length.

    It holds back the end of a piece (at most 11 characters) while that may become a token.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._before = ""

    def feed(self, text: str) -> str:
        """Add a piece of text. Returns the text that is decided and was not returned before."""
        return self._process(self._tail + text, final=False)

    def flush(self) -> str:
        """End the text. Returns the rest."""
        return self._process(self._tail, final=True)

    def _process(self, pending: str, *, final: bool) -> str:
        decided = len(pending) if final else _decided_length(pending)
        context = self._before + pending
        start = position = len(self._before)
        pieces: list[str] = []
        for token in _PING_TOKEN.finditer(context, start, len(context)):
            if token.start() >= start + decided:
                break
            pieces += (context[position : token.end()], WORD_JOINER)
            position = token.end()
        pieces.append(context[position : start + decided])
        self._tail = pending[decided:]
        self._before = context[: start + decided][-1:]
        return "".join(pieces)


def _decided_length(text: str) -> int:
    """Number of characters of `text` that cannot become the start of a token, with any
    continuation."""
    for start in range(max(0, len(text) - _MAX_PARTIAL_CHARS), len(text)):
        if text[start] in "<@" and _is_partial_token(text[start:]):
            return start
    return len(text)


def _is_partial_token(tail: str) -> bool:
    """True if the text after `tail`, which begins with `<` or `@`, decides whether it is a
    token."""
    if tail[0] == "@":
        word = tail[1:].casefold()
        return any(g.startswith(word) or word in (g, f"{g}_") for g in _GROUPS)
    inner = tail[1:].removeprefix("\\")
    word = inner.casefold()
    starts = any(token.startswith(word) for token in (*_COMMANDS, *_PREFIXES))
    return starts or _PARTIAL_ID.match(inner) is not None


def escaped_chunks(text: str, chunk_chars: int, max_chunks: int) -> Iterator[str]:
    """The text in escaped pieces of at most `chunk_chars` characters, cut at line ends where
    possible. Text beyond `max_chunks` pieces is dropped."""
    rest = text.strip()
    for number in range(max_chunks):
        if not rest:
            return
        if number == max_chunks - 1:
            yield truncate_escaped(rest, chunk_chars)
            return
        end = _fitting_length(rest, chunk_chars)
        if end < len(rest):
            line = rest.rfind("\n", end // 2, end)
            end = line if line > 0 else end
        yield escape(sanitize(rest[:end]))
        rest = rest[end:].lstrip("\n")


def truncate_escaped(text: str, max_chars: int) -> str:
    """The text, escaped and truncated to at most `max_chars` characters with its entities."""
    text = sanitize(text.strip())
    if _fitting_length(text, max_chars) == len(text):
        return escape(text)
    return f"{escape(text[: _fitting_length(text, max_chars - 1)])}…"


def _fitting_length(text: str, max_chars: int) -> int:
    """Number of characters of `text` that fit into `max_chars` once escaped."""
    return bisect_right(
        range(min(len(text), max_chars)), max_chars, key=lambda n: len(escape(text[: n + 1]))
    )
