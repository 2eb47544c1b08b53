"""Tests `threadpilot sessions` in its own process, on the data of a used bot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bot.cli import texts
from bot.sessions.cleanup_notices import GONE
from bot.sessions.lock_files import folder_of_sessions
from tests.emulator_client import DEV, GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient, full_text_of, question_of
from tests.scenarios.operations.test_restart import run
from tests.scripted_model import ScriptedModel


async def shell(bots: Bots, *arguments: str) -> tuple[int, str]:
    """Run the command without Slack's tokens; return its status and its output."""
    needed = {name: bots.env[name] for name in ("DATA_DIR", "MODEL_BASE_URL")}
    return await run("sessions", *arguments, env=needed)


async def done(bots: Bots, *arguments: str) -> str:
    status, output = await shell(bots, *arguments)
    assert status == 0, output
    return output


def on_disk(bots: Bots) -> int:
    folder = folder_of_sessions(Path(bots.env["DATA_DIR"]))
    return len([each for each in folder.iterdir() if not each.name.startswith(".")])


async def two_threads(bots: Bots, slack: ScenarioClient) -> tuple[str, str]:
    """Bob's thread in #general with two turns, and Carol's in #dev."""
    async with bots.running() as bot:
        first = await slack.ask_in_new_thread("bob", "what is Python?")
        await slack.say("bob", GENERAL, "and Rust?", thread_ts=first)
        await slack.until_shown(GENERAL, first, "You said: and Rust?")
        second = await slack.ask_in_new_thread("carol", "what is Go?", DEV)
        await slack.until_idle(bot)
    return first, second


async def test_sessions_are_listed_as_they_were_used(bots: Bots, slack: ScenarioClient) -> None:
    first, _ = await two_threads(bots, slack)
    listed = await done(bots, "list")
    assert "2 sessions, page 1 of 1" in listed
    assert "what is Go?" in listed
    assert "2 turns" in listed
    assert "scripted-1" in listed
    [shape] = json.loads(await done(bots, "list", "--json", "--owner", "UBOB"))["sessions"]
    assert (shape["handle"], shape["thread"], shape["turns"]) == ("s1", first, 2)
    assert shape["title"] == "what is Python?"
    assert shape["input_tokens"] > 0
    assert (await done(bots, "list", "--channel", DEV)).startswith("s2")


async def test_a_transcript_has_the_questions_and_the_answers(
    bots: Bots, slack: ScenarioClient
) -> None:
    await two_threads(bots, slack)
    output = await done(bots, "export", "s1")
    for text in ("what is Python?", "You said: what is Python?", "You said: and Rust?"):
        assert text in output
    assert "Go" not in output
    turns = json.loads(await done(bots, "export", "s1", "--json"))["turns"]
    assert [turn["question"] for turn in turns] == ["what is Python?", "and Rust?"]
    assert [turn["answer"] for turn in turns] == [
        "You said: what is Python?",
        "You said: and Rust?",
    ]


async def test_a_reset_thread_begins_afresh_and_the_old_session_can_be_resumed(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    first, _ = await two_threads(bots, slack)
    assert "s1 is archived" in await done(bots, "reset", "s1")
    async with bots.running():
        await slack.say("bob", GENERAL, "afresh", thread_ts=first)
        await slack.until_shown(GENERAL, first, "You said: afresh")
        assert model.requests[-1].prompts == ("afresh",)
        await slack.say("bob", GENERAL, "!resume s1", thread_ts=first)
        await slack.until_shown(GENERAL, first, "I remember 2 turns")
        await slack.say("bob", GENERAL, "on", thread_ts=first)
        await slack.until_shown(GENERAL, first, "You said: on")
        audit = full_text_of(await slack.card_for("alice", GENERAL, "admin audit"))
    questions = [question_of(prompt) for prompt in model.requests[-1].prompts]
    assert questions == ["what is Python?", "and Rust?", "on"]
    assert "sessions reset s1" in audit


async def test_a_deleted_session_is_gone_on_both_sides_and_its_thread_goes_on_with_context(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    first, second = await two_threads(bots, slack)
    assert "s1 is deleted" in await done(bots, "delete", "s1", "--yes")
    assert on_disk(bots) == 1
    status, output = await shell(bots, "delete", "s1", "--yes")
    assert (status, "there is no session s1" in output) == (1, True)
    async with bots.running():
        await slack.say("bob", GENERAL, "still there?", thread_ts=first)
        await slack.until_shown(GENERAL, first, "You said: still there?")
        assert len(model.requests[-1].prompts) == 1
        assert "what is Python?" in model.requests[-1].prompt
        await slack.say("carol", DEV, "and on", thread_ts=second)
        await slack.until_shown(DEV, second, "You said: and on")
        assert list(model.requests[-1].prompts) == ["what is Go?", "and on"]


async def test_a_cleanup_says_what_would_go_deletes_it_and_finds_nothing_the_second_time(
    bots: Bots, slack: ScenarioClient
) -> None:
    first, _ = await two_threads(bots, slack)
    folder = folder_of_sessions(Path(bots.env["DATA_DIR"]))
    shutil.copytree(next(folder.glob("slack-*")), folder / "on-no-record")
    assert "To be deleted: 1 session" in await done(bots, "cleanup", "--user", "UBOB", "--dry-run")
    output = await done(bots, "cleanup", "--user", "UBOB", "--yes")
    assert "1 session deleted" in output
    assert "1 orphans" in output
    assert on_disk(bots) == 1
    assert "0 sessions deleted" in await done(bots, "cleanup", "--user", "UBOB", "--yes")
    assert "1 session deleted" in await done(bots, "cleanup", "--all", "--yes")
    assert on_disk(bots) == 0
    assert "0 sessions, page 1 of 1" in await done(bots, "list")
    async with bots.running():
        await slack.say("bob", GENERAL, "afresh", thread_ts=first)
        await slack.until_shown(GENERAL, first, "You said: afresh")
        assert not await slack.shows(GENERAL, first, GONE), "no bot ran to post it"


async def test_while_a_bot_runs_it_says_so_and_touches_nothing(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    first, _ = await two_threads(bots, slack)
    async with bots.running():
        for command in (("list",), ("export", "s1"), ("cleanup", "--all", "--yes")):
            status, output = await shell(bots, *command)
            assert status == 1
            assert "is in use by another Threadpilot" in output
            assert "Traceback" not in output
        await slack.say("bob", GENERAL, "and on", thread_ts=first)
        await slack.until_shown(GENERAL, first, "You said: and on")
    assert len(model.requests[-1].prompts) == 3


async def test_a_question_that_waits_keeps_its_session(bots: Bots, slack: ScenarioClient) -> None:
    async with bots.running():
        ts = await slack.ask_in_new_thread("bob", "one")
        await slack.card_for("alice", GENERAL, "admin pause")
        waiting = await slack.say("bob", GENERAL, "two", thread_ts=ts)
        await slack.wait_until_reaction_set(GENERAL, waiting)
    for command in (("delete", "s1", "--yes"), ("reset", "s1")):
        status, output = await shell(bots, *command)
        assert (status, texts.IN_USE.format(handle="s1") in output) == (1, True)
    output = await done(bots, "cleanup", "--all", "--yes")
    assert "1 in use skipped" in output
