"""Tests the session commands: reset, resume, lists, transcripts and deletion.

The model's next request shows the effect of each.
"""

from __future__ import annotations

import asyncio
import json

from bot.commands import texts
from bot.commands.texts import sessions as session_texts
from tests.emulator_client import DEV, GENERAL
from tests.scenarios.commands.test_branch import recite
from tests.scenarios.conftest import Bots, ScenarioClient, text_of
from tests.scripted_model import Answer, ScriptedModel

# Reset and resume --------------------------------------------------------------------------------


async def test_after_a_reset_the_thread_knows_nothing_until_the_old_session_is_resumed(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await slack.start_thread("bob", "one", "two")
    await slack.say("bob", GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    await slack.say("bob", GENERAL, "three", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=4)
    assert list(model.requests[-1].prompts) == ["three"]
    await slack.say("bob", GENERAL, "!resume s1", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Resumed s1 (“one”): I remember 2 turns.")
    await slack.until_shown(GENERAL, ts, "The previous session is s2")
    await slack.say("bob", GENERAL, "four", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=6)
    assert model.requests[-1].prompts[:2] == ("one", "two")
    assert model.requests[-1].prompts[-1].endswith("four")


async def test_new_is_reset_and_a_fresh_session_needs_none(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.say("bob", GENERAL, "@threadpilot new", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "!new") == session_texts.RESET_FRESH
    )
    assert len(model.requests) == 1


async def test_a_reset_while_an_answer_runs_lets_it_end_in_the_old_session(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    model.when("slow", Answer(chunks=["a ", "b"], hold_after=1))
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.say("bob", GENERAL, "slow", thread_ts=ts)
    await model.reached()
    await slack.wait_for(lambda: begun(slack, ts), why="the second answer has begun")
    await slack.say("bob", GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, session_texts.RESET_RUNNING.format(handle="s1"))
    model.release()
    await slack.until_shown(GENERAL, ts, "a b")
    await slack.say("bob", GENERAL, "then", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=4)
    assert model.requests[-1].prompts == ("then",)


async def begun(slack: ScenarioClient, ts: str) -> bool:
    return len(await slack.bot_messages(GENERAL, ts)) == 2


async def test_resume_alone_offers_ones_earlier_sessions_of_the_channel_as_buttons(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    await slack.start_thread("bob", "the plan")
    await slack.start_thread("carol", "another question")
    await slack.start_thread("bob", "elsewhere", channel=DEV)
    ts = await slack.start_thread("bob", "today")
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!resume", thread_ts=ts))
    shown = text_of(card)
    assert "the plan" in shown
    assert "another question" not in shown
    assert "elsewhere" not in shown
    assert "today" not in shown
    await slack.press_command("bob", GENERAL, card, "resume", "s1")
    await slack.until_shown(GENERAL, ts, "Resumed s1")
    await slack.say("bob", GENERAL, "and now?", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=3)
    assert model.requests[-1].prompts[0] == "the plan"
    assert "today" not in model.requests[-1].prompts[:-1]


async def test_a_session_resumed_elsewhere_leaves_a_notice_in_its_thread(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    old = await slack.start_thread("bob", "the plan")
    new = await slack.say("bob", GENERAL, "@threadpilot resume s1")
    await slack.until_shown(GENERAL, new, "Resumed s1")
    await slack.until_shown(GENERAL, old, session_texts.RESUME_MOVED.format(handle="s1"))
    await slack.say("bob", GENERAL, "go on", thread_ts=new)
    await slack.until_shown(GENERAL, new, "the plan | go on")
    await slack.say("bob", GENERAL, "and here?", thread_ts=old)
    await slack.wait_until_answered(GENERAL, old, n=3)
    assert "the plan" not in model.requests[-1].prompts


async def test_a_session_of_another_channel_stays_there(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    await slack.start_thread("bob", "one", channel=DEV)
    ts = await slack.start_thread("bob", "two")
    notice = await slack.ephemeral_after_message("bob", GENERAL, ts, "!resume s1")
    assert notice == session_texts.RESUME_OTHER_CHANNEL.format(handle="s1")


async def test_the_history_of_direct_messages_stays_there(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """In a channel every member could read it in the session's history."""
    await bots.start()
    direct = await slack.dm("bob")
    first = await slack.say("bob", direct, "my secret plan")
    await slack.wait_until_answered(direct, first, person="bob")
    ts = await slack.start_thread("bob", "two")
    notice = await slack.ephemeral_after_message("bob", GENERAL, ts, "!resume s1")
    assert notice == session_texts.RESUME_OTHER_CHANNEL.format(handle="s1")
    assert len(model.requests) == 2


async def test_a_session_that_answers_cannot_be_resumed_elsewhere(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("slow", Answer(chunks=["a ", "b"], hold_after=1))
    await bots.start()
    busy = await slack.say("bob", GENERAL, "@threadpilot slow")
    await model.reached()
    ts = await slack.say("bob", GENERAL, "hm")
    notice = await slack.ephemeral_after_message("bob", GENERAL, ts, "@threadpilot resume s1")
    assert notice == session_texts.RESUME_TOO_EARLY
    other = await slack.start_thread("bob", "one")
    notice = await slack.ephemeral_after_message("bob", GENERAL, other, "!resume s1")
    assert notice == session_texts.BUSY.format(handle="s1")
    model.release()
    await slack.until_shown(GENERAL, busy, "a b")


# Lists -------------------------------------------------------------------------------------------


async def test_sessions_are_listed_page_by_page_the_last_used_first(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    for number in range(1, 11):
        await slack.start_thread("bob", f"question {number}")
    card = await slack.ephemeral_after("bob", slack.command("bob", GENERAL, "/copilot", "sessions"))
    shown = text_of(card)
    assert session_texts.MINE_TITLE in shown
    assert "1 to 8 of 10" in shown
    assert shown.index("question 10") < shown.index("question 3")
    assert "question 2" not in shown
    await slack.press_command("bob", GENERAL, card, "sessions", "2")

    async def second_page() -> bool:
        """The new page replaces the first one."""
        [*_, card] = await slack.ephemeral("bob")
        return "question 2" in text_of(card) and "question 10" not in text_of(card)

    await slack.wait_for(second_page, why="the second page takes the first one's place")
    last = await slack.ephemeral_after(
        "bob", slack.command("bob", GENERAL, "/copilot", "list page 99")
    )
    assert "9 to 10 of 10" in text_of(last)


async def test_a_list_tells_what_is_current_what_is_set_aside_and_what_runs(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.say("bob", GENERAL, "!reset", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    model.when("slow", Answer(chunks=["a ", "b"], hold_after=1))
    await slack.say("bob", GENERAL, "@threadpilot slow")
    await model.reached()
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!list", thread_ts=ts))
    states = [line.rsplit(" · ", 1)[-1] for line in text_of(card).splitlines() if " · " in line]
    assert sorted(states) == sorted(
        [session_texts.RUNNING, session_texts.CURRENT, session_texts.INACTIVE]
    )
    model.release()


async def test_a_session_is_reset_from_a_list_and_its_thread_is_notified(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    card = await slack.ephemeral_after("bob", slack.command("bob", DEV, "/copilot", "sessions"))
    notice = await slack.ephemeral_after(
        "bob", slack.press_command("bob", DEV, card, "reset", "s1")
    )
    assert text_of(notice) == session_texts.RESET_ELSEWHERE.format(handle="s1")
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    assert model.requests[-1].prompts == ("two",)


# Deleting ----------------------------------------------------------------------------------------


async def test_a_deleted_session_is_gone_from_the_model_and_from_every_list(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "my zebrafish")
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!sessions", thread_ts=ts))
    notice = await slack.ephemeral_after(
        "bob", slack.press_command("bob", GENERAL, card, "delete", "s1")
    )
    assert "s1 is deleted permanently" in text_of(notice)
    await slack.until_shown(GENERAL, ts, session_texts.DELETED_HERE)
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "!sessions")
        == session_texts.NONE_OF_MINE
    )
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "!export s1")
        == texts.NO_SUCH_SESSION
    )
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "!history")
        == session_texts.NO_SESSION
    )
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=3)
    assert "my zebrafish" not in model.requests[-1].prompts
    assert model.requests[-1].prompts[-1].endswith("two")


async def test_buttons_of_a_deleted_session_say_so(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!sessions", thread_ts=ts))
    await slack.ephemeral_after("bob", slack.press_command("bob", GENERAL, card, "delete", "s1"))
    for name in ("reset", "delete"):
        notice = await slack.ephemeral_after(
            "bob", slack.press_command("bob", GENERAL, card, name, "s1")
        )
        assert text_of(notice) == texts.NO_SUCH_SESSION
    for name in ("status", "history", "export", "fork", "retry", "rewind"):
        button = await slack.reply_action(GENERAL, ts, name)
        notice = await slack.ephemeral_after(
            "bob", slack.press_reply_action("bob", GENERAL, button)
        )
        assert text_of(notice), name
    assert len(model.requests) == 1


async def test_a_session_that_answers_is_not_deleted(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("slow", Answer(chunks=["a ", "b"], hold_after=1))
    await bots.start()
    ts = await slack.say("bob", GENERAL, "@threadpilot slow")
    await model.reached()
    card = await slack.ephemeral_after(
        "bob", slack.command("bob", GENERAL, "/copilot", "status s1")
    )
    notice = await slack.ephemeral_after(
        "bob", slack.press_command("bob", GENERAL, card, "delete", "s1")
    )
    assert text_of(notice) == session_texts.BUSY.format(handle="s1")
    model.release()
    await slack.until_shown(GENERAL, ts, "a b")


async def test_a_double_click_is_one_reset(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    card = await slack.ephemeral_after("bob", slack.command("bob", DEV, "/copilot", "sessions"))
    before = len(await slack.ephemeral("bob"))
    await asyncio.gather(*(slack.press_command("bob", DEV, card, "reset", "s1") for _ in range(2)))
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    await slack.wait_for_ephemeral("bob", before + 1)
    card = await slack.ephemeral_after("bob", slack.command("bob", DEV, "/copilot", "sessions"))
    assert "of 2," in text_of(card)
    texts_shown = await slack.bot_texts(GENERAL, ts)
    assert sum("Fresh start" in text for text in texts_shown) == 1


# History and export ------------------------------------------------------------------------------


async def test_history_shows_questions_and_answers_the_newest_page_first(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", *(f"question {number}" for number in range(1, 8)))
    card = await slack.ephemeral_after(
        "carol", slack.say("carol", GENERAL, "!history", thread_ts=ts)
    )
    shown = text_of(card)
    assert "Page 2 of 2" in shown
    assert "question 7" in shown
    assert "You said: question 6" in shown
    assert "question 5" not in shown
    assert "7. bob" in shown
    await slack.press_command("carol", GENERAL, card, "history", "s1 1")

    async def first_page() -> bool:
        [*_, card] = await slack.ephemeral("carol")
        return "question 5" in text_of(card) and "question 6" not in text_of(card)

    await slack.wait_for(first_page, why="the first page takes the second one's place")


async def test_a_transcript_is_a_file_in_the_authors_direct_messages(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("fences", Answer("```python\nprint()\n```"))
    await bots.start()
    ts = await slack.start_thread("bob", "show *fences* <@UALICE>", "two")
    before = await slack.bot_texts(GENERAL, ts)
    notice = await slack.ephemeral_after_message("carol", GENERAL, ts, "!export")
    assert notice == session_texts.EXPORT_DONE.format(handle="s1", turns="2 turns")
    [(name, text)] = await slack.files_of("carol")
    assert name == "threadpilot-s1.md"
    assert "## 1. bob, " in text
    assert "````text\n```python\nprint()\n```\n````" in text
    assert "You said: two" in text
    assert await slack.files_of("bob") == []
    assert await slack.bot_texts(GENERAL, ts) == before


async def test_a_transcript_as_json_is_what_a_program_reads(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    await slack.start_thread("bob", "one", "two")
    await slack.ephemeral_after("bob", slack.command("bob", DEV, "/copilot", "export json s1"))
    [(name, text)] = await slack.files_of("bob")
    assert name == "threadpilot-s1.json"
    read = json.loads(text)
    assert read["format"] == "threadpilot-transcript"
    assert read["session"]["owner"] == {"id": "UBOB", "name": "bob"}
    assert [(turn["question"], turn["answer"]) for turn in read["turns"]] == [
        ("one", "You said: one"),
        ("two", "You said: two"),
    ]
    assert all(turn["model"] == "scripted-1" for turn in read["turns"])
    assert all(turn["output_tokens"] > 0 for turn in read["turns"])


async def test_the_menu_under_a_roles_answer_is_about_the_roles_session(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one", "review: look at this")
    button = await slack.reply_action(GENERAL, ts, "history")
    card = await slack.ephemeral_after("bob", slack.press_reply_action("bob", GENERAL, button))
    assert "look at this" in text_of(card)
    assert "You said: one" not in text_of(card)


async def test_the_owner_of_a_roles_session_may_rewind_it_and_the_owner_of_another_may_not(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.say("carol", GENERAL, "@threadpilot review: look at this", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: look at this")
    button = await slack.reply_action(GENERAL, ts, "rewind", n=1)
    notice = await slack.ephemeral_after("bob", slack.press_reply_action("bob", GENERAL, button))
    assert text_of(notice) == texts.NOT_YOURS.format(command="rewind")
    await slack.press_reply_action("carol", GENERAL, button)
    await slack.until_shown(GENERAL, ts, "I've forgotten “look at this”")
    assert len(model.requests) == 2


async def test_a_fork_from_an_answer_that_the_session_does_not_know_any_more_is_none(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    button = await slack.reply_action(GENERAL, ts, "fork")
    await slack.say("bob", GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    notice = await slack.ephemeral_after("bob", slack.press_reply_action("bob", GENERAL, button))
    assert "another session" in text_of(notice)
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!sessions", thread_ts=ts))
    assert "of 2," in text_of(card)


# Usage -------------------------------------------------------------------------------------------


async def test_usage_is_counted_by_thread_user_channel_and_model(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one", "two")
    await slack.start_thread("carol", "three")
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!usage", thread_ts=ts))
    assert "This thread\n2 turns" in text_of(card)
    card = await slack.ephemeral_after(
        "bob", slack.command("bob", GENERAL, "/copilot", "usage day")
    )
    assert "You\n2 turns" in text_of(card)
    card = await slack.ephemeral_after(
        "bob", slack.say("bob", GENERAL, "!usage by channel", thread_ts=ts)
    )
    assert "This channel\n3 turns" in text_of(card)
    card = await slack.ephemeral_after(
        "bob", slack.say("bob", GENERAL, "!usage by model", thread_ts=ts)
    )
    assert "scripted-1\n2 turns" in text_of(card), "the models of other users are for admins only"
    by_admin = slack.command("alice", GENERAL, "/copilot", "usage month by model")
    assert "scripted-1\n3 turns" in text_of(await slack.ephemeral_after("alice", by_admin))
    await slack.press_command("bob", GENERAL, card, "usage", "day by model")

    async def of_the_day() -> bool:
        [*_, card] = await slack.ephemeral("bob")
        return session_texts.PERIODS["day"] in text_of(card)

    await slack.wait_for(of_the_day, why="the day takes the week's place")
