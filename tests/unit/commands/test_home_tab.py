"""The Home tab: what each user sees on it, and that it stays short."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from bot.access.texts import DENIAL_TEXTS
from bot.commands import texts
from bot.commands.home_tab import MAX_CHANNELS, MAX_RUNNING, MAX_SESSIONS
from bot.commands.registry import COMMANDS
from bot.commands.sessions import SessionsCommand
from bot.commands.texts import models as model_texts
from bot.commands.texts import sessions as session_texts
from bot.commands.user_names import UserNames
from bot.domain.cards import Card, CardItem, Select
from bot.domain.commands import CommandSource
from bot.domain.comparisons import Candidate
from bot.domain.preferences import PreferenceKind, Scope
from bot.domain.sessions import SessionRecord
from bot.domain.usage import TokenUsage
from bot.domain.users import AccessRole
from bot.errors import SlackError, StoreError
from bot.slack.cards.render import FALLBACK_CHARS, MAX_VIEW_BLOCKS, render_card, render_home
from bot.store.sqlite.data_dir import DATABASE_NAME
from slack_emulator.state.block_validation import validate_blocks
from tests.unit.commands.command_fixtures import ADA, ALICE, BOB, DIRECT, EVE, GENERAL, GUS
from tests.unit.commands.preference_fixtures import (
    MODELS,
    SECRET,
    PreferenceFixture,
    preference_fixture,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PreferenceFixture]:
    async with preference_fixture(tmp_path) as world:
        yield world


def titles(cards: Sequence[Card]) -> list[str]:
    return [card.title for card in cards]


def titled(cards: Sequence[Card], title: str) -> Card:
    (found,) = [card for card in cards if card.title == title]
    return found


def lists(cards: Sequence[Card]) -> dict[str, Select]:
    """The select menus, by their labels."""
    lines = titled(cards, model_texts.SETTINGS_TITLE).items
    return {line.select.label: line.select for line in lines if line.select is not None}


async def compared(
    world: PreferenceFixture,
    session: SessionRecord,
    channel: str,
    votes: dict[str, int],
    kept: str = "",
) -> None:
    """A comparison in a channel, with its votes."""
    _, turn = await world.ask(world.thread(900, channel), ADA, text="Which is best?")
    labels = dict(zip("ABC", votes, strict=False))
    candidates = [
        Candidate(label=label, session=session.number, usage=TokenUsage(model=model))
        for label, model in labels.items()
    ]
    await world.store.save_comparison(turn, session.number, candidates)
    for label, model in labels.items():
        for number in range(votes[model]):
            assert await world.store.save_vote(turn.id, f"U{label}{number}", label)
        if model == kept:
            assert await world.store.mark_kept(turn.id, label)
    assert await world.store.reveal_models(turn.id)


async def test_a_newcomer_is_greeted_and_shown_how_to_begin(world: PreferenceFixture) -> None:
    cards = await world.home.build_cards(BOB)
    assert titles(cards) == [
        model_texts.HELLO,
        model_texts.MY_SESSIONS,
        model_texts.USAGE_TITLE,
        model_texts.SETTINGS_TITLE,
    ]
    assert "Hello" in cards[0].title
    assert titled(cards, model_texts.MY_SESSIONS).text == model_texts.NO_SESSIONS
    assert "Last 24 hours: 0 turns, 0 tokens" in titled(cards, model_texts.USAGE_TITLE).text


async def test_a_user_with_sessions_sees_them_first_and_the_introduction_last(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread(1))
    shown = titles(await world.home.build_cards(ALICE))
    assert (shown[0], shown[-1]) == (model_texts.MY_SESSIONS, model_texts.HELLO)


@pytest.mark.parametrize(
    ("user", "standing"), [(GUS, AccessRole.GUEST), (EVE, AccessRole.EXTERNAL)]
)
async def test_guests_and_external_users_get_one_sentence(
    world: PreferenceFixture, user: str, standing: AccessRole
) -> None:
    (card,) = await world.home.build_cards(user)
    assert card == Card(text=DENIAL_TEXTS[standing])


async def test_my_newest_sessions_are_there_with_what_can_be_done_with_them(
    world: PreferenceFixture,
) -> None:
    first, _ = await world.ask(world.thread(1), text="The first question")
    await world.ask(world.thread(2), BOB, text="Bob's question")
    await world.clock.advance(7_200)
    await world.ask(world.thread(3), text="The newest question")
    fresh = await world.store.reset(first.thread, "", ALICE)
    card = titled(await world.home.build_cards(ALICE), model_texts.MY_SESSIONS)
    assert card.text == "The newest 3 of 3."
    shown = {line.text: line for line in card.items}
    assert "Bob's question" not in shown
    newest = shown["The newest question"]
    assert newest.link == world.thread(3)
    assert newest.detail == "s3 · 1 turn · just now · active"
    assert [(button.command_name, button.args) for button in newest.buttons] == [
        ("reset", "s3"),
        ("delete", "s3"),
    ]
    assert all(button.confirm for button in newest.buttons)
    old = shown["The first question"]
    assert old.detail == "s1 · 1 turn · 2 h ago · archived"
    assert [button.command_name for button in old.buttons] == ["delete"]
    assert fresh.handle in shown[session_texts.UNTITLED].detail
    assert [(button.label, button.command_name) for button in card.buttons] == [
        (model_texts.SESSIONS_ALL, "sessions")
    ]


async def test_a_channel_that_i_do_not_see_any_more_shows_nothing_of_it(
    world: PreferenceFixture,
) -> None:
    world.slack.hidden.clear()
    await world.ask(world.thread(1, SECRET), BOB, text="The secret plan")
    assert "The secret plan" in str(await world.home.build_cards(BOB))
    world.slack.hidden.add((BOB, SECRET))
    cards = await world.home.build_cards(BOB)
    assert "secret" not in str(cards)
    (line,) = titled(cards, model_texts.MY_SESSIONS).items
    assert line.link is None
    assert line.buttons == ()


async def test_while_visibility_is_unknown_nothing_of_channels_is_shown(
    world: PreferenceFixture,
) -> None:
    session, _ = await world.ask(world.thread(1), text="A question")
    await compared(world, session, GENERAL, {"small": 1})
    world.slack.blind = True
    cards = await world.home.build_cards(ALICE)
    assert "A question" not in str(cards)
    assert model_texts.SCORES_TITLE not in titles(cards)


async def test_without_knowing_who_that_is_nothing_is_shown(world: PreferenceFixture) -> None:
    world.slack.trouble = True
    with pytest.raises(SlackError):
        await world.home.build_cards(ALICE)


async def test_my_running_turns_are_there_with_the_way_to_them(world: PreferenceFixture) -> None:
    await world.ask(world.thread(1), text="Explain\nall of it", end=False)
    await world.ask(world.thread(2), BOB, text="Bob's", end=False)
    card = titled(await world.home.build_cards(ALICE), model_texts.RUNNING_TITLE)
    assert card.items == (CardItem(text="“Explain all of it”", link=world.thread(1)),)


async def test_my_usage_is_shown_for_day_week_and_month(world: PreferenceFixture) -> None:
    spent = TokenUsage(model="small", input_tokens=1_000, output_tokens=200)
    await world.ask(world.thread(1), spent=spent)
    await world.clock.advance(3 * 86_400)
    await world.ask(world.thread(2), spent=spent)
    await world.ask(world.thread(3), BOB, spent=spent)
    shown = titled(await world.home.build_cards(ALICE), model_texts.USAGE_TITLE).text
    assert shown.splitlines() == [
        "Last 24 hours: 1 turn, 1,200 tokens",
        "Last 7 days: 2 turns, 2,400 tokens",
        "Last 30 days: 2 turns, 2,400 tokens",
    ]


async def test_my_settings_show_the_preferences_and_change_them(
    world: PreferenceFixture,
) -> None:
    found = lists(await world.home.build_cards(ALICE))
    model, verbosity = found[model_texts.MY_MODEL], found[model_texts.MY_VERBOSITY]
    assert model.options == (
        (model_texts.USUAL_MODEL, "default"),
        *((name, name) for name in MODELS),
    )
    assert (model.selected, verbosity.selected) == ("default", "normal")
    for choose, value in ((model, "large"), (verbosity, "brief")):
        commands = f"{choose.command_name} {choose.args} {value}"
        await world.run_command(commands, by=ALICE, form=CommandSource.HOME_TAB, channel="")
    found = lists(await world.home.build_cards(ALICE))
    assert found[model_texts.MY_MODEL].selected == "large"
    assert found[model_texts.MY_VERBOSITY].selected == "brief"
    assert lists(await world.home.build_cards(BOB))[model_texts.MY_MODEL].selected == "default"


async def test_a_model_that_i_chose_stays_in_the_list_when_the_server_is_down(
    tmp_path: Path,
) -> None:
    async with preference_fixture(tmp_path) as world:
        world.server.names = ()
        await world.choosing.refresh_models()
        await world.choose(Scope.USER, ALICE, PreferenceKind.MODEL, "large")
        model = lists(await world.home.build_cards(ALICE))[model_texts.MY_MODEL]
        assert [value for _, value in model.options] == ["default", "large"]
        assert model.selected == "large"


async def test_no_more_models_are_listed_than_fit(world: PreferenceFixture) -> None:
    world.server.names = [f"m{number}" for number in range(500)]
    await world.choosing.refresh_models()
    await world.choose(Scope.USER, ALICE, PreferenceKind.MODEL, "m499")
    model = lists(await world.home.build_cards(ALICE))[model_texts.MY_MODEL]
    assert len(model.options) == 100
    assert ("m499", "m499") in model.options, "the one that stands is always there"


async def test_the_scores_cover_each_of_my_channels(world: PreferenceFixture) -> None:
    await world.ask(world.thread(1, DIRECT), text="In private")
    session, _ = await world.ask(world.thread(2), text="My question")
    await compared(world, session, GENERAL, {"small": 1, "large": 3}, kept="large")
    await compared(world, session, "C0OTHER", {"small": 2})
    card = titled(await world.home.build_cards(ALICE), model_texts.SCORES_TITLE)
    (line,) = card.items
    assert line.text == "Channel of “My question”"
    assert line.link == session.thread
    assert line.detail.splitlines() == [
        "1. large: 3 votes in 1 comparison, kept 1 time",
        "2. small: 1 vote in 1 comparison, kept 0 times",
    ]


async def test_comparisons_in_direct_messages_are_shown_as_such(world: PreferenceFixture) -> None:
    session, _ = await world.ask(world.thread(1, DIRECT), text="In private")
    await compared(world, session, DIRECT, {"small": 1})
    (line,) = titled(await world.home.build_cards(ALICE), model_texts.SCORES_TITLE).items
    assert line.text == model_texts.IN_DIRECT


async def test_scores_of_a_channel_that_i_do_not_see_are_not_shown(
    world: PreferenceFixture,
) -> None:
    world.slack.hidden.clear()
    session, _ = await world.ask(world.thread(1, SECRET), BOB)
    await compared(world, session, SECRET, {"small": 1})
    assert model_texts.SCORES_TITLE in titles(await world.home.build_cards(BOB))
    world.slack.hidden.add((BOB, SECRET))
    assert model_texts.SCORES_TITLE not in titles(await world.home.build_cards(BOB))


async def test_admins_see_the_workspace(world: PreferenceFixture) -> None:
    world.is_doing(running=2, live=7)
    world.server.octets = 210 * 1024**2
    session, _ = await world.ask(world.thread(1))
    await world.store.save_sizes({session.id: 3 * 1024**2})
    card = titled(await world.home.build_cards(ADA), model_texts.WORKSPACE_TITLE)
    assert card.text.splitlines() == [
        "Turns running: 2",
        "Turns queued: 0",
        "Open sessions: 7 of 50",
        "Runtime memory: 210 MB",
        "Stored sessions: 1, 3.0 MB",
    ]
    commands = [(button.command_name, button.args) for button in card.buttons]
    names = ("sessions", "usage", "users", "cleanup", "audit", "pause")
    assert commands == [("admin", name) for name in names]
    assert model_texts.WORKSPACE_TITLE not in titles(await world.home.build_cards(ALICE))


async def test_while_the_bot_is_paused_admins_are_notified_and_can_go_on(
    world: PreferenceFixture,
) -> None:
    world.is_doing(paused=True)
    card = titled(await world.home.build_cards(ADA), model_texts.WORKSPACE_TITLE)
    assert model_texts.PAUSED in card.text
    assert model_texts.RUNTIME_RESTS in card.text
    assert (card.buttons[-1].args, card.buttons[-1].label) == ("resume", model_texts.ADMIN_RESUME)


async def test_the_page_is_short_with_many_sessions_and_channels(world: PreferenceFixture) -> None:
    for number in range(40):
        await world.ask(world.thread(number, f"C{number:04}"), text=f"Question {number}")
    world.slack.checked_channels.clear()
    cards = await world.home.build_cards(ALICE)
    card = titled(cards, model_texts.MY_SESSIONS)
    assert card.text == "The newest 5 of 40."
    assert len(card.items) == MAX_SESSIONS
    assert len(world.slack.checked_channels) <= MAX_CHANNELS


async def test_the_fullest_page_fits_one_view_of_slack(
    world: PreferenceFixture,
) -> None:
    for number in range(MAX_CHANNELS):
        place = world.thread(number, f"C{number:04}")
        session, _ = await world.ask(place, ADA, text=f"Question {number} " + "x" * 5_000)
        await compared(world, session, place.channel, {"small": 1, "large": 0, "huge": 0})
    for number in range(MAX_RUNNING):
        await world.ask(world.thread(500 + number), ADA, text="y" * 5_000, end=False)
    world.server.names = [f"m{number}" for number in range(500)]
    await world.choosing.refresh_models()
    world.is_doing(paused=True)
    cards = await world.home.build_cards(ADA)
    assert len(cards) == 7
    links = {line.link: "https://example.com" for card in cards for line in card.items if line.link}
    notice = Card(text="Done.", items=tuple(CardItem(text=f"{number}") for number in range(10)))
    rendered = render_home(cards, links, [notice])
    assert len(rendered) < MAX_VIEW_BLOCKS
    lines = {line.text for card in cards for line in card.items}
    assert all(line[:30] in json.dumps(rendered, ensure_ascii=False) for line in lines)


async def ten_thousand(world: PreferenceFixture, folder: Path) -> None:
    """Record many sessions of Ada, with long titles, in several channels."""
    for number in range(MAX_CHANNELS):
        await world.ask(world.thread(number, f"C{number:04}"), ADA, text="<&>" * 100)
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as database, database:
        columns = "thread, channel, owner, title, origin, last_model, turns, size, created"
        database.execute(
            f"""
            WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 9995)
            INSERT INTO sessions ({columns}, id, role, current, used)
            SELECT {columns.replace("last_model", "?").replace("size", "1e6 * x % 1e9")},
                   'many-' || x, 'role-' || x, 1, used - x
            FROM n JOIN sessions ON number = 1 + x % {MAX_CHANNELS}
            """,  # noqa: S608 # constants only
            ("m" * 200,),
        )


async def test_ten_thousand_sessions_fit_into_what_slack_shows(
    world: PreferenceFixture, tmp_path: Path
) -> None:
    await ten_thousand(world, tmp_path)
    listing = SessionsCommand(world.store, world.people, UserNames(world.people), world.clock)
    world.handlers.update(listing.handlers())

    cards = await world.home.build_cards(ADA)
    assert titled(cards, model_texts.MY_SESSIONS).text == "The newest 5 of 10,000."
    assert "Stored sessions: 10,000, " in titled(cards, model_texts.WORKSPACE_TITLE).text
    links = {
        line.link: "https://e.com/" + "x" * 200 for c in cards for line in c.items if line.link
    }
    assert validate_blocks(render_home(cards, links), MAX_VIEW_BLOCKS)

    for commands in ("sessions", "sessions all"):
        for page, lines in ((1, 8), (1_250, 8), (9_999, 8)):
            result = await world.run_command(
                f"{commands} {page}", by=ADA, form=CommandSource.SLASH_COMMAND
            )
            assert len(result.card.items) == lines
            assert "10,000" in result.card.text
            assert "of 1,250" in result.card.small_print
            links = {line.link: "https://e.com" for line in result.card.items if line.link}
            rendered = render_card(result.card, command_name="sessions", links=links)
            assert validate_blocks(rendered.blocks)
            assert len(rendered.text) <= FALLBACK_CHARS
            shown = json.dumps(rendered.blocks, ensure_ascii=False)
            assert all(line.detail[:30] in shown for line in result.card.items)


async def test_copies_of_comparisons_are_not_among_my_sessions(world: PreferenceFixture) -> None:
    session, _ = await world.ask(world.thread(1), text="Which is best?")
    await world.add_comparison(session, "small")
    card = titled(await world.home.build_cards(ALICE), model_texts.MY_SESSIONS)
    assert card.text == "The newest 1 of 1."


async def test_trouble_with_one_channel_hides_nothing_of_the_others(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread(1), text="Here")
    await world.ask(world.thread(2, "C0OTHER"), text="There")
    world.slack.unknown.add("C0OTHER")
    here = titled(await world.home.build_cards(ALICE), model_texts.MY_SESSIONS)
    assert {line.text for line in here.items} == {"Here", f"s2 {session_texts.ELSEWHERE}"}


async def test_every_button_and_list_of_the_page_has_a_command_that_it_may(
    world: PreferenceFixture,
) -> None:
    session, _ = await world.ask(world.thread(1), ADA)
    await compared(world, session, GENERAL, {"small": 1})
    for card in await world.home.build_cards(ADA):
        buttons = [*card.buttons, *(button for line in card.items for button in line.buttons)]
        chooses = [line.select for line in card.items if line.select is not None]
        for spec in [button.command_name for button in buttons] + [
            choose.command_name for choose in chooses
        ]:
            assert CommandSource.HOME_TAB in COMMANDS[spec].sources
        for choose in chooses:
            assert choose.selected in {value for _, value in choose.options}


async def test_while_the_database_is_in_trouble_the_page_says_so(tmp_path: Path) -> None:
    async with preference_fixture(tmp_path) as world:
        pass
    cards = await world.home.build_cards(ALICE)
    assert [card.title or card.text for card in cards] == [
        model_texts.HELLO,
        StoreError.user_message,
    ]
    assert texts.OLD_BUTTON not in str(cards)
