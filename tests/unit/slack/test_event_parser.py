"""Slack's events, as the bot parses them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.access.admission import invalid_message_text
from bot.commands.parser import KnownNames, parse_message
from bot.domain.commands import Command
from bot.domain.messages import Message, ThreadKey, Trigger
from bot.slack.events.parser import (
    MALFORMED,
    DeletedEvent,
    EditedEvent,
    HomeOpenedEvent,
    IgnoredEvent,
    StoppedEvent,
    parse_event,
)
from bot.slack.identity import BotIdentity

IDENTITY = BotIdentity(team="T0HOME", user="U0PILOT", bot="B0PILOT", name="threadpilot")
TS = "1790000000.000100"
ROOT = "1789999999.000100"


def payload(event: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "type": "event_callback",
        "event_id": "Ev01",
        "team_id": "T0HOME",
        "authorizations": [{"team_id": "T0HOME", "user_id": "U0PILOT"}],
        "event": event,
        **more,
    }


def message(**more: object) -> dict[str, object]:
    return {
        "type": "message",
        "channel": "C0GENERAL",
        "channel_type": "channel",
        "user": "UALICE",
        "team": "T0HOME",
        "ts": TS,
        "text": "hello",
        **more,
    }


def understood(**more: object) -> Message:
    fact = parse_event(payload(message(**more)), IDENTITY)
    assert isinstance(fact, Message), fact
    return fact


def ignored(**more: object) -> str:
    fact = parse_event(payload(message(**more)), IDENTITY)
    assert isinstance(fact, IgnoredEvent), fact
    return fact.reason


def test_a_mention_in_a_channel_starts_a_thread_at_the_message_itself() -> None:
    assert understood(text="<@U0PILOT> what is Python?") == Message(
        event_id="Ev01",
        thread=ThreadKey(team="T0HOME", channel="C0GENERAL", root_ts=TS),
        ts=TS,
        user="UALICE",
        user_team="T0HOME",
        text="what is Python?",
        trigger=Trigger.MENTION,
    )


def test_an_app_mention_event_is_the_same_mention() -> None:
    """Slack sends a mention twice, as `app_mention` and as `message`."""
    event = message(type="app_mention", text="<@U0PILOT> what is Python?")
    del event["channel_type"]
    first = parse_event(payload(event), IDENTITY)
    assert first == understood(text="<@U0PILOT> what is Python?")


def test_a_mention_in_a_thread_belongs_to_that_thread() -> None:
    fact = understood(text="<@U0PILOT> and now?", thread_ts=ROOT)
    assert fact.thread.root_ts == ROOT
    assert not fact.starts_thread


def test_a_thread_message_without_a_mention_is_a_follow_up() -> None:
    assert understood(thread_ts=ROOT).trigger is Trigger.FOLLOW_UP


@pytest.mark.parametrize(
    "text", ["<@UBOB> can you look?", " <@UBOB|bob> hi", "<!here> look", "<!subteam^S1|@ops> hi"]
)
def test_a_thread_message_to_another_user_is_an_overheard_message(text: str) -> None:
    assert understood(text=text, thread_ts=ROOT).trigger is Trigger.OVERHEARD


def test_a_mention_wins_over_addressing_another_user_first() -> None:
    fact = understood(text="<@UBOB> ask <@U0PILOT> about it", thread_ts=ROOT)
    assert fact.trigger is Trigger.MENTION
    assert fact.text == "@UBOB ask @threadpilot about it"


def test_a_channel_message_without_a_mention_is_none_of_our_business() -> None:
    assert "without a mention" in ignored()
    assert "without a mention" in ignored(thread_ts=TS)


def test_everything_in_a_direct_message_is_for_us() -> None:
    fact = understood(channel="D0ALICE", channel_type="im", text="<@UBOB> is who?")
    assert (fact.trigger, fact.direct) == (Trigger.DIRECT, True)
    assert fact.thread.root_ts == TS


@pytest.mark.parametrize("kind", ["mpim", "group", "channel"])
def test_group_messages_and_private_channels_need_a_mention_like_channels(kind: str) -> None:
    assert "without a mention" in ignored(channel="G0GROUP", channel_type=kind)
    fact = understood(channel="G0GROUP", channel_type=kind, text="<@U0PILOT> hi")
    assert (fact.trigger, fact.direct) == (Trigger.MENTION, False)


@pytest.mark.parametrize("subtype", ["file_share", "thread_broadcast", "me_message", None])
def test_messages_with_files_broadcasts_and_slash_me_count(subtype: str | None) -> None:
    fact = understood(subtype=subtype, thread_ts=ROOT, text="<@U0PILOT> hi")
    assert fact.trigger is Trigger.MENTION


@pytest.mark.parametrize(
    "more",
    [
        {"user": "U0PILOT"},
        {"bot_id": "B0PILOT"},
        {"user": "B0PILOT"},
        {"bot_id": "B0PILOT", "user": None},
        {"bot_id": "BOTHER"},
        {"bot_profile": {"id": "BOTHER"}},
        {"subtype": "bot_message"},
        {"user": "USLACKBOT"},
        {"subtype": "channel_join"},
        {"subtype": "channel_topic"},
        {"subtype": "message_replied"},
        {"subtype": "assistant_app_thread"},
    ],
)
def test_bots_and_notices_are_never_answered(more: dict[str, object]) -> None:
    """Also when they mention the bot: two bots would answer each other without end."""
    assert ignored(text="<@U0PILOT> hi", **more) != "malformed"


@pytest.mark.parametrize("more", [{"bot_id": "BOTHER"}, {"subtype": "bot_message"}])
def test_what_other_bots_say_in_threads_is_known_to_be_there(more: dict[str, object]) -> None:
    """It may matter for the next question; its text is not kept and is never a command."""
    fact = understood(text="<@U0PILOT> !stop", thread_ts=ROOT, **more)
    assert (fact.trigger, fact.text, fact.thread.root_ts) == (Trigger.BOT, "", ROOT)
    assert parse_message(fact, KnownNames()) == fact


@pytest.mark.parametrize(
    "more",
    [
        {"channel": None},
        {"channel": "c/../x"},
        {"channel": 5},
        {"ts": None},
        {"ts": "now"},
        {"ts": "1790000000.00010"},
        {"ts": "1790000000.0001000"},
        {"ts": "1790000000.000100\n"},
        {"thread_ts": "1790000000.1"},
        {"ts": "١.٢"},
        {"user": None},
        {"user": ["UALICE"]},
        {"text": 5},
        {"text": {"a": 1}},
        {"thread_ts": 5},
        {"thread_ts": "x"},
        {"subtype": 5},
        {"type": None},
    ],
)
def test_a_message_without_its_channel_time_or_user_is_malformed(
    more: dict[str, object],
) -> None:
    assert ignored(**{"text": "<@U0PILOT> hi", **more}) == "malformed"


@pytest.mark.parametrize("event_id", [None, "", 5, "x" * 300, "a b"])
def test_an_event_without_an_id_cannot_be_distinguished_from_its_repeats(event_id: object) -> None:
    body = payload(message(text="<@U0PILOT> hi"), event_id=event_id)
    assert parse_event(body, IDENTITY) == MALFORMED


def test_the_workspace_is_the_one_we_are_installed_in() -> None:
    """In a shared channel `team_id` may name the other workspace."""
    body = payload(message(text="<@U0PILOT> hi"), team_id="T0OTHER")
    fact = parse_event(body, IDENTITY)
    assert isinstance(fact, Message)
    assert fact.thread.team == "T0HOME"
    body = payload(message(text="<@U0PILOT> hi"), authorizations=[])
    fact = parse_event(body, IDENTITY)
    assert isinstance(fact, Message)
    assert fact.thread.team == "T0HOME"


@pytest.mark.parametrize("field", ["user_team", "source_team", "team"])
def test_a_user_of_another_workspace_is_external(field: str) -> None:
    fact = (
        understood(text="<@U0PILOT> hi", team=None, **{field: "T0OUTSIDE"})
        if (field != "team")
        else understood(text="<@U0PILOT> hi", team="T0OUTSIDE")
    )
    assert (fact.external, fact.user_team) == (True, "T0OUTSIDE")
    assert fact.thread.team == "T0HOME"


def test_the_organization_in_place_of_the_workspace_is_not_another_one() -> None:
    body = payload(message(text="<@U0PILOT> hi", user_team="E0ORG"), enterprise_id="E0ORG")
    fact = parse_event(body, IDENTITY)
    assert isinstance(fact, Message)
    assert (fact.external, fact.user_team) == (False, "T0HOME")


def test_a_user_without_a_given_workspace_is_not_external() -> None:
    assert not understood(text="<@U0PILOT> hi", team=None).external


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<@U0PILOT> hi", "hi"),
        ("<@U0PILOT>, hi", "hi"),
        ("<@U0PILOT>: <@U0PILOT> hi <@U0PILOT> <@U0PILOT|pilot>", "hi"),
        ("<@U0PILOT>", ""),
        ("ask <@U0PILOT> again", "ask @threadpilot again"),
        ("<@U0PILOT> ask <@UBOB|bob> and <@UCAROL>", "ask @bob and @UCAROL"),
        ("<@U0PILOT> in <#C1|dev> or <#C2> or <#C3|>", "in #dev or #C2 or #C3"),
        ("<@U0PILOT> see <https://a.example/x|the page>", "see the page (https://a.example/x)"),
        ("<@U0PILOT> see <https://a.example/x?a=1&amp;b=2>", "see https://a.example/x?a=1&b=2"),
        ("<@U0PILOT> see <http://a.example|a.example>", "see a.example"),
        ("<@U0PILOT> to <mailto:a@b.example|a@b.example>", "to a@b.example"),
        ("<@U0PILOT> tell <!here> and <!channel|channel>", "tell @here and @channel"),
        ("<@U0PILOT> tell <!subteam^S1|@ops> <!subteam^S2>", "tell @ops @S2"),
        ("<@U0PILOT> on <!date^1392734382^{date}|Feb 18>", "on Feb 18"),
        ("<@U0PILOT> is &lt;!channel&gt; a ping?", "is <!channel> a ping?"),
        ("<@U0PILOT> &amp;lt; is an entity", "&lt; is an entity"),
        ("<@U0PILOT> a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("<@U0PILOT> is a<b and <> and < x> <y> text?", "is a<b and <> and < x> <y> text?"),
        ("<@U0PILOT> half \ud83d of a pair \0", "half ? of a pair"),
        ("<@U0PILOT>   two\nlines \n", "two\nlines"),
    ],
)
def test_the_text_is_the_one_that_users_see(text: str, words: str) -> None:
    assert understood(text=text).text == words


def test_a_bot_name_with_odd_characters_is_only_a_name() -> None:
    identity = BotIdentity(team="T0HOME", user="U0PILOT", bot="B0PILOT", name=r"pi\1lot")
    fact = parse_event(payload(message(text="ask <@U0PILOT> again")), identity)
    assert isinstance(fact, Message)
    assert fact.text == r"ask @pi\1lot again"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", [" " * 40_000, "<" * 40_000, "<@U0PILOT>" * 4_000, "<@U" * 13_000])
def test_long_hostile_text_is_read_in_no_time(text: str) -> None:
    fact = parse_event(payload(message(text=f"<@U0PILOT> a{text}b")), IDENTITY)
    assert isinstance(fact, Message)
    assert fact.text.startswith("a")


def edit(now: object, before: object) -> dict[str, object]:
    return payload(
        {
            "type": "message",
            "subtype": "message_changed",
            "channel": "C0GENERAL",
            "ts": "1790000001.000000",
            "message": now,
            "previous_message": before,
        }
    )


def test_an_edit_brings_the_new_words() -> None:
    now = {"user": "UALICE", "ts": TS, "text": "<@U0PILOT> what is <#C1|dev>?"}
    before = {"user": "UALICE", "ts": TS, "text": "<@U0PILOT> what?"}
    assert parse_event(edit(now, before), IDENTITY) == EditedEvent(
        team="T0HOME", channel="C0GENERAL", ts=TS, user="UALICE", text="what is #dev?"
    )


@pytest.mark.parametrize(
    ("channel", "now", "before", "mentions_us"),
    [
        ("C0GENERAL", "<@U0PILOT> hi", "hi", True),
        ("C0GENERAL", "hi <@U0PILOT|pilot>", "", True),
        ("C0GENERAL", "<@U0PILOT> hi", "<@U0PILOT> helo", False),
        ("C0GENERAL", "<@UBOB> hi", "hi", False),
        ("C0GENERAL", "<@U0PILOT> hi", None, False),
        ("C0GENERAL", "<@U0PILOT> hi", ["odd"], True),
        ("D0ALICE", "<@U0PILOT> hi", "hi", False),
    ],
)
def test_an_edit_shows_whether_it_made_the_message_a_mention(
    channel: str, now: str, before: object, mentions_us: bool
) -> None:
    """Every direct message is for the bot; there is no mention to add."""
    person: dict[str, object] = {"user": "UALICE", "ts": TS, "thread_ts": ROOT}
    previous = None if before is None else {**person, "text": before}
    body = edit({**person, "text": now}, previous)
    body["event"]["channel"] = channel  # type: ignore[index]  # a payload of ours
    fact = parse_event(body, IDENTITY)
    assert isinstance(fact, EditedEvent)
    assert fact.adds_mention is mentions_us
    assert fact.root_ts == ROOT


def test_an_unfurled_link_is_not_an_edit() -> None:
    now = {"user": "UALICE", "ts": TS, "text": "see", "attachments": [{}]}
    before = {"user": "UALICE", "ts": TS, "text": "see"}
    assert isinstance(parse_event(edit(now, before), IDENTITY), IgnoredEvent)


def test_our_own_stream_as_it_grows_is_not_an_edit() -> None:
    now = {"user": "U0PILOT", "bot_id": "B0PILOT", "ts": TS, "text": "more"}
    assert parse_event(edit(now, {"text": "mo"}), IDENTITY) == IgnoredEvent(reason="own message")


def test_a_deletion_names_the_message_and_its_author() -> None:
    event: dict[str, object] = {
        "type": "message",
        "subtype": "message_deleted",
        "channel": "C0GENERAL",
        "ts": "1790000001.000000",
        "deleted_ts": TS,
        "previous_message": {"user": "UALICE", "ts": TS, "text": "x"},
    }
    gone = DeletedEvent(team="T0HOME", channel="C0GENERAL", ts=TS, user="UALICE")
    assert parse_event(payload(event), IDENTITY) == gone
    event["previous_message"] = {"user": "U0PILOT", "bot_id": "B0PILOT"}
    assert isinstance(parse_event(payload(event), IDENTITY), IgnoredEvent)
    event["previous_message"] = None
    assert parse_event(payload(event), IDENTITY) == MALFORMED


def test_the_tombstone_of_a_message_with_replies_is_its_deletion() -> None:
    now = {"subtype": "tombstone", "user": "USLACKBOT", "ts": TS, "text": "deleted"}
    before = {"user": "UALICE", "ts": TS, "text": "<@U0PILOT> hi"}
    assert parse_event(edit(now, before), IDENTITY) == DeletedEvent(
        team="T0HOME", channel="C0GENERAL", ts=TS, user="UALICE"
    )


@pytest.mark.parametrize("now", [None, 5, {}, {"user": "UALICE"}, {"user": "UALICE", "ts": 5}])
def test_an_edit_of_nothing_is_malformed(now: object) -> None:
    assert parse_event(edit(now, {}), IDENTITY) == MALFORMED


def test_stop_names_the_thread_and_its_user() -> None:
    event: dict[str, object] = {
        "type": "agent_session_stopped",
        "channel": "C0GENERAL",
        "user": "UALICE",
        "thread_ts": ROOT,
        "streaming_message_ts": [TS],
        "event_ts": "1790000002.000000",
    }
    thread = ThreadKey(team="T0HOME", channel="C0GENERAL", root_ts=ROOT)
    assert parse_event(payload(event), IDENTITY) == StoppedEvent(
        thread=thread, user="UALICE", event_ts="1790000002.000000"
    )
    del event["thread_ts"]
    assert parse_event(payload(event), IDENTITY) == MALFORMED


@pytest.mark.parametrize("tab", ["home", "messages"])
def test_opening_the_bots_page_names_the_tab(tab: str) -> None:
    event = {"type": "app_home_opened", "user": "UALICE", "channel": "D0ALICE", "tab": tab}
    opened = HomeOpenedEvent(user="UALICE", tab=tab, channel="D0ALICE")
    assert parse_event(payload(dict(event)), IDENTITY) == opened
    assert parse_event(payload({**event, "tab": "about"}), IDENTITY) == MALFORMED


def test_an_unknown_event_is_ignored_by_its_name() -> None:
    fact = parse_event(payload({"type": "team_join", "user": {"id": "U1"}}), IDENTITY)
    assert fact == IgnoredEvent(reason="event type 'team_join'")


# Other bots --------------------------------------------------------------------------------------

ANSWERING = replace(IDENTITY, answered_bots=frozenset({"B0LISTED", "U0LISTED"}))


def bot_message(**more: object) -> object:
    event = message(**({"bot_id": "B0LISTED", "text": "<@U0PILOT> what is it?"} | more))
    return parse_event(payload(event), ANSWERING)


@pytest.mark.parametrize(
    ("more", "user", "root"),
    [
        ({}, "B0LISTED", TS),
        ({"thread_ts": ROOT}, "B0LISTED", ROOT),
        ({"bot_id": "B0OTHER", "user": "U0LISTED"}, "U0LISTED", TS),
        ({"subtype": "bot_message", "user": None}, "B0LISTED", TS),
        ({"type": "app_mention", "channel_type": None}, "B0LISTED", TS),
    ],
)
def test_a_bot_on_the_list_asks_when_it_mentions_us(
    more: dict[str, object], user: str, root: str
) -> None:
    fact = bot_message(**more)
    assert isinstance(fact, Message)
    assert (fact.trigger, fact.user, fact.text) == (Trigger.BOT_MENTION, user, "what is it?")
    assert fact.thread.root_ts == root
    assert not fact.external


@pytest.mark.parametrize(
    "more",
    [
        {"text": "what is it?"},
        {"bot_id": "B0OTHER"},
        {"bot_id": "B0OTHER", "user": "U0OTHER"},
        {"bot_id": None, "bot_profile": {"id": "B0LISTED"}},
    ],
)
def test_a_bot_that_is_not_listed_or_does_not_mention_us_asks_nothing(
    more: dict[str, object],
) -> None:
    assert isinstance(bot_message(**more), IgnoredEvent)
    event = bot_message(**more, thread_ts=ROOT)
    assert isinstance(event, Message)
    assert (event.trigger, event.text) == (Trigger.BOT, "")


def test_our_own_messages_are_never_answered_not_even_when_we_are_on_the_list() -> None:
    identity = replace(IDENTITY, answered_bots=frozenset({"B0PILOT", "U0PILOT"}))
    for own in ({"bot_id": "B0PILOT"}, {"user": "U0PILOT"}, {"user": "U0PILOT", "bot_id": "BX"}):
        event = message(text="<@U0PILOT> and?", thread_ts=ROOT, **own)
        assert parse_event(payload(event), identity) == IgnoredEvent(reason="own message")


def test_what_a_bot_says_is_never_a_command() -> None:
    fact = bot_message(text="<@U0PILOT> !reset")
    assert isinstance(fact, Message)
    assert parse_message(fact, KnownNames()) == fact


# Fuzz --------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_json_comes_it_is_ignored_and_never_an_error(body: object) -> None:
    assert isinstance(parse_event(body, IDENTITY), IgnoredEvent)


FIELDS = [
    "type", "subtype", "channel", "channel_type", "user", "ts", "thread_ts", "text", "team",
    "user_team", "bot_id", "message", "previous_message", "deleted_ts", "tab", "event_ts",
]  # fmt: skip


@given(
    st.sampled_from(["message", "app_mention", "app_home_opened", "agent_session_stopped"]),
    st.sampled_from([None, "message_changed", "message_deleted", "file_share"]),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4),
    st.dictionaries(st.sampled_from(["team_id", "authorizations", "event_id"]), JSON, max_size=2),
)
def test_a_known_event_with_anything_in_its_fields_is_never_an_error(
    kind: str, subtype: str | None, odd: dict[str, Any], outer: dict[str, Any]
) -> None:
    event = {**message(type=kind, subtype=subtype, text="<@U0PILOT> hi"), **odd}
    fact = parse_event({**payload(event), **outer}, IDENTITY)
    if isinstance(fact, Message):
        json.dumps(fact.text).encode()
        fact.text.encode("utf-8")
        assert fact.thread.session_id().isascii()
    assert fact is not None


# Commands and lengths ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<@U0PILOT> admin cleanup --channel <#C0DEV|dev>", "cleanup --channel #C0DEV"),
        ("<@U0PILOT> admin cleanup --channel <#C0DEV>", "cleanup --channel #C0DEV"),
        ("<@U0PILOT> admin cleanup --user <@UBOB|bob>", "cleanup --user @UBOB"),
        ("<@U0PILOT|pilot> admin limits <@UBOB|bob> 5", "limits @UBOB 5"),
    ],
)
def test_a_command_in_a_message_has_users_and_channels_by_their_ids(text: str, words: str) -> None:
    """Slack sends a name beside the id; names are not looked up."""
    order = parse_message(understood(text=text), KnownNames())
    assert isinstance(order, Command)
    assert (order.name, order.args) == ("admin", words)


def test_free_text_and_questions_name_users_and_channels_as_they_are_read() -> None:
    order = parse_message(understood(text="<@U0PILOT> title: all of <#C0DEV|dev>"), KnownNames())
    assert isinstance(order, Command)
    assert order.args == "all of #dev"
    question = understood(text="<@U0PILOT> what is <#C0DEV|dev>?")
    assert parse_message(question, KnownNames()) == replace(question, text="what is #dev?")


@pytest.mark.parametrize(
    "repeated", ["a", "<@U0PILOT>", "<!here>", "&amp;", "<https://a.example|a>"]
)
def test_what_is_longer_than_any_message_of_slacks_is_refused_for_its_length(
    repeated: str,
) -> None:
    """The markup is not parsed, so its text is not known."""
    text = "<@U0PILOT> " + repeated * (4_000_000 // len(repeated))
    fact = understood(text=text)
    assert fact.trigger is Trigger.MENTION
    assert "I can take up to" in invalid_message_text(fact, max_chars=40_000)
    assert len(fact.text) < 100_000


def test_slacks_longest_message_is_read_to_its_end() -> None:
    assert understood(text="<@U0PILOT> " + "&amp;" * 39_000 + "!").text == "&" * 39_000 + "!"
