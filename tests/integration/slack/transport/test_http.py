"""Signed HTTP requests of Slack: which are accepted or refused, and with which status."""

from __future__ import annotations

import hmac
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import aiohttp
import pytest
from slack_sdk.signature import SignatureVerifier

from bot.domain.messages import Trigger
from bot.errors import SettingsError
from bot.slack.events.parser import DeletedEvent, EditedEvent, StoppedEvent
from bot.slack.transport.http import MAX_BODY_BYTES, MAX_JSON_DEPTH, HttpTransport
from bot.tasks import BackgroundTasks
from tests.fakes import ManualClock
from tests.integration.slack.receiver import RecordingReceiver, event_receiver_for

SECRET = "sandbox-signing-secret"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
TS = "1790000000.000100"
TEAM = "T0SANDBOX"


class Slack:
    """Slack's side: signs with Slack's own SDK and posts."""

    def __init__(
        self, receiver: RecordingReceiver, clock: ManualClock, session: aiohttp.ClientSession
    ) -> None:
        self.receiver = receiver
        self.clock = clock
        self.ready: bool | Exception = True
        self.connection_changes: list[bool] = []
        """The reported changes of the connection."""
        self.url = ""
        self._session = session

    def signed(self, body: bytes, at: float | None = None) -> dict[str, str]:
        stamp = str(int(self.clock.now() if at is None else at))
        signature = SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)
        assert signature is not None
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}

    async def post(
        self,
        body: bytes,
        kind: str = JSON,
        headers: dict[str, str] | None = None,
        more: dict[str, str] | None = None,
    ) -> tuple[int, str]:
        signature = self.signed(body) if headers is None else headers
        async with self._session.post(
            f"{self.url}/slack/events",
            data=io.BytesIO(body),
            headers={"Content-Type": kind, **signature, **(more or {})},
        ) as answer:
            self.headers = answer.headers
            return answer.status, await answer.text()

    async def event(self, event: dict[str, object], event_id: str = "Ev01") -> int:
        status, _ = await self.post(json.dumps(envelope(event, event_id)).encode())
        return status

    async def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        async with self._session.request(method, self.url + path) as answer:
            return answer.status, await answer.text()

    async def is_ready(self) -> bool:
        if isinstance(self.ready, Exception):
            raise self.ready
        return self.ready


def envelope(event: dict[str, object], event_id: str = "Ev01") -> dict[str, object]:
    return {
        "type": "event_callback",
        "event_id": event_id,
        "team_id": "T0SANDBOX",
        "authorizations": [{"team_id": "T0SANDBOX"}],
        "event": event,
    }


def mention(**more: object) -> dict[str, object]:
    return {
        "type": "app_mention",
        "channel": "C0GENERAL",
        "user": "UALICE",
        "team": "T0SANDBOX",
        "ts": TS,
        "text": "<@U0PILOT> what is Python?",
        **more,
    }


@asynccontextmanager
async def calling(record_seconds: float = 10.0) -> AsyncIterator[Slack]:
    background, receiver, clock = BackgroundTasks(), RecordingReceiver(), ManualClock()
    async with aiohttp.ClientSession() as session:
        slack = Slack(receiver, clock, session)
        transport = HttpTransport(
            signing_secret=SECRET, clock=clock, check_ready=slack.is_ready, port=0
        )
        async with transport.open(
            event_receiver_for(receiver, background, record_seconds),
            slack.connection_changes.append,
        ):
            slack.url = f"http://127.0.0.1:{transport.port}"
            yield slack
        await background.close()


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with calling() as caller:
        yield caller


async def test_a_signed_mention_is_recorded_and_accepted(slack: Slack) -> None:
    assert await slack.event(mention()) == 200
    assert [(m.text, m.trigger) for m in slack.receiver.messages] == [
        ("what is Python?", Trigger.MENTION)
    ]


async def test_slacks_first_call_to_a_new_address_is_answered(slack: Slack) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "garish-rug"}).encode()
    assert await slack.post(body) == (200, '{"challenge": "garish-rug"}')
    status, _ = await slack.post(body, headers={})
    assert status == 401


@pytest.mark.parametrize(
    "ts", ["1790000000.1", "1790000000.0001000", "1790000000", "0x1.000000", ".000001"]
)
async def test_an_event_whose_ts_is_not_slacks_is_not_asked_for_again(
    slack: Slack, ts: str
) -> None:
    """The database can store all that is accepted: otherwise Slack would repeat it without end."""
    assert await slack.event(mention(ts=ts)) == 200
    assert await slack.event(mention(thread_ts=ts), "Ev02") == 200
    assert slack.receiver.attempts == 0


async def test_a_message_that_cannot_be_recorded_is_not_accepted(slack: Slack) -> None:
    """503, and no header that would keep Slack from a retry."""
    slack.receiver.failing = 1
    assert await slack.event(mention()) == 503
    assert "X-Slack-No-Retry" not in slack.headers
    assert await slack.event(mention()) == 200
    assert len(slack.receiver.messages) == 1


async def test_a_message_that_takes_too_long_to_record_is_not_accepted() -> None:
    async with calling(record_seconds=0.05) as slack:
        slack.receiver.released.clear()
        assert await slack.event(mention()) == 503
        slack.receiver.released.set()
        assert await slack.event(mention()) == 200


async def test_a_repeat_is_accepted_and_recorded_once(slack: Slack) -> None:
    assert await slack.event(mention()) == 200
    assert await slack.event(mention()) == 200
    assert await slack.event(mention(type="message", channel_type="channel"), "Ev02") == 200
    assert len(slack.receiver.messages) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Request-Timestamp": "1790000000"},
        {"X-Slack-Request-Timestamp": "1790000000", "X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Request-Timestamp": "yesterday", "X-Slack-Signature": "v0=" + "0" * 64},
        {"X-Slack-Request-Timestamp": "-1", "X-Slack-Signature": ""},
        {"X-Slack-Request-Timestamp": "9" * 400, "X-Slack-Signature": "v0=1"},
        {"X-Slack-Request-Timestamp": "1e9", "X-Slack-Signature": "v0=\u00e9"},
    ],
)
async def test_a_request_not_signed_by_slack_is_refused(
    slack: Slack, headers: dict[str, str]
) -> None:
    body = json.dumps(envelope(mention())).encode()
    status, text = await slack.post(body, headers=headers)
    assert (status, text) == (401, "")
    assert slack.receiver.events == []


async def test_a_signature_fits_its_own_body_and_secret_only(slack: Slack) -> None:
    body = json.dumps(envelope(mention())).encode()
    good = slack.signed(body)
    assert (await slack.post(body + b" ", headers=good))[0] == 401
    other = SignatureVerifier("other").generate_signature(
        timestamp=good["X-Slack-Request-Timestamp"], body=body
    )
    assert (await slack.post(body, headers={**good, "X-Slack-Signature": str(other)}))[0] == 401
    assert (await slack.post(body, headers=good))[0] == 200


@pytest.mark.parametrize(("age", "status"), [(299, 200), (301, 401), (-299, 200), (-301, 401)])
async def test_a_signature_is_good_for_five_minutes(slack: Slack, age: int, status: int) -> None:
    body = json.dumps(envelope(mention())).encode()
    headers = slack.signed(body, at=slack.clock.now() - age)
    assert (await slack.post(body, headers=headers))[0] == status


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", JSON),
        (b"not json", JSON),
        (b"[1]", JSON),
        (b'"text"', JSON),
        (b"{}", JSON),
        (b'{"type": 5}', JSON),
        (b'{"type": "event_callback"}', JSON),
        (b'{"type": "event_callback", "event": "mention"}', JSON),
        (b"[" * 100_000, JSON),
        (b'{"a":' * 100_000, JSON),
        (b"9" * 6_000, JSON),
        (b'{"type": "event_callback", "event": {}}', "text/plain"),
        (b"<xml/>", "application/xml"),
        (b"", FORM),
        (b"hello=world", FORM),
        (b"payload=not+json", FORM),
        (b"payload=[]", FORM),
        (b"&".join(b"a%d=b" % n for n in range(500)), FORM),
    ],
)
async def test_what_slack_would_never_send_is_a_bad_request(
    slack: Slack, body: bytes, kind: str
) -> None:
    assert await slack.post(body, kind) == (400, "")
    assert slack.receiver.events == []


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 400), (100, 400), (800, 400)])
async def test_what_is_nested_deeper_than_slacks_payloads_is_a_bad_request(
    slack: Slack, more: int, status: int
) -> None:
    """Before a recursive reader sees it."""
    depth = MAX_JSON_DEPTH - 1 + more
    blocks = b"[" * depth + b"]" * depth
    event = b'{"type": "some_new_event", "blocks": ' + blocks + b"}"
    assert (await slack.post(event))[0] == status
    form = urlencode({"payload": event}).encode()
    assert (await slack.post(form, FORM))[0] == status


async def test_bytes_that_are_no_text_are_a_bad_request(slack: Slack) -> None:
    """Signed by hand: Slack's SDK can only sign UTF-8."""
    stamp = str(int(slack.clock.now()))
    base = b"v0:" + stamp.encode() + b":\xff\xfe"
    signature = "v0=" + hmac.new(SECRET.encode(), base, "sha256").hexdigest()
    headers = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
    assert await slack.post(b"\xff\xfe", headers=headers) == (400, "")


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "app_mention"},
        {"type": "app_mention", "channel": "C0GENERAL", "text": "<@U0PILOT> hi"},
        {"type": "message", "channel": ["C"], "user": 5, "ts": {}},
        {"type": "some_new_event", "user": "UALICE"},
        {"type": 5},
        {"event": {"event": {"event": {}}}},
        {"type": "message", "channel": {"id": 5}, "message": [], "user": []},
        mention(user="U0PILOT"),
        mention(bot_id="BOTHER"),
        mention(type="message", channel_type="channel", text="no mention"),
    ],
)
async def test_events_that_are_not_for_the_bot_are_accepted_and_ignored(
    slack: Slack, event: dict[str, object]
) -> None:
    """Slack would only repeat them."""
    assert await slack.event(event) == 200
    assert slack.receiver.events == []


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"type": "app_mention", "text": "<@U0PILOT> hi"}, "event ignored: reason=malformed"),
        (mention(bot_id="BOTHER"), "event ignored: reason=message of a bot"),
    ],
)
async def test_an_unusual_event_is_logged(
    slack: Slack, event: dict[str, object], line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="bot"):
        assert await slack.event(event) == 200
    assert line in caplog.text


@pytest.mark.parametrize(
    "more",
    [{"authorizations": "x"}, {"authorizations": [5]}, {"team_id": 5}, {"enterprise": 5}],
)
async def test_an_odd_envelope_is_not_a_crash(slack: Slack, more: dict[str, object]) -> None:
    status, _ = await slack.post(json.dumps({**envelope(mention()), **more}).encode())
    assert status == 200


async def test_a_body_beyond_four_mebibytes_is_too_large(slack: Slack) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    assert (await slack.post(body, headers=slack.signed(b"")))[0] == 413
    large = json.dumps(envelope(mention(blocks="x" * (2 << 20)))).encode()
    assert (await slack.post(large))[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
async def test_another_method_is_not_allowed(slack: Slack, method: str) -> None:
    status, _ = await slack.get("/slack/events", method)
    assert status == 405


async def test_other_paths_are_not_there(slack: Slack) -> None:
    assert (await slack.get("/"))[0] == 404
    assert (await slack.get("/slack/install"))[0] == 404


async def test_health_is_whether_the_process_lives(slack: Slack) -> None:
    slack.ready = False
    assert await slack.get("/healthz") == (200, '{"alive": true}')


async def test_readiness_is_what_the_parts_say(slack: Slack) -> None:
    assert await slack.get("/readyz") == (200, '{"ready": true}')
    slack.ready = False
    assert await slack.get("/readyz") == (503, '{"ready": false}')
    slack.ready = RuntimeError("xoxb-secret at /data/threadpilot.db")
    assert await slack.get("/readyz") == (503, '{"ready": false}')


async def test_an_edit_a_deletion_and_a_stop_are_reported_after_the_response(
    slack: Slack,
) -> None:
    wrote = {"user": "UALICE", "ts": TS, "text": "before"}
    base: dict[str, object] = {"type": "message", "channel": "C0GENERAL", "ts": TS}
    edited = {"subtype": "message_changed", "message": {**wrote, "text": "after"}}
    assert await slack.event({**base, **edited, "previous_message": wrote}) == 200
    deleted = {"subtype": "message_deleted", "deleted_ts": TS, "previous_message": wrote}
    assert await slack.event({**base, **deleted}) == 200
    stop: dict[str, object] = {
        "type": "agent_session_stopped",
        "channel": "C0GENERAL",
        "user": "UALICE",
        "thread_ts": TS,
        "event_ts": "1790000009.000000",
    }
    assert await slack.event(stop) == 200
    await slack.receiver.wait_until(lambda receiver: len(receiver.events) == 3)
    assert [type(fact) for fact in slack.receiver.events] == [
        EditedEvent,
        DeletedEvent,
        StoppedEvent,
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"command": "/copilot"},
        {"command": "/copilot", "channel_id": "../etc", "user_id": "UALICE", "team_id": TEAM},
        {"command": "/other", "text": "hi"},
    ],
)
async def test_a_command_that_makes_no_sense_gets_a_sentence(
    slack: Slack, body: dict[str, str]
) -> None:
    status, text = await slack.post(urlencode(body).encode(), FORM)
    assert (status, slack.headers["Content-Type"].partition("; ")[2]) == (200, "charset=utf-8")
    assert "I don't know" in text or "Sorry" in text


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"type": "block_actions", "actions": []},
        {"type": "block_actions", "actions": [{"action_id": "gone"}], "user": {"id": 5}},
        {"type": "message_action", "callback_id": "gone"},
        {"type": "message_action", "callback_id": "ask_about_message", "message": []},
        {"type": "view_submission", "view": {"callback_id": "gone", "type": "modal"}},
        {"type": "view_closed", "view": {"callback_id": "gone"}},
        {"type": "something_new"},
    ],
)
async def test_every_interaction_is_acknowledged_also_when_it_makes_no_sense(
    slack: Slack, payload: dict[str, object]
) -> None:
    body = urlencode({"payload": json.dumps(payload)}).encode()
    assert (await slack.post(body, FORM))[0] == 200


async def test_a_modal_that_carries_nothing_of_ours_says_so(slack: Slack) -> None:
    payload = {
        "type": "view_submission",
        "user": {"id": "UALICE", "team_id": "T0SANDBOX"},
        "view": {
            "id": "V1",
            "type": "modal",
            "callback_id": "ask_question_modal",
            "private_metadata": "[" * 2_000,
        },
    }
    status, text = await slack.post(urlencode({"payload": json.dumps(payload)}).encode(), FORM)
    assert (status, json.loads(text)["response_action"]) == (200, "errors")


async def test_without_a_signing_secret_the_http_endpoint_is_not_even_built() -> None:
    for empty in ("", "   "):
        with pytest.raises(SettingsError, match="SLACK_SIGNING_SECRET"):
            HttpTransport(signing_secret=empty, clock=ManualClock(), check_ready=_yes)


async def test_a_port_in_use_is_an_error_with_a_remedy(slack: Slack) -> None:
    port = int(slack.url.rpartition(":")[2])
    transport = HttpTransport(
        signing_secret=SECRET, clock=ManualClock(), check_ready=_yes, port=port
    )
    with pytest.raises(SettingsError) as caught:
        async with transport.open(
            event_receiver_for(RecordingReceiver(), BackgroundTasks()),
            slack.connection_changes.append,
        ):
            pass
    (fault,) = caught.value.faults
    assert f"127.0.0.1:{port}" in fault
    assert "choose another HTTP_PORT" in fault
    assert "stop the program that uses it" in fault


async def test_the_secret_is_not_in_what_is_printed() -> None:
    assert SECRET not in repr(
        HttpTransport(signing_secret=SECRET, clock=ManualClock(), check_ready=_yes)
    )


async def test_oauth_variables_of_another_program_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bolt would become an installable app and ignore the bot's token."""
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "x")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-other")
    async with calling() as slack:
        assert await slack.event(mention()) == 200
        assert len(slack.receiver.messages) == 1


async def _yes() -> bool:
    return True
