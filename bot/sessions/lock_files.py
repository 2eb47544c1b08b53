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

_MARK: Final = re.compile(r"inuse\.([0-9]{1,10})\.(?:lock|hold)", re.ASCII)
_OPERATIONS: Final = ".session-operation-locks"
_OLD_SECONDS: Final = 3_600.0
"""So old is a lock without a session left behind, and not of one that is being made."""
_MOST: Final = 200_000
"""Folders looked at in one go."""


def folder_of_sessions(data_dir: Path) -> Path:
    """Where the runtime of a data folder keeps its sessions."""
    return data_dir / "copilot" / "state" / "session-state"


def count_stale(sessions: Path) -> int:
    """How many sessions are noted as in use by what is gone, or are gone themselves."""
    return sum(_is_lock(mark) for mark in _stale(sessions))


def remove_stale(sessions: Path) -> int:
    """Remove what dead processes left; how many sessions that frees."""
    removed = 0
    for mark in _stale(sessions):
        with suppress(OSError):
            mark.unlink()
            removed += _is_lock(mark)
    return removed


def _stale(sessions: Path) -> list[Path]:
    """The marks whose process is dead. A mark of any living process is left alone, whatever that
    process is by now: process ids come again."""
    living: dict[int, bool] = {}
    stale = []
    for mark, pid in _marks(sessions):
        if pid not in living:
            living[pid] = _lives(pid)
        if not living[pid]:
            stale.append(mark)
    return [*stale, *_left_behind(sessions)]


def _left_behind(sessions: Path) -> Iterator[Path]:
    """The locks of sessions that are gone."""
    old = time.time() - _OLD_SECONDS
    with suppress(OSError), os.scandir(sessions / _OPERATIONS) as locks:
        for _, lock in zip(range(_MOST), locks, strict=False):
            session, ending = lock.name.removesuffix(".lock"), lock.name[-5:]
            with suppress(OSError):
                gone = ending == ".lock" and not (sessions / session).exists()
                if gone and lock.stat(follow_symlinks=False).st_mtime < old:
                    yield Path(lock.path)


def _is_lock(mark: Path) -> bool:
    return mark.suffix == ".lock"


def _marks(sessions: Path) -> Iterator[tuple[Path, int]]:
    """Every mark with its process id. What cannot be read is left out: it is gone, or not ours."""
    with suppress(OSError), os.scandir(sessions) as folders:
        for _, folder in zip(range(_MOST), folders, strict=False):
            with suppress(OSError):
                if not folder.is_dir(follow_symlinks=False):
                    continue
                for mark in Path(folder.path).iterdir():
                    if found := _MARK.fullmatch(mark.name):
                        yield mark, int(found[1])


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
