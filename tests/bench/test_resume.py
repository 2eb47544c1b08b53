"""Tests that a resume is measured on both sides, with the real bot and the bare SDK."""

from __future__ import annotations

from pathlib import Path

from bench.ground import Ground
from bench.rows.resume import GOAL, rows


async def test_both_sides_resume_a_session_that_was_asked_before(tmp_path: Path) -> None:
    [row] = await rows(Ground(folder=tmp_path, tiny=True))
    [once] = row.rounds
    assert once.ours > 20, "the model waits 20 ms"
    assert once.theirs > 20
    assert row.goal is GOAL
    log = (tmp_path / "ours" / "bot.log").read_text(encoding="utf-8")
    assert log.count("session created:") == log.count("session resumed:") == 2, (
        "one to warm up, one measured"
    )
