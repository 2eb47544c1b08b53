"""The database in trouble under a whole bot: what is not recorded is not acknowledged, people and
operators get clear words, and each message has its one answer once it can be had."""

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
from tests.scenarios.operations.test_restart import run, threadpilot, until_said
from tests.scripted_model import Answer, ScriptedModel
from tests.unit.store.test_crash import assert_sound

PAGE = 4096
SECONDS = 60.0


@contextmanager
def locked(folder: str) -> Iterator[sqlite3.Connection]:
    """Somebody else writes in the database, and takes their time."""
    somebody = sqlite3.connect(Path(folder) / DATABASE_NAME, isolation_level=None)
    with closing(somebody):
        somebody.execute("BEGIN IMMEDIATE")
        yield somebody
        if somebody.in_transaction:
            somebody.execute("ROLLBACK")


async def test_a_lock_that_passes_is_not_noticed(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    with locked(bots.env["DATA_DIR"]) as somebody:
        ts = await slack.say("alice", GENERAL, "@threadpilot first")
        somebody.execute("ROLLBACK")
        assert await slack.wait_until_answered(GENERAL, ts) == ["You said: first"]
    assert await slack.ephemeral("alice") == []


@pytest.mark.usefixtures("transport")
async def test_what_a_lock_keeps_off_the_record_is_not_acknowledged_and_answered_later(
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
    assert len(await slack.ephemeral("alice")) == 1, "told once, however often it was brought"
    assert len(model.requests) == 1
    await bots.close()
    assert_sound(Path(bots.env["DATA_DIR"]))


async def receive_before_its_thread(
    bots: Bots, slack: ScenarioClient, caplog: pytest.LogCaptureFixture
) -> str:
    """Alice's mention, which cannot be recorded as long as Slack brings it at once, and two more
    words of hers in its thread, which are heard after that; the thread. Slack is to bring the
    mention again in a minute."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.DEBUG, "bot.turns.inbox")

    async def brought_twice() -> bool:
        """As two events, each at first and again at once."""
        return caplog.text.count("a message could not be recorded") >= 4

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

        await slack.wait_for(overheard, why=f"{text!r} is heard")
    assert await slack.bot_texts(GENERAL, root) == []
    return root


ALL_THREE = ["You said: first", "You said: second", "You said: third"]


@pytest.mark.usefixtures("transport")
async def test_what_was_received_before_the_mention_that_it_follows_is_answered_after_it(
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


async def test_it_is_answered_after_a_restart_where_slack_does_not_give_it_before(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    async def given_up() -> bool:
        return "what was missed is not read yet" in caplog.text

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


async def test_it_is_answered_when_slack_gives_it_later(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a restart, and although all else was heard."""

    async def put_off() -> bool:
        return "what was missed is not read yet" in caplog.text

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
    """The ending cannot be put on record for a while; what is shown is the answer, once."""

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


async def test_a_command_that_the_database_does_not_take_is_reported(
    bots: Bots, slack: ScenarioClient
) -> None:
    bots.env["ADMIN_USERS"] = "UALICE"
    await bots.start()
    with locked(bots.env["DATA_DIR"]):
        await slack.command("alice", GENERAL, "/copilot", "admin pause")
        assert await slack.wait_for_ephemeral("alice") == StoreError.user_message
    assert not bots.bot.inbox.paused


async def test_a_disk_that_is_full_for_a_while_loses_and_doubles_nothing(
    env: dict[str, str], slack: ScenarioClient, model: ScriptedModel
) -> None:
    """The disk of the real process: whatever it writes beyond this size is refused."""
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
        _, said = await process.communicate()
    assert process.returncode == 0
    assert "a message could not be recorded, Slack will bring it again" in said.decode()
    assert "Traceback" not in said.decode()
    assert len(model.requests) == 2
    assert_sound(folder)


async def test_a_database_moved_away_under_the_bot_takes_no_message_that_would_be_lost(
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
        _, said = await process.communicate()
    assert connection.MOVED in said.decode()
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
    ("damage", "words"),
    [
        (newer, "run the newer version that wrote it, or restore a backup"),
        (garbled, connection.DAMAGED),
        (torn, connection.DAMAGED),
        (a_folder, "cannot be opened for writing"),
    ],
)
async def test_a_database_that_cannot_be_used_ends_the_start_with_what_to_do(
    env: dict[str, str], slack: ScenarioClient, damage: object, words: str
) -> None:
    assert callable(damage)
    file = await left_by_a_bot(env)
    damage(file)
    calls = len(await slack.calls("apps.connections.open"))
    status, said = await run("run", env=env)
    assert status == 1
    assert words in said
    assert "threadpilot doctor" in said
    assert "Traceback" not in said
    assert len(await slack.calls("apps.connections.open")) == calls, "nothing may be heard"


async def test_a_database_that_is_locked_at_the_start_is_waited_for(
    env: dict[str, str], slack: ScenarioClient
) -> None:
    """It says once what to do; and while nothing can be recorded, nothing is heard."""
    await left_by_a_bot(env)
    with locked(env["DATA_DIR"]) as somebody:
        async with threadpilot("run", env=env, until=connection.LOCKED) as process:
            assert await slack.calls("apps.connections.open") == []
            somebody.execute("ROLLBACK")
            said = await until_said(process, READY)
            assert connection.LOCKED not in said
            assert "start continues: the database is available" in said
            await slack.ask_in_new_thread("alice", "first")
            process.send_signal(signal.SIGTERM)
            _, rest = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0
    assert "Traceback" not in said + rest.decode()
    assert_sound(Path(env["DATA_DIR"]))
