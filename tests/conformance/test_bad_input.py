"""Invalid input to the Web API is refused in Slack's manner, and nothing breaks."""

from __future__ import annotations

import contextlib
import io

import aiohttp
import pytest

from tests.conformance.http_client import BOT, GENERAL, Json, Outside


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff\xfe", b'"text"', b"null"])
async def test_a_body_that_is_no_json_object_is_refused_in_json(
    outside: Outside, body: bytes
) -> None:
    headers = {"Authorization": f"Bearer {BOT}", "Content-Type": "application/json; charset=utf-8"}
    address = f"{outside.url}/api/chat.postMessage"
    async with outside.http.post(address, data=body, headers=headers) as answer:
        assert answer.status == 200
        assert (await answer.json())["ok"] is False


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"channel": GENERAL},
        {"channel": "C0NOWHERE", "text": "x"},
        {"channel": 7, "text": "x"},
        {"channel": GENERAL, "text": "x", "blocks": "not json"},
        {"channel": GENERAL, "text": "x", "blocks": {"type": "divider"}},
        {"channel": GENERAL, "text": "x", "blocks": [7]},
        {"channel": GENERAL, "text": "x", "blocks": [{"type": "nonsense"}]},
        {"channel": GENERAL, "text": "x", "metadata": "no"},
    ],
)
async def test_invalid_arguments_are_refused_by_a_code(outside: Outside, arguments: Json) -> None:
    code = await outside.refused("chat.postMessage", BOT, **arguments)
    assert code.replace("_", "").isalpha()
    assert await outside.messages(GENERAL) == []


async def test_an_unknown_address_is_not_found(outside: Outside) -> None:
    for path in ("/sandbox/nothing", "/nothing", "/page/../server.py", "/page/%2e%2e/server.py"):
        async with outside.http.get(f"{outside.url}{path}") as answer:
            assert answer.status == 404


async def test_a_huge_request_is_refused_and_the_emulator_lives(outside: Outside) -> None:
    form = aiohttp.FormData({"channel": GENERAL, "token": BOT}, default_to_multipart=True)
    form.add_field("text", io.BytesIO(b"x" * 30_000_000))
    with contextlib.suppress(aiohttp.ClientError):
        async with outside.http.post(f"{outside.url}/api/chat.postMessage", data=form) as answer:
            assert answer.status >= 400 or (await answer.json())["ok"] is False
    assert (await outside.call("auth.test", BOT))["ok"] is True
