"""Runs `threadpilot run` on a clock that may be ahead; a file beside its data holds by how much."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bot.cli import run
from bot.cli.main import main as threadpilot
from bot.clock import SystemClock

_FILE: Final = "clock-ahead"


def set_ahead(data_dir: Path, seconds: float) -> None:
    """Set by how many seconds the bot's clock is ahead from its next start on."""
    (data_dir.parent / _FILE).write_text(f"{seconds}", encoding="utf-8")


class SkewedClock(SystemClock):
    """`bot.ports.Clock`, ahead of the machine's."""

    def __init__(self) -> None:
        file = Path(os.environ["DATA_DIR"]).parent / _FILE
        self._ahead = float(file.read_text(encoding="utf-8")) if file.exists() else 0.0

    def now(self) -> float:
        return super().now() + self._ahead


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    run.SystemClock = SkewedClock  # type: ignore[attr-defined]  # in this process only
    return threadpilot(arguments)
