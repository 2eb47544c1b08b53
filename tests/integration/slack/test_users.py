"""Who people are and what they see, as a real sandbox tells it over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.domain.users import Kind
from bot.errors import SlackError
from bot.slack.api.calls import Calls
from bot.slack.api.client import Client, make_client
from bot.slack.gateway import Adapters, adapters
from bot.slack.users import _person
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    DEV,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
    sandbox_from_outside,
)
from tests.fakes import HandClock
from tests.integration.slack.receiver import US


@dataclass
class World:
    outside: Outside
    clock: HandClock
    slack: Adapters

    async def asked(self, method: str) -> int:
        return len(await self.outside.calls(method))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with sandbox_from_outside() as outside, aiohttp.ClientSession() as session:
        clock = HandClock()
        web = make_client(BOT, f"{outside.url}/api/", session)
        client = Client(web, Calls(clock))
        yield World(outside, clock, adapters(client, US, clock))


@pytest.mark.parametrize(
    ("user", "name", "kind", "admin"),
    [
        ("UALICE", "alice", Kind.MEMBER, True),
        ("UBOB", "bob", Kind.MEMBER, False),
        ("UGUS", "gus", Kind.GUEST, False),
        ("UEVE", "eve", Kind.EXTERNAL, False),
        ("U0PILOT", "threadpilot", Kind.BOT, False),
    ],
)
async def test_people_are_told_apart(
    world: World, user: str, name: str, kind: Kind, *, admin: bool
) -> None:
    person = await world.slack.people.person(user)
    assert (person.user, person.name, person.kind) == (user, name, kind)
    assert person.workspace_admin is admin
    assert (person.team == TEAM) is (kind is not Kind.EXTERNAL)


@pytest.mark.parametrize(
    ("found", "kind", "name"),
    [
        ({"team_id": "T0OTHER", "enterprise_user": {"teams": [TEAM]}}, Kind.MEMBER, "U1"),
        ({"team_id": "T0OTHER", "enterprise_user": {"teams": ["T1"]}}, Kind.EXTERNAL, "U1"),
        ({"team_id": TEAM, "is_ultra_restricted": True, "name": "u"}, Kind.GUEST, "u"),
        ({"team_id": TEAM, "is_stranger": True, "real_name": " Una "}, Kind.EXTERNAL, "Una"),
        ({"team_id": TEAM, "is_bot": True, "profile": {"display_name": ""}}, Kind.BOT, "U1"),
        ({"team_id": TEAM, "id": "USLACKBOT"}, Kind.BOT, "U1"),
    ],
)
def test_kinds_that_the_sandbox_does_not_have_are_told_apart_too(
    found: dict[str, object], kind: Kind, name: str
) -> None:
    person = _person("U1", found, US)
    assert (person.kind, person.name) == (kind, name)


@pytest.mark.parametrize("found", [None, {}, {"team_id": 7}, []])
def test_a_person_without_a_workspace_is_an_error_of_slack(found: object) -> None:
    with pytest.raises(SlackError):
        _person("U1", found, US)


async def test_somebody_is_remembered_for_ten_minutes(world: World) -> None:
    for _ in range(2):
        await world.slack.people.person("UBOB")
    assert await world.asked("users.info") == 1
    await world.clock.advance(601)
    await world.slack.people.person("UBOB")
    assert await world.asked("users.info") == 2


async def test_who_somebody_is_just_now_is_asked_each_time_by_one_call(world: World) -> None:
    for number in range(1, 4):
        assert not (await world.slack.people.person_now("UBOB")).remembered
        assert await world.asked("users.info") == number
    assert (await world.slack.people.person("UBOB")).remembered
    assert await world.asked("users.info") == 3


@pytest.mark.parametrize("trouble", [{"kind": "500"}, {"kind": "error", "error": "missing_scope"}])
async def test_what_is_remembered_counts_in_trouble_and_says_so(
    world: World, trouble: dict[str, object]
) -> None:
    await world.slack.people.person_now("UALICE")
    await world.outside.control("faults", {"method": "users.info", "times": 1, **trouble})
    person = await world.slack.people.person_now("UALICE")
    assert (person.kind, person.remembered) == (Kind.MEMBER, True)
    assert not (await world.slack.people.person_now("UALICE")).remembered


async def test_of_who_is_gone_nothing_is_remembered(world: World) -> None:
    await world.slack.people.person_now("UBOB")
    fault = {"method": "users.info", "times": 2, "kind": "error", "error": "user_not_found"}
    await world.outside.control("faults", fault)
    for _ in range(2):
        with pytest.raises(SlackError):
            await world.slack.people.person_now("UBOB")


async def test_somebody_unknown_is_an_error_of_slack(world: World) -> None:
    with pytest.raises(SlackError) as caught:
        await world.slack.people.person("U0NOBODY")
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
async def test_who_sees_a_channel(world: World, user: str, channel: str, *, sees: bool) -> None:
    assert await world.slack.people.sees(user, channel) is sees


async def test_a_full_member_sees_a_public_channel_without_being_in_it(world: World) -> None:
    for token in (BOB, "xoxp-eve"):
        await world.outside.do("conversations.leave", token, channel=DEV)
    assert await world.slack.people.sees("UBOB", DEV)
    assert not await world.slack.people.sees("UEVE", DEV)


async def test_a_private_channel_is_seen_by_those_in_it_at_that_moment(world: World) -> None:
    await world.outside.do("conversations.invite", ALICE, channel=SECRET, users="U0PILOT")
    assert await world.slack.people.sees("UBOB", SECRET)
    assert not await world.slack.people.sees("UEVE", SECRET)
    await world.outside.do("conversations.leave", BOB, channel=SECRET)
    assert not await world.slack.people.sees("UBOB", SECRET)


async def test_direct_messages_are_seen_by_the_two_alone(world: World) -> None:
    direct = await world.slack.board.direct("UBOB")
    assert await world.slack.people.sees("UBOB", direct)
    assert not await world.slack.people.sees("UALICE", direct)


async def test_a_large_channel_is_looked_through_page_by_page(world: World) -> None:
    """The sandbox has few people: the page is what Slack says it is."""
    assert not await world.slack.people.sees("UGUS", DEV)
    (call,) = await world.outside.calls("conversations.members")
    assert int(call["arguments"]["limit"]) == 1_000


async def test_who_cannot_be_looked_up_is_not_let_in_by_mistake(world: World) -> None:
    fault = {"method": "conversations.info", "times": 1, "kind": "500"}
    await world.outside.control("faults", fault)
    with pytest.raises(SlackError):
        await world.slack.people.sees("UBOB", GENERAL)


async def test_that_somebody_is_not_in_a_group_is_remembered_for_a_minute(world: World) -> None:
    people = world.slack.people
    for _ in range(2):
        assert not await people.in_group("UBOB", "S0PILOTS")
    assert await world.asked("usergroups.users.list") == 1
    await world.clock.advance(61)
    assert not await people.in_group("UBOB", "S0PILOTS")
    assert await world.asked("usergroups.users.list") == 2


async def test_that_somebody_is_in_a_group_is_asked_each_time(world: World) -> None:
    for number in range(1, 4):
        assert await world.slack.people.in_group("UCAROL", "S0PILOTS")
        assert await world.asked("usergroups.users.list") == number


@pytest.mark.parametrize(
    ("channel", "here"), [(GENERAL, True), (SECRET, False), ("C0NOWHERE", False)]
)
async def test_where_the_bot_itself_is(world: World, channel: str, *, here: bool) -> None:
    assert await world.slack.people.here(channel) is here


async def test_nobody_is_in_a_group_that_is_not_there(world: World) -> None:
    assert not await world.slack.people.in_group("UALICE", "S0NOBODY")


async def test_trouble_with_a_group_is_an_error_of_slack(world: World) -> None:
    fault = {"method": "usergroups.users.list", "times": 1, "kind": "500"}
    await world.outside.control("faults", fault)
    with pytest.raises(SlackError):
        await world.slack.people.in_group("UCAROL", "S0PILOTS")
