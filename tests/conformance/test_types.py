"""The emulator's payloads have the fields that Slack's own type declarations name.

Events have every required field; responses have no field that Slack's types do not know.
"""

from __future__ import annotations

from tests.conformance.http_client import ALICE, BOB, BOT, GENERAL, SECRET, Json, Outside
from tests.conformance.slack_types import answer_shape, event_shape
from tests.conformance.socket_client import Socket

# Every response may have these: `WebAPICallResult` and the messages of a refused call.
COMMON = {"ok", "error", "needed", "provided", "response_metadata", "warning"}

# Known differences, each with its reason.
BEYOND_SLACK = {
    "client_msg_id",  # in the events' types and in documented histories, not in this declaration
    "is_stranger",  # in the documentation of the user object, not in this declaration
    "streaming_state",  # declared for the message inside chat.stopStream's answer and for events
    "streaming",  # the page shows who ended a stream and how; Slack's streaming_state is coarser
}


async def a_busy_thread(outside: Outside) -> tuple[str, str]:
    """A thread in which everything has happened once; its root and the ts of a stream in it."""
    alice = await outside.id_of(ALICE)
    root = await outside.say(ALICE, GENERAL, "@threadpilot hello")
    edited = await outside.say(BOB, GENERAL, "helo", thread_ts=root)
    await outside.act("chat.update", BOB, channel=GENERAL, ts=edited, text="hello")
    await outside.act("reactions.add", BOB, channel=GENERAL, timestamp=root, name="eyes")
    await outside.act("reactions.remove", BOB, channel=GENERAL, timestamp=root, name="eyes")
    await outside.act("chat.delete", BOB, channel=GENERAL, ts=edited)
    session = {"channel_id": GENERAL, "thread_ts": root}
    await outside.act("agents.sessions.setStatus", BOT, **session, status="processing", title="A")
    await outside.act("agents.sessions.rename", BOT, **session, title="B")
    started = await outside.act(
        "chat.startStream",
        BOT,
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=alice,
        recipient_team_id="T0SANDBOX",
        markdown_text="begun",
    )
    await outside.act("agents.sessions.stop", ALICE, channel=GENERAL, thread_ts=root)
    await outside.act("apps.home.open", BOB, tab="messages")
    bot = await outside.id_of(BOT)
    await outside.act("conversations.invite", ALICE, channel=SECRET, users=bot)
    return root, str(started["ts"])


EVENTS = [
    ("app", "AppMentionEvent", "app_mention", None),
    ("app", "AppHomeOpenedEvent", "app_home_opened", None),
    ("agent", "AgentSessionStoppedEvent", "agent_session_stopped", None),
    ("agent", "AgentSessionTitleChangedEvent", "agent_session_title_changed", None),
    ("reaction", "ReactionAddedEvent", "reaction_added", None),
    ("reaction", "ReactionRemovedEvent", "reaction_removed", None),
    ("member", "MemberJoinedChannelEvent", "member_joined_channel", None),
    ("message", "GenericMessageEvent", "message", None),
    ("message", "MessageChangedEvent", "message", "message_changed"),
    ("message", "MessageDeletedEvent", "message", "message_deleted"),
]


async def test_events_have_every_field_that_slack_requires(
    outside: Outside, socket: Socket
) -> None:
    await a_busy_thread(outside)
    events = [frame["payload"]["event"] for frame in await socket.quiet(12)]
    lacking = {}
    for file, name, kind, subtype in EVENTS:
        of_kind = [e for e in events if e["type"] == kind and e.get("subtype") == subtype]
        assert of_kind, f"no {name} was received"
        missing = set().union(*(event_shape(file, name).missing(event) for event in of_kind))
        if subtype is None:  # then it is declared as undefined: it must not be there
            missing.discard("subtype")
        if missing:
            lacking[name] = missing
    assert lacking == {}


async def test_a_files_event_has_every_field_that_slack_requires(
    outside: Outside, socket: Socket
) -> None:
    upload = await outside.act("files.getUploadURLExternal", BOB, filename="a.txt", length=2)
    async with outside.http.post(upload["upload_url"], data=b"hi") as answer:
        assert answer.status == 200
    files = [{"id": upload["file_id"]}]
    await outside.act("files.completeUploadExternal", BOB, files=files, channel_id=GENERAL)
    event = (await socket.event("message"))["payload"]["event"]
    assert event_shape("message", "FileShareMessageEvent").missing(event) == set()


async def test_a_broadcast_reply_has_every_field_that_slack_requires(
    outside: Outside, socket: Socket
) -> None:
    root = await outside.say(ALICE, GENERAL, "a root")
    await socket.event("message")
    await outside.say(ALICE, GENERAL, "all hear", thread_ts=root, reply_broadcast=True)
    event = (await socket.event("message"))["payload"]["event"]
    assert event["subtype"] == "thread_broadcast"
    assert event_shape("message", "ThreadBroadcastMessageEvent").missing(event) == set()


def strange(file: str, name: str, value: Json) -> set[str]:
    """Fields of a response that Slack's declaration of it does not have."""
    return answer_shape(file, name).unknown(value) - COMMON - BEYOND_SLACK


async def test_answers_have_no_field_that_slack_does_not_know(outside: Outside) -> None:
    root, _ = await a_busy_thread(outside)
    posted = await outside.act("chat.postMessage", BOT, channel=GENERAL, thread_ts=root, text="x")
    replies = await outside.act("conversations.replies", BOT, channel=GENERAL, ts=root)
    auth = await outside.act("auth.test", BOT)
    users = await outside.act("users.list", BOT)
    listed = await outside.act("conversations.list", BOT)
    info = await outside.act("conversations.info", BOT, channel=GENERAL)
    team = await outside.act("team.info", BOT)
    post, thread = "ChatPostMessageResponse", "ConversationsRepliesResponse"
    found = {
        "post": strange(post, post, posted),
        "posted": strange(post, "ChatPostMessageResponseMessage", posted["message"]),
        "replies": strange(thread, thread, replies),
        "auth": strange("AuthTestResponse", "AuthTestResponse", auth),
        "channels": strange("ConversationsListResponse", "ConversationsListResponse", listed),
        "info": strange("ConversationsInfoResponse", "Channel", info["channel"]),
        "team": strange("TeamInfoResponse", "Team", team["team"]),
    }
    for number, message in enumerate(replies["messages"]):
        name = f"message {number}"
        found[name] = strange(thread, "MessageElement", message)
    for user in users["members"]:
        found[user["name"]] = strange("UsersListResponse", "Member", user)
    for channel in listed["channels"]:
        found[channel["name"]] = strange("ConversationsListResponse", "Channel", channel)
    assert {name: fields for name, fields in found.items() if fields} == {}


async def test_a_stream_has_slacks_own_state_field(outside: Outside) -> None:
    alice = await outside.id_of(ALICE)
    root = await outside.say(ALICE, GENERAL, "a question")
    started = await outside.act(
        "chat.startStream",
        BOT,
        channel=GENERAL,
        thread_ts=root,
        recipient_user_id=alice,
        recipient_team_id="T0SANDBOX",
        markdown_text="begun",
    )
    assert (await outside.replies(GENERAL, root))[-1]["streaming_state"] == "in_progress"
    stopped = await outside.act("chat.stopStream", BOT, channel=GENERAL, ts=started["ts"])
    assert stopped["message"]["streaming_state"] == "completed"
    assert strange("ChatStopStreamResponse", "Message", stopped["message"]) <= {"metadata"}
