"""Marks of use that dead runtimes left behind: `inuse.<pid>.lock` beside a session's files.

The runtime notes in each open session's folder which process has it open, and takes the note back
when it closes the session. A killed one does not (measured, CLI 1.0.102: `inuse.13895.lock` with
the process id in it, and an empty `inuse.13895.hold`), and the note stays until that session is
asked again. They hold nothing up, they only add up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_MARK: Final = re.compile(r"inuse\.([0-9]{1,10})\.(?:lock|hold)", re.ASCII)
_MOST: Final = 200_000
"""Folders looked at in one go."""


def folder_of_sessions(data_dir: Path) -> Path:
    """Where the runtime of a data folder keeps its sessions."""
    return data_dir / "copilot" / "state" / "session-state"


def count_stale(sessions: Path) -> int:
    """How many sessions a dead process is noted to have open."""
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
    return stale


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
