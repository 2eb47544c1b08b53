"""Measures one group of rows in its own process, so that no group affects another.

    python -m bench.alone bench.rows.turns FOLDER OUTCOME --seconds 90 --pace 0.8 [--tiny]

Measures in a new folder in FOLDER and writes OUTCOME, a JSON object. It has `rows` and `less` (what
was measured less than planned), or `error` in one readable line. The traceback of a failure goes to
standard error. On SIGTERM it ends the processes that it has started.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import math
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.comparison import Goal, Limit, Round, Row
from bench.ground import Ground
from bot.cli import run

ENDING_SHARE: Final = 0.12
"""Share of a group's time that is reserved for ending its processes."""
_LONGEST: Final = 240
"""Maximum length of a failure's line in characters."""


class WorthlessError(Exception):
    """A group measured nothing that can be shown; the message says why."""


async def measure(module: str, ground: Ground) -> list[Row]:
    """The rows of a group. Raises any error of the measurement."""
    rows: list[Row] = await importlib.import_module(module).rows(ground)
    if not rows:
        raise WorthlessError("it has no rows")
    for row in rows:
        if not all(map(math.isfinite, (row.ours, row.theirs, row.ratio, row.result))):
            raise WorthlessError(f"{row.name}: {row.ours} by {row.theirs} is no ratio")
    return rows


def as_text(rows: Sequence[Row], less: Sequence[str] = ()) -> str:
    """The rows, and what was less than planned, as JSON for the parent process."""
    return json.dumps({"rows": [asdict(row) for row in rows], "less": list(less)})


def read(outcome: Path) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows of an outcome, and what was less than planned.

    Raises `WorthlessError` with the reason if there are none.
    """
    try:
        data = json.loads(outcome.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise WorthlessError("its process ended without a word") from None
    if "error" in data:
        raise WorthlessError(data["error"])
    return tuple(map(_row, data["rows"])), tuple(data["less"])


def _row(data: dict[str, Any]) -> Row:
    return Row(
        **{
            **data,
            "rounds": tuple(Round(**each) for each in data["rounds"]),
            "goal": Goal(**data["goal"]),
            "limits": tuple(Limit(**each) for each in data["limits"]),
        }
    )


def in_one_line(error: BaseException) -> str:
    """An error in one line of a table; of a group of errors, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    words = " ".join(f"{type(error).__name__}: {error}".removesuffix(": ").split())
    return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"


async def _measure_until_stopped(module: str, ground: Ground) -> list[Row]:
    work = asyncio.current_task()
    assert work is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    return await measure(module, ground)


def main(arguments: Sequence[str]) -> int:
    """Run the command; return 1 if the outcome is an error, else 0."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="bench.alone")
    parser.add_argument("module")
    parser.add_argument("folder", type=Path)
    parser.add_argument("outcome", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pace", type=float, required=True)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args(arguments)
    try:
        ground = Ground(
            folder=args.folder / "ground",
            tiny=args.tiny,
            pace=args.pace,
            until=began + args.seconds * (1 - ENDING_SHARE),
        )
        ground.folder.mkdir()
        rows = run.run(_measure_until_stopped(args.module, ground))
        outcome, status = as_text(rows, ground.less), 0
    except (Exception, asyncio.CancelledError) as error:  # the other groups go on after any error
        traceback.print_exc()
        outcome, status = json.dumps({"error": in_one_line(error)}), 1
    args.outcome.write_text(outcome, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
