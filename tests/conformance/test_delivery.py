"""Events reach the app as Slack delivers them: by Socket Mode or signed HTTP, with retries.

The times (3 s for an acknowledgement, retries after 0, 60 and 300 s) follow the emulator's clock,
which these tests advance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web

from tests.conformance.http_client import ALICE, APP, GENERAL, WAIT_SECONDS, Outside, wait_until
from tests.conformance.request_url import Delivery, Listener, request_url
from tests.conformance.socket_client import socket_mode


async def deliver(outside: Outside, listener: Listener, text: str) -> list[Delivery]:
    """The deliveries of a message, once a later message has come as well."""
    later = f"later than {text}"
    await outside.say(ALICE, GENERAL, later)

    async def look() -> bool:
        return any(one.event["text"] == later for one in listener.events("message"))

    await wait_until(look, "what was said later comes")
    return [one for one in listener.events("message") if one.event["text"] == text]


async def received_after(outside: Outside, listener: Listener, times: int) -> list[Delivery]:
    """Wait, while the clock advances second by second, until this many messages have come."""

    async def look() -> bool:
        if len(listener.events("message")) < times:
            await outside.advance(1)
        return len(listener.events("message")) >= times

    await wait_until(look, f"the message comes {times} times")
    return listener.events("message")


# Socket Mode


async def test_hello_says_how_many_are_connected(outside: Outside) -> None:
    async with socket_mode(outside) as first, socket_mode(outside) as second:
        assert first.hello["num_connections"] == 1
        assert second.hello["num_connections"] == 2
        assert first.hello["connection_info"]["app_id"].startswith("A")
        assert "debug_info" in first.hello


async def test_a_connection_url_is_good_for_one_connection(outside: Outside) -> None:
    async with socket_mode(outside) as socket:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await outside.http.ws_connect(socket.ticket)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await outside.http.ws_connect(socket.ticket)


async def test_a_made_up_connection_url_opens_nothing(outside: Outside) -> None:
    ticket = (await outside.act("apps.connections.open", APP))["url"]
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await outside.http.ws_connect(ticket.replace("ticket=", "ticket=x"))


async def test_an_envelope_has_the_type_of_its_payload(outside: Outside) -> None:
    async with socket_mode(outside) as socket:
        await outside.say(ALICE, GENERAL, "hello")
        frame = await socket.frame()
        assert frame["type"] == "events_api"
        assert frame["accepts_response_payload"] is False
        assert frame["envelope_id"]
        assert frame["retry_attempt"] == 0
        assert frame["payload"]["event"]["text"] == "hello"


async def test_of_two_connections_one_gets_the_event(outside: Outside) -> None:
    async with socket_mode(outside) as first, socket_mode(outside) as second:
        waiting = [asyncio.create_task(socket.event("message")) for socket in (first, second)]
        await outside.say(ALICE, GENERAL, "who hears me?")
        received, left = await asyncio.wait(
            waiting, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        assert (len(received), len(left)) == (1, 1)
        await outside.say(ALICE, GENERAL, "and who hears me?")
        received, _ = await asyncio.wait(left, timeout=WAIT_SECONDS)
        event = received.pop().result()["payload"]["event"]
        assert event["text"] == "and who hears me?", "the first was for the other one alone"


async def test_what_is_not_acknowledged_comes_three_times_more(outside: Outside) -> None:
    """At once, after a minute and after five: with the same event_id and a growing number."""
    async with socket_mode(outside) as socket:
        await outside.say(ALICE, GENERAL, "hello?")
        frames = [await socket.event("message", ack=False)]
        for wait in (3.1, 64, 304):
            await outside.advance(wait)
            frames.append(await socket.event("message", ack=False))
        assert [frame["retry_attempt"] for frame in frames] == [0, 1, 2, 3]
        assert frames[1]["retry_reason"] == "timeout"
        assert len({frame["payload"]["event_id"] for frame in frames}) == 1
        assert len({frame["payload"]["event"]["ts"] for frame in frames}) == 1
        await outside.advance(3600)
        assert await socket.quiet() == []


async def test_what_is_acknowledged_comes_once(outside: Outside) -> None:
    async with socket_mode(outside) as socket:
        await outside.say(ALICE, GENERAL, "hello!")
        await socket.event("message")
        await outside.advance(3600)
        assert await socket.quiet() == []


async def test_a_message_sent_without_a_connection_comes_by_a_retry(outside: Outside) -> None:
    ts = await outside.say(ALICE, GENERAL, "is the app up?")
    async with socket_mode(outside) as socket:
        await outside.advance(65)
        frame = await socket.event("message")
        assert frame["payload"]["event"]["ts"] == ts
        assert frame["retry_attempt"] >= 1


async def test_an_event_lost_with_its_connection_comes_by_another(outside: Outside) -> None:
    async with socket_mode(outside) as socket:
        await outside.say(ALICE, GENERAL, "hello?")
        first = await socket.event("message", ack=False)
    async with socket_mode(outside) as socket:
        await outside.advance(65)
        second = await socket.event("message")
    assert first["payload"]["event_id"] == second["payload"]["event_id"]


@pytest.mark.parametrize("nonsense", ["", "{", "[]", "7", '{"envelope_id": 7}', '{"x": "y"}'])
async def test_nonsense_on_the_socket_breaks_nothing(outside: Outside, nonsense: str) -> None:
    async with socket_mode(outside) as socket:
        await socket.send(nonsense)
        await outside.say(ALICE, GENERAL, "still there?")
        assert (await socket.event("message"))["payload"]["event"]["text"] == "still there?"


async def test_an_unanswered_command_times_out_for_the_user_and_is_not_repeated(
    outside: Outside,
) -> None:
    async with socket_mode(outside) as socket:
        command = asyncio.create_task(
            outside.call("chat.command", ALICE, channel=GENERAL, command="/x", text="")
        )
        await socket.frame()
        await outside.advance(3.1)
        assert (await command)["error"] == "operation_timeout"
        await outside.advance(3600)
        assert await socket.quiet() == []


async def test_a_command_without_any_app_fails_for_the_user(outside: Outside) -> None:
    command = asyncio.create_task(
        outside.call("chat.command", ALICE, channel=GENERAL, command="/x", text="")
    )

    async def look() -> bool:
        await outside.advance(3.1)
        return command.done()

    await wait_until(look, "the command fails")
    assert (await command)["ok"] is False


# Signed HTTP


async def test_http_events_have_their_headers(outside: Outside, listener: Listener) -> None:
    await outside.say(ALICE, GENERAL, "hello")
    (first,) = await listener.wait_for_event("message")
    assert first.headers["content-type"].startswith("application/json")
    assert first.headers["x-slack-signature"].startswith("v0=")
    assert first.headers["x-slack-request-timestamp"].isdigit()
    assert "x-slack-retry-num" not in first.headers
    assert first.body["type"] == "event_callback"
    await outside.advance(3600)
    assert len(listener.events("message")) == 1


async def test_a_failing_app_is_asked_again_three_times(
    outside: Outside, listener: Listener
) -> None:
    listener.answer = lambda: web.Response(status=500)
    await outside.say(ALICE, GENERAL, "hello?")
    await received_after(outside, listener, 2)
    await outside.advance(61)
    await received_after(outside, listener, 3)
    await outside.advance(301)
    deliveries = await received_after(outside, listener, 4)
    retries = [one.headers.get("x-slack-retry-num") for one in deliveries]
    assert retries == [None, "1", "2", "3"]
    assert {one.headers.get("x-slack-retry-reason") for one in deliveries[1:]} == {"http_error"}
    assert len({one.body["event_id"] for one in deliveries}) == 1
    await outside.advance(3600)
    assert len(listener.events("message")) == 4


async def test_the_second_retry_waits_a_minute(outside: Outside, listener: Listener) -> None:
    listener.answer = lambda: web.Response(status=500)
    await outside.say(ALICE, GENERAL, "hello?")
    await listener.wait_for_event("message", times=2)
    await outside.advance(50)
    assert len(await deliver(outside, listener, "hello?")) == 2
    await outside.advance(20)

    async def look() -> bool:
        return [one.event["text"] for one in listener.events("message")].count("hello?") == 3

    await wait_until(look, "the second retry comes")


async def test_an_app_that_asks_for_no_retry_gets_none(
    outside: Outside, listener: Listener
) -> None:
    listener.answer = lambda: web.Response(status=500, headers={"X-Slack-No-Retry": "1"})
    await outside.say(ALICE, GENERAL, "hello?")
    await listener.wait_for_event("message")
    await outside.advance(3600)
    assert len(await deliver(outside, listener, "hello?")) == 1


async def test_an_app_that_recovers_is_not_asked_further(
    outside: Outside, listener: Listener
) -> None:
    answers = [web.Response(status=503)]
    listener.answer = lambda: answers.pop() if answers else web.Response()
    await outside.say(ALICE, GENERAL, "hello?")
    deliveries = await listener.wait_for_event("message", times=2)
    assert [one.headers.get("x-slack-retry-num") for one in deliveries] == [None, "1"]
    await outside.advance(3600)
    assert len(await deliver(outside, listener, "hello?")) == 2


async def test_an_app_that_is_down_is_asked_again(outside: Outside) -> None:
    """Refused connections have their own retry reason."""
    async with request_url() as listener:
        await outside.control("app", {"request_url": listener.url})
        down = listener.url
    await outside.say(ALICE, GENERAL, "hello?")
    port = int(down.split(":")[2].split("/")[0])
    # The user's command fails as the event does, and after it.
    for _ in range(2):
        await outside.refused("chat.command", ALICE, channel=GENERAL, command="/x", text="")
    async with request_url(port) as listener:
        await outside.advance(65)
        (again,) = await listener.wait_for_event("message")
        assert again.headers["x-slack-retry-reason"] == "connection_failed"


async def test_http_answers_to_commands_are_shown(outside: Outside, listener: Listener) -> None:
    """Slack accepts both JSON and plain text; `in_channel` is shown to all members."""
    alice = await outside.id_of(ALICE)
    answers: list[Callable[[], web.Response]] = [
        lambda: web.json_response({"text": "as JSON"}),
        lambda: web.Response(text="as text"),
        lambda: web.json_response({"text": "for all", "response_type": "in_channel"}),
        web.Response,
    ]
    for answer in answers:
        listener.answer = answer
        await outside.act("chat.command", ALICE, channel=GENERAL, command="/x", text="")
    assert [one["text"] for one in await outside.ephemeral(alice)] == ["as JSON", "as text"]
    assert [one["text"] for one in await outside.messages(GENERAL)] == ["for all"]


async def test_a_command_that_fails_over_http_fails_for_the_user(
    outside: Outside, listener: Listener
) -> None:
    listener.answer = lambda: web.Response(status=404)
    body = await outside.call("chat.command", ALICE, channel=GENERAL, command="/x", text="")
    assert body["ok"] is False


async def test_an_app_with_a_request_url_has_no_socket_mode(
    outside: Outside, listener: Listener
) -> None:
    """An app uses one transport, as in its settings at Slack. Without the URL it is Socket Mode
    again."""
    assert listener.deliveries, "the URL was verified"
    assert (await outside.call("apps.connections.open", APP))["ok"] is False
    await outside.control("app", {"request_url": None})
    async with socket_mode(outside) as socket:
        await outside.say(ALICE, GENERAL, "hello")
        await socket.event("message")
    assert listener.events("message") == []


async def test_a_url_that_does_not_answer_the_challenge_is_refused(outside: Outside) -> None:
    async with outside.http.post(
        f"{outside.url}/sandbox/app", json={"request_url": f"{outside.url}/nothing"}
    ) as answer:
        text = await answer.text()
        assert answer.status >= 400 or '"ok": false' in text
