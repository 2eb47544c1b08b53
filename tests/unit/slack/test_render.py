"""Cards keep to Slack's limits, nothing in them is live, and each button runs its command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.cards import Button, Card, CardItem, ReplyActions, Select
from bot.domain.messages import ThreadKey
from bot.slack.api.blocks import Block
from bot.slack.cards.button_values import MAX_OPTION_VALUE_CHARS, ButtonValue, parse_button_value
from bot.slack.cards.render import (
    FALLBACK_CHARS,
    linked_threads,
    render_actions,
    render_card,
    render_home,
)
from slack_emulator.state.block_validation import MAX_VIEW_BLOCKS, validate_blocks

THREAD = ThreadKey(team="T0SANDBOX", channel="C0GENERAL", root_ts="1790000000.000100")
LIVE = re.compile(r"<[@!#]|<https?:")

user_texts = st.text(
    alphabet=st.one_of(st.sampled_from(list('<>&!@#|"\\\n\u2028 ')), st.characters(codec="utf-8")),
    max_size=60,
) | st.sampled_from([1_200, 3_100, 20_000]).map(lambda size: "<x>&\n" * (size // 5))
buttons = st.builds(
    Button,
    label=user_texts,
    command_name=st.sampled_from(["sessions", "reset", "delete"]),
    args=user_texts,
    style=st.sampled_from(["", "primary", "danger"]),
    confirm=st.just("") | user_texts,
    turn=st.none() | st.integers(0, 2**40),
)
selects = st.builds(
    Select,
    label=user_texts,
    command_name=st.just("set"),
    args=st.just("model"),
    options=st.lists(st.tuples(user_texts, user_texts), max_size=3).map(tuple),
    selected=user_texts,
)
card_items = st.builds(
    CardItem,
    text=user_texts,
    detail=user_texts,
    link=st.sampled_from([None, THREAD]),
    buttons=st.lists(buttons, max_size=2).map(tuple),
    select=st.none() | selects,
)
cards = st.builds(
    Card,
    text=user_texts,
    title=user_texts,
    items=st.lists(card_items, max_size=3).map(tuple),
    buttons=st.lists(buttons, max_size=3).map(tuple),
    small_print=user_texts,
    link=st.sampled_from([None, THREAD]),
)


def live(shown: object) -> bool:
    """True if Slack would ping or link anything in the markup."""
    if isinstance(shown, dict):
        if shown.get("type") == "plain_text":
            return False
        return any(live(value) for key, value in shown.items() if key != "value")
    if isinstance(shown, list):
        return any(map(live, shown))
    return isinstance(shown, str) and LIVE.search(shown) is not None


def elements(blocks: Sequence[Block]) -> Iterator[Block]:
    """All buttons, menus and selects."""
    for block in blocks:
        accessory = block.get("accessory")
        if isinstance(accessory, dict):
            yield accessory
        inside = block.get("elements")
        if block["type"] == "actions" and isinstance(inside, list):
            yield from inside


def values(blocks: Sequence[Block]) -> list[ButtonValue]:
    """The commands of all buttons, menus and selects."""
    found: list[ButtonValue] = []
    for element in elements(blocks):
        options = element.get("options")
        for one in options if isinstance(options, list) else [element]:
            carried = parse_button_value(one["value"])
            assert carried is not None
            found.append(carried)
    return found


def action_ids(blocks: Sequence[Block]) -> list[object]:
    return [element["action_id"] for element in elements(blocks)]


@settings(max_examples=50)
@given(cards)
def test_slack_would_take_any_card_and_nothing_in_it_is_live(card: Card) -> None:
    rendered = render_card(card, thread=THREAD, command_name="sessions")
    validate_blocks(rendered.blocks)
    assert 0 < len(rendered.text) <= FALLBACK_CHARS
    assert not live([rendered.text, rendered.blocks])
    assert len(set(action_ids(rendered.blocks))) == len(action_ids(rendered.blocks))
    for carried in values(rendered.blocks):
        assert (carried.channel, carried.root_ts) in (("C0GENERAL", THREAD.root_ts), ("", ""))


@settings(max_examples=30)
@given(st.lists(cards, max_size=4))
def test_slack_would_take_any_home_tab(several: list[Card]) -> None:
    blocks = render_home(several, {}, [Card(text="Done.")])
    validate_blocks(blocks, MAX_VIEW_BLOCKS)
    assert not live(blocks)
    assert len(set(action_ids(blocks))) == len(action_ids(blocks))


@settings(max_examples=50)
@given(
    st.builds(
        ReplyActions,
        buttons=st.lists(buttons, max_size=6).map(tuple),
        menu=st.lists(buttons, max_size=3).map(tuple),
        small_print=user_texts,
    )
)
def test_slack_would_take_any_reply_actions(actions: ReplyActions) -> None:
    blocks = render_actions(actions, THREAD)
    validate_blocks(blocks)
    assert len(blocks) <= 2
    assert not live(blocks)


def test_a_home_tab_that_is_too_long_shows_fewer_items_of_each_card_but_all_pinned_ones() -> None:
    def card(name: str) -> Card:
        spec = Button(label="Go", command_name="status")
        many = (CardItem(text=name, buttons=(spec, spec)) for _ in range(10))
        return Card(title=name, text=name, items=tuple(many))

    blocks = render_home([card(name) for name in "abcdef"], {}, [card("news")])
    payload = json.dumps(blocks)
    assert len(blocks) <= MAX_VIEW_BLOCKS
    assert payload.count('"news"') == 12
    assert {payload.count(f'"{name}"') for name in "abcdef"} == {2 + 5}


def test_a_button_runs_what_could_be_typed_and_knows_its_thread_and_turn() -> None:
    spec = Button(
        label="Reset", command_name="reset", args="s12", turn=7, style="danger", confirm="Sure?"
    )
    rendered = render_card(Card(text="Hello", buttons=(spec,)), thread=THREAD)
    (button,) = elements(rendered.blocks)
    assert button["action_id"] == "order:reset:0"
    assert button["style"] == "danger"
    assert values(rendered.blocks) == [
        ButtonValue(
            command_name="reset", args="s12", channel="C0GENERAL", root_ts=THREAD.root_ts, turn=7
        )
    ]
    confirm = button["confirm"]
    assert isinstance(confirm, dict)
    assert confirm["text"] == {"type": "plain_text", "text": "Sure?"}


def test_the_only_button_of_an_item_is_beside_its_text_and_more_are_below_it() -> None:
    spec = Button(label="Go", command_name="status")
    alone, several = (
        CardItem(text="a", buttons=(spec,)),
        CardItem(text="b", buttons=(spec, spec)),
    )
    blocks = render_card(Card(text="x", items=(alone, several))).blocks[1:]
    assert [block["type"] for block in blocks] == ["section", "section", "actions"]
    assert ["accessory" in block for block in blocks] == [True, False, False]


def test_paging_takes_the_place_of_the_card_and_other_buttons_do_not() -> None:
    card = Card(
        text="Page 1",
        buttons=(
            Button(label="Older", command_name="sessions", args="2"),
            Button(label="Delete", command_name="delete", args="s1"),
        ),
    )
    assert [
        each.replaces_message for each in values(render_card(card, command_name="sessions").blocks)
    ] == [True, False]
    assert [each.replaces_message for each in values(render_card(card).blocks)] == [False, False]


def test_a_select_shows_its_current_value_and_each_option_is_a_command() -> None:
    spec = Select(
        label="Your model",
        command_name="set",
        args="model",
        options=(("Fast", "gpt-5-mini"), ("Good", "gpt-5"), ("Good again", "gpt-5")),
        selected="gpt-5",
    )
    rendered = render_card(Card(text="Settings", items=(CardItem(text="Model", select=spec),)))
    (select,) = elements(rendered.blocks)
    chosen = select["initial_option"]
    assert isinstance(chosen, dict)
    assert chosen["text"]["text"] == "Good"
    assert [each.args for each in values(rendered.blocks)] == ["model gpt-5-mini", "model gpt-5"]


def test_an_option_that_would_be_too_long_does_without_its_thread() -> None:
    """The message with the button shows it as well."""
    spec = Select(label="Model", command_name="model", args="", options=(("Long", "m" * 120),))
    rendered = render_card(
        Card(text="Model", items=(CardItem(text="", select=spec),)), thread=THREAD
    )
    (carried,) = values(rendered.blocks)
    assert (carried.args, carried.root_ts) == ("m" * 120, "")


def test_a_line_leads_to_its_thread_where_the_address_is_known() -> None:
    card = Card(text="Yours", items=(CardItem(text="a | <b>\nc", detail="s1", link=THREAD),))
    address = "https://example.com/archives/C0GENERAL/p1790000000000100"
    assert linked_threads([card]) == {THREAD}
    linked = json.dumps(render_card(card, links={THREAD: address}).blocks)
    assert f"<{address}|a &lt;b&gt; c>" in linked
    assert "https" not in json.dumps(render_card(card).blocks)


def test_what_has_to_be_confirmed_is_no_entry_of_a_menu() -> None:
    """Slack confirms a whole menu or none of it."""
    actions = ReplyActions(
        buttons=(Button(label="Ask again", command_name="retry", turn=3),),
        menu=(
            Button(label="Go back", command_name="rewind", turn=3, confirm="Sure?"),
            Button(label="Status", command_name="status", turn=3),
        ),
        small_print="Answered by a small model",
    )
    row, context = render_actions(actions, THREAD)
    assert [each["type"] for each in elements([row])] == ["button", "button", "overflow"]
    assert [each.command_name for each in values([row])] == ["retry", "rewind", "status"]
    assert {each.turn for each in values([row])} == {3}
    assert context["type"] == "context"
    assert render_actions(ReplyActions(), THREAD) == []


def test_the_largest_card_and_the_longest_list_fit() -> None:
    button = Button(label="x" * 100, command_name="status", args="x" * 100, confirm="x" * 400)
    options = tuple((f"{number} {'x' * 100}", str(number)) for number in range(150))
    select = Select(label="x" * 200, command_name="set", args="", options=options, selected="149")
    line = CardItem(text="x" * 4_000, detail="x" * 4_000, buttons=(button,) * 9, select=select)
    card = Card(
        title="x" * 400,
        text="x" * 40_000,
        items=(line,) * 20,
        buttons=(button,) * 40,
        small_print="x" * 4_000,
    )
    validate_blocks(render_card(card, thread=THREAD).blocks)
    validate_blocks(render_home([card] * 20, {}, [card]), MAX_VIEW_BLOCKS)
    validate_blocks(
        render_actions(
            ReplyActions(buttons=(button,) * 9, menu=(button,) * 9, small_print="x" * 4_000), THREAD
        )
    )


def test_a_long_text_goes_on_in_further_sections() -> None:
    text = "\n".join(f"line {number} with <some> words" for number in range(250))
    sections = [
        block["text"]["text"]  # type: ignore[index]
        for block in render_card(Card(text=text)).blocks
    ]
    assert len(sections) > 1
    assert "\n".join(sections) == text.replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "[]",
        "{",
        "[" * 1_900,
        '{"v":"Reset"}',
        '{"v":"reset","w":7}',
        '{"v":"reset","c":"C0GENERAL"}',
        '{"v":"reset","c":"../etc","t":"1790000000.000100"}',
        '{"v":"reset","n":true}',
        '{"v":"reset","n":-1}',
        '{"v":"reset","n":1e400}',
        '{"v":"' + "x" * 3_000 + '"}',
    ],
)
def test_a_value_that_makes_no_sense_is_no_command(value: object) -> None:
    assert parse_button_value(value) is None


@given(st.text(max_size=300))
def test_parsing_any_value_is_no_error(value: str) -> None:
    parse_button_value(value)


@given(
    st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20),
    st.text(max_size=60),
    st.none() | st.integers(0, 2**53),
    st.booleans(),
)
def test_a_command_comes_back_from_a_button_as_it_went_in(
    name: str, args: str, turn: int | None, replaces: bool
) -> None:
    args = args.encode("utf-8", "replace").decode().replace("\0", "")
    carried = ButtonValue(
        command_name=name,
        args=args,
        channel=THREAD.channel,
        root_ts=THREAD.root_ts,
        turn=turn,
        replaces_message=replaces,
    )
    assert parse_button_value(carried.encode(2_000)) == carried
    assert len(carried.encode(MAX_OPTION_VALUE_CHARS)) <= MAX_OPTION_VALUE_CHARS
