"""`threadpilot doctor`: is everything there that the bot needs, and if not, how is it mended?

All checks run at once, each bounded, and all faults are told in one go: one line each. Nothing is
changed, and no secret is shown. Exit status: 0 all is well, 1 something is wrong, 2 the settings
are wrong (then nothing else can be checked).
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
from bot.domain.checks import Check
from bot.errors import SettingsError
from bot.redaction import Redaction
from bot.services import runtime_options
from bot.slack.checks import (
    APP_NOT_NEEDED,
    check_app_token,
    check_bot_token,
    check_events,
)
from bot.store.sqlite.checks import check_database

CHECK_SECONDS: Final = 30.0
"""No check takes longer; they run at the same time."""

SETTINGS_GOOD: Final = "All settings are there and make sense."
TOO_SLOW: Final = "This check took longer than {seconds:.0f} s and was given up. Try again."
CRASHED: Final = "This check itself failed ({why}): please report it, with this line."
ALL_WELL: Final = "All is well."
FAULTS: Final = "{count} to mend."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's report."""

    name: str
    ok: bool | None
    """None: cannot be known from here; the sentence says where to look."""
    sentence: str

    @property
    def mark(self) -> str:
        return {True: "ok", False: "fault", None: "look"}[self.ok]


def main(argv: Sequence[str]) -> int:
    """Check, tell, and give the exit status."""
    chosen = _parser().parse_args(argv)
    # What the libraries have to say about a failed call is in the findings, in better words.
    logging.disable(logging.CRITICAL)
    try:
        settings = load_settings()
    except SettingsError as error:
        faults = [Finding(name="settings", ok=False, sentence=fault) for fault in error.faults]
        _tell(faults, as_json=chosen.json)
        return 2
    findings = asyncio.run(examine(settings))
    _tell(findings, as_json=chosen.json)
    return 1 if any(finding.ok is False for finding in findings) else 0


async def examine(settings: Settings) -> list[Finding]:
    """Every check, at once; the findings in the order in which they are best mended."""
    with tempfile.TemporaryDirectory(prefix="threadpilot-doctor-") as folder:
        # A folder of its own for the runtime: one that is running is left alone.
        options = replace(runtime_options(settings, SystemClock()), data_dir=Path(folder))
        findings = [
            [Finding(name="settings", ok=True, sentence=SETTINGS_GOOD)],
            *await asyncio.gather(
                _slack(settings),
                _app_token(settings),
                _events(),
                _runtime(options),
                _model(options),
                _database(settings.data_dir),
            ),
        ]
    return [_without_secrets(finding, settings) for several in findings for finding in several]


async def _slack(settings: Settings) -> list[Finding]:
    async def both() -> list[Finding]:
        token, scopes = await check_bot_token(settings.slack_bot_token, settings.slack_api_url)
        return [_finding("bot token", token), _finding("scopes", scopes)]

    return await _bounded("bot token", both())


async def _app_token(settings: Settings) -> list[Finding]:
    if settings.slack_mode == "http":
        return [Finding(name="app token", ok=None, sentence=APP_NOT_NEEDED)]
    return await _single(
        "app token", check_app_token(settings.slack_app_token, settings.slack_api_url)
    )


async def _events() -> list[Finding]:
    return [_finding("events", check_events())]


async def _runtime(options: RuntimeOptions) -> list[Finding]:
    return await _single("runtime", check_runtime(options))


async def _model(options: RuntimeOptions) -> list[Finding]:
    return await _single("model", check_model(options))


async def _database(folder: Path) -> list[Finding]:
    return await _single("database", asyncio.to_thread(check_database, folder))


async def _single(name: str, check: Awaitable[Check]) -> list[Finding]:
    async def one() -> list[Finding]:
        return [_finding(name, await check)]

    return await _bounded(name, one())


async def _bounded(
    name: str, checks: Awaitable[list[Finding]], seconds: float = CHECK_SECONDS
) -> list[Finding]:
    """The findings, or one that says why there are none: no check can keep the others back."""
    try:
        async with asyncio.timeout(seconds):
            return await checks
    except TimeoutError:
        sentence = TOO_SLOW.format(seconds=seconds)
    except Exception as error:
        sentence = CRASHED.format(why=type(error).__name__)
    return [Finding(name=name, ok=False, sentence=sentence)]


def _finding(name: str, check: Check) -> Finding:
    return Finding(name=name, ok=check.ok, sentence=check.sentence)


def _without_secrets(finding: Finding, settings: Settings) -> Finding:
    """No check shows a secret; this holds it also where a server's own words repeat one."""
    return replace(finding, sentence=Redaction(settings.secrets)(finding.sentence))


def _tell(findings: Sequence[Finding], *, as_json: bool) -> None:
    faults = sum(finding.ok is False for finding in findings)
    if as_json:
        checks = [
            {"check": finding.name, "result": finding.mark, "says": finding.sentence}
            for finding in findings
        ]
        print(json.dumps({"ok": not faults, "checks": checks}, indent=2, ensure_ascii=False))
        return
    for finding in findings:
        print(f"{finding.mark:<5}  {finding.name:<9}  {finding.sentence}")
    print(FAULTS.format(count=faults) if faults else ALL_WELL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="threadpilot doctor",
        description="Check tokens, scopes, runtime, model and database, and say what to mend.",
    )
    parser.add_argument("--json", action="store_true", help="write the findings as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
