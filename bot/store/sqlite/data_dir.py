"""The data folder: made private, and held by one process at a time.

Two processes on one database would both take back what the other is answering. The lock goes with
the process, however that ends; a lock file left lying there holds nobody up.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.errors import DataFolderInUse, StoreError

log = logging.getLogger(__name__)

DATABASE_NAME = "threadpilot.db"
LOCK_NAME = "threadpilot.lock"


@contextmanager
def locked_data_dir(folder: Path) -> Iterator[Path]:
    """Hold the data folder and yield the database file in it; both are made when missing,
    readable by their owner alone.

    Raises `DataFolderInUse` when another process holds it, `StoreError` when it cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _restrict_to_owner(folder)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"the data folder {folder} cannot be used ({error.strerror}): "
            "DATA_DIR must be a folder that the bot's own account may write to"
        ) from error
    try:
        _acquire_lock(lock, folder)
        yield _ensure_private_file(folder / DATABASE_NAME)
    finally:
        os.close(lock)


def _acquire_lock(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise StoreError(f"the data folder {folder} cannot be locked: {error}") from error
        holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        raise DataFolderInUse(
            f"the data folder {folder} is in use by another Threadpilot (process {holder}): "
            "stop that one first, or give this one a DATA_DIR of its own"
        ) from error
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        # On a full disk the bot shall still start where it can: the number only helps people.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(f"the data folder {folder} cannot be written: {error}") from error


def _restrict_to_owner(path: Path) -> None:
    """Take from everybody else what rights they have to what was there before, where that can be:
    not every file system knows rights, and not every folder is the account's own."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        try:
            path.chmod(mode & ~0o077)
        except OSError as error:
            log.warning("%s can be read by others: %s", path, error.strerror)


def _ensure_private_file(path: Path) -> Path:
    """The database holds what people wrote: SQLite would make it readable for everybody, and
    gives its side files the rights that it has."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        for part in ("", "-wal", "-shm"):
            kept = path.with_name(path.name + part)
            if kept.exists():
                _restrict_to_owner(kept)
    except OSError as error:
        raise StoreError(
            f"the database {path} cannot be opened for writing: {error.strerror}"
        ) from error
    return path
