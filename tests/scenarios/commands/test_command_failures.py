"""Tests commands during faults: a forged button, a locked database, Slack in trouble, a kill.

The author of a command gets its result once.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.texts import sessions as session_texts
from bot.errors import StoreError
from bot.slack import texts as slack_texts
from tests.emulator_client import BOT_USER, GENERAL, SECRET, Json
from tests.fakes import QuickClock
from tests.scenarios.conftest import Bots, ScenarioClient, text_of
from tests.scenarios.operations.test_restart import threadpilot
from tests.scripted_model import Answer, ScriptedModel


async def a_button(slack: ScenarioClient, thread_ts: str, value: Json | str) -> str:
    """The ts of a message with a button whose value the bot did not write."""
    button = {
        "type": "button",
        "action_id": "order:status:0",
        "text": {"type": "plain_text", "text": "Press me"},
        "value": value if isinstance(value, str) else json.dumps(value),
    }
    posted = await slack.as_app(
        "chat.postMessage",
        channel=GENERAL,
        thread_ts=thread_ts,
        text="A button",
        blocks=[{"type": "actions", "elements": [button]}],
    )
    return str(posted["ts"])


async def pressed(slack: ScenarioClient, person: str, thread_ts: str, value: Json | str) -> str:
    """The text that a user is shown after pressing the button."""
    ts = await a_button(slack, thread_ts, value)
    card = await slack.ephemeral_after(person, slack.press(person, GENERAL, ts, "order:status:0"))
    return text_of(card)


# Buttons -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("no JSON at all", slack_texts.OLD_BUTTON),
        ('{"v": ["reset"]}', slack_texts.OLD_BUTTON),
        ({"v": "reset", "c": "C0GENERAL", "t": "yesterday"}, slack_texts.OLD_BUTTON),
        ({"v": "status", "n": -1}, slack_texts.OLD_BUTTON),
        ({"v": "abracadabra"}, texts.OLD_BUTTON),
        ({"v": "ask", "w": "what is it?"}, texts.OLD_BUTTON),
        ({"v": "set", "w": "verbosity brief"}, texts.OLD_BUTTON),
        ({"v": "delete", "w": "s999"}, texts.NO_SUCH_SESSION),
        ({"v": "delete", "w": ""}, texts.NO_SUCH_SESSION),
        ({"v": "status", "c": "C0NOWHERE", "t": "1.000001"}, access_texts.NOT_VISIBLE),
        ({"v": "history", "w": "s1", "c": "C0NOWHERE", "t": "1.000001"}, access_texts.NOT_VISIBLE),
        ({"v": "status", "n": 12_345}, "Owner: bob"),
    ],
)
async def test_a_button_that_the_bot_did_not_draw_does_no_harm(
    bots: Bots, slack: ScenarioClient, value: Json | str, sentence: str
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    assert sentence in await pressed(slack, "bob", ts, value)
    card = await slack.ephemeral_after("bob", slack.command("bob", GENERAL, "/copilot", "sessions"))
    assert "1 to 1 of 1" in text_of(card)


async def test_a_forged_button_does_not_lend_what_its_presser_may_not(
    bots: Bots, slack: ScenarioClient
) -> None:
    await slack.call("bob", "conversations.invite", channel=SECRET, users=BOT_USER)
    await bots.start()
    secret = await slack.start_thread("bob", "the zebrafish plan", channel=SECRET)
    ts = await slack.start_thread("bob", "one")
    await slack.call("carol", "conversations.leave", channel=SECRET)
    for name in ("status", "history", "export", "fork", "stop", "title"):
        value = {"v": name, "c": SECRET, "t": secret}
        assert await pressed(slack, "carol", ts, value) == access_texts.NOT_VISIBLE, name
    for name in ("reset", "delete", "resume"):
        notice = await pressed(slack, "carol", ts, {"v": name, "w": "s2"})
        assert notice == texts.NOT_YOURS.format(command=name)
    assert await slack.files_of("carol") == []


# The database ------------------------------------------------------------------------------------


@contextmanager
def locked(data_dir: str) -> Iterator[None]:
    """While inside, another program holds a write lock on the database."""
    with closing(sqlite3.connect(f"{data_dir}/threadpilot.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


async def test_while_the_database_is_locked_a_press_and_a_command_are_reported_once_and_do_nothing(
    bots: Bots, slack: ScenarioClient
) -> None:
    async with bots.running():
        ts = await slack.start_thread("bob", "one")
        card = await slack.ephemeral_after(
            "bob", slack.say("bob", GENERAL, "!sessions", thread_ts=ts)
        )
        with locked(bots.env["DATA_DIR"]):
            notice = await slack.ephemeral_after(
                "bob", slack.press_command("bob", GENERAL, card, "reset", "s1")
            )
            assert text_of(notice) == StoreError.user_message
            given = slack.command("bob", GENERAL, "/copilot", "export s1")
            assert text_of(await slack.ephemeral_after("bob", given)) == StoreError.user_message
        given = slack.command("bob", GENERAL, "/copilot", "sessions")
        assert "1 to 1 of 1" in text_of(await slack.ephemeral_after("bob", given))
        before = len(await slack.ephemeral("bob"))
    async with bots.running():
        await slack.say("bob", GENERAL, "two", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "You said: two")
        repeated = (await slack.ephemeral("bob"))[before:]
        assert repeated == [], "a reported failure is not reported again at the next start"
    assert await slack.files_of("bob") == []


async def test_a_command_by_message_is_carried_out_when_the_database_is_back(
    bots: Bots, slack: ScenarioClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The command is not acknowledged, and Slack delivers it again."""
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    with locked(bots.env["DATA_DIR"]):
        await slack.say("bob", GENERAL, "!reset", thread_ts=ts)

        async def not_taken() -> bool:
            return "message not recorded" in caplog.text

        await slack.wait_for(not_taken, timeout=20, why="the bot could not take it")
    await slack.advance(61)
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!sessions", thread_ts=ts))
    assert "of 2," in text_of(card)


# Slack -------------------------------------------------------------------------------------------


async def test_what_came_of_a_command_is_reported_once_though_slack_takes_it_only_later(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start(QuickClock())
    ts = await slack.start_thread("bob", "one")
    await slack.fault("chat.postEphemeral", "500", times=3)
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!status", thread_ts=ts))
    assert "Owner: bob" in text_of(card)
    assert len(await slack.ephemeral("bob")) == 1


@pytest.mark.parametrize("kind", ["drop_after", "500", "drop_before"])
async def test_a_result_in_the_thread_is_posted_once(
    bots: Bots, slack: ScenarioClient, kind: str
) -> None:
    await bots.start(QuickClock())
    ts = await slack.start_thread("bob", "one")
    await slack.fault("chat.postMessage", kind, times=1)
    await slack.say("bob", GENERAL, "!reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    await slack.say("bob", GENERAL, "two", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "You said: two")
    texts_shown = await slack.bot_texts(GENERAL, ts)
    assert sum("Fresh start" in text for text in texts_shown) == 1


async def test_nothing_is_shown_while_slack_does_not_report_who_sees_a_channel(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start(QuickClock())
    ts = await slack.start_thread("bob", "one")
    await slack.fault("conversations.info", "error", error="internal_error", times=1_000)
    notice = await slack.ephemeral_after_message("carol", GENERAL, ts, "!history")
    assert "You said" not in notice
    assert "went wrong" in notice
    await slack.clear_faults()
    card = await slack.ephemeral_after(
        "carol", slack.say("carol", GENERAL, "!history", thread_ts=ts)
    )
    assert "You said: one" in text_of(card)


async def test_a_transcript_that_slack_refuses_is_reported(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start(QuickClock())
    ts = await slack.start_thread("bob", "one")
    await slack.fault("files.completeUploadExternal", "error", error="internal_error", times=1)
    assert "went wrong" in await slack.ephemeral_after_message("bob", GENERAL, ts, "!export")
    assert await slack.files_of("bob") == []
    assert "in our direct messages" in await slack.ephemeral_after_message(
        "bob", GENERAL, ts, "!export"
    )


async def test_an_event_that_slack_delivers_twice_is_one_command(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.fault("events", "duplicate", times=2)
    await slack.say("bob", GENERAL, "@threadpilot reset", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!sessions", thread_ts=ts))
    assert "of 2," in text_of(card)
    texts_shown = await slack.bot_texts(GENERAL, ts)
    assert sum("Fresh start" in text for text in texts_shown) == 1


# A kill ------------------------------------------------------------------------------------------


async def test_after_a_kill_during_a_command_its_author_is_notified_once_at_the_next_start(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    model.when("slow aside", Answer(chunks=["a ", "b"], hold_after=1))
    sentence = texts.RESTARTED.format(command="ask")
    async with threadpilot("run", env=env) as process:
        ts = await slack.start_thread("bob", "one")
        await slack.say("bob", GENERAL, "!ask a slow aside", thread_ts=ts)
        await model.reached()
        process.kill()
        await process.wait()
    model.release()
    async with threadpilot("run", env=env) as process:
        assert await slack.wait_for_ephemeral("bob") == sentence
        [notice] = await slack.ephemeral("bob")
        assert notice["thread_ts"] == ts
        process.send_signal(signal.SIGTERM)
        await process.wait()
    async with threadpilot("run", env=env):
        await slack.say("bob", GENERAL, "two", thread_ts=ts)
        await slack.until_shown(GENERAL, ts, "You said: two")
    assert [each["text"] for each in await slack.ephemeral("bob")] == [sentence]
    assert model.requests[-1].prompts == ("one", "two")
