"""Guests and external users are denied unless the operator allows them."""

from __future__ import annotations

import pytest

from bot.access import texts as access_texts
from bot.access.texts import EXTERNAL_USER
from bot.commands import texts
from bot.domain.users import AccessRole
from tests.emulator_client import DEV, GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient, full_text_of
from tests.scenarios.delivery.test_ask import the_questions_root
from tests.scripted_model import ScriptedModel

SENTENCES = {"gus": access_texts.DENIAL_TEXTS[AccessRole.GUEST], "eve": EXTERNAL_USER}
SETTING = {"gus": "ALLOW_GUESTS", "eve": "ALLOW_EXTERNAL"}

outsiders = pytest.mark.parametrize("person", ["gus", "eve"])


@outsiders
async def test_denied_users_are_notified_for_every_way_to_ask(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, person: str
) -> None:
    """By mention in the thread; privately by command, button, shortcut and Home tab."""
    sentence = SENTENCES[person]
    await bots.start()
    ts = await slack.say(person, GENERAL, "@threadpilot what is Python?")
    [shown] = await slack.wait_until_answered(GENERAL, ts)
    assert sentence in shown
    for text in ("what is Python?", "help", "sessions", "model", "admin"):
        assert (await slack.card_for(person, GENERAL, text))["text"] == sentence
    theirs = await slack.say("bob", GENERAL, "release notes")
    before = len(await slack.ephemeral(person))
    await slack.shortcut(person, "ask_about_message", GENERAL, theirs)
    assert await slack.wait_for_ephemeral(person, before + 1) == sentence
    assert await slack.calls("views.open") == []
    await slack.home(person)
    home = await slack.wait_for_published_home_text(person, sentence)
    assert len(home["blocks"]) == 1
    assert model.requests == []


@outsiders
async def test_denied_users_run_no_command_in_a_members_thread(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, person: str
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "hello")
    for text in ("!status", "!history", "!reset", "!ask what is it?", "!fork"):
        assert await slack.ephemeral_after_message(person, GENERAL, ts, text) == SENTENCES[person]
    reply_action = await slack.reply_action(GENERAL, ts, "retry")
    before = len(await slack.ephemeral(person))
    await slack.press_reply_action(person, GENERAL, reply_action)
    assert await slack.wait_for_ephemeral(person, before + 1) == SENTENCES[person]
    await slack.say(person, GENERAL, "@threadpilot and me?", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, SENTENCES[person])
    assert len(model.requests) == 1


@outsiders
async def test_allowed_users_are_answered_for_every_way_to_ask(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, person: str
) -> None:
    bots.env[SETTING[person]] = "yes"
    await bots.start()
    ts = await slack.ask_in_new_thread(person, "what is Python?")
    await slack.say(person, GENERAL, "and Rust?", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: and Rust?")
    assert model.requests[-1].prompts == ("what is Python?", "and Rust?")
    assert (
        "owner" in (await slack.ephemeral_after_message(person, GENERAL, ts, "!status")).casefold()
    )

    await slack.command(person, GENERAL, "/copilot", "what is Go?")
    root = await the_questions_root(slack, "what is Go?")
    await slack.until_shown(GENERAL, root, "You said: what is Go?")

    theirs = await slack.say("bob", GENERAL, "release notes")
    await slack.shortcut(person, "ask_about_message", GENERAL, theirs)
    modal = await slack.modal()
    await slack.submit(person, modal["id"], {"question": {"question_text": "shorten it"}})
    await slack.until_shown(GENERAL, theirs, "You said: shorten it")

    await slack.home(person)
    await slack.wait_for_published_home_text(person, "Your settings")


@pytest.mark.parametrize(("let_in", "kept_out"), [("gus", "eve"), ("eve", "gus")])
async def test_guests_and_external_users_are_allowed_separately(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, let_in: str, kept_out: str
) -> None:
    bots.env[SETTING[let_in]] = "yes"
    await bots.start()
    await slack.ask_in_new_thread(let_in, "what is Python?")
    ts = await slack.say(kept_out, GENERAL, "@threadpilot what is Python?")
    assert SENTENCES[kept_out] in (await slack.wait_until_answered(GENERAL, ts))[0]
    assert (await slack.card_for(kept_out, GENERAL, "what is it?"))["text"] == SENTENCES[kept_out]
    assert len(model.requests) == 1


@outsiders
async def test_allowed_external_users_are_never_admins_even_by_id(
    bots: Bots, slack: ScenarioClient, person: str
) -> None:
    bots.env.update({SETTING[person]: "yes", "ADMIN_USERS": "UGUS,UEVE"})
    await bots.start()
    for text in ("admin", "admin cleanup --all", "sessions all", "model scripted-1 for workspace"):
        assert texts.ADMINS_ONLY in full_text_of(await slack.card_for(person, GENERAL, text))


async def test_an_allowed_guest_sees_nothing_of_other_channels(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["ALLOW_GUESTS"] = "yes"
    await bots.start()
    await slack.ask_in_new_thread("bob", "the secret of dev", DEV)
    ts = await slack.ask_in_new_thread("gus", "hello")
    for text in ("!history s1", "!status s1", "!export s1", "!fork s1", "!resume s1"):
        reply = await slack.ephemeral_after_message("gus", GENERAL, ts, text)
        assert reply == texts.NO_SUCH_SESSION
    assert "secret" not in full_text_of(await slack.card_for("gus", GENERAL, "sessions"))
    assert len(model.requests) == 2


async def test_a_user_whose_lookup_fails_is_not_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The bot fails closed. A moment later it asks the user to try again."""
    bots.env["ALLOW_GUESTS"] = "yes"
    await bots.start()
    await slack.fault("users.info", "error", error="internal_error", times=100)
    ts = await slack.say("gus", GENERAL, "@threadpilot hello")
    await slack.until_shown(GENERAL, ts, "can't check who you are right now")
    await slack.clear_faults()
    await slack.say("gus", GENERAL, "hello again", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: hello again")
    assert len(model.requests) == 1
