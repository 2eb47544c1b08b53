"""Who may order what: what somebody is to the session or thread that an order is about.

Deny by default: guests and people of other workspaces are nothing else than that, unless the person
who runs the bot lets them in; where there are lists of people and of channels, nobody else is
answered and nowhere else; of other bots only those on a list are; and nobody does anything with a
place that they do not see at that moment.

Where somebody is comes in many ways: with an event, where Slack has seen to it that they can write
there, or in a form, a button or a menu, which bring back what was true when they were shown and may
be forged. So of all but a message it is asked whether they see the place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.domain.messages import Thread, ThreadKey
from bot.domain.sessions import SessionRecord
from bot.domain.users import Charge, Kind, Person, Standing
from bot.errors import SlackError
from bot.ports import People

log = logging.getLogger(__name__)


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
        """Who that is, as it may be remembered. Raises `SlackError`."""
        return await self._people.person(user)

    async def person_now(self, user: str) -> Person:
        """Who that is just now, as far as Slack tells. Raises `SlackError`."""
        return await self._people.person_now(user)

    async def kept_out(
        self,
        person: Person,
        channel: str = "",
        *,
        external: bool = False,
        charge: Charge | None = None,
    ) -> Standing | None:
        """What keeps somebody out (EXTERNAL, GUEST, UNLISTED, UNSURE, ELSEWHERE), else None.

        `channel` is where they are, "" for nowhere (the Home tab); `external`: whether Slack said
        so of what they wrote, whatever else is known of them; `charge`: whether they are in charge,
        where that has been asked. Raises `SlackError`, where it has not.
        """
        if (person.kind is Kind.EXTERNAL or external) and not self._doors.external:
            return Standing.EXTERNAL
        if person.kind is Kind.GUEST and not self._doors.guests:
            return Standing.GUEST
        if person.kind is Kind.BOT:
            return Standing.EXTERNAL
        if self._doors.users and person.user not in self._doors.users:
            if charge is None:
                now = await self.person_now(person.user) if person.remembered else person
                charge = Charge.YES if await self.in_charge(now) else Charge.NO
            if charge is not Charge.YES:
                return Standing.UNSURE if charge is Charge.UNSURE else Standing.UNLISTED
        return Standing.ELSEWHERE if self._closed(channel) else None

    async def shut_out(
        self, person: Person, channel: str, *, external: bool = False
    ) -> Standing | None:
        """What keeps somebody from asking in a place, or having something done there, just now: as
        `kept_out`, or STRANGER where they do not see it. Raises `SlackError`."""
        out = await self.kept_out(person, channel, external=external)
        if out is None and channel and await self.hidden(person, channel):
            return Standing.STRANGER
        return out

    def bot_kept_out(self, bot: str, channel: str) -> Standing | None:
        """The same for another bot, by the id with which it is on the list."""
        if bot not in self._doors.bots:
            return Standing.EXTERNAL
        return Standing.ELSEWHERE if self._closed(channel) else None

    def _closed(self, channel: str) -> bool:
        return bool(channel and self._doors.channels) and channel not in self._doors.channels

    async def in_charge(self, person: Person) -> bool:
        """Whether somebody is in charge of the bot just now. What is only remembered of them gives
        no such right. Raises `SlackError` where they may be, and Slack does not tell."""
        if person.kind is not Kind.MEMBER:
            return False
        doors = self._doors
        claims = person.user in doors.admins or (doors.workspace_admins and person.workspace_admin)
        if not claims and doors.admin_group:
            claims = await self._people.in_group(person.user, doors.admin_group)
        if claims and person.remembered:
            raise SlackError("unsure", f"whether {person.user} is still what they were")
        return claims

    async def charge(self, person: Person) -> Charge:
        """The same, without an error for the doubt."""
        try:
            return Charge.YES if await self.in_charge(person) else Charge.NO
        except SlackError as error:
            log.warning("whether somebody is in charge could not be found out: %s", error)
            return Charge.UNSURE

    async def sees(self, person: Person, channel: str) -> bool:
        """Whether somebody can read a channel just now. Raises `SlackError`."""
        return await self._people.sees(person.user, channel)

    async def hidden(self, person: Person, channel: str) -> bool:
        """Whether somebody does not see a place just now that the bot sees. In one that the bot
        does not see, Slack lets it do nothing. Raises `SlackError`."""
        return not await self.sees(person, channel) and await self._people.here(channel)

    async def standings(
        self,
        person: Person,
        place: ThreadKey | None,
        session: SessionRecord | None,
        thread: Thread | None,
        charge: Charge,
    ) -> frozenset[Standing]:
        """All that somebody is to a session, a thread, or (where there is neither) to the bot.

        `place` is where the session or thread is: STRANGER where they do not see it just now.
        `charge`: whether they are in charge. Raises `SlackError`.
        """
        out = await self.kept_out(person, charge=charge)
        if out is not None:
            return frozenset({out})
        found = set(_OF_CHARGE[charge])
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


_OF_CHARGE: Final[Mapping[Charge, frozenset[Standing]]] = {
    Charge.YES: frozenset({Standing.ADMIN}),
    Charge.NO: frozenset(),
    Charge.UNSURE: frozenset({Standing.UNSURE}),
}


async def seen_of(people: People, user: str, channels: Iterable[str]) -> frozenset[str]:
    """Those of some channels that somebody sees just now. Where Slack does not tell, they do not:
    trouble with one of them must not take the whole list away. Raises nothing."""

    async def sees(channel: str) -> bool:
        try:
            return await people.sees(user, channel)
        except SlackError as error:
            log.warning("whether %s sees %s could not be found out: %s", user, channel, error)
            return False

    wanted = sorted(set(channels))
    answers = await asyncio.gather(*map(sees, wanted))
    return frozenset(channel for channel, seen in zip(wanted, answers, strict=True) if seen)
