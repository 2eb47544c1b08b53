"""Looks up users and the channels that they can see: `bot.ports.UserDirectory` for Slack.

Users are cached for a short time only, as accounts change. Membership of channels, and of groups
that give a user more rights, is fetched on each call.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

from bot.domain.users import User, UserKind
from bot.ports import Clock
from bot.slack.api.calls import SlackCallError, with_timeout
from bot.slack.api.client import SlackClient
from bot.slack.identity import BotIdentity

log = logging.getLogger(__name__)

USER_CACHE_SECONDS: Final = 600.0
GROUP_CACHE_SECONDS: Final = 60.0

_MAX_CACHED_USERS: Final = 2_000
_MAX_CACHED_GROUPS: Final = 20
_CALL_SECONDS: Final = 10.0
_MAX_WAIT_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 3.0
"""Time in seconds in which the lookup of a user is retried: without it they get no answer."""
_REFRESH_SECONDS: Final = 3.0
"""Timeout in seconds for a refresh of a cached user, and maximum wait for the rate limiter."""
_MEMBERS_SECONDS: Final = 30.0
"""Timeout in seconds for all pages of a channel's members."""
_PAGE_SIZE: Final = 1_000
_MAX_PAGES: Final = 100

_INVISIBLE_CHANNEL_ERRORS: Final = frozenset(
    {"channel_not_found", "not_in_channel", "no_permission"}
)
"""Errors for channels that the bot itself cannot see."""
_GROUP_ERRORS: Final = frozenset({"no_such_subteam", "plan_upgrade_required", "missing_scope"})
"""Errors for groups that do not exist or that the bot may not read: they count as empty."""
_UNKNOWN_USER_ERRORS: Final = frozenset({"user_not_found", "user_not_visible"})
"""Errors for users that do not exist (any more): the cached value is dropped."""


class SlackUsers:
    """The users of one workspace."""

    def __init__(self, client: SlackClient, identity: BotIdentity, clock: Clock) -> None:
        self._web = client.web
        self._calls = client.call
        self._identity = identity
        self._clock = clock
        self._users: OrderedDict[str, tuple[float, User]] = OrderedDict()
        self._groups: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()

    async def get_user(self, user_id: str) -> User:
        """`UserDirectory.get_user`."""
        cached = self._cached_user(user_id)
        if cached is not None:
            return cached
        response = await self._calls.call_with_retries(
            self._web.users_info, retry_seconds=_RETRY_SECONDS, seconds=_CALL_SECONDS, user=user_id
        )
        return self._store_user(user_id, response)

    async def fetch_user(self, user_id: str) -> User:
        """`UserDirectory.fetch_user`."""
        cached = self._cached_user(user_id)
        if cached is None:
            return await self.get_user(user_id)
        try:
            response = await self._calls(
                self._web.users_info,
                max_wait=_REFRESH_SECONDS,
                seconds=_REFRESH_SECONDS,
                user=user_id,
            )
            return self._store_user(user_id, response)
        except SlackCallError as error:
            if error.code in _UNKNOWN_USER_ERRORS:
                self._users.pop(user_id, None)
                raise
            log.warning(
                "user not refreshed, using the cached one: user=%s reason=%s", user_id, error
            )
            return cached

    async def can_see(self, user_id: str, channel: str) -> bool:
        """`UserDirectory.can_see`."""
        try:
            return await with_timeout(self._check_access(user_id, channel), _MEMBERS_SECONDS)
        except SlackCallError as error:
            if error.code in _INVISIBLE_CHANNEL_ERRORS:
                return False
            raise

    async def bot_can_see(self, channel: str) -> bool:
        """`UserDirectory.bot_can_see`."""
        try:
            await self._fetch_channel(channel)
        except SlackCallError as error:
            if error.code in _INVISIBLE_CHANNEL_ERRORS:
                return False
            raise
        return True

    async def is_in_group(self, user_id: str, group: str) -> bool:
        """`UserDirectory.is_in_group`."""
        cached = self._groups.get(group)
        is_fresh = cached is not None and self._clock.monotonic() - cached[0] < GROUP_CACHE_SECONDS
        if cached is not None and is_fresh and user_id not in cached[1]:
            return False
        members = await self._fetch_group_members(group)
        self._groups[group] = self._clock.monotonic(), members
        if len(self._groups) > _MAX_CACHED_GROUPS:
            self._groups.popitem(last=False)
        return user_id in members

    def _cached_user(self, user: str) -> User | None:
        cached = self._users.get(user)
        if cached is None or self._clock.monotonic() - cached[0] >= USER_CACHE_SECONDS:
            return None
        return replace(cached[1], is_cached=True)

    def _store_user(self, user: str, response: Mapping[str, object]) -> User:
        """The user in Slack's response, which is cached. Raises `SlackCallError`."""
        parsed = _parse_user(user, response.get("user"), self._identity)
        self._users[user] = (self._clock.monotonic(), parsed)
        self._users.move_to_end(user)
        if len(self._users) > _MAX_CACHED_USERS:
            self._users.popitem(last=False)
        return parsed

    async def _check_access(self, user: str, channel: str) -> bool:
        match (await self._fetch_channel(channel)).get("channel"):
            case {"is_im": True, "user": str(other)}:
                return user == other
            case dict() as info:
                public = info.get("is_private") is False and not info.get("is_mpim")
            case _:
                raise SlackCallError("not_json", "the answer names no channel")
        if public and (await self.get_user(user)).kind is UserKind.MEMBER:
            return True
        async for member in self._iter_members(channel):
            if member == user:
                return True
        return False

    async def _fetch_channel(self, channel: str) -> Mapping[str, object]:
        return await self._calls(
            self._web.conversations_info,
            max_wait=_MAX_WAIT_SECONDS,
            seconds=_CALL_SECONDS,
            channel=channel,
        )

    async def _iter_members(self, channel: str) -> AsyncIterator[str]:
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._calls(
                self._web.conversations_members,
                max_wait=_MAX_WAIT_SECONDS,
                seconds=_CALL_SECONDS,
                channel=channel,
                limit=_PAGE_SIZE,
                cursor=cursor,
            )
            for member in _strings(page.get("members")):
                yield member
            metadata = page.get("response_metadata")
            cursor = str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""
            if not cursor:
                return
        raise SlackCallError("too_many_members", f"more than {_PAGE_SIZE * _MAX_PAGES:,}")

    async def _fetch_group_members(self, group: str) -> frozenset[str]:
        try:
            response = await self._calls(
                self._web.usergroups_users_list,
                max_wait=_MAX_WAIT_SECONDS,
                seconds=_CALL_SECONDS,
                usergroup=group,
            )
        except SlackCallError as error:
            if error.code not in _GROUP_ERRORS:
                raise
            log.warning("user group not read, it counts as empty: group=%s reason=%s", group, error)
            return frozenset()
        return frozenset(_strings(response.get("users")))


def _parse_user(user: str, found: object, identity: BotIdentity) -> User:
    """The user in a response of `users.info` (docs.slack.dev/reference/objects/user-object)."""
    match found:
        case {"team_id": str(team)} if isinstance(found, dict):
            pass
        case _:
            raise SlackCallError("no_team", "users.info answered without a workspace")
    return User(
        id=user,
        team=identity.team if _is_in_workspace(found, identity) else team,
        name=_display_name(found) or user,
        kind=_user_kind(found, identity),
        is_workspace_admin=any(
            found.get(flag) is True for flag in ("is_admin", "is_owner", "is_primary_owner")
        ),
    )


def _user_kind(found: Mapping[str, object], identity: BotIdentity) -> UserKind:
    if found.get("is_bot") is True or found.get("id") == "USLACKBOT":
        return UserKind.BOT
    if found.get("is_stranger") is True or not _is_in_workspace(found, identity):
        return UserKind.EXTERNAL
    if found.get("is_restricted") is True or found.get("is_ultra_restricted") is True:
        return UserKind.GUEST
    return UserKind.MEMBER


def _is_in_workspace(found: Mapping[str, object], identity: BotIdentity) -> bool:
    """True if the user belongs to the bot's workspace; in an Enterprise organization users may
    belong to several."""
    if found.get("team_id") == identity.team:
        return True
    enterprise_user = found.get("enterprise_user")
    return isinstance(enterprise_user, dict) and identity.team in _strings(
        enterprise_user.get("teams")
    )


def _display_name(found: Mapping[str, object]) -> str:
    """The display name, else the real name, else the user name; or an empty string."""
    profile = found.get("profile")
    display_name = profile.get("display_name") if isinstance(profile, dict) else ""
    for name in (display_name, found.get("real_name"), found.get("name")):
        if isinstance(name, str) and name.strip():
            return name.strip()
    return ""


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
