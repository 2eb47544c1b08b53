"""users.info, users.list and usergroups.users.list."""

from __future__ import annotations

from typing import Final

from slack_emulator.api.methods.request import Asked, Method, page
from slack_emulator.backend import Slack
from slack_emulator.state.entities import Json
from slack_emulator.state.serializers import user_json


async def info(slack: Slack, asked: Asked) -> Json:
    """One person, or the bot."""
    return {"user": user_json(slack.workspace.user(asked.arguments.required("user")))}


async def everybody(slack: Slack, asked: Asked) -> Json:
    """Everybody, page by page."""
    users = [user_json(user) for user in slack.workspace.users.values()]
    members, cursor = page(users, asked, 200, 1_000)
    return {
        "members": members,
        "cache_ts": int(slack.clock.now()),
        "response_metadata": {"next_cursor": cursor},
    }


async def of_group(slack: Slack, asked: Asked) -> Json:
    """usergroups.users.list: who is in a user group."""
    group = slack.workspace.group(asked.arguments.required("usergroup"))
    return {"users": list(group.members)}


METHODS: Final[dict[str, Method]] = {
    "usergroups.users.list": of_group,
    "users.info": info,
    "users.list": everybody,
}
