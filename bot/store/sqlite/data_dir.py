"""Creates and locks the data folder.

Two processes on one database would both recover the turns that the other one runs. The lock ends
with its process, however that ends; a lock file that remains blocks no start.
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
    """Lock the data folder and yield the database file in it. Both are created if missing, readable
    by their owner only.

    Raises `DataFolderInUse` if another process has the lock, and `StoreError` if the folder cannot
    be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _restrict_to_owner(folder)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"the data folder {folder} cannot be used ({error.strerror}): "
            "DATA_DIR must be a folder that the bot's account can write to"
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
        # On a full disk the bot still starts if it can: the number only helps operators.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(f"the data folder {folder} cannot be written: {error}") from error


def _restrict_to_owner(path: Path) -> None:
    """Remove the rights of other accounts from an existing path, if possible. Some file systems
    have no rights, and some folders belong to another account."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        try:
            path.chmod(mode & ~0o077)
        except OSError as error:
            log.warning(
                "file is readable by other accounts: path=%s reason=%s", path, error.strerror
            )


def _ensure_private_file(path: Path) -> Path:
    """Create the database file with private rights. SQLite would make it readable for other
    accounts, and copies its rights to the files beside it."""
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
