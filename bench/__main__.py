"""Measures the bot against the libraries that it is built on, in ten minutes: `make bench`.

    python -m bench                        all groups; writes bench/own/RESULTS.md and its chart
    python -m bench --publish              all groups; writes the committed report
    python -m bench --rows turns,mapped    these groups only; writes nothing
    python -m bench --into FOLDER          writes the report into FOLDER
    python -m bench --tiny --into FOLDER   only checks that it works: its figures are worth nothing

Exit status: 0 all goals are met, 2 a goal is not met, 1 something could not be measured. The report
is written in each case; an incomplete one never replaces the committed one.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench import calibration, formatting, machine
from bench.chart import svg
from bench.formatting import MET, NOT_MET, goal, result, spread
from bench.groups import PUT_AWAY_SECONDS, Group, Outcome, measured, parts
from bench.report import CHART, Run, markdown, summary, without_places

TOTAL_SECONDS: Final = 600.0
RESERVED_SECONDS: Final = PUT_AWAY_SECONDS + 10.0
"""Time in seconds to end the last group's processes and to write the report."""
PUBLISHED: Final = Path(__file__).parent
"""The folder of the committed report."""
OWN: Final = PUBLISHED / "own"
"""The folder of local reports, which Git ignores."""
RESULTS: Final = "RESULTS.md"

GROUPS: Final = (
    Group("first_text", "One thread", "bench.rows.first_text", 42),
    Group("turns", "Many threads at once", "bench.rows.turns", 80),
    Group("accepting", "Taking in what Slack sends", "bench.rows.acceptance", 40),
    Group("resuming", "Taking a session up again", "bench.rows.resume", 38),
    Group("starting", "Starting", "bench.rows.startup", 45),
    Group("mapped", "A million threads on record", "bench.rows.mapped", 70),
    Group("memory", "Memory", "bench.rows.memory", 55),
    Group("slack_calls", "Slack's limits", "bench.rows.slack_calls", 125),
    Group("peers", "Other bots", "bench.rows.peers", 55),
)
"""All groups, in the order of the report."""


Calibrated = Callable[[], Awaitable[float]]
"""Measures the pace of this machine (see `bench.calibration`)."""


def arguments(given: Sequence[str], groups: Sequence[Group]) -> argparse.Namespace:
    """Parse the command line: `rows` as groups, `into` a folder or None, `publish`, `tiny`.

    Exits on a wrong argument.
    """
    named = {group.name: group for group in groups}
    parser = argparse.ArgumentParser(prog="python -m bench", description="How fast the bot is.")
    parser.add_argument("--rows", default="", help=f"of: {', '.join(named)} (all of them)")
    into = parser.add_mutually_exclusive_group()
    into.add_argument("--into", type=Path, help="the folder for the report and the chart")
    into.add_argument("--publish", action="store_true", help="write the report that is committed")
    parser.add_argument("--tiny", action="store_true", help="only to see that it works")
    args = parser.parse_args(given)
    wanted = [name.strip() for name in args.rows.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in named]:
        parser.error(f"no rows are called {', '.join(unknown)}; there are {', '.join(named)}")
    if args.publish and (wanted or args.tiny):
        parser.error("only a whole run can be published")
    args.rows = [group for group in groups if group.name in wanted or not wanted]
    if args.into is None and not wanted and not args.tiny:
        args.into = PUBLISHED if args.publish else OWN
    return args


async def all_of(groups: Sequence[Group], calibrated: Calibrated, *, tiny: bool) -> Run:
    """Measure one group after another and print each result."""
    loop, at = asyncio.get_running_loop(), datetime.now(UTC)
    began = loop.time()
    pace = 1.0
    if not tiny:
        print(f"== calibration: at most {calibration.SECONDS:.0f} s", flush=True)
        pace = await calibrated()
        print(f"   pace {formatting.pace(pace)}", flush=True)
    outcomes = []
    for group, part in parts(groups):
        left = began + TOTAL_SECONDS - RESERVED_SECONDS - loop.time()
        seconds = max(0.0, min(left * part, TOTAL_SECONDS))
        print(f"== {group.name}: at most {seconds:.0f} s", flush=True)
        outcome = await measured(group, seconds, tiny=tiny, pace=pace)
        print("\n".join(_summary_of(outcome)), flush=True)
        outcomes.append(outcome)
    took = loop.time() - began
    return Run(tuple(outcomes), at, took, machine.facts(), tiny=tiny, pace=pace)


def _summary_of(outcome: Outcome) -> list[str]:
    lines = [
        f"   {MET if row.met else NOT_MET} {row.name}: {result(row)} ({spread(row)}), "
        f"goal {goal(row)}"
        for row in outcome.rows
    ]
    if outcome.why:
        lines.append(f"   {NOT_MET} not measured: {without_places(outcome.why)}")
    lines += [f"   less than planned: {less}" for less in outcome.less]
    return [*lines, f"   {outcome.seconds:.0f} s"]


def write(run: Run, into: Path) -> None:
    """Write the report and its chart."""
    into.mkdir(parents=True, exist_ok=True)
    (into / RESULTS).write_text(markdown(run), encoding="utf-8")
    (into / CHART).write_text(svg(run), encoding="utf-8")


def status(run: Run) -> int:
    """The exit status. A tiny run fails only if something could not be measured."""
    if run.unmeasured:
        return 1
    return 2 if run.unmet and not run.tiny else 0


async def _run(groups: Sequence[Group], calibrated: Calibrated, *, tiny: bool) -> Run:
    work, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert work is not None
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop() -> None:
        """Cancel once: later signals are ignored while the processes end, for a few seconds."""
        for sent in signals:
            loop.add_signal_handler(sent, lambda: None)
        work.cancel()

    for sent in signals:
        loop.add_signal_handler(sent, stop)
    return await all_of(groups, calibrated, tiny=tiny)


def main(
    given: Sequence[str],
    groups: Sequence[Group] = GROUPS,
    calibrated: Calibrated = calibration.pace,
) -> int:
    """Run the command; return its exit status."""
    args = arguments(given, groups)
    try:
        run = asyncio.run(_run(args.rows, calibrated, tiny=args.tiny))
    except asyncio.CancelledError:
        print("\nInterrupted: nothing is written.", file=sys.stderr)
        return 130
    print()
    print("\n".join(summary(run)))
    if into := where_to(args, run):
        write(run, into)
        print(f"Written: {into / RESULTS} and {into / CHART}")
    return status(run)


def where_to(args: argparse.Namespace, run: Run) -> Path | None:
    """The folder for the report, or None; an incomplete run is not published."""
    into: Path | None = args.into
    if args.publish and run.unmeasured:
        print("Not published: something could not be measured.")
        return OWN
    return into


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
