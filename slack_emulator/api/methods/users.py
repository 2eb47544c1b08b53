"""Implements users.info, users.list and usergroups.users.list."""

from __future__ import annotations

from typing import Final

from slack_emulator.api.methods.request import ApiRequest, Method, paginate
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import Json
from slack_emulator.state.serializers import user_json


async def info(slack: SlackBackend, request: ApiRequest) -> Json:
    """One user, or the bot."""
    return {"user": user_json(slack.workspace.user(request.arguments.required_text("user")))}


async def list_users(slack: SlackBackend, request: ApiRequest) -> Json:
    """All users, in pages."""
    users = [user_json(user) for user in slack.workspace.users.values()]
    members, cursor = paginate(users, request, 200, 1_000)
    return {
        "members": members,
        "cache_ts": int(slack.clock.now()),
        "response_metadata": {"next_cursor": cursor},
    }


async def list_group_users(slack: SlackBackend, request: ApiRequest) -> Json:
    """usergroups.users.list: the members of a user group."""
    group = slack.workspace.user_group(request.arguments.required_text("usergroup"))
    return {"users": list(group.members)}


METHODS: Final[dict[str, Method]] = {
    "usergroups.users.list": list_group_users,
    "users.info": info,
    "users.list": list_users,
}
