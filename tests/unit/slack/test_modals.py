"""Cards, modals and pages keep Slack's limits, and only intended markup in them is active."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack import manifest
from bot.slack import texts as slack_texts
from bot.slack.interactions.modals import about_modal, ask_button, question_modal
from bot.slack.interactions.payloads import (
    MAX_QUOTED_CHARS,
    QuestionTarget,
    parse_button_press,
    parse_command_press,
    parse_shortcut,
    parse_slash_command,
    parse_submission,
)
from bot.slack.interactions.question_service import MAX_QUESTION_CHARS, question_message
from tests.integration.slack.receiver import IDENTITY

LIVE = re.compile(r"<[@!#]|<https?:")
TS = "1790000000.000100"
PLACE = QuestionTarget(channel="C0GENERAL", root_ts=TS, quoted="hello", author="UBOB")

people_write = st.text(
    alphabet=st.one_of(
        st.sampled_from(list('<>&!@#|"\\\n\u2028 ')),
        st.characters(codec="utf-8", exclude_characters="\0"),
    ),
    max_size=3_000,
)


def texts(block: object) -> Iterator[dict[str, object]]:
    """Every text object in a block."""
    if isinstance(block, dict):
        if block.get("type") in ("plain_text", "mrkdwn"):
            yield block
        for inner in block.values():
            yield from texts(inner)
    elif isinstance(block, list):
        for inner in block:
            yield from texts(inner)


def test_a_slash_command_has_users_and_channels_by_their_ids() -> None:
    """With `should_escape` in the manifest Slack sends `<@U…|name>`; a question keeps the names."""
    body = {"user_id": "UALICE", "channel_id": "C0GENERAL", "trigger_id": "t"}
    given = parse_slash_command(
        body | {"text": "admin limits <@UBOB|bob> in <#C0DEV|dev> &lt;x|y&gt;"}, IDENTITY
    )
    assert given is not None
    assert given.command_text == "admin limits @UBOB in #C0DEV <x|y>"
    assert given.text == "admin limits @bob in #dev <x|y>"


def longest(block: object) -> int:
    return max(len(str(text["text"])) for text in texts(block))


def test_the_help_has_a_button_that_asks() -> None:
    assert manifest.ASK_BUTTON in json.dumps(ask_button())


def test_titles_and_buttons_keep_to_slacks_lengths() -> None:
    """Modal titles and buttons 24, prompts at most 4, shortcut names 24, headers 150."""
    assert max(len(text) for text in (slack_texts.MODAL_TITLE, slack_texts.ABOUT_TITLE)) <= 24
    assert max(len(text) for text in (slack_texts.MODAL_SEND, slack_texts.MODAL_CANCEL)) <= 24
    assert len(slack_texts.ABOUT_SHORTCUT) <= 24
    assert len(slack_texts.PROMPTS) <= 4
    assert len(slack_texts.ASK_BUTTON) <= 75


@given(people_write)
def test_a_quoted_message_is_inert_and_fits_in_the_modal(text: str) -> None:
    place = QuestionTarget(
        channel="C0GENERAL", root_ts=TS, quoted=text[:MAX_QUOTED_CHARS], author="UBOB"
    )
    modal = about_modal(place)
    assert longest(modal) <= 3_000
    assert len(str(modal["private_metadata"])) <= 3_000
    assert not any(LIVE.search(str(one["text"])) for one in texts(modal))


@given(people_write, st.booleans())
def test_a_place_comes_back_from_the_modal_as_it_went_in(text: str, clipped: bool) -> None:
    place = QuestionTarget(
        channel="C0GENERAL",
        root_ts=TS,
        quoted=text[:MAX_QUOTED_CHARS],
        author="UBOB",
        clipped=clipped,
    )
    back = QuestionTarget.from_metadata(place.to_metadata())
    assert back is not None
    assert place.quoted.startswith(back.quoted)
    assert back == place or back.clipped


@given(st.one_of(st.none(), st.integers(), st.text(), st.just("[" * 2_900)))
def test_a_note_that_is_not_ours_is_no_place(note: object) -> None:
    assert QuestionTarget.from_metadata(note) is None


@pytest.mark.parametrize(
    "parts",
    [
        ["../etc", "", "", "", False],
        ["C0GENERAL", "soon", "", "", False],
        ["C0GENERAL", "", "", "", 0],
        ["C0GENERAL"],
    ],
)
def test_a_note_with_an_impossible_place_is_no_place(parts: list[object]) -> None:
    assert QuestionTarget.from_metadata(json.dumps(parts)) is None


@given(people_write, people_write)
def test_a_question_in_the_channel_mentions_only_its_asker(question: str, about: str) -> None:
    shown = question_message("UALICE", question, about)
    assert shown.startswith("<@UALICE> asks")
    assert LIVE.findall(shown) == ["<@"]
    shown = question_message("UALICE", "a\n<!channel>")
    assert shown == "<@UALICE> asks:\n> a\n> &lt;!channel&gt;"


def test_modals_have_one_input_with_slacks_limit() -> None:
    for modal in (question_modal(PLACE), about_modal(PLACE)):
        blocks = modal["blocks"]
        assert isinstance(blocks, list)
        inputs = [block for block in blocks if block["type"] == "input"]
        assert [block["block_id"] for block in inputs] == [manifest.QUESTION_BLOCK]
        assert inputs[0]["element"]["max_length"] == MAX_QUESTION_CHARS <= 3_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["user", "id", "team", "team_id", "actions", "view", "message", "ts", "channel"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["user", "actions", "view", "message", "channel"]), JSON))
def test_whatever_json_an_interaction_is_reading_it_is_no_error(body: dict[str, object]) -> None:
    for fact in (parse_button_press(body), parse_shortcut(body, IDENTITY), parse_submission(body)):
        assert fact is None or fact.actor.user
    assert parse_slash_command(body, IDENTITY) is None
    assert parse_command_press(body, IDENTITY) is None


def test_a_long_message_is_quoted_in_part_with_a_note() -> None:
    chosen = parse_shortcut(
        {
            "user": {"id": "UALICE", "team_id": "T0SANDBOX"},
            "channel": {"id": "C0GENERAL"},
            "message": {"ts": TS, "text": "x" * 10_000, "user": "UBOB"},
            "trigger_id": "1.2.3",
        },
        IDENTITY,
    )
    assert chosen is not None
    assert chosen.target.clipped
    assert "It's long" in json.dumps(about_modal(chosen.target))
