"""What a run was made on, as far as it matters: nothing that tells whose machine it was."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import tempfile
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
    """Names and values."""
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
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def file_system(folder: Path) -> str:
    """What a folder is kept on. Where that is memory (tmpfs), what is on record costs nothing."""
    mounted = {Path(each.mountpoint): each.fstype for each in psutil.disk_partitions(all=True)}
    place = folder.resolve()
    return next((mounted[at] for at in (place, *place.parents) if at in mounted), "?")


def kernel(release: str) -> str:
    """A kernel's version; what follows it may be a name that somebody gave."""
    found = re.match(r"\d+(\.\d+)*", release)
    return found[0] if found else "?"
