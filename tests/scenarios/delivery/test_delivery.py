"""Slack shows exactly the model's text, by every way of delivery."""

from __future__ import annotations

import logging

import pytest

from tests.emulator_client import GENERAL
from tests.fakes import ManualClock, QuickClock
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scripted_model import Answer, ScriptedModel


def a_long_answer(characters: int) -> str:
    lines = [f"Line {n:05} of a long answer, in plain words." for n in range(characters // 40)]
    return "\n".join(lines)[:characters].rstrip()


async def test_an_answer_of_more_than_12000_characters_goes_on_in_a_new_message(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    text = a_long_answer(30_000)
    model.default = Answer(text)
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot tell me everything")
    await slack.wait_until_answered(GENERAL, ts, n=3)
    shown = await slack.bot_texts(GENERAL, ts)
    assert len(shown) == 3
    assert all(len(part) <= 12_000 for part in shown)
    assert "\n".join(part.strip("\n") for part in shown) == text


async def test_an_answer_of_5_mb_is_posted_as_its_beginning_and_a_file(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    text = a_long_answer(5_000_000)
    model.default = Answer(text)
    bots.env["SILENCE_SECONDS"] = "3600"
    await bots.start(QuickClock())
    ts = await slack.say("alice", GENERAL, "@threadpilot tell me everything there is")
    await slack.until_shown(GENERAL, ts, "All of it is in the file", timeout=60)
    messages = await slack.bot_messages(GENERAL, ts)
    (file,) = [file for message in messages for file in message.get("files", [])]
    headers = {"Authorization": "Bearer xoxp-alice"}
    async with slack.http.get(file["url_private"], headers=headers) as answer:
        assert await answer.text() == text
    shown = "".join(str(message["text"]) for message in messages if not message.get("files"))
    assert text.startswith(shown.rpartition("\n\n_This is only")[0])
    assert len(messages) <= 13


async def test_a_code_block_is_closed_and_opened_again_where_the_answer_rolls_over(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    code = "\n".join(f"print({n})  # a line of code" for n in range(800))
    model.default = Answer(f"Here you are:\n\n```python\n{code}\n```\n\nThat is all.")
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot write it")
    await slack.until_shown(GENERAL, ts, "That is all.")
    shown = await slack.bot_texts(GENERAL, ts)
    assert len(shown) >= 2
    for part in shown:
        assert part.count("```") % 2 == 0
    assert shown[1].startswith("```python\n")
    lines = [line for part in shown for line in part.splitlines() if line.startswith("print")]
    assert lines == code.splitlines()


async def test_a_stream_that_slack_ended_is_completed_by_an_edit(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Slack ends a stream after about five minutes, also an active one."""
    model.default = Answer(chunks=["Before. ", "After."], hold_after=1)
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot slowly")
    await model.reached()
    await slack.until_shown(GENERAL, ts, "Before.")
    await slack.advance(301)
    model.release()
    await slack.until_shown(GENERAL, ts, "After.")
    await slack.wait_until_answered(GENERAL, ts)
    assert "".join(await slack.bot_texts(GENERAL, ts)) == "Before. After."


async def test_a_stream_is_left_for_a_new_message_before_slack_ends_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    clock = ManualClock()
    bots.env["SILENCE_SECONDS"] = "3600"
    model.default = Answer(chunks=["Before. ", "After."], hold_after=1)
    await bots.start(clock)
    ts = await slack.say("alice", GENERAL, "@threadpilot slowly")
    await model.reached()
    await slack.until_shown(GENERAL, ts, "Before.")
    await clock.advance(245)
    await slack.wait_for(lambda: has_called(slack, "chat.stopStream"))
    model.release()
    await slack.wait_for(lambda: moving_on(clock, slack, ts))
    assert [text.strip() for text in await slack.bot_texts(GENERAL, ts)] == ["Before.", "After."]
    assert all(call["answer"]["ok"] for call in await slack.calls("chat.stopStream"))


async def moving_on(clock: ManualClock, slack: ScenarioClient, ts: str) -> bool:
    """Let the bot's time pass until the answer is complete."""
    await clock.advance(1)
    shown = await slack.bot_messages(GENERAL, ts)
    states = [message.get("streaming", {}).get("state") for message in shown]
    return len(shown) == 2 and "streaming" not in states


async def has_called(slack: ScenarioClient, method: str) -> bool:
    return bool(await slack.calls(method))


async def test_where_slack_refuses_streams_a_message_is_posted_and_edited(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer(chunks=["One. ", "Two. ", "Three."], chunk_delay=0.05)
    await slack.fault(method="chat.startStream", kind="error", error="feature_disabled", times=99)
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot count")
    await slack.until_shown(GENERAL, ts, "Three.")
    assert await slack.bot_texts(GENERAL, ts) == ["One. Two. Three."]


async def test_an_answer_to_several_people_is_edited_and_the_choice_is_logged(
    bots: Bots, slack: ScenarioClient, caplog: pytest.LogCaptureFixture
) -> None:
    await bots.start()
    with caplog.at_level(logging.INFO, logger="bot"):
        ts = await slack.say("alice", GENERAL, "@threadpilot one")
        await slack.wait_until_answered(GENERAL, ts)
        assert "delivery=stream" in caplog.text
        await slack.say("bob", GENERAL, "@threadpilot two", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "You said: two")
        await slack.wait_until_answered(GENERAL, ts, n=2)
    assert "delivery=edits" in caplog.text
    assert len(await slack.calls("chat.startStream")) == 1


@pytest.mark.parametrize("several", [False, True])
async def test_the_model_cannot_ping_users(
    several: bool, bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Not in one piece, not split over two, not in a stream and not in an edited message."""
    hostile = "Hey <!channel> <!here|x> <@UALICE> <#C0DEV> <!subteam^S1> @here @everyone. `<b>` ok"
    model.default = Answer(chunks=[*hostile])
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot hello")
    await slack.wait_until_answered(GENERAL, ts)
    if several:
        await slack.say("bob", GENERAL, "@threadpilot hello", thread_ts=ts)
        await slack.wait_for(lambda: both_are_complete(slack, ts))
    for text in await slack.bot_texts(GENERAL, ts):
        assert text.replace("\u2060", "") == hostile
    for call in await slack.calls():
        sent = str(call["arguments"]) if str(call["method"]).startswith("chat.") else ""
        for live in ("<!", "<@U", "<#C", "@here", "@everyone"):
            assert live not in sent


async def both_are_complete(slack: ScenarioClient, ts: str) -> bool:
    shown = await slack.bot_texts(GENERAL, ts)
    return len(shown) == 2 and all(text.endswith("ok") for text in shown)


async def test_the_text_of_a_model_call_that_was_retried_is_not_shown(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.default = Answer("The answer is 42.")
    model.when("question", Answer(chunks=["A half ", "sentence"], fault="cut", times=1))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot question")
    await slack.until_shown(GENERAL, ts, "42")
    await slack.wait_until_answered(GENERAL, ts)
    assert await slack.bot_texts(GENERAL, ts) == ["The answer is 42."]
