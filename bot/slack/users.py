"""Who people are and what they can see: `bot.ports.People` in Slack.

What is remembered is remembered for a short time, for people come and go; what somebody can see,
and whether they are more than a member, is asked anew each time.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

from bot.domain.users import Kind, Person
from bot.ports import Clock
from bot.slack.api.calls import CallError, bounded
from bot.slack.api.client import Client
from bot.slack.identity import Identity

log = logging.getLogger(__name__)

PERSON_SECONDS: Final = 600.0
GROUP_SECONDS: Final = 60.0

_KNOWN: Final = 2_000
_GROUPS_KNOWN: Final = 20
_SECONDS: Final = 10.0
_PATIENCE: Final = 10.0
_AGAIN_SECONDS: Final = 3.0
"""For so long it is asked again who somebody is, for else they are not answered."""
_NOW_SECONDS: Final = 3.0
"""So long it may take to ask anew who somebody is, and so long to wait for one's turn with that."""
_LOOK_SECONDS: Final = 30.0
"""For all pages of a channel's members."""
_PAGE: Final = 1_000
_MAX_PAGES: Final = 100

_NOT_OURS: Final = frozenset({"channel_not_found", "not_in_channel", "no_permission"})
"""Channels that the bot itself cannot see."""
_NO_GROUP: Final = frozenset({"no_such_subteam", "plan_upgrade_required", "missing_scope"})
"""There is no such group, or the bot may not look: then nobody is in it."""
_NOBODY: Final = frozenset({"user_not_found", "user_not_visible"})
"""There is no such person (any more): what is remembered of them does not count."""


class SlackPeople:
    """The people of one workspace."""

    def __init__(self, client: Client, us: Identity, clock: Clock) -> None:
        self._web = client.web
        self._calls = client.calls
        self._us = us
        self._clock = clock
        self._persons: OrderedDict[str, tuple[float, Person]] = OrderedDict()
        self._groups: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()

    async def person(self, user: str) -> Person:
        """`People.person`."""
        known = self._remembered(user)
        if known is not None:
            return known
        answer = await self._calls.until_done(
            self._web.users_info, within=_AGAIN_SECONDS, seconds=_SECONDS, user=user
        )
        return self._keep(user, answer)

    async def person_now(self, user: str) -> Person:
        """`People.person_now`."""
        known = self._remembered(user)
        if known is None:
            return await self.person(user)
        try:
            answer = await self._calls(
                self._web.users_info, patience=_NOW_SECONDS, seconds=_NOW_SECONDS, user=user
            )
            return self._keep(user, answer)
        except CallError as error:
            if error.code in _NOBODY:
                self._persons.pop(user, None)
                raise
            log.warning("who %s is counts as it was known before: %s", user, error)
            return known

    async def sees(self, user: str, channel: str) -> bool:
        """`People.sees`."""
        try:
            return await bounded(self._sees(user, channel), _LOOK_SECONDS)
        except CallError as error:
            if error.code in _NOT_OURS:
                return False
            raise

    async def here(self, channel: str) -> bool:
        """`People.here`."""
        try:
            await self._channel(channel)
        except CallError as error:
            if error.code in _NOT_OURS:
                return False
            raise
        return True

    async def in_group(self, user: str, group: str) -> bool:
        """`People.in_group`."""
        known = self._groups.get(group)
        young = known is not None and self._clock.monotonic() - known[0] < GROUP_SECONDS
        if known is not None and young and user not in known[1]:
            return False
        members = await self._members_of_group(group)
        self._groups[group] = self._clock.monotonic(), members
        if len(self._groups) > _GROUPS_KNOWN:
            self._groups.popitem(last=False)
        return user in members

    def _remembered(self, user: str) -> Person | None:
        known = self._persons.get(user)
        if known is None or self._clock.monotonic() - known[0] >= PERSON_SECONDS:
            return None
        return replace(known[1], remembered=True)

    def _keep(self, user: str, answer: Mapping[str, object]) -> Person:
        """Who that is by Slack's answer, from now on remembered. Raises `CallError`."""
        person = _person(user, answer.get("user"), self._us)
        self._persons[user] = (self._clock.monotonic(), person)
        self._persons.move_to_end(user)
        if len(self._persons) > _KNOWN:
            self._persons.popitem(last=False)
        return person

    async def _sees(self, user: str, channel: str) -> bool:
        match (await self._channel(channel)).get("channel"):
            case {"is_im": True, "user": str(other)}:
                return user == other
            case dict() as place:
                public = place.get("is_private") is False and not place.get("is_mpim")
            case _:
                raise CallError("not_json", "the answer names no channel")
        if public and (await self.person(user)).kind is Kind.MEMBER:
            return True
        async for member in self._members(channel):
            if member == user:
                return True
        return False

    async def _channel(self, channel: str) -> Mapping[str, object]:
        return await self._calls(
            self._web.conversations_info, patience=_PATIENCE, seconds=_SECONDS, channel=channel
        )

    async def _members(self, channel: str) -> AsyncIterator[str]:
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await self._calls(
                self._web.conversations_members,
                patience=_PATIENCE,
                seconds=_SECONDS,
                channel=channel,
                limit=_PAGE,
                cursor=cursor,
            )
            for member in _strings(page.get("members")):
                yield member
            rest = page.get("response_metadata")
            cursor = str(rest.get("next_cursor") or "") if isinstance(rest, dict) else ""
            if not cursor:
                return
        raise CallError("too_many_members", f"more than {_PAGE * _MAX_PAGES:,}")

    async def _members_of_group(self, group: str) -> frozenset[str]:
        try:
            answer = await self._calls(
                self._web.usergroups_users_list,
                patience=_PATIENCE,
                seconds=_SECONDS,
                usergroup=group,
            )
        except CallError as error:
            if error.code not in _NO_GROUP:
                raise
            log.warning("nobody is in charge by user group %s: %s", group, error)
            return frozenset()
        return frozenset(_strings(answer.get("users")))


def _person(user: str, found: object, us: Identity) -> Person:
    """A person as `users.info` tells it (docs.slack.dev/reference/objects/user-object)."""
    match found:
        case {"team_id": str(team)} if isinstance(found, dict):
            pass
        case _:
            raise CallError("no_team", "users.info answered without a workspace")
    return Person(
        user=user,
        team=us.team if _at_home(found, us) else team,
        name=_name(found) or user,
        kind=_kind(found, us),
        workspace_admin=any(
            found.get(flag) is True for flag in ("is_admin", "is_owner", "is_primary_owner")
        ),
    )


def _kind(found: Mapping[str, object], us: Identity) -> Kind:
    if found.get("is_bot") is True or found.get("id") == "USLACKBOT":
        return Kind.BOT
    if found.get("is_stranger") is True or not _at_home(found, us):
        return Kind.EXTERNAL
    if found.get("is_restricted") is True or found.get("is_ultra_restricted") is True:
        return Kind.GUEST
    return Kind.MEMBER


def _at_home(found: Mapping[str, object], us: Identity) -> bool:
    """Whether they belong to our workspace; in an Enterprise organization, among others."""
    if found.get("team_id") == us.team:
        return True
    elsewhere = found.get("enterprise_user")
    return isinstance(elsewhere, dict) and us.team in _strings(elsewhere.get("teams"))


def _name(found: Mapping[str, object]) -> str:
    """What people call them: the name that they chose to be shown, where they chose one."""
    profile = found.get("profile")
    shown = profile.get("display_name") if isinstance(profile, dict) else ""
    for name in (shown, found.get("real_name"), found.get("name")):
        if isinstance(name, str) and name.strip():
            return name.strip()
    return ""


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
