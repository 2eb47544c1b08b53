"""Marks of use that dead runtimes left behind: `inuse.<pid>.lock` beside a session's files.

The runtime notes in each open session's folder which process has it open, and takes the note back
when it closes the session. A killed one does not (measured, CLI 1.0.102: `inuse.13895.lock` with
the process id in it, and an empty `inuse.13895.hold`), and the note stays until that session is
asked again. They hold nothing up, they only add up. So do the locks that it works on sessions
under (`.session-operation-locks/<id>.lock`, empty), which outlive their sessions.
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
"""So old is a lock without a session left behind, and not of one that is being made."""
_MAX_ENTRIES: Final = 200_000
"""Folders looked at in one go."""


def folder_of_sessions(data_dir: Path) -> Path:
    """Where the runtime of a data folder keeps its sessions."""
    return data_dir / "copilot" / "state" / "session-state"


def count_stale(sessions_dir: Path) -> int:
    """How many sessions are noted as in use by what is gone, or are gone themselves."""
    return sum(_is_lock(mark) for mark in _stale_files(sessions_dir))


def remove_stale(sessions_dir: Path) -> int:
    """Remove what dead processes left; how many sessions that frees."""
    removed = 0
    for mark in _stale_files(sessions_dir):
        with suppress(OSError):
            mark.unlink()
            removed += _is_lock(mark)
    return removed


def _stale_files(sessions_dir: Path) -> list[Path]:
    """The marks whose process is dead. A mark of any living process is left alone, whatever that
    process is by now: process ids come again."""
    living: dict[int, bool] = {}
    stale = []
    for mark, pid in _lock_files(sessions_dir):
        if pid not in living:
            living[pid] = _is_alive(pid)
        if not living[pid]:
            stale.append(mark)
    return [*stale, *_orphan_operation_locks(sessions_dir)]


def _orphan_operation_locks(sessions_dir: Path) -> Iterator[Path]:
    """The locks of sessions that are gone."""
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
    """Every mark with its process id. What cannot be read is left out: it is gone, or not ours."""
    with suppress(OSError), os.scandir(sessions_dir) as folders:
        for _, folder in zip(range(_MAX_ENTRIES), folders, strict=False):
            with suppress(OSError):
                if not folder.is_dir(follow_symlinks=False):
                    continue
                for mark in Path(folder.path).iterdir():
                    if found := _LOCK_FILE.fullmatch(mark.name):
                        yield mark, int(found[1])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
