"""People's text as it goes into blocks: nothing in it is live, and it is as long as Slack takes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from bot.slack.formatting.mrkdwn import escaped
from bot.slack.formatting.sanitize import showable


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
