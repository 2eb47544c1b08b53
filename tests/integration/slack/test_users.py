"""Users and the channels that they see, from a real emulator over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.domain.users import UserKind
from bot.errors import SlackError
from bot.slack.api.calls import ApiCaller
from bot.slack.api.client import SlackClient, make_client
from bot.slack.gateway import SlackAdapters, build_adapters
from bot.slack.users import _parse_user
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    DEV,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
    emulator_over_http,
)
from tests.fakes import ManualClock
from tests.integration.slack.receiver import IDENTITY


@dataclass
class UsersFixture:
    outside: Outside
    clock: ManualClock
    slack: SlackAdapters

    async def count_calls(self, method: str) -> int:
        return len(await self.outside.calls(method))


@pytest.fixture
async def users() -> AsyncIterator[UsersFixture]:
    async with emulator_over_http() as outside, aiohttp.ClientSession() as session:
        clock = ManualClock()
        web = make_client(BOT, f"{outside.url}/api/", session)
        client = SlackClient(web, ApiCaller(clock))
        yield UsersFixture(outside, clock, build_adapters(client, IDENTITY, clock))


@pytest.mark.parametrize(
    ("user", "name", "kind", "admin"),
    [
        ("UALICE", "alice", UserKind.MEMBER, True),
        ("UBOB", "bob", UserKind.MEMBER, False),
        ("UGUS", "gus", UserKind.GUEST, False),
        ("UEVE", "eve", UserKind.EXTERNAL, False),
        ("U0PILOT", "threadpilot", UserKind.BOT, False),
    ],
)
async def test_kinds_of_users_are_distinguished(
    users: UsersFixture, user: str, name: str, kind: UserKind, *, admin: bool
) -> None:
    person = await users.slack.users.get_user(user)
    assert (person.id, person.name, person.kind) == (user, name, kind)
    assert person.is_workspace_admin is admin
    assert (person.team == TEAM) is (kind is not UserKind.EXTERNAL)


@pytest.mark.parametrize(
    ("found", "kind", "name"),
    [
        ({"team_id": "T0OTHER", "enterprise_user": {"teams": [TEAM]}}, UserKind.MEMBER, "U1"),
        ({"team_id": "T0OTHER", "enterprise_user": {"teams": ["T1"]}}, UserKind.EXTERNAL, "U1"),
        ({"team_id": TEAM, "is_ultra_restricted": True, "name": "u"}, UserKind.GUEST, "u"),
        ({"team_id": TEAM, "is_stranger": True, "real_name": " Una "}, UserKind.EXTERNAL, "Una"),
        ({"team_id": TEAM, "is_bot": True, "profile": {"display_name": ""}}, UserKind.BOT, "U1"),
        ({"team_id": TEAM, "id": "USLACKBOT"}, UserKind.BOT, "U1"),
    ],
)
def test_kinds_that_the_emulator_does_not_have_are_distinguished_too(
    found: dict[str, object], kind: UserKind, name: str
) -> None:
    person = _parse_user("U1", found, IDENTITY)
    assert (person.kind, person.name) == (kind, name)


@pytest.mark.parametrize("found", [None, {}, {"team_id": 7}, []])
def test_a_user_without_a_workspace_is_an_error_of_slack(found: object) -> None:
    with pytest.raises(SlackError):
        _parse_user("U1", found, IDENTITY)


async def test_a_user_is_cached_for_ten_minutes(users: UsersFixture) -> None:
    for _ in range(2):
        await users.slack.users.get_user("UBOB")
    assert await users.count_calls("users.info") == 1
    await users.clock.advance(601)
    await users.slack.users.get_user("UBOB")
    assert await users.count_calls("users.info") == 2


async def test_a_fresh_user_is_fetched_each_time_by_one_call(users: UsersFixture) -> None:
    for number in range(1, 4):
        assert not (await users.slack.users.fetch_user("UBOB")).is_cached
        assert await users.count_calls("users.info") == number
    assert (await users.slack.users.get_user("UBOB")).is_cached
    assert await users.count_calls("users.info") == 3


@pytest.mark.parametrize("trouble", [{"kind": "500"}, {"kind": "error", "error": "missing_scope"}])
async def test_what_is_remembered_counts_in_trouble_and_says_so(
    users: UsersFixture, trouble: dict[str, object]
) -> None:
    await users.slack.users.fetch_user("UALICE")
    await users.outside.control("faults", {"method": "users.info", "times": 1, **trouble})
    person = await users.slack.users.fetch_user("UALICE")
    assert (person.kind, person.is_cached) == (UserKind.MEMBER, True)
    assert not (await users.slack.users.fetch_user("UALICE")).is_cached


async def test_a_removed_user_is_dropped_from_the_cache(users: UsersFixture) -> None:
    await users.slack.users.fetch_user("UBOB")
    fault = {"method": "users.info", "times": 2, "kind": "error", "error": "user_not_found"}
    await users.outside.control("faults", fault)
    for _ in range(2):
        with pytest.raises(SlackError):
            await users.slack.users.fetch_user("UBOB")


async def test_an_unknown_user_is_an_error_of_slack(users: UsersFixture) -> None:
    with pytest.raises(SlackError) as caught:
        await users.slack.users.get_user("U0NOBODY")
    assert caught.value.code == "user_not_found"


@pytest.mark.parametrize(
    ("user", "channel", "sees"),
    [
        ("UBOB", GENERAL, True),
        ("UGUS", GENERAL, True),
        ("UEVE", GENERAL, True),
        ("UGUS", DEV, False),
        ("UEVE", DEV, True),
        ("UALICE", SECRET, False),  # the bot is not there
        ("UALICE", "C0NOWHERE", False),
    ],
)
async def test_users_who_see_a_channel(
    users: UsersFixture, user: str, channel: str, *, sees: bool
) -> None:
    assert await users.slack.users.can_see(user, channel) is sees


async def test_a_full_member_sees_a_public_channel_without_being_in_it(users: UsersFixture) -> None:
    for token in (BOB, "xoxp-eve"):
        await users.outside.act("conversations.leave", token, channel=DEV)
    assert await users.slack.users.can_see("UBOB", DEV)
    assert not await users.slack.users.can_see("UEVE", DEV)


async def test_a_private_channel_is_seen_by_its_current_members(users: UsersFixture) -> None:
    await users.outside.act("conversations.invite", ALICE, channel=SECRET, users="U0PILOT")
    assert await users.slack.users.can_see("UBOB", SECRET)
    assert not await users.slack.users.can_see("UEVE", SECRET)
    await users.outside.act("conversations.leave", BOB, channel=SECRET)
    assert not await users.slack.users.can_see("UBOB", SECRET)


async def test_direct_messages_are_seen_by_the_two_alone(users: UsersFixture) -> None:
    direct = await users.slack.publisher.open_dm("UBOB")
    assert await users.slack.users.can_see("UBOB", direct)
    assert not await users.slack.users.can_see("UALICE", direct)


async def test_a_large_channel_is_looked_through_page_by_page(users: UsersFixture) -> None:
    """The emulator has few users, so the page size comes from its response."""
    assert not await users.slack.users.can_see("UGUS", DEV)
    (call,) = await users.outside.calls("conversations.members")
    assert int(call["arguments"]["limit"]) == 1_000


async def test_a_user_who_cannot_be_looked_up_is_not_admitted(users: UsersFixture) -> None:
    fault = {"method": "conversations.info", "times": 1, "kind": "500"}
    await users.outside.control("faults", fault)
    with pytest.raises(SlackError):
        await users.slack.users.can_see("UBOB", GENERAL)


async def test_that_a_user_is_not_in_a_group_is_cached_for_a_minute(
    users: UsersFixture,
) -> None:
    people = users.slack.users
    for _ in range(2):
        assert not await people.is_in_group("UBOB", "S0PILOTS")
    assert await users.count_calls("usergroups.users.list") == 1
    await users.clock.advance(61)
    assert not await people.is_in_group("UBOB", "S0PILOTS")
    assert await users.count_calls("usergroups.users.list") == 2


async def test_that_a_user_is_in_a_group_is_fetched_each_time(users: UsersFixture) -> None:
    for number in range(1, 4):
        assert await users.slack.users.is_in_group("UCAROL", "S0PILOTS")
        assert await users.count_calls("usergroups.users.list") == number


@pytest.mark.parametrize(
    ("channel", "here"), [(GENERAL, True), (SECRET, False), ("C0NOWHERE", False)]
)
async def test_where_the_bot_itself_is(users: UsersFixture, channel: str, *, here: bool) -> None:
    assert await users.slack.users.bot_can_see(channel) is here


async def test_a_missing_group_has_no_members(users: UsersFixture) -> None:
    assert not await users.slack.users.is_in_group("UALICE", "S0NOBODY")


async def test_trouble_with_a_group_is_an_error_of_slack(users: UsersFixture) -> None:
    fault = {"method": "usergroups.users.list", "times": 1, "kind": "500"}
    await users.outside.control("faults", fault)
    with pytest.raises(SlackError):
        await users.slack.users.is_in_group("UCAROL", "S0PILOTS")
