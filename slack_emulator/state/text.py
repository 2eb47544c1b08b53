"""Encodes text that a user types, as Slack's client does before it sends the text.

`@name` of a known user becomes `<@U…>`. `&`, `<` and `>` become entities, except in the tokens that
a client writes itself: `<@U…>`, `<#C…>`, `<https://…>` with or without a label.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_TOKEN = re.compile(
    r"<(?:@[UW][A-Z0-9]+(?:\|[^<>|]*)?|#C[A-Z0-9]+(?:\|[^<>|]*)?"
    r"|(?:https?://|mailto:)[^<>\s|]+(?:\|[^<>|]*)?)>"
)
_NAME = re.compile(r"(?<![\w@/.])@([a-z0-9][a-z0-9._-]*)", re.IGNORECASE)
_BROADCAST_MENTION = re.compile(r"(?<![\w@/.])@(here|channel|everyone)\b")


def encode_typed_text(text: str, user_ids: Mapping[str, str]) -> str:
    """The text as Slack stores it. `user_ids` maps lower-case names to user ids."""
    parts: list[str] = []
    end = 0
    for token in _TOKEN.finditer(text):
        parts += [_encode_plain(text[end : token.start()], user_ids), token.group()]
        end = token.end()
    parts.append(_encode_plain(text[end:], user_ids))
    return "".join(parts)


def _encode_plain(text: str, user_ids: Mapping[str, str]) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    pinging = _BROADCAST_MENTION.sub(lambda ping: f"<!{ping.group(1)}>", escaped)
    return _NAME.sub(lambda name: _mention(name.group(1), user_ids), pinging)


def _mention(name: str, user_ids: Mapping[str, str]) -> str:
    """The mention of a name. A dot or dash after the name belongs to the sentence."""
    known = name
    while known and known.lower() not in user_ids:
        known = known[:-1] if known[-1] in "._-" else ""
    if not known:
        return f"@{name}"
    return f"<@{user_ids[known.lower()]}>{name[len(known) :]}"


def has_mention(text: str, user_id: str) -> bool:
    """True if the text mentions this user."""
    return re.search(rf"<@{re.escape(user_id)}(?:\|[^<>]*)?>", text) is not None
