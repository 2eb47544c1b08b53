"""Tests that a start is measured up to the first answer, with the real bot and the bare SDK."""

from __future__ import annotations

from pathlib import Path

from bench.ground import Ground
from bench.rows.startup import GOAL, rows


async def test_both_sides_are_started_and_asked_once(tmp_path: Path) -> None:
    [row] = await rows(Ground(folder=tmp_path, tiny=True))
    [once] = row.rounds
    assert 0.02 < once.theirs < once.ours * 100
    assert 0.02 < once.ours < once.theirs * 100
    assert row.goal is GOAL
    log = (tmp_path / "ours" / "bot.log").read_text(encoding="utf-8")
    assert log.count("runtime started:") == 1
