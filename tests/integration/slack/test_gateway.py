"""The bot receives all events, by Socket Mode and by signed HTTP alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.domain.messages import Message, Trigger
from bot.errors import SlackError
from bot.slack.api.auth_errors import APP_TOKEN_REFUSED, BOT_TOKEN_REFUSED, NOT_A_BOT_TOKEN
from bot.slack.events.parser import DeletedEvent, EditedEvent, StoppedEvent
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    EVE,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
    emulator_over_http,
    wait_until,
)
from tests.integration.slack.gateway_fixtures import (
    FREQUENT_PING_SECONDS,
    GatewayFixture,
    disconnected_gateway,
    gateway_fixture,
    socket_transport,
    web_client,
)


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with emulator_over_http() as outside:
        yield outside


@pytest.fixture(params=["socket", "http"])
async def bot(outside: Outside, request: pytest.FixtureRequest) -> AsyncIterator[GatewayFixture]:
    async with gateway_fixture(outside, request.param) as bot:
        yield bot


@pytest.fixture
async def socket_bot(outside: Outside) -> AsyncIterator[GatewayFixture]:
    async with gateway_fixture(outside, ping_seconds=FREQUENT_PING_SECONDS) as bot:
        yield bot


async def received(bot: GatewayFixture, count: int) -> list[Message]:
    """The received messages, once there are `count`."""
    await bot.receiver.wait_until(lambda receiver: len(receiver.messages) >= count)
    return bot.receiver.messages


async def test_the_bot_knows_its_identity(bot: GatewayFixture) -> None:
    identity = await bot.gateway.identity()
    assert (identity.team, identity.name) == (TEAM, "threadpilot")
    assert identity.user == await bot.outside.id_of(BOT)


async def test_a_mention_is_received_once_although_slack_sends_it_twice(
    bot: GatewayFixture,
) -> None:
    ts = await bot.outside.say(ALICE, GENERAL, "@threadpilot what is <Python> & why?")
    (message,) = await received(bot, 1)
    assert message.text == "what is <Python> & why?"
    assert (message.trigger, message.ts, message.starts_thread) == (Trigger.MENTION, ts, True)
    assert (message.thread.team, message.thread.channel) == (TEAM, GENERAL)
    await bot.receiver.wait_until(lambda receiver: receiver.attempts == 2)
    assert len(bot.receiver.messages) == 1


async def test_threads_are_followed_and_messages_to_others_are_distinguished(
    bot: GatewayFixture,
) -> None:
    root = await bot.outside.say(ALICE, GENERAL, "@threadpilot hello")
    await bot.outside.say(ALICE, GENERAL, "and then?", thread_ts=root)
    await bot.outside.say(BOB, GENERAL, "<@UALICE> lunch?", thread_ts=root)
    await bot.outside.say(BOB, GENERAL, "not for the bot at all")
    messages = await received(bot, 3)
    events = {(one.user, one.trigger) for one in messages}
    assert events == {
        ("UALICE", Trigger.MENTION),
        ("UALICE", Trigger.FOLLOW_UP),
        ("UBOB", Trigger.OVERHEARD),
    }
    assert {one.thread.root_ts for one in messages} == {root}


async def test_a_direct_message_is_for_the_bot(bot: GatewayFixture) -> None:
    identity = await bot.gateway.identity()
    opened = await bot.outside.act("conversations.open", ALICE, users=identity.user)
    channel = opened["channel"]["id"]
    ts = await bot.outside.say(ALICE, channel, "just us")
    (message,) = await received(bot, 1)
    assert (message.trigger, message.direct) == (Trigger.DIRECT, True)
    assert (message.thread.channel, message.thread.root_ts) == (channel, ts)


async def test_a_user_of_another_workspace_is_distinguished(bot: GatewayFixture) -> None:
    await bot.outside.say(EVE, GENERAL, "@threadpilot hello")
    (message,) = await received(bot, 1)
    assert message.external
    assert message.user_team != TEAM
    assert message.thread.team == TEAM


async def test_the_bots_own_messages_are_ignored(bot: GatewayFixture) -> None:
    identity = await bot.gateway.identity()
    await bot.outside.say(BOT, GENERAL, f"I am <@{identity.user}>")
    await bot.outside.say(ALICE, GENERAL, "@threadpilot hello")
    assert [one.user for one in await received(bot, 1)] == ["UALICE"]


async def test_an_edit_a_deletion_and_stop_are_received(bot: GatewayFixture) -> None:
    ts = await bot.outside.say(ALICE, GENERAL, "@threadpilot helo")
    await received(bot, 1)
    edited = {"channel": GENERAL, "ts": ts, "text": "@threadpilot hello"}
    await bot.outside.act("chat.update", ALICE, **edited)
    await bot.receiver.wait_until(
        lambda receiver: any(isinstance(fact, EditedEvent) for fact in receiver.events)
    )
    await bot.outside.act(
        "agents.sessions.setStatus", BOT, channel_id=GENERAL, thread_ts=ts, status="processing"
    )
    await bot.outside.act("agents.sessions.stop", ALICE, channel=GENERAL, thread_ts=ts)
    await bot.receiver.wait_until(
        lambda receiver: any(isinstance(fact, StoppedEvent) for fact in receiver.events)
    )
    await bot.outside.act("chat.delete", ALICE, channel=GENERAL, ts=ts)
    await bot.receiver.wait_until(
        lambda receiver: any(isinstance(fact, DeletedEvent) for fact in receiver.events)
    )
    events = [fact for fact in bot.receiver.events if not isinstance(fact, Message)]
    assert events[0] == EditedEvent(team=TEAM, channel=GENERAL, ts=ts, user="UALICE", text="hello")
    assert isinstance(events[1], StoppedEvent)
    assert (events[1].thread.root_ts, events[1].user) == (ts, "UALICE")
    assert events[2] == DeletedEvent(team=TEAM, channel=GENERAL, ts=ts, user="UALICE")


async def test_a_message_that_could_not_be_recorded_is_sent_again(bot: GatewayFixture) -> None:
    """Not acknowledged, so Slack repeats it: at once, after a minute, after five."""
    bot.receiver.failing = 2  # both events of the mention
    await bot.outside.say(ALICE, GENERAL, "@threadpilot hello")
    await bot.receiver.wait_until(lambda receiver: receiver.attempts >= 2)
    assert bot.receiver.messages == []
    await bot.outside.advance(4)
    await received(bot, 1)
    assert bot.receiver.messages[0].text == "hello"


async def test_a_repeated_event_is_acknowledged_and_recorded_once(bot: GatewayFixture) -> None:
    await bot.outside.control("faults", {"events": "redeliver", "times": 2})
    await bot.outside.say(ALICE, GENERAL, "@threadpilot hello")
    await bot.receiver.wait_until(lambda receiver: receiver.attempts >= 2)
    await bot.outside.advance(1)  # with a signature of a second later it is another request
    await bot.outside.control("faults", {"events": "duplicate", "times": 2})
    await bot.outside.say(ALICE, GENERAL, "@threadpilot hello again")
    await bot.outside.say(ALICE, GENERAL, "@threadpilot bye")
    messages = await received(bot, 3)
    assert sorted(one.text for one in messages) == ["bye", "hello", "hello again"]


async def test_many_messages_at_once_are_all_received(bot: GatewayFixture) -> None:
    for number in range(25):
        await bot.outside.say(ALICE, GENERAL, f"@threadpilot number {number}")
    messages = await received(bot, 25)
    assert {one.text for one in messages} == {f"number {n}" for n in range(25)}


async def test_one_slow_message_does_not_delay_others(
    bot: GatewayFixture,
) -> None:
    bot.receiver.released.clear()
    await bot.outside.say(ALICE, GENERAL, "@threadpilot slow")
    ts = await bot.outside.say(ALICE, GENERAL, "helo")
    edited = {"channel": GENERAL, "ts": ts, "text": "hello"}
    await bot.outside.act("chat.update", ALICE, **edited)
    await bot.receiver.wait_until(
        lambda receiver: any(isinstance(fact, EditedEvent) for fact in receiver.events)
    )
    assert bot.receiver.messages == []
    bot.receiver.released.set()
    assert [one.text for one in await received(bot, 1)] == ["slow"]


async def test_nothing_is_received_from_a_channel_without_the_bot(bot: GatewayFixture) -> None:
    await bot.outside.say(ALICE, SECRET, "@threadpilot psst")
    await bot.outside.say(ALICE, GENERAL, "@threadpilot hello")
    assert [one.text for one in await received(bot, 1)] == ["hello"]


# Errors of Socket Mode --------------------------------------------------------------------------


async def received_again(bot: GatewayFixture) -> None:
    """Post until the bot receives it: a message before the new connection comes a minute later."""

    async def one_received() -> bool:
        await bot.outside.say(ALICE, GENERAL, "@threadpilot still there?")
        return bool(bot.receiver.messages)

    await wait_until(one_received, "a line is up again", max_wait=20)
    assert bot.receiver.messages[0].text == "still there?"


@pytest.mark.parametrize("trouble", ["drop", "half-open"])
async def test_a_broken_connection_is_replaced_by_a_new_one(
    socket_bot: GatewayFixture, trouble: str
) -> None:
    outside = socket_bot.outside
    before = len(await outside.calls("apps.connections.open"))
    await outside.control("faults", {"socket": trouble})

    async def mended() -> bool:
        return len(await outside.calls("apps.connections.open")) > before

    await wait_until(mended, "a new connection URL is requested")
    await received_again(socket_bot)


async def test_a_refused_connection_url_is_not_retried_without_end(
    socket_bot: GatewayFixture,
) -> None:
    outside = socket_bot.outside
    before = len(await outside.calls("apps.connections.open"))
    await outside.control("faults", {"socket": "refuse", "times": 3})
    await outside.control("faults", {"socket": "drop"})

    await received_again(socket_bot)
    assert len(await outside.calls("apps.connections.open")) >= before + 4


async def test_a_connection_that_stays_down_is_replaced(
    socket_bot: GatewayFixture, caplog: pytest.LogCaptureFixture
) -> None:
    outside = socket_bot.outside
    await outside.control("faults", {"socket": "refuse", "times": 1_000})
    await outside.control("faults", {"socket": "drop"})

    async def replaced() -> bool:
        return "connection stays down, replacing it" in caplog.text

    await wait_until(replaced, "the line is given up")
    async with outside.http.delete(f"{outside.url}/sandbox/faults") as cleared:
        assert cleared.status == 200

    await received_again(socket_bot)
    assert "ticket=" not in caplog.text


async def test_a_connection_is_renewed_when_slack_asks_for_it(socket_bot: GatewayFixture) -> None:
    outside = socket_bot.outside
    before = len(await outside.calls("apps.connections.open"))
    await outside.control("faults", {"socket": "disconnect"})

    async def renewed() -> bool:
        return len(await outside.calls("apps.connections.open")) > before

    await wait_until(renewed, "a new connection URL is requested")
    await received_again(socket_bot)


async def test_another_program_with_the_same_token_is_logged(
    socket_bot: GatewayFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """Each event goes to only one of the programs, so the bot misses some."""
    async with gateway_fixture(socket_bot.outside):
        assert "another program uses this SLACK_APP_TOKEN" in caplog.text


async def test_closing_ends_all_running_work(outside: Outside) -> None:
    before = asyncio.all_tasks()
    for way in ("socket", "http"):
        async with gateway_fixture(outside, way) as bot:
            await outside.say(ALICE, GENERAL, "@threadpilot hello")
            await received(bot, 1)
        await outside.control("app", {"request_url": None})

    async def ended() -> bool:
        tasks = [repr(task) for task in asyncio.all_tasks() - before]
        return not any("bot/slack/" in task or "slack_sdk" in task for task in tasks)

    await wait_until(ended, "no task is left behind")


async def test_a_refused_app_token_is_one_clear_error(outside: Outside) -> None:
    async with aiohttp.ClientSession() as session:
        transport = socket_transport(outside, token="xapp-wrong")
        gateway = disconnected_gateway(web_client(outside, session), transport)
        with pytest.raises(SlackError) as caught:
            async with gateway.connection():
                pass
    assert APP_TOKEN_REFUSED.format(code="invalid_auth") in str(caught.value)
    assert "xapp-wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("token", "remedy"),
    [
        ("xoxb-wrong", BOT_TOKEN_REFUSED.format(code="invalid_auth")),
        ("xoxp-alice", NOT_A_BOT_TOKEN),
    ],
)
async def test_a_refused_bot_token_is_one_clear_error(
    outside: Outside, token: str, remedy: str
) -> None:
    async with aiohttp.ClientSession() as session:
        client = web_client(outside, session, token=token)
        gateway = disconnected_gateway(client, socket_transport(outside))
        with pytest.raises(SlackError) as caught:
            async with gateway.connection():
                pass
    assert remedy in str(caught.value)
    assert token not in str(caught.value)


async def test_slack_out_of_reach_is_one_clear_error(unused_tcp_port: int) -> None:
    async with aiohttp.ClientSession() as session:
        nowhere = Outside(f"http://127.0.0.1:{unused_tcp_port}", session)
        gateway = disconnected_gateway(web_client(nowhere, session), socket_transport(nowhere))
        with pytest.raises(SlackError, match="unreachable"):
            async with gateway.connection():
                pass
