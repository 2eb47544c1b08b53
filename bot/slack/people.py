"""Where people are at home: a slash command tells only where it was used.

Bounded memory: a person's workspace does not change while the bot runs.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import SlackError
from bot.slack.calls import called

_KNOWN: Final = 1_000
_SECONDS: Final = 1.0  # a command has to be acknowledged within 3 s


class People:
    """Whose workspace is whose, as `users.info` tells it."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._teams: OrderedDict[str, str] = OrderedDict()

    async def team_of(self, user: str) -> str:
        """The id of the person's own workspace. Raises `SlackError`; waits a second at most."""
        if user not in self._teams:
            self._teams[user] = await self._asked(user)
            if len(self._teams) > _KNOWN:
                self._teams.popitem(last=False)
        return self._teams[user]

    async def _asked(self, user: str) -> str:
        answer = await called(self._client.users_info(user=user), _SECONDS)
        match answer.get("user"):
            case {"team_id": str(team)}:
                return team
        raise SlackError("no_team", "users.info answered without a workspace")
