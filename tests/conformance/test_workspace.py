"""The emulator's workspace is the one that the design promises, seen by plain HTTP from outside."""

from __future__ import annotations

import pytest

from tests.conformance.http_client import (
    ALICE,
    APP,
    BOB,
    BOT,
    CAROL,
    DEV,
    EVE,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
)
from tests.conformance.socket_client import Socket

GUS = "xoxp-gus"


async def test_users_have_the_tokens_of_the_design(outside: Outside) -> None:
    seen = [await outside.act("auth.test", token) for token in (ALICE, BOB, CAROL, BOT)]
    assert {one["team_id"] for one in seen} == {TEAM}
    assert [one["user"] for one in seen[:3]] == ["alice", "bob", "carol"]
    assert len({one["user_id"] for one in seen}) == 4
    assert "bot_id" in seen[3]
    assert all("bot_id" not in one for one in seen[:3])


async def test_only_alice_is_an_admin(outside: Outside) -> None:
    flags = []
    for token in (ALICE, BOB, CAROL):
        user = await outside.act("users.info", BOT, user=await outside.id_of(token))
        flags.append(user["user"]["is_admin"])
    assert flags == [True, False, False]


async def test_eve_is_a_stranger_from_another_workspace(outside: Outside) -> None:
    eve = await outside.act("auth.test", EVE)
    assert eve["team_id"] != TEAM
    seen = (await outside.act("users.info", BOT, user=eve["user_id"]))["user"]
    assert seen["team_id"] == eve["team_id"]
    assert seen["is_stranger"] is True
    assert not seen.get("is_admin")


async def test_the_bot_is_in_general_and_dev_and_not_in_secret(
    outside: Outside,
) -> None:
    bot = await outside.id_of(BOT)
    everyone = {bot} | {await outside.id_of(token) for token in (ALICE, BOB, CAROL, EVE)}
    guest = await outside.id_of(GUS)
    for channel, inside in ((GENERAL, everyone | {guest}), (DEV, everyone)):
        members = (await outside.act("conversations.members", ALICE, channel=channel))["members"]
        assert set(members) == inside
    members = (await outside.act("conversations.members", ALICE, channel=SECRET))["members"]
    assert bot not in members
    assert await outside.refused("conversations.members", BOT, channel=SECRET) in {
        "channel_not_found",
        "not_in_channel",
    }


async def test_gus_is_a_guest_who_knows_of_general_alone(outside: Outside) -> None:
    guest = (await outside.act("users.info", BOT, user="UGUS"))["user"]
    assert (guest["team_id"], guest["is_restricted"], guest["is_admin"]) == (TEAM, True, False)
    seen = (await outside.act("conversations.list", GUS))["channels"]
    assert [one["id"] for one in seen] == [GENERAL]
    assert await outside.refused("conversations.info", GUS, channel=DEV) == "channel_not_found"
    assert await outside.refused("conversations.join", GUS, channel=DEV) == "channel_not_found"


async def test_only_alice_owns_the_workspace(outside: Outside) -> None:
    listed = (await outside.act("users.list", BOT))["members"]
    assert [one["id"] for one in listed if one["is_owner"]] == ["UALICE"]


async def test_carol_is_in_the_user_group(outside: Outside) -> None:
    group = await outside.act("usergroups.users.list", BOT, usergroup="S0PILOTS")
    assert group["users"] == ["UCAROL"]
    code = await outside.refused("usergroups.users.list", BOT, usergroup="S0NOBODY")
    assert code == "no_such_subteam"


async def test_a_bot_that_is_invited_to_secret_is_in_it(outside: Outside, socket: Socket) -> None:
    bot = await outside.id_of(BOT)
    await outside.act("conversations.invite", ALICE, channel=SECRET, users=bot)
    await outside.say(ALICE, SECRET, "now you hear me")
    event = (await socket.event("message"))["payload"]["event"]
    assert event["text"] == "now you hear me"
    await outside.act("chat.postMessage", BOT, channel=SECRET, text="I do")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "not_authed"),
        ("", "not_authed"),
        ("xoxb-someone-else", "invalid_auth"),
        ("xoxp-mallory", "invalid_auth"),
        (APP, "not_allowed_token_type"),
    ],
)
async def test_other_tokens_are_refused(outside: Outside, token: str | None, code: str) -> None:
    refusal = await outside.refused("chat.postMessage", token, channel=GENERAL, text="hi")
    assert refusal == code
    assert await outside.messages(GENERAL) == []


@pytest.mark.parametrize(
    "method", ["chat.command", "blocks.actions", "views.submit", "shortcuts.run", "apps.home.open"]
)
async def test_an_app_cannot_act_as_a_user(outside: Outside, method: str) -> None:
    """The app's own token cannot perform the actions of users."""
    code = await outside.refused(method, BOT, channel=GENERAL, command="/x", view_id="V1")
    assert code == "not_allowed_token_type"


async def test_the_page_is_at_the_root(outside: Outside) -> None:
    async with outside.http.get(f"{outside.url}/") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]


async def test_nothing_listens_but_loopback(outside: Outside) -> None:
    assert outside.url.startswith("http://127.0.0.1:")
