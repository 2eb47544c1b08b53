"""Tests that each group is measured alone and within its time, and that the others go on after
it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import calibration
from bench.__main__ import GROUPS, RESERVED_SECONDS, TOTAL_SECONDS
from bench.alone import as_text, in_one_line, read
from bench.comparison import Goal, Limit, Round, Row
from bench.groups import measured, parts
from tests.bench.row_fixtures import group
from tests.bench.stand_ins.late import NOTE, noted_in, runs

PLENTY = 60.0


async def test_a_group_gives_its_rows_as_it_measured_them() -> None:
    outcome = await measured(group("good"), PLENTY, tiny=True)
    [row] = outcome.rows
    assert (row.name, row.ratio, row.met, row.note) == ("quick enough", 1.0, True, "tiny")
    assert outcome.why == ""


async def test_a_group_that_fails_says_why_in_one_line() -> None:
    outcome = await measured(group("failure"), PLENTY, tiny=True)
    assert outcome.rows == ()
    assert outcome.why.startswith("OSError: no room in ")
    assert "\n" not in outcome.why


async def test_a_group_whose_process_dies_is_reported() -> None:
    outcome = await measured(group("crash"), PLENTY, tiny=True)
    assert outcome.why == "its process ended without a word"


async def test_a_group_without_a_module_is_reported() -> None:
    missing = group("good", module="tests.bench.stand_ins.nowhere")
    outcome = await measured(missing, PLENTY, tiny=True)
    assert outcome.why.startswith("ModuleNotFoundError: No module named")


async def test_an_infinite_ratio_is_not_measured() -> None:
    outcome = await measured(group("worthless"), PLENTY, tiny=True)
    assert outcome.why.startswith("ZeroDivisionError")


async def test_a_group_that_is_late_is_ended_with_all_that_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = tmp_path / "pid"
    monkeypatch.setenv(NOTE, str(noted))
    outcome = await measured(group("late"), 10.0, tiny=True)
    assert outcome.why == "not done within 10 s"
    assert not runs(noted_in(noted))


def test_of_several_faults_the_first_is_reported() -> None:
    inner = ExceptionGroup("inner", [OSError("no\nroom")])
    several = ExceptionGroup("several", [inner, ValueError()])
    assert in_one_line(several) == "OSError: no room"
    assert in_one_line(TimeoutError()) == "TimeoutError"
    assert len(in_one_line(ValueError("long " * 1_000))) < 300


def test_rows_survive_the_way_from_one_process_to_another(tmp_path: Path) -> None:
    outcome_file = tmp_path / "outcome.json"
    rows = [
        Row(
            name="events/s",
            measured="events",
            against="Bolt",
            unit="/s",
            rounds=(Round(1.5, 2.5), Round(0.1, 0.3)),
            goal=goal,
            limits=(Limit(name="p99", value=1.0, most=2.0, unit="ms"),),
            note="„quoted“\nand more",
        )
        for goal in (Goal(most=1.5), Goal(least=0.6), Goal(most_more=6), Goal(most_ours=6))
    ]
    outcome_file.write_text(as_text(rows, ["3 rounds instead of 5"]), encoding="utf-8")
    assert read(outcome_file) == (tuple(rows), ("3 rounds instead of 5",))


def test_the_shares_of_all_groups_fit_into_the_whole_time() -> None:
    room = TOTAL_SECONDS - RESERVED_SECONDS - calibration.SECONDS
    assert sum(group.seconds for group in GROUPS) <= room
    assert len({group.name for group in GROUPS}) == len(GROUPS)


def left_over(shares: list[float], used: list[float], whole: float) -> float:
    """The rest of the whole time after each group has used this share of its time."""
    left = whole
    for (_, part), share in zip(
        parts([group("good", seconds=each) for each in shares]), used, strict=True
    ):
        left -= left * part * share
    return left


@given(st.lists(st.floats(min_value=1, max_value=100), min_size=1, max_size=12))
def test_groups_that_all_use_their_share_use_the_whole_time_and_no_more(
    shares: list[float],
) -> None:
    assert left_over(shares, [1.0] * len(shares), 580.0) == pytest.approx(0, abs=1e-6)


@given(st.lists(st.floats(min_value=1, max_value=100), min_size=2, max_size=12))
def test_what_one_group_leaves_the_others_have(shares: list[float]) -> None:
    groups = [group("good", seconds=each) for each in shares]
    whole = sum(shares)
    [(_, first), (second, part), *_] = parts(groups)
    assert whole * first == pytest.approx(shares[0])
    assert whole * part >= second.seconds - 1e-9  # the first group used nothing
