"""Slack's markup, turned into what a person reads: the words that reach the model.

Slack sends what people type with `&`, `<` and `>` as entities, and its own tokens (mentions,
channels, links) between bare angle brackets. Entities are turned back last, so that a typed
`<!channel>` stays the text that it was and never becomes a token.
"""

from __future__ import annotations

import re
from typing import Final

from bot.domain.messages import strip_unstorable

MAX_MARKUP_CHARS: Final = 200_000
"""Characters of markup that are read. Slack's longest message has 40,000, each of them five as an
entity at most (api.slack.com/changelog/2018-04-truncating-really-long-messages)."""

_TOKEN_PATTERN = re.compile(r"<([^<>\s][^<>]*)>")
_LABELED_MENTION = re.compile(r"<([@#][A-Z0-9]+)\|[^<>]*>", re.ASCII)
_URL_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_GROUP_PINGS = frozenset({"here", "channel", "everyone"})


def mrkdwn_to_text(text: str) -> str:
    """Slack's markup as plain text, edges stripped; always encodable as UTF-8."""
    plain = unescape(_TOKEN_PATTERN.sub(lambda token: _token_text(token.group(1)), text))
    return strip_unstorable(plain).strip()


def unescape(text: str) -> str:
    """Slack's three entities turned back; `&amp;` last, so that nothing is turned back twice."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escape(text: str) -> str:
    """`text` as inert Slack markup: with its angle brackets as entities nothing in it can ping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mentions_user(text: str, user: str) -> bool:
    """Whether the markup mentions this user."""
    return _may_mention(text, user) and re.search(_mention_pattern(user), text) is not None


def starts_with_mention(text: str) -> bool:
    """Whether the markup begins by addressing people: one person, a group, or everybody."""
    return re.match(r"\s*<(?:@|!subteam\^|!(?:here|channel|everyone)\b)", text) is not None


def strip_mention(text: str, user: str, name: str) -> str:
    """The markup without the user's mention at either edge; those inside become `@name`.

    A comma or colon after a leading mention ("@bot, what is …") goes with it, but not one that
    belongs to what follows ("@bot :tada:").
    """
    if not _may_mention(text, user):
        return text.rstrip()
    mention = _mention_pattern(user)
    text = re.sub(rf"\A(?:\s*{mention}\s*(?:[,:](?=\s|\Z))?)+", "", text)
    # Found once, from the beginning: looked for at the end again and again, many of them would take
    # quadratic time.
    end = len(text)
    for start, stop in reversed([found.span() for found in re.finditer(mention, text)]):
        if text[stop:end].strip():
            break
        end = start
    return replace_mentions(text[:end].rstrip(), user, name)


def strip_mention_labels(text: str) -> str:
    """The markup with people and channels by their ids, without the names that Slack puts beside
    them in commands (`<@U1|bob>`): names are no orders' to resolve."""
    return _LABELED_MENTION.sub(r"<\1>", text)


def replace_mentions(text: str, user: str, name: str) -> str:
    """The markup with the user's mentions as `@name`: Slack's events tell the id alone."""
    return re.sub(_mention_pattern(user), lambda _: f"@{name}", text)


def _may_mention(text: str, user: str) -> bool:
    """Most of what is said mentions nobody: it is not worth making a pattern for."""
    return f"<@{user}" in text


def _mention_pattern(user: str) -> str:
    return rf"<@{re.escape(user)}(?:\|[^<>]*)?>"


def _token_text(token: str) -> str:
    """What a person sees in the place of one `<token>`."""
    target, _, label = token.partition("|")
    kind, name = target[0], target[1:]
    if kind in "@#":
        return kind + (label.removeprefix(kind) or name)
    if kind == "!":
        return _special_token_text(name, label)
    if not _URL_SCHEME.match(target):  # nothing of Slack's: somebody's own `<angle brackets>`
        return f"<{token}>"
    shown_alone = not label or target in (label, f"mailto:{label}", f"tel:{label}")
    # Slack turns a typed `example.com` into `<http://example.com|example.com>` by itself.
    typed_bare = target.removesuffix("/") in (f"http://{label}", f"https://{label}")
    if shown_alone or typed_bare:
        return label or target
    return f"{label} ({target})"


def _special_token_text(name: str, label: str) -> str:
    """`!here`, `!subteam^S1|@ops`, `!date^…|yesterday` and their like."""
    if name in _GROUP_PINGS:
        return f"@{name}"
    if name.startswith("subteam^"):
        return "@" + (label.removeprefix("@") or name.removeprefix("subteam^"))
    return label or name
