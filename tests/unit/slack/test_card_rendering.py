"""Cards keep to Slack's limits, nothing in them is live, and each button orders what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.cards import Card, Choose, Foot, Line, Press
from bot.domain.messages import ThreadKey
from bot.slack.api.client import Block
from bot.slack.cards.button_values import OPTION_CHARS, Carried, read_value
from bot.slack.cards.render import FALLBACK_CHARS, draw, draw_foot, draw_home, threads_of
from slack_emulator.state.block_validation import MAX_VIEW_BLOCKS, checked

THREAD = ThreadKey(team="T0SANDBOX", channel="C0GENERAL", root_ts="1790000000.000100")
LIVE = re.compile(r"<[@!#]|<https?:")

people_write = st.text(
    alphabet=st.one_of(st.sampled_from(list('<>&!@#|"\\\n\u2028 ')), st.characters(codec="utf-8")),
    max_size=60,
) | st.sampled_from([1_200, 3_100, 20_000]).map(lambda size: "<x>&\n" * (size // 5))
presses = st.builds(
    Press,
    label=people_write,
    verb=st.sampled_from(["sessions", "reset", "delete"]),
    words=people_write,
    style=st.sampled_from(["", "primary", "danger"]),
    confirm=st.just("") | people_write,
    turn=st.none() | st.integers(0, 2**40),
)
chooses = st.builds(
    Choose,
    label=people_write,
    verb=st.just("set"),
    words=st.just("model"),
    options=st.lists(st.tuples(people_write, people_write), max_size=3).map(tuple),
    chosen=people_write,
)
lines = st.builds(
    Line,
    text=people_write,
    detail=people_write,
    link=st.sampled_from([None, THREAD]),
    presses=st.lists(presses, max_size=2).map(tuple),
    choose=st.none() | chooses,
)
cards = st.builds(
    Card,
    text=people_write,
    title=people_write,
    lines=st.lists(lines, max_size=3).map(tuple),
    presses=st.lists(presses, max_size=3).map(tuple),
    small=people_write,
    link=st.sampled_from([None, THREAD]),
)


def live(shown: object) -> bool:
    """Whether anything in what Slack reads as markup would ping or link."""
    if isinstance(shown, dict):
        if shown.get("type") == "plain_text":
            return False
        return any(live(value) for key, value in shown.items() if key != "value")
    if isinstance(shown, list):
        return any(map(live, shown))
    return isinstance(shown, str) and LIVE.search(shown) is not None


def elements(blocks: Sequence[Block]) -> Iterator[Block]:
    """Everything that can be used."""
    for block in blocks:
        accessory = block.get("accessory")
        if isinstance(accessory, dict):
            yield accessory
        inside = block.get("elements")
        if block["type"] == "actions" and isinstance(inside, list):
            yield from inside


def values(blocks: Sequence[Block]) -> list[Carried]:
    """What everything that can be used orders."""
    found: list[Carried] = []
    for element in elements(blocks):
        options = element.get("options")
        for one in options if isinstance(options, list) else [element]:
            carried = read_value(one["value"])
            assert carried is not None
            found.append(carried)
    return found


def action_ids(blocks: Sequence[Block]) -> list[object]:
    return [element["action_id"] for element in elements(blocks)]


@settings(max_examples=50)
@given(cards)
def test_slack_would_take_any_card_and_nothing_in_it_is_live(card: Card) -> None:
    drawn = draw(card, thread=THREAD, verb="sessions")
    checked(drawn.blocks)
    assert 0 < len(drawn.text) <= FALLBACK_CHARS
    assert not live([drawn.text, drawn.blocks])
    assert len(set(action_ids(drawn.blocks))) == len(action_ids(drawn.blocks))
    for carried in values(drawn.blocks):
        assert (carried.channel, carried.root_ts) in (("C0GENERAL", THREAD.root_ts), ("", ""))


@settings(max_examples=30)
@given(st.lists(cards, max_size=4))
def test_slack_would_take_any_home_tab(several: list[Card]) -> None:
    blocks = draw_home(several, {}, [Card(text="Done.")])
    checked(blocks, MAX_VIEW_BLOCKS)
    assert not live(blocks)
    assert len(set(action_ids(blocks))) == len(action_ids(blocks))


@settings(max_examples=50)
@given(
    st.builds(
        Foot,
        presses=st.lists(presses, max_size=6).map(tuple),
        menu=st.lists(presses, max_size=3).map(tuple),
        small=people_write,
    )
)
def test_slack_would_take_any_foot(foot: Foot) -> None:
    blocks = draw_foot(foot, THREAD)
    checked(blocks)
    assert len(blocks) <= 2
    assert not live(blocks)


def test_a_home_tab_that_is_too_long_shows_fewer_lines_of_each_card_but_all_of_the_news() -> None:
    def card(name: str) -> Card:
        press = Press(label="Go", verb="status")
        many = (Line(text=name, presses=(press, press)) for _ in range(10))
        return Card(title=name, text=name, lines=tuple(many))

    blocks = draw_home([card(name) for name in "abcdef"], {}, [card("news")])
    told = json.dumps(blocks)
    assert len(blocks) <= MAX_VIEW_BLOCKS
    assert told.count('"news"') == 12
    assert {told.count(f'"{name}"') for name in "abcdef"} == {2 + 5}


def test_a_button_orders_what_could_be_typed_and_knows_its_thread_and_turn() -> None:
    press = Press(label="Reset", verb="reset", words="s12", turn=7, style="danger", confirm="Sure?")
    drawn = draw(Card(text="Hello", presses=(press,)), thread=THREAD)
    (button,) = elements(drawn.blocks)
    assert button["action_id"] == "order:reset:0"
    assert button["style"] == "danger"
    assert values(drawn.blocks) == [
        Carried(verb="reset", words="s12", channel="C0GENERAL", root_ts=THREAD.root_ts, turn=7)
    ]
    confirm = button["confirm"]
    assert isinstance(confirm, dict)
    assert confirm["text"] == {"type": "plain_text", "text": "Sure?"}


def test_the_only_button_of_a_line_stands_beside_its_text_and_more_stand_below_it() -> None:
    press = Press(label="Go", verb="status")
    alone, several = Line(text="a", presses=(press,)), Line(text="b", presses=(press, press))
    blocks = draw(Card(text="x", lines=(alone, several))).blocks[1:]
    assert [block["type"] for block in blocks] == ["section", "section", "actions"]
    assert ["accessory" in block for block in blocks] == [True, False, False]


def test_paging_takes_the_place_of_the_card_and_other_buttons_do_not() -> None:
    card = Card(
        text="Page 1",
        presses=(
            Press(label="Older", verb="sessions", words="2"),
            Press(label="Delete", verb="delete", words="s1"),
        ),
    )
    assert [each.replaces for each in values(draw(card, verb="sessions").blocks)] == [True, False]
    assert [each.replaces for each in values(draw(card).blocks)] == [False, False]


def test_a_list_says_what_stands_now_and_each_choice_is_an_order() -> None:
    choose = Choose(
        label="Your model",
        verb="set",
        words="model",
        options=(("Fast", "gpt-5-mini"), ("Good", "gpt-5"), ("Good again", "gpt-5")),
        chosen="gpt-5",
    )
    drawn = draw(Card(text="Settings", lines=(Line(text="Model", choose=choose),)))
    (select,) = elements(drawn.blocks)
    chosen = select["initial_option"]
    assert isinstance(chosen, dict)
    assert chosen["text"]["text"] == "Good"
    assert [each.words for each in values(drawn.blocks)] == ["model gpt-5-mini", "model gpt-5"]


def test_an_option_that_would_be_too_long_does_without_its_thread() -> None:
    """The pressed message tells it, too."""
    choose = Choose(label="Model", verb="model", words="", options=(("Long", "m" * 120),))
    drawn = draw(Card(text="Model", lines=(Line(text="", choose=choose),)), thread=THREAD)
    (carried,) = values(drawn.blocks)
    assert (carried.words, carried.root_ts) == ("m" * 120, "")


def test_a_line_leads_to_its_thread_where_the_address_is_known() -> None:
    card = Card(text="Yours", lines=(Line(text="a | <b>\nc", detail="s1", link=THREAD),))
    address = "https://example.com/archives/C0GENERAL/p1790000000000100"
    assert threads_of([card]) == {THREAD}
    linked = json.dumps(draw(card, links={THREAD: address}).blocks)
    assert f"<{address}|a &lt;b&gt; c>" in linked
    assert "https" not in json.dumps(draw(card).blocks)


def test_what_has_to_be_confirmed_is_no_entry_of_a_menu() -> None:
    """Slack asks for confirmation of all of a menu or of none of it."""
    foot = Foot(
        presses=(Press(label="Ask again", verb="retry", turn=3),),
        menu=(
            Press(label="Go back", verb="rewind", turn=3, confirm="Sure?"),
            Press(label="Status", verb="status", turn=3),
        ),
        small="Answered by a small model",
    )
    actions, context = draw_foot(foot, THREAD)
    assert [each["type"] for each in elements([actions])] == ["button", "button", "overflow"]
    assert [each.verb for each in values([actions])] == ["retry", "rewind", "status"]
    assert {each.turn for each in values([actions])} == {3}
    assert context["type"] == "context"
    assert draw_foot(Foot(), THREAD) == []


def test_the_largest_card_and_the_longest_list_fit() -> None:
    press = Press(label="x" * 100, verb="status", words="x" * 100, confirm="x" * 400)
    options = tuple((f"{number} {'x' * 100}", str(number)) for number in range(150))
    choose = Choose(label="x" * 200, verb="set", words="", options=options, chosen="149")
    line = Line(text="x" * 4_000, detail="x" * 4_000, presses=(press,) * 9, choose=choose)
    card = Card(
        title="x" * 400,
        text="x" * 40_000,
        lines=(line,) * 20,
        presses=(press,) * 40,
        small="x" * 4_000,
    )
    checked(draw(card, thread=THREAD).blocks)
    checked(draw_home([card] * 20, {}, [card]), MAX_VIEW_BLOCKS)
    checked(draw_foot(Foot(presses=(press,) * 9, menu=(press,) * 9, small="x" * 4_000), THREAD))


def test_a_long_text_goes_on_in_further_sections() -> None:
    text = "\n".join(f"line {number} with <some> words" for number in range(250))
    sections = [
        block["text"]["text"]  # type: ignore[index]
        for block in draw(Card(text=text)).blocks
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
def test_a_value_that_makes_no_sense_orders_nothing(value: object) -> None:
    assert read_value(value) is None


@given(st.text(max_size=300))
def test_whatever_a_value_says_reading_it_is_no_error(value: str) -> None:
    read_value(value)


@given(
    st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=20),
    st.text(max_size=60),
    st.none() | st.integers(0, 2**53),
    st.booleans(),
)
def test_an_order_comes_back_from_a_button_as_it_went_in(
    verb: str, words: str, turn: int | None, replaces: bool
) -> None:
    words = words.encode("utf-8", "replace").decode().replace("\0", "")
    carried = Carried(
        verb=verb,
        words=words,
        channel=THREAD.channel,
        root_ts=THREAD.root_ts,
        turn=turn,
        replaces=replaces,
    )
    assert read_value(carried.value(2_000)) == carried
    assert len(carried.value(OPTION_CHARS)) <= OPTION_CHARS
