"""Describes the machine of a run, without anything that identifies its owner."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil
from copilot._cli_version import CLI_VERSION

PACKAGES: Final = (
    *("aiohttp", "aiosqlite", "github-copilot-sdk", "slack-bolt", "slack-sdk", "uvloop"),
)
_GIB: Final = 1 << 30


def facts() -> tuple[tuple[str, str], ...]:
    """Names and values of the machine's properties."""
    return (
        ("machine", f"{cores()} cores, {psutil.virtual_memory().total / _GIB:.0f} GiB of memory"),
        ("system", f"{platform.system()} {kernel(platform.release())}, {platform.machine()}"),
        ("temporary files", f"on {file_system(Path(tempfile.gettempdir()))}"),
        ("Python", platform.python_version()),
        ("Copilot runtime", CLI_VERSION or "?"),
        ("SQLite", sqlite3.sqlite_version),
        *((name, version(name)) for name in PACKAGES),
    )


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def file_system(folder: Path) -> str:
    """The file system of a folder. On tmpfs (memory) a commit to disk costs nothing."""
    mounted = {Path(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
    place = folder.resolve()
    return next((mounted[at] for at in (place, *place.parents) if at in mounted), "?")


def kernel(release: str) -> str:
    """A kernel's version number, without the suffix, which may be a custom name."""
    found = re.match(r"\d+(\.\d+)*", release)
    return found[0] if found else "?"


@contextmanager
def threads_apart() -> Iterator[None]:
    """While inside, give the caller's thread one processor, and all others of the process another.

    The system would place either of two equal threads on the processor of the thread that waits for
    it, where it wakes up twice as fast (measured). Does nothing with a single processor, or where
    the system offers no choice.
    """
    if not hasattr(os, "sched_setaffinity") or cores() < 2:
        yield
        return
    allowed = os.sched_getaffinity(0)
    one, other, *_ = sorted(allowed)
    placed = [int(each.name) for each in Path("/proc/self/task").iterdir()]
    caller = threading.get_native_id()
    for thread in placed:
        _place(thread, {one if thread == caller else other})
    try:
        yield
    finally:
        for thread in placed:
            _place(thread, allowed)


def _place(thread: int, processors: set[int]) -> None:
    with suppress(ProcessLookupError):  # the thread has ended
        os.sched_setaffinity(thread, processors)
