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

from bot.slack.formatting.mrkdwn import escape

WORD_JOINER: Final = "\u2060"

_GROUPS: Final = ("channel", "everyone", "here")
_COMMANDS: Final = ("!channel", "!everyone", "!group", "!here")
_PREFIXES: Final = ("!subteam^", "!date^")

# Users start with U or W, bots with B, conversations with C, D or G (docs.slack.dev: formatting).
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
    """`text` with a replacement mark for each character that no message can hold: control
    characters and half surrogate pairs; and for those that let text be read in another order than
    it stands in, which hide what code does (CVE-2021-42574)."""
    return _FORBIDDEN_CHARS.sub("\ufffd", text)


def escape_mentions(text: str) -> str:
    """The whole of `text`, unable to ping."""
    defanger = MentionEscaper()
    return defanger.feed(text) + defanger.flush()


class MentionEscaper:
    """Makes text inert piece by piece, however it is cut into pieces.

    A tail that may yet become a token is held back (at most 11 characters) until it is decided.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._before = ""

    def feed(self, text: str) -> str:
        """What of the text up to here is decided and has not been given out."""
        return self._process(self._tail + text, final=False)

    def flush(self) -> str:
        """The rest; after this comes nothing more."""
        return self._process(self._tail, final=True)

    def _process(self, pending: str, *, final: bool) -> str:
        upto = len(pending) if final else _decided_length(pending)
        context = self._before + pending
        start = position = len(self._before)
        given: list[str] = []
        for token in _PING_TOKEN.finditer(context, start, len(context)):
            if token.start() >= start + upto:
                break
            given += (context[position : token.end()], WORD_JOINER)
            position = token.end()
        given.append(context[position : start + upto])
        self._tail = pending[upto:]
        self._before = context[: start + upto][-1:]
        return "".join(given)


def _decided_length(text: str) -> int:
    """How many characters of `text` no continuation can turn into (part of) a token's start."""
    for start in range(max(0, len(text) - _MAX_PARTIAL_CHARS), len(text)):
        if text[start] in "<@" and _is_partial_token(text[start:]):
            return start
    return len(text)


def _is_partial_token(tail: str) -> bool:
    """Whether what follows decides if `tail`, which begins with `<` or `@`, is a token."""
    if tail[0] == "@":
        word = tail[1:].casefold()
        return any(g.startswith(word) or word in (g, f"{g}_") for g in _GROUPS)
    inner = tail[1:].removeprefix("\\")
    word = inner.casefold()
    starts = any(token.startswith(word) for token in (*_COMMANDS, *_PREFIXES))
    return starts or _PARTIAL_ID.match(inner) is not None


def escaped_chunks(text: str, chunk_chars: int, max_chunks: int) -> Iterator[str]:
    """The text as inert pieces of at most `size` characters, cut at line ends where it can be;
    what does not fit into `most` of them is left out."""
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
    """Text that nothing is live in, at most `most` characters with its entities."""
    text = sanitize(text.strip())
    if _fitting_length(text, max_chars) == len(text):
        return escape(text)
    return f"{escape(text[: _fitting_length(text, max_chars - 1)])}…"


def _fitting_length(text: str, max_chars: int) -> int:
    """How many characters of `text` fit into `most` when they are escaped."""
    return bisect_right(
        range(min(len(text), max_chars)), max_chars, key=lambda n: len(escape(text[: n + 1]))
    )


def truncate(text: str, max_chars: int) -> str:
    """Plain text of at most `most` characters."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"
