"""Tests that a row's result follows from its measurements only."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.comparison import Goal, Limit, Round, Row, interleaved, p99, percentile
from tests.bench.row_fixtures import row

SECONDS = st.floats(min_value=1e-6, max_value=1e6)
ROUNDS = st.lists(st.builds(Round, SECONDS, SECONDS), min_size=1, max_size=15)


def row_of(rounds: list[Round], goal: Goal) -> Row:
    return Row(name="r", measured="", against="", unit="s", rounds=tuple(rounds), goal=goal)


def test_a_round_twice_as_slow_as_the_other_side_is_two() -> None:
    assert Round(ours=3.0, theirs=1.5).ratio == 2.0


def test_a_round_against_zero_has_no_ratio() -> None:
    with pytest.raises(ZeroDivisionError):
        _ = Round(ours=1.0, theirs=0.0).ratio


def test_the_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_the_medians() -> None:
    measured = row_of([Round(1, 1), Round(20, 10), Round(30, 3)], Goal(most=2))
    assert (measured.ours, measured.theirs) == (20, 3)
    assert measured.ratio == 2.0
    assert measured.spread == (1.0, 10.0)


def test_one_very_bad_round_does_not_change_the_verdict() -> None:
    assert row("r", 1.0, 1.1, 900.0, 1.0, 1.2).met


def test_a_row_without_a_round_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        row("r")


@pytest.mark.parametrize(
    ("goal", "good", "bad"),
    [(Goal(most=1.05), 1.05, 1.0501), (Goal(least=0.9), 0.9, 0.8999)],
)
def test_a_goal_is_met_up_to_its_very_edge(goal: Goal, good: float, bad: float) -> None:
    assert goal.met_by(good)
    assert not goal.met_by(bad)


@pytest.mark.parametrize(
    "given", [{}, {"most": 1.0, "least": 1.0}, {"most_more": 6.0, "most_ours": 6.0}]
)
def test_a_goal_is_exactly_one_of_the_four(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="one of most, least, most_more and most_ours"):
        Goal(**given)


def test_where_the_goal_is_so_much_more_the_difference_counts_and_not_the_ratio() -> None:
    goal = Goal(most_more=6.0)
    assert row_of([Round(16, 10), Round(11, 5), Round(900, 1)], goal).met, "6, 6 and 899 more"
    late = row_of([Round(100, 90), Round(101, 90), Round(12, 6)], goal)
    assert not late.met, "10, 11 and 6 more"
    assert (late.result, late.spread) == (10, (6, 11))


def test_where_the_goal_is_about_ours_alone_theirs_does_not_count() -> None:
    goal = Goal(most_ours=6.0)
    for theirs in (0.1, 6.0, 1_000.0):
        assert row_of([Round(5, theirs), Round(6, theirs), Round(7, theirs)], goal).met
        assert not row_of([Round(6.1, theirs)], goal).met


@given(ROUNDS, st.sampled_from(["most", "least", "most_more", "most_ours"]), SECONDS)
def test_in_a_chart_of_ratios_a_result_is_on_the_same_side_of_its_goal(
    rounds: list[Round], kind: str, bound: float
) -> None:
    measured = row_of(rounds, Goal(**{kind: bound}))
    place, line = measured.as_ratio(measured.result), measured.as_ratio(measured.goal.bound)
    assert place >= line if measured.result >= bound else place <= line


def test_a_ratio_that_is_no_number_meets_no_goal() -> None:
    assert not Goal(most=1.0).met_by(float("nan"))
    assert not Goal(least=1.0).met_by(float("nan"))


def test_a_limit_holds_up_to_its_very_edge() -> None:
    assert Limit(name="p99", value=300.0, most=300.0, unit="ms").met
    assert not Limit(name="p99", value=300.1, most=300.0, unit="ms").met


def test_a_row_is_met_only_when_its_limits_hold_as_well() -> None:
    holds = Limit(name="429s", value=0, most=0, unit="")
    broken = Limit(name="p99", value=301, most=300, unit="ms")
    assert row("r", 1.0, limits=(holds,)).met
    assert not row("r", 1.0, limits=(holds, broken)).met
    assert not row("r", 9.0, limits=(holds,)).met


@given(ROUNDS)
def test_the_ratio_of_a_row_lies_within_its_spread(rounds: list[Round]) -> None:
    measured = row_of(rounds, Goal(most=1))
    low, high = measured.spread
    assert low <= measured.ratio <= high


@given(ROUNDS)
def test_the_order_of_the_rounds_changes_nothing(rounds: list[Round]) -> None:
    one, other = (row_of(each, Goal(most=1)) for each in (rounds, rounds[::-1]))
    assert (one.ours, one.theirs, one.ratio) == (other.ours, other.theirs, other.ratio)


@given(ROUNDS, SECONDS)
def test_a_slower_machine_changes_figures_and_no_ratio(rounds: list[Round], by: float) -> None:
    slower = [Round(each.ours * by, each.theirs * by) for each in rounds]
    goal = Goal(most=1)
    assert row_of(slower, goal).ratio == pytest.approx(row_of(rounds, goal).ratio)


async def test_the_side_that_was_first_is_second_in_the_next_round() -> None:
    order: list[str] = []

    async def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    rounds = await interleaved(4, lambda: measure("ours"), lambda: measure("theirs"))
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs", "theirs", "ours"]
    assert rounds == (Round(1, 2), Round(4, 3), Round(5, 6), Round(8, 7))


async def test_both_sides_of_a_round_are_never_measured_at_once() -> None:
    running = 0

    async def measure() -> float:
        nonlocal running
        running += 1
        assert running == 1
        running -= 1
        return 1.0

    assert len(await interleaved(3, measure, measure)) == 3


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7.0], 0.99, 7.0),
        ([7.0], 0.0, 7.0),
        ([3.0, 1.0, 2.0], 1.0, 3.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 102)], 0.99, 100.0),
        ([float(n) for n in range(1, 1001)], 0.99, 990.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], share: float, expected: float
) -> None:
    assert percentile(values, share) == expected


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        p99([])


@given(st.lists(SECONDS, min_size=1, max_size=300), st.floats(min_value=0, max_value=1))
def test_so_large_a_share_does_not_exceed_its_percentile(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < max(1.0, share * len(values) + 1e-9)


@given(st.lists(SECONDS, min_size=1, max_size=100))
def test_percentiles_rise_from_the_least_to_the_greatest(values: list[float]) -> None:
    rising = [percentile(values, share / 20) for share in range(21)]
    assert (rising[0], rising[-1]) == (min(values), max(values))
    assert all(one <= other for one, other in pairwise(rising))
    assert percentile(values, 0.5) <= median(values) or len(values) % 2 == 1
