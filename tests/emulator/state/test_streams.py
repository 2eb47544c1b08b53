"""Streams live five minutes, grow by one mode, and end by the app, a user or the timeout."""

from __future__ import annotations

import pytest

from tests.emulator_client import BOT_TOKEN, BOT_USER, DEV, GENERAL, EmulatorClient, Json


async def start(client: EmulatorClient, **more: object) -> tuple[str, str]:
    """A question of alice's and a stream under it; returns their two ts."""
    root = await client.say("alice", GENERAL, "go on")
    begun = await client.as_app(
        "chat.startStream",
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id="UALICE",
        recipient_team_id="T0SANDBOX",
        **more,
    )
    return root, str(begun["ts"])


async def error(client: EmulatorClient, method: str, **arguments: object) -> str:
    answer = await client.ask(BOT_TOKEN, method, **arguments)
    return str(answer.get("error"))


async def shown(client: EmulatorClient, root: str) -> Json:
    return (await client.bot_messages(GENERAL, root))[0]


async def test_a_stream_lives_five_minutes_whatever_is_appended(client: EmulatorClient) -> None:
    """Activity does not extend its life; afterwards chat.update can set its text."""
    root, ts = await start(client, markdown_text="a")
    await client.advance(299)
    await client.as_app("chat.appendStream", channel=GENERAL, ts=ts, markdown_text="b")
    await client.advance(2)
    late = {"channel": GENERAL, "ts": ts, "markdown_text": "c"}
    assert await error(client, "chat.appendStream", **late) == "message_not_in_streaming_state"
    assert await error(client, "chat.stopStream", **late) == "message_not_in_streaming_state"

    async def expired() -> bool:
        return bool((await shown(client, root))["streaming"]["state"] == "expired")

    assert await client.wait_for(expired)
    assert await client.bot_texts(GENERAL, root) == ["ab"]
    await client.as_app("chat.update", channel=GENERAL, ts=ts, markdown_text="abc")
    assert await client.bot_texts(GENERAL, root) == ["abc"]
    assert (await shown(client, root))["streaming"]["state"] == "stopped"


async def test_a_live_stream_cannot_be_updated(client: EmulatorClient) -> None:
    _, ts = await start(client, markdown_text="a")
    refused = await error(client, "chat.update", channel=GENERAL, ts=ts, text="b")
    assert refused == "streaming_state_conflict"


async def test_stop_ends_what_streams_and_the_app_is_refused(client: EmulatorClient) -> None:
    root, ts = await start(client, markdown_text="a")
    stopped = await client.stop("bob", GENERAL, root)
    assert stopped["streaming_message_ts"] == [ts]
    for method in ("chat.appendStream", "chat.stopStream"):
        refused = await error(client, method, channel=GENERAL, ts=ts, markdown_text="b")
        assert refused == "stopped_by_user"
    assert (await shown(client, root))["streaming"]["state"] == "stopped_by_user"


async def test_stop_is_there_only_while_the_agent_works(client: EmulatorClient) -> None:
    root = await client.say("alice", GENERAL, "go on")
    stop: Json = {"channel": GENERAL, "thread_ts": root}
    refused = await client.ask("xoxp-alice", "agents.sessions.stop", **stop)
    assert refused["error"] == "session_not_processing"
    session: Json = {"channel_id": GENERAL, "thread_ts": root}
    await client.as_app("agents.sessions.setStatus", status="processing", **session)
    assert (await client.stop("alice", GENERAL, root))["streaming_message_ts"] == []
    await client.as_app("agents.sessions.setStatus", status="active", **session)
    assert (await client.ask("xoxp-alice", "agents.sessions.stop", **stop))["ok"] is False


async def test_a_stream_is_no_longer_than_one_message(client: EmulatorClient) -> None:
    """12,000 characters in all; a refused text leaves no trace."""
    root, ts = await start(client, markdown_text="x" * 11_999)
    over = {"channel": GENERAL, "ts": ts, "markdown_text": "yy"}
    assert await error(client, "chat.appendStream", **over) == "msg_too_long"
    await client.as_app("chat.appendStream", channel=GENERAL, ts=ts, markdown_text="y")
    assert await client.bot_texts(GENERAL, root) == ["x" * 11_999 + "y"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"recipient_user_id": None}, "missing_recipient_user_id"),
        ({"recipient_team_id": None}, "missing_recipient_team_id"),
        ({"recipient_user_id": "UNOBODY"}, "user_not_found"),
        ({"thread_ts": "1.000001"}, "thread_not_found"),
        ({"thread_ts": None}, "invalid_thread_ts"),
        ({"thread_ts": "soon"}, "invalid_thread_ts"),
        ({"channel": "C0SECRET"}, "channel_not_found"),
        ({"task_display_mode": "song"}, "invalid_arguments"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"chunks": "{"}, "invalid_chunks"),
        ({"chunks": [{"type": "task_update", "id": "1"}]}, "invalid_chunks"),
        (
            {"chunks": [{"type": "task_update", "id": "1", "title": "t", "status": "sung"}]},
            "invalid_chunks",
        ),
        (
            {"chunks": [{"type": "task_update", "id": "1", "title": "t", "details": "x" * 257}]},
            "invalid_chunks",
        ),
        ({"chunks": [{"type": "blocks", "blocks": [{"type": "song"}]}]}, "invalid_blocks"),
    ],
)
async def test_a_wrong_start_is_refused(client: EmulatorClient, wrong: Json, code: str) -> None:
    root = await client.say("alice", GENERAL, "go on")
    sound: Json = {
        "channel": GENERAL,
        "thread_ts": root,
        "recipient_user_id": "UALICE",
        "recipient_team_id": "T0SANDBOX",
    }
    assert await error(client, "chat.startStream", **(sound | wrong)) == code
    assert await client.bot_texts(GENERAL, root) == []


async def test_a_stream_in_a_direct_message_needs_no_recipient(client: EmulatorClient) -> None:
    channel = await client.dm("alice")
    root = await client.say("alice", channel, "hello")
    begun = await client.as_app("chat.startStream", channel=channel, thread_ts=root)
    await client.as_app("chat.stopStream", channel=channel, ts=begun["ts"], markdown_text="hi")
    assert await client.bot_texts(channel, root) == ["hi"]


async def test_chunks_become_text_cards_and_a_plan(client: EmulatorClient) -> None:
    reading: Json = {"type": "task_update", "id": "1", "title": "Reading", "status": "in_progress"}
    root, ts = await start(
        client,
        task_display_mode="plan",
        chunks=[{"type": "plan_update", "title": "The plan"}, reading],
    )
    done = [{"type": "markdown_text", "text": "Done."}, reading | {"status": "complete"}]
    await client.as_app("chat.appendStream", channel=GENERAL, ts=ts, chunks=done)
    await client.as_app(
        "chat.stopStream",
        channel=GENERAL,
        ts=ts,
        blocks=[{"type": "divider"}],
        metadata={"event_type": "turn", "event_payload": {}},
    )
    message = await shown(client, root)
    plan, text_block, line = message["blocks"]
    assert (plan["type"], plan["title"]) == ("plan", "The plan")
    assert [(task["title"], task["status"]) for task in plan["tasks"]] == [("Reading", "complete")]
    assert (text_block["type"], text_block["text"], message["text"]) == (
        "markdown",
        "Done.",
        "Done.",
    )
    assert line["type"] == "divider"


async def test_stopping_a_stream_settles_the_session(client: EmulatorClient) -> None:
    root, ts = await start(client, markdown_text="a")
    session: Json = {"channel_id": GENERAL, "thread_ts": root}
    await client.as_app("agents.sessions.setStatus", status="processing", **session)
    wrong = await error(client, "chat.stopStream", channel=GENERAL, ts=ts, session_status="sung")
    assert wrong == "invalid_status"
    await client.as_app("chat.stopStream", channel=GENERAL, ts=ts)
    refused = await client.ask(
        "xoxp-alice", "agents.sessions.stop", channel=GENERAL, thread_ts=root
    )
    assert refused["error"] == "session_not_processing"


async def test_a_stream_is_the_apps_own_and_in_its_channel(client: EmulatorClient) -> None:
    _, ts = await start(client, markdown_text="a")
    hers = await client.say("alice", GENERAL, "mine")
    refused = await error(client, "chat.appendStream", channel=GENERAL, ts=hers, markdown_text="b")
    assert refused == "message_not_owned_by_app"
    plain = (await client.as_app("chat.postMessage", channel=GENERAL, text="plain"))["ts"]
    refused = await error(client, "chat.appendStream", channel=GENERAL, ts=plain, markdown_text="b")
    assert refused == "message_not_in_streaming_state"
    refused = await error(client, "chat.appendStream", channel=DEV, ts=ts, markdown_text="b")
    assert refused == "message_not_found"
    assert (await client.ask(BOT_TOKEN, "auth.test"))["user_id"] == BOT_USER
