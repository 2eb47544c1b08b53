"""Checks that a change of any audit entry is found, and which one it was."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.store import open_store
from bot.store.sqlite.audit import ChainBreak, append_entry, verify_chain
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.schema import migrate
from tests.fakes import ManualClock

TRIGGERS = ("audit_is_not_changed", "audit_is_not_deleted", "audit_is_not_replaced")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """Five entries, and no trigger that prevents a change."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrate(database)
        for number in range(1, 6):
            append_entry(
                database, 1_790_000_000.0 + number, "UADA", "delete", f"s{number}", "of UBOB"
            )
        for trigger in TRIGGERS:
            database.execute(f"DROP TRIGGER {trigger}")
        yield database


def hashes(database: sqlite3.Connection) -> list[str]:
    return [row[0] for row in database.execute("SELECT hash FROM audit ORDER BY id")]


def test_untouched_it_holds_to_its_newest_entry(database: sqlite3.Connection) -> None:
    chain = verify_chain(database)
    assert (chain.valid_count, chain.first_break) == (5, None)
    assert chain.newest_hash == hashes(database)[-1]


def test_the_encoding_is_what_its_description_says(database: sqlite3.Connection) -> None:
    """Recorded hashes would not fit another encoding."""
    append_entry(database, 1_790_000_009.5, "UADA", "model", "größer", 'a "word"')
    *_, before, newest = hashes(database)
    text = f'["{before}",6,1790000009.5,"UADA","model","gr\\u00f6\\u00dfer","a \\"word\\""]'
    assert newest == hashlib.sha256(text.encode("ascii")).hexdigest()
    first = '["",1,1790000001.0,"UADA","delete","s1","of UBOB"]'
    assert hashes(database)[0] == hashlib.sha256(first.encode("ascii")).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        "at = at + 0.001",
        "by = 'UEVE'",
        "act = 'retention'",
        "target = 's4'",
        "detail = ''",
        "detail = CAST(x'ff' AS TEXT)",
        "hash = replace(hash, substr(hash, 1, 4), 'beef')",
    ],
)
@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_change_of_any_column_is_found(
    database: sqlite3.Connection, change: str, number: int
) -> None:
    database.execute(f"UPDATE audit SET {change} WHERE id = ?", (number,))  # noqa: S608  # constants
    chain = verify_chain(database)
    assert (chain.valid_count, chain.first_break) == (number - 1, ChainBreak.CHANGED)


def test_an_entry_with_another_number_is_missed_where_it_stood(
    database: sqlite3.Connection,
) -> None:
    database.execute("UPDATE audit SET id = 9 WHERE id = 3")
    assert verify_chain(database).first_break is ChainBreak.GONE
    assert verify_chain(database).valid_count == 2


@pytest.mark.parametrize("number", [1, 3])
def test_an_entry_that_was_taken_out_is_missed(database: sqlite3.Connection, number: int) -> None:
    database.execute("DELETE FROM audit WHERE id = ?", (number,))
    chain = verify_chain(database)
    assert (chain.valid_count, chain.first_break) == (number - 1, ChainBreak.GONE)


def test_closing_the_ranks_does_not_hide_what_was_taken_out(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM audit WHERE id = 3")
    database.execute("UPDATE audit SET id = 3 WHERE id = 4")
    database.execute("UPDATE audit SET id = 4 WHERE id = 5")
    chain = verify_chain(database)
    assert (chain.valid_count, chain.first_break) == (2, ChainBreak.CHANGED)


def test_two_entries_that_changed_places_are_found(database: sqlite3.Connection) -> None:
    for one, other in ((2, -1), (3, 2), (-1, 3)):
        database.execute("UPDATE audit SET id = ? WHERE id = ?", (other, one))
    assert verify_chain(database).valid_count == 1


def test_an_entry_whose_own_hash_was_recreated_no_longer_bears_the_next_one(
    database: sqlite3.Connection,
) -> None:
    text = f'["{hashes(database)[1]}",3,1790000003.0,"UEVE","delete","s3","of UBOB"]'
    recomputed = hashlib.sha256(text.encode("ascii")).hexdigest()
    database.execute("UPDATE audit SET by = 'UEVE', hash = ? WHERE id = 3", (recomputed,))
    chain = verify_chain(database)
    assert (chain.valid_count, chain.first_break) == (3, ChainBreak.CHANGED)


def test_an_end_that_was_cut_off_is_missed(database: sqlite3.Connection) -> None:
    """SQLite itself keeps the highest number."""
    database.execute("DELETE FROM audit WHERE id > 3")
    chain = verify_chain(database)
    assert (chain.valid_count, chain.first_break) == (3, ChainBreak.GONE)
    append_entry(database, 1_790_000_100.0, "UADA", "admin pause", "", "")
    assert (verify_chain(database).valid_count, verify_chain(database).first_break) == (
        3,
        ChainBreak.GONE,
    )


def test_an_end_cut_off_without_a_trace_is_missed_by_who_kept_the_hash(
    database: sqlite3.Connection,
) -> None:
    kept = verify_chain(database).newest_hash
    assert verify_chain(database, kept).has_expected
    database.execute("DELETE FROM audit WHERE id > 3")
    database.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'audit'")
    assert verify_chain(database).first_break is None
    assert not verify_chain(database, kept).has_expected
    assert verify_chain(database, hashes(database)[1]).has_expected


def test_an_empty_audit_holds() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrate(database)
        chain = verify_chain(database)
        assert (chain.valid_count, chain.newest_hash, chain.first_break) == (0, "", None)
        append_entry(database, 1.0, "UADA", "admin pause", "", "")
        assert verify_chain(database).valid_count == 1


def test_adding_costs_the_same_however_much_is_on_it(database: sqlite3.Connection) -> None:
    """By steps of SQLite's virtual machine, which do not depend on the load."""

    def steps() -> int:
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        database.set_progress_handler(count, 1)
        append_entry(database, 1.0, "UADA", "delete", "s1", "of UBOB")
        database.set_progress_handler(None, 0)
        return counted

    few = steps()
    database.execute("BEGIN")
    for _ in range(3_000):
        append_entry(database, 1.0, "UADA", "delete", "s1", "of UBOB")
    database.execute("COMMIT")
    assert steps() <= few + 5
    begun = time.process_time()
    assert verify_chain(database).valid_count == 3_007
    assert time.process_time() - begun < 5.0


async def test_the_chain_holds_over_restarts_and_among_many_who_write(tmp_path: Path) -> None:
    for _ in range(3):
        async with open_store(tmp_path, clock=ManualClock(), max_running_per_user=2) as store:
            outcomes = await asyncio.gather(
                *(
                    store.add_audit_entry(f"U{number}", "delete", "s\ud83d\0", "ü")
                    for number in range(40)
                )
            )
            assert len(outcomes) == 40
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        chain = verify_chain(database)
    assert (chain.valid_count, chain.first_break) == (120, None)


async def test_a_write_that_is_undone_leaves_no_gap(tmp_path: Path) -> None:
    async with open_store(tmp_path, clock=ManualClock(), max_running_per_user=2) as store:
        await store.add_audit_entry("UADA", "admin pause", "")
        with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as operator:
            operator.execute(
                "CREATE TRIGGER full AFTER INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
            with pytest.raises(Exception, match="full"):
                await store.add_audit_entry("UADA", "admin resume", "")
            operator.execute("DROP TRIGGER full")
        await store.add_audit_entry("UADA", "admin resume", "")
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        chain = verify_chain(database)
    assert (chain.valid_count, chain.first_break) == (2, None)
