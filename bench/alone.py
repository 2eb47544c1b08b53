"""One group of rows in a process of its own, so that no group is measured in what another left.

    python -m bench.alone bench.rows.turns FOLDER OUTCOME --seconds 90 --pace 0.8 [--tiny]

Measures in a new folder in FOLDER and writes OUTCOME, a JSON object: `rows` and `less`, what was
measured less of than planned, or `error` in one line for people. The whole story of a failure goes
to standard error. On SIGTERM it puts away what it has started.
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
"""Part of a group's time in which nothing new is begun: what it has started has to end in it."""
_LONGEST: Final = 240
"""Characters of a failure in one line."""


class WorthlessError(Exception):
    """A group measured nothing that could be shown; says why."""


async def measure(module: str, ground: Ground) -> list[Row]:
    """The rows of a group. Raises whatever kept it from measuring."""
    rows: list[Row] = await importlib.import_module(module).rows(ground)
    if not rows:
        raise WorthlessError("it has no rows")
    for row in rows:
        if not all(map(math.isfinite, (row.ours, row.theirs, row.ratio, row.result))):
            raise WorthlessError(f"{row.name}: {row.ours} by {row.theirs} is no ratio")
    return rows


def as_text(rows: Sequence[Row], less: Sequence[str] = ()) -> str:
    """Rows and what was less than planned, for the process that asked for them."""
    return json.dumps({"rows": [asdict(row) for row in rows], "less": list(less)})


def read(outcome: Path) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows of an outcome, and what was less than planned. Raises `WorthlessError` that says why
    there are none."""
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
    """What went wrong, for a line of a table; of several things, the first."""
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
    """The exit status: 1 where the outcome is an error."""
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
    except (Exception, asyncio.CancelledError) as error:  # whatever it is, the others go on
        traceback.print_exc()
        outcome, status = json.dumps({"error": in_one_line(error)}), 1
    args.outcome.write_text(outcome, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
