"""Fetches the bot's own identity from Slack."""

from __future__ import annotations

from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import SlackError
from bot.slack.api.auth_errors import BOT_TOKEN_REFUSED, NOT_A_BOT_TOKEN, with_remedy
from bot.slack.api.calls import SlackCallError, call_once


async def fetch_identity(client: AsyncWebClient) -> BotIdentity:
    """The bot's identity by Slack's `auth.test`. Raises `SlackError` with the remedy in its
    text."""
    try:
        response = await call_once(client.auth_test())
    except SlackCallError as error:
        raise with_remedy(error, BOT_TOKEN_REFUSED) from error
    values = [response.get(name) for name in ("team_id", "user_id", "bot_id", "user")]
    match values:
        case [str(team), str(user), str(bot), str(name)]:
            return BotIdentity(team=team, user=user, bot=bot, name=name)
    raise SlackError("not_a_bot_token", NOT_A_BOT_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class BotIdentity:
    """The bot's ids and name in its workspace, as Slack's `auth.test` returns them."""

    team: str
    user: str
    bot: str
    name: str
    answered_bots: frozenset[str] = frozenset()
    """Ids of other bots that are answered when they mention this bot."""
