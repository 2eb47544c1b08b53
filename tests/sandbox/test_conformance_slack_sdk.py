"""Slack's own Python SDK finds in the sandbox what it finds in Slack: its Web API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.models.messages.chunk import MarkdownTextChunk, TaskUpdateChunk
from slack_sdk.web.async_client import AsyncWebClient

from tests.conformance.outside import (
    ALICE,
    APP,
    BOB,
    BOT,
    DEV,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
    sandbox_from_outside,
)


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with sandbox_from_outside() as outside:
        yield outside


def client_for(outside: Outside, token: str | None = BOT) -> AsyncWebClient:
    """The SDK's client as an app would make it, with no retries hidden in it."""
    return AsyncWebClient(token=token, base_url=f"{outside.url}/api/", retry_handlers=[])


@pytest.fixture
def slack(outside: Outside) -> AsyncWebClient:
    return client_for(outside)


@pytest.fixture
def alice(outside: Outside) -> AsyncWebClient:
    return client_for(outside, ALICE)


async def code_of(call: object) -> str:
    """The error code with which a call is refused."""
    with pytest.raises(SlackApiError) as refused:
        await call  # type: ignore[misc]  # whatever the SDK's method returned to be awaited
    return str(refused.value.response["error"])


# Who one is


async def test_an_app_learns_who_it_is(slack: AsyncWebClient) -> None:
    me = await slack.auth_test()
    assert me["team_id"] == TEAM
    assert me["user_id"].startswith("U")
    assert me["bot_id"].startswith("B")
    assert me["url"].startswith("http")
    assert "chat:write" in me.headers["x-oauth-scopes"]
    bot = await slack.bots_info(bot=me["bot_id"])
    assert bot["bot"]["id"] == me["bot_id"]
    assert bot["bot"]["user_id"] == me["user_id"]
    team = await slack.team_info()
    assert team["team"]["id"] == TEAM


async def test_a_person_is_told_from_a_bot_and_an_admin_from_others(
    slack: AsyncWebClient, alice: AsyncWebClient, outside: Outside
) -> None:
    bot = (await slack.auth_test())["user_id"]
    admin = (await alice.auth_test())["user_id"]
    other = (await client_for(outside, BOB).auth_test())["user_id"]
    assert (await slack.users_info(user=bot))["user"]["is_bot"] is True
    assert (await slack.users_info(user=admin))["user"]["is_admin"] is True
    assert (await slack.users_info(user=other))["user"]["is_admin"] is False
    assert (await slack.users_info(user=other))["user"]["is_bot"] is False
    assert await code_of(slack.users_info(user="U0NOBODY")) == "user_not_found"


async def test_api_test_gives_back_what_it_got(slack: AsyncWebClient) -> None:
    assert (await slack.api_test(foo="bar"))["args"]["foo"] == "bar"
    assert await code_of(slack.api_test(error="my_error")) == "my_error"


@pytest.mark.parametrize(
    ("token", "code"),
    [(None, "not_authed"), ("xoxb-wrong", "invalid_auth"), (APP, "not_allowed_token_type")],
)
async def test_a_wrong_token_is_refused(outside: Outside, token: str | None, code: str) -> None:
    """As Slack does, with HTTP status 200 and the reason in the answer."""
    assert await code_of(client_for(outside, token).auth_test()) in {code, "invalid_auth"}
    assert await code_of(client_for(outside, token).users_info(user="U1")) == code


async def test_only_the_app_token_opens_connections(slack: AsyncWebClient) -> None:
    opened = await slack.apps_connections_open(app_token=APP)
    assert opened["url"].startswith("ws")
    assert await code_of(slack.apps_connections_open(app_token=BOT)) == "not_allowed_token_type"


async def test_an_unknown_method_is_named_so(slack: AsyncWebClient) -> None:
    assert await code_of(slack.api_call("chat.sing")) == "unknown_method"


# Channels and people


async def test_the_channel_list_iterates_page_by_page(slack: AsyncWebClient) -> None:
    """The SDK's own iteration follows next_cursor until there is none."""
    names = []
    pages = 0
    async for page in await slack.conversations_list(limit=1):
        pages += 1
        assert len(page["channels"]) <= 1
        names += [channel["name"] for channel in page["channels"]]
    assert pages >= 2
    assert {"general", "dev"} <= set(names)
    assert len(names) == len(set(names))


async def test_history_and_replies_iterate_page_by_page(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    said = [
        (await alice.chat_postMessage(channel=GENERAL, text=f"number {n}"))["ts"] for n in range(7)
    ]
    for n in range(5):
        await alice.chat_postMessage(channel=GENERAL, thread_ts=said[0], text=f"reply {n}")
    seen = []
    async for page in await slack.conversations_history(channel=GENERAL, limit=3):
        assert len(page["messages"]) <= 3
        seen += [message["ts"] for message in page["messages"]]
    assert seen == sorted(said, reverse=True), "newest first, each once, no replies among them"
    texts = []
    async for page in await slack.conversations_replies(channel=GENERAL, ts=said[0], limit=2):
        texts += [message["text"] for message in page["messages"] if message["ts"] != said[0]]
    assert texts == [f"reply {n}" for n in range(5)]


async def test_history_can_be_cut_by_time(slack: AsyncWebClient, alice: AsyncWebClient) -> None:
    said = [
        (await alice.chat_postMessage(channel=GENERAL, text=f"number {n}"))["ts"] for n in range(4)
    ]
    page = await slack.conversations_history(channel=GENERAL, oldest=said[1], latest=said[3])
    assert [message["ts"] for message in page["messages"]] == [said[2]]
    page = await slack.conversations_history(
        channel=GENERAL, oldest=said[1], latest=said[2], inclusive=True
    )
    assert [message["ts"] for message in page["messages"]] == [said[2], said[1]]


async def test_a_root_counts_its_replies(slack: AsyncWebClient, alice: AsyncWebClient) -> None:
    root = (await alice.chat_postMessage(channel=GENERAL, text="a question"))["ts"]
    await slack.chat_postMessage(channel=GENERAL, thread_ts=root, text="an answer")
    shown = (await slack.conversations_replies(channel=GENERAL, ts=root))["messages"]
    assert shown[0]["reply_count"] == 1
    assert shown[0]["thread_ts"] == shown[1]["thread_ts"] == root
    assert "thread_ts" not in (await alice.chat_postMessage(channel=GENERAL, text="x"))["message"]
    assert await code_of(slack.conversations_replies(channel=GENERAL, ts="1.000001")) == (
        "thread_not_found"
    )


async def test_channels_and_people_are_described(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    info = (await slack.conversations_info(channel=DEV))["channel"]
    assert info["id"] == DEV
    assert info["name"] == "dev"
    assert info["is_member"] is True
    assert info["is_im"] is False
    bot = (await slack.auth_test())["user_id"]
    members: list[str] = []
    async for page in await slack.conversations_members(channel=GENERAL, limit=2):
        members += page["members"]
    assert bot in members
    assert len(members) == len(set(members)) >= 4
    everyone: list[str] = []
    async for page in await slack.users_list(limit=2):
        everyone += [user["name"] for user in page["members"]]
    assert {"alice", "bob", "carol"} <= set(everyone)
    mine = await slack.users_conversations(types="public_channel,private_channel")
    assert {channel["id"] for channel in mine["channels"]} == {GENERAL, DEV}
    assert await code_of(slack.conversations_info(channel="C0NOWHERE")) == "channel_not_found"


async def test_a_direct_message_is_opened_once(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    me = (await alice.auth_test())["user_id"]
    opened = await slack.conversations_open(users=me)
    channel = opened["channel"]["id"]
    assert channel.startswith("D")
    assert (await slack.conversations_open(users=me))["channel"]["id"] == channel
    described = (await slack.conversations_info(channel=channel))["channel"]
    assert described["is_im"] is True
    assert described["user"] == me


async def test_the_app_cannot_write_where_it_is_not(slack: AsyncWebClient) -> None:
    """#secret is not the app's: it cannot be told from a channel that is not there."""
    code = await code_of(slack.chat_postMessage(channel=SECRET, text="hello"))
    assert code in {"channel_not_found", "not_in_channel"}
    assert await code_of(slack.conversations_history(channel=SECRET)) in {
        "channel_not_found",
        "not_in_channel",
    }


# Messages


async def test_a_message_is_posted_changed_and_deleted(slack: AsyncWebClient) -> None:
    posted = await slack.chat_postMessage(channel=GENERAL, text="first")
    assert posted["channel"] == GENERAL
    assert posted["message"]["text"] == "first"
    assert posted["message"]["bot_id"].startswith("B")
    assert posted["message"]["app_id"].startswith("A")
    changed = await slack.chat_update(channel=GENERAL, ts=posted["ts"], text="second")
    assert (changed["ts"], changed["text"]) == (posted["ts"], "second")
    link = await slack.chat_getPermalink(channel=GENERAL, message_ts=posted["ts"])
    assert posted["ts"].replace(".", "") in link["permalink"]
    await slack.chat_delete(channel=GENERAL, ts=posted["ts"])
    assert (await slack.conversations_history(channel=GENERAL))["messages"] == []
    assert await code_of(slack.chat_delete(channel=GENERAL, ts=posted["ts"])) == "message_not_found"


async def test_nobody_changes_the_words_of_another(
    slack: AsyncWebClient, alice: AsyncWebClient, outside: Outside
) -> None:
    hers = (await alice.chat_postMessage(channel=GENERAL, text="mine"))["ts"]
    assert await code_of(slack.chat_update(channel=GENERAL, ts=hers, text="yours")) == (
        "cant_update_message"
    )
    assert await code_of(slack.chat_delete(channel=GENERAL, ts=hers)) == "cant_delete_message"
    bob = client_for(outside, BOB)
    assert await code_of(bob.chat_update(channel=GENERAL, ts=hers, text="no")) == (
        "cant_update_message"
    )


async def test_the_limits_of_a_message_are_slacks(slack: AsyncWebClient) -> None:
    post = slack.chat_postMessage
    long = await post(channel=GENERAL, text="x" * 40_001)
    assert len(long["message"]["text"]) <= 40_100
    assert "message_truncated" in str(long.data)
    divider = {"type": "divider"}
    assert await code_of(post(channel=GENERAL, text="")) == "no_text"
    assert await code_of(post(channel=GENERAL, text="t", blocks=[divider] * 51)) in {
        "invalid_blocks",
        "msg_blocks_too_many",
    }
    assert await code_of(post(channel=GENERAL, markdown_text="a", text="b")) == (
        "markdown_text_conflict"
    )
    assert await code_of(post(channel=GENERAL, markdown_text="x" * 12_001)) == "msg_too_long"
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_001}}
    assert await code_of(post(channel=GENERAL, text="t", blocks=[section])) == "invalid_blocks"
    ts = (await post(channel=GENERAL, text="short"))["ts"]
    assert await code_of(slack.chat_update(channel=GENERAL, ts=ts, text="x" * 4_001)) == (
        "msg_too_long"
    )
    await slack.chat_update(channel=GENERAL, ts=ts, text="x" * 4_000)


async def test_metadata_is_shown_to_who_asks_for_it(slack: AsyncWebClient) -> None:
    metadata = {"event_type": "turn", "event_payload": {"id": "7"}}
    ts = (await slack.chat_postMessage(channel=GENERAL, text="marked", metadata=metadata))["ts"]
    plain = await slack.conversations_replies(channel=GENERAL, ts=ts)
    full = await slack.conversations_replies(channel=GENERAL, ts=ts, include_all_metadata=True)
    assert "event_payload" not in plain["messages"][0].get("metadata", {})
    assert full["messages"][0]["metadata"] == metadata


async def test_an_ephemeral_message_is_for_one_person_and_leaves_no_trace(
    slack: AsyncWebClient, alice: AsyncWebClient, outside: Outside
) -> None:
    me = (await alice.auth_test())["user_id"]
    posted = await slack.chat_postEphemeral(channel=GENERAL, user=me, text="psst")
    assert posted["message_ts"]
    assert [message["text"] for message in await outside.ephemeral(me)] == ["psst"]
    assert (await slack.conversations_history(channel=GENERAL))["messages"] == []
    refused = slack.chat_update(channel=GENERAL, ts=posted["message_ts"], text="louder")
    assert await code_of(refused) in {"message_not_found", "cant_update_message"}


async def test_reactions_are_added_once_and_taken_back(
    slack: AsyncWebClient, alice: AsyncWebClient
) -> None:
    ts = (await alice.chat_postMessage(channel=GENERAL, text="look"))["ts"]
    await slack.reactions_add(channel=GENERAL, timestamp=ts, name="eyes")
    assert await code_of(slack.reactions_add(channel=GENERAL, timestamp=ts, name="eyes")) == (
        "already_reacted"
    )
    seen = (await slack.reactions_get(channel=GENERAL, timestamp=ts))["message"]["reactions"]
    assert [(one["name"], one["count"]) for one in seen] == [("eyes", 1)]
    await slack.reactions_remove(channel=GENERAL, timestamp=ts, name="eyes")
    assert await code_of(slack.reactions_remove(channel=GENERAL, timestamp=ts, name="eyes")) == (
        "no_reaction"
    )


async def test_a_file_is_uploaded_and_fetched_with_a_token(
    slack: AsyncWebClient, alice: AsyncWebClient, outside: Outside
) -> None:
    """The SDK's three-step upload ends in a message with the file, private to the workspace."""
    done = await alice.files_upload_v2(
        channel=GENERAL, filename="notes.txt", content="line one\n", initial_comment="see here"
    )
    file_id = done["files"][0]["id"]
    described = (await slack.files_info(file=file_id))["file"]
    assert described["name"] == "notes.txt"
    message = (await slack.conversations_history(channel=GENERAL))["messages"][0]
    assert message["text"] == "see here"
    assert [file["id"] for file in message["files"]] == [file_id]
    address = described["url_private_download"]
    authorised = {"Authorization": f"Bearer {BOT}"}
    async with outside.http.get(address, headers=authorised) as answer:
        assert await answer.text() == "line one\n"
    async with outside.http.get(address, allow_redirects=False) as answer:
        assert "line one" not in await answer.text()


# Limits of pace


async def test_the_sdk_waits_as_long_as_it_is_told(outside: Outside) -> None:
    """429 with Retry-After is understood by the SDK's own handler, and the call then succeeds."""
    await outside.control(
        "faults",
        {"method": "chat.postMessage", "times": 1, "kind": "429", "retry_after": 1},
    )
    patient = AsyncWebClient(
        token=BOT,
        base_url=f"{outside.url}/api/",
        retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=1)],
    )
    posted = await patient.chat_postMessage(channel=GENERAL, text="at last")
    assert posted["ok"] is True
    assert len(await outside.messages(GENERAL)) == 1


async def test_too_many_calls_are_slowed_down(slack: AsyncWebClient) -> None:
    """apps.connections.open is Tier 1: a burst of it meets 429 with Retry-After."""
    with pytest.raises(SlackApiError) as refused:
        for _ in range(30):
            await slack.apps_connections_open(app_token=APP)
    assert refused.value.response["error"] in {"ratelimited", "rate_limited"}
    assert refused.value.response.status_code == 429
    assert int(refused.value.response.headers["Retry-After"]) >= 1


# Streams


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
    theirs = client_for(outside, ALICE).chat_appendStream(
        channel=GENERAL, ts=ts, markdown_text="b"
    )
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


async def test_a_trigger_that_nobody_pulled_opens_nothing(slack: AsyncWebClient) -> None:
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "A form"},
        "blocks": [{"type": "divider"}],
    }
    refused = await code_of(slack.views_open(trigger_id="1.2.3", view=view))
    assert refused in {"invalid_trigger_id", "trigger_expired", "invalid_arguments"}


async def test_arguments_may_come_as_a_form_or_as_json(outside: Outside) -> None:
    """Slack takes both, and blocks as a JSON string inside a form."""
    headers = {"Authorization": f"Bearer {BOT}"}
    form = {"channel": GENERAL, "text": "t", "blocks": '[{"type":"divider"}]'}
    address = f"{outside.url}/api/chat.postMessage"
    async with outside.http.post(address, data=form, headers=headers) as answer:
        posted = await answer.json()
    assert posted["ok"] is True, posted
    assert posted["message"]["blocks"][0]["type"] == "divider"
    multipart = aiohttp.FormData(default_to_multipart=True)
    for name, value in {"channel": GENERAL, "text": "by parts", "token": BOT}.items():
        multipart.add_field(name, value)
    async with outside.http.post(address, data=multipart) as answer:
        posted = await answer.json()
    assert posted["ok"] is True, posted
    async with outside.http.get(f"{outside.url}/api/auth.test", params={"token": BOT}) as answer:
        assert (await answer.json())["ok"] is True
