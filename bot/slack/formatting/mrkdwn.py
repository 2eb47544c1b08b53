"""Converts Slack's mrkdwn to plain text for the model, and escapes text for Slack.

Slack sends typed `&`, `<` and `>` as entities, and its own tokens (mentions, channels, links)
between bare angle brackets. Entities are unescaped last, so that a typed `<!channel>` stays text
and never becomes a token.
"""

from __future__ import annotations

import re
from typing import Final

from bot.domain.messages import strip_unstorable

MAX_MARKUP_CHARS: Final = 200_000
"""Maximum number of characters of markup that are read. Slack's longest message has 40,000, each at
most five as an entity (api.slack.com/changelog/2018-04-truncating-really-long-messages)."""

_TOKEN_PATTERN = re.compile(r"<([^<>\s][^<>]*)>")
_LABELED_MENTION = re.compile(r"<([@#][A-Z0-9]+)\|[^<>]*>", re.ASCII)
_URL_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_GROUP_PINGS = frozenset({"here", "channel", "everyone"})


def mrkdwn_to_text(text: str) -> str:
    """The markup as plain text, without white space at the edges; always encodable as UTF-8."""
    plain = unescape(_TOKEN_PATTERN.sub(lambda token: _token_text(token.group(1)), text))
    return strip_unstorable(plain).strip()


def unescape(text: str) -> str:
    """The text without Slack's three entities. `&amp;` comes last, so that nothing is unescaped
    twice."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def escape(text: str) -> str:
    """The text with `&` and angle brackets as entities: nothing in it can ping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mentions_user(text: str, user: str) -> bool:
    """True if the markup mentions this user."""
    return _may_mention(text, user) and re.search(_mention_pattern(user), text) is not None


def starts_with_mention(text: str) -> bool:
    """True if the markup begins with a mention of a user or a group, or of a whole channel."""
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
    # Searched once, from the beginning: repeated searches at the end would take quadratic time.
    end = len(text)
    for start, stop in reversed([found.span() for found in re.finditer(mention, text)]):
        if text[stop:end].strip():
            break
        end = start
    return replace_mentions(text[:end].rstrip(), user, name)


def strip_mention_labels(text: str) -> str:
    """The markup with users and channels as ids only, without the names that Slack adds in commands
    (`<@U1|bob>`). Commands do not resolve names."""
    return _LABELED_MENTION.sub(r"<\1>", text)


def replace_mentions(text: str, user: str, name: str) -> str:
    """The markup with mentions of a user as `@name`. Slack's events give only the id."""
    return re.sub(_mention_pattern(user), lambda _: f"@{name}", text)


def _may_mention(text: str, user: str) -> bool:
    """False for most messages, which mention no user: this saves building a pattern."""
    return f"<@{user}" in text


def _mention_pattern(user: str) -> str:
    return rf"<@{re.escape(user)}(?:\|[^<>]*)?>"


def _token_text(token: str) -> str:
    """The text that a user sees in place of one `<token>`."""
    target, _, label = token.partition("|")
    kind, name = target[0], target[1:]
    if kind in "@#":
        return kind + (label.removeprefix(kind) or name)
    if kind == "!":
        return _special_token_text(name, label)
    # not a token of Slack's, but `<angle brackets>` that a user typed
    if not _URL_SCHEME.match(target):
        return f"<{token}>"
    shown_alone = not label or target in (label, f"mailto:{label}", f"tel:{label}")
    # Slack turns a typed `example.com` into `<http://example.com|example.com>`.
    typed_bare = target.removesuffix("/") in (f"http://{label}", f"https://{label}")
    if shown_alone or typed_bare:
        return label or target
    return f"{label} ({target})"


def _special_token_text(name: str, label: str) -> str:
    """The text for `!here`, `!subteam^S1|@ops`, `!date^…|yesterday` and similar tokens."""
    if name in _GROUP_PINGS:
        return f"@{name}"
    if name.startswith("subteam^"):
        return "@" + (label.removeprefix("@") or name.removeprefix("subteam^"))
    return label or name
