"""Slack's own SignatureVerifier accepts what the emulator signs, and nothing that was changed."""

from __future__ import annotations

from slack_sdk.signature import SignatureVerifier

from tests.conformance.http_client import ALICE, GENERAL, SIGNING_SECRET, Outside
from tests.conformance.request_url import Delivery, Listener


def accepted(delivery: Delivery, secret: str = SIGNING_SECRET, body: bytes | None = None) -> bool:
    """The verifier's judgement of a delivery, with another secret or body if given."""
    raw = delivery.raw if body is None else body
    return bool(SignatureVerifier(secret).is_valid_request(raw.decode(), delivery.headers))


async def test_the_request_url_is_verified_by_a_signed_challenge(listener: Listener) -> None:
    (challenge,) = await listener.wait_for_type(1)
    assert challenge.body["type"] == "url_verification"
    assert challenge.body["challenge"]
    assert accepted(challenge)


async def test_an_event_is_signed(outside: Outside, listener: Listener) -> None:
    await outside.say(ALICE, GENERAL, "hëllo <world> & all ✓")
    (event,) = await listener.wait_for_event("message")
    assert accepted(event)
    assert not accepted(event, secret="another-secret")
    assert not accepted(event, body=event.raw.replace(b"all", b"ill"))
    stale = Delivery(event.headers | {"x-slack-request-timestamp": "1"}, event.raw)
    assert not accepted(stale)


async def test_a_slash_command_is_a_signed_form(outside: Outside, listener: Listener) -> None:
    await outside.act("chat.command", ALICE, channel=GENERAL, command="/echo", text="a & b = c")
    command = listener.deliveries[-1]
    assert command.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert accepted(command)
    assert command.body["command"] == "/echo"
    assert command.body["channel_id"] == GENERAL
    assert command.body["response_url"].startswith("http")
    assert command.body["trigger_id"]
    assert "thread_ts" not in command.body


async def test_a_shortcut_is_a_signed_payload(outside: Outside, listener: Listener) -> None:
    ts = await outside.say(ALICE, GENERAL, "look at this")
    await outside.act("shortcuts.run", ALICE, callback_id="look", channel=GENERAL, message_ts=ts)
    payloads = [one for one in listener.deliveries if b"payload=" in one.raw]
    assert len(payloads) == 1
    assert accepted(payloads[0])
    assert payloads[0].body["type"] == "message_action"
    assert payloads[0].body["message"]["text"] == "look at this"


async def test_signatures_stay_valid_when_the_clock_was_moved(
    outside: Outside, listener: Listener
) -> None:
    """The emulator's clock is for Slack's timeouts; an app's own clock judges the signature."""
    await outside.advance(3600)
    await outside.say(ALICE, GENERAL, "an hour later")
    (event,) = await listener.wait_for_event("message")
    assert accepted(event)
