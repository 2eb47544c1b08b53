"""The clock, Stop and reset: what an advance changes in the emulator, and what a reset keeps."""

from __future__ import annotations

from tests.conformance.http_client import ALICE, BOB, BOT, DEV, GENERAL, SECRET, Outside
from tests.conformance.socket_client import Socket

# The clock


async def test_a_stream_lives_five_minutes_however_busy_it_is(outside: Outside) -> None:
    alice = await outside.id_of(ALICE)
    root = await outside.say(ALICE, GENERAL, "a question")
    started = await outside.act(
        "chat.startStream",
        BOT,
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=alice,
        recipient_team_id="T0SANDBOX",
        markdown_text="begun",
    )
    stream = {"channel": GENERAL, "ts": started["ts"]}
    await outside.advance(290)
    await outside.act("chat.appendStream", BOT, **stream, markdown_text=" on")
    await outside.advance(15)
    for method in ("chat.appendStream", "chat.stopStream"):
        late = await outside.refused(method, BOT, **stream, markdown_text=" late")
        assert late == "message_not_in_streaming_state"
    await outside.act("chat.update", BOT, **stream, text="saved")
    assert [one["text"] for one in await outside.replies(GENERAL, root)][1:] == ["saved"]


async def test_the_clock_gives_the_time_and_goes_forward_only(outside: Outside) -> None:
    before = await outside.control("clock")
    await outside.advance(1000)
    after = await outside.control("clock")
    assert 1000 <= after["now"] - before["now"] < 1010
    async with outside.http.post(f"{outside.url}/sandbox/clock", json={"advance": -5}) as answer:
        assert answer.status == 400


async def test_messages_are_dated_by_the_clock(outside: Outside) -> None:
    first = await outside.say(ALICE, GENERAL, "now")
    await outside.advance(86_400)
    second = await outside.say(ALICE, GENERAL, "tomorrow")
    assert 86_400 <= float(second) - float(first) < 86_410


# Stop


async def test_stop_ends_the_streams_of_the_thread_and_sends_an_event(
    outside: Outside, socket: Socket
) -> None:
    alice = await outside.id_of(ALICE)
    root = await outside.say(ALICE, GENERAL, "a question")
    where = {"channel_id": GENERAL, "thread_ts": root}
    await outside.act("agents.sessions.setStatus", BOT, **where, status="processing")
    started = await outside.act(
        "chat.startStream",
        BOT,
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=alice,
        recipient_team_id="T0SANDBOX",
        markdown_text="begun",
    )
    await outside.act("agents.sessions.stop", ALICE, channel=GENERAL, thread_ts=root)
    event = (await socket.event("agent_session_stopped"))["payload"]["event"]
    assert event["channel"] == GENERAL
    assert event["user"] == alice
    assert event["thread_ts"] == root
    assert event["streaming_message_ts"] == [started["ts"]]
    append = await outside.refused(
        "chat.appendStream", BOT, channel=GENERAL, ts=started["ts"], markdown_text="more"
    )
    assert append == "stopped_by_user"


async def test_an_app_cannot_press_stop(outside: Outside) -> None:
    root = await outside.say(ALICE, GENERAL, "a question")
    assert (await outside.call("agents.sessions.stop", BOT, channel=GENERAL, thread_ts=root))[
        "ok"
    ] is False


# Reset


async def test_reset_empties_everything(outside: Outside) -> None:
    alice = await outside.id_of(ALICE)
    bot = await outside.id_of(BOT)
    for channel in (GENERAL, DEV, SECRET):
        await outside.say(ALICE, channel, "old")
    await outside.act("chat.postEphemeral", BOT, channel=GENERAL, user=alice, text="old")
    await outside.act("conversations.invite", ALICE, channel=SECRET, users=bot)
    await outside.control("faults", {"method": "chat.postMessage", "times": 1, "kind": "500"})
    await outside.control("reset", {})
    for channel in (GENERAL, DEV, SECRET):
        assert await outside.messages(channel) == []
    assert await outside.ephemeral(alice) == []
    assert await outside.calls("chat.postEphemeral") == []
    await outside.act("chat.postMessage", BOT, channel=GENERAL, text="new")
    members = await outside.act("conversations.members", ALICE, channel=SECRET)
    assert bot not in members["members"]


async def test_a_connected_app_stays_connected_over_a_reset(
    outside: Outside, socket: Socket
) -> None:
    """The workspace is emptied under the app, and running deliveries to it are cancelled."""
    await outside.say(ALICE, GENERAL, "old")
    await socket.event("message", ack=False)
    await outside.control("reset", {})
    await outside.say(BOB, GENERAL, "anew")
    event = (await socket.event("message"))["payload"]["event"]
    assert event["text"] == "anew"
    await outside.advance(3600)
    assert await socket.quiet() == []
