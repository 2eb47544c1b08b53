"""Tests that a slower machine measures less, but every row, and reports what is less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import calibration
from bench.__main__ import main
from bench.calibration import SLOWEST, pace_of
from bench.comparison import Round
from bench.ground import LEAST_ROUNDS, Ground
from bench.rows.slack_calls import COARSE, CROWDS, LEAST_MANY, crowds
from tests.bench.row_fixtures import group, outcome
from tests.bench.stand_ins.paced import SLOWER

PACES = st.floats(min_value=0.01, max_value=10)


class ManualTime:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ground(tmp_path: Path = Path(), *, pace: float = 1.0, tiny: bool = False) -> Ground:
    return Ground(folder=tmp_path, pace=pace, tiny=tiny)


def report_of(report: Path) -> str:
    return (report / "RESULTS.md").read_text(encoding="utf-8")


# The whole command ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pace", "slower", "rounds", "less"),
    [
        (1.0, 1, 8, ""),
        (3.0, 0.3, 8, ""),
        (0.25, 4, 8, "25 questions a round instead of 100"),
        (0.25, 20, 3, "25 questions a round instead of 100; 3 rounds instead of 8 (paced)"),
        (1.0, 4, 3, "3 rounds instead of 8 (paced)"),
    ],
    ids=["as planned", "quicker", "four times slower", "slower still", "load that comes later"],
)
def test_every_row_is_measured_however_slow_the_machine_is(
    pace: float,
    slower: float,
    rounds: int,
    less: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SLOWER, str(slower))

    async def calibrated() -> float:
        return pace

    assert main(["--into", str(tmp_path)], [group("paced")], calibrated) == 0
    assert f"in {rounds} rounds" in report_of(tmp_path)
    assert f"pace: {pace:.2f}" in report_of(tmp_path)
    if less:
        assert f"**Paced:** on this machine less than planned: {less}." in report_of(tmp_path)
    else:
        assert "less than planned" not in report_of(tmp_path)


# The pace ---------------------------------------------------------------------------------------


async def test_the_pace_is_what_the_sdk_alone_comes_to(tmp_path: Path) -> None:
    [row] = await calibration.rows(ground(tmp_path, tiny=True))
    assert row.rounds == (Round(row.ours, calibration.PLANNED_FOR),)
    assert pace_of(replace(outcome("good"), rows=(row,))) == max(SLOWEST, row.ratio) > 0


def test_a_machine_without_a_measured_pace_measures_the_least() -> None:
    assert pace_of(outcome("late", why="not done within 30 s")) == SLOWEST


# Sizes ------------------------------------------------------------------------------------------


@given(PACES)
def test_a_slower_machine_measures_less_but_never_too_little(pace: float) -> None:
    where = ground(pace=pace)
    size = where.sized("events", 2_000, least=500, tiny=60)
    assert 500 <= size <= 2_000
    assert (size == 2_000) == (not where.less)
    assert size <= max(500, 2_000 * pace + 1)
    assert size == 2_000 or size <= where.sized("events", 2_000, least=500, tiny=60, spare=2.0)


@given(PACES)
def test_a_tiny_run_is_tiny_on_every_machine(pace: float) -> None:
    where = ground(pace=pace, tiny=True)
    assert where.sized("events", 2_000, least=500, tiny=60) == 60
    assert where.less == []


def test_on_a_slow_machine_slacks_limits_are_met_by_fewer_threads_and_pieces() -> None:
    assert crowds(ground()) == CROWDS
    slow = ground(pace=0.2)
    one, ten, many = crowds(slow)
    assert one == CROWDS[0]
    assert (ten.threads, ten.way) == (10, COARSE)
    assert many.threads == LEAST_MANY
    assert len(slow.less) == 2


# Rounds -----------------------------------------------------------------------------------------


@given(
    planned=st.integers(min_value=1, max_value=12),
    takes=st.floats(min_value=0.1, max_value=60),
    seconds=st.floats(min_value=0, max_value=100),
)
async def test_after_the_least_rounds_none_is_begun_that_would_end_too_late(
    planned: int, takes: float, seconds: float
) -> None:
    clock = ManualTime()
    where = Ground(folder=Path(), until=seconds, clock=clock)

    async def measure() -> float:
        clock.now += takes / 2
        return 1.0

    rounds = await where.rounds("r", planned, measure, measure)
    assert len(rounds) <= planned
    assert len(rounds) >= min(planned, LEAST_ROUNDS)
    assert len(rounds) <= LEAST_ROUNDS or clock.now <= seconds + 1e-6
    assert bool(where.less) == (len(rounds) < planned)
    if where.less:
        assert clock.now + takes > seconds - 1e-6, "there was no time for another one"


def test_what_one_part_of_a_group_does_not_use_the_next_one_has() -> None:
    clock = ManualTime()
    where = Ground(folder=Path(), until=100.0, clock=clock)
    assert where.part(0.4).left == pytest.approx(40)
    clock.now = 10
    assert where.part(0.5).left == pytest.approx(45)
    clock.now = 200
    assert where.part(0.5).left == where.left == 0


def test_what_cannot_be_interrupted_is_made_as_large_as_there_is_time_for() -> None:
    """Other load may start after the calibration."""
    clock = ManualTime()
    place = replace(ground(), until=100.0, clock=clock)
    assert place.fitting("threads", 1_000, least=100, each_seconds=0.05) == 1_000
    assert place.less == []
    assert place.part(0.5).fitting("threads", 1_000, least=100, each_seconds=0.25) == 200
    assert place.less == ["200 threads instead of 1,000, for lack of time"]
    clock.now = 99.0
    assert place.fitting("threads", 1_000, least=100, each_seconds=0.25) == 100
    assert replace(place, tiny=True).fitting("threads", 9, least=1, each_seconds=99.0) == 9


def test_what_is_less_in_a_part_is_less_in_the_whole() -> None:
    where = ground(pace=0.5)
    where.part(0.5).sized("events", 10, least=1, tiny=1)
    assert where.less == ["5 events instead of 10"]
