"""Tests model selection: shown, set for a thread, a channel, a user or the workspace, and kept."""

from __future__ import annotations

import pytest

from bot.commands.texts.models import SET_VERBOSITY
from bot.sessions.model_selection import VERBOSITY_INSTRUCTIONS
from tests.emulator_client import DEV, GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient, full_text_of
from tests.scripted_model import Answer, ScriptedModel


@pytest.fixture(autouse=True)
def three_models(model: ScriptedModel) -> None:
    model.models = ["scripted-1", "scripted-2", "scripted-3"]


def last_model(model: ScriptedModel) -> tuple[str, str]:
    """The model and the effort of the last request."""
    return model.requests[-1].model, model.requests[-1].effort


async def go_on(slack: ScenarioClient, ts: str, text: str, person: str = "alice") -> None:
    await slack.say(person, GENERAL, text, thread_ts=ts)
    await slack.until_shown(GENERAL, ts, f"You said: {text}")


async def test_the_model_is_shown_with_why_and_what_else_there_is(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    card = full_text_of(await slack.card_for("bob", GENERAL, "!model", ts))
    assert "uses scripted-1 (default)" in card
    assert "scripted-3" in card
    assert "Model: scripted-1 (default)" in await slack.ephemeral_after_message(
        "bob", GENERAL, ts, "!status"
    )
    assert len(model.requests) == 1, "showing asks no model"


async def test_a_live_thread_continues_with_another_model_and_effort_and_keeps_its_history(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    await slack.say("bob", GENERAL, "!model Scripted-2 high", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "bob chose scripted-2, thinking effort high")
    await go_on(slack, ts, "two", "bob")
    assert last_model(model) == ("scripted-2", "high")
    assert model.requests[-1].prompts == ("one", "two")
    assert bot.pool.open_count == 1, "it is the same session"
    status = await slack.ephemeral_after_message("bob", GENERAL, ts, "!status")
    assert "Model: scripted-2 (chosen for this session)" in status
    assert "Effort: high" in status


async def test_the_choice_holds_over_a_restart_and_is_verified_at_the_resume(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running():
        ts = await slack.ask_in_new_thread("bob", "one")
        await slack.say("bob", GENERAL, "!model scripted-2 low", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "bob chose scripted-2")
    async with bots.running():
        await go_on(slack, ts, "two", "bob")
        assert last_model(model) == ("scripted-2", "low")
        assert model.requests[-1].prompts == ("one", "two")
        await slack.say("bob", GENERAL, "!model default", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "Now it's scripted-1 (default)")
    async with bots.running():
        await go_on(slack, ts, "three", "bob")
    assert last_model(model) == ("scripted-1", "")
    assert list(model.requests[-1].prompts) == ["one", "two", "three"]


async def test_the_setting_counts_without_a_preference(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["MODEL"] = "scripted-3"
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    assert last_model(model) == ("scripted-3", "")
    status = await slack.ephemeral_after_message("bob", GENERAL, ts, "!status")
    assert "Model: scripted-3 (set by your admin)" in status


async def test_the_more_special_choice_goes_before_the_more_general_one(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The workspace, then the user, then the channel, then the thread; and back again."""
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")

    async def counts(text: str, name: str, rule: str) -> None:
        await go_on(slack, ts, text, "bob")
        assert last_model(model)[0] == name
        status = await slack.ephemeral_after_message("bob", GENERAL, ts, "!status")
        assert f"Model: {name} ({rule})" in status

    await slack.card_for("alice", GENERAL, "model scripted-2 for workspace")
    await counts("two", "scripted-2", "chosen for the workspace")
    assert "for your threads" in await slack.ephemeral_after_message(
        "bob", GENERAL, ts, "!model scripted-3 for me"
    )
    await counts("three", "scripted-3", "the session owner's preference")
    await slack.card_for("alice", GENERAL, "model scripted-1 for channel")
    await counts("four", "scripted-1", "chosen for this channel")
    await slack.say("bob", GENERAL, "!model scripted-2", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "bob chose scripted-2 for this thread")
    await counts("five", "scripted-2", "chosen for this session")
    await slack.say("bob", GENERAL, "!model default", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Now it's scripted-1 (chosen for this channel)")
    await slack.card_for("alice", GENERAL, "model default for channel")
    await counts("six", "scripted-3", "the session owner's preference")
    assert model.requests[-1].prompts == ("one", "two", "three", "four", "five", "six")


async def test_a_choice_for_a_channel_counts_in_that_channel_only(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    card = await slack.card_for("alice", GENERAL, "model scripted-2 medium for channel")
    assert "chose scripted-2, thinking effort medium for this channel" in full_text_of(card)
    await slack.ask_in_new_thread("bob", "here")
    assert last_model(model) == ("scripted-2", "medium")
    await slack.ask_in_new_thread("bob", "there", DEV)
    assert last_model(model) == ("scripted-1", "")


async def test_only_admins_choose_for_others(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    for words in ("model scripted-2 for channel", "model scripted-2 for workspace"):
        notice = await slack.card_for("carol", GENERAL, words)
        assert "Threadpilot admins" in full_text_of(notice)
    assert "owner of this session" in await slack.ephemeral_after_message(
        "carol", GENERAL, ts, "!model scripted-2"
    )
    await go_on(slack, ts, "two", "bob")
    assert last_model(model) == ("scripted-1", "")


async def test_a_model_that_does_not_exist_gets_the_list_in_every_form(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "one")
    for words, thread in (
        ("!model gpt-nope", ts),
        ("@threadpilot model gpt-nope high", ts),
        ("model gpt-nope for me", None),
        ("model gpt-nope for workspace", None),
    ):
        notice = full_text_of(await slack.card_for("alice", GENERAL, words, thread))
        assert "gpt-nope" in notice
        assert "scripted-3" in notice
    await go_on(slack, ts, "two")
    assert last_model(model) == ("scripted-1", "")


async def test_words_that_make_no_sense_get_the_way_to_say_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "one")
    for words in ("!model scripted-2 extreme", "!model default high", "!model a b for me"):
        assert "Usage: " in await slack.ephemeral_after_message("alice", GENERAL, ts, words)
    assert "Which thread?" in full_text_of(
        await slack.card_for("alice", GENERAL, "model scripted-2")
    )
    assert len(model.requests) == 1


async def test_a_model_is_chosen_from_the_list_that_is_shown(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    card = await slack.card_for("bob", GENERAL, "!model", ts)
    await slack.press_command("bob", GENERAL, card, "model", "scripted-3")
    await slack.until_shown(GENERAL, ts, "bob chose scripted-3")
    await go_on(slack, ts, "two", "bob")
    assert last_model(model)[0] == "scripted-3"


async def test_the_answer_that_is_being_written_keeps_its_model(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("first", Answer(chunks=["one ", "done"], hold_after=1))
    await bots.start()
    ts = await slack.say("bob", GENERAL, "@threadpilot first")
    await model.reached()
    await slack.say("bob", GENERAL, "!model scripted-2", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "still uses the previous model")
    model.release()
    await slack.until_shown(GENERAL, ts, "one done")
    await go_on(slack, ts, "second", "bob")
    assert [request.model for request in model.requests] == ["scripted-1", "scripted-2"]


async def test_the_thread_keeps_its_model_over_a_reset(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    await slack.say("bob", GENERAL, "!model scripted-2", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "bob chose scripted-2")
    await slack.say("bob", GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Fresh start")
    await go_on(slack, ts, "two", "bob")
    assert last_model(model)[0] == "scripted-2"
    assert "chosen for this thread" in await slack.ephemeral_after_message(
        "bob", GENERAL, ts, "!status"
    )


async def test_ones_own_model_is_chosen_on_the_home_tab(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    await slack.home("bob")
    view = await slack.wait_for_published_home_text("bob", "Your settings")
    await slack.press_command_at_home("bob", view, "set", "model scripted-2")
    view = await slack.wait_for_published_home_text("bob", "Your threads use scripted-2")
    ts = await slack.ask_in_new_thread("bob", "one")
    assert last_model(model)[0] == "scripted-2"
    await slack.ask_in_new_thread("carol", "hers")
    assert last_model(model)[0] == "scripted-1"
    await slack.press_command_at_home("bob", view, "set", "model default")
    await slack.wait_for_published_home_text("bob", "the default model again")
    await go_on(slack, ts, "two", "bob")
    assert last_model(model)[0] == "scripted-1"


async def test_the_length_of_answers_is_chosen_on_the_home_tab_and_the_model_is_instructed(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Also in a live session, which keeps its history."""
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    instructions = set(VERBOSITY_INSTRUCTIONS.values())
    assert not any(text in model.requests[-1].system for text in instructions)
    await slack.home("bob")
    view = await slack.wait_for_published_home_text("bob", "Your settings")
    for length, text in (("brief", "two"), ("detailed", "three")):
        await slack.press_command_at_home("bob", view, "set", f"verbosity {length}")
        view = await slack.wait_for_published_home_text("bob", SET_VERBOSITY[length])
        await go_on(slack, ts, text, "bob")
        system = model.requests[-1].system
        assert [each for each in instructions if each in system] == [VERBOSITY_INSTRUCTIONS[length]]
    assert model.requests[-1].prompts == ("one", "two", "three")
    await slack.press_command_at_home("bob", view, "set", "verbosity normal")
    await slack.wait_for_published_home_text("bob", SET_VERBOSITY["normal"])
    await go_on(slack, ts, "four", "bob")
    assert not any(text in model.requests[-1].system for text in instructions)
