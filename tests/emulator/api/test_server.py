"""The Web API's server: faults, limits, scopes, and the log of the app's calls."""

from __future__ import annotations

import aiohttp
import pytest

from slack_emulator.rate_limits import RateLimits
from slack_emulator.state.clock import EmulatorClock
from tests.emulator_client import BOT_TOKEN, GENERAL, SECRET, EmulatorClient, Json
from tests.fakes import ManualClock

POST = "chat.postMessage"


async def post(client: EmulatorClient, text: str = "hello") -> Json:
    return await client.ask(BOT_TOKEN, POST, channel=GENERAL, text=text)


async def test_each_fault_happens_as_often_as_it_was_set(client: EmulatorClient) -> None:
    await client.fault(POST, "500")
    await client.fault(POST, "error", error="is_archived", times=2)
    answers = [await post(client) for _ in range(4)]
    assert [answer.get("error") for answer in answers] == [
        "internal_error",
        "is_archived",
        "is_archived",
        None,
    ]
    assert len(await client.history(GENERAL)) == 1


async def test_too_many_calls_get_retry_after(client: EmulatorClient) -> None:
    await client.fault(POST, "429", retry_after=7)
    arguments = {"channel": GENERAL, "text": "hello", "token": BOT_TOKEN}
    async with client.http.post(f"{client.url}/api/{POST}", data=arguments) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "7"
        assert (await answer.json())["error"] == "ratelimited"


@pytest.mark.parametrize(("kind", "posted"), [("drop_before", 0), ("drop_after", 1)])
async def test_a_connection_drops_before_or_after_the_call(
    client: EmulatorClient, kind: str, posted: int
) -> None:
    await client.fault(POST, kind)
    with pytest.raises(aiohttp.ClientError):
        await post(client)
    assert len(await client.history(GENERAL)) == posted
    (call,) = await client.calls(POST)
    assert call["fault"] == kind


async def test_garbage_is_no_json(client: EmulatorClient) -> None:
    await client.fault(POST, "garbage")
    with pytest.raises(aiohttp.ContentTypeError):
        await post(client)
    assert len(await client.history(GENERAL)) == 1


async def test_slow_takes_its_time_by_the_emulators_clock(client: EmulatorClient) -> None:
    await client.fault(POST, "slow", seconds=0.2)
    assert (await post(client))["ok"] is True


async def test_faults_do_not_affect_users(client: EmulatorClient) -> None:
    await client.fault("*", "500")
    assert await client.say("alice", GENERAL, "hello")
    assert (await post(client))["error"] == "internal_error"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"method": POST},
        {"kind": "429"},
        {"method": POST, "kind": "song"},
        {"method": POST, "kind": True},
        {"method": POST, "kind": "error"},
        {"method": POST, "kind": "500", "times": 0},
        {"method": POST, "kind": "500", "times": "many"},
        {"method": POST, "kind": "429", "retry_after": -1},
        {"method": POST, "kind": "429", "retry_after": "soon"},
        {"method": "socket", "kind": "500"},
        {"method": POST, "kind": "drop"},
    ],
    ids=str,
)
async def test_an_invalid_fault_is_refused(client: EmulatorClient, wrong: Json) -> None:
    async with client.http.post(f"{client.url}/sandbox/faults", json=wrong) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].endswith(".")
    assert await client.faults() == []


def test_a_tier_is_a_bucket_that_fills_by_the_minute() -> None:
    clock = EmulatorClock(ManualClock())
    tiers = RateLimits(clock)
    assert [tiers.acquire("chat.startStream", "") for _ in range(20)] == [0] * 20
    assert tiers.acquire("chat.startStream", "") == 3
    clock.advance(3)
    assert tiers.acquire("chat.startStream", "") == 0
    assert tiers.acquire("chat.startStream", "") == 3
    assert tiers.acquire("chat.appendStream", "") == 0


def test_posting_is_counted_by_channel() -> None:
    tiers = RateLimits(EmulatorClock(ManualClock()))
    while tiers.acquire(POST, "C1") == 0:
        pass
    assert tiers.acquire(POST, "C2") == 0


async def test_limits_can_be_switched_off(client: EmulatorClient) -> None:
    await client.app(limits=False)
    for _ in range(30):
        assert (await client.ask("xapp-sandbox", "apps.connections.open"))["ok"] is True


async def test_a_missing_scope_is_named(client: EmulatorClient) -> None:
    await client.app(scopes=["commands"])
    refused = await post(client)
    assert (refused["error"], refused["needed"]) == ("missing_scope", "chat:write")
    assert refused["provided"] == "commands"
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    async with client.http.post(f"{client.url}/api/auth.test", headers=headers) as answer:
        assert answer.headers["x-oauth-scopes"] == "commands"


async def test_agent_sessions_can_be_missing(client: EmulatorClient) -> None:
    await client.app(agent_sessions=False)
    root = await client.say("alice", GENERAL, "go on")
    session: Json = {"channel_id": GENERAL, "thread_ts": root, "status": "processing"}
    refused = await client.ask(BOT_TOKEN, "agents.sessions.setStatus", **session)
    assert refused["error"] == "feature_disabled"


async def test_an_app_that_does_not_receive_stop_is_warned(client: EmulatorClient) -> None:
    await client.app(subscriptions=["app_mention"])
    root = await client.say("alice", GENERAL, "go on")
    answer = await client.as_app(
        "agents.sessions.setStatus", channel_id=GENERAL, thread_ts=root, status="active"
    )
    assert answer["warning"] == "missing_agent_session_stopped_event_subscription"


async def test_the_call_log_has_no_tokens_and_no_calls_of_users(client: EmulatorClient) -> None:
    await client.say("alice", GENERAL, "hello")
    arguments = {"channel": GENERAL, "text": "hi", "token": BOT_TOKEN}
    async with client.http.post(f"{client.url}/api/{POST}", data=arguments) as answer:
        assert answer.status == 200
    (call,) = await client.calls()
    assert (call["method"], call["arguments"]) == (POST, {"channel": GENERAL, "text": "hi"})
    assert call["answer"]["ok"] is True
    assert "xoxb" not in str(call)


async def test_reset_empties_everything(client: EmulatorClient) -> None:
    await client.say("alice", GENERAL, "hello")
    await client.as_app("chat.postEphemeral", channel=GENERAL, user="UBOB", text="psst")
    await client.call("alice", "conversations.invite", channel=SECRET, users="U0PILOT")
    await client.fault(POST, "500")
    await client.app(limits=False, subscriptions=[])
    await client.reset()
    assert await client.history(GENERAL) == []
    assert await client.ephemeral("bob") == []
    assert await client.faults() == []
    assert await client.calls() == []
    assert (await client.app())["subscriptions"] is None
    assert (await client.ask(BOT_TOKEN, "conversations.info", channel=SECRET))["ok"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_url": "https://slack.example/events"},
        {"request_url": "ftp://127.0.0.1/"},
        {"request_url": "http://127.0.0.1:99999/"},
        {"request_url": 7},
        {"subscriptions": "app_mention"},
        {"subscriptions": [7]},
        {"scopes": {}},
        {"limits": "no"},
        {"commands": [{}]},
        {"shortcuts": ["ask"]},
        {"song": 1},
    ],
    ids=str,
)
async def test_an_invalid_app_config_changes_nothing(client: EmulatorClient, wrong: Json) -> None:
    before = await client.app()
    async with client.http.post(f"{client.url}/sandbox/app", json=wrong) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].endswith(".")
    assert await client.app() == before
