"""Tests `threadpilot audit verify` as its own process, also while the bot has the database open."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
from asyncio.subprocess import PIPE
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli import texts
from bot.cli.main import main
from bot.domain.checks import CheckResult
from bot.store import open_store
from bot.store.sqlite import audit_verify
from bot.store.sqlite.audit_verify import verify_audit
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.migrations.v1_turns import V1
from bot.store.sqlite.migrations.v2_sessions import V2
from bot.store.sqlite.schema import MIGRATIONS, migrate
from tests import forked_processes
from tests.fakes import ManualClock

SECONDS = 60.0


@dataclass(frozen=True)
class CommandOutput:
    """What the command said, and how it ended."""

    status: int
    out: str
    err: str


async def run_audit_verify(data: Path, *arguments: str, **settings: str) -> CommandOutput:
    """`threadpilot audit verify`, with nothing set but the folder."""
    home = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await forked_processes.start(
        main,
        "audit",
        "verify",
        *arguments,
        cwd=data.parent,
        env={**home, "DATA_DIR": str(data), **settings},
        stdout=PIPE,
        stderr=PIPE,
    )
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err
    return CommandOutput(process.returncode, out.decode(), err.decode())


async def three_acts(data: Path) -> None:
    async with open_store(data, clock=ManualClock(), max_running_per_user=2) as store:
        for number in range(1, 4):
            await store.add_audit_entry("UADA", "delete", f"s{number}", "of UBOB")


def by_hand(data: Path, *statements: str) -> None:
    """Change the database like an attacker who can write the file and knows the triggers."""
    with closing(sqlite3.connect(data / DATABASE_NAME, isolation_level=None)) as database:
        for trigger in ("changed", "deleted", "replaced"):
            database.execute(f"DROP TRIGGER IF EXISTS audit_is_not_{trigger}")
        for statement in statements:
            database.execute(statement)


async def test_an_unchanged_audit_is_intact_and_prints_the_hash_to_keep(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await three_acts(data)
    result = await run_audit_verify(data)
    found = re.search(r"--expect ([0-9a-f]{64})", result.out)
    assert found is not None, result
    assert result == CommandOutput(
        0, audit_verify.WHOLE.format(count=3, newest=found[1]) + "\n", ""
    )
    async with open_store(data, clock=ManualClock(), max_running_per_user=2) as store:
        await store.add_audit_entry("UADA", "admin pause", "")
        # The bot has the folder open, and its last entry is visible.
        later = await run_audit_verify(data, "--expect", found[1], LOG_LEVEL="nonsense")
    assert later.status == 0
    assert "4 entries" in later.out
    assert audit_verify.EXPECTED in later.out


async def test_the_first_entry_that_does_not_fit_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    await three_acts(data)
    by_hand(data, "UPDATE audit SET by = 'UEVE' WHERE id = 2")
    assert await run_audit_verify(data) == CommandOutput(
        1, "", audit_verify.CHANGED.format(number=2, count=1) + "\n"
    )
    by_hand(data, "DELETE FROM audit WHERE id = 1")
    assert await run_audit_verify(data) == CommandOutput(
        1, "", audit_verify.GONE.format(number=1, count=0) + "\n"
    )


async def test_what_is_no_hash_is_refused_with_2(tmp_path: Path) -> None:
    result = await run_audit_verify(tmp_path / "data", "--expect", "abc")
    assert result.status == 2
    assert texts.BAD_HASH in result.err


# What it finds in other folders, without the process around it


async def test_what_was_cut_off_without_a_trace_is_seen_by_the_hash_that_was_kept(
    tmp_path: Path,
) -> None:
    await three_acts(tmp_path)
    found = re.search(r"--expect ([0-9a-f]{64})", verify_audit(tmp_path).message)
    assert found is not None
    by_hand(tmp_path, "DELETE FROM audit WHERE id = 3", "UPDATE sqlite_sequence SET seq = 2")
    assert verify_audit(tmp_path).ok
    result = verify_audit(tmp_path, found[1])
    assert result == CheckResult(ok=False, message=audit_verify.NOT_EXPECTED.format(count=2))


async def test_an_empty_audit_is_whole(tmp_path: Path) -> None:
    async with open_store(tmp_path, clock=ManualClock(), max_running_per_user=2):
        pass
    assert verify_audit(tmp_path) == CheckResult(ok=True, message=audit_verify.EMPTY)
    unknown = "0" * 64
    assert verify_audit(tmp_path, unknown).message == audit_verify.NOT_EXPECTED.format(count=0)


@pytest.mark.parametrize(
    ("schema", "text"),
    [(2, audit_verify.NOT_CHAINED), (MIGRATIONS[-1].number + 1, audit_verify.TOO_NEW)],
)
def test_a_database_of_another_version_is_distinguished_from_a_bad_one(
    tmp_path: Path, schema: int, text: str
) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        migrate(database, (V1, V2))
        database.execute(f"PRAGMA user_version = {schema}")
    assert verify_audit(tmp_path) == CheckResult(ok=False, message=text.format(schema=schema))


def test_no_database_and_what_is_none_are_reported(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert verify_audit(data) == CheckResult(
        ok=False, message=audit_verify.NO_DATABASE.format(folder=data)
    )
    assert not data.exists(), "it only looks"
    data.mkdir()
    (data / DATABASE_NAME).write_text("Dear diary, " * 500)
    result = verify_audit(data)
    assert not result.ok
    assert "the database is damaged" in result.message
