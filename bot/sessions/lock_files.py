"""Counts and removes lock files that dead runtimes left behind: `inuse.<pid>.lock`.

The runtime writes a lock file into the folder of each open session, and removes it when it closes
the session. A killed runtime does not (measured, CLI 1.0.102: `inuse.13895.lock` with the process
id in it, and an empty `inuse.13895.hold`). The file then stays until the session is used again.
Stale locks block nothing, they only accumulate. So do the locks of operations on sessions
(`.session-operation-locks/<id>.lock`, empty), which outlive their sessions.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOCK_FILE: Final = re.compile(r"inuse\.([0-9]{1,10})\.(?:lock|hold)", re.ASCII)
_OPERATION_LOCKS_DIR: Final = ".session-operation-locks"
_MIN_AGE_SECONDS: Final = 3_600.0
"""Minimum age, in seconds, of a stale operation lock: a younger one may be of a session that is
being created."""
_MAX_ENTRIES: Final = 200_000
"""Maximum number of folders read in one pass."""


def folder_of_sessions(data_dir: Path) -> Path:
    """The folder in which the runtime of a data folder keeps its sessions."""
    return data_dir / "copilot" / "state" / "session-state"


def count_stale(sessions_dir: Path) -> int:
    """The number of stale locks."""
    return sum(_is_lock(file) for file in _stale_files(sessions_dir))


def remove_stale(sessions_dir: Path) -> int:
    """Remove stale lock files. Returns the number of removed locks."""
    removed = 0
    for file in _stale_files(sessions_dir):
        with suppress(OSError):
            file.unlink()
            removed += _is_lock(file)
    return removed


def _stale_files(sessions_dir: Path) -> list[Path]:
    """The files whose process is dead. A file with the id of any living process stays, since
    process ids are reused."""
    living: dict[int, bool] = {}
    stale = []
    for file, pid in _lock_files(sessions_dir):
        if pid not in living:
            living[pid] = _is_alive(pid)
        if not living[pid]:
            stale.append(file)
    return [*stale, *_orphan_operation_locks(sessions_dir)]


def _orphan_operation_locks(sessions_dir: Path) -> Iterator[Path]:
    """The operation locks of sessions that no longer exist."""
    old = time.time() - _MIN_AGE_SECONDS
    with suppress(OSError), os.scandir(sessions_dir / _OPERATION_LOCKS_DIR) as locks:
        for _, lock in zip(range(_MAX_ENTRIES), locks, strict=False):
            session, ending = lock.name.removesuffix(".lock"), lock.name[-5:]
            with suppress(OSError):
                gone = ending == ".lock" and not (sessions_dir / session).exists()
                if gone and lock.stat(follow_symlinks=False).st_mtime < old:
                    yield Path(lock.path)


def _is_lock(file: Path) -> bool:
    return file.suffix == ".lock"


def _lock_files(sessions_dir: Path) -> Iterator[tuple[Path, int]]:
    """Each lock file with its process id. Unreadable ones are left out: they are gone, or belong
    to another user."""
    with suppress(OSError), os.scandir(sessions_dir) as folders:
        for _, folder in zip(range(_MAX_ENTRIES), folders, strict=False):
            with suppress(OSError):
                if not folder.is_dir(follow_symlinks=False):
                    continue
                for file in Path(folder.path).iterdir():
                    if found := _LOCK_FILE.fullmatch(file.name):
                        yield file, int(found[1])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
