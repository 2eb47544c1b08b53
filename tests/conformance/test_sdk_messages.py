"""Messages, files and reactions, written and read by Slack's own Python SDK."""

from __future__ import annotations

from slack_sdk.web.async_client import AsyncWebClient

from tests.conformance.http_client import BOB, BOT, GENERAL, Outside
from tests.conformance.sdk_client import client_for, code_of


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


async def test_a_user_cannot_change_another_users_message(
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


async def test_the_limits_of_a_message_are_slacks(slack: AsyncWebClient, outside: Outside) -> None:
    post = slack.chat_postMessage
    long = await post(channel=GENERAL, text="x" * 40_001)
    assert len(long["message"]["text"]) <= 40_100
    assert "message_truncated" in str(long.data)
    divider = {"type": "divider"}
    assert await outside.refused("chat.postMessage", BOT, channel=GENERAL, text="") == "no_text"
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


async def test_metadata_is_shown_on_request(slack: AsyncWebClient) -> None:
    metadata = {"event_type": "turn", "event_payload": {"id": "7"}}
    ts = (await slack.chat_postMessage(channel=GENERAL, text="marked", metadata=metadata))["ts"]
    plain = await slack.conversations_replies(channel=GENERAL, ts=ts)
    full = await slack.conversations_replies(channel=GENERAL, ts=ts, include_all_metadata=True)
    assert "event_payload" not in plain["messages"][0].get("metadata", {})
    assert full["messages"][0]["metadata"] == metadata


async def test_an_ephemeral_message_is_for_one_user_and_leaves_no_trace(
    slack: AsyncWebClient, alice: AsyncWebClient, outside: Outside
) -> None:
    me = (await alice.auth_test())["user_id"]
    posted = await slack.chat_postEphemeral(channel=GENERAL, user=me, text="psst")
    assert posted["message_ts"]
    assert [message["text"] for message in await outside.ephemeral(me)] == ["psst"]
    assert (await slack.conversations_history(channel=GENERAL))["messages"] == []
    refused = slack.chat_update(channel=GENERAL, ts=posted["message_ts"], text="louder")
    assert await code_of(refused) in {"message_not_found", "cant_update_message"}


async def test_reactions_are_added_once_and_removed(
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
