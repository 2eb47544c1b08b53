"""Actions of users by the ordinary Web API reach the app as Slack's events would."""

from __future__ import annotations

from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    CAROL,
    EVE,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
)
from tests.conformance.socket_client import Socket


async def test_a_mention_arrives_twice_with_one_ts_and_two_event_ids(
    outside: Outside, socket: Socket
) -> None:
    bot = await outside.id_of(BOT)
    ts = await outside.say(ALICE, GENERAL, f"<@{bot}> hello")
    frames = await socket.quiet(2)
    events = [frame["payload"]["event"] for frame in frames]
    assert sorted(event["type"] for event in events) == ["app_mention", "message"]
    assert {event["ts"] for event in events} == {ts}
    assert len({frame["payload"]["event_id"] for frame in frames}) == 2
    assert {event["user"] for event in events} == {await outside.id_of(ALICE)}
    assert {event["channel"] for event in events} == {GENERAL}
    (message,) = [event for event in events if event["type"] == "message"]
    assert message["channel_type"] == "channel"
    assert "subtype" not in message
    assert "thread_ts" not in message


async def test_an_envelope_names_its_workspace_and_app(outside: Outside, socket: Socket) -> None:
    await outside.say(BOB, GENERAL, "hello")
    payload = (await socket.event("message"))["payload"]
    assert payload["type"] == "event_callback"
    assert payload["team_id"] == TEAM
    assert payload["api_app_id"] == socket.hello["connection_info"]["app_id"]
    assert payload["event_id"].startswith("Ev")
    assert isinstance(payload["event_time"], int)
    (authorization,) = payload["authorizations"]
    assert authorization["team_id"] == TEAM
    assert authorization["is_bot"] is True
    assert isinstance(payload["is_ext_shared_channel"], bool)


async def test_a_mention_typed_by_name_is_resolved(outside: Outside, socket: Socket) -> None:
    """A user types @threadpilot; the app gets the id, as from Slack's own composer."""
    await outside.say(ALICE, GENERAL, "@threadpilot 1 < 2 && 3 > 2")
    event = (await socket.event("app_mention"))["payload"]["event"]
    bot = await outside.id_of(BOT)
    assert event["text"] == f"<@{bot}> 1 &lt; 2 &amp;&amp; 3 &gt; 2"


async def test_the_app_receives_nothing_of_channels_without_it(
    outside: Outside, socket: Socket
) -> None:
    await outside.say(ALICE, SECRET, "@threadpilot can you hear me?")
    assert await socket.quiet() == []


async def test_the_app_receives_its_own_messages(outside: Outside, socket: Socket) -> None:
    posted = await outside.act("chat.postMessage", BOT, channel=GENERAL, text="mine")
    event = (await socket.event("message"))["payload"]["event"]
    assert (event["ts"], event["text"]) == (posted["ts"], "mine")
    assert event["bot_id"].startswith("B")
    assert event["user"] == await outside.id_of(BOT)
    assert "app_id" in event


async def test_a_direct_message_is_no_mention(outside: Outside, socket: Socket) -> None:
    bot = await outside.id_of(BOT)
    opened = await outside.act("conversations.open", BOB, users=bot)
    channel = opened["channel"]["id"]
    await outside.say(BOB, channel, f"<@{bot}> hello")
    events = [frame["payload"]["event"] for frame in await socket.quiet(1)]
    assert [event["type"] for event in events] == ["message"]
    assert events[0]["channel_type"] == "im"
    assert events[0]["channel"] == channel
    refusal = await outside.refused("conversations.replies", CAROL, channel=channel, ts="1.1")
    assert refusal == "channel_not_found"


async def test_a_stranger_is_marked_as_one(outside: Outside, socket: Socket) -> None:
    await outside.say(EVE, GENERAL, "hello from far")
    payload = (await socket.event("message"))["payload"]
    eve = await outside.act("auth.test", EVE)
    assert payload["event"]["user_team"] == eve["team_id"]
    assert payload["authorizations"][0]["team_id"] == TEAM


async def test_a_changed_and_a_deleted_message_are_reported_with_what_they_were(
    outside: Outside, socket: Socket
) -> None:
    ts = await outside.say(ALICE, GENERAL, "helo")
    await socket.event("message")
    await outside.act("chat.update", ALICE, channel=GENERAL, ts=ts, text="hello")
    changed = (await socket.event("message"))["payload"]["event"]
    assert changed["subtype"] == "message_changed"
    assert changed["message"]["text"] == "hello"
    assert changed["message"]["edited"]["user"] == await outside.id_of(ALICE)
    assert changed["previous_message"]["text"] == "helo"
    await outside.act("chat.delete", ALICE, channel=GENERAL, ts=ts)
    deleted = (await socket.event("message"))["payload"]["event"]
    assert deleted["subtype"] == "message_deleted"
    assert deleted["deleted_ts"] == ts
    assert deleted["previous_message"]["text"] == "hello"


async def test_a_reaction_is_reported(outside: Outside, socket: Socket) -> None:
    ts = await outside.say(ALICE, GENERAL, "look")
    await outside.act("reactions.add", BOB, channel=GENERAL, timestamp=ts, name="eyes")
    event = (await socket.event("reaction_added"))["payload"]["event"]
    assert event["reaction"] == "eyes"
    assert event["item"] == {"type": "message", "channel": GENERAL, "ts": ts}


async def test_ts_are_unique_strings_that_grow(outside: Outside) -> None:
    posted = [await outside.say(ALICE, GENERAL, f"number {n}") for n in range(20)]
    assert all(len(ts.split(".")[1]) == 6 for ts in posted)
    assert [float(ts) for ts in posted] == sorted({float(ts) for ts in posted})


async def test_a_user_uploads_a_file_with_a_message(outside: Outside, socket: Socket) -> None:
    upload = await outside.act("files.getUploadURLExternal", BOB, filename="a.txt", length=5)
    async with outside.http.post(upload["upload_url"], data=b"hello") as answer:
        assert answer.status == 200
    await outside.act(
        "files.completeUploadExternal",
        BOB,
        files=[{"id": upload["file_id"], "title": "A"}],
        channel_id=GENERAL,
        initial_comment="@threadpilot read this",
    )
    event = (await socket.event("message"))["payload"]["event"]
    assert event["subtype"] == "file_share"
    assert event["files"][0]["id"] == upload["file_id"]
    address = event["files"][0]["url_private"]
    async with outside.http.get(address, headers={"Authorization": f"Bearer {BOT}"}) as answer:
        assert await answer.read() == b"hello"
