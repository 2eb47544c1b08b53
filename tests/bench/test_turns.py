"""Tests that many threads at once are measured by turns per second and processor time."""

from __future__ import annotations

from pathlib import Path

from bench.ground import Ground
from bench.rows.turns import GOAL, PROCESSOR_GOAL, rows


async def test_turns_and_their_processor_time_are_measured_in_the_same_rounds(
    tmp_path: Path,
) -> None:
    few, many, processor = await rows(Ground(folder=tmp_path, tiny=True))
    assert (few.name, many.name) == ("Turns a second, 2 threads", "Turns a second, 3 threads")
    assert few.goal is many.goal is GOAL
    assert min(few.ours, few.theirs, many.ours, many.theirs) > 0
    assert processor.goal is PROCESSOR_GOAL
    assert processor.unit == "ms"
    assert processor.result == processor.ours
    for threads in ("2", "3"):
        log = (tmp_path / threads / "bot" / "bot.log").read_text(encoding="utf-8")
        assert log.count("turn ended: state=done") == 2 * int(threads), (
            "one to begin with, one measured"
        )
