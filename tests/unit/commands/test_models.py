"""The commands about models: `model` with all arguments, and `set` from the Home tab."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.models import (
    MAX_BUTTONS,
    MAX_NAMED,
    MAX_OPTIONS,
    ModelArgs,
    parse_model_args,
    selectable,
)
from bot.commands.texts import models as model_texts
from bot.domain.cards import Button, Card, Select
from bot.domain.commands import CommandSource
from bot.domain.preferences import PreferenceKind, Scope
from bot.domain.sessions import SessionRecord
from tests.unit.commands.command_fixtures import ADA, ALICE, BOB, EVE, GENERAL, GUS, TEAM
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


async def session_of(world: PreferenceFixture) -> SessionRecord:
    found = await world.store.current_session(world.thread())
    assert found is not None
    return found


def uses(card: Card) -> list[str]:
    """The arguments of the buttons that set a model."""
    return [button.args for line in card.items for button in line.buttons]


def listed(card: Card) -> Select:
    """The select menu of models."""
    (choose,) = [line.select for line in card.items if line.select is not None]
    return choose


# Parsing arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ModelArgs()),
        ("gpt-5", ModelArgs(name="gpt-5")),
        ("gpt-5 high", ModelArgs(name="gpt-5", effort="high")),
        ("GPT-5 High FOR Me", ModelArgs(name="GPT-5", effort="high", scope=Scope.USER)),
        ("  gpt-5\n for \t channel ", ModelArgs(name="gpt-5", scope=Scope.CHANNEL)),
        ("low", ModelArgs(effort="low")),
        ("low for workspace", ModelArgs(effort="low", scope=Scope.WORKSPACE)),
        ("default", ModelArgs(name="default")),
        ("Default for me", ModelArgs(name="Default", scope=Scope.USER)),
        ("channel", ModelArgs(scope=Scope.CHANNEL)),
        ("for workspace", ModelArgs(scope=Scope.WORKSPACE)),
        ("me", ModelArgs(scope=Scope.USER)),
        ("for", ModelArgs(name="for")),
        ("gpt-5 channel", None),
        ("gpt-5 huge", None),
        ("default high", None),
        ("gpt-5 for everybody", None),
        ("gpt-5 for channel please", None),
        ("gpt-5 for channel for me", None),
        ("x-for me", None),
    ],
)
def test_the_arguments_of_model_are_parsed(text: str, expected: ModelArgs | None) -> None:
    assert parse_model_args(text) == expected


@given(some.text(max_size=60))
def test_any_arguments_of_model_are_parsed_without_an_error(text: str) -> None:
    expected = parse_model_args(text)
    assert expected is None or expected.name == "" or expected.name.split() == [expected.name]


# Show --------------------------------------------------------------------------------------------


async def test_model_alone_shows_the_model_its_rule_and_the_alternatives(
    world: PreferenceFixture,
) -> None:
    await world.choose(Scope.CHANNEL, GENERAL, PreferenceKind.MODEL, "large")
    await world.ask(world.thread())
    result = await world.run_command("model", by=ALICE, thread=world.thread())
    assert not result.public
    assert result.card.text == "This thread uses large (chosen for this channel)."
    assert result.card.items[0].text == "Available models: small, large, Vendor/Huge-4."
    assert uses(result.card) == ["small", "Vendor/Huge-4"], "not the one that counts already"
    assert result.card.buttons == (), "nothing of the thread's own can be taken back"


async def test_the_thinking_effort_is_shown_too(world: PreferenceFixture) -> None:
    session, _ = await world.ask(world.thread())
    await world.store.set_model(session.number, "large", "high")
    card = (await world.run_command("model", by=ALICE, thread=world.thread())).card
    assert "large, thinking effort high (chosen for this session)" in card.text
    assert [button.args for button in card.buttons] == ["default"]


async def test_others_see_the_models_without_buttons(world: PreferenceFixture) -> None:
    await world.ask(world.thread())
    card = (await world.run_command("model", by=BOB, thread=world.thread())).card
    assert card.items[0].text.startswith("Available models: ")
    assert not uses(card)
    assert card.buttons == ()


async def test_many_models_are_a_select_menu(world: PreferenceFixture) -> None:
    world.server.names = [f"m{number}" for number in range(150)]
    await world.choosing.refresh_models()
    await world.ask(world.thread())
    await world.run_command("model m7", by=ALICE, thread=world.thread())
    card = (await world.run_command("model", by=ALICE, thread=world.thread())).card
    choose = listed(card)
    assert (choose.command_name, choose.args, choose.selected) == ("model", "", "m7")
    assert len(choose.options) == MAX_OPTIONS
    assert card.items[0].text.endswith(f"m{MAX_NAMED - 1} and 120 more.")


async def test_names_that_fit_no_list_are_only_shown(world: PreferenceFixture) -> None:
    long, spaced = "x" * 200, "a b"
    assert selectable([long, spaced, "fits", ""]) == ["fits"]
    world.server.names = [long, *(f"m{number}" for number in range(MAX_BUTTONS))]
    await world.choosing.refresh_models()
    await world.ask(world.thread())
    card = (await world.run_command("model", by=ALICE, thread=world.thread())).card
    assert uses(card) == [f"m{number}" for number in range(MAX_BUTTONS)]
    result = await world.run_command(f"model {long}", by=ALICE, thread=world.thread())
    assert (await session_of(world)).model == long, "they can still be named"
    assert result.public


async def test_a_failed_list_of_models_is_reported(tmp_path: Path) -> None:
    async with preference_fixture(tmp_path) as world:
        world.server.names = ()
        await world.choosing.refresh_models()
        await world.ask(world.thread())
        card = (await world.run_command("model", by=ALICE, thread=world.thread())).card
        assert card.text.startswith(f"This thread uses {model_texts.SOME_MODEL}")
        assert card.items[0].text == model_texts.NO_MODELS
        world.server.names = MODELS
        card = (await world.run_command("model", by=ALICE, thread=world.thread())).card
        assert card.items[0].text != model_texts.NO_MODELS, "they are asked for anew"


async def test_by_slash_command_it_is_shown_what_a_new_thread_would_run_with(
    world: PreferenceFixture,
) -> None:
    await world.choose(Scope.CHANNEL, GENERAL, PreferenceKind.MODEL, "large")
    card = (
        await world.run_command(
            "model", by=ALICE, form=CommandSource.SLASH_COMMAND, channel=GENERAL
        )
    ).card
    assert card.text.startswith("A new thread of yours here uses large")
    assert uses(card) == ["small for me", "Vendor/Huge-4 for me"]
    used = await world.run_command(
        "model small for me", by=ALICE, form=CommandSource.BUTTON, channel=GENERAL
    )
    assert used.card.text == "You chose small for your threads."


@pytest.mark.parametrize(
    ("text", "scope", "scope_id"),
    [
        ("model for me", Scope.USER, ALICE),
        ("model channel", Scope.CHANNEL, GENERAL),
        ("model for workspace", Scope.WORKSPACE, TEAM),
    ],
)
async def test_the_preference_of_each_scope_can_be_shown(
    world: PreferenceFixture, text: str, scope: Scope, scope_id: str
) -> None:
    whom = model_texts.SCOPE_NAMES[scope]
    card = (
        await world.run_command(text, by=ALICE, form=CommandSource.SLASH_COMMAND, channel=GENERAL)
    ).card
    assert card.text == f"No model is set for {whom}."
    await world.choose(scope, scope_id, PreferenceKind.EFFORT, "low")
    card = (
        await world.run_command(text, by=ALICE, form=CommandSource.SLASH_COMMAND, channel=GENERAL)
    ).card
    assert card.text == f"Model for {whom}: thinking effort low with any model."
    await world.choose(scope, scope_id, PreferenceKind.MODEL, "large")
    card = (
        await world.run_command(text, by=ALICE, form=CommandSource.SLASH_COMMAND, channel=GENERAL)
    ).card
    assert card.text == f"Model for {whom}: large, thinking effort low."
    suffix = text.split()[-1]
    mine = [f"small for {suffix}", f"Vendor/Huge-4 for {suffix}"]
    assert uses(card) == (mine if scope is Scope.USER else [])
    card = (
        await world.run_command(text, by=ADA, form=CommandSource.SLASH_COMMAND, channel=GENERAL)
    ).card
    assert bool(uses(card)), "admins may choose for all users, and each user for themselves"


# Set for a thread --------------------------------------------------------------------------------


async def test_the_owner_chooses_the_threads_model_and_the_thread_is_notified(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread())
    result = await world.run_command("model LARGE high", by=ALICE, thread=world.thread())
    assert result.public
    assert result.card.text == (
        "Alice chose large, thinking effort high for this thread. It's used from the next reply on."
    )
    session = await session_of(world)
    assert (session.model, session.effort) == ("large", "high")
    chosen = await world.choosing.select(session, session.thread)
    assert (chosen.config.model, chosen.config.effort) == ("large", "high")


async def test_while_an_answer_is_written_it_is_said_that_it_keeps_its_model(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread(), end=False)
    result = await world.run_command("model large", by=ALICE, thread=world.thread())
    assert result.card.text.endswith(model_texts.STILL_RUNNING)


async def test_another_model_is_not_given_the_effort_of_the_one_before(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread())
    await world.run_command("model large high", by=ALICE, thread=world.thread())
    await world.run_command("model small", by=ALICE, thread=world.thread())
    session = await session_of(world)
    assert (session.model, session.effort) == ("small", "")
    assert await world.preference_of(Scope.THREAD, str(session.thread)) == {
        PreferenceKind.MODEL: "small"
    }


async def test_the_effort_alone_leaves_the_model(world: PreferenceFixture) -> None:
    await world.ask(world.thread())
    await world.run_command("model large", by=ALICE, thread=world.thread())
    result = await world.run_command("model low", by=ALICE, thread=world.thread())
    assert "thinking effort low with any model" in result.card.text
    session = await session_of(world)
    assert (session.model, session.effort) == ("large", "low")


async def test_the_model_stays_with_the_thread_when_it_goes_on_afresh(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread())
    await world.run_command("model large high", by=ALICE, thread=world.thread())
    fresh = await world.store.reset(world.thread(), "", ALICE)
    setup = (await world.choosing.select(fresh, fresh.thread)).config
    assert (setup.model, setup.effort) == ("large", "high")


async def test_a_model_can_be_chosen_before_the_first_question(world: PreferenceFixture) -> None:
    result = await world.run_command("model large", by=ALICE, thread=world.thread())
    assert result.public
    session, _ = await world.ask(world.thread())
    chosen = await world.choosing.select(session, session.thread)
    assert (chosen.config.model, chosen.rule_text) == ("large", "chosen for this thread")


async def test_default_clears_the_preference_and_shows_the_effect(
    world: PreferenceFixture,
) -> None:
    await world.choose(Scope.WORKSPACE, TEAM, PreferenceKind.MODEL, "small")
    await world.ask(world.thread())
    await world.run_command("model large high", by=ALICE, thread=world.thread())
    result = await world.run_command("model Default", by=ALICE, thread=world.thread())
    assert result.card.text == (
        "Alice cleared the model for this thread. "
        "Now it's small (chosen for the workspace). It's used from the next reply on."
    )
    session = await session_of(world)
    assert (session.model, session.effort) == ("", "")
    assert await world.preference_of(Scope.THREAD, str(session.thread)) == {}


async def test_a_model_that_does_not_exist_gets_the_list_and_changes_nothing(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread())
    result = await world.run_command("model gpt-99", by=ALICE, thread=world.thread())
    assert not result.public
    assert result.card.text == "I don't know a model called “gpt-99”."
    assert uses(result.card) == list(MODELS)
    assert (await session_of(world)).model == ""


async def test_a_model_that_is_new_on_the_server_is_accepted(world: PreferenceFixture) -> None:
    await world.ask(world.thread())
    world.server.names = (*MODELS, "newest")
    await world.run_command("model newest", by=ALICE, thread=world.thread())
    assert (await session_of(world)).model == "newest"


async def test_words_that_do_not_go_together_get_the_way_to_say_it(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread())
    result = await world.run_command("model large or small", by=ALICE, thread=world.thread())
    assert result.card.text == model_texts.MODEL_USAGE


async def test_without_a_thread_it_is_asked_which_one_is_meant(world: PreferenceFixture) -> None:
    result = await world.run_command(
        "model large", by=ALICE, form=CommandSource.SLASH_COMMAND, channel=GENERAL
    )
    assert result.card.text == model_texts.MODEL_OF_NO_THREAD.format(args="large")


# Permissions -------------------------------------------------------------------------------------


async def test_only_the_owner_and_admins_choose_for_a_thread(world: PreferenceFixture) -> None:
    await world.ask(world.thread())
    await world.ask(world.thread(), BOB)
    result = await world.run_command("model large", by=BOB, thread=world.thread())
    assert result.card.text == texts.NOT_YOURS.format(command="model")
    assert (await session_of(world)).model == ""
    await world.run_command("model large", by=ADA, thread=world.thread())
    assert (await session_of(world)).model == "large"


@pytest.mark.parametrize(
    "text",
    [
        "model large for channel",
        "model large for workspace",
        "model default for channel",
        "model high for workspace",
        "model large  for  channel",
        "model large for\nchannel",
        "model large FOR\u00a0Workspace",
    ],
)
async def test_only_admins_choose_for_channel_and_workspace(
    world: PreferenceFixture, text: str
) -> None:
    await world.ask(world.thread())
    result = await world.run_command(text, by=ALICE, thread=world.thread())
    assert result.card.text in (texts.ADMINS_ONLY, texts.NOT_YOURS.format(command="model"))
    assert await world.preference_of(Scope.CHANNEL, GENERAL) == {}
    assert await world.preference_of(Scope.WORKSPACE, TEAM) == {}
    assert await world.store.list_audit_entries(0, 9) == ((), 0)


@pytest.mark.parametrize(
    ("text", "scope", "scope_id", "public"),
    [
        ("model large high for channel", Scope.CHANNEL, GENERAL, True),
        ("model large high for workspace", Scope.WORKSPACE, TEAM, False),
    ],
)
async def test_what_admins_choose_for_others_is_audited(
    world: PreferenceFixture, text: str, scope: Scope, scope_id: str, public: bool
) -> None:
    result = await world.run_command(
        text, by=ADA, form=CommandSource.SLASH_COMMAND, channel=GENERAL
    )
    assert result.public is public
    assert await world.preference_of(scope, scope_id) == {
        PreferenceKind.MODEL: "large",
        PreferenceKind.EFFORT: "high",
    }
    taken_back = text.replace("large high", "default")
    await world.run_command(taken_back, by=ADA, form=CommandSource.SLASH_COMMAND, channel=GENERAL)
    assert await world.preference_of(scope, scope_id) == {}
    entries, total = await world.store.list_audit_entries(0, 9)
    assert total == 2
    audited = [
        (entry.actor, entry.action, entry.target, entry.detail) for entry in reversed(entries)
    ]
    assert audited == [(ADA, "model", scope_id, each) for each in ("large high", "default")]


async def test_each_user_chooses_for_themselves_and_is_notified_alone(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread(), BOB)
    result = await world.run_command("model large for me", by=ALICE, thread=world.thread())
    assert (result.public, result.card.text) == (False, "You chose large for your threads.")
    assert await world.preference_of(Scope.USER, ALICE) == {PreferenceKind.MODEL: "large"}
    session, _ = await world.ask(world.thread(1), ALICE)
    assert (await world.choosing.select(session, session.thread)).config.model == "large"
    result = await world.run_command(
        "model default for me", by=ALICE, form=CommandSource.SLASH_COMMAND, channel=GENERAL
    )
    assert result.card.text == "You cleared the model for your threads."
    assert await world.preference_of(Scope.USER, ALICE) == {}


async def test_on_the_home_tab_there_is_no_channel_to_choose_for(world: PreferenceFixture) -> None:
    result = await world.run_command(
        "model large for channel", by=ADA, channel="", form=CommandSource.HOME_TAB
    )
    assert result.card.text == model_texts.NO_CHANNEL


@pytest.mark.parametrize("by", [GUS, EVE])
async def test_guests_and_external_users_choose_nothing(world: PreferenceFixture, by: str) -> None:
    await world.run_command("model large for me", by=by, thread=world.thread())
    await world.run_command("set model large", by=by, form=CommandSource.HOME_TAB, channel="")
    assert await world.preference_of(Scope.USER, by) == {}


async def test_nothing_is_chosen_or_shown_of_a_hidden_channel(
    world: PreferenceFixture,
) -> None:
    hidden = world.thread(channel=SECRET)
    await world.ask(hidden)
    for text in ("model", "model large"):
        result = await world.run_command(text, by=BOB, thread=hidden)
        assert result.card.text == access_texts.NOT_VISIBLE


# From the Home tab -------------------------------------------------------------------------------


async def test_a_users_model_is_set_and_cleared_on_the_home_tab(
    world: PreferenceFixture,
) -> None:
    await world.choose(Scope.USER, ALICE, PreferenceKind.EFFORT, "high")
    result = await world.run_command(
        "set model vendor/huge-4", by=ALICE, form=CommandSource.HOME_TAB, channel=""
    )
    assert result.card.text == model_texts.SET_MODEL.format(model="Vendor/Huge-4")
    assert await world.preference_of(Scope.USER, ALICE) == {PreferenceKind.MODEL: "Vendor/Huge-4"}
    result = await world.run_command(
        "set model default", by=ALICE, form=CommandSource.HOME_TAB, channel=""
    )
    assert result.card.text == model_texts.SET_DEFAULT
    assert await world.preference_of(Scope.USER, ALICE) == {}


async def test_the_length_of_answers_is_set_from_the_home_tab(world: PreferenceFixture) -> None:
    await world.run_command(
        "set verbosity brief", by=ALICE, form=CommandSource.HOME_TAB, channel=""
    )
    assert await world.preference_of(Scope.USER, ALICE) == {PreferenceKind.VERBOSITY: "brief"}
    result = await world.run_command(
        "set verbosity normal", by=ALICE, form=CommandSource.HOME_TAB, channel=""
    )
    assert result.card.text == model_texts.SET_VERBOSITY["normal"]
    assert await world.preference_of(Scope.USER, ALICE) == {}


@pytest.mark.parametrize(
    "text", ["set", "set model", "set verbosity loud", "set colour red", "set model gone"]
)
async def test_what_an_old_home_tab_sets_does_nothing(world: PreferenceFixture, text: str) -> None:
    result = await world.run_command(text, by=ALICE, form=CommandSource.HOME_TAB, channel="")
    assert result.card.text in (texts.OLD_BUTTON, model_texts.NO_SUCH_MODEL.format(name="gone"))
    assert await world.preference_of(Scope.USER, ALICE) == {}


def test_a_button_says_what_it_runs() -> None:
    button = Button(label="Use large", command_name="model", args="large")
    assert parse_model_args(button.args) == ModelArgs(name="large")
