"""The Web API's methods respond as Slack's do, also to invalid arguments."""

from __future__ import annotations

import aiohttp
import pytest

from slack_emulator.interactions import form_values
from slack_emulator.state.entities import ApiError
from slack_emulator.state.entities import Json as Facts
from tests.emulator.delivery.test_events import connected
from tests.emulator_client import BOT_TOKEN, BOT_USER, DEV, GENERAL, SECRET, EmulatorClient, Json

REFUSALS: list[tuple[str, Json, str]] = [
    ("chat.postMessage", {}, "no_text"),
    ("chat.postMessage", {"text": "t"}, "invalid_arguments"),
    ("chat.postMessage", {"channel": "#nowhere", "text": "t"}, "channel_not_found"),
    ("chat.postMessage", {"channel": SECRET, "text": "t"}, "channel_not_found"),
    ("chat.postMessage", {"channel": GENERAL, "text": {"a": 1}}, "invalid_arguments"),
    ("chat.postMessage", {"channel": GENERAL, "text": True}, "invalid_arguments"),
    ("chat.postMessage", {"channel": GENERAL, "blocks": "{"}, "invalid_blocks"),
    ("chat.postMessage", {"channel": GENERAL, "blocks": ["a"]}, "invalid_blocks"),
    ("chat.postMessage", {"channel": GENERAL, "attachments": [{}] * 101}, "too_many_attachments"),
    (
        "chat.postMessage",
        {"channel": GENERAL, "text": "t", "thread_ts": "1.000001"},
        "thread_not_found",
    ),
    ("chat.postMessage", {"channel": GENERAL, "text": "t", "thread_ts": "x"}, "invalid_thread_ts"),
    (
        "chat.postMessage",
        {"channel": GENERAL, "text": "t", "metadata": {"event_type": 1}},
        "invalid_metadata_format",
    ),
    (
        "chat.postMessage",
        {
            "channel": GENERAL,
            "text": "t",
            "metadata": {"event_type": "a", "event_payload": {"a": "x" * 9_000}},
        },
        "metadata_too_large",
    ),
    ("chat.update", {"channel": GENERAL, "text": "t", "ts": "1.000001"}, "message_not_found"),
    ("chat.postEphemeral", {"channel": GENERAL, "text": "t"}, "invalid_arguments"),
    ("chat.postEphemeral", {"channel": GENERAL, "text": "t", "user": "U1"}, "user_not_found"),
    ("conversations.list", {"types": "song"}, "invalid_types"),
    ("conversations.list", {"cursor": "song"}, "invalid_cursor"),
    ("conversations.list", {"cursor": "next:-1"}, "invalid_cursor"),
    ("conversations.list", {"limit": "many"}, "invalid_arguments"),
    ("conversations.list", {"limit": 0}, "invalid_limit"),
    ("conversations.history", {"channel": GENERAL, "oldest": "soon"}, "invalid_ts_oldest"),
    ("conversations.history", {"channel": GENERAL, "latest": "inf"}, "invalid_ts_latest"),
    ("conversations.replies", {"channel": GENERAL, "ts": "1.000001"}, "thread_not_found"),
    ("conversations.open", {}, "users_list_not_supplied"),
    ("conversations.open", {"users": ["UALICE", "UBOB"]}, "too_many_users"),
    ("conversations.open", {"users": [1]}, "invalid_arguments"),
    ("conversations.open", {"channel": GENERAL}, "channel_not_found"),
    ("conversations.invite", {"channel": GENERAL}, "no_user"),
    ("conversations.invite", {"channel": GENERAL, "users": "UBOB"}, "already_in_channel"),
    ("conversations.invite", {"channel": GENERAL, "users": BOT_USER}, "cant_invite_self"),
    ("conversations.join", {"channel": SECRET}, "channel_not_found"),
    ("conversations.kick", {"channel": GENERAL, "user": BOT_USER}, "cant_kick_self"),
    ("users.conversations", {"user": "U1"}, "user_not_found"),
    ("reactions.add", {"channel": GENERAL, "timestamp": "1.1", "name": "A B"}, "invalid_name"),
    ("files.info", {"file": "F1"}, "file_not_found"),
    ("files.getUploadURLExternal", {"filename": "a", "length": 0}, "missing_argument"),
    (
        "files.getUploadURLExternal",
        {"filename": "a", "length": 99_999_999},
        "file_upload_size_restricted",
    ),
    ("files.completeUploadExternal", {"files": []}, "invalid_arguments"),
    ("files.completeUploadExternal", {"files": [{"id": "F1"}]}, "file_not_found"),
    ("team.info", {"team": "T1"}, "team_not_found"),
    ("bots.info", {"bot": "B1"}, "bot_not_found"),
    ("blocks.validate", {}, "no_blocks"),
    ("blocks.validate", {"blocks": [{"type": "song"}]}, "invalid_blocks"),
    ("oauth.v2.access", {"code": "c"}, "invalid_code"),
    ("views.publish", {"user_id": BOT_USER, "view": {"type": "home"}}, "user_not_found"),
    (
        "agents.sessions.setStatus",
        {"channel_id": GENERAL, "status": "active"},
        "thread_ts_required",
    ),
    (
        "agents.sessions.rename",
        {"channel_id": GENERAL, "thread_ts": "1.1", "title": "x" * 201},
        "invalid_title",
    ),
    (
        "assistant.threads.setStatus",
        {"channel_id": GENERAL, "thread_ts": "1.1", "loading_messages": ["x"] * 11},
        "invalid_arguments",
    ),
    (
        "assistant.threads.setSuggestedPrompts",
        {"channel_id": GENERAL, "prompts": [{"title": "t", "message": "m"}] * 5},
        "invalid_arguments",
    ),
]


@pytest.mark.parametrize(("method", "arguments", "code"), REFUSALS, ids=str)
async def test_invalid_calls_are_refused_by_slacks_code(
    client: EmulatorClient, method: str, arguments: Json, code: str
) -> None:
    answer = await client.ask(BOT_TOKEN, method, **arguments)
    assert answer["ok"] is False
    assert answer["error"] == code
    assert await client.history(GENERAL) == []


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("application/json", b"{", "invalid_json"),
        ("application/json", b"[" * 100_000, "invalid_json"),
        ("application/json", b"[]", "json_not_object"),
        ("application/json", b"\xff\xfe\xfd", "invalid_json"),
        ("image/png", b"x", "invalid_post_type"),
        ("multipart/form-data; boundary=x", b"--y", "invalid_form_data"),
        ("application/x-www-form-urlencoded; charset=song", b"a=b", "invalid_form_data"),
    ],
    ids=str,
)
async def test_a_broken_body_is_named(
    client: EmulatorClient, kind: str, body: bytes, code: str
) -> None:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {BOT_TOKEN}"}
    address = f"{client.url}/api/chat.postMessage"
    async with client.http.post(address, data=body, headers=headers) as answer:
        assert answer.status == 200
        assert (await answer.json())["error"] == code


async def test_users_join_and_leave(client: EmulatorClient) -> None:
    async with connected(client) as app:
        await client.call("alice", "conversations.kick", channel=DEV, user=BOT_USER)
        await client.say("alice", DEV, "not delivered")
        refused = await client.ask(BOT_TOKEN, "conversations.history", channel=DEV)
        assert refused["error"] == "not_in_channel"
        joined = await client.as_app("conversations.join", channel=DEV)
        assert joined["channel"]["is_member"] is True
        again = await client.as_app("conversations.join", channel=DEV)
        assert again["warning"] == "already_in_channel"
        await client.call("bob", "conversations.leave", channel=DEV)
        events = await app.events(2)
    assert [event["type"] for event in events] == ["member_joined_channel", "member_left_channel"]
    members = (await client.as_app("conversations.members", channel=DEV))["members"]
    assert (BOT_USER in members, "UBOB" in members) == (True, False)


async def test_a_channel_name_and_a_user_id_are_accepted_as_channel(
    client: EmulatorClient,
) -> None:
    assert (await client.as_app("chat.postMessage", channel="#dev", text="t"))["channel"] == DEV
    direct = await client.as_app("chat.postMessage", channel="UALICE", text="t")
    assert direct["channel"] == await client.dm("alice")


async def test_a_reply_to_a_reply_is_in_its_thread(client: EmulatorClient) -> None:
    root = await client.say("alice", GENERAL, "question")
    reply = await client.say("bob", GENERAL, "answer", thread_ts=root)
    deep = await client.say("carol", GENERAL, "thanks", thread_ts=reply)
    thread = await client.replies(GENERAL, reply)
    assert [message["ts"] for message in thread] == [root, reply, deep]
    assert {message["thread_ts"] for message in thread} == {root}


async def test_an_edit_takes_the_old_blocks_away(client: EmulatorClient) -> None:
    line: Json = {"type": "divider"}
    posted = await client.as_app("chat.postMessage", channel=GENERAL, text="a", blocks=[line])
    place: Json = {"channel": GENERAL, "ts": posted["ts"]}
    await client.as_app("chat.update", blocks=[line, line], **place)
    (message,) = await client.history(GENERAL)
    assert (message["text"], len(message["blocks"])) == ("a", 2)
    await client.as_app("chat.update", text="b", **place)
    (message,) = await client.history(GENERAL)
    assert (message["text"], "blocks" in message) == ("b", False)
    assert message["edited"]["user"] == BOT_USER


async def test_half_a_character_does_no_harm(client: EmulatorClient) -> None:
    """A lone surrogate, which UTF-8 cannot encode, is replaced when it is read."""
    await client.say("alice", GENERAL, "half \ud83d")
    assert [message["text"] for message in await client.history(GENERAL)] == ["half ?"]


async def test_a_file_is_for_users_with_access(client: EmulatorClient) -> None:
    begun = await client.call("alice", "files.getUploadURLExternal", filename="a.txt", length=3)
    unsent = await client.ask(
        "xoxp-alice", "files.completeUploadExternal", files=[{"id": begun["file_id"]}]
    )
    assert unsent["error"] == "file_not_found"
    for status in (200, 404):
        async with client.http.post(begun["upload_url"], data=b"abc") as answer:
            assert answer.status == status
    done = await client.call(
        "alice",
        "files.completeUploadExternal",
        files=[{"id": begun["file_id"], "title": "A"}],
        channel_id=SECRET,
        initial_comment="see <this>",
    )
    address = done["files"][0]["url_private"]
    for token, seen in (("xoxp-bob", True), (BOT_TOKEN, False), ("xoxp-eve", False)):
        headers = {"Authorization": f"Bearer {token}"}
        async with client.http.get(address, headers=headers, allow_redirects=False) as answer:
            assert (answer.status, await answer.read() == b"abc") == (200 if seen else 302, seen)
    (message,) = await client.history(SECRET)
    assert (message["subtype"], message["text"]) == ("file_share", "see &lt;this&gt;")
    refused = await client.ask("xoxp-bob", "files.delete", file=begun["file_id"])
    assert refused["error"] == "cant_delete_file"
    await client.call("alice", "files.delete", file=begun["file_id"])
    assert "files" not in str(await client.ask("xoxp-alice", "files.info", file=begun["file_id"]))


async def test_an_empty_upload_is_refused(client: EmulatorClient) -> None:
    begun = await client.call("alice", "files.getUploadURLExternal", filename="a.txt", length=3)
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("other", "")
    async with client.http.post(begun["upload_url"], data=form) as answer:
        assert answer.status == 400


def element(kind: str, **more: object) -> Facts:
    return {"type": kind, "action_id": "a"} | more


OPTION: Facts = {"text": {"type": "plain_text", "text": "Red"}, "value": "red"}
FEEDBACK: Facts = {"positive_button": {"text": OPTION["text"], "value": "good"}}


@pytest.mark.parametrize(
    ("used", "value", "sent"),
    [
        (element("button", value="own", style="danger"), "other", {"value": "own"}),
        (element("button"), "given", {"value": "given"}),
        (element("static_select", options=[OPTION]), "red", {"selected_option": OPTION}),
        (element("overflow", options=[OPTION]), OPTION, {"selected_option": OPTION}),
        (
            element("static_select", option_groups=[{"options": [OPTION]}]),
            "red",
            {"selected_option": OPTION},
        ),
        (element("checkboxes", options=[OPTION]), ["red"], {"selected_options": [OPTION]}),
        (element("checkboxes", options=[OPTION]), None, {"selected_options": []}),
        (element("users_select"), "UBOB", {"selected_user": "UBOB"}),
        (element("datepicker"), "2026-11-24", {"selected_date": "2026-11-24"}),
        (element("feedback_buttons", **FEEDBACK), "good", {"value": "good"}),
        (element("plain_text_input"), "words", {"value": "words"}),
    ],
    ids=str,
)
def test_what_is_chosen_is_sent_in_its_elements_shape(
    used: Facts, value: object, sent: Facts
) -> None:
    assert sent.items() <= form_values.action_payload(used, value).items()


def test_what_is_not_offered_cannot_be_chosen() -> None:
    for used in (element("static_select", options=[OPTION]), element("feedback_buttons")):
        with pytest.raises(ApiError, match="invalid_option"):
            form_values.action_payload(used, "blue")


def test_a_form_keeps_its_initial_values() -> None:
    """Initial values count if no others are given."""
    elements = {
        "text": element("plain_text_input", initial_value="x"),
        "one": element("static_select", initial_option=OPTION),
        "no": element("radio_buttons", options=[OPTION]),
        "many": element("checkboxes", options=[OPTION]),
        "day": element("datepicker", initial_date="d"),
    }
    blocks: list[Facts] = [
        {"type": "input", "block_id": name, "element": one} for name, one in elements.items()
    ]
    blocks.append({"type": "actions", "block_id": "row", "elements": [element("button")]})
    state = form_values.build_view_state(blocks, {"values": {"no": {"a": "red"}}})
    assert state["values"] == {
        "text": {"a": {"type": "plain_text_input", "value": "x"}},
        "one": {"a": {"type": "static_select", "selected_option": OPTION}},
        "no": {"a": {"type": "radio_buttons", "selected_option": OPTION}},
        "many": {"a": {"type": "checkboxes", "selected_options": []}},
        "day": {"a": {"type": "datepicker", "selected_date": "d"}},
    }
    assert set(form_values.find_missing_inputs(blocks, state)) == {"many"}
