"""Tests blind comparisons: copies get the same question, users vote, and one copy is kept."""

from __future__ import annotations

from pathlib import Path

from bot.sessions.lock_files import folder_of_sessions
from tests.emulator_client import GENERAL
from tests.fakes import OffsetClock
from tests.scenarios.conftest import Bots, ScenarioClient, reply_actions_in
from tests.scripted_model import Answer, ModelRequest, ScriptedModel

MODELS = ["scripted-1", "scripted-2", "scripted-3"]


def signed(request: ModelRequest) -> str:
    """A model that repeats its history in its own way, without its name."""
    ways = {"scripted-1": "plainly", "scripted-2": "warmly", "scripted-3": "drily"}
    return f"{ways[request.model]}: {' | '.join(request.prompts)}"


async def a_comparison(bots: Bots, slack: ScenarioClient, model: ScriptedModel, words: str) -> str:
    """A thread with one answered question and a comparison after it."""
    model.models = list(MODELS)
    model.default = Answer(signed)
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot before")
    await slack.wait_until_answered(GENERAL, ts)
    await slack.say("alice", GENERAL, words, thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    return ts


def letter_of(shown: str, way: str) -> str:
    """The letter of a way of answering."""
    return shown[: shown.index(way)].rpartition("**")[0].rpartition("**")[2]


async def test_a_comparison_asks_copies_of_the_session_and_hides_the_names(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await a_comparison(bots, slack, model, "!compare scripted-2 scripted-3 which one?")
    shown = (await slack.bot_texts(GENERAL, ts))[1]
    assert "warmly: before | which one?" in shown
    assert "drily: before | which one?" in shown
    assert "scripted" not in shown
    assert sorted(request.model for request in model.requests[1:]) == ["scripted-2", "scripted-3"]


async def test_the_thread_does_not_remember_a_comparison_of_which_nothing_is_kept(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await a_comparison(bots, slack, model, "!compare scripted-2 scripted-3 which one?")
    await slack.say("alice", GENERAL, "go on", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "plainly: before | go on")


async def test_votes_are_counted_once_per_user_and_shown_with_the_names(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await a_comparison(bots, slack, model, "!compare scripted-2 scripted-3 which one?")
    shown = (await slack.bot_texts(GENERAL, ts))[1]
    warm = letter_of(shown, "warmly")
    votes = {
        button.label[-1]: button
        for message in await slack.bot_messages(GENERAL, ts)
        for button in reply_actions_in(message)
        if button.command_name == "vote"
    }
    other = next(label for label in votes if label != warm)
    for person, label in (("bob", other), ("bob", warm), ("carol", warm), ("alice", other)):
        count = len(await slack.ephemeral(person))
        await slack.press_reply_action(person, GENERAL, votes[label])
        assert f"vote for {label} counts" in await slack.wait_for_ephemeral(person, count + 1)
    await slack.press_reply_action(
        "alice", GENERAL, await slack.reply_action(GENERAL, ts, "reveal")
    )
    await slack.until_shown(GENERAL, ts, "Which model said what")
    revealed = str((await slack.bot_messages(GENERAL, ts))[-1]["blocks"])
    assert f"{warm}: scripted-2" in revealed
    assert "2 votes" in revealed
    assert "1 vote" in revealed
    count = len(await slack.ephemeral("bob"))
    await slack.press_reply_action("bob", GENERAL, votes[other])
    assert "shown already" in await slack.wait_for_ephemeral("bob", count + 1)


async def test_an_answer_that_is_kept_becomes_the_session_and_the_others_go(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await a_comparison(bots, slack, model, "!compare scripted-2 scripted-3 which one?")
    warm = letter_of((await slack.bot_texts(GENERAL, ts))[1], "warmly")
    await slack.press_reply_action(
        "alice", GENERAL, await slack.reply_action(GENERAL, ts, "reveal")
    )
    await slack.until_shown(GENERAL, ts, "Which model said what")
    [keep] = [
        button
        for button in reply_actions_in((await slack.bot_messages(GENERAL, ts))[-1])
        if button.label == f"Keep {warm}"
    ]
    await slack.press_reply_action("alice", GENERAL, keep)
    await slack.until_shown(GENERAL, ts, f"Continuing with {warm} (scripted-2)")
    await slack.say("alice", GENERAL, "go on", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "warmly: before | which one? | go on")
    notice = await slack.ephemeral_after_message("alice", GENERAL, ts, "!sessions")
    assert "2" in notice
    status = str(await slack.ephemeral("alice"))
    handle = next(each for each in ("s2", "s3") if each in status)
    await slack.press_reply_action("alice", GENERAL, keep)
    assert "kept already" in await slack.wait_for_ephemeral("alice", 2)
    await slack.say("alice", GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Fresh start")
    await slack.say("alice", GENERAL, f"!resume {handle}", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, f"Resumed {handle}")
    await slack.say("alice", GENERAL, "and on", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "warmly: before | which one? | go on | and on")


async def test_a_copy_of_a_comparison_cannot_be_looked_through(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """A copy that is forked, resumed or shown would reveal its model."""
    ts = await a_comparison(bots, slack, model, "!compare scripted-2 scripted-3 which one?")
    for name in ("resume", "fork", "status", "history"):
        for handle in ("s2", "s3"):
            before = len(await slack.ephemeral("alice"))
            await slack.say("alice", GENERAL, f"!{name} {handle}", thread_ts=ts)
            await slack.wait_for_ephemeral("alice", before + 1)
    assert "scripted-" not in str(await slack.ephemeral("alice"))
    await slack.say("alice", GENERAL, "go on", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "plainly: before | go on")


async def test_a_model_that_takes_too_long_leaves_the_other_answer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.models = list(MODELS)
    model.default = Answer(signed)
    model.when("which one?", Answer(chunks=["slow", "er"], hold_after=1, times=1))
    bots.env.update(TURN_SECONDS="1000", SILENCE_SECONDS="3600")
    clock = OffsetClock()
    bot = await bots.start(clock)
    ts = await slack.say("alice", GENERAL, "@threadpilot compare scripted-1 scripted-2 which one?")
    await model.reached()
    await model.received(2)
    folder = folder_of_sessions(Path(bots.env["DATA_DIR"]))

    async def one_has_answered() -> bool:
        return sum(bot.pool.is_in_use(session.name) for session in folder.iterdir()) == 1

    await slack.wait_for(one_has_answered, why="one of the two has answered")
    await clock.pass_by(1_001)
    [shown] = await slack.wait_until_answered(GENERAL, ts)
    assert "longer than the time limit" in shown
    assert ": which one?" in shown
    assert (await slack.reply_action(GENERAL, ts, "vote")).label in ("Vote A", "Vote B")


async def test_usage_by_model_tells_what_a_comparison_cost(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await a_comparison(bots, slack, model, "!compare scripted-2 scripted-3 which one?")
    await slack.say("alice", GENERAL, "!usage day by model", thread_ts=ts)
    await slack.wait_for_ephemeral("alice")
    notice = str((await slack.ephemeral("alice"))[-1]["blocks"])
    assert all(name in notice for name in MODELS)


async def test_an_open_comparison_shows_the_names_at_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await a_comparison(bots, slack, model, "!compare --open scripted-2 scripted-3 which one?")
    shown = (await slack.bot_texts(GENERAL, ts))[1]
    assert "scripted-2" in shown
    assert "scripted-3" in shown


async def test_a_comparison_by_command_begins_a_thread(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.models = list(MODELS)
    model.default = Answer(signed)
    await bots.start()
    await slack.command("bob", GENERAL, "/copilot", "compare scripted-1 scripted-2 what is Python?")

    async def begun() -> str | None:
        posts = [m for m in await slack.history(GENERAL) if m.get("bot_id")]
        return posts[0]["ts"] if posts else None

    root = await slack.wait_for(begun)
    [shown] = await slack.wait_until_answered(GENERAL, root)
    assert "plainly: what is Python?" in shown
    assert "warmly: what is Python?" in shown


async def test_a_model_that_fails_leaves_the_other_answer(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.models = list(MODELS)
    model.default = Answer(signed)
    model.when("which one?", Answer(fault=400, times=1))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot compare scripted-1 scripted-2 which one?")
    [shown] = await slack.wait_until_answered(GENERAL, ts)
    assert "No answer:" in shown
    assert "which one?" in shown


async def test_one_model_or_an_unknown_one_is_no_comparison(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.models = list(MODELS)
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot before")
    await slack.wait_until_answered(GENERAL, ts)
    for words in ("!compare", "!compare scripted-1 gpt-nope what?", "!compare apples and pears"):
        notice = await slack.ephemeral_after_message("alice", GENERAL, ts, words)
        assert "Name 2–4 models" in notice
        assert "scripted-3" in notice
    assert len(model.requests) == 1


async def test_apples_and_pears_are_a_question(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot compare apples and pears")
    assert await slack.wait_until_answered(GENERAL, ts) == ["You said: compare apples and pears"]
