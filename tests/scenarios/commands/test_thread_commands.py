"""Tests the thread commands: done at once, while other turns run or wait there."""

from __future__ import annotations

from bot.commands.texts import sessions as session_texts
from bot.turns.inbox import QUEUE_CLEARED
from tests.emulator_client import GENERAL
from tests.scenarios.commands.test_branch import recite
from tests.scenarios.conftest import Bots, ScenarioClient, question_of, start_busy_thread, text_of
from tests.scripted_model import Answer, ScriptedModel

# At once -----------------------------------------------------------------------------------------


async def test_status_is_shown_at_once_while_an_answer_runs_and_others_wait(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    second = await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.wait_until_reaction_set(GENERAL, second)
    card = await slack.ephemeral_after(
        "alice", slack.say("alice", GENERAL, "!status", thread_ts=ts)
    )
    shown = text_of(card)
    assert "s1, first" in shown
    assert session_texts.STATUS_ANSWERING in shown
    assert "1 message queued" in shown
    assert "Owner: alice" in shown
    model.release()
    await slack.until_shown(GENERAL, ts, "You said: second")

    async def at_rest() -> str | None:
        card = await slack.ephemeral_after(
            "alice", slack.say("alice", GENERAL, "!status", thread_ts=ts)
        )
        return text_of(card) if session_texts.STATUS_IDLE in text_of(card) else None

    shown = await slack.wait_for(at_rest, why="the last answer is closed")
    assert "Model: scripted-1" in shown
    assert "Turns: 2" in shown
    assert session_texts.STATUS_NOTHING_WAITS in shown


async def test_stop_ends_the_answer_and_what_waits_is_answered_next(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    second = await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.wait_until_reaction_set(GENERAL, second)
    card = await slack.ephemeral_after("alice", slack.say("alice", GENERAL, "!stop", thread_ts=ts))
    assert session_texts.STOPPED in text_of(card)
    await model.disconnected()
    await slack.until_shown(GENERAL, ts, "You said: second")
    first = (await slack.bot_texts(GENERAL, ts))[0]
    assert first.startswith("one")
    assert "done" not in first
    await slack.until_idle(bots.bot)
    assert (
        await slack.ephemeral_after_message("alice", GENERAL, ts, "!stop")
        == session_texts.NOTHING_RUNS
    )


async def test_stop_queue_clears_waiting_messages_and_the_model_is_not_asked(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    waiting = [
        await slack.say("alice", GENERAL, text, thread_ts=ts) for text in ("second", "third")
    ]
    for each in waiting:
        await slack.wait_until_reaction_set(GENERAL, each)
    await slack.say("alice", GENERAL, "!stop queue", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Stopped. Queue cleared: 2 messages won't be answered.")
    for each in waiting:
        await slack.wait_until_reaction_cleared(GENERAL, each)
    assert await slack.ephemeral("alice") == [], "the user who cleared them gets no notice"
    model.when("fourth", "the fourth answer")
    await slack.say("alice", GENERAL, "fourth", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "the fourth answer")
    assert [question_of(request.prompt) for request in model.requests] == ["first", "fourth"]


async def test_what_waits_can_be_dropped_by_the_button_that_stop_offers(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("second", Answer(chunks=["two ", "done"], hold_after=1))
    ts = await start_busy_thread(bots, slack, model)
    for text in ("second", "third"):
        each = await slack.say("alice", GENERAL, text, thread_ts=ts)
        await slack.wait_until_reaction_set(GENERAL, each)
    card = await slack.ephemeral_after("alice", slack.say("alice", GENERAL, "!stop", thread_ts=ts))
    assert "still queued" in text_of(card)
    await model.reached(2)
    await slack.press_command("alice", GENERAL, card, "stop", "queue")
    await slack.until_shown(GENERAL, ts, "Queue cleared: 1 message won't be answered.")
    model.when("fourth", "the fourth answer")
    await slack.say("alice", GENERAL, "fourth", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "the fourth answer")
    prompts = [question_of(request.prompt) for request in model.requests]
    assert prompts == ["first", "second", "fourth"]


async def test_authors_of_messages_that_another_user_cleared_are_notified_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    for text in ("@threadpilot second", "@threadpilot third"):
        each = await slack.say("bob", GENERAL, text, thread_ts=ts)
        await slack.wait_until_reaction_set(GENERAL, each)
    await slack.say("alice", GENERAL, "!stop queue", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "Stopped. Queue cleared: 2 messages won't be answered.")
    assert await slack.wait_for_ephemeral("bob") == QUEUE_CLEARED
    await slack.ephemeral_after_message("bob", GENERAL, ts, "!join", times=2)
    notices = [each["text"] for each in await slack.ephemeral("bob")]
    assert notices == [QUEUE_CLEARED, session_texts.JOINED_ALREADY]


async def test_commands_do_not_wait_for_a_model_that_is_silent_in_another_thread(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env["MAX_TURNS"] = "1"
    ts = await start_busy_thread(bots, slack, model)
    other = await slack.say("bob", GENERAL, "@threadpilot waits for a place")
    await slack.wait_until_reaction_set(GENERAL, other)
    card = await slack.ephemeral_after(
        "bob", slack.say("bob", GENERAL, "@threadpilot status", thread_ts=other)
    )
    assert "1 message queued" in text_of(card) or session_texts.NO_SESSION in text_of(card)
    model.release()
    await slack.until_shown(GENERAL, ts, "one done")
    await slack.until_shown(GENERAL, other, "You said: waits for a place")


# A side question ---------------------------------------------------------------------------------


async def test_a_side_question_knows_the_thread_and_does_not_enter_its_memory(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(recite)
    await bots.start()
    ts = await slack.start_thread("bob", "one", "two")
    await slack.say("carol", GENERAL, "!ask by the way?", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "by the way?")
    shown = text_of((await slack.bot_messages(GENERAL, ts))[-1])
    assert session_texts.ASK_TITLE in shown
    assert "one | two" in shown
    assert session_texts.ASK_SMALL in shown
    await slack.say("bob", GENERAL, "@threadpilot three", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=4)
    last = model.requests[-1].prompts
    assert last[:2] == ("one", "two")
    assert not any("by the way" in prompt for prompt in last), last
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!sessions", thread_ts=ts))
    assert "of 1," in text_of(card), "the copy is no session of anybody"


async def test_a_side_question_is_answered_while_the_thread_answers_another_one(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("aside", Answer("the side answer"))
    ts = await start_busy_thread(bots, slack, model)
    second = await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.wait_until_reaction_set(GENERAL, second)
    await slack.say("alice", GENERAL, "!ask an aside", thread_ts=ts)

    async def answered() -> bool:
        messages = await slack.bot_messages(GENERAL, ts)
        return any("the side answer" in text_of(message) for message in messages)

    await slack.wait_for(answered, why="the side question is answered")
    assert not await slack.shows(GENERAL, ts, "one done")
    model.release()
    await slack.until_shown(GENERAL, ts, "You said: second")


async def test_a_side_question_by_command_is_answered_to_its_author_alone(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    before = len(await slack.history(GENERAL))
    card = await slack.ephemeral_after("bob", slack.command("bob", GENERAL, "/copilot", "ask why?"))
    assert "You said: why?" in text_of(card)
    assert session_texts.ASK_SMALL_ALONE in text_of(card)
    assert len(await slack.history(GENERAL)) == before
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, "", "@threadpilot sessions")
        == session_texts.NONE_OF_MINE
    )
    assert len(model.requests) == 1


async def test_a_side_question_may_begin_a_thread_that_has_no_session_after_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.say("bob", GENERAL, "@threadpilot ask: why?")
    await slack.wait_for(lambda: slack.bot_messages(GENERAL, ts), why="it is answered")
    assert "You said: why?" in text_of((await slack.bot_messages(GENERAL, ts))[-1])
    assert session_texts.NO_SESSION in await slack.ephemeral_after_message(
        "bob", GENERAL, ts, "!status"
    )
    await slack.say("bob", GENERAL, "@threadpilot now for good", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: now for good")
    assert not any("why?" in prompt for prompt in model.requests[-1].prompts)


async def test_one_side_question_per_user_at_a_time(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("long", Answer(chunks=["a ", "b"], hold_after=1))
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.say("bob", GENERAL, "!ask a long one", thread_ts=ts)
    await model.reached()
    notice = await slack.ephemeral_after_message("bob", GENERAL, ts, "!ask another one")
    assert notice == session_texts.ASK_ONE_AT_A_TIME
    model.release()
    await slack.until_shown(GENERAL, ts, "a long one")


async def test_a_side_question_that_the_model_cannot_answer_is_reported(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("broken", Answer(fault=400))
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    notice = await slack.ephemeral_after_message("bob", GENERAL, ts, "!ask a broken one")
    assert "The model ran into a problem" in notice
    assert "There's no question yet" in await slack.ephemeral_after_message(
        "bob", GENERAL, ts, "!ask"
    )


# Quiet, join -------------------------------------------------------------------------------------


async def test_in_a_quiet_thread_the_bot_answers_only_when_mentioned_until_it_may_join(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.say("bob", GENERAL, "!quiet", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "I'll stay silent in this thread")
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "!quiet")
        == session_texts.QUIET_ALREADY
    )
    await slack.say("bob", GENERAL, "thinking aloud", thread_ts=ts)
    await slack.say("bob", GENERAL, "@threadpilot now you", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: now you")
    assert len(model.requests) == 2, "no message in between is answered"
    await slack.say("bob", GENERAL, "!join", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, session_texts.JOINED)
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "!join")
        == session_texts.JOINED_ALREADY
    )
    await slack.say("bob", GENERAL, "again", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: again")


async def test_a_quiet_thread_is_quiet_after_a_restart_and_commands_work_in_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    async with bots.running():
        ts = await slack.start_thread("bob", "one")
        await slack.say("bob", GENERAL, "!quiet", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "I'll stay silent in this thread")
    await bots.start()
    await slack.say("bob", GENERAL, "thinking aloud", thread_ts=ts)
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!status", thread_ts=ts))
    assert session_texts.STATUS_QUIET in text_of(card)
    assert len(model.requests) == 1


async def test_in_a_quiet_thread_of_ones_direct_messages_nothing_is_answered(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    direct = await slack.dm("bob")
    ts = await slack.say("bob", direct, "one")
    await slack.wait_until_answered(direct, ts, person="bob")
    await slack.say("bob", direct, "quiet", thread_ts=ts)
    await slack.wait_until_answered(direct, ts, n=2, person="bob")
    assert (await slack.bot_texts(direct, ts, "bob"))[-1] == session_texts.QUIET_DIRECT
    await slack.say("bob", direct, "thinking aloud", thread_ts=ts)
    other = await slack.say("bob", direct, "elsewhere")
    await slack.wait_until_answered(direct, other, person="bob")
    assert [request.prompt for request in model.requests] == ["one", "elsewhere"]


# A title -----------------------------------------------------------------------------------------


async def test_a_title_is_shown_wherever_the_session_is(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.say("bob", GENERAL, "!title The *plan* <!channel>", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "s1 is now called")
    titled = (await slack.bot_messages(GENERAL, ts))[-1]
    assert "<!channel>" not in str(titled)
    for command in ("!status", "!history", "!sessions"):
        card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, command, thread_ts=ts))
        assert "plan" in text_of(card), command
    renames = await slack.calls("agents.sessions.rename")
    assert "plan" in renames[-1]["arguments"]["title"]
    assert "s1 is called" in await slack.ephemeral_after_message("bob", GENERAL, ts, "!title")
    notice = await slack.ephemeral_after_message("bob", GENERAL, ts, f"!title {'x' * 300}")
    assert notice == session_texts.TITLE_TOO_LONG.format(most=200, length="300")


# No session yet ----------------------------------------------------------------------------------


async def test_in_a_thread_without_a_session_commands_say_so(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.say("carol", GENERAL, "lunch?")
    for command in ("status", "history", "export", "reset", "title: Lunch"):
        notice = await slack.ephemeral_after_message("bob", GENERAL, ts, f"@threadpilot {command}")
        assert session_texts.NO_SESSION in notice, command
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "@threadpilot stop")
        == session_texts.NOTHING_RUNS
    )
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "@threadpilot resume")
        == session_texts.RESUME_NONE
    )
    assert model.requests == []


# Texts that are no commands ----------------------------------------------------------------------


async def test_what_is_no_command_is_a_question(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "status of the build?")
    questions = ["!frobnicate the widget", "stop", "@threadpilot reset my password how?"]
    for number, question in enumerate(questions, start=2):
        await slack.say("bob", GENERAL, question, thread_ts=ts)
        await slack.wait_until_answered(GENERAL, ts, n=number)
    prompts = [request.prompt for request in model.requests]
    assert prompts == ["status of the build?", *questions[:2], "reset my password how?"]


async def test_a_marked_command_with_words_that_do_not_fit_gets_the_usage_hint(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    for command, usage in (
        ("status of the build", "status [s12]"),
        ("sessions everywhere", "sessions [all] [page]"),
        ("stop everything", "stop [queue]"),
        ("history of mankind", "history [s12] [page]"),
        ("export as pdf", "export [markdown|json] [s12]"),
        ("usage by shoe size", "usage [day|week|month]"),
        ("reset everything", "reset [s12]"),
    ):
        notice = await slack.ephemeral_after_message("bob", GENERAL, ts, f"!{command}")
        assert usage in notice, command
    assert (
        await slack.ephemeral_after_message("bob", GENERAL, ts, "!resume bob")
        == session_texts.RESUME_NO_HANDLE
    )
    assert len(model.requests) == 1
