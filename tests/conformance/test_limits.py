"""Slack's limits hold in the emulator: rates, sizes, subscriptions, scopes and connections."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import aiohttp
import pytest

from tests.conformance.http_client import ALICE, APP, BOB, BOT, GENERAL, WAIT_SECONDS, Json, Outside
from tests.conformance.socket_client import Socket


async def begun(outside: Outside, **more: object) -> str:
    """The app starts a stream in a new thread of alice's; returns its ts."""
    root = await outside.say(ALICE, GENERAL, "a question")
    started = await outside.act(
        "chat.startStream",
        BOT,
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=await outside.id_of(ALICE),
        recipient_team_id="T0SANDBOX",
        **more,
    )
    return str(started["ts"])


# Rates


async def status_of(outside: Outside, method: str, **arguments: object) -> tuple[int, int]:
    """HTTP status of a call of the app, and the seconds of its Retry-After."""
    async with outside.http.post(
        f"{outside.url}/api/{method}",
        json=arguments,
        headers={"Authorization": f"Bearer {BOT}"},
    ) as answer:
        return answer.status, int(answer.headers.get("Retry-After", "0"))


async def test_streams_start_twenty_times_a_minute(outside: Outside) -> None:
    """Tier 2; after the time in Retry-After calls are allowed again."""
    root = await outside.say(ALICE, GENERAL, "a question")
    arguments: Json = {
        "channel": GENERAL,
        "thread_ts": root,
        "recipient_user_id": await outside.id_of(ALICE),
        "recipient_team_id": "T0SANDBOX",
        "markdown_text": "x",
    }
    seen = [await status_of(outside, "chat.startStream", **arguments) for _ in range(30)]
    good = [status for status, _ in seen if status == 200]
    assert 20 <= len(good) <= 25
    assert seen[-1][0] == 429
    assert seen[-1][1] >= 1
    await outside.advance(seen[-1][1])
    assert (await status_of(outside, "chat.startStream", **arguments))[0] == 200


async def test_fewer_reactions_are_removed_in_a_minute_than_added(outside: Outside) -> None:
    """Tier 2 and tier 3 (slackapi/java-slack-sdk metadata/web-api/rate_limit_tiers.json)."""
    where = {"channel": GENERAL, "timestamp": await outside.say(ALICE, GENERAL, "hello")}
    seen: dict[str, int] = {}
    for method in ("reactions.add", "reactions.remove"):
        statuses = [await status_of(outside, method, **where, name="eyes") for _ in range(60)]
        seen[method] = sum(status == 200 for status, _ in statuses)
    assert 20 <= seen["reactions.remove"] <= 25
    assert 50 <= seen["reactions.add"] < 60


async def test_users_have_no_rate_limits(outside: Outside) -> None:
    for n in range(80):
        await outside.say(ALICE, GENERAL, f"number {n}")


async def test_the_limits_can_be_switched_off(outside: Outside) -> None:
    await outside.control("app", {"limits": False})
    for _ in range(30):
        assert (await outside.call("conversations.list", BOT))["ok"] is True


# Sizes


async def test_a_stream_holds_twelve_thousand_characters_in_all(outside: Outside) -> None:
    ts = await begun(outside, markdown_text="x" * 8_000)
    more = {"channel": GENERAL, "ts": ts}
    refused = await outside.refused("chat.appendStream", BOT, **more, markdown_text="y" * 5_000)
    assert refused == "msg_too_long"
    await outside.act("chat.appendStream", BOT, **more, markdown_text="z" * 4_000)
    await outside.act("chat.stopStream", BOT, **more)
    (text,) = [one["text"] for one in await outside.replies(GENERAL, ts)][-1:]
    assert text == "x" * 8_000 + "z" * 4_000


async def test_what_is_refused_leaves_nothing_behind(outside: Outside) -> None:
    ts = await begun(outside, chunks=[{"type": "markdown_text", "text": "kept"}])
    bad = [{"type": "markdown_text", "text": "lost"}, {"type": "song"}]
    where = {"channel": GENERAL, "ts": ts}
    assert await outside.refused("chat.appendStream", BOT, **where, chunks=bad) == "invalid_chunks"
    await outside.act("chat.stopStream", BOT, **where, chunks=[])
    assert (await outside.replies(GENERAL, ts))[-1]["text"] == "kept"


async def test_a_live_stream_shows_its_state(outside: Outside) -> None:
    """A reader can distinguish a growing message from a complete one."""
    ts = await begun(outside, markdown_text="so far")
    live = (await outside.replies(GENERAL, ts))[-1]
    await outside.act("chat.stopStream", BOT, channel=GENERAL, ts=ts)
    settled = (await outside.replies(GENERAL, ts))[-1]
    assert live["text"] == settled["text"] == "so far"
    assert live["streaming"] != settled["streaming"]


async def test_metadata_can_be_changed_and_removed(outside: Outside) -> None:
    metadata = {"event_type": "turn", "event_payload": {"id": "1"}}
    posted = await outside.act(
        "chat.postMessage", BOT, channel=GENERAL, text="one", metadata=metadata
    )
    where = {"channel": GENERAL, "ts": posted["ts"]}

    async def now() -> object:
        body = await outside.act(
            "conversations.history", BOT, channel=GENERAL, include_all_metadata=True
        )
        return body["messages"][0].get("metadata")

    await outside.act("chat.update", BOT, **where, text="two")
    assert await now() == metadata, "kept where nothing is said of it"
    await outside.act("chat.update", BOT, **where, text="three", metadata={})
    assert not await now()


async def test_an_app_writes_to_a_user_by_id(outside: Outside) -> None:
    """chat.postMessage accepts a user's id as channel: the message goes to the direct message."""
    bob = await outside.id_of(BOB)
    posted = await outside.act("chat.postMessage", BOT, channel=bob, text="just you")
    assert posted["channel"].startswith("D")
    opened = await outside.act("conversations.open", BOB, users=await outside.id_of(BOT))
    assert opened["channel"]["id"] == posted["channel"]
    assert [one["text"] for one in await outside.messages(posted["channel"], BOB)] == ["just you"]


# The app's configuration


async def test_only_subscribed_events_are_sent(outside: Outside, socket: Socket) -> None:
    await outside.control("app", {"subscriptions": ["app_mention"]})
    await outside.say(ALICE, GENERAL, "not for you")
    await outside.say(ALICE, GENERAL, "@threadpilot for you")
    kinds = [frame["payload"]["event"]["type"] for frame in await socket.quiet(1)]
    assert kinds == ["app_mention"]


async def test_a_missing_scope_is_named(outside: Outside) -> None:
    await outside.control("app", {"scopes": ["chat:write"]})
    body = await outside.call("reactions.add", BOT, channel=GENERAL, timestamp="1.1", name="eyes")
    assert body["error"] == "missing_scope"
    assert body["needed"] == "reactions:write"
    assert "chat:write" in body["provided"]


async def test_agent_sessions_can_be_missing_in_a_workspace(outside: Outside) -> None:
    await outside.control("app", {"agent_sessions": False})
    root = await outside.say(ALICE, GENERAL, "a question")
    where = {"channel_id": GENERAL, "thread_ts": root}
    refused = await outside.refused("agents.sessions.setStatus", BOT, **where, status="active")
    assert refused == "feature_disabled"
    await outside.act("assistant.threads.setStatus", BOT, **where, status="is thinking...")


async def test_an_app_holds_ten_connections(outside: Outside) -> None:
    """The eleventh is not opened, or one of the others is closed for it."""
    wires = []
    try:
        for _ in range(10):
            url = (await outside.act("apps.connections.open", APP))["url"]
            wires.append(await outside.http.ws_connect(url))
            await wires[-1].receive_json()
        await outside.advance(600)
        assert (await outside.call("apps.connections.open", APP))["ok"] is False
    finally:
        for wire in wires:
            await wire.close()


async def test_a_connection_url_is_good_for_a_short_while(outside: Outside) -> None:
    url = (await outside.act("apps.connections.open", APP))["url"]
    await outside.advance(120)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await outside.http.ws_connect(url)


# The command


async def test_the_command_starts_the_emulator_alone_and_ends_cleanly() -> None:
    """`--port 0` uses a free port and prints it; SIGTERM ends the program with status 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "slack_emulator",
        "--port",
        "0",
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            line = (await process.stdout.readline()).decode()
        url = line.split()[-1]
        assert url.startswith("http://127.0.0.1:")
        async with aiohttp.ClientSession() as http:
            assert (await Outside(url, http).act("auth.test", BOT))["team_id"] == "T0SANDBOX"
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WAIT_SECONDS):
            await process.stdout.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--port", "70000"], ["--host", "0.0.0.0"]])  # noqa: S104 - that it is refused is the test
async def test_the_command_refuses_what_it_cannot_do(arguments: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "slack_emulator",
        *arguments,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WAIT_SECONDS):
        _, output = await process.communicate()
    assert process.returncode not in (0, None)
    assert b"Traceback" not in output
    assert output.strip()


async def test_a_port_in_use_gets_one_clear_sentence(outside: Outside) -> None:
    port = outside.url.rsplit(":", 1)[-1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "slack_emulator", "--port", port, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(WAIT_SECONDS):
        _, output = await process.communicate()
    assert process.returncode == 1
    assert port in output.decode()
    assert len(output.decode().strip().splitlines()) == 1
