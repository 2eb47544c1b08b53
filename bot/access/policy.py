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
from bot.domain.users import AccessRole, AdminStatus, User, UserKind
from bot.errors import SlackError
from bot.ports import UserDirectory

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessConfig:
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


class AccessPolicy:
    """Tells what people are to a session."""

    def __init__(self, users: UserDirectory, config: AccessConfig) -> None:
        self._users = users
        self._config = config

    async def get_user(self, user_id: str) -> User:
        """Who that is, as it may be remembered. Raises `SlackError`."""
        return await self._users.get_user(user_id)

    async def fetch_user(self, user_id: str) -> User:
        """Who that is just now, as far as Slack tells. Raises `SlackError`."""
        return await self._users.fetch_user(user_id)

    async def denial(
        self,
        user: User,
        channel: str = "",
        *,
        external: bool = False,
        admin_status: AdminStatus | None = None,
    ) -> AccessRole | None:
        """What keeps somebody out (EXTERNAL, GUEST, UNLISTED, UNSURE, ELSEWHERE), else None.

        `channel` is where they are, "" for nowhere (the Home tab); `external`: whether Slack said
        so of what they wrote, whatever else is known of them; `charge`: whether they are in charge,
        where that has been asked. Raises `SlackError`, where it has not.
        """
        if (user.kind is UserKind.EXTERNAL or external) and not self._config.external:
            return AccessRole.EXTERNAL
        if user.kind is UserKind.GUEST and not self._config.guests:
            return AccessRole.GUEST
        if user.kind is UserKind.BOT:
            return AccessRole.EXTERNAL
        if self._config.users and user.id not in self._config.users:
            if admin_status is None:
                now = await self.fetch_user(user.id) if user.is_cached else user
                admin_status = AdminStatus.YES if await self.is_admin(now) else AdminStatus.NO
            if admin_status is not AdminStatus.YES:
                return (
                    AccessRole.ADMIN_UNKNOWN
                    if admin_status is AdminStatus.UNKNOWN
                    else AccessRole.USER_NOT_ALLOWED
                )
        return AccessRole.CHANNEL_NOT_ALLOWED if self._is_excluded(channel) else None

    async def channel_denial(
        self, user: User, channel: str, *, external: bool = False
    ) -> AccessRole | None:
        """What keeps somebody from asking in a place, or having something done there, just now: as
        `kept_out`, or STRANGER where they do not see it. Raises `SlackError`."""
        out = await self.denial(user, channel, external=external)
        if out is None and channel and await self.is_hidden(user, channel):
            return AccessRole.NO_ACCESS
        return out

    def bot_denial(self, bot: str, channel: str) -> AccessRole | None:
        """The same for another bot, by the id with which it is on the list."""
        if bot not in self._config.bots:
            return AccessRole.EXTERNAL
        return AccessRole.CHANNEL_NOT_ALLOWED if self._is_excluded(channel) else None

    def _is_excluded(self, channel: str) -> bool:
        return bool(channel and self._config.channels) and channel not in self._config.channels

    async def is_admin(self, user: User) -> bool:
        """Whether somebody is in charge of the bot just now. What is only remembered of them gives
        no such right. Raises `SlackError` where they may be, and Slack does not tell."""
        if user.kind is not UserKind.MEMBER:
            return False
        doors = self._config
        claims = user.id in doors.admins or (doors.workspace_admins and user.is_workspace_admin)
        if not claims and doors.admin_group:
            claims = await self._users.is_in_group(user.id, doors.admin_group)
        if claims and user.is_cached:
            raise SlackError("unsure", f"whether {user.id} is still what they were")
        return claims

    async def admin_status(self, user: User) -> AdminStatus:
        """The same, without an error for the doubt."""
        try:
            return AdminStatus.YES if await self.is_admin(user) else AdminStatus.NO
        except SlackError as error:
            log.warning("whether somebody is in charge could not be found out: %s", error)
            return AdminStatus.UNKNOWN

    async def can_see(self, user: User, channel: str) -> bool:
        """Whether somebody can read a channel just now. Raises `SlackError`."""
        return await self._users.can_see(user.id, channel)

    async def is_hidden(self, user: User, channel: str) -> bool:
        """Whether somebody does not see a place just now that the bot sees. In one that the bot
        does not see, Slack lets it do nothing. Raises `SlackError`."""
        return not await self.can_see(user, channel) and await self._users.bot_can_see(channel)

    async def roles_of(
        self,
        user: User,
        thread_key: ThreadKey | None,
        session: SessionRecord | None,
        thread: Thread | None,
        admin_status: AdminStatus,
    ) -> frozenset[AccessRole]:
        """All that somebody is to a session, a thread, or (where there is neither) to the bot.

        `place` is where the session or thread is: STRANGER where they do not see it just now.
        `charge`: whether they are in charge. Raises `SlackError`.
        """
        out = await self.denial(user, admin_status=admin_status)
        if out is not None:
            return frozenset({out})
        found = set(_ROLES_BY_ADMIN_STATUS[admin_status])
        if thread_key is not None and not await self.can_see(user, thread_key.channel):
            return frozenset({*found, AccessRole.NO_ACCESS})
        found.add(AccessRole.MEMBER)
        if thread is not None and user.id in thread.participants:
            found.add(AccessRole.PARTICIPANT)
        if session is None:
            # Nobody's yet: it is theirs who are alone in the thread, or begin it.
            owns = thread is None or thread.participants <= {user.id}
        else:
            owns = session.owner == user.id
        if owns:
            found.add(AccessRole.OWNER)
        return frozenset(found)


_ROLES_BY_ADMIN_STATUS: Final[Mapping[AdminStatus, frozenset[AccessRole]]] = {
    AdminStatus.YES: frozenset({AccessRole.ADMIN}),
    AdminStatus.NO: frozenset(),
    AdminStatus.UNKNOWN: frozenset({AccessRole.ADMIN_UNKNOWN}),
}


async def visible_channels(
    users: UserDirectory, user: str, channels: Iterable[str]
) -> frozenset[str]:
    """Those of some channels that somebody sees just now. Where Slack does not tell, they do not:
    trouble with one of them must not take the whole list away. Raises nothing."""

    async def sees(channel: str) -> bool:
        try:
            return await users.can_see(user, channel)
        except SlackError as error:
            log.warning("whether %s sees %s could not be found out: %s", user, channel, error)
            return False

    wanted = sorted(set(channels))
    answers = await asyncio.gather(*map(sees, wanted))
    return frozenset(channel for channel, seen in zip(wanted, answers, strict=True) if seen)
