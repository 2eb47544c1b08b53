"""The page's feed tells each person what they may see, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.emulator_client import BOT_USER, GENERAL, SECRET, EmulatorClient, Json


class Page:
    """One open feed; what came so far is kept."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Json]] = []
        self.news = asyncio.Event()

    async def until(self, name: str, fits: Callable[[Json], bool] = lambda _: True) -> Json:
        """The first event of this name that fits, as soon as it is there."""
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
async def open_page(people: EmulatorClient, person: str) -> AsyncIterator[Page]:
    """A page of this person's, fed until left."""
    page = Page()

    async def read() -> None:
        address = f"{people.url}/sandbox/feed"
        async with people.http.get(address, params={"user": f"U{person.upper()}"}) as feed:
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


async def test_a_page_begins_with_what_one_sees(people: EmulatorClient) -> None:
    channel = await people.dm("eve")
    await people.app(shortcuts=[{"callback_id": "ask", "name": "Ask"}])
    async with open_page(people, "eve") as page:
        seen = await page.until("snapshot")
    assert seen["me"]["id"] == "UEVE"
    assert seen["me"]["token"] == "xoxp-eve"
    assert seen["me"]["is_stranger"] is True
    assert [one["name"] for one in seen["channels"]] == ["general", "dev"]
    assert seen["ims"] == [{"id": channel, "user": BOT_USER, "is_im": True}]
    assert seen["app"]["shortcuts"][0]["callback_id"] == "ask"
    everybody = {"alice", "bob", "carol", "eve", "gus", "robot", "threadpilot"}
    assert everybody == {u["name"] for u in seen["users"]}
    assert [u["token"] for u in seen["users"] if u["is_bot"]] == ["", ""]
    assert seen["notice"] == ""


async def test_nobody_receives_what_they_may_not_see(people: EmulatorClient) -> None:
    """Not of channels that they are not in, and not of what another one sees alone."""
    async with open_page(people, "alice") as alice, open_page(people, "eve") as eve:
        await people.say("alice", SECRET, "hush")
        await people.as_app("chat.postEphemeral", channel=GENERAL, user="UALICE", text="psst")
        await people.say("alice", GENERAL, "hello")
        assert (await alice.until("ephemeral"))["text"] == "psst"
        event = await eve.until("message", lambda data: bool(data["channel"] == GENERAL))
        assert event["message"]["text"] == "hello"
        assert "hush" not in str(eve.received)
        assert "psst" not in str([data for name, data in eve.received if name != "call"])


async def test_a_stream_is_seen_growing(people: EmulatorClient) -> None:
    async with open_page(people, "bob") as page:
        root = await people.say("alice", GENERAL, "go on")
        begun = await people.as_app(
            "chat.startStream",
            channel=GENERAL,
            thread_ts=root,
            recipient_user_id="UALICE",
            recipient_team_id="T0SANDBOX",
        )
        stream = {"channel": GENERAL, "ts": begun["ts"]}
        await people.as_app("chat.appendStream", markdown_text="one ", **stream)
        await people.as_app("chat.stopStream", markdown_text="two", **stream)
        grown = await page.until("stream", lambda data: bool(data["state"] == "streaming"))
        assert (grown["delta"], grown["message"]["text"]) == ("one ", "one ")
        ended = await page.until("stream", lambda data: bool(data["state"] == "stopped"))
        assert (ended["delta"], ended["message"]["text"]) == ("two", "one two")
        called = await page.until("call", lambda data: bool(data["method"] == "chat.stopStream"))
        assert (called["ok"], called["error"]) == (True, None)


async def test_the_status_line_goes_by_itself(people: EmulatorClient) -> None:
    """After two minutes, or with the app's next message."""
    async with open_page(people, "alice") as page:
        root = await people.say("alice", GENERAL, "go on")
        thread = {"channel_id": GENERAL, "thread_ts": root}
        await people.as_app("assistant.threads.setStatus", status="is thinking", **thread)
        await page.until("status", lambda data: bool(data["status"] == "is thinking"))
        await people.advance(121)
        await page.until("status", lambda data: bool(data["status"] == ""))
        page.received.clear()
        await people.as_app("assistant.threads.setStatus", status="is writing", **thread)
        await people.as_app("chat.postMessage", channel=GENERAL, thread_ts=root, text="here")
        await page.until("status", lambda data: bool(data["status"] == ""))


async def test_everything_else_is_reported_too(people: EmulatorClient) -> None:
    async with open_page(people, "alice") as page:
        ts = await people.say("alice", GENERAL, "first")
        await people.edit("alice", GENERAL, ts, "second")
        await people.react("bob", GENERAL, ts, "eyes")
        await people.delete("alice", GENERAL, ts)
        prompt = {"title": "Hi", "message": "hello"}
        await people.as_app(
            "assistant.threads.setSuggestedPrompts", channel_id=GENERAL, prompts=[prompt]
        )
        home = {"type": "home", "blocks": [{"type": "divider"}]}
        await people.as_app("views.publish", user_id="UALICE", view=home)
        await people.dm("alice")
        await people.app(description="new")
        await people.advance(1)
        await people.reset()
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
async def test_a_feed_is_for_a_person(people: EmulatorClient, user: str) -> None:
    async with people.http.get(f"{people.url}/sandbox/feed", params={"user": user}) as answer:
        assert answer.status == 400
