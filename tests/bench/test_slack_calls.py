"""Tests the measurement of the bot's calls to Slack, and of the lag of the shown text."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.ground import Ground
from bench.model import long_text, steady_text
from bench.rows.slack_calls import (
    COARSE,
    CROWDS,
    LONG,
    STEADY,
    Answered,
    Busiest,
    Way,
    behind,
    busiest,
    row,
    rows,
)
from bench.slack_side import Shown


def shown(at: float, text: str, ts: str = "1.0") -> Shown:
    return Shown(at, ts, text, streaming=True)


@pytest.mark.parametrize(
    ("way", "text"),
    [(LONG, long_text("m1")), (COARSE, long_text("m1")), (STEADY, steady_text("m1"))],
)
def test_every_word_of_the_model_is_recognized_when_it_is_shown(way: Way, text: str) -> None:
    words = text.split()
    assert len(words) == way.words
    for number in (0, 1, 2, 7, way.words - 1, way.words):
        assert way.shown(" ".join(words[:number]), "m1") == number
    assert way.shown(text, "m1") == way.words
    assert way.shown("is thinking", "m1") == 0


def test_words_leave_the_model_at_its_pace() -> None:
    assert LONG.out_at(1) == LONG.out_at(2) == pytest.approx(0.02)
    assert LONG.out_at(3) == pytest.approx(0.04)
    assert LONG.out_at(2_000) == pytest.approx(0.02 + 19.98)
    assert COARSE.out_at(10) == pytest.approx(0.02)
    assert COARSE.out_at(2_000) == pytest.approx(0.02 + 19.9)
    assert STEADY.out_at(2) == pytest.approx(0.04)


def test_behind_is_how_long_the_oldest_new_word_had_to_wait() -> None:
    words = long_text("m1").split()
    changes = [
        shown(100.02, " ".join(words[:1])),
        shown(102.02, " ".join(words[:200])),
        shown(102.50, " ".join(words[:200])),  # shows nothing new
        shown(104.00, " ".join(words[200:300]), ts="2.0"),  # a second message of the answer
    ]
    assert behind(LONG, "m1", 100.0, changes) == pytest.approx([0.0, 2.0, 104 - 100 - 2.02])


def test_the_busiest_method_is_the_one_nearest_to_its_limit() -> None:
    calls = [(0.1 * number, "chat.appendStream", "") for number in range(60)]
    calls += [(10.0 * number, "chat.startStream", "") for number in range(13)]
    found = busiest(calls)
    assert (found.method, found.calls, found.allowed) == ("chat.appendStream", 60, 100)


def test_a_minute_is_any_minute() -> None:
    at = [0.0, 50.0, 55.0, 58.0, 100.0, 109.0, 119.0]
    found = busiest([(each, "chat.update", "") for each in at])
    assert found.calls == 5


def test_the_bench_counts_channels_separately_where_slack_does() -> None:
    calls = [(0.1 * number, "chat.postMessage", f"C{number % 4}") for number in range(40)]
    assert busiest(calls).calls == 10


@pytest.mark.parametrize(("latest", "met"), [(2.0, True), (2.1, False)])
def test_one_change_that_is_too_far_behind_breaks_the_limit(latest: float, met: bool) -> None:
    ten = next(crowd for crowd in CROWDS if crowd.threads == 10)
    changes = [[0.1, *[1.0] * 98, latest], *[[0.1] * 100] * 9]
    most = Busiest("chat.appendStream", 73, 100)
    found = row(Answered(ten, most, {"chat.appendStream": 73}, 0, changes, [21.0] * 10))
    assert found.met is met


async def test_a_tiny_round_has_every_number_of_threads(tmp_path: Path) -> None:
    found = await rows(Ground(folder=tmp_path, tiny=True))
    assert [each.name for each in found] == [
        "Slack calls, 1 thread",
        "Slack calls, 3 threads at once",
    ]
    for each in found:
        assert [limit.value for limit in each.limits if limit.name == "429s"] == [0]
        assert each.rounds[0].ours >= 1
        assert "chat.startStream" in each.note
