"""Runs `threadpilot doctor`, which checks what the bot needs and says how to fix it.

All checks run at once, each with a timeout, and each result is one line. The doctor changes nothing
and shows no secret. Exit status: 0 all checks passed, 1 a check failed, 2 the settings are wrong
(then no other check runs).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bot.clock import SystemClock
from bot.config.settings import Settings, load_settings
from bot.copilot.checks import check_model, check_runtime
from bot.copilot.options import RuntimeOptions
from bot.domain.checks import CheckResult
from bot.errors import SettingsError
from bot.redaction import SecretRedactor
from bot.services import runtime_options
from bot.slack.checks import (
    APP_NOT_NEEDED,
    check_app_token,
    check_bot_token,
    check_events,
)
from bot.store.sqlite.checks import check_database

CHECK_SECONDS: Final = 30.0
"""Timeout for each check, in seconds. The checks run at the same time."""

SETTINGS_GOOD: Final = "All settings are valid."
TOO_SLOW: Final = "This check took longer than {seconds:.0f} s. Try again."
CRASHED: Final = "This check crashed ({why}): please report it, with this line."
ALL_WELL: Final = "All checks passed."
FAULTS: Final = "{count} to fix."


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """One line of the doctor's report."""

    name: str
    ok: bool | None
    """None if it cannot be checked from here. The message says where to look."""
    message: str

    @property
    def label(self) -> str:
        return {True: "ok", False: "fault", None: "look"}[self.ok]


def main(argv: Sequence[str]) -> int:
    """Run all checks and print the results. Returns the exit status."""
    chosen = _parser().parse_args(argv)
    # The reports explain failed calls better than the libraries' log lines.
    logging.disable(logging.CRITICAL)
    try:
        settings = load_settings()
    except SettingsError as error:
        faults = [CheckReport(name="settings", ok=False, message=fault) for fault in error.faults]
        _print_reports(faults, as_json=chosen.json)
        return 2
    reports = asyncio.run(run_checks(settings))
    _print_reports(reports, as_json=chosen.json)
    return 1 if any(report.ok is False for report in reports) else 0


async def run_checks(settings: Settings) -> list[CheckReport]:
    """Run all checks at once. The reports are in the order in which to fix them."""
    with tempfile.TemporaryDirectory(prefix="threadpilot-doctor-") as folder:
        # A separate folder for the runtime, so that a running one is not disturbed.
        options = replace(runtime_options(settings, SystemClock()), data_dir=Path(folder))
        reports = [
            [CheckReport(name="settings", ok=True, message=SETTINGS_GOOD)],
            *await asyncio.gather(
                _check_slack(settings),
                _check_app_token(settings),
                _check_events(),
                _check_runtime(options),
                _check_model(options),
                _check_database(settings.data_dir),
            ),
        ]
    return [_redact_report(report, settings) for group in reports for report in group]


async def _check_slack(settings: Settings) -> list[CheckReport]:
    async def both() -> list[CheckReport]:
        token, scopes = await check_bot_token(settings.slack_bot_token, settings.slack_api_url)
        return [_report_of("bot token", token), _report_of("scopes", scopes)]

    return await _run_bounded("bot token", both())


async def _check_app_token(settings: Settings) -> list[CheckReport]:
    if settings.slack_mode == "http":
        return [CheckReport(name="app token", ok=None, message=APP_NOT_NEEDED)]
    return await _run_single(
        "app token", check_app_token(settings.slack_app_token, settings.slack_api_url)
    )


async def _check_events() -> list[CheckReport]:
    return [_report_of("events", check_events())]


async def _check_runtime(options: RuntimeOptions) -> list[CheckReport]:
    return await _run_single("runtime", check_runtime(options))


async def _check_model(options: RuntimeOptions) -> list[CheckReport]:
    return await _run_single("model", check_model(options))


async def _check_database(folder: Path) -> list[CheckReport]:
    return await _run_single("database", asyncio.to_thread(check_database, folder))


async def _run_single(name: str, check: Awaitable[CheckResult]) -> list[CheckReport]:
    async def one() -> list[CheckReport]:
        return [_report_of(name, await check)]

    return await _run_bounded(name, one())


async def _run_bounded(
    name: str, checks: Awaitable[list[CheckReport]], seconds: float = CHECK_SECONDS
) -> list[CheckReport]:
    """The reports, or one that says why there are none. A check cannot block the others."""
    try:
        async with asyncio.timeout(seconds):
            return await checks
    except TimeoutError:
        message = TOO_SLOW.format(seconds=seconds)
    except Exception as error:
        message = CRASHED.format(why=type(error).__name__)
    return [CheckReport(name=name, ok=False, message=message)]


def _report_of(name: str, result: CheckResult) -> CheckReport:
    return CheckReport(name=name, ok=result.ok, message=result.message)


def _redact_report(report: CheckReport, settings: Settings) -> CheckReport:
    """The report without secrets. No check shows one, but a server's text may repeat one."""
    return replace(report, message=SecretRedactor(settings.secrets)(report.message))


def _print_reports(reports: Sequence[CheckReport], *, as_json: bool) -> None:
    faults = sum(report.ok is False for report in reports)
    if as_json:
        checks = [
            {"check": report.name, "result": report.label, "says": report.message}
            for report in reports
        ]
        print(json.dumps({"ok": not faults, "checks": checks}, indent=2, ensure_ascii=False))
        return
    for report in reports:
        print(f"{report.label:<5}  {report.name:<9}  {report.message}")
    print(FAULTS.format(count=faults) if faults else ALL_WELL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="threadpilot doctor",
        description="Check tokens, scopes, runtime, model and database, and say what to fix.",
    )
    parser.add_argument("--json", action="store_true", help="write the results as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
