"""A replayed signed request is accepted once, also if it is not recorded."""

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
    """A second time it would stop the next reply, or restore an old text."""
    async with calling() as slack:
        headers = slack.signed(body)
        for later in (0, 1, 298):
            await slack.clock.advance(later)
            assert await slack.post(body, headers=headers) == (200, "")
        assert await slack.event(mention()) == 200
        await slack.receiver.wait_until(lambda receiver: len(receiver.messages) == 1)
        assert [fact for fact in slack.receiver.events if isinstance(fact, kind)] == [
            slack.receiver.events[0]
        ]
        await slack.clock.advance(3)
        assert (await slack.post(body, headers=headers))[0] == 401


async def test_a_retry_of_slack_is_signed_again_and_accepted() -> None:
    async with calling() as slack:
        slack.receiver.failing = 1
        assert await slack.event(mention()) == 503
        await slack.clock.advance(60)
        assert await slack.event(mention()) == 200
        assert len(slack.receiver.messages) == 1


async def test_a_request_that_was_not_accepted_may_be_sent_again() -> None:
    """A proxy that retries for Slack sends the very same request."""
    body = json.dumps(envelope(mention())).encode()
    async with calling() as slack:
        headers = slack.signed(body)
        slack.receiver.failing = 1
        assert (await slack.post(body, headers=headers))[0] == 503
        assert (await slack.post(body, headers=headers))[0] == 200
        assert len(slack.receiver.messages) == 1


async def test_a_replay_of_a_request_in_progress_is_not_accepted() -> None:
    """The first one may still fail, and then there would be no retry."""
    body = json.dumps(envelope(mention())).encode()
    async with calling() as slack:
        headers = slack.signed(body)
        slack.receiver.released.clear()
        first = asyncio.create_task(slack.post(body, headers=headers))
        await slack.receiver.wait_until_attempted(1)
        assert (await slack.post(body, headers=headers))[0] == 503
        slack.receiver.released.set()
        assert (await first)[0] == 200
        assert (await slack.post(body, headers=headers))[0] == 200
        assert len(slack.receiver.messages) == 1
        assert slack.receiver.attempts == 1


def test_what_is_remembered_is_bounded_and_forgets_the_oldest() -> None:
    replays = ReplayGuard(300.0)
    for number in range(MAX_SIGNATURES + 1):
        assert replays.start_request(f"v0={number}", 1_000.0) is SeenState.NEW
        replays.finish_request(f"v0={number}", 1_000.0, accepted=True)
    assert replays.start_request("v0=1", 1_000.0) is SeenState.ACCEPTED
    assert replays.start_request("v0=0", 1_000.0) is SeenState.NEW


def test_a_request_is_remembered_until_no_signature_of_its_time_is_good() -> None:
    """A request with a timestamp five minutes ahead is valid for ten minutes."""
    replays = ReplayGuard(300.0)
    replays.start_request("v0=a", 1_000.0)
    replays.finish_request("v0=a", 1_000.0, accepted=True)
    assert replays.start_request("v0=a", 1_599.0) is SeenState.ACCEPTED
    assert replays.start_request("v0=a", 1_600.0) is SeenState.NEW
