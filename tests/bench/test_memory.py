"""Tests that memory is compared after few and after many threads, with their number in the row."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ground import Ground
from bench.rows.memory import (
    GROWTH_GOAL,
    TOGETHER_GOAL,
    TooFewThreads,
    enough_to_compare,
    rows,
)


async def test_memory_is_taken_after_few_and_after_many_threads(tmp_path: Path) -> None:
    together, growth = await rows(Ground(folder=tmp_path, tiny=True))
    [first], [once] = together.rounds, growth.rounds
    assert min(once.ours, once.theirs) > 10, "no Python with an SDK in it takes less"
    assert min(first.ours, first.theirs) > once.theirs, "the runtime belongs to it"
    assert together.goal is TOGETHER_GOAL
    assert growth.goal is GROWTH_GOAL
    assert "after 6 threads" in growth.measured
    assert growth.against == "the same after 3"
    runtime, both = growth.limits
    assert runtime.value > 10
    assert both.value == runtime.value + once.ours
    log = (tmp_path / "ours" / "bot.log").read_text(encoding="utf-8")
    assert log.count("turn ended: state=done") == 6


def test_as_many_threads_as_before_are_no_comparison() -> None:
    enough_to_compare(100, 200)
    with pytest.raises(TooFewThreads, match="199 threads"):
        enough_to_compare(100, 199)
