"""Tests the retention policy: old sessions are deleted, and threads restart with quoted context."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bot.sessions.cleanup_notices import GONE, GONE_ROLE
from bot.sessions.lock_files import folder_of_sessions
from bot.sessions.maintenance import (
    CHECK_SECONDS,
    COMPARISON_INTERVAL_SECONDS,
    COMPARISON_MAX_AGE_SECONDS,
    RETENTION_INTERVAL_SECONDS,
)
from tests.emulator_client import GENERAL
from tests.fakes import OffsetClock
from tests.scenarios.conftest import Bots, ScenarioClient, full_text_of, question_of
from tests.scenarios.delivery.test_mid_thread import excerpt_in
from tests.scripted_model import Answer, ScriptedModel

DAY = 86_400.0


def sessions_on_disk(bots: Bots) -> list[Path]:
    folder = folder_of_sessions(Path(bots.env["DATA_DIR"]))
    return [each for each in folder.iterdir() if not each.name.startswith(".")]


async def assert_session_reset(
    slack: ScenarioClient, model: ScriptedModel, ts: str, *before: str
) -> None:
    """Check that Bob's next message is answered by a new session, with the thread history as quoted
    context."""
    await slack.say("bob", GENERAL, "do you remember?", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: do you remember?")
    request = model.requests[-1]
    assert [question_of(prompt) for prompt in request.prompts] == ["do you remember?"]
    texts = [line["text"] for line in excerpt_in(request.prompt)]
    for question in before:
        assert f"@threadpilot {question}" in texts
        assert f"You said: {question}" in texts


async def test_a_session_unused_for_long_is_deleted_and_its_thread_is_notified(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["RETENTION_DAYS"] = "30"
    clock = OffsetClock()
    bot = await bots.start(clock)
    old = await slack.ask_in_new_thread("bob", "one")
    await slack.until_idle(bot)
    clock.move_forward(29 * DAY)
    new = await slack.ask_in_new_thread("bob", "two")
    await slack.until_idle(bot)
    assert not await slack.shows(GENERAL, old, GONE)
    clock.move_forward(1.5 * DAY)
    await slack.until_shown(GENERAL, old, GONE)
    assert not await slack.shows(GENERAL, new, GONE)
    assert len(sessions_on_disk(bots)) == 1
    await assert_session_reset(slack, model, old, "one")
    audit = full_text_of(await slack.card_for("alice", GENERAL, "admin audit"))
    assert "Threadpilot: " in audit
    assert "unused for 30 days" in audit
    assert "1 sessions" in audit


async def test_beyond_a_number_those_go_that_were_not_used_for_the_longest(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["RETENTION_SESSIONS"] = "2"
    bot = await bots.start()
    first, second, third = [
        await slack.ask_in_new_thread("bob", text) for text in ("one", "two", "three")
    ]
    await slack.say("bob", GENERAL, "one again", thread_ts=first)
    await slack.until_shown(GENERAL, first, "You said: one again")
    await slack.until_idle(bot)
    await bot.maintenance.apply_retention()
    await slack.until_shown(GENERAL, second, GONE)
    await bot.maintenance.apply_retention()
    for kept in (first, third):
        assert not await slack.shows(GENERAL, kept, GONE)
    await assert_session_reset(slack, model, second, "two")
    await slack.say("bob", GENERAL, "and one", thread_ts=first)
    await slack.until_shown(GENERAL, first, "You said: and one")
    assert model.requests[-1].prompts == ("one", "one again", "and one")


async def test_beyond_a_size_those_go_that_were_not_used_for_the_longest(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["RETENTION_MB"] = "1"
    bot = await bots.start()
    big = await slack.ask_in_new_thread("bob", "one")
    [folder] = sessions_on_disk(bots)
    (folder / "workspace.bin").write_bytes(bytes(2 * 1024**2))
    small = await slack.ask_in_new_thread("bob", "two")
    await slack.until_idle(bot)
    await bot.maintenance.apply_retention()
    await slack.until_shown(GENERAL, big, GONE)
    assert not await slack.shows(GENERAL, small, GONE)
    assert len(sessions_on_disk(bots)) == 1
    await assert_session_reset(slack, model, big, "one")


async def test_what_is_being_answered_is_kept_however_old(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env.update(RETENTION_SESSIONS="1", SILENCE_SECONDS="3600")
    model.when("second", Answer(chunks=["one ", "done"], hold_after=1))
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("bob", "first")
    await slack.say("bob", GENERAL, "second", thread_ts=ts)
    await model.reached()
    await slack.ask_in_new_thread("carol", "another")
    await bot.maintenance.apply_retention()
    model.release()
    await slack.until_shown(GENERAL, ts, "one done")
    assert not await slack.shows(GENERAL, ts, GONE)
    await slack.say("bob", GENERAL, "third", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: third")
    assert model.requests[-1].prompts == ("first", "second", "third")


async def test_the_session_of_a_role_goes_by_its_name(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["RETENTION_SESSIONS"] = "1"
    bot = await bots.start()
    ts = await slack.ask_in_new_thread("bob", "review: is it safe?")
    await slack.until_idle(bot)
    await slack.say("bob", GENERAL, "hello", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: hello")
    await slack.until_idle(bot)
    await bot.maintenance.apply_retention()
    await slack.until_shown(GENERAL, ts, GONE_ROLE.format(role="review"))
    await slack.say("bob", GENERAL, "go on", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: go on")
    assert [question_of(p) for p in model.requests[-1].prompts] == ["hello", "go on"]


async def test_without_limits_everything_is_kept(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    clock = OffsetClock()
    bot = await bots.start(clock)
    ts = await slack.ask_in_new_thread("bob", "one")
    await slack.until_idle(bot)
    clock.move_forward(10 * 365 * DAY)
    await bot.maintenance.apply_retention()
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    assert model.requests[-1].prompts == ("one", "two")


async def test_copies_of_a_comparison_go_after_a_week_without_a_word(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.models = ["scripted-1", "scripted-2"]
    clock = OffsetClock()
    bot = await bots.start(clock)
    ts = await slack.ask_in_new_thread("bob", "one")
    await slack.say("bob", GENERAL, "!compare scripted-1 scripted-2 which?", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    await slack.until_idle(bot)
    assert len(sessions_on_disk(bots)) == 3
    clock.move_forward(
        COMPARISON_MAX_AGE_SECONDS
        + COMPARISON_INTERVAL_SECONDS
        + RETENTION_INTERVAL_SECONDS
        + CHECK_SECONDS
    )

    async def gone() -> bool:
        return len(sessions_on_disk(bots)) == 1

    await slack.wait_for(gone, 20.0, "the copies are gone")
    assert not await slack.shows(GENERAL, ts, GONE)
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    assert [question_of(p) for p in model.requests[-1].prompts] == ["one", "two"]


@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
async def test_a_session_whose_folder_was_deleted_by_hand_begins_afresh_with_context(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, running: bool
) -> None:
    """Also while the bot runs, after the session is no longer live."""
    bots.env.update(MAX_SESSIONS="1", MAX_TURNS="1")
    async with bots.running():
        ts = await slack.ask_in_new_thread("bob", "one")
        if running:
            [lost] = sessions_on_disk(bots)
            await slack.ask_in_new_thread("carol", "hers")
            shutil.rmtree(lost)
            await assert_session_reset(slack, model, ts, "one")
    if not running:
        [lost] = sessions_on_disk(bots)
        shutil.rmtree(lost)
    async with bots.running():
        if not running:
            await assert_session_reset(slack, model, ts, "one")
        await slack.say("bob", GENERAL, "and then", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "You said: and then")
    questions = [question_of(prompt) for prompt in model.requests[-1].prompts]
    assert questions == ["do you remember?", "and then"]
