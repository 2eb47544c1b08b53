"""Faults of the database under a whole bot.

A message that is not recorded is not acknowledged. Users and operators get clear texts, and each
message gets one answer once that is possible.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bot.cli.run import READY
from bot.clock import SystemClock
from bot.errors import StoreError
from bot.store import open_store
from bot.store.sqlite import connection
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.schema import MIGRATIONS
from bot.turns.inbox import NOT_SAVED
from tests.emulator_client import GENERAL
from tests.fakes import QuickClock
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scenarios.operations.test_restart import run, threadpilot, wait_for_output
from tests.scripted_model import Answer, ScriptedModel
from tests.unit.store.test_crash import assert_sound

PAGE = 4096
SECONDS = 60.0


@contextmanager
def locked(folder: str) -> Iterator[sqlite3.Connection]:
    """Another process writes in the database, slowly."""
    other = sqlite3.connect(Path(folder) / DATABASE_NAME, isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        yield other
        if other.in_transaction:
            other.execute("ROLLBACK")


async def test_a_short_lock_is_not_noticed(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    with locked(bots.env["DATA_DIR"]) as other:
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        other.execute("ROLLBACK")
        assert await slack.wait_until_answered(GENERAL, ts) == ["You said: first"]
    assert await slack.ephemeral("alice") == []


@pytest.mark.usefixtures("transport")
async def test_a_message_that_a_lock_keeps_unrecorded_is_answered_later(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    with locked(bots.env["DATA_DIR"]):
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        await slack.wait_for_ephemeral_text("alice", NOT_SAVED, timeout=SECONDS)
        assert await slack.bot_texts(GENERAL, ts) == []
        assert model.requests == []
    for wait in (61, 301):
        await slack.advance(wait)
    await slack.until_shown(GENERAL, ts, "You said: first", timeout=SECONDS)
    await slack.until_idle(bots.bot)
    assert await slack.bot_texts(GENERAL, ts) == ["You said: first"]
    assert len(await slack.ephemeral("alice")) == 1, "notified once, for any number of deliveries"
    assert len(model.requests) == 1
    await bots.close()
    assert_sound(Path(bots.env["DATA_DIR"]))


async def receive_before_its_thread(
    bots: Bots, slack: ScenarioClient, caplog: pytest.LogCaptureFixture
) -> str:
    """Alice's mention, which cannot be recorded while Slack first delivers it, and two follow-ups,
    which are received after it. Returns the thread. Slack redelivers the mention in a minute."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "bot.turns.inbox")

    async def brought_twice() -> bool:
        """As two events, each at first and again at once."""
        return caplog.text.count("message not recorded") >= 4

    with locked(bots.env["DATA_DIR"]):
        root = await slack.say("alice", GENERAL, "@threadpilot first")
        await slack.wait_for(brought_twice, SECONDS, "the mention meets the lock")
    for text in ("second", "third"):
        ts = await slack.say("alice", GENERAL, text, thread_ts=root)

        async def overheard(ts: str = ts) -> bool:
            return any(
                f" ts={ts} " in line and line.endswith("status=overheard")
                for line in caplog.messages
            )

        await slack.wait_for(overheard, why=f"{text!r} is received")
    assert await slack.bot_texts(GENERAL, root) == []
    return root


ALL_THREE = ["You said: first", "You said: second", "You said: third"]


@pytest.mark.usefixtures("transport")
async def test_a_follow_up_received_before_its_mention_is_answered_after_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    await bots.start()
    root = await receive_before_its_thread(bots, slack, caplog)
    for wait in (61, 301):
        await slack.advance(wait)
    await slack.until_shown(GENERAL, root, ALL_THREE[-1], timeout=SECONDS)
    await slack.until_idle(bots.bot)
    assert await slack.bot_texts(GENERAL, root) == ALL_THREE
    assert len(model.requests) == len(ALL_THREE)
    await bots.close()
    assert_sound(Path(bots.env["DATA_DIR"]))


async def test_it_is_answered_after_a_restart_if_slack_does_not_redeliver_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    async def given_up() -> bool:
        return "gap not filled yet" in caplog.text

    async with bots.running(QuickClock()) as bot:
        root = await receive_before_its_thread(bots, slack, caplog)
        await slack.fault("conversations.replies", "500", times=1_000)
        await slack.advance(61)
        await slack.until_shown(GENERAL, root, ALL_THREE[0], timeout=SECONDS)
        await slack.wait_for(given_up, SECONDS, "the thread cannot be read")
        await slack.until_idle(bot)
        assert await slack.bot_texts(GENERAL, root) == ALL_THREE[:1]
    await slack.clear_faults()
    assert "Traceback" not in caplog.text
    bot = await bots.start()
    await slack.until_shown(GENERAL, root, ALL_THREE[-1], timeout=SECONDS)
    await slack.until_idle(bot)
    assert await slack.bot_texts(GENERAL, root) == ALL_THREE
    assert len(model.requests) == len(ALL_THREE)


async def test_it_is_answered_when_slack_redelivers_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a restart, and although all else was received."""

    async def put_off() -> bool:
        return "gap not filled yet" in caplog.text

    bot = await bots.start(QuickClock())
    root = await receive_before_its_thread(bots, slack, caplog)
    await slack.fault("conversations.replies", "500", times=1_000)
    await slack.advance(61)
    await slack.until_shown(GENERAL, root, ALL_THREE[0], timeout=SECONDS)
    await slack.wait_for(put_off, SECONDS, "it is left for later")
    await slack.until_idle(bot)
    assert await slack.bot_texts(GENERAL, root) == ALL_THREE[:1]
    await slack.clear_faults()
    await slack.until_shown(GENERAL, root, ALL_THREE[-1], timeout=SECONDS)
    await slack.until_idle(bot)
    assert await slack.bot_texts(GENERAL, root) == ALL_THREE
    assert len(model.requests) == len(ALL_THREE)


async def test_a_lock_in_the_middle_of_an_answer_changes_nothing_of_it(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """The end of the turn cannot be recorded for a while; the answer is shown once."""

    async def is_late() -> bool:
        return "result not recorded yet" in caplog.text

    model.when("first", Answer(chunks=["one ", "two"], hold_after=1))
    await bots.start()
    ts = await slack.say("alice", GENERAL, "@threadpilot first")
    await model.reached()
    await slack.until_shown(GENERAL, ts, "one")
    with locked(bots.env["DATA_DIR"]):
        model.release()
        await slack.wait_for(is_late, SECONDS, "the ending meets the lock")
    assert await slack.wait_until_answered(GENERAL, ts) == ["one two"]
    await slack.until_idle(bots.bot)
    assert await slack.bot_texts(GENERAL, ts) == ["one two"]


async def test_a_command_that_the_database_refuses_is_reported(
    bots: Bots, slack: ScenarioClient
) -> None:
    bots.env["ADMIN_USERS"] = "UALICE"
    await bots.start()
    with locked(bots.env["DATA_DIR"]):
        await slack.command("alice", GENERAL, "/copilot", "admin pause")
        assert await slack.wait_for_ephemeral("alice") == StoreError.user_message
    assert not bots.bot.inbox.paused


async def test_a_full_disk_loses_and_repeats_nothing(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The disk of the real process: writes beyond this size are refused."""
    folder = Path(env["DATA_DIR"])
    async with threadpilot("run", env=env) as process:
        first = await slack.say("alice", GENERAL, "@threadpilot before")
        await slack.wait_until_answered(GENERAL, first)
        old = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (PAGE, old[1]))
        ts = await slack.say("alice", GENERAL, "@threadpilot during")
        await slack.wait_for_ephemeral_text("alice", NOT_SAVED, timeout=SECONDS)
        assert await slack.bot_texts(GENERAL, ts) == []
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, old)
        for wait in (61, 301):
            await slack.advance(wait)
        await slack.until_shown(GENERAL, ts, "You said: during", timeout=SECONDS)
        await slack.wait_until_answered(GENERAL, ts)
        assert await slack.bot_texts(GENERAL, ts) == ["You said: during"]
        process.send_signal(signal.SIGTERM)
        _, output = await process.communicate()
    assert process.returncode == 0
    assert "message not recorded, Slack repeats it" in output.decode()
    assert "Traceback" not in output.decode()
    assert len(model.requests) == 2
    assert_sound(folder)


async def test_a_moved_database_accepts_no_message(
    env: dict[str, str], slack: ScenarioClient
) -> None:
    file = Path(env["DATA_DIR"]) / DATABASE_NAME
    async with threadpilot("run", env=env) as process:
        file.rename(file.with_name("away"))
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        await slack.wait_for_ephemeral_text("alice", NOT_SAVED, timeout=SECONDS)
        file.with_name("away").rename(file)
        for wait in (61, 301):
            await slack.advance(wait)
        await slack.until_shown(GENERAL, ts, "You said: first", timeout=SECONDS)
        process.send_signal(signal.SIGTERM)
        _, output = await process.communicate()
    assert connection.MOVED in output.decode()
    assert_sound(file.parent)


# At the start


async def left_by_a_bot(env: dict[str, str]) -> Path:
    """The database of a bot that was stopped."""
    async with open_store(Path(env["DATA_DIR"]), clock=SystemClock(), max_running_per_user=2):
        pass
    return Path(env["DATA_DIR"]) / DATABASE_NAME


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {MIGRATIONS[-1].number + 1}")


def garbled(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"garbage!" * 8)


def torn(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(2 * PAGE)
        opened.write(b"\xff" * PAGE)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (newer, "run the newer version that wrote it, or restore a backup"),
        (garbled, connection.DAMAGED),
        (torn, connection.DAMAGED),
        (a_folder, "cannot be opened for writing"),
    ],
)
async def test_an_unusable_database_ends_the_start_with_instructions(
    env: dict[str, str], slack: ScenarioClient, damage: object, expected: str
) -> None:
    assert callable(damage)
    file = await left_by_a_bot(env)
    damage(file)
    calls = len(await slack.calls("apps.connections.open"))
    status, output = await run("run", env=env)
    assert status == 1
    assert expected in output
    assert "threadpilot doctor" in output
    assert "Traceback" not in output
    assert len(await slack.calls("apps.connections.open")) == calls, "no event may be received"


async def test_a_database_that_is_locked_at_the_start_is_waited_for(
    env: dict[str, str], slack: ScenarioClient
) -> None:
    """The bot prints once what to do. It receives nothing while nothing can be recorded."""
    await left_by_a_bot(env)
    with locked(env["DATA_DIR"]) as other:
        async with threadpilot("run", env=env, until=connection.LOCKED) as process:
            assert await slack.calls("apps.connections.open") == []
            other.execute("ROLLBACK")
            output = await wait_for_output(process, READY)
            assert connection.LOCKED not in output
            assert "start continues: the database is available" in output
            await slack.ask_in_new_thread("alice", "first")
            process.send_signal(signal.SIGTERM)
            _, rest = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0
    assert "Traceback" not in output + rest.decode()
    assert_sound(Path(env["DATA_DIR"]))
