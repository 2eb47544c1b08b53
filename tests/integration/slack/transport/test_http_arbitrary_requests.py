"""Any client may send any request: the server responds with a documented status.

It does not fail, and it logs nothing of the content."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import zlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.slack.transport.test_http import SECRET, Slack, calling, envelope, mention

CANARY: Final = "kaNariEnVoGel"
DOCUMENTED: Final = {200, 400, 401, 404, 405, 408, 413, 503}

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
_WORDS = st.sampled_from(
    (
        *("event_callback", "url_verification", "block_actions", "view_submission"),
        *("message_action", "app_mention", "message", "app_home_opened", "agent_session_stopped"),
        *("/copilot", "C0GENERAL", "U0"),
    )
)
_FIELDS = st.sampled_from(
    (
        *("type", "event", "event_id", "team_id", "user", "user_id", "channel", "channel_id"),
        *("ts", "actions", "view", "container", "message", "command", "trigger_id", "text"),
        *("authorizations", "callback_id", "subtype", "thread_ts", "previous_message"),
    )
)
# Slack's payloads with errors.
_LIKE_SLACKS = st.recursive(
    _WORDS | _JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=8),
    max_leaves=30,
)
_EVENTS = st.dictionaries(_FIELDS, _LIKE_SLACKS, max_size=6).map(
    lambda more: json.dumps(envelope(mention(**more)))
)
_DEEP = st.integers(1, 3_000).map(lambda depth: f'{{"type":"x","a":{"[" * depth}{"]" * depth}}}')
_JSON_TEXTS = _JSON.map(json.dumps) | _LIKE_SLACKS.map(json.dumps) | _EVENTS | _DEEP
_TEXTS = st.text(max_size=60) | _JSON_TEXTS
_FORMS = st.dictionaries(_FIELDS | st.just("payload"), _TEXTS, max_size=4).map(
    lambda fields: urlencode(fields, errors="replace")
)
BODIES = st.binary(max_size=80) | (_TEXTS | _FORMS).map(
    lambda text: text.encode("utf-8", "replace")
)
KINDS = st.sampled_from(
    (
        *("application/json", "application/x-www-form-urlencoded") * 3,
        *("text/plain", "", ";", "a/b; charset=", "application/json; charset=utf-16"),
        *("multipart/form-data; boundary=x", "*/*"),
    )
) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["X-Slack-Retry-Num", "X-Slack-Retry-Reason", "Content-Encoding", "Cookie", "Host", "Range"]
    ),
    st.sampled_from(["1", "gzip", "deflate", "br", "http_timeout"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    max_size=3,
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request in bytes, and the validity of its signature."""

    method: str
    path: str
    kind: str
    headers: Mapping[str, str]
    body: bytes
    signed: str

    def on_the_wire(self, now: float) -> bytes:
        stamp = str(int(now - (10_000 if self.signed == "long ago" else 0)))
        right = hmac.new(SECRET.encode(), b"v0:" + stamp.encode() + b":" + self.body, "sha256")
        signature = "v0=" + (right.hexdigest() if self.signed != "wrongly" else "0" * 64)
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: bot", "Connection: close"]
        lines += [f"Content-Type: {self.kind}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.signed != "not at all":
            lines += [f"X-Slack-Request-Timestamp: {stamp}", f"X-Slack-Signature: {signature}"]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


REQUESTS = st.builds(
    Request,
    method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "OPTIONS"]),
    path=st.sampled_from(["/slack/events"] * 4 + ["/healthz", "/readyz", "/", "/slack/events/x"]),
    kind=KINDS,
    headers=HEADERS,
    body=BODIES,
    signed=st.sampled_from(["well"] * 5 + ["wrongly", "long ago", "not at all"]),
)


async def answered(slack: Slack, wire: bytes) -> tuple[int, bytes]:
    """The status and all other bytes of the response."""
    port = int(slack.url.rpartition(":")[2])
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(wire)
            await writer.drain()
            response = await reader.read()
        finally:
            writer.close()
    head, _, rest = response.partition(b"\r\n")
    return int(head.split()[1]), rest


def test_whatever_is_sent_the_http_endpoint_gives_a_documented_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with asyncio.Runner() as runner, caplog.at_level(logging.INFO):
        stack = AsyncExitStack()
        slack = runner.run(stack.enter_async_context(calling()))

        @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(REQUESTS)
        def check(request: Request) -> None:
            caplog.clear()
            status, _ = runner.run(answered(slack, request.on_the_wire(slack.clock.now())))
            assert status in DOCUMENTED
            if request.path == "/slack/events" and request.method == "POST":
                assert status not in (404, 405)
                if request.signed != "well":
                    assert status in (400, 401)
            assert [line for line in caplog.records if line.levelno >= logging.ERROR] == []

        try:
            check()
        finally:
            runner.run(stack.aclose())


@pytest.mark.parametrize("signed", ["well", "wrongly", "not at all"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps(envelope(mention(text=f"<@U0PILOT> {CANARY}"))).encode(), "application/json"),
        (json.dumps({"type": CANARY, "challenge": CANARY}).encode(), "application/json"),
        (f'{{"{CANARY}": '.encode(), "application/json"),
        (CANARY.encode() + b"\xff", "application/json"),
        (json.dumps({"type": "x", "a": CANARY}).encode(), f"text/{CANARY}"),
        (urlencode({"command": "/copilot", "text": CANARY}).encode(), ""),
        (urlencode({"payload": CANARY}).encode(), "application/x-www-form-urlencoded"),
        (urlencode({CANARY: CANARY}).encode(), "application/x-www-form-urlencoded"),
        (zlib.compress(CANARY.encode()), "application/json"),
    ],
)
async def test_nothing_of_what_was_sent_is_written_down(
    body: bytes, kind: str, signed: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        async with calling() as slack:
            headers = {"Cookie": CANARY, "Content-Encoding": "identity"}
            request = Request("POST", "/slack/events", kind, headers, body, signed)
            status, response = await answered(slack, request.on_the_wire(slack.clock.now()))
            assert status in DOCUMENTED
            if signed != "well":
                assert CANARY.encode() not in response
    logged = [line for line in caplog.records if line.name != "asyncio"]
    # The log names the type of an unknown delivery, but not its content.
    leaks = [line.getMessage() for line in logged if CANARY in line.getMessage()]
    assert leaks == [] or (signed == "well" and b'"type": "' + CANARY.encode() in body)


async def test_what_serves_the_http_endpoint_and_in_which_version_is_not_revealed() -> None:
    async with calling() as slack:
        for path in ("/healthz", "/readyz", "/slack/events", "/other"):
            request = Request("GET", path, "", {}, b"", "not at all")
            _, response = await answered(slack, request.on_the_wire(slack.clock.now()))
            assert b"aiohttp" not in response.lower()
            assert b"python" not in response.lower()
