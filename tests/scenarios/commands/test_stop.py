"""Tests who may stop an answer: its author, and the members who see the channel, and no others."""

from __future__ import annotations

import pytest

from bot.access import texts as access_texts
from bot.commands.texts import sessions as session_texts
from bot.domain.users import AccessRole
from bot.turns.comparison import STOPPED
from slack_emulator.server import RunningEmulator
from tests.emulator_client import BOT_USER, GENERAL, PEOPLE, SECRET
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scripted_model import Answer, ScriptedModel

WHOLE = "Once upon a time. The end."
LET_IN = {"ALLOW_GUESTS": "yes", "ALLOW_EXTERNAL": "yes"}


async def a_running_answer(
    slack: ScenarioClient, model: ScriptedModel, person: str, channel: str = GENERAL
) -> str:
    """A user's thread in which the bot is in the middle of a long answer."""
    model.when("story", Answer(chunks=["Once upon a time.", " The end."], hold_after=1))
    ts = await slack.say(person, channel, "@threadpilot story")
    await model.reached()
    await slack.until_shown(channel, ts, "Once upon")
    return ts


@pytest.mark.parametrize(
    ("asker", "person"), [("bob", "bob"), ("bob", "carol"), ("gus", "gus"), ("eve", "eve")]
)
async def test_the_author_and_every_member_who_sees_it_may_stop_an_answer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, asker: str, person: str
) -> None:
    bots.env.update(LET_IN)
    await bots.start()
    ts = await a_running_answer(slack, model, asker)
    await slack.stop(person, GENERAL, ts)
    await slack.until_shown(GENERAL, ts, STOPPED)
    assert not await slack.shows(GENERAL, ts, "The end")


@pytest.mark.parametrize(
    ("person", "settings", "sentence"),
    [
        ("gus", {}, access_texts.DENIAL_TEXTS[AccessRole.GUEST]),
        ("eve", {}, access_texts.DENIAL_TEXTS[AccessRole.EXTERNAL]),
        ("gus", LET_IN, access_texts.STOP_YOUR_OWN),
        ("eve", LET_IN, access_texts.STOP_YOUR_OWN),
        (
            "carol",
            {"ALLOWED_USERS": "UBOB"},
            access_texts.DENIAL_TEXTS[AccessRole.USER_NOT_ALLOWED],
        ),
    ],
)
async def test_guests_and_external_users_do_not_stop_the_answers_of_others(
    bots: Bots,
    slack: ScenarioClient,
    model: ScriptedModel,
    person: str,
    settings: dict[str, str],
    sentence: str,
) -> None:
    """The user is shown the reason, and the answer is complete, although Slack has ended its
    stream."""
    bots.env.update(settings)
    await bots.start()
    ts = await a_running_answer(slack, model, "bob")
    await slack.stop(person, GENERAL, ts)
    assert await slack.wait_for_ephemeral(person) == sentence
    model.release()
    await slack.until_shown(GENERAL, ts, WHOLE)
    assert not await slack.shows(GENERAL, ts, STOPPED)


async def test_a_user_who_does_not_see_the_channel_stops_nothing_there(
    bots: Bots, slack: ScenarioClient, emulator: RunningEmulator, model: ScriptedModel
) -> None:
    """A forged event has no effect either; there is no place for an ephemeral message."""
    await bots.start()
    await slack.call("bob", "conversations.invite", channel=SECRET, users=BOT_USER)
    ts = await a_running_answer(slack, model, "bob", SECRET)
    await slack.call("bob", "conversations.kick", channel=SECRET, user=PEOPLE["carol"])
    emulator.slack.streams.stop_by_user(SECRET, ts, PEOPLE["carol"])
    await slack.wait_for(lambda: slack.calls("chat.postEphemeral"), 20.0, "carol is refused")
    model.release()
    await slack.until_shown(SECRET, ts, WHOLE)


async def test_only_the_author_stops_while_slack_does_not_report_the_users_kind(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await a_running_answer(slack, model, "bob")
    await slack.fault("conversations.info", "error", error="internal_error", times=1_000)
    await slack.stop("carol", GENERAL, ts)
    assert await slack.wait_for_ephemeral("carol") == access_texts.STOP_UNSURE
    await slack.stop("bob", GENERAL, ts)
    await slack.until_shown(GENERAL, ts, STOPPED)


async def test_a_guest_does_not_stop_the_answers_of_others_by_a_command(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Also a guest who has access and takes part in the thread; nor does a guest clear the queue of
    others."""
    bots.env.update(LET_IN)
    bot = await bots.start()
    ts = await a_running_answer(slack, model, "bob")
    await slack.say("gus", GENERAL, "I like it", thread_ts=ts)
    assert (
        await slack.ephemeral_after_message("gus", GENERAL, ts, "!stop")
        == access_texts.STOP_YOUR_OWN
    )
    await slack.say("bob", GENERAL, "@threadpilot and then?", thread_ts=ts)
    await slack.wait_for(lambda: waits(slack, ts), 20.0)
    assert (
        await slack.ephemeral_after_message("gus", GENERAL, ts, "!stop queue")
        == access_texts.STOP_YOUR_OWN
    )
    model.release()
    await slack.until_shown(GENERAL, ts, "The end.")
    await slack.until_shown(GENERAL, ts, "and then?")
    await slack.until_idle(bot)
    assert session_texts.NOTHING_RUNS in await slack.ephemeral_after_message(
        "gus", GENERAL, ts, "!stop"
    )


async def waits(slack: ScenarioClient, ts: str) -> bool:
    """True if a message of the thread is shown as waiting."""
    messages = await slack.replies(GENERAL, ts)
    return any(message.get("reactions") for message in messages)
