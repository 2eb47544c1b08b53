"""Decides which roles a user has for a session or thread, and who is denied.

Deny by default. Guests and users of other workspaces are denied unless the operator lets them in.
With a list of users or channels, everything outside of it is denied. Other bots are answered only
if they are on a list. A user can do nothing in a channel that they do not see at that moment.

A channel id comes from several sources. In an event it is reliable: Slack has checked that the
author can write there. In a form, a button or a menu it may be outdated or forged. So visibility
is checked for everything except messages.
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
    """The users, channels and bots that the operator lets in."""

    admins: frozenset[str] = field(default_factory=frozenset)
    """Slack user ids of the bot admins."""
    workspace_admins: bool = True
    """True if the workspace's admins and owners are bot admins, too."""
    admin_group: str = ""
    """A user group (`S…`) whose members are bot admins, or an empty string."""
    guests: bool = False
    external: bool = False
    channels: frozenset[str] = field(default_factory=frozenset)
    """The only channels in which the bot answers; empty for all. A direct message counts as a
    channel."""
    users: frozenset[str] = field(default_factory=frozenset)
    """The only users who are answered, apart from admins; empty for all."""
    bots: frozenset[str] = field(default_factory=frozenset)
    """Other bots that are answered. Any of a bot's ids will do."""


class AccessPolicy:
    """Finds the access roles of users."""

    def __init__(self, users: UserDirectory, config: AccessConfig) -> None:
        self._users = users
        self._config = config

    async def get_user(self, user_id: str) -> User:
        """A user, possibly from the cache. Raises `SlackError`."""
        return await self._users.get_user(user_id)

    async def fetch_user(self, user_id: str) -> User:
        """A user as Slack returns them now. Raises `SlackError`."""
        return await self._users.fetch_user(user_id)

    async def denial(
        self,
        user: User,
        channel: str = "",
        *,
        external: bool = False,
        admin_status: AdminStatus | None = None,
    ) -> AccessRole | None:
        """The reason why a user is denied, or None.

        `channel` is where the user is, "" on the Home tab. `external` is True if Slack marked the
        message as external, even if its author is known as a member. `admin_status` is passed if it
        is known already; without it this may raise `SlackError`.
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
        """The reason why a user may not ask or act in a channel now, or None.

        As `denial`, plus `NO_ACCESS` for a channel that the user does not see. Raises `SlackError`.
        """
        denial = await self.denial(user, channel, external=external)
        if denial is None and channel and await self.is_hidden(user, channel):
            return AccessRole.NO_ACCESS
        return denial

    def bot_denial(self, bot: str, channel: str) -> AccessRole | None:
        """As `denial` for another bot. `bot` is its id on the list."""
        if bot not in self._config.bots:
            return AccessRole.EXTERNAL
        return AccessRole.CHANNEL_NOT_ALLOWED if self._is_excluded(channel) else None

    def _is_excluded(self, channel: str) -> bool:
        return bool(channel and self._config.channels) and channel not in self._config.channels

    async def is_admin(self, user: User) -> bool:
        """True if a user is a bot admin now.

        A cached user gets no admin rights. Raises `SlackError` if the user may be an admin but
        Slack does not confirm it.
        """
        if user.kind is not UserKind.MEMBER:
            return False
        config = self._config
        claims = user.id in config.admins or (config.workspace_admins and user.is_workspace_admin)
        if not claims and config.admin_group:
            claims = await self._users.is_in_group(user.id, config.admin_group)
        if claims and user.is_cached:
            raise SlackError("unsure", f"{user.id} may no longer be an admin")
        return claims

    async def admin_status(self, user: User) -> AdminStatus:
        """As `is_admin`, with UNKNOWN in place of the error."""
        try:
            return AdminStatus.YES if await self.is_admin(user) else AdminStatus.NO
        except SlackError as error:
            log.warning("admin check failed: user=%s error=%s", user.id, error)
            return AdminStatus.UNKNOWN

    async def can_see(self, user: User, channel: str) -> bool:
        """True if a user can read a channel now. Raises `SlackError`."""
        return await self._users.can_see(user.id, channel)

    async def is_hidden(self, user: User, channel: str) -> bool:
        """True if the bot sees a channel now and the user does not.

        In a channel that the bot does not see, Slack lets it do nothing. Raises `SlackError`.
        """
        return not await self.can_see(user, channel) and await self._users.bot_can_see(channel)

    async def roles_of(
        self,
        user: User,
        thread_key: ThreadKey | None,
        session: SessionRecord | None,
        thread: Thread | None,
        admin_status: AdminStatus,
    ) -> frozenset[AccessRole]:
        """All roles of a user for a session, a thread, or (without either) the bot.

        `thread_key` is where the session or thread is. The roles include `NO_ACCESS` if the user
        does not see its channel now. Raises `SlackError`.
        """
        denial = await self.denial(user, admin_status=admin_status)
        if denial is not None:
            return frozenset({denial})
        roles = set(_ROLES_BY_ADMIN_STATUS[admin_status])
        if thread_key is not None and not await self.can_see(user, thread_key.channel):
            return frozenset({*roles, AccessRole.NO_ACCESS})
        roles.add(AccessRole.MEMBER)
        if thread is not None and user.id in thread.participants:
            roles.add(AccessRole.PARTICIPANT)
        if session is None:
            # Without a session the owner is the only participant, or the user who starts it.
            owns = thread is None or thread.participants <= {user.id}
        else:
            owns = session.owner == user.id
        if owns:
            roles.add(AccessRole.OWNER)
        return frozenset(roles)


_ROLES_BY_ADMIN_STATUS: Final[Mapping[AdminStatus, frozenset[AccessRole]]] = {
    AdminStatus.YES: frozenset({AccessRole.ADMIN}),
    AdminStatus.NO: frozenset(),
    AdminStatus.UNKNOWN: frozenset({AccessRole.ADMIN_UNKNOWN}),
}


async def visible_channels(
    users: UserDirectory, user: str, channels: Iterable[str]
) -> frozenset[str]:
    """The channels, out of those given, that a user sees now.

    A channel whose check fails counts as not visible: one failure must not hide the whole list.
    Raises nothing.
    """

    async def sees(channel: str) -> bool:
        try:
            return await users.can_see(user, channel)
        except SlackError as error:
            log.warning(
                "visibility check failed: user=%s channel=%s error=%s", user, channel, error
            )
            return False

    wanted = sorted(set(channels))
    answers = await asyncio.gather(*map(sees, wanted))
    return frozenset(channel for channel, seen in zip(wanted, answers, strict=True) if seen)
