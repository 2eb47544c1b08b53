"""Events reach the app: for members only, in Slack's shape, again if not acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.emulator_client import APP_TOKEN, BOT_USER, DEV, GENERAL, SECRET, EmulatorClient, Json


class App:
    """A bare Socket Mode client. It stores what it receives, and acknowledges if asked to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.answers = True
        self.payload: Json | None = None
        self.received: list[Json] = []
        self.news = asyncio.Event()

    async def listen(self) -> None:
        async for frame in self.socket:
            envelope = json.loads(frame.data)
            self.received.append(envelope)
            if self.answers and "envelope_id" in envelope:
                ack: Json = {"envelope_id": envelope["envelope_id"]}
                await self.socket.send_json(
                    ack | ({"payload": self.payload} if self.payload else {})
                )
            self.news.set()

    async def envelopes(self, count: int) -> list[Json]:
        """The envelopes so far, as soon as there are `count`."""
        async with asyncio.timeout(30):
            while len(found := [one for one in self.received if "payload" in one]) < count:
                self.news.clear()
                await self.news.wait()
        return found

    async def events(self, count: int) -> list[Json]:
        return [one["payload"]["event"] for one in await self.envelopes(count)]


async def connection_url(client: EmulatorClient) -> str:
    opened = await client.ask(APP_TOKEN, "apps.connections.open")
    return str(opened["url"])


@asynccontextmanager
async def connected(client: EmulatorClient) -> AsyncIterator[App]:
    """An app on one connection."""
    async with client.http.ws_connect(await connection_url(client)) as socket:
        app = App(socket)
        assert (await socket.receive_json())["type"] == "hello"
        reader = asyncio.create_task(app.listen())
        try:
            yield app
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


async def test_a_mention_comes_twice(client: EmulatorClient) -> None:
    """As app_mention and as message: one ts, two event ids."""
    async with connected(client) as app:
        ts = await client.say("alice", GENERAL, "@threadpilot hello")
        envelopes = await app.envelopes(2)
    events = [one["payload"]["event"] for one in envelopes]
    assert [event["type"] for event in events] == ["app_mention", "message"]
    assert [event["ts"] for event in events] == [ts, ts]
    assert {event["text"] for event in events} == {f"<@{BOT_USER}> hello"}
    assert len({one["payload"]["event_id"] for one in envelopes}) == 2
    assert envelopes[0]["payload"]["authorizations"][0]["user_id"] == BOT_USER


async def test_only_members_receive_events(client: EmulatorClient) -> None:
    """No event of #secret until the app is invited."""
    async with connected(client) as app:
        await client.say("alice", SECRET, "@threadpilot hush")
        await client.call("alice", "conversations.invite", channel=SECRET, users=BOT_USER)
        await client.say("alice", SECRET, "welcome")
        events = await app.events(2)
    assert [event["type"] for event in events] == ["member_joined_channel", "message"]
    assert (events[1]["text"], events[1]["channel_type"]) == ("welcome", "group")


async def test_an_outsider_is_known_by_their_team(client: EmulatorClient) -> None:
    async with connected(client) as app:
        await client.say("eve", DEV, "hello")
        (envelope,) = await app.envelopes(1)
    event = envelope["payload"]["event"]
    assert envelope["payload"]["team_id"] == "T0SANDBOX"
    assert envelope["payload"]["is_ext_shared_channel"] is True
    assert event["user_team"] == event["source_team"] == event["team"] == "T0OUTSIDE"


async def test_changes_and_deletions_carry_what_was_before(client: EmulatorClient) -> None:
    async with connected(client) as app:
        ts = await client.say("alice", GENERAL, "first")
        await client.edit("alice", GENERAL, ts, "second")
        await client.delete("alice", GENERAL, ts)
        _, changed, deleted = await app.events(3)
    assert changed["subtype"] == "message_changed"
    assert (changed["previous_message"]["text"], changed["message"]["text"]) == ("first", "second")
    assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", ts)
    assert deleted["previous_message"]["text"] == "second"


async def test_a_deleted_root_leaves_its_place_to_its_replies(client: EmulatorClient) -> None:
    root = await client.say("alice", GENERAL, "question")
    await client.say("bob", GENERAL, "answer", thread_ts=root)
    await client.delete("alice", GENERAL, root)
    left, reply = await client.replies(GENERAL, root)
    assert (left["subtype"], reply["text"]) == ("tombstone", "answer")


async def test_the_app_receives_its_own_messages(client: EmulatorClient) -> None:
    async with connected(client) as app:
        await client.as_app("chat.postMessage", channel=GENERAL, text=f"I am <@{BOT_USER}>")
        (event,) = await app.events(1)
    assert (event["type"], event["user"], event["bot_id"]) == ("message", BOT_USER, "B0PILOT")


async def test_what_is_not_subscribed_is_not_sent(client: EmulatorClient) -> None:
    await client.app(subscriptions=["app_mention", "message.im"])
    async with connected(client) as app:
        await client.say("alice", GENERAL, "@threadpilot one")
        await client.say("alice", await client.dm("alice"), "two")
        events = await app.events(2)
    assert [(event["type"], event.get("channel_type")) for event in events] == [
        ("app_mention", None),
        ("message", "im"),
    ]


async def test_what_is_not_acknowledged_comes_again(client: EmulatorClient) -> None:
    """At once, after a minute, after five, with the same event id; then the retries end."""
    async with connected(client) as app:
        app.answers = False
        await client.say("alice", GENERAL, "hello")
        for count, seconds in ((1, 3), (2, 60), (3, 300)):
            await app.envelopes(count)
            await client.advance(seconds)
            await client.advance(3)
        envelopes = await app.envelopes(4)
        app.answers = True
        await client.advance(1_000)
        await client.say("alice", GENERAL, "again")
        last = (await app.envelopes(5))[4]
    assert [one["retry_attempt"] for one in envelopes] == [0, 1, 2, 3]
    assert [one["retry_reason"] for one in envelopes] == ["", "timeout", "timeout", "timeout"]
    assert len({one["payload"]["event_id"] for one in envelopes}) == 1
    assert len({one["envelope_id"] for one in envelopes}) == 4
    assert last["payload"]["event"]["text"] == "again"


async def test_an_undelivered_event_waits_for_a_minute(client: EmulatorClient) -> None:
    await client.say("alice", GENERAL, "is anybody there?")
    async with connected(client) as app:
        await client.advance(61)
        (envelope,) = await app.envelopes(1)
    assert envelope["retry_attempt"] == 2
    assert envelope["retry_reason"] == "connection_failed"


async def test_a_connection_url_is_good_for_one_connection_soon(client: EmulatorClient) -> None:
    url = await connection_url(client)
    async with client.http.ws_connect(url):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.http.ws_connect(url)
    late = await connection_url(client)
    await client.advance(31)
    for address in (late, late.partition("?")[0]):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.http.ws_connect(address)


async def test_any_one_connection_gets_it(client: EmulatorClient) -> None:
    async with connected(client) as one, connected(client) as other:
        for number in range(4):
            await client.say("alice", GENERAL, f"number {number}")
        await one.envelopes(2)
        await other.envelopes(2)
        texts = [
            e["payload"]["event"]["text"] for e in itertools.chain(one.received, other.received)
        ]
    assert sorted(texts) == [f"number {number}" for number in range(4)]


async def test_garbage_from_the_app_is_no_acknowledgement(client: EmulatorClient) -> None:
    async with connected(client) as app:
        app.answers = False
        for words in ("{", "[]", '{"envelope_id": 7}', '{"envelope_id": "none"}', "[" * 5_000):
            await app.socket.send_str(words)
        await client.say("alice", GENERAL, "hello")
        await app.envelopes(1)
        await client.advance(4)
        assert len(await app.envelopes(2)) == 2


async def test_event_faults_repeat_swap_and_redeliver(client: EmulatorClient) -> None:
    async with connected(client) as app:
        await client.fault("events", "duplicate")
        await client.say("alice", GENERAL, "twice")
        assert len(await app.envelopes(2)) == 2
        await client.fault("events", "reorder")
        await client.say("alice", GENERAL, "held")
        await client.say("alice", GENERAL, "overtaking")
        assert [e["text"] for e in (await app.events(4))[2:]] == ["overtaking", "held"]
        await client.fault("events", "redeliver")
        await client.say("alice", GENERAL, "again")
        again = (await app.envelopes(6))[4:]
    assert [one["retry_attempt"] for one in again] == [0, 1]
    assert await client.faults() == []


async def test_a_held_event_comes_though_nothing_overtakes_it(client: EmulatorClient) -> None:
    async with connected(client) as app:
        await client.fault("events", "reorder")
        await client.say("alice", GENERAL, "held")
        assert [event["text"] for event in await app.events(1)] == ["held"]


async def test_a_connection_can_be_cut(client: EmulatorClient) -> None:
    async with connected(client) as app:
        await client.fault("socket", "drop")
        async with asyncio.timeout(30):
            while not app.socket.closed:
                await asyncio.wait({asyncio.ensure_future(app.news.wait())}, timeout=0.05)
    async with connected(client) as back:
        await client.say("alice", GENERAL, "hello")
        await back.envelopes(1)


async def test_a_half_open_connection_receives_nothing(client: EmulatorClient) -> None:
    async with connected(client) as dead:
        await client.fault("socket", "half-open")
        await client.say("alice", GENERAL, "lost?")
        async with connected(client) as live:
            for _ in range(2):
                await client.advance(4)
            await client.advance(300)
            events = await live.events(1)
        assert events[0]["text"] == "lost?"
        assert dead.received == []
        assert not dead.socket.closed


async def test_slack_announces_a_disconnect(client: EmulatorClient) -> None:
    """A warning leaves some seconds; a refresh closes the connection at once."""
    async with connected(client) as app:
        await client.fault("socket", "disconnect", reason="refresh_requested")
        async with asyncio.timeout(30):
            await app.news.wait()
    assert app.received[0]["type"] == "disconnect"
    assert app.received[0]["reason"] == "refresh_requested"
    async with connected(client) as warned:
        await client.fault("socket", "disconnect")
        async with asyncio.timeout(30):
            await warned.news.wait()
        assert not warned.socket.closed
        assert warned.received[0]["reason"] == "warning"


async def test_one_of_several_connections_can_be_cut(client: EmulatorClient) -> None:
    """The others still receive: each event goes to any one of the open connections."""
    async with connected(client) as first, connected(client) as second:
        assert await connection_count(client) == 2
        await client.fault("socket", "drop", lines=1)
        await client.wait_for(lambda: has_connections(client, 1), why="one line is left")
        await client.say("alice", GENERAL, "still there?")
        assert [event["text"] for event in await second.events(1)] == ["still there?"]
        assert first.received == []


async def test_a_dead_connection_url_opens_nothing(client: EmulatorClient) -> None:
    await client.fault("socket", "dead-ticket")
    opened = await client.ask(APP_TOKEN, "apps.connections.open")
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.http.ws_connect(opened["url"])
    assert caught.value.status == 404
    async with connected(client):
        assert await connection_count(client) == 1


async def connection_count(client: EmulatorClient) -> int:
    async with client.http.get(f"{client.url}/sandbox/app") as answer:
        return int((await answer.json())["connections"])


async def has_connections(client: EmulatorClient, count: int) -> bool:
    return await connection_count(client) == count
