"""What people are called, for texts that name several of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bot.commands.formatting import clipped, one_line
from bot.errors import SlackError
from bot.ports import People

MOST_NAMES = 200
"""Of more people than that in one text, the others go by their ids."""
_LONGEST = 80


class Names:
    """Looks up names; an id stands for itself where Slack does not tell."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def name(self, user: str) -> str:
        return (await self.of((user,)))[user]

    async def of(self, users: Iterable[str]) -> Mapping[str, str]:
        """The names of these people, all of them."""
        found: dict[str, str] = {}
        tries = 0
        for user in sorted(set(users)):
            name = ""
            if tries < MOST_NAMES:
                tries += 1
                try:
                    name = (await self._people.person(user)).name
                except SlackError as error:
                    if error.passing:  # Slack is in trouble: no use in asking for each of them
                        tries = MOST_NAMES
            found[user] = clipped(one_line(name), _LONGEST) or user
        return found
