"""Lists of channels and users: users and channels outside of the lists get a notice, for every way
to ask."""

from __future__ import annotations

import pytest

from bot.access import texts as access_texts
from bot.domain.users import AccessRole
from tests.emulator_client import DEV, GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scripted_model import ScriptedModel

UNLISTED = access_texts.DENIAL_TEXTS[AccessRole.USER_NOT_ALLOWED]
ELSEWHERE = access_texts.DENIAL_TEXTS[AccessRole.CHANNEL_NOT_ALLOWED]


@pytest.fixture(autouse=True)
def plain_admins(bots: Bots) -> None:
    """Alice is an admin because she is listed; Bob and Carol are ordinary members."""
    bots.env.update({"WORKSPACE_ADMINS": "no", "ADMIN_USERS": "UALICE"})


async def refused(slack: ScenarioClient, person: str, channel: str, sentence: str) -> None:
    """Every way to ask in a channel gets this sentence."""
    ts = await slack.say(person, channel, "@threadpilot what is Python?")
    [shown] = await slack.wait_until_answered(channel, ts, person=person)
    assert sentence in shown
    for text in ("what is Python?", "help", "sessions", "admin"):
        assert (await slack.card_for(person, channel, text))["text"] == sentence
    theirs = await slack.say("bob", channel, "release notes")
    before = len(await slack.ephemeral(person))
    await slack.shortcut(person, "ask_about_message", channel, theirs)
    assert await slack.wait_for_ephemeral(person, before + 1) == sentence
    assert await slack.calls("views.open") == []


async def test_unlisted_users_are_notified_for_every_way_to_ask(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """By mention, direct message, command, button, shortcut and Home tab. Listed users and admins
    are answered."""
    bots.env["ALLOWED_USERS"] = "UCAROL"
    await bots.start()
    for person in ("carol", "alice"):
        await slack.ask_in_new_thread(person, f"hello from {person}")
    ts = await slack.ask_in_new_thread("carol", "a thread")
    reply_action = await slack.reply_action(GENERAL, ts, "retry")
    requests = len(model.requests)

    await refused(slack, "bob", GENERAL, UNLISTED)
    direct = await slack.dm("bob")
    ts_in_direct = await slack.say("bob", direct, "what is Python?")
    assert UNLISTED in (await slack.wait_until_answered(direct, ts_in_direct, person="bob"))[0]
    for command in ("!status", "!fork", "!ask what is it?"):
        assert await slack.ephemeral_after_message("bob", GENERAL, ts, command) == UNLISTED
    before = len(await slack.ephemeral("bob"))
    await slack.press_reply_action("bob", GENERAL, reply_action)
    assert await slack.wait_for_ephemeral("bob", before + 1) == UNLISTED
    await slack.home("bob")
    home = await slack.wait_for_published_home_text("bob", UNLISTED)
    assert len(home["blocks"]) == 1
    assert len(model.requests) == requests


async def test_users_are_not_answered_in_an_unlisted_channel(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Not even admins, and not in direct messages; the Home tab is not a channel."""
    bots.env["ALLOWED_CHANNELS"] = GENERAL
    await bots.start()
    await slack.ask_in_new_thread("bob", "hello")
    await refused(slack, "bob", DEV, ELSEWHERE)
    for person in ("alice", "bob"):
        direct = await slack.dm(person)
        ts = await slack.say(person, direct, "what is Python?")
        assert ELSEWHERE in (await slack.wait_until_answered(direct, ts, person=person))[0]
    await slack.home("bob")
    await slack.wait_for_published_home_text("bob", "Your settings")
    assert len(model.requests) == 1


async def test_a_modal_opened_before_the_lists_changed_asks_nothing(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running():
        theirs = await slack.say("bob", DEV, "release notes")
        await slack.shortcut("bob", "ask_about_message", DEV, theirs)
        modal = await slack.modal()
    bots.env["ALLOWED_CHANNELS"] = GENERAL
    await bots.start()
    values = {"question": {"question_text": "shorten it"}}
    answer = await slack.submit("bob", modal["id"], values)
    assert answer["errors"] == {"question": ELSEWHERE}
    assert await slack.replies(DEV, theirs) == [*await slack.replies(DEV, theirs)][:1]
    assert model.requests == []


async def test_queued_messages_of_a_channel_removed_from_the_list_are_not_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running() as bot:
        bot.inbox.pause_turns()
        ts = await slack.say("bob", DEV, "@threadpilot what is Python?")
        await slack.wait_for_ephemeral("bob")
    bots.env["ALLOWED_CHANNELS"] = GENERAL
    await bots.start()
    assert ELSEWHERE in (await slack.wait_until_answered(DEV, ts))[0]
    assert model.requests == []
