"""Faults in the middle, and user actions at awkward moments: the outcome is the same."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from bot.domain.messages import ThreadKey
from bot.errors import AGENT_ERROR_MESSAGES, AgentErrorKind, BotError
from bot.turns import processor
from bot.turns.comparison import STOPPED
from tests.emulator_client import GENERAL
from tests.fakes import OffsetClock, QuickClock
from tests.scenarios.conftest import Bots, ScenarioClient, question_of, start_busy_thread
from tests.scripted_model import Answer, ScriptedModel


async def test_a_queued_message_is_answered_even_if_another_user_joins(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    ts = await start_busy_thread(bots, slack, model)
    second = await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.wait_until_reaction_set(GENERAL, second)
    await slack.say("bob", GENERAL, "hm", thread_ts=ts)
    model.release()
    await slack.until_shown(GENERAL, ts, "You said: second")
    await slack.wait_until_reaction_cleared(GENERAL, second)


async def test_the_bot_stays_silent_if_participants_cannot_be_read(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.say("bob", GENERAL, "lunch?")
    await slack.fault("conversations.replies", "error", error="missing_scope", times=100)
    await slack.say("alice", GENERAL, "@threadpilot what is good for lunch?", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts)
    await slack.say("alice", GENERAL, "shall we go?", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, processor.UNSURE)
    await slack.clear_faults()
    await slack.say("alice", GENERAL, "@threadpilot thanks", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: thanks")
    assert [question_of(request.prompt) for request in model.requests] == [
        "what is good for lunch?",
        "thanks",
    ]


async def test_an_answer_survives_a_slack_that_accepts_nothing_for_a_while(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("first", Answer(chunks=["one ", "two"], hold_after=1))
    bots.env["SILENCE_SECONDS"] = "3600"
    await bots.start(QuickClock())
    for method in ("startStream", "appendStream", "stopStream", "postMessage", "update"):
        await slack.fault(f"chat.{method}", "500", times=10_000)
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    model.release()
    await slack.wait_for(
        lambda: has_failed_often(slack), timeout=60, why="the bot has tried to show it many times"
    )
    await slack.clear_faults()
    await slack.until_shown(GENERAL, ts, "one two", timeout=60)
    assert await slack.bot_texts(GENERAL, ts) == ["one two"]
    assert await slack.ephemeral("alice") == []
    assert len(model.requests) == 1


async def test_an_ending_that_the_database_refuses_is_shown_anyway(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """And no user is asked to repeat a question that is answered already."""
    model.when("first", Answer(chunks=["one ", "two"], hold_after=1))
    bots.env["SILENCE_SECONDS"] = "3600"
    await bots.start(QuickClock())
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    refuse_endings(bots.env["DATA_DIR"])
    model.release()
    await slack.until_shown(GENERAL, ts, "one two")
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: second")
    assert await slack.ephemeral("alice") == []


async def test_an_answer_is_shown_even_if_its_history_entry_cannot_be_saved(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    refuse(bots.env["DATA_DIR"], "INSERT ON remembered WHEN 1")
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    assert await slack.wait_until_answered(GENERAL, ts) == ["You said: first"]


def refuse_endings(data_dir: str) -> None:
    """Make the database refuse the ends of turns."""
    refuse(data_dir, "UPDATE OF outcome ON turns WHEN NEW.outcome NOT NULL")


def refuse(data_dir: str, what: str) -> None:
    """Make the database refuse this statement only."""
    with closing(sqlite3.connect(f"{data_dir}/threadpilot.db", isolation_level=None)) as database:
        database.execute(
            f"CREATE TRIGGER trouble BEFORE {what} BEGIN SELECT RAISE(ABORT, 'no'); END"
        )


@pytest.mark.parametrize("transport", ["http"], indirect=True)
@pytest.mark.usefixtures("transport")
async def test_not_ready_while_no_message_can_be_accepted(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    address = f"http://127.0.0.1:{bots.env['HTTP_PORT']}"

    async def status(path: str) -> int:
        async with slack.http.get(address + path) as answer:
            return answer.status

    assert (await status("/readyz"), await status("/healthz")) == (200, 200)
    database = sqlite3.connect(f"{bots.env['DATA_DIR']}/threadpilot.db", isolation_level=None)
    with closing(database):
        database.execute("BEGIN EXCLUSIVE")
        assert (await status("/readyz"), await status("/healthz")) == (503, 200)
        database.execute("ROLLBACK")
    assert await status("/readyz") == 200


async def test_stop_counts_from_the_first_moment(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Also while the session is being opened; the next question is answered as always."""
    model.when("first", Answer(chunks=["never shown"], hold_after=0))
    model.when("second", "You said: second")
    bot = await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    thread = ThreadKey(team="T0SANDBOX", channel=GENERAL, root_ts=ts)

    async def stopped() -> bool:
        await bot.turn_processor.stop_answer(thread, "UALICE")
        return await slack.shows(GENERAL, ts, STOPPED)

    await slack.wait_for(stopped)
    assert not await slack.shows(GENERAL, ts, "never shown")
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: second")


async def test_a_thread_without_write_access_blocks_nothing(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """A reply that can never be shown ends its turn; only its author gets a notice."""
    await bots.start()
    for method in ("startStream", "postMessage"):
        await slack.fault(f"chat.{method}", "error", error="is_archived", times=1_000)
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    assert await slack.wait_for_ephemeral("alice") == BotError.user_message
    await slack.clear_faults()
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: second")
    assert await slack.bot_texts(GENERAL, ts) == ["You said: second"]
    assert len(model.requests) == 2


async def has_failed_often(slack: ScenarioClient) -> bool:
    return len([call for call in await slack.calls() if call["status"] == 500]) >= 12


async def test_stop_works_while_the_answer_before_is_still_being_closed(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("second", Answer(chunks=["one ", "two ", "three"], hold_after=1))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await slack.fault("agents.sessions.setStatus", "slow", times=1, seconds=2)
    await slack.wait_until_answered(GENERAL, ts)
    await slack.say("alice", GENERAL, "second", thread_ts=ts)
    await model.reached()
    await slack.wait_for(lambda: slack.shows(GENERAL, ts, "one"))
    await slack.stop("alice", GENERAL, ts)
    await slack.until_shown(GENERAL, ts, STOPPED)
    assert not await slack.shows(GENERAL, ts, "three")


async def test_an_endless_answer_is_ended(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env.update(TURN_SECONDS="1000", SILENCE_SECONDS="3600")
    model.when("endless", Answer(chunks=["on and "] * 400, hold_after=3))
    clock = OffsetClock()
    await bots.start(clock)
    ts = await slack.say("alice", GENERAL, "@threadpilot endless")
    await slack.until_shown(GENERAL, ts, "on and on and ")
    await clock.pass_by(1_001)
    await slack.until_shown(GENERAL, ts, AGENT_ERROR_MESSAGES[AgentErrorKind.TIMED_OUT])
    await model.disconnected(1)
    [shown] = await slack.bot_texts(GENERAL, ts)
    assert shown.startswith("on and on and ")
