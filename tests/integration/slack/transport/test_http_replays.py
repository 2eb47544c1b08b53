"""A signed request that was caught on its way and is sent again is taken once, also where nothing
of it goes on record."""

from __future__ import annotations

import asyncio
import json

import pytest

from bot.slack.events.parser import EditedEvent, StoppedEvent
from bot.slack.transport.replay_guard import MAX_SIGNATURES, ReplayGuard, SeenState
from tests.integration.slack.transport.test_http import TS, calling, envelope, mention


def a_stop() -> bytes:
    stop: dict[str, object] = {
        "type": "agent_session_stopped",
        "channel": "C0GENERAL",
        "user": "UALICE",
        "thread_ts": TS,
        "event_ts": "1790000009.000000",
    }
    return json.dumps(envelope(stop, "EvStop")).encode()


def an_edit() -> bytes:
    wrote = {"user": "UALICE", "ts": TS, "text": "before"}
    edit: dict[str, object] = {
        "type": "message",
        "channel": "C0GENERAL",
        "ts": TS,
        "subtype": "message_changed",
        "message": {**wrote, "text": "after"},
        "previous_message": wrote,
    }
    return json.dumps(envelope(edit, "EvEdit")).encode()


@pytest.mark.parametrize(("body", "kind"), [(a_stop(), StoppedEvent), (an_edit(), EditedEvent)])
async def test_a_stop_or_an_edit_that_is_sent_again_is_done_once(
    body: bytes, kind: type[StoppedEvent | EditedEvent]
) -> None:
    """A second time it would stop the next answer, or bring an old text back."""
    async with calling() as slack:
        headers = slack.signed(body)
        for later in (0, 1, 298):
            await slack.clock.advance(later)
            assert await slack.post(body, headers=headers) == (200, "")
        assert await slack.event(mention()) == 200
        await slack.ears.wait_until(lambda ears: len(ears.messages) == 1)
        assert [fact for fact in slack.ears.heard if isinstance(fact, kind)] == [
            slack.ears.heard[0]
        ]
        await slack.clock.advance(3)
        assert (await slack.post(body, headers=headers))[0] == 401


async def test_what_slack_itself_repeats_is_signed_again_and_taken() -> None:
    async with calling() as slack:
        slack.ears.failing = 1
        assert await slack.event(mention()) == 503
        await slack.clock.advance(60)
        assert await slack.event(mention()) == 200
        assert len(slack.ears.messages) == 1


async def test_what_was_not_taken_may_come_again_as_it_is() -> None:
    """A proxy that repeats for Slack sends the very same request."""
    body = json.dumps(envelope(mention())).encode()
    async with calling() as slack:
        headers = slack.signed(body)
        slack.ears.failing = 1
        assert (await slack.post(body, headers=headers))[0] == 503
        assert (await slack.post(body, headers=headers))[0] == 200
        assert len(slack.ears.messages) == 1


async def test_while_it_is_being_taken_the_same_is_not_said_to_be_taken() -> None:
    """The first one may still fail, and then nobody would bring it again."""
    body = json.dumps(envelope(mention())).encode()
    async with calling() as slack:
        headers = slack.signed(body)
        slack.ears.released.clear()
        first = asyncio.create_task(slack.post(body, headers=headers))
        await slack.ears.wait_until_attempted(1)
        assert (await slack.post(body, headers=headers))[0] == 503
        slack.ears.released.set()
        assert (await first)[0] == 200
        assert (await slack.post(body, headers=headers))[0] == 200
        assert len(slack.ears.messages) == 1
        assert slack.ears.attempts == 1


def test_what_is_remembered_is_bounded_and_forgets_the_oldest() -> None:
    replays = ReplayGuard(300.0)
    for number in range(MAX_SIGNATURES + 1):
        assert replays.start_request(f"v0={number}", 1_000.0) is SeenState.NEW
        replays.finish_request(f"v0={number}", 1_000.0, accepted=True)
    assert replays.start_request("v0=1", 1_000.0) is SeenState.ACCEPTED
    assert replays.start_request("v0=0", 1_000.0) is SeenState.NEW


def test_a_request_is_remembered_until_no_signature_of_its_time_is_good() -> None:
    """One that says that it is five minutes late already is good for ten."""
    replays = ReplayGuard(300.0)
    replays.start_request("v0=a", 1_000.0)
    replays.finish_request("v0=a", 1_000.0, accepted=True)
    assert replays.start_request("v0=a", 1_599.0) is SeenState.ACCEPTED
    assert replays.start_request("v0=a", 1_600.0) is SeenState.NEW
