"""Tests that first text measures what the bot adds to the SDK, with the real bot and the bare
SDK."""

from __future__ import annotations

from pathlib import Path

from bench.comparison import Goal
from bench.ground import Ground
from bench.rows.first_text import rows


async def test_both_sides_are_asked_in_a_session_that_is_live(tmp_path: Path) -> None:
    first, whole = await rows(Ground(folder=tmp_path, tiny=True))
    [once] = first.rounds
    assert min(once.ours, once.theirs) > 20, "the model waits 20 ms"
    assert first.goal == Goal(most_more=6.0)
    assert first.result == once.ours - once.theirs
    assert whole.goal == Goal(most=1.02)
    assert min(whole.ours, whole.theirs) > 1_980, "99 pieces, 20 ms each"
    log = (tmp_path / "bot" / "bot.log").read_text(encoding="utf-8")
    assert log.count("turn ended: state=done") == 3
    assert log.count("session created:") == 1
