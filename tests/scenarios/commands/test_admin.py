"""Tests the admin commands: usage, quotas, the audit log, pause, resume and drain."""

from __future__ import annotations

from bot.access import quotas
from bot.commands import texts
from bot.commands.texts import admin as admin_texts
from bot.turns import inbox
from tests.emulator_client import DEV, GENERAL, SECRET
from tests.scenarios.conftest import (
    Bots,
    ScenarioClient,
    full_text_of,
    question_of,
    start_busy_thread,
)
from tests.scripted_model import Answer, ScriptedModel

TOPICS = ("cleanup", "sessions", "usage", "users", "audit", "limits", "pause", "resume", "drain")


async def run_admin_command(slack: ScenarioClient, text: str = "", person: str = "alice") -> str:
    """The text that a user is shown after `/copilot admin …`."""
    return full_text_of(await slack.card_for(person, GENERAL, f"admin {text}".strip()))


async def test_other_users_are_refused_in_every_form(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("bob", "hello")
    for topic in ("", *TOPICS, "limits UALICE block", "cleanup --all"):
        assert texts.ADMINS_ONLY in await run_admin_command(slack, topic, "bob")
        notice = await slack.ephemeral_after_message("bob", GENERAL, ts, f"!admin {topic}".strip())
        assert notice == texts.ADMINS_ONLY
    theirs = await slack.card_for("alice", GENERAL, "!admin", ts)
    assert not any("admin" in full_text_of(each) for each in await slack.ephemeral("carol"))
    assert "Turns running: 0" in full_text_of(theirs)
    assert not bot.inbox.paused
    assert admin_texts.AUDIT_NONE in await run_admin_command(slack, "audit")
    assert len(model.requests) == 1


async def test_in_charge_are_those_of_the_settings_and_of_the_group(
    bots: Bots, slack: ScenarioClient
) -> None:
    bots.env.update(ADMIN_USERS="UBOB", ADMIN_GROUP="S0PILOTS", WORKSPACE_ADMINS="no")
    await bots.start()
    for person in ("bob", "carol"):
        assert "Turns running" in await run_admin_command(slack, "", person)
    assert texts.ADMINS_ONLY in await run_admin_command(slack)


async def test_the_buttons_of_the_overview_lead_everywhere(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    await slack.ask_in_new_thread("bob", "hello")
    card = await slack.card_for("alice", GENERAL, "admin")
    for topic, shown in (
        ("sessions", "All sessions"),
        ("users", admin_texts.USERS_TITLE),
        ("usage", "Usage of the last week"),
        ("limits", admin_texts.NO_LIMIT),
        ("audit", admin_texts.AUDIT_NONE),
        ("cleanup", "--older-than 30d"),
    ):
        await slack.press_command("alice", GENERAL, card, "admin", topic)
        await slack.wait_for_ephemeral_text("alice", shown)
        card = await slack.card_for("alice", GENERAL, "admin")


async def test_an_unknown_topic_gets_the_list(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "hello")
    assert "I don't know `admin explode`" in await slack.ephemeral_after_message(
        "alice", GENERAL, ts, "!admin explode"
    )
    assert len(model.requests) == 1


async def test_everybodys_sessions_are_listed_but_not_what_one_cannot_see(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    await slack.ask_in_new_thread("bob", "a talk in general")
    direct = await slack.dm("bob")
    ts = await slack.say("bob", direct, "between you and me")
    await slack.wait_until_answered(direct, ts, person="bob")
    listed = await run_admin_command(slack, "sessions")
    assert "a talk in general" in listed
    assert "between you and me" not in listed
    assert "in a channel that you can't see" in listed
    assert "s1" in listed
    assert "s2" in listed


async def test_a_session_that_one_does_not_see_can_be_deleted_from_the_list(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    direct = await slack.dm("bob")
    ts = await slack.say("bob", direct, "between you and me")
    await slack.wait_until_answered(direct, ts, person="bob")
    card = await slack.card_for("alice", GENERAL, "admin sessions")
    await slack.press_command("alice", GENERAL, card, "delete", "s1")
    await slack.wait_for_ephemeral_text("alice", "s1 is deleted permanently")
    await slack.say("bob", direct, "do you remember?", thread_ts=ts)
    await slack.wait_for(
        lambda: shows_bob(slack, direct, ts, "You said: do you remember?"), why="it is answered"
    )
    assert "between you and me" in model.requests[-1].prompt, "as quoted context"
    assert len(model.requests[-1].prompts) == 1


async def shows_bob(slack: ScenarioClient, channel: str, ts: str, text: str) -> bool:
    return any(text in shown for shown in await slack.bot_texts(channel, ts, "bob"))


async def test_usage_shows_users_models_and_channels(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    await slack.ask_in_new_thread("carol", "three", DEV)
    shown = await run_admin_command(slack, "usage")
    assert "bob" in shown
    assert "2 turns" in shown
    assert "carol" in shown
    by_channel = await run_admin_command(slack, "usage day by channel")
    assert GENERAL in by_channel
    assert DEV in by_channel
    assert "3 turns" in await run_admin_command(slack, "usage month by model")
    assert "scripted-1" in await run_admin_command(slack, "usage by model")
    assert "A thread" in await run_admin_command(slack, "usage by thread")
    assert admin_texts.USAGE_HOW in await run_admin_command(slack, "usage of the moon")


async def test_users_are_listed_blocked_by_a_button_and_unblocked(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    card = await slack.card_for("alice", GENERAL, "admin users")
    assert "1 turn," in full_text_of(card)
    await slack.press_command("alice", GENERAL, card, "admin", "limits UBOB block")
    await slack.wait_for_ephemeral_text("alice", "is blocked and gets no more replies")
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, quotas.BLOCKED)
    posted = len(await slack.history(GENERAL))
    assert (await slack.card_for("bob", GENERAL, "what is it?"))["text"] == quotas.BLOCKED
    assert len(await slack.history(GENERAL)) == posted, "nothing is posted for them"
    card = await slack.card_for("alice", GENERAL, "admin users")
    assert "blocked" in full_text_of(card)
    await slack.press_command("alice", GENERAL, card, "admin", "limits UBOB unblock")
    await slack.wait_for_ephemeral_text("alice", "is no longer blocked")
    await slack.say("bob", GENERAL, "three", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: three")
    assert [question_of(request.prompt) for request in model.requests] == ["one", "three"]


async def test_a_user_at_the_quota_is_notified_and_continues_with_a_higher_quota(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["MAX_TURNS_PER_DAY"] = "2"
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    await slack.say("bob", GENERAL, "three", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You've reached your limit of 2 questions in 24 hours")
    assert "Default: 2 turns in 24 hours" in await run_admin_command(slack, "limits")
    assert "20 turns in 24 hours" in await run_admin_command(slack, "limits <@UBOB|bob> 20 a day")
    await slack.say("bob", GENERAL, "four", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: four")
    assert "20 turns in 24 hours" in await run_admin_command(slack, "limits")
    assert "2 turns in 24 hours" in await run_admin_command(slack, "limits <@UBOB> default")
    await slack.say("bob", GENERAL, "five", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=5)
    assert "You've reached your limit of 2 questions" in (await slack.bot_texts(GENERAL, ts))[-1]
    questions = [question_of(request.prompt) for request in model.requests]
    assert questions == ["one", "two", "four"]


async def test_limits_that_make_no_sense_get_a_sentence(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    for text in ("UBOB", "UBOB 0 a day", "UBOB lots", "UBOB -3", "UBOB 1000000"):
        assert admin_texts.LIMITS_HOW in await run_admin_command(slack, f"limits {text}")
    assert "I don't know `nobody`" in await run_admin_command(slack, "limits nobody block")
    assert admin_texts.NOT_YOURSELF in await run_admin_command(slack, "limits UALICE block")
    assert admin_texts.AUDIT_NONE in await run_admin_command(slack, "audit")


async def test_what_was_done_is_shown_newest_first(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    await run_admin_command(slack, "limits UBOB 5 a day")
    await run_admin_command(slack, "pause")
    await run_admin_command(slack, "resume")
    await slack.card_for("alice", GENERAL, "model scripted-1 for channel")
    audit = await run_admin_command(slack, "audit")
    places = [
        audit.index(text) for text in (f"model {GENERAL}", "admin resume", "pause", "limits UBOB")
    ]
    assert places == sorted(places)
    assert "alice" in audit
    assert admin_texts.AUDIT_HOW in await run_admin_command(slack, "audit everything")


async def test_paused_messages_wait_with_the_mark_and_are_answered_afterwards(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("bob", "one")
    assert "Paused. New messages are queued." in await run_admin_command(slack, "pause")
    assert admin_texts.ALREADY_PAUSED in await run_admin_command(slack, "pause")
    assert admin_texts.ON_HOLD in await run_admin_command(slack)
    second = await slack.say("bob", GENERAL, "two", thread_ts=ts)
    third = await slack.say("bob", GENERAL, "three", thread_ts=ts)
    for waiting in (second, third):
        await slack.wait_until_reaction_set(GENERAL, waiting)
    assert inbox.PAUSED in await slack.wait_for_ephemeral("bob")
    assert "2 messages queued" in await slack.ephemeral_after_message("bob", GENERAL, ts, "!status")
    assert admin_texts.RESUMED in await run_admin_command(slack, "resume")
    await slack.until_shown(GENERAL, ts, "You said: three")
    for waiting in (second, third):
        await slack.wait_until_reaction_cleared(GENERAL, waiting)
    assert model.requests[-1].prompts == ("one", "two", "three")
    assert admin_texts.NOT_PAUSED in await run_admin_command(slack, "resume")


async def test_a_pause_lets_what_runs_end(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    assert "Still running: 1 turn." in await run_admin_command(slack, "pause")
    model.release()
    await slack.until_shown(GENERAL, ts, "one done")


async def test_a_pause_holds_over_a_restart(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running():
        await run_admin_command(slack, "pause")
        ts = await slack.say("bob", GENERAL, "@threadpilot one")
        await slack.wait_until_reaction_set(GENERAL, ts)
    async with bots.running() as bot:
        assert bot.inbox.paused
        later = await slack.say("bob", GENERAL, "@threadpilot two")
        await slack.wait_until_reaction_set(GENERAL, later)
        assert model.requests == []
        await run_admin_command(slack, "resume")
        await slack.until_shown(GENERAL, ts, "You said: one")
        await slack.until_shown(GENERAL, later, "You said: two")
        await slack.wait_until_reaction_cleared(GENERAL, ts)


async def test_a_drained_bot_sends_a_direct_message_and_a_restart_resumes(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("first", Answer(chunks=["one ", "done"], hold_after=1))
    async with bots.running() as bot:
        ts = await slack.say("bob", GENERAL, "@threadpilot first")
        await model.reached()
        assert "Still running: 1 turn." in await run_admin_command(slack, "drain")
        waiting = await slack.say("bob", GENERAL, "second", thread_ts=ts)
        await slack.wait_until_reaction_set(GENERAL, waiting)
        model.release()
        await slack.wait_for_dm_text("alice", admin_texts.DRAINED)
        await slack.until_shown(GENERAL, ts, "one done")
        assert bot.inbox.running_count == 0
        assert len(model.requests) == 1
    async with bots.running():
        await slack.until_shown(GENERAL, ts, "You said: second")
        await slack.wait_until_reaction_cleared(GENERAL, waiting)


async def test_the_admin_who_drains_is_notified_of_a_resume(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    await run_admin_command(slack, "drain")
    await run_admin_command(slack, "resume")
    await slack.wait_for_dm_text("alice", admin_texts.DRAIN_RESUMED)
    other = await slack.ask_in_new_thread("bob", "meanwhile")
    assert other != ts
    model.release()
    await slack.until_shown(GENERAL, ts, "one done")


async def test_the_workspace_is_on_the_home_tab_of_admins(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    await slack.ask_in_new_thread("bob", "one")
    await slack.home("alice")
    view = await slack.wait_for_published_home_text("alice", "Stored sessions: 1")
    await slack.press_command_at_home("alice", view, "admin", "pause")
    await slack.wait_for_published_home_text("alice", "Paused. New messages are queued.")
    view = await slack.wait_for_published_home_text("alice", "Paused: new questions are queued.")
    await slack.press_command_at_home("alice", view, "admin", "resume")
    await slack.wait_for_published_home_text("alice", admin_texts.RESUMED)
    await slack.home("bob")
    assert "Stored sessions" not in full_text_of(
        await slack.wait_for_published_home_text("bob", "Your sessions")
    )


async def test_admin_commands_work_in_channels_without_the_bot(
    bots: Bots, slack: ScenarioClient
) -> None:
    """The command reaches the bot from any channel, and its result reaches the admin."""
    await bots.start()
    assert "Turns running" in full_text_of(await slack.card_for("alice", SECRET, "admin"))
