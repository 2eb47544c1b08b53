"""Fuzzes real payloads of Slack with odd values anywhere in them, on both transports."""

from __future__ import annotations

import copy
import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slack_bolt.async_app import AsyncBoltRequest

from bot.commands.registry import COMMANDS
from bot.domain.messages import TS_PATTERN, Message
from bot.slack.cards.button_values import MAX_BUTTON_VALUE_CHARS, parse_button_value
from bot.slack.events.parser import parse_event
from bot.slack.identity import BotIdentity
from bot.slack.interactions.payloads import (
    CommandPress,
    parse_button_press,
    parse_command_press,
    parse_shortcut,
    parse_slash_command,
    parse_submission,
)
from bot.tasks import BackgroundTasks
from tests.integration.slack.receiver import RecordingReceiver, event_receiver_for

IDENTITY = BotIdentity(
    team="T0HOME",
    user="U0PILOT",
    bot="B0PILOT",
    name="threadpilot",
    answered_bots=frozenset({"B0LISTED"}),
)
TS_ = "1790000000.000100"

MESSAGE: dict[str, Any] = {
    "type": "message",
    "channel": "C0GENERAL",
    "channel_type": "channel",
    "user": "UALICE",
    "team": "T0HOME",
    "ts": TS_,
    "thread_ts": "1789999999.000100",
    "text": "<@U0PILOT> what is &lt;this&gt;?",
    "blocks": [{"type": "rich_text", "elements": [{"type": "user", "user_id": "U0PILOT"}]}],
}


def callback(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "event_callback",
        "event_id": "Ev01",
        "team_id": "T0HOME",
        "authorizations": [{"team_id": "T0HOME", "user_id": "U0PILOT", "is_bot": True}],
        "event": event,
    }


EVENTS = [
    callback(MESSAGE),
    callback({**MESSAGE, "type": "app_mention"}),
    callback({**MESSAGE, "bot_id": "B0LISTED", "bot_profile": {"id": "B0LISTED"}}),
    callback(
        {
            "type": "message",
            "subtype": "message_changed",
            "channel": "C0GENERAL",
            "message": MESSAGE,
            "previous_message": {**MESSAGE, "text": "before"},
        }
    ),
    callback(
        {
            "type": "message",
            "subtype": "message_deleted",
            "channel": "C0GENERAL",
            "deleted_ts": TS_,
            "previous_message": MESSAGE,
        }
    ),
    callback(
        {
            "type": "agent_session_stopped",
            "channel": "C0GENERAL",
            "thread_ts": TS_,
            "user": "UALICE",
            "event_ts": TS_,
        }
    ),
    callback({"type": "app_home_opened", "user": "UALICE", "channel": "D0ALICE", "tab": "home"}),
]
CONTAINER = {"type": "message", "message_ts": TS_, "thread_ts": TS_, "channel_id": "C0GENERAL"}
VALUE = {"v": "resume", "w": "s12", "c": "C0DEV", "t": TS_, "n": 7, "r": 1}
BUTTON_PRESS: dict[str, Any] = {
    "type": "block_actions",
    "user": {"id": "UALICE", "team_id": "T0HOME"},
    "team": {"id": "T0HOME"},
    "trigger_id": "1.2.abc",
    "response_url": "http://127.0.0.1:9/answer",
    "channel": {"id": "C0GENERAL"},
    "container": CONTAINER,
    "message": MESSAGE,
    "actions": [{"action_id": "order:1", "block_id": "b", "value": json.dumps(VALUE)}],
}
SUBMISSION: dict[str, Any] = {
    "type": "view_submission",
    "user": {"id": "UALICE", "team_id": "T0HOME"},
    "view": {
        "id": "V1",
        "type": "modal",
        "callback_id": "ask",
        "private_metadata": json.dumps(["C0GENERAL", TS_, "quoted", "UBOB", False]),
        "state": {"values": {"question": {"question_text": {"value": "why?"}}}},
    },
}
COMMAND: dict[str, Any] = {
    "command": "/copilot",
    "text": "status s12",
    "user_id": "UALICE",
    "channel_id": "C0GENERAL",
    "team_id": "T0HOME",
    "trigger_id": "1.2.abc",
    "response_url": "http://127.0.0.1:9/answer",
}
SHORTCUT: dict[str, Any] = {
    "type": "message_action",
    "callback_id": "ask_about_message",
    "user": {"id": "UALICE", "team_id": "T0HOME"},
    "channel": {"id": "C0GENERAL"},
    "message": MESSAGE,
    "trigger_id": "1.2.abc",
    "response_url": "http://127.0.0.1:9/answer",
}
OTHERS = [BUTTON_PRESS, SUBMISSION, COMMAND, SHORTCUT]

ODD = st.one_of(
    st.sampled_from(
        (
            *(None, True, False, 0, -1, 2**70, 1e400, float("nan"), "", " ", "\0", "\ud800", "[]"),
            *("T0EVIL", "U0PILOT", "B0PILOT", "C0GENERAL", "C" * 50, "c0general", "../x", TS_),
            *("9" * 400, "1790000000.0001", "-1.000000", "١.000000", "<@U0PILOT>", "{}", [], {}),
            *([[]], [{}], {"id": {}}, "bot_message", "message_changed", "file_share", "[" * 5_000),
        )
    ),
    st.text(max_size=30),
    st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)),
)


def places(payload: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in a payload."""
    found = [path] if path else []
    if isinstance(payload, dict):
        for name, inner in payload.items():
            found += places(inner, (*path, name))
    elif isinstance(payload, list):
        for number, inner in enumerate(payload):
            found += places(inner, (*path, number))
    return found


@st.composite
def mutated(draw: st.DrawFn, payloads: list[dict[str, Any]]) -> Any:
    """A payload with an odd value, or none, at up to four paths."""
    payload = copy.deepcopy(draw(st.sampled_from(payloads)))
    for _ in range(draw(st.integers(1, 4))):
        *way, last = draw(st.sampled_from(places(payload)))
        inside: Any = payload
        for step in way:
            inside = inside[step]
        if draw(st.booleans()):
            inside[last] = copy.deepcopy(draw(ODD))  # mutations must not meet in one value
        else:
            del inside[last]
        if not places(payload):
            break
    return payload


def texts_in(fact: object) -> list[str]:
    """Every text in a parsed value."""
    if isinstance(fact, Enum):
        return []
    if isinstance(fact, str):
        return [fact]
    if is_dataclass(fact):
        return [t for each in fields(fact) for t in texts_in(getattr(fact, each.name))]
    if isinstance(fact, tuple | frozenset | list):
        return [text for each in fact for text in texts_in(each)]
    return []


@given(mutated(EVENTS))
def test_whatever_an_event_holds_it_is_a_sound_fact_or_none_of_ours(payload: Any) -> None:
    """Never an error, and never a message of another workspace, of the bot or without a channel."""
    fact = parse_event(payload, IDENTITY)
    if isinstance(fact, Message):
        assert fact.thread.team == IDENTITY.team
        assert fact.user not in (IDENTITY.user, IDENTITY.bot)
        assert TS_PATTERN.fullmatch(fact.ts)
        assert TS_PATTERN.fullmatch(fact.thread.root_ts)
        assert fact.thread.session_id().replace("-", "").replace("_", "").isalnum()
        assert "\0" not in fact.text
        fact.text.encode("utf-8")


def test_an_event_of_a_workspace_that_is_not_ours_is_left_alone() -> None:
    foreign = callback(MESSAGE) | {"team_id": "T0EVIL", "authorizations": [{"team_id": "T0EVIL"}]}
    assert not isinstance(parse_event(foreign, IDENTITY), Message)
    shared = callback(MESSAGE) | {
        "team_id": "T0EVIL"
    }  # Slack Connect: of another workspace, but delivered to the bot
    assert isinstance(parse_event(shared, IDENTITY), Message)


@given(mutated(OTHERS))
def test_any_interaction_payload_gives_a_valid_value_or_none(payload: Any) -> None:
    order = parse_command_press(payload, IDENTITY)
    if isinstance(order, CommandPress):
        assert order.command.team == IDENTITY.team
        assert order.command.thread is None or order.command.thread.team == IDENTITY.team
        assert order.command.thread is None or TS_PATTERN.fullmatch(order.command.thread.root_ts)
    read = (
        *(
            order,
            parse_button_press(payload),
            parse_shortcut(payload, IDENTITY),
            parse_submission(payload),
        ),
        parse_slash_command(payload, IDENTITY),
    )
    for fact in read:
        assert all(isinstance(text, str) for text in texts_in(fact))


values = st.one_of(
    st.text(max_size=200),
    st.dictionaries(st.sampled_from("vwctnr"), ODD, max_size=6).map(
        lambda value: json.dumps(value, default=str)
    ),
    st.sampled_from(("[" * 3_000, '{"v":' * 500, "null", "1e999", '{"v":"a","n":1e400}', "NaN")),
)


@given(values)
def test_whatever_a_button_carries_is_a_command_of_sound_parts_or_none(value: str) -> None:
    """The bot writes these values, but they come back from users' machines."""
    found = parse_button_value(value)
    if found is not None:
        assert len(value) <= MAX_BUTTON_VALUE_CHARS
        assert found.command_name.isascii()
        assert found.command_name.islower()
        assert found.root_ts == "" or TS_PATTERN.fullmatch(found.root_ts)
        assert found.turn is None or (type(found.turn) is int and found.turn >= 0)
        assert (
            found.command_name not in COMMANDS
            or COMMANDS[found.command_name].name == found.command_name
        )


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(EVENTS))
async def test_whatever_event_is_delivered_is_acknowledged_or_brought_again(payload: Any) -> None:
    """Never an exception, and Slack repeats only what could not be recorded: a malformed payload
    would be repeated without end."""
    background, receiver = BackgroundTasks(), RecordingReceiver()
    answer = await event_receiver_for(receiver, background).receive(payload)
    assert answer.status in ((200,) if payload.get("type") == "event_callback" else (200, 500))
    await background.close(0)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(OTHERS))
async def test_any_interaction_is_answered(payload: Any) -> None:
    """Slack repeats none of them; a malformed one may show an error to its user."""
    background, receiver = BackgroundTasks(), RecordingReceiver()
    answer = await event_receiver_for(receiver, background).receive(payload)
    assert answer.status in (200, 500)
    assert receiver.messages == []
    await background.close(0)


@pytest.mark.parametrize("payload", [*EVENTS, *OTHERS])
def test_what_is_mutated_is_sound_to_begin_with(payload: dict[str, Any]) -> None:
    """Bolt accepts each of them: the mutations start from real payloads of Slack."""
    AsyncBoltRequest(mode="socket_mode", body=payload, headers={})
    assert places(payload)
