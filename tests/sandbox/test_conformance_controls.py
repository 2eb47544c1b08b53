"""The operator's side of the sandbox: calls, faults, the clock, reset, and what they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.conformance.outside import (
    ALICE,
    APP,
    BOB,
    BOT,
    DEV,
    GENERAL,
    SECRET,
    Json,
    Outside,
    sandbox_from_outside,
)
from tests.conformance.socket_mode import Socket, socket_mode


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with sandbox_from_outside() as outside:
        yield outside


@pytest.fixture
async def socket(outside: Outside) -> AsyncIterator[Socket]:
    async with socket_mode(outside) as socket:
        yield socket


async def posts(outside: Outside, text: str = "x") -> tuple[int, str]:
    """The app posts to #general; HTTP status and body."""
    async with outside.http.post(
        f"{outside.url}/api/chat.postMessage",
        json={"channel": GENERAL, "text": text},
        headers={"Authorization": f"Bearer {BOT}"},
    ) as answer:
        return answer.status, await answer.text()


async def fault(outside: Outside, kind: str, **more: object) -> None:
    """Make the app's next chat.postMessage go wrong."""
    await outside.control(
        "faults", {"method": "chat.postMessage", "times": 1, "kind": kind, **more}
    )


# Calls


async def test_every_call_of_the_app_is_listed_with_its_answer(outside: Outside) -> None:
    await outside.do("chat.postMessage", BOT, channel=GENERAL, text="hello")
    await outside.refused("chat.postMessage", BOT, channel="C0NOWHERE", text="hello")
    good, bad = await outside.calls("chat.postMessage")
    assert good["method"] == "chat.postMessage"
    assert good["arguments"]["text"] == "hello"
    assert good["answer"]["ok"] is True
    assert bad["answer"]["error"] == "channel_not_found"
    assert good["time"] <= bad["time"]
    assert BOT not in str(good), "tokens are nobody's business"


async def test_what_people_do_is_not_the_apps_call(outside: Outside) -> None:
    await outside.say(ALICE, GENERAL, "hello")
    assert await outside.calls("chat.postMessage") == []


# Faults of the Web API


async def test_429_says_how_long_to_wait_and_does_nothing(outside: Outside) -> None:
    await fault(outside, "429", retry_after=7)
    headers = {"Authorization": f"Bearer {BOT}"}
    async with outside.http.post(
        f"{outside.url}/api/chat.postMessage",
        json={"channel": GENERAL, "text": "x"},
        headers=headers,
    ) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "7"
        assert (await answer.json())["error"] == "ratelimited"
    assert await outside.messages(GENERAL) == []
    assert (await posts(outside))[0] == 200


async def test_500_is_a_server_error_that_does_nothing(outside: Outside) -> None:
    await fault(outside, "500")
    assert (await posts(outside))[0] == 500
    assert await outside.messages(GENERAL) == []
    assert (await posts(outside))[0] == 200


async def test_drop_before_loses_the_call(outside: Outside) -> None:
    await fault(outside, "drop_before")
    with pytest.raises(aiohttp.ClientError):
        await posts(outside)
    assert await outside.messages(GENERAL) == []


async def test_drop_after_does_the_call_and_loses_the_answer(outside: Outside) -> None:
    await fault(outside, "drop_after")
    with pytest.raises(aiohttp.ClientError):
        await posts(outside, "done all the same")
    assert [one["text"] for one in await outside.messages(GENERAL)] == ["done all the same"]


async def test_garbage_is_no_json(outside: Outside) -> None:
    await fault(outside, "garbage")
    _, text = await posts(outside)
    assert '"ok"' not in text


async def test_slow_answers_when_the_clock_has_moved(outside: Outside) -> None:
    await fault(outside, "slow", seconds=0.3)
    started = asyncio.get_running_loop().time()
    assert (await posts(outside))[0] == 200
    assert asyncio.get_running_loop().time() - started >= 0.25


async def test_error_answers_with_the_code_asked_for(outside: Outside) -> None:
    await fault(outside, "error", error="restricted_action_thread_locked")
    assert "restricted_action_thread_locked" in (await posts(outside))[1]
    assert (await posts(outside))[0] == 200


async def test_a_fault_comes_as_often_as_set_and_for_its_method_only(outside: Outside) -> None:
    await outside.control("faults", {"method": "chat.postMessage", "times": 2, "kind": "500"})
    assert (await outside.call("auth.test", BOT))["ok"] is True
    statuses = [(await posts(outside))[0] for _ in range(3)]
    assert statuses == [500, 500, 200]


async def test_faults_are_listed_until_they_have_come_and_can_be_taken_away(
    outside: Outside,
) -> None:
    assert await outside.control("faults") == []
    await outside.control("faults", {"method": "auth.test", "times": 2, "kind": "500"})
    (listed,) = await outside.control("faults")
    assert (listed["method"], listed["kind"], listed["times"]) == ("auth.test", "500", 2)
    async with outside.http.delete(f"{outside.url}/sandbox/faults") as answer:
        assert answer.status == 200
    assert await outside.control("faults") == []
    assert (await outside.call("auth.test", BOT))["ok"] is True


async def test_faults_are_for_the_app_and_not_for_people(outside: Outside) -> None:
    await fault(outside, "500")
    await outside.say(ALICE, GENERAL, "I am no app")
    assert (await posts(outside))[0] == 500


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"kind": "500"},
        {"method": "chat.postMessage", "kind": "sulk"},
        {"method": "chat.postMessage", "kind": "500", "times": "many"},
        {"method": "chat.postMessage", "kind": "500", "times": -1},
        {"socket": "burn"},
        {"events": "sing"},
    ],
)
async def test_a_senseless_fault_is_refused_with_a_sentence(
    outside: Outside, nonsense: Json
) -> None:
    async with outside.http.post(f"{outside.url}/sandbox/faults", json=nonsense) as answer:
        assert answer.status == 400
        assert "error" in await answer.json()


@pytest.mark.parametrize("name", ["faults", "clock", "app"])
@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff"])
async def test_controls_refuse_what_is_no_json_object(
    outside: Outside, name: str, body: bytes
) -> None:
    async with outside.http.post(f"{outside.url}/sandbox/{name}", data=body) as answer:
        assert answer.status == 400


# Faults of the socket and of events


async def test_a_dropped_socket_is_cut(outside: Outside, socket: Socket) -> None:
    await outside.control("faults", {"socket": "drop"})
    assert await socket.ended()


async def test_a_refused_socket_is_refused_once(outside: Outside) -> None:
    await outside.control("faults", {"socket": "refuse", "times": 1})
    opened = await outside.do("apps.connections.open", APP)
    with pytest.raises(aiohttp.ClientError):
        await outside.http.ws_connect(opened["url"])
    async with socket_mode(outside) as socket:
        assert socket.hello["type"] == "hello"


async def test_a_half_open_socket_is_silent_but_not_closed(
    outside: Outside, socket: Socket
) -> None:
    await outside.control("faults", {"socket": "half-open"})
    await outside.say(ALICE, GENERAL, "hello?")
    assert await socket.quiet() == []


async def test_an_event_can_come_twice(outside: Outside, socket: Socket) -> None:
    await outside.control("faults", {"events": "duplicate", "times": 1})
    await outside.say(ALICE, GENERAL, "hello")
    frames = await socket.quiet(2)
    assert len(frames) == 2
    assert len({frame["payload"]["event_id"] for frame in frames}) == 1


async def test_events_can_come_in_another_order(outside: Outside, socket: Socket) -> None:
    await outside.control("faults", {"events": "reorder", "times": 1})
    said = [await outside.say(ALICE, GENERAL, f"number {n}") for n in range(2)]
    heard = [frame["payload"]["event"]["ts"] for frame in await socket.quiet(2)]
    assert sorted(heard) == said
    assert heard != said


async def test_an_acknowledged_event_can_come_again(outside: Outside, socket: Socket) -> None:
    await outside.control("faults", {"events": "redeliver", "times": 1})
    await outside.say(ALICE, GENERAL, "hello")
    first = await socket.event("message")
    await outside.advance(4)
    again = await socket.event("message")
    assert again["payload"]["event_id"] == first["payload"]["event_id"]
    assert again["retry_attempt"] == 1


# The clock


async def test_a_stream_lives_five_minutes_however_busy_it_is(outside: Outside) -> None:
    alice = await outside.id_of(ALICE)
    root = await outside.say(ALICE, GENERAL, "a question")
    started = await outside.do(
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
    await outside.do("chat.appendStream", BOT, **stream, markdown_text=" on")
    await outside.advance(15)
    for method in ("chat.appendStream", "chat.stopStream"):
        late = await outside.refused(method, BOT, **stream, markdown_text=" late")
        assert late == "message_not_in_streaming_state"
    await outside.do("chat.update", BOT, **stream, text="saved")
    assert [one["text"] for one in await outside.replies(GENERAL, root)][1:] == ["saved"]


async def test_the_clock_tells_the_time_and_goes_forward_only(outside: Outside) -> None:
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


async def test_stop_ends_the_streams_of_the_thread_and_tells_the_app(
    outside: Outside, socket: Socket
) -> None:
    alice = await outside.id_of(ALICE)
    root = await outside.say(ALICE, GENERAL, "a question")
    where = {"channel_id": GENERAL, "thread_ts": root}
    await outside.do("agents.sessions.setStatus", BOT, **where, status="processing")
    started = await outside.do(
        "chat.startStream",
        BOT,
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=alice,
        recipient_team_id="T0SANDBOX",
        markdown_text="begun",
    )
    await outside.do("agents.sessions.stop", ALICE, channel=GENERAL, thread_ts=root)
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
    await outside.do("chat.postEphemeral", BOT, channel=GENERAL, user=alice, text="old")
    await outside.do("conversations.invite", ALICE, channel=SECRET, users=bot)
    await fault(outside, "500")
    await outside.control("reset", {})
    for channel in (GENERAL, DEV, SECRET):
        assert await outside.messages(channel) == []
    assert await outside.ephemeral(alice) == []
    assert await outside.calls("chat.postEphemeral") == []
    assert (await posts(outside))[0] == 200
    members = await outside.do("conversations.members", ALICE, channel=SECRET)
    assert bot not in members["members"]


async def test_a_connected_app_stays_connected_over_a_reset(
    outside: Outside, socket: Socket
) -> None:
    """The workspace is emptied under the app; what was under way for it is given up."""
    await outside.say(ALICE, GENERAL, "old")
    await socket.event("message", ack=False)
    await outside.control("reset", {})
    await outside.say(BOB, GENERAL, "anew")
    event = (await socket.event("message"))["payload"]["event"]
    assert event["text"] == "anew"
    await outside.advance(3600)
    assert await socket.quiet() == []
