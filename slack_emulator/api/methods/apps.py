"""Implements auth.test, api.test, apps.connections.open, bots.info and team.info."""

from __future__ import annotations

from typing import Final

from slack_emulator.api.methods.request import ApiRequest, Method
from slack_emulator.backend import SlackBackend
from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import (
    APP_ID,
    BOT_ID,
    OUTSIDE_TEAM_ID,
    TEAM_DOMAIN,
    TEAM_ID,
    ApiError,
    Json,
)
from slack_emulator.state.serializers import bot_profile

TEAM_NAME: Final = "Sandbox"
OUTSIDE_TEAM_NAME: Final = "Another company"


async def auth_test(slack: SlackBackend, request: ApiRequest) -> Json:
    """The user and the workspace that the token belongs to."""
    user = request.user
    shown: Json = {
        "url": f"{slack.workspace.url}/",
        "team": OUTSIDE_TEAM_NAME if user.is_stranger else TEAM_NAME,
        "user": user.name,
        "team_id": user.team_id,
        "user_id": user.id,
        "is_enterprise_install": False,
    }
    if user.is_bot:
        shown["bot_id"] = user.bot_id
    return shown


async def connections_open(slack: SlackBackend, request: ApiRequest) -> Json:
    """A connection URL for one WebSocket."""
    del request
    if slack.app_config.request_url is not None:
        raise ApiError("not_allowed")
    address = slack.workspace.url.replace("http", "ws", 1)
    return {
        "url": f"{address}/link/?ticket={slack.socket_mode.issue_connection_key()}&app_id={APP_ID}"
    }


async def bots_info(slack: SlackBackend, request: ApiRequest) -> Json:
    """The app's own bot, or another one."""
    bot = request.arguments.text("bot", BOT_ID)
    bots = (user for user in slack.workspace.users.values() if user.is_bot)
    if (found := next((user for user in bots if user.bot_id == bot), None)) is None:
        raise ApiError("bot_not_found")
    return {"bot": bot_profile(found)}


async def team_info(slack: SlackBackend, request: ApiRequest) -> Json:
    """The workspace, or the other workspace with which it shares channels."""
    team = request.arguments.text("team", TEAM_ID)
    if team not in (TEAM_ID, OUTSIDE_TEAM_ID):
        raise ApiError("team_not_found")
    name = TEAM_NAME if team == TEAM_ID else OUTSIDE_TEAM_NAME
    domain = TEAM_DOMAIN if team == TEAM_ID else "outside"
    url = f"{slack.workspace.url}/"
    return {
        "team": {
            "id": team,
            "name": name,
            "domain": domain,
            "url": url,
            "email_domain": "",
            "icon": {},
        }
    }


async def blocks_validate(slack: SlackBackend, request: ApiRequest) -> Json:
    """Check whether Slack would accept these blocks."""
    del slack
    blocks = request.arguments.json_objects("blocks", "invalid_blocks")
    if not blocks:
        raise ApiError("no_blocks")
    block_kit.validate_blocks(blocks)
    return {}


async def oauth_access(slack: SlackBackend, request: ApiRequest) -> Json:
    """Always refused: the emulator has one fixed app, so there are no codes to exchange."""
    del slack
    request.arguments.text("code")
    raise ApiError("invalid_code")


METHODS: Final[dict[str, Method]] = {
    "apps.connections.open": connections_open,
    "auth.test": auth_test,
    "blocks.validate": blocks_validate,
    "bots.info": bots_info,
    "oauth.v2.access": oauth_access,
    "team.info": team_info,
}
