"""Who may order what: what somebody is to the session or thread that an order is about.

Deny by default: guests and people of other workspaces are nothing else than that, unless the person
who runs the bot lets them in; where there are lists of people and of channels, nobody else is
answered and nowhere else; of other bots only those on a list are; and nobody does anything with a
place that they do not see at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.model import Thread, ThreadKey
from bot.people import Kind, Person, Standing
from bot.ports import People
from bot.records import SessionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorkeeping:
    """Whom the person who runs the bot lets in."""

    admins: frozenset[str] = field(default_factory=frozenset)
    """Slack user ids of those in charge."""
    workspace_admins: bool = True
    """Whether the workspace's admins and owners are in charge, too."""
    admin_group: str = ""
    """A user group (`S…`) whose members are in charge."""
    guests: bool = False
    external: bool = False
    channels: frozenset[str] = field(default_factory=frozenset)
    """Where alone anybody is answered; empty: everywhere. Direct messages are places like any
    other."""
    users: frozenset[str] = field(default_factory=frozenset)
    """Who alone is answered, besides those in charge; empty: everybody."""
    bots: frozenset[str] = field(default_factory=frozenset)
    """Other bots that are answered, by any of their ids."""


class Access:
    """Tells what people are to a session."""

    def __init__(self, people: People, doors: Doorkeeping) -> None:
        self._people = people
        self._doors = doors

    async def person(self, user: str) -> Person:
        """Who that is. Raises `SlackError`."""
        return await self._people.person(user)

    async def kept_out(
        self, person: Person, channel: str = "", *, external: bool = False
    ) -> Standing | None:
        """What keeps somebody out (EXTERNAL, GUEST, UNLISTED, ELSEWHERE), else None. `channel` is
        where they are, "" for nowhere (the Home tab); `external`: whether Slack said so of what
        they wrote, whatever else is known of them. Raises `SlackError`."""
        if (person.kind is Kind.EXTERNAL or external) and not self._doors.external:
            return Standing.EXTERNAL
        if person.kind is Kind.GUEST and not self._doors.guests:
            return Standing.GUEST
        if person.kind is Kind.BOT:
            return Standing.EXTERNAL
        users = self._doors.users
        if users and person.user not in users and not await self.in_charge(person):
            return Standing.UNLISTED
        return Standing.ELSEWHERE if self._closed(channel) else None

    def bot_kept_out(self, bot: str, channel: str) -> Standing | None:
        """The same for another bot, by the id with which it is on the list."""
        if bot not in self._doors.bots:
            return Standing.EXTERNAL
        return Standing.ELSEWHERE if self._closed(channel) else None

    def _closed(self, channel: str) -> bool:
        return bool(channel and self._doors.channels) and channel not in self._doors.channels

    async def in_charge(self, person: Person) -> bool:
        """Whether somebody is in charge of the bot. Raises `SlackError`."""
        if person.kind is not Kind.MEMBER:
            return False
        if person.user in self._doors.admins:
            return True
        if self._doors.workspace_admins and person.workspace_admin:
            return True
        group = self._doors.admin_group
        return bool(group) and await self._people.in_group(person.user, group)

    async def sees(self, person: Person, channel: str) -> bool:
        """Whether somebody can read a channel just now. Raises `SlackError`."""
        return await self._people.sees(person.user, channel)

    async def standings(
        self,
        person: Person,
        place: ThreadKey | None,
        session: SessionRecord | None,
        thread: Thread | None,
    ) -> frozenset[Standing]:
        """All that somebody is to a session, a thread, or (where there is neither) to the bot.

        `place` is where the session or thread is: STRANGER where they do not see it just now.
        Raises `SlackError`.
        """
        out = await self.kept_out(person)
        if out is not None:
            return frozenset({out})
        found = {Standing.ADMIN} if await self.in_charge(person) else set[Standing]()
        if place is not None and not await self.sees(person, place.channel):
            return frozenset({*found, Standing.STRANGER})
        found.add(Standing.MEMBER)
        if thread is not None and person.user in thread.people:
            found.add(Standing.PARTICIPANT)
        if session is None:
            # Nobody's yet: it is theirs who are alone in the thread, or begin it.
            owns = thread is None or thread.people <= {person.user}
        else:
            owns = session.owner == person.user
        if owns:
            found.add(Standing.OWNER)
        return frozenset(found)
