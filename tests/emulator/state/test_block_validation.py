"""Blocks that Slack would refuse are refused, and the blocks that it accepts are accepted."""

from __future__ import annotations

import pytest

from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import ApiError, Json


def text(words: str, kind: str = "mrkdwn") -> Json:
    return {"type": kind, "text": words}


def button(**more: object) -> Json:
    return {"type": "button", "action_id": "a", "text": text("Go", "plain_text")} | more


def option(**more: object) -> Json:
    return {"text": text("One", "plain_text"), "value": "1"} | more


def select(*options: object, **more: object) -> Json:
    chooser = {"type": "static_select", "options": list(options)} | more
    return {"type": "actions", "elements": [chooser]}


def confirm(**more: object) -> Json:
    words = dict.fromkeys(("title", "text", "confirm", "deny"), text("Sure?", "plain_text"))
    return words | more


SOUND: list[Json] = [
    {"type": "section", "text": text("x" * 3_000)},
    {"type": "section", "fields": [text("x")] * 10, "accessory": button()},
    {"type": "header", "text": text("x" * 150, "plain_text")},
    {"type": "actions", "elements": [button()] * 25},
    {"type": "actions", "elements": [button(confirm=confirm())]},
    select(*[option(value="x" * 150)] * 100),
    select(option_groups=[{"label": text("a", "plain_text"), "options": []}]),
    {"type": "context", "elements": [text("x")] * 10},
    {"type": "markdown", "text": "x" * 12_000},
    {"type": "image", "image_url": "https://example.com/a.png", "alt_text": "a"},
    {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]},
    {"type": "rich_text", "elements": []},
    {"type": "task_card", "task_id": "1", "title": "Reading"},
    {"type": "divider"},
]

BROKEN: list[Json] = [
    {},
    {"type": 7},
    {"type": "song"},
    {"type": "section"},
    {"type": "section", "text": text("")},
    {"type": "section", "text": text("x" * 3_001)},
    {"type": "section", "text": "words"},
    {"type": "section", "fields": [text("x")] * 11},
    {"type": "section", "fields": [text("x" * 2_001)]},
    {"type": "section", "text": text("x"), "accessory": {"type": "song"}},
    {"type": "header", "text": text("x" * 151, "plain_text")},
    {"type": "header", "text": text("x", "mrkdwn")},
    {"type": "actions", "elements": []},
    {"type": "actions", "elements": [button()] * 26},
    {"type": "actions", "elements": ["button"]},
    {"type": "actions", "elements": [button(text=text("x" * 76, "plain_text"))]},
    {"type": "actions", "elements": [button(value="x" * 2_001)]},
    {"type": "actions", "elements": [button(style="loud")]},
    {"type": "actions", "elements": [button(action_id="x" * 256)]},
    {"type": "actions", "elements": [{"type": "overflow", "options": []}]},
    {"type": "actions", "elements": [button(confirm=confirm(text=text("x" * 301)))]},
    {"type": "actions", "elements": [button(confirm=confirm(deny=text("x" * 31, "plain_text")))]},
    {"type": "actions", "elements": [button(confirm="sure?")]},
    select(),
    select("one"),
    select(*[option()] * 101),
    select(option(value="x" * 151)),
    select(option(text=text("x" * 76, "plain_text"))),
    {"type": "context", "elements": [text("x")] * 11},
    {"type": "context_actions", "elements": [button()]},
    {"type": "markdown", "text": "x" * 12_001},
    {"type": "image", "image_url": "https://example.com/a.png"},
    {"type": "image", "alt_text": "a"},
    {"type": "input", "label": text("x", "plain_text")},
    {"type": "table", "rows": []},
    {"type": "table", "rows": [[{}] * 21]},
    {"type": "rich_text"},
    {"type": "card"},
    {"type": "divider", "block_id": "x" * 256},
]


@pytest.mark.parametrize("block", SOUND, ids=lambda block: str(block["type"]))
def test_a_sound_block_is_taken_and_given_an_id(block: Json) -> None:
    (taken,) = block_kit.validate_blocks([block])
    assert taken["block_id"]
    assert taken | {"block_id": None} == block | {"block_id": None}


@pytest.mark.parametrize("block", BROKEN, ids=str)
def test_a_broken_block_is_refused(block: Json) -> None:
    with pytest.raises(ApiError) as refused:
        block_kit.validate_blocks([block])
    assert refused.value.code == "invalid_blocks"


def test_blocks_are_refused_for_what_they_are_together() -> None:
    """Too many, two with one id, or more Markdown in total than a message may have."""
    halves: list[Json] = [{"type": "markdown", "text": "x" * 7_000}] * 2
    twins: list[Json] = [{"type": "divider", "block_id": "same"}] * 2
    many: list[Json] = [{"type": "divider"}] * 51
    for together in (many, twins, halves):
        with pytest.raises(ApiError):
            block_kit.validate_blocks(together)
