"""Tests the settings: complete, or all faults at once, and never a secret in the output."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from bot.config.settings import SETTINGS, Settings, load_settings
from bot.errors import SettingsError

EMULATOR = {
    "SLACK_BOT_TOKEN": "xoxb-sandbox",
    "SLACK_APP_TOKEN": "xapp-sandbox",
    "SLACK_API_URL": "http://127.0.0.1:8787/api/",
    "MODEL_BASE_URL": "http://127.0.0.1:9000/v1",
}

SECRET = [setting for setting in SETTINGS if setting.secret]


def faults_of(**env: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**EMULATOR, **env})
    return str(caught.value)


def test_two_tokens_a_model_and_a_workspace_are_a_whole_bot() -> None:
    settings = Settings.from_env(EMULATOR)
    assert settings.slack_mode == "socket"
    assert settings.http_host == "127.0.0.1"
    assert settings.model == ""
    assert settings.data_dir == Path("data").absolute()


def test_every_field_is_a_row_of_the_table_whose_default_its_parser_accepts() -> None:
    settings = Settings.from_env(EMULATOR)
    assert [row.name.lower() for row in SETTINGS] == [f.name for f in fields(Settings)]
    for row in SETTINGS:
        if row.name not in EMULATOR:
            assert getattr(settings, row.name.lower()) == row.parse(row.default)


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"HTTP_PORT": "http", "SLACK_MODE": "pigeon"})
    names = [fault.split()[0].rstrip(":") for fault in caught.value.faults]
    assert names == [
        "SLACK_MODE",
        "HTTP_PORT",
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "GITHUB_TOKEN",
    ]


def test_http_mode_needs_the_signing_secret_and_no_app_token() -> None:
    env = {**EMULATOR, "SLACK_MODE": "http", "SLACK_APP_TOKEN": ""}
    with pytest.raises(SettingsError, match="SLACK_SIGNING_SECRET is not set"):
        Settings.from_env(env)
    settings = Settings.from_env({**env, "SLACK_SIGNING_SECRET": "shh-sign"})
    assert settings.slack_mode == "http"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SLACK_BOT_TOKEN", "xapp-swapped", "begins with xoxb-"),
        ("SLACK_APP_TOKEN", "xoxb-swapped", "begins with xapp-"),
        ("SLACK_API_URL", "http://slack.example/api", "https://"),
        ("SLACK_API_URL", "slack.com", "https://"),
        ("MODEL_BASE_URL", "ftp://models", "https:// or http://"),
        ("HTTP_PORT", "0", "from 1 to 65535"),
        ("HTTP_PORT", "70000", "from 1 to 65535"),
        ("MAX_TURNS", "-1", "whole number"),
        ("MAX_TURNS", "two", "whole number"),
        ("MAX_MESSAGE_CHARS", "50000", "to 40000"),
        ("SILENCE_SECONDS", "nan", "number of seconds"),
        ("SILENCE_SECONDS", "1e9", "number of seconds"),
        ("ADMIN_USERS", "alice", "Slack user ids"),
        ("COPILOT_CLI_PATH", "/no/such/copilot", "no such file"),
        ("LOG_LEVEL", "LOUD", "choose one of"),
        ("DATA_DIR", __file__, "a folder"),
        ("DATA_DIR", "~nosuchperson/data", "a path that can be used"),
        ("DATA_DIR", "x" * 300, "a path that can be used"),
        ("COPILOT_CLI_PATH", "~nosuchperson/copilot", "a path that can be used"),
    ],
)
def test_a_wrong_value_is_named_with_its_remedy(name: str, value: str, expected: str) -> None:
    faults = faults_of(**{name: value})
    assert faults.startswith(name)
    assert expected in faults


def test_a_secret_is_neither_in_a_fault_nor_in_the_repr() -> None:
    assert "canary" not in faults_of(SLACK_BOT_TOKEN="wrong-canary")
    settings = Settings.from_env(
        {**EMULATOR, "MODEL_API_KEY": "canary-1", "GITHUB_TOKEN": "canary-2"}
    )
    assert "canary" not in repr(settings)
    assert {"canary-1", "canary-2", "xoxb-sandbox", "xapp-sandbox"} == settings.secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLACK_BOT_TOKEN", "xoxb-1"),
        ("SLACK_APP_TOKEN", "xapp-"),
        ("SLACK_SIGNING_SECRET", "secret7"),
        ("GITHUB_TOKEN", "gho_x"),
        ("MODEL_API_KEY", "e"),
    ],
)
def test_a_value_that_is_too_short_for_a_secret_is_refused(name: str, value: str) -> None:
    """Its redaction would damage every log line. Without redaction it would be visible."""
    faults = faults_of(**{name: value})
    assert faults.startswith(f"{name}: ")
    assert "give all of it, at least 8 characters, or leave it out" in faults
    assert value not in faults.removeprefix(name).split()


def test_every_secret_of_the_table_is_kept_out_of_what_is_written() -> None:
    given = {setting.name: f"xoxb-{number}-long" for number, setting in enumerate(SECRET)}
    given["SLACK_APP_TOKEN"] = "xapp-long"
    assert Settings.from_env({**EMULATOR, **given}).secrets == set(given.values())


def test_a_token_on_the_wrong_line_is_not_shown() -> None:
    faults = faults_of(LOG_LEVEL="xoxb-12345-canary", ADMIN_USERS="ghp_canary1234")
    assert "canary" not in faults
    assert "[secret]" in faults


def test_every_running_turn_can_hold_a_session() -> None:
    assert "give at least MAX_TURNS" in faults_of(MAX_SESSIONS="5", MAX_TURNS="6")


def test_admins_are_a_list_with_commas() -> None:
    assert Settings.from_env({**EMULATOR, "ADMIN_USERS": " UALICE, W0BOB ,"}).admin_users == {
        "UALICE",
        "W0BOB",
    }


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("SLACK_BOT_TOKEN=xoxb-file\nMAX_TURNS=7\nGITHUB_TOKEN='gho_file'\n")
    settings = load_settings({**EMULATOR, "MAX_TURNS": "9"}, dotenv)
    assert settings.slack_bot_token == "xoxb-sandbox"
    assert settings.max_turns == 9
    assert settings.github_token == "gho_file"


def test_an_env_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"SLACK_BOT_TOKEN=\xff\xfe")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings(EMULATOR, dotenv)


def test_the_api_address_gets_its_last_slash() -> None:
    settings = Settings.from_env({**EMULATOR, "SLACK_API_URL": "http://localhost:1/api"})
    assert settings.slack_api_url == "http://localhost:1/api/"
