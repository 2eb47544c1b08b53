"""Tests that the report and its chart show every outcome of a run, good and bad."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.chart import Scale, svg
from bench.comparison import Goal, Limit, Row
from bench.formatting import bound, figure, result, result_and_ratio, spread
from bench.machine import facts, kernel
from bench.report import Run, markdown, summary
from tests.bench.row_fixtures import MOST, outcome, row, run

P99 = Limit(name="p99", value=340.4, most=300, unit="ms")
MIXED = run(
    outcome(
        "one_thread",
        row("first text", 1.25, 1.1, 1.3, note="With the session live."),
        row("whole answer", 1.06, goal=Goal(most=1.05)),
    ),
    outcome("events", row("events/s", 0.7, 0.8, 0.75, goal=Goal(least=0.6), limits=(P99,))),
    outcome("resuming", why="not done within 40 s"),
)
HOSTILE = "<script>alert(1)</script> a|b & \"c\" 'd' [x](http://e.example) \x00\n# heading"
SVG = "{http://www.w3.org/2000/svg}"


def lines_of(name: str, report: str) -> list[str]:
    return [line for line in report.splitlines() if line.startswith(f"| {name} |")]


def words_in(picture: str) -> str:
    tree = ET.fromstring(picture)  # noqa: S314  # it is our own
    return "\n".join("".join(part.itertext()) for part in tree.iter(f"{SVG}text"))


def test_a_row_is_in_the_table_with_all_its_cells() -> None:
    [line] = lines_of("first text", markdown(MIXED))
    assert line == (
        "| first text | what the bot does | the bare SDK | 25.0 ms | 20.0 ms | 1.25× | "
        "1.10–1.30× in 3 rounds | ≤ 1.5× | ✓ yes |"
    )


def test_a_goal_that_is_not_met_is_reported_in_the_table_and_above_it() -> None:
    report = markdown(MIXED)
    [line] = lines_of("whole answer", report)
    assert line.endswith("| one round | ≤ 1.05× | ✗ no |")
    assert "- Not met: whole answer: 1.06×, not ≤ 1.05×." in report.splitlines()


def test_a_limit_that_does_not_hold_is_reported_though_the_ratio_is_good() -> None:
    report = markdown(MIXED)
    [in_table, in_limits] = lines_of("events/s", report)
    assert in_table.endswith("| ≥ 0.6×, p99 ≤ 300 ms | ✗ no |")
    assert in_limits == "| events/s | p99 | 340 ms | ≤ 300 ms | ✗ no |"
    assert "- Not met: events/s: p99 340 ms, not ≤ 300 ms." in report.splitlines()


def test_what_could_not_be_measured_is_a_line_that_says_why() -> None:
    report = markdown(MIXED)
    [line] = lines_of("Resuming", report)
    assert "not measured: not done within 40 s" in line
    assert line.endswith("✗ no |")
    assert "- Not measured: Resuming: not done within 40 s." in report.splitlines()


def test_the_first_line_counts_the_goals() -> None:
    assert summary(MIXED)[0] == "1 of 3 goals are met, 1 group is not measured."
    assert summary(run(outcome("good", row("r", 1.0)))) == ["1 of 1 goals are met."]


def test_notes_and_the_machine_are_below_the_table() -> None:
    report = markdown(MIXED)
    assert "- **first text:** With the session live." in report.splitlines()
    assert "- 2026-11-24 09:30 UTC, 7.0 minutes in all" in report.splitlines()
    assert "- Python: 3.11.7" in report.splitlines()


def test_a_tiny_run_says_that_it_is_worth_nothing() -> None:
    tiny = replace(MIXED, tiny=True)
    assert "worth nothing" in markdown(tiny)
    assert "worth nothing" in words_in(svg(tiny))


def test_every_line_of_a_table_has_as_many_cells_as_its_head() -> None:
    hostile = row(HOSTILE, 1.0, note=HOSTILE, against=HOSTILE)
    report = markdown(run(outcome("good", hostile), outcome("failing", why=HOSTILE)))
    tables = re.findall(r"(?:^\|.*\n)+", report, re.MULTILINE)
    assert tables
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_hostile_name_is_neither_html_nor_a_link_nor_a_line_of_its_own() -> None:
    hostile = row(HOSTILE, 1.0, note=HOSTILE, against=HOSTILE)
    report = markdown(run(outcome("good", hostile), outcome("failing", why=HOSTILE)))
    assert "<script" not in report
    assert not re.search(r"(?<!\\)\[x", report)
    assert not re.search(r"^# heading", report, re.MULTILINE)


def test_no_folder_of_the_machine_comes_into_a_report() -> None:
    where = "/var/folders/x7/bench-1/bot.log"
    failed = run(outcome("failing", why=f"ProgramError: see {where} or '{where}'"))
    for output in (markdown(failed), svg(failed), "\n".join(summary(failed))):
        assert "/var" not in output
        assert "…/bot.log" in output


def test_what_is_no_folder_stays_as_it_is() -> None:
    failed = run(outcome("failing", why="5 events/s at http://127.0.0.1:1/api/chat, and/or 1/2"))
    assert "5 events/s at http://127.0.0.1:1/api/chat, and/or 1/2" in markdown(failed)


def test_a_machine_is_reported_without_its_custom_names() -> None:
    assert kernel("6.1.0-19-amd64") == "6.1.0"
    assert kernel("6.18.44-my-laptop") == "6.18.44"
    assert kernel("custom") == "?"
    assert {"machine", "system", "Python", "Copilot runtime"} <= {name for name, _ in facts()}
    assert all(value for _, value in facts())


# The chart ---------------------------------------------------------------------------------------


def test_the_chart_has_every_row_with_its_ratio_and_its_verdict_in_words() -> None:
    words = words_in(svg(MIXED))
    for each in ("first text", "1.25× ✓", "goal ≤ 1.5×", "whole answer", "1.06× ✗", "events/s"):
        assert each in words
    assert "p99 340 ms, not ≤ 300 ms" in words


def test_the_chart_shows_what_was_not_measured() -> None:
    words = words_in(svg(MIXED))
    assert "1 of 3 goals are met, 1 group is not measured." in words
    assert "✗ not measured\nnot done within 40 s" in words


def test_met_and_not_met_differ_in_shape_and_not_by_colour_alone() -> None:
    def dots(picture: str) -> int:
        return picture.count("<circle")

    met, unmet = (svg(run(outcome("good", row("r", each)))) for each in (1.0, 3.0))
    assert dots(met) == dots(unmet) + 1


def test_the_chart_can_be_read_without_seeing_it() -> None:
    tree = ET.fromstring(svg(MIXED))  # noqa: S314
    assert tree.get("role") == "img"
    output = tree.findtext(f"{SVG}desc") or ""
    assert "whole answer: 1.06× (one round), goal ≤ 1.05×, not met" in output


@given(
    names=st.lists(st.text(max_size=80), min_size=1, max_size=5),
    ratios=st.lists(st.floats(min_value=0, max_value=1e9), min_size=1, max_size=5),
)
def test_the_chart_is_well_formed_and_complete_with_any_names(
    names: list[str], ratios: list[float]
) -> None:
    rows = [row(name, *ratios, note=name, against=name) for name in names]
    whole = run(outcome("good", *rows), *(outcome("failing", why=name) for name in names if name))
    tree = ET.fromstring(svg(whole))  # noqa: S314
    assert len([g for g in tree.iter(f"{SVG}g") if "goal" in "".join(g.itertext())]) >= len(names)
    assert markdown(whole).count("what the bot does") == len(names)


def test_the_chart_of_no_rows_is_still_a_chart() -> None:
    ET.fromstring(svg(run()))  # noqa: S314
    assert "0 of 0 goals are met" in markdown(run())


@given(st.lists(st.floats(min_value=1e-9, max_value=1e9), min_size=1, max_size=9))
def test_every_ratio_is_on_the_scale_and_a_greater_one_is_never_to_the_left(
    ratios: list[float],
) -> None:
    scale = Scale.of([row("r", *ratios)])
    left, right = scale.at(scale.low), scale.at(scale.high)
    places = [scale.at(each) for each in sorted(ratios)]
    assert places == sorted(places)
    assert all(left <= place <= right for place in places)
    assert scale.low <= 0.5
    assert scale.high >= 2


# Figures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.5, "0.5"),
        (1.234, "1.23"),
        (37.46, "37.5"),
        (1234.5, "1,234"),
        (2_000_000, "2,000,000"),
    ],
)
def test_a_figure_has_about_three_digits_that_count(value: float, written: str) -> None:
    assert figure(value) == written


GOALS = (MOST, Goal(least=1.5), Goal(most_more=6.0), Goal(most_ours=6.0))


@given(st.floats(min_value=0.01, max_value=50), st.sampled_from(GOALS))
def test_a_written_result_never_seems_to_be_on_the_other_side_of_its_goal(
    value: float, goal: Goal
) -> None:
    measured: Row = row("r", value, goal=goal)
    written = float(result(measured).removesuffix("×").removesuffix(" ms"))
    assert goal.met_by(written) == goal.met_by(measured.result)


@pytest.mark.parametrize(
    ("ratios", "goal", "texts"),
    [
        ((1.25, 1.1, 1.3), MOST, ("1.25×", "1.10–1.30× in 3 rounds", "≤ 1.5×")),
        ((1.25,), Goal(least=0.9), ("1.25×", "one round", "≥ 0.9×")),
        (
            (1.25, 0.9, 1.3),
            Goal(most_more=6.0),
            ("+5.00 ms (1.25×)", "-2.00 to +6.00 ms in 3 rounds", "≤ 6 ms more"),
        ),
        ((0.5,), Goal(most_more=6.0), ("-10.0 ms (0.50×)", "one round", "≤ 6 ms more")),
        (
            (0.25, 0.2, 0.3),
            Goal(most_ours=6.0),
            ("5.00 ms (0.25×)", "4.00–6.00 ms in 3 rounds", "≤ 6 ms"),
        ),
    ],
)
def test_a_row_says_what_its_goal_is_about(
    ratios: tuple[float, ...], goal: Goal, texts: tuple[str, str, str]
) -> None:
    measured = row("r", *ratios, goal=goal)
    assert (result_and_ratio(measured), spread(measured), bound(measured)) == texts


def test_a_difference_that_is_too_large_is_reported_as_one() -> None:
    late = run(outcome("good", row("first text", 1.4, goal=Goal(most_more=6.0))))
    assert "- Not met: first text: +8.00 ms, not ≤ 6 ms more." in markdown(late).splitlines()
    assert "+8.00 ms ✗" in words_in(svg(late))


def test_what_was_less_than_planned_is_reported_below_the_table() -> None:
    less = replace(outcome("good", row("r", 1.0)), less=("3 rounds instead of 5 (r)", "and more"))
    assert (
        "- **Good:** on this machine less than planned: 3 rounds instead of 5 (r); and more."
        in markdown(run(less)).splitlines()
    )
    assert "less than planned" not in markdown(MIXED)


def test_a_run_knows_what_it_is_made_of() -> None:
    whole: Run = MIXED
    assert [each.name for each in whole.rows] == ["first text", "whole answer", "events/s"]
    assert [each.name for each in whole.unmet] == ["whole answer", "events/s"]
    assert [each.group.name for each in whole.unmeasured] == ["resuming"]
