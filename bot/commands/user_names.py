"""What people are called, for texts that name several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.commands.formatting import one_line
from bot.domain.text import truncate
from bot.errors import SlackError
from bot.ports import UserDirectory

MAX_LOOKUPS = 200
"""Of more people than that in one text, the others go by their ids."""
_MAX_NAME_CHARS = 80


class UserNames:
    """Looks up names; an id stands for itself where Slack does not tell."""

    def __init__(self, users: UserDirectory) -> None:
        self._users = users

    async def name_of(self, user: str) -> str:
        return (await self.names_of((user,)))[user]

    async def names_of(self, users: Iterable[str]) -> Mapping[str, str]:
        """The names of these people, all of them."""
        found: dict[str, str] = {}
        tries = 0
        for user in sorted(set(users)):
            name = ""
            if tries < MAX_LOOKUPS:
                tries += 1
                try:
                    name = (await self._users.get_user(user)).name
                except SlackError as error:
                    if error.transient:  # Slack is in trouble: no use in asking for each of them
                        tries = MAX_LOOKUPS
            found[user] = truncate(one_line(name), _MAX_NAME_CHARS) or user
        return found
