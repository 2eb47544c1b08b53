"""The Web API's methods by name, with the callers allowed and the scopes needed."""

from __future__ import annotations

from typing import Final

from slack_emulator.api.methods import (
    agents,
    apps,
    chat,
    conversations,
    files,
    reactions,
    streams,
    user_actions,
    users,
    views,
)
from slack_emulator.api.methods.request import Method

METHODS: Final[dict[str, Method]] = (
    agents.METHODS
    | apps.METHODS
    | chat.METHODS
    | conversations.METHODS
    | files.METHODS
    | user_actions.METHODS
    | reactions.METHODS
    | streams.METHODS
    | users.METHODS
    | views.METHODS
)

USER_ONLY_METHODS: Final = frozenset(user_actions.METHODS)
"""Methods for users only: they represent actions in Slack's client."""

APP_ONLY_METHODS: Final = frozenset(
    {"chat.postEphemeral", *agents.METHODS, *streams.METHODS, *views.METHODS}
)
"""Methods for the app's bot only."""

_HISTORY_SCOPES: Final = ("channels:history", "groups:history", "im:history", "mpim:history")
_READ_SCOPES: Final = ("channels:read", "groups:read", "im:read", "mpim:read")

SCOPES: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(agents.METHODS, ("chat:write", "assistant:write")),
    **dict.fromkeys((*chat.METHODS, *streams.METHODS), ("chat:write",)),
    "bots.info": ("users:read",),
    "chat.getPermalink": (),
    "conversations.history": _HISTORY_SCOPES,
    "conversations.info": _READ_SCOPES,
    "conversations.invite": ("channels:manage", "groups:write"),
    "conversations.join": ("channels:join",),
    "conversations.list": _READ_SCOPES,
    "conversations.members": _READ_SCOPES,
    "conversations.open": ("im:write",),
    "conversations.replies": _HISTORY_SCOPES,
    "files.completeUploadExternal": ("files:write",),
    "files.delete": ("files:write",),
    "files.getUploadURLExternal": ("files:write",),
    "files.info": ("files:read",),
    "usergroups.users.list": ("usergroups:read",),
    "reactions.add": ("reactions:write",),
    "reactions.get": ("reactions:read",),
    "reactions.remove": ("reactions:write",),
    "team.info": ("team:read",),
    "users.conversations": _READ_SCOPES,
    "users.info": ("users:read",),
    "users.list": ("users:read",),
}
"""Scopes by method; one of them must be granted (docs.slack.dev/reference/methods).
"""
