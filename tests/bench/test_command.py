"""Tests the command: its groups, its files, and its exit status."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.__main__ import GROUPS, OWN, PUBLISHED, TOTAL_SECONDS, arguments, main, where_to
from bench.groups import Group
from tests.bench.row_fixtures import group, outcome, row, run
from tests.bench.stand_ins.late import NOTE, noted_in, runs

ROOT = Path(__file__).parents[2]
SECONDS = 90


def bench(*given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


async def by_hand() -> float:
    return 1.0


def ended(into: Path, *groups: Group, tiny: bool = False) -> int:
    return main(["--into", str(into), *(["--tiny"] if tiny else [])], groups, by_hand)


def test_the_real_command_measures_and_writes_a_report_and_a_chart(tmp_path: Path) -> None:
    done = bench("--tiny", "--rows", "mapped", "--into", str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "worth nothing" in report
    assert "A tiny run" in done.stdout
    assert str(Path.home()) not in report
    ET.fromstring((tmp_path / "chart.svg").read_bytes())  # noqa: S314


def test_the_published_report_is_of_a_whole_run() -> None:
    """Only `--publish` writes it, and only if every row is there."""
    report = (PUBLISHED / "RESULTS.md").read_text(encoding="utf-8")
    assert "worth nothing" not in report
    assert "Not measured" not in report
    [minutes] = re.findall(r"([0-9.]+) minutes in all", report)
    assert float(minutes) <= TOTAL_SECONDS / 60
    ET.fromstring((PUBLISHED / "chart.svg").read_bytes())  # noqa: S314


def test_all_goals_met_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(tmp_path, group("good")) == 0
    assert "✓ quick enough: 1.00× (one round), goal ≤ 1.5×" in capsys.readouterr().out


def test_a_goal_that_is_not_met_is_reported_at_the_end_and_by_the_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(tmp_path, group("good"), group("slow_bot")) == 2
    output = capsys.readouterr().out
    assert output.index("1 of 2 goals are met.") < output.index(
        "Not met: too slow: 3.00×, not ≤ 1.5×."
    )
    assert (tmp_path / "RESULTS.md").exists()
    assert (tmp_path / "chart.svg").exists()


def test_a_group_that_fails_keeps_no_other_from_being_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(tmp_path, group("failure"), group("good"), group("slow_bot")) == 1
    output = capsys.readouterr().out
    assert "Not measured: Failure: OSError: no room in" in output
    report = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "| quick enough |" in report
    assert "| Failure | not measured: OSError: no room in …/" in report


def test_a_tiny_run_is_no_judgement(tmp_path: Path) -> None:
    assert ended(tmp_path, group("slow_bot"), tiny=True) == 0


def test_a_local_report_goes_to_a_folder_that_git_ignores() -> None:
    """A local report must not come into a commit, or break a test."""
    assert arguments([], GROUPS).into == OWN
    for name in ("RESULTS.md", "chart.svg"):
        ignored = ["git", "check-ignore", "--quiet", str(OWN / name)]
        assert subprocess.run(ignored, cwd=ROOT, check=False).returncode == 0


def test_the_published_report_is_written_on_purpose_and_whole_or_not_at_all() -> None:
    publish = arguments(["--publish"], GROUPS)
    whole, half = outcome("good", row("r", 1.0)), outcome("late", why="not done within 5 s")
    assert where_to(publish, run(whole)) == PUBLISHED
    assert where_to(publish, run(whole, half)) == OWN
    assert where_to(arguments([], GROUPS), run(whole)) == OWN


@pytest.mark.parametrize("part", [["--rows", "turns"], ["--tiny"], ["--into", "x"]])
def test_only_a_whole_run_can_be_published(part: list[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--publish", *part], GROUPS)


def test_nothing_is_written_of_a_part_unless_it_is_said_where() -> None:
    assert arguments(["--rows", "turns"], GROUPS).into is None
    assert arguments(["--tiny"], GROUPS).into is None
    assert arguments(["--tiny", "--into", "x"], GROUPS).into == Path("x")


def test_rows_are_asked_for_by_name_and_measured_in_the_order_of_the_report() -> None:
    args = arguments(["--rows", "peers, turns"], GROUPS)
    assert [each.name for each in args.rows] == ["turns", "peers"]
    assert arguments(["--rows", ""], GROUPS).rows == list(GROUPS)


def test_rows_that_there_are_not_are_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        arguments(["--rows", "turns,speed"], GROUPS)
    output = capsys.readouterr().err
    assert "no rows are called speed" in output
    assert "first_text" in output


def test_interrupted_it_ends_what_runs_and_writes_nothing(tmp_path: Path) -> None:
    into = tmp_path / "into"
    program = (
        "import sys; from bench.__main__ import main; from tests.bench.row_fixtures import group; "
        "from tests.bench.test_command import by_hand; "
        "sys.exit(main(['--into', sys.argv[1]], [group('late')], by_hand))"
    )
    noted = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(into)],
        cwd=ROOT,
        env={**os.environ, NOTE: str(noted)},
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stdout is not None
        output = iter(command.stdout.readline, "")
        assert any(line.startswith("== late: at most") for line in output)
        left = noted_in(noted)
        command.send_signal(signal.SIGINT)
        command.communicate(timeout=SECONDS)
        assert command.returncode == 130
    assert not runs(left)
    assert not into.exists()
