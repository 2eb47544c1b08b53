"""Streams, agent sessions and views, by Slack's own Python SDK and its stream helper."""

from __future__ import annotations

from slack_sdk.models.messages.chunk import MarkdownTextChunk, TaskUpdateChunk
from slack_sdk.web.async_client import AsyncWebClient

from tests.conformance.http_client import ALICE, GENERAL, TEAM, Outside
from tests.conformance.sdk_client import client_for, code_of


async def test_the_sdks_stream_helper_writes_one_message(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    me = await alice.auth_test()
    root = (await alice.chat_postMessage(channel=GENERAL, text="go on"))["ts"]
    stream = await slack.chat_stream(
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=me["user_id"],
        recipient_team_id=me["team_id"],
        buffer_size=1,
        task_display_mode="timeline",
    )
    await stream.append(markdown_text="**bold** ")
    await stream.append(
        chunks=[TaskUpdateChunk(id="t1", title="Reading", status="in_progress")],
        markdown_text="and ",
    )
    growing = (await slack.conversations_replies(channel=GENERAL, ts=root))["messages"]
    assert [message["text"] for message in growing[1:]] == ["**bold** and "]
    await stream.append(chunks=[TaskUpdateChunk(id="t1", title="Reading", status="complete")])
    await stream.stop(
        markdown_text="done",
        blocks=[{"type": "divider"}],
        metadata={"event_type": "turn", "event_payload": {"id": "1"}},
    )
    settled = (await slack.conversations_replies(channel=GENERAL, ts=root))["messages"]
    assert [message["text"] for message in settled[1:]] == ["**bold** and done"]
    assert settled[1]["ts"] == stream.ts


async def test_a_short_stream_that_is_only_stopped_is_a_message(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    """The helper then starts with nothing to show and stops with all of the text."""
    me = await alice.auth_test()
    root = (await alice.chat_postMessage(channel=GENERAL, text="go on"))["ts"]
    stream = await slack.chat_stream(
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=me["user_id"],
        recipient_team_id=me["team_id"],
    )
    await stream.append(markdown_text="short")
    await stream.stop()
    shown = (await slack.conversations_replies(channel=GENERAL, ts=root))["messages"]
    assert [message["text"] for message in shown[1:]] == ["short"]


async def test_the_rules_of_streams_are_slacks(
    slack: AsyncWebClient, alice: AsyncWebClient, outside: Outside
) -> None:
    me = await alice.auth_test()
    root = (await alice.chat_postMessage(channel=GENERAL, text="go on"))["ts"]
    whom = {"recipient_user_id": me["user_id"], "recipient_team_id": me["team_id"]}
    start, append, stop = slack.chat_startStream, slack.chat_appendStream, slack.chat_stopStream
    assert await code_of(
        start(channel=GENERAL, thread_ts=root, recipient_team_id=TEAM, markdown_text="a")
    ) == ("missing_recipient_user_id")
    assert await code_of(
        start(channel=GENERAL, thread_ts=root, recipient_user_id=me["user_id"], markdown_text="a")
    ) == ("missing_recipient_team_id")
    ts = (await start(channel=GENERAL, thread_ts=root, markdown_text="a", **whom))["ts"]
    chunk = MarkdownTextChunk(text="b")
    assert await code_of(append(channel=GENERAL, ts=ts, markdown_text="")) == (
        "markdown_text_or_chunks_required"
    )
    both = append(channel=GENERAL, ts=ts, markdown_text="b", chunks=[chunk])
    assert await code_of(both) == "cannot_provide_both_markdown_text_and_chunks"
    mixed = append(channel=GENERAL, ts=ts, markdown_text="", chunks=[chunk])
    assert await code_of(mixed) == "streaming_mode_mismatch"
    assert await code_of(slack.chat_update(channel=GENERAL, ts=ts, text="b")) == (
        "streaming_state_conflict"
    )
    theirs = client_for(outside, ALICE).chat_appendStream(channel=GENERAL, ts=ts, markdown_text="b")
    assert await code_of(theirs) in {"message_not_owned_by_app", "not_allowed_token_type"}
    await stop(channel=GENERAL, ts=ts)
    late = append(channel=GENERAL, ts=ts, markdown_text="b")
    assert await code_of(late) == "message_not_in_streaming_state"
    assert await code_of(stop(channel=GENERAL, ts=ts)) == "message_not_in_streaming_state"
    nowhere = append(channel=GENERAL, ts="1.000001", markdown_text="b")
    assert await code_of(nowhere) in {"message_not_found", "message_not_in_streaming_state"}


async def test_invalid_chunks_are_refused(slack: AsyncWebClient, alice: AsyncWebClient) -> None:
    me = await alice.auth_test()
    root = (await alice.chat_postMessage(channel=GENERAL, text="go on"))["ts"]
    refused = slack.chat_startStream(
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=me["user_id"],
        recipient_team_id=TEAM,
        chunks=[{"type": "song"}],
    )
    assert await code_of(refused) == "invalid_chunks"


# Agents and views


async def test_an_agents_session_is_named_and_its_status_set(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    root = (await alice.chat_postMessage(channel=GENERAL, text="go on"))["ts"]
    await slack.agents_sessions_setStatus(channel_id=GENERAL, thread_ts=root, status="processing")
    await slack.agents_sessions_rename(channel_id=GENERAL, thread_ts=root, title="On going on")
    await slack.agents_sessions_setStatus(channel_id=GENERAL, thread_ts=root, status="active")
    wrong = slack.agents_sessions_setStatus(channel_id=GENERAL, thread_ts=root, status="singing")
    assert await code_of(wrong) == "invalid_status"
    rootless = slack.agents_sessions_setStatus(channel_id=GENERAL, status="active")
    assert await code_of(rootless) == "thread_ts_required"
    await slack.assistant_threads_setStatus(
        channel_id=GENERAL, thread_ts=root, status="is thinking...", loading_messages=["Hm"]
    )
    await slack.assistant_threads_setTitle(channel_id=GENERAL, thread_ts=root, title="A title")


async def test_a_home_tab_is_published_and_guarded_by_its_hash(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    me = (await alice.auth_test())["user_id"]
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    first = (await slack.views_publish(user_id=me, view=view))["view"]
    assert first["type"] == "home"
    assert first["id"].startswith("V")
    await slack.views_publish(user_id=me, view=view, hash=first["hash"])
    assert await code_of(slack.views_publish(user_id=me, view=view, hash=first["hash"])) == (
        "hash_conflict"
    )


async def test_a_made_up_trigger_opens_nothing(slack: AsyncWebClient) -> None:
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "A form"},
        "blocks": [{"type": "divider"}],
    }
    refused = await code_of(slack.views_open(trigger_id="1.2.3", view=view))
    assert refused == "invalid_trigger_id"
