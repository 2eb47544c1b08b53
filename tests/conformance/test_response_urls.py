"""The app's responses by a response_url appear where Slack would show them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    GENERAL,
    Json,
    Outside,
    emulator_over_http,
)
from tests.conformance.request_url import Listener
from tests.conformance.socket_client import Socket, socket_mode

BUTTON: Json = {
    "type": "actions",
    "block_id": "b1",
    "elements": [
        {
            "type": "button",
            "action_id": "yes",
            "value": "1",
            "text": {"type": "plain_text", "text": "Yes"},
        }
    ],
}


@dataclass(frozen=True)
class ButtonPress:
    """A message of the app in a thread, whose button bob has pressed."""

    outside: Outside
    root: str
    ts: str
    address: str
    bob: str

    async def answers(self, message: Json) -> int:
        """The app responds; returns the HTTP status."""
        async with self.outside.http.post(self.address, json=message) as answer:
            return answer.status

    async def thread(self) -> list[str]:
        """The texts of the thread, without its root."""
        return [one["text"] for one in (await self.outside.replies(GENERAL, self.root))[1:]]

    async def for_bob(self) -> list[str]:
        """The ephemeral texts of bob."""
        return [one["text"] for one in await self.outside.ephemeral(self.bob)]


async def press(outside: Outside, socket: Socket, ts: str) -> Json:
    """Bob presses the button; returns the payload that the app received."""
    asking = asyncio.create_task(
        outside.call(
            "blocks.actions",
            BOB,
            channel=GENERAL,
            message_ts=ts,
            action_id="yes",
            block_id="b1",
            value="1",
        )
    )
    frame = await socket.envelope("interactive")
    await socket.ack(frame)
    assert (await asking)["ok"] is True
    payload = frame["payload"]
    assert isinstance(payload, dict)
    return payload


@pytest.fixture
async def button_press() -> AsyncIterator[ButtonPress]:
    async with emulator_over_http() as outside, socket_mode(outside) as socket:
        root = await outside.say(ALICE, GENERAL, "a root")
        posted = await outside.act(
            "chat.postMessage", BOT, channel=GENERAL, thread_ts=root, text="?", blocks=[BUTTON]
        )
        payload = await press(outside, socket, posted["ts"])
        assert payload["container"]["thread_ts"] == root
        assert payload["message"]["thread_ts"] == root
        bob = await outside.id_of(BOB)
        yield ButtonPress(outside, root, posted["ts"], payload["response_url"], bob)


async def test_a_response_is_ephemeral_by_default(button_press: ButtonPress) -> None:
    assert await button_press.answers({"text": "psst", "replace_original": False}) == 200
    assert await button_press.for_bob() == ["psst"]
    assert await button_press.thread() == ["?"]


async def test_an_answer_replaces_the_message_and_its_buttons(button_press: ButtonPress) -> None:
    assert await button_press.answers({"text": "Yes, said bob.", "replace_original": True}) == 200
    (message,) = (await button_press.outside.replies(GENERAL, button_press.root))[1:]
    assert (message["ts"], message["text"]) == (button_press.ts, "Yes, said bob.")
    assert "actions" not in [block["type"] for block in message.get("blocks", [])]
    assert await button_press.for_bob() == []


async def test_an_answer_deletes_the_message(button_press: ButtonPress) -> None:
    assert await button_press.answers({"delete_original": True}) == 200
    assert await button_press.thread() == []


async def test_a_response_in_channel_is_a_new_message(button_press: ButtonPress) -> None:
    message = {
        "text": "for all",
        "response_type": "in_channel",
        "replace_original": False,
        "thread_ts": button_press.root,
    }
    assert await button_press.answers(message) == 200
    assert await button_press.thread() == ["?", "for all"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"{}", b'{"blocks": "x"}'])
async def test_an_invalid_response_is_refused(button_press: ButtonPress, body: bytes) -> None:
    async with button_press.outside.http.post(button_press.address, data=body) as answer:
        assert 400 <= answer.status < 500
    assert await button_press.for_bob() == []
    assert await button_press.thread() == ["?"]


async def test_a_made_up_address_answers_nothing(button_press: ButtonPress) -> None:
    async with button_press.outside.http.post(
        button_press.address + "x", json={"text": "hi"}
    ) as answer:
        assert 400 <= answer.status < 500
    assert await button_press.for_bob() == []


# How often, and how long


async def test_a_response_url_is_good_for_five_answers(
    outside: Outside, listener: Listener
) -> None:
    await outside.act("chat.command", ALICE, channel=GENERAL, command="/x", text="")
    address = listener.deliveries[-1].body["response_url"]
    statuses = [await answered(outside, address, {"text": f"{n}"}) for n in range(6)]
    assert [status < 300 for status in statuses] == [True] * 5 + [False]
    seen = await outside.ephemeral(await outside.id_of(ALICE))
    assert [one["text"] for one in seen] == ["0", "1", "2", "3", "4"]


async def test_a_response_url_is_good_for_half_an_hour(
    outside: Outside, listener: Listener
) -> None:
    await outside.act("chat.command", ALICE, channel=GENERAL, command="/x", text="")
    address = listener.deliveries[-1].body["response_url"]
    await outside.advance(29 * 60)
    assert await answered(outside, address, {"text": "in time"}) < 300
    await outside.advance(2 * 60)
    assert await answered(outside, address, {"text": "late"}) >= 400


async def answered(outside: Outside, address: str, message: Json) -> int:
    """Post a response to a response_url; returns the HTTP status."""
    async with outside.http.post(address, json=message) as answer:
        return answer.status
