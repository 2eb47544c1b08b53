"""Looks up the names of users, for texts that name several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from bot.commands.formatting import one_line
from bot.domain.text import truncate
from bot.errors import SlackError
from bot.ports import UserDirectory

MAX_LOOKUPS: Final = 200
"""Maximum number of look-ups for one text; the other users appear by their ids."""
_MAX_NAME_CHARS: Final = 80


class UserNames:
    """Looks up names; a user whose look-up fails appears by their id."""

    def __init__(self, users: UserDirectory) -> None:
        self._users = users

    async def name_of(self, user: str) -> str:
        return (await self.names_of((user,)))[user]

    async def names_of(self, users: Iterable[str]) -> Mapping[str, str]:
        """The name of each user, by id."""
        names: dict[str, str] = {}
        lookups = 0
        for user in sorted(set(users)):
            name = ""
            if lookups < MAX_LOOKUPS:
                lookups += 1
                try:
                    name = (await self._users.get_user(user)).name
                except SlackError as error:
                    if error.transient:  # Slack fails: further look-ups are useless
                        lookups = MAX_LOOKUPS
            names[user] = truncate(one_line(name), _MAX_NAME_CHARS) or user
        return names
