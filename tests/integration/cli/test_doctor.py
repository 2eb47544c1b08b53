"""Tests the doctor: one line per check, all faults at once with a fix, never a secret."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli import doctor
from bot.cli.main import main
from bot.clock import SystemClock
from bot.config.settings import Settings
from bot.slack.manifest import BOT_EVENTS, SCOPES
from bot.store import open_store
from bot.store.sqlite.checks import check_database
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.store.sqlite.schema import MIGRATIONS
from slack_emulator.server import RunningEmulator, running_emulator
from tests import forked_processes
from tests.emulator_client import EmulatorClient
from tests.scripted_model import ScriptedModel

SECONDS = 60.0
UNREACHABLE = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""


@pytest.fixture
async def emulator() -> AsyncIterator[RunningEmulator]:
    async with running_emulator() as running:
        yield running


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel() as model:
        yield model


@pytest.fixture
def healthy_settings(
    emulator: RunningEmulator, model: ScriptedModel, tmp_path: Path
) -> dict[str, str]:
    """Settings with which all checks pass."""
    return {
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_APP_TOKEN": "xapp-sandbox",
        "SLACK_API_URL": emulator.api_url,
        "MODEL_BASE_URL": model.url,
        "DATA_DIR": str(tmp_path / "data"),
    }


@dataclass(frozen=True)
class Report:
    status: int
    text: str


async def run_doctor(settings: dict[str, str], tmp_path: Path, *arguments: str) -> Report:
    """Run `threadpilot doctor` like an operator."""
    home = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await forked_processes.start(
        main,
        "doctor",
        *arguments,
        cwd=tmp_path,
        env={**home, **settings},
        stdout=PIPE,
        stderr=STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        written, _ = await process.communicate()
    assert process.returncode is not None
    return Report(process.returncode, written.decode())


async def reports_of(settings: dict[str, str]) -> dict[str, doctor.CheckReport]:
    return {report.name: report for report in await doctor.run_checks(Settings.from_env(settings))}


async def test_when_every_check_passes_the_status_is_0(
    healthy_settings: dict[str, str], tmp_path: Path
) -> None:
    report = await run_doctor(healthy_settings, tmp_path)
    assert report.status == 0, report.text
    lines = report.text.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [
        *("ok", "ok", "ok", "ok", "look", "ok", "ok", "ok")
    ]
    assert lines[-1] == "All checks passed."
    assert "@threadpilot" in report.text
    assert "1.0.102" in report.text
    assert not (tmp_path / "data").exists(), "the doctor only looks"


async def test_all_faults_come_in_one_run_and_the_status_is_1(tmp_path: Path) -> None:
    """Nothing listens for Slack, nothing for the model, and the database is damaged."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / DATABASE_NAME).write_bytes(b"not a database, whatever its name says" * 200)
    settings = {
        "SLACK_BOT_TOKEN": "xoxb-very-secret",
        "SLACK_APP_TOKEN": "xapp-very-secret",
        "SLACK_API_URL": f"{UNREACHABLE}/api/",
        "MODEL_BASE_URL": f"{UNREACHABLE}/v1",
        "MODEL_API_KEY": "key-very-secret",
        "DATA_DIR": str(data),
    }
    report = await run_doctor(settings, tmp_path)
    assert report.status == 1
    faults = [line.split("  ")[1] for line in report.text.splitlines() if line.startswith("fault")]
    assert [name.strip() for name in faults] == ["bot token", "app token", "model", "database"]
    assert report.text.endswith("4 to fix.\n")
    assert "very-secret" not in report.text
    assert "Traceback" not in report.text


async def test_wrong_settings_are_all_reported_and_the_status_is_2(tmp_path: Path) -> None:
    report = await run_doctor({"SLACK_MODE": "pigeon", "SLACK_BOT_TOKEN": "nonsense"}, tmp_path)
    assert report.status == 2
    for name in ("SLACK_MODE", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "GITHUB_TOKEN"):
        assert name in report.text
    assert "nonsense" not in report.text


async def test_as_json_a_program_can_read_it(
    healthy_settings: dict[str, str], tmp_path: Path
) -> None:
    report = await run_doctor(healthy_settings, tmp_path, "--json")
    output = json.loads(report.text)
    assert output["ok"] is True
    assert {entry["check"] for entry in output["checks"]} == {
        *("settings", "bot token", "scopes", "app token", "events", "runtime", "model"),
        "database",
    }
    assert all(entry["result"] in ("ok", "look") and entry["says"] for entry in output["checks"])


async def test_a_missing_scope_is_named_with_what_it_is_for(
    healthy_settings: dict[str, str], emulator: RunningEmulator
) -> None:
    async with EmulatorClient(emulator.url) as operator:
        await operator.app(scopes=sorted(SCOPES.keys() - {"reactions:write"}))
    report = (await reports_of(healthy_settings))["scopes"]
    assert report.ok is False
    assert f"reactions:write ({SCOPES['reactions:write']})" in report.message
    assert "chat:write" not in report.message
    assert "manifest.yml" in report.message


@pytest.mark.parametrize(
    ("name", "check"), [("SLACK_BOT_TOKEN", "bot token"), ("SLACK_APP_TOKEN", "app token")]
)
async def test_a_token_that_slack_refuses_is_named_and_not_shown(
    healthy_settings: dict[str, str], name: str, check: str
) -> None:
    wrong = healthy_settings[name].partition("-")[0] + "-wrong-one"
    report = await reports_of({**healthy_settings, name: wrong})
    assert [label for label, report in report.items() if report.ok is False] == [check]
    assert name in report[check].message
    assert "invalid_auth" in report[check].message
    assert wrong not in report[check].message


async def test_what_cannot_be_checked_is_not_reported_as_ok(
    healthy_settings: dict[str, str],
) -> None:
    """A token does not show the subscribed events. The doctor says where to look."""
    report = (await reports_of(healthy_settings))["events"]
    assert report.ok is None
    assert all(name in report.message for name in BOT_EVENTS)


async def test_with_signed_http_no_app_token_is_asked_for(healthy_settings: dict[str, str]) -> None:
    settings = {**healthy_settings, "SLACK_MODE": "http", "SLACK_SIGNING_SECRET": "signing-secret"}
    del settings["SLACK_APP_TOKEN"]
    report = (await reports_of(settings))["app token"]
    assert report.ok is None
    assert "Event Subscriptions" in report.message


async def test_a_check_that_hangs_ends_after_its_timeout() -> None:
    async def hangs() -> list[doctor.CheckReport]:
        await asyncio.Event().wait()
        return []

    (report,) = await doctor._run_bounded("model", hangs(), 0.01)  # noqa: SLF001 - the bound itself
    assert report.ok is False
    assert "took longer" in report.message


async def test_a_check_that_breaks_does_not_hide_the_others() -> None:
    async def breaks() -> list[doctor.CheckReport]:
        raise RuntimeError("with something private in it")

    (report,) = await doctor._run_bounded("model", breaks())  # noqa: SLF001 - the guard itself
    assert report.ok is False
    assert "RuntimeError" in report.message
    assert "private" not in report.message


async def test_a_secret_that_a_server_repeats_is_taken_out(
    healthy_settings: dict[str, str],
) -> None:
    settings = Settings.from_env({**healthy_settings, "MODEL_API_KEY": "key-very-secret"})
    report = doctor.CheckReport(
        name="model", ok=False, message="refused: key-very-secret is unknown"
    )
    report = doctor._redact_report(report, settings)  # noqa: SLF001 - the last guard
    assert report.message == "refused: [secret] is unknown"


# The database


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """The data folder of a bot that was stopped."""
    async with open_store(tmp_path / "data", clock=SystemClock(), max_running_per_user=3):
        pass
    return tmp_path / "data"


def test_a_stopped_bots_database_is_whole(folder: Path) -> None:
    report = check_database(folder)
    assert report.ok
    assert f"is intact (schema {MIGRATIONS[-1].number})" in report.message
    assert "using it" not in report.message


async def test_a_running_bots_database_may_be_checked(tmp_path: Path) -> None:
    async with open_store(tmp_path, clock=SystemClock(), max_running_per_user=3):
        report = check_database(tmp_path)
    assert report.ok
    assert "a bot is using it now" in report.message


def test_a_database_of_a_newer_threadpilot_is_reported(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as database:
        database.execute("PRAGMA user_version = 999")
    report = check_database(folder)
    assert not report.ok
    assert "schema 999" in report.message


def test_a_damaged_page_is_found(folder: Path) -> None:
    file = folder / DATABASE_NAME
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xff" * 4096)
    report = check_database(folder)
    assert not report.ok
    assert "restore a backup" in report.message


def test_a_folder_that_others_can_read_is_reported(folder: Path) -> None:
    folder.chmod(0o755)
    (folder / DATABASE_NAME).chmod(0o644)
    report = check_database(folder)
    assert not report.ok
    assert "chmod 600" in report.message


def test_a_folder_that_does_not_exist_yet_is_well_and_is_not_made(tmp_path: Path) -> None:
    report = check_database(tmp_path / "not" / "yet")
    assert report.ok
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_reported(folder: Path) -> None:
    report = check_database(folder, min_free_bytes=1 << 62)
    assert not report.ok
    assert "Free some space" in report.message
