"""The operator's side of the emulator: calls, faults, the clock, reset, and their effects."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.conformance.http_client import ALICE, APP, BOT, GENERAL, Json, Outside, wait_until
from tests.conformance.socket_client import Socket, socket_mode


async def posts(outside: Outside, text: str = "x") -> tuple[int, str]:
    """The app posts to #general; returns HTTP status and body."""
    async with outside.http.post(
        f"{outside.url}/api/chat.postMessage",
        json={"channel": GENERAL, "text": text},
        headers={"Authorization": f"Bearer {BOT}"},
    ) as answer:
        return answer.status, await answer.text()


async def fault(outside: Outside, kind: str, **more: object) -> None:
    """Set a fault for the app's next chat.postMessage."""
    await outside.control(
        "faults", {"method": "chat.postMessage", "times": 1, "kind": kind, **more}
    )


# Calls


async def test_every_call_of_the_app_is_listed_with_its_answer(outside: Outside) -> None:
    await outside.act("chat.postMessage", BOT, channel=GENERAL, text="hello")
    await outside.refused("chat.postMessage", BOT, channel="C0NOWHERE", text="hello")
    good, bad = await outside.calls("chat.postMessage")
    assert good["method"] == "chat.postMessage"
    assert good["arguments"]["text"] == "hello"
    assert good["answer"]["ok"] is True
    assert bad["answer"]["error"] == "channel_not_found"
    assert good["time"] <= bad["time"]
    assert BOT not in str(good), "tokens are secret"


async def test_calls_of_users_are_not_in_the_apps_call_log(outside: Outside) -> None:
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
    await fault(outside, "slow", seconds=3600)
    posting = asyncio.create_task(posts(outside))

    async def look() -> bool:
        return not list(await outside.control("faults"))

    await wait_until(look, "the call is under way")
    assert await outside.messages(GENERAL) == []
    await outside.advance(3600)
    assert (await posting)[0] == 200


async def test_error_answers_with_the_code_asked_for(outside: Outside) -> None:
    await fault(outside, "error", error="restricted_action_thread_locked")
    assert "restricted_action_thread_locked" in (await posts(outside))[1]
    assert (await posts(outside))[0] == 200


async def test_a_fault_comes_as_often_as_set_and_for_its_method_only(outside: Outside) -> None:
    await outside.control("faults", {"method": "chat.postMessage", "times": 2, "kind": "500"})
    assert (await outside.call("auth.test", BOT))["ok"] is True
    statuses = [(await posts(outside))[0] for _ in range(3)]
    assert statuses == [500, 500, 200]


async def test_faults_are_listed_until_they_have_happened_and_can_be_removed(
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


async def test_faults_affect_the_app_and_not_users(outside: Outside) -> None:
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
async def test_an_invalid_fault_is_refused_with_a_sentence(
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
    opened = await outside.act("apps.connections.open", APP)
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
    posted = [await outside.say(ALICE, GENERAL, f"number {n}") for n in range(2)]
    received = [frame["payload"]["event"]["ts"] for frame in await socket.quiet(2)]
    assert sorted(received) == posted
    assert received != posted


async def test_an_acknowledged_event_can_come_again(outside: Outside, socket: Socket) -> None:
    await outside.control("faults", {"events": "redeliver", "times": 1})
    await outside.say(ALICE, GENERAL, "hello")
    first = await socket.event("message")
    await outside.advance(4)
    again = await socket.event("message")
    assert again["payload"]["event_id"] == first["payload"]["event_id"]
    assert again["retry_attempt"] == 1
