"""The page's event stream sends each user what they may see, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.emulator_client import BOT_USER, GENERAL, SECRET, EmulatorClient, Json


class Page:
    """One open stream; it stores the events received so far."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Json]] = []
        self.news = asyncio.Event()

    async def until(self, name: str, fits: Callable[[Json], bool] = lambda _: True) -> Json:
        """The first event with this name that fits, as soon as it is there."""
        async with asyncio.timeout(30):
            while True:
                for event_name, data in self.received:
                    if event_name == name and fits(data):
                        return data
                self.news.clear()
                await self.news.wait()

    def names(self) -> list[str]:
        return [name for name, _ in self.received]


@asynccontextmanager
async def open_page(client: EmulatorClient, person: str) -> AsyncIterator[Page]:
    """A page of this user's, with its events, until the context ends."""
    page = Page()

    async def read() -> None:
        address = f"{client.url}/sandbox/feed"
        async with client.http.get(address, params={"user": f"U{person.upper()}"}) as feed:
            assert feed.content_type == "text/event-stream"
            name = ""
            async for line in feed.content:
                key, _, value = line.decode().rstrip("\n").partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    page.received.append((name, json.loads(value)))
                    page.news.set()

    reading = asyncio.create_task(read())
    try:
        await page.until("snapshot")
        yield page
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def test_a_page_begins_with_a_snapshot(client: EmulatorClient) -> None:
    channel = await client.dm("eve")
    await client.app(shortcuts=[{"callback_id": "ask", "name": "Ask"}])
    async with open_page(client, "eve") as page:
        seen = await page.until("snapshot")
    assert seen["me"]["id"] == "UEVE"
    assert seen["me"]["token"] == "xoxp-eve"
    assert seen["me"]["is_stranger"] is True
    assert [one["name"] for one in seen["channels"]] == ["general", "dev"]
    assert seen["ims"] == [{"id": channel, "user": BOT_USER, "is_im": True}]
    assert seen["app"]["shortcuts"][0]["callback_id"] == "ask"
    all_names = {"alice", "bob", "carol", "eve", "gus", "robot", "threadpilot"}
    assert all_names == {u["name"] for u in seen["users"]}
    assert [u["token"] for u in seen["users"] if u["is_bot"]] == ["", ""]
    assert seen["notice"] == ""


async def test_a_page_gets_only_events_its_user_may_see(client: EmulatorClient) -> None:
    """Not of channels that they are not in, and not of another user's ephemeral messages."""
    async with open_page(client, "alice") as alice, open_page(client, "eve") as eve:
        await client.say("alice", SECRET, "hush")
        await client.as_app("chat.postEphemeral", channel=GENERAL, user="UALICE", text="psst")
        await client.say("alice", GENERAL, "hello")
        assert (await alice.until("ephemeral"))["text"] == "psst"
        event = await eve.until("message", lambda data: bool(data["channel"] == GENERAL))
        assert event["message"]["text"] == "hello"
        assert "hush" not in str(eve.received)
        assert "psst" not in str([data for name, data in eve.received if name != "call"])


async def test_a_stream_is_seen_growing(client: EmulatorClient) -> None:
    async with open_page(client, "bob") as page:
        root = await client.say("alice", GENERAL, "go on")
        begun = await client.as_app(
            "chat.startStream",
            channel=GENERAL,
            thread_ts=root,
            recipient_user_id="UALICE",
            recipient_team_id="T0SANDBOX",
        )
        stream = {"channel": GENERAL, "ts": begun["ts"]}
        await client.as_app("chat.appendStream", markdown_text="one ", **stream)
        await client.as_app("chat.stopStream", markdown_text="two", **stream)
        grown = await page.until("stream", lambda data: bool(data["state"] == "streaming"))
        assert (grown["delta"], grown["message"]["text"]) == ("one ", "one ")
        ended = await page.until("stream", lambda data: bool(data["state"] == "stopped"))
        assert (ended["delta"], ended["message"]["text"]) == ("two", "one two")
        called = await page.until("call", lambda data: bool(data["method"] == "chat.stopStream"))
        assert (called["ok"], called["error"]) == (True, None)


async def test_the_status_line_goes_by_itself(client: EmulatorClient) -> None:
    """After two minutes, or with the app's next message."""
    async with open_page(client, "alice") as page:
        root = await client.say("alice", GENERAL, "go on")
        thread = {"channel_id": GENERAL, "thread_ts": root}
        await client.as_app("assistant.threads.setStatus", status="is thinking", **thread)
        await page.until("status", lambda data: bool(data["status"] == "is thinking"))
        await client.advance(121)
        await page.until("status", lambda data: bool(data["status"] == ""))
        page.received.clear()
        await client.as_app("assistant.threads.setStatus", status="is writing", **thread)
        await client.as_app("chat.postMessage", channel=GENERAL, thread_ts=root, text="here")
        await page.until("status", lambda data: bool(data["status"] == ""))


async def test_everything_else_is_reported_too(client: EmulatorClient) -> None:
    async with open_page(client, "alice") as page:
        ts = await client.say("alice", GENERAL, "first")
        await client.edit("alice", GENERAL, ts, "second")
        await client.react("bob", GENERAL, ts, "eyes")
        await client.delete("alice", GENERAL, ts)
        prompt = {"title": "Hi", "message": "hello"}
        await client.as_app(
            "assistant.threads.setSuggestedPrompts", channel_id=GENERAL, prompts=[prompt]
        )
        home = {"type": "home", "blocks": [{"type": "divider"}]}
        await client.as_app("views.publish", user_id="UALICE", view=home)
        await client.dm("alice")
        await client.app(description="new")
        await client.advance(1)
        await client.reset()
        await page.until("reset")
    assert list(dict.fromkeys(name for name in page.names() if name != "call")) == [
        "snapshot",
        "message",
        "message_changed",
        "reaction",
        "message_deleted",
        "prompts",
        "home",
        "channel_joined",
        "app",
        "clock",
        "reset",
    ]


@pytest.mark.parametrize("user", ["", "UNOBODY", BOT_USER])
async def test_an_event_stream_needs_a_user(client: EmulatorClient, user: str) -> None:
    async with client.http.get(f"{client.url}/sandbox/feed", params={"user": user}) as answer:
        assert answer.status == 400
