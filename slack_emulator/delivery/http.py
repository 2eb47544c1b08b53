"""Posts signed payloads to the app's request URL, and evaluates the response.

docs.slack.dev/apis/events-api/using-http-request-urls.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from typing import Final
from urllib.parse import urlencode

import aiohttp

from slack_emulator.app_config import InvalidAppConfig
from slack_emulator.delivery.receipt import ACK_SECONDS, PayloadKind, Receipt
from slack_emulator.state.clock import EmulatorClock
from slack_emulator.state.entities import SIGNING_SECRET, VERIFICATION_TOKEN, Json

MAX_RESPONSE_BYTES: Final = 1 << 20
MAX_REDIRECTS: Final = 2


class HttpDelivery:
    """The HTTP client that delivers payloads."""

    def __init__(self, clock: EmulatorClock) -> None:
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    def _get_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False)
        return self._session

    async def close(self) -> None:
        """Close the HTTP session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def verify_url(self, url: str) -> None:
        """Send the challenge to the URL. Raises InvalidAppConfig if the response does not repeat
        it."""
        challenge = secrets.token_urlsafe(32)
        receipt = await self._post(
            url,
            json.dumps(
                {
                    "token": VERIFICATION_TOKEN,
                    "challenge": challenge,
                    "type": "url_verification",
                }
            ).encode(),
            "application/json",
            {},
        )
        body = receipt.body
        answered = body.get("challenge") if isinstance(body, dict) else body
        if not receipt.ok or str(answered).strip() not in (challenge, f"challenge={challenge}"):
            raise InvalidAppConfig(
                "The request URL did not answer the challenge. Start the app first, and see that "
                "it has the emulator's signing secret."
            )

    async def deliver(
        self, url: str, kind: PayloadKind, payload: Json, attempt: int, reason: str
    ) -> Receipt:
        """Post one payload, encoded as its kind requires, and wait for the response."""
        headers: dict[str, str] = {}
        if attempt:
            headers = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason}
        if kind is PayloadKind.EVENT:
            return await self._post(url, json.dumps(payload).encode(), "application/json", headers)
        form = {k: str(v) for k, v in payload.items() if v is not None}
        if kind is PayloadKind.INTERACTIVE:
            form = {"payload": json.dumps(payload)}
        return await self._post(
            url, urlencode(form).encode(), "application/x-www-form-urlencoded", headers
        )

    async def _post(
        self, url: str, body: bytes, content_type: str, headers: dict[str, str]
    ) -> Receipt:
        """Post a body, signed with the machine's own time: the app compares with that."""
        headers = headers | signature_headers(body, time.time()) | {"Content-Type": content_type}
        headers["User-Agent"] = "Slackbot 1.0 (+https://api.slack.com/robots)"
        post = asyncio.ensure_future(self._send_request(url, body, headers))
        timeout = asyncio.ensure_future(self._clock.sleep(ACK_SECONDS))
        try:
            await asyncio.wait({post, timeout}, return_when=asyncio.FIRST_COMPLETED)
            return post.result() if post.done() else Receipt(ok=False, reason="http_timeout")
        finally:
            post.cancel()
            timeout.cancel()
            await asyncio.gather(post, timeout, return_exceptions=True)

    async def _send_request(self, url: str, body: bytes, headers: dict[str, str]) -> Receipt:
        try:
            async with self._get_session().post(
                url, data=body, headers=headers, max_redirects=MAX_REDIRECTS
            ) as answer:
                content = await answer.content.read(MAX_RESPONSE_BYTES)
                return Receipt(
                    ok=200 <= answer.status < 300,
                    reason="" if 200 <= answer.status < 300 else "http_error",
                    body=_parse_body(content),
                    no_retry=answer.headers.get("X-Slack-No-Retry") == "1",
                )
        except aiohttp.TooManyRedirects:
            return Receipt(ok=False, reason="too_many_redirects")
        except aiohttp.ClientSSLError:
            return Receipt(ok=False, reason="ssl_error")
        except (aiohttp.ClientError, ConnectionError):
            return Receipt(ok=False, reason="connection_failed")


def _parse_body(content: bytes) -> object:
    """The response's JSON, or its text."""
    text = content.decode(errors="replace")
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return parsed if isinstance(parsed, dict) else text


def signature_headers(body: bytes, sent_at: float) -> dict[str, str]:
    """The headers that prove that `body` comes from Slack at `sent_at` (epoch seconds)."""
    timestamp = str(int(sent_at))
    base = b"v0:" + timestamp.encode() + b":" + body
    digest = hmac.new(SIGNING_SECRET.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}
