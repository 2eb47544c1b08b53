"""Checks the data folder and the database, for `threadpilot doctor` and for each start.

It changes nothing, and works beside a running bot.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from bot.domain.checks import CheckResult
from bot.errors import StoreError
from bot.store.sqlite.connection import BUSY_TIMEOUT_SECONDS, fetch_all
from bot.store.sqlite.connection import DAMAGED as DAMAGED_AT_START
from bot.store.sqlite.data_dir import DATABASE_NAME, LOCK_NAME
from bot.store.sqlite.schema import MIGRATIONS

CHECK_SECONDS: Final = 20.0
"""Timeout, in seconds, for reading the database; a very large one is not read to its end."""
STARTUP_CHECK_SECONDS: Final = 1.0
"""Timeout, in seconds, of the same check at a start; it reads about 700 MB a second (measured)."""
MIN_FREE_BYTES: Final = 200 * 1024 * 1024
"""Minimum free space, in bytes: with less, SQLite and the sessions soon cannot write."""

NEW: Final = "There is no database yet; the bot creates one in {folder} when it starts."
GOOD: Final = "The database is intact (schema {schema}{older}), {free} free on its disk{held}."
HELD: Final = "; a bot is using it now"
OLDER: Final = ", which the next start migrates to {newest}"
NOT_WRITABLE: Final = (
    "The bot's account cannot write to {folder}. Make it the owner (chown), or choose another "
    "folder as DATA_DIR."
)
OPEN_TO_OTHERS: Final = (
    "Other accounts on this machine can read {path}, which contains messages of users. To fix it: "
    "chmod {mode} {path}"
)
NO_SPACE: Final = "Only {free} are free on the disk of {folder}. Free some space, or move DATA_DIR."
TOO_NEW: Final = (
    "The database has schema {schema}, and this Threadpilot knows schemas up to {newest}. Run the "
    "newer version, or restore a backup from before the upgrade."
)
DAMAGED: Final = (
    "The database is damaged ({why}). Stop the bot, keep a copy of {folder}, and restore a backup; "
    "without one, `sqlite3 {name} .recover` saves what can be read."
)
UNREADABLE: Final = "The database cannot be read ({why}). Check the folder {folder} and its disk."


def check_database(folder: Path, min_free_bytes: int = MIN_FREE_BYTES) -> CheckResult:
    """Check the data folder without starting the bot; `min_free_bytes` is the required free space.
    Blocks, for about 20 s at most."""
    if problem := _folder_problem(folder, min_free_bytes):
        return CheckResult(ok=False, message=problem)
    file = folder / DATABASE_NAME
    if not file.exists() or file.stat().st_size == 0:
        return CheckResult(ok=True, message=NEW.format(folder=folder))
    try:
        schema, damage = _read_schema_and_damage(file)
    except sqlite3.DatabaseError as error:
        text = (
            DAMAGED if "malformed" in str(error) or "not a database" in str(error) else UNREADABLE
        )
        return CheckResult(
            ok=False, message=text.format(why=error, folder=folder, name=DATABASE_NAME)
        )
    newest = MIGRATIONS[-1].number
    if schema > newest:
        return CheckResult(ok=False, message=TOO_NEW.format(schema=schema, newest=newest))
    if damage:
        sentence = DAMAGED.format(why=damage, folder=folder, name=DATABASE_NAME)
        return CheckResult(ok=False, message=sentence)
    sentence = GOOD.format(
        schema=schema,
        older=OLDER.format(newest=newest) if schema < newest else "",
        free=_format_size(_free_bytes(folder)),
        held=HELD if _is_in_use(folder) else "",
    )
    return CheckResult(ok=True, message=sentence)


def _folder_problem(folder: Path, min_free_bytes: int) -> str | None:
    """What is wrong with the folder, or with the place where it will be created; None if nothing
    is."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        return NOT_WRITABLE.format(folder=existing)
    if _free_bytes(existing) < min_free_bytes:
        return NO_SPACE.format(folder=existing, free=_format_size(_free_bytes(existing)))
    if existing != folder:
        return None
    for path, mode in ((folder / DATABASE_NAME, "600"), (folder / "copilot", "700")):
        # In a folder that only its owner can enter, other accounts can read nothing.
        if path.exists() and path.stat().st_mode & folder.stat().st_mode & 0o044:
            return OPEN_TO_OTHERS.format(path=path, mode=mode)
    return None


def _read_schema_and_damage(file: Path) -> tuple[int, str | None]:
    """The schema of the database, and the first damage found, or None."""
    with closing(open_read_only(file)) as database:
        (schema,) = database.execute("PRAGMA user_version").fetchone()
        return schema, find_damage(database, CHECK_SECONDS)


def open_read_only(file: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_SECONDS
    )


def find_damage(database: sqlite3.Connection, seconds: float) -> str | None:
    """The first damage found in a database within some seconds, or None."""
    until = time.monotonic() + seconds
    database.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        ((found,),) = fetch_all(database, "PRAGMA quick_check(1)")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        return None
    finally:
        database.set_progress_handler(None, 0)
    return None if found == "ok" else " ".join(str(found).split())


def check_at_startup(database: sqlite3.Connection) -> None:
    """Raise `StoreError` if the database is damaged: new data would be lost with it."""
    if found := find_damage(database, STARTUP_CHECK_SECONDS):
        raise StoreError(f"{DAMAGED_AT_START} ({found})")


def _is_in_use(folder: Path) -> bool:
    """True if a running bot has the lock of the folder."""
    try:
        with (folder / LOCK_NAME).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _format_size(count: int) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count} {unit}"
        count //= 1024
    return f"{count} GB"
