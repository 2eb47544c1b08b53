"""Defines the bot's settings and reads them from the environment.

Each field of `Settings` is one row of the table: its parser (`bot.config.parsers`), default and
meaning. The README's table and `.env.example` are held equal to it by tests. All faults are found
in one go (`SettingsError.faults`), each with its remedy, and none repeats a secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values

from bot.config import parsers
from bot.config.definitions import SettingDefinition, definitions_of, setting
from bot.errors import SettingsError
from bot.logs import redact_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the bot: parsed, checked and complete."""

    slack_bot_token: str = setting(
        parsers.token("xoxb-"),
        "The bot's token, from *OAuth & Permissions*; begins with `xoxb-`.",
        secret=True,
        required_when="always",
    )
    slack_app_token: str = setting(
        parsers.token("xapp-"),
        "The app-level token with `connections:write`; begins with `xapp-`.",
        secret=True,
        required_when="with `SLACK_MODE=socket`",
    )
    slack_signing_secret: str = setting(
        parsers.secret,
        "Proves that a request came from Slack; from *Basic Information*.",
        secret=True,
        required_when="with `SLACK_MODE=http`",
    )
    slack_mode: str = setting(
        parsers.choice("socket", "http"),
        "`socket`: the bot connects to Slack; `http`: Slack calls the bot.",
        default="socket",
    )
    slack_api_url: str = setting(
        parsers.api_url,
        "Where Slack's Web API is; the emulator's address in the demo and in tests.",
        default="https://slack.com/api/",
    )
    slack_limits: int = setting(
        parsers.integer(1, 1_000),
        "Factor by which Slack raises its published rate limits for your app; mostly `1`.",
        default="1",
    )
    http_host: str = setting(
        str,
        "The address that `SLACK_MODE=http` listens on; loopback by default.",
        default="127.0.0.1",
    )
    http_port: int = setting(
        parsers.integer(1, 65_535),
        "The port that `SLACK_MODE=http` listens on.",
        default="3000",
    )
    data_dir: Path = setting(
        parsers.folder,
        "The folder of the database and of the sessions; created if missing, one bot each.",
        default="data",
    )
    github_token: str = setting(
        parsers.secret,
        "A GitHub token with Copilot access: the models of your Copilot plan.",
        secret=True,
        required_when="without `MODEL_BASE_URL`",
    )
    model_base_url: str = setting(
        parsers.url,
        "An OpenAI-compatible server to use instead of GitHub's models.",
        required_when="without `GITHUB_TOKEN`",
    )
    model_api_key: str = setting(
        parsers.secret,
        "The key for `MODEL_BASE_URL`, if that server needs one.",
        secret=True,
    )
    model: str = setting(
        str,
        "The model's name; otherwise the server's first model, or your plan's default.",
    )
    copilot_cli_path: Path | None = setting(
        parsers.file,
        "The Copilot runtime's program, `copilot-runtime`; otherwise the one that "
        "`make setup` installed.",
    )
    admin_users: frozenset[str] = setting(
        parsers.user_ids,
        "Slack user ids (`U…`, comma-separated) of the bot's admins.",
    )
    admin_group: str = setting(
        parsers.group_id,
        "A Slack user group (`S…`) whose members are admins, too.",
    )
    workspace_admins: bool = setting(
        parsers.boolean,
        "Whether the workspace's admins and owners are admins of the bot, too: `yes` or `no`.",
        default="yes",
    )
    allow_guests: bool = setting(
        parsers.boolean,
        "Whether guests of the workspace may use the bot: `yes` or `no`.",
        default="no",
    )
    allow_external: bool = setting(
        parsers.boolean,
        "Whether users of other workspaces (Slack Connect) may use the bot: `yes` or `no`.",
        default="no",
    )
    allowed_channels: frozenset[str] = setting(
        parsers.channel_ids,
        "The only channels in which the bot answers (`C…`, comma-separated); empty: all.",
    )
    allowed_users: frozenset[str] = setting(
        parsers.user_ids,
        "Only these users (`U…`, comma-separated) and admins may use the bot; empty: all users.",
    )
    allowed_bots: frozenset[str] = setting(
        parsers.bot_ids,
        "Other bots (`B…` or `U…`, comma-separated) that get an answer when they mention the bot.",
    )
    roles_file: Path | None = setting(
        parsers.file,
        "A TOML file with roles of your own; otherwise planning, coding and review.",
    )
    max_turns: int = setting(
        parsers.integer(1, 1_000),
        "Maximum number of turns that run at once; more are queued.",
        default="20",
    )
    max_turns_per_user: int = setting(
        parsers.integer(1, 1_000),
        "Maximum number of turns of one user that run at once; more are queued.",
        default="3",
    )
    max_turns_per_day: int = setting(
        parsers.integer(0, 100_000),
        "Maximum number of turns of one user in 24 hours; `0` for no limit.",
        default="0",
    )
    max_sessions: int = setting(
        parsers.integer(1, 1_000),
        "Maximum number of live sessions, about 6 MB each; a comparison takes one per model.",
        default="50",
    )
    pool_seconds: float = setting(
        parsers.seconds(0, 600),
        "How long a turn waits for a free session before it fails.",
        default="30",
    )
    runtime_memory_mb: int = setting(
        parsers.integer(0, 1_000_000),
        "The runtime restarts when it uses more memory and no turn runs; `0` for never.",
        default="1500",
    )
    retention_days: int = setting(
        parsers.integer(0, 36_500),
        "Sessions that are unused for this many days are deleted; `0` for never.",
        default="0",
    )
    retention_sessions: int = setting(
        parsers.integer(0, 10_000_000),
        "Above this number, the sessions unused for the longest are deleted; `0` for no limit.",
        default="0",
    )
    retention_mb: int = setting(
        parsers.integer(0, 100_000_000),
        "The same for the disk space of all sessions; `0` for no limit.",
        default="0",
    )
    context_messages: int = setting(
        parsers.integer(0, 500),
        "How many earlier messages of a thread the bot reads when it is mentioned there first.",
        default="50",
    )
    catch_up_seconds: float = setting(
        parsers.seconds(0, 86_400),
        "How far back the bot looks for messages it missed while disconnected; `0` for never.",
        default="3600",
    )
    max_message_chars: int = setting(
        parsers.integer(1, 40_000),
        "Maximum length of a message; a longer one is refused with a note.",
        default="30000",
    )
    silence_seconds: float = setting(
        parsers.seconds(1, 3_600),
        "How long the model may be silent before the turn fails.",
        default="120",
    )
    turn_seconds: float = setting(
        parsers.seconds(1, 86_400),
        "How long one turn may take in total.",
        default="1800",
    )
    shutdown_seconds: float = setting(
        parsers.seconds(0, 600),
        "How long running turns may take to finish when the bot stops.",
        default="20",
    )
    log_level: str = setting(
        parsers.choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
        default="INFO",
    )
    log_format: str = setting(
        parsers.choice("text", "json"),
        "`text`: readable lines; `json`: one JSON object per line.",
        default="text",
    )
    metrics_port: int = setting(
        parsers.integer(0, 65_535),
        "The port of `/metrics`, `/healthz` and `/readyz` for operators; `0` for none.",
        default="0",
    )
    metrics_host: str = setting(
        str,
        "The address that `METRICS_PORT` listens on; loopback by default.",
        default="127.0.0.1",
    )
    otel_exporter_otlp_endpoint: str = setting(
        parsers.url,
        "Where traces are sent (OTLP over HTTP); needs the extra `threadpilot[tracing]`.",
    )

    @property
    def secrets(self) -> frozenset[str]:
        """The values that must not appear in any output."""
        values = (getattr(self, each.name.lower()) for each in SETTINGS if each.secret)
        return frozenset(value for value in values if value)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings. Raises `SettingsError` with every fault at once."""
        read = _Reader(env)
        values: dict[str, Any] = {each.name.lower(): read(each) for each in SETTINGS}
        settings = cls(**values)
        faults = [*read.faults, *_check_combinations(settings, read)]
        if faults:
            raise SettingsError(faults)
        return settings


SETTINGS: Final = definitions_of(Settings)
"""The settings table, in the order of the fields of `Settings`."""


def load_settings(env: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """The settings of the environment and of `.env`, if it exists. The environment wins.

    Raises `SettingsError`.
    """
    try:
        written = {name: text for name, text in dotenv_values(dotenv).items() if text is not None}
    except (OSError, UnicodeError):
        raise SettingsError([f"{dotenv}: give a readable text file in UTF-8."]) from None
    return Settings.from_env({**written, **(os.environ if env is None else env)})


class _Reader:
    """Reads settings one by one, and collects errors instead of stopping at the first."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.faults: list[str] = []
        self.invalid_names: set[str] = set()

    def __call__(self, setting: SettingDefinition) -> object:
        given = self._env.get(setting.name, "").strip() or setting.default
        try:
            return setting.parse(given)
        except ValueError as fault:
            shown = "" if setting.secret else f" (it is {redact_tokens(given)!r})"
            self.faults.append(f"{setting.name}{shown}: {fault}")
            self.invalid_names.add(setting.name)
            return setting.parse(setting.default)


def _check_combinations(settings: Settings, reader: _Reader) -> list[str]:
    """The faults of settings that require or limit each other, or an empty list."""
    faults = []

    def need(present: bool, name: str, remedy: str) -> None:
        if not present and name not in reader.invalid_names:
            faults.append(f"{name} is not set: {remedy}")

    need(
        bool(settings.slack_bot_token),
        "SLACK_BOT_TOKEN",
        "copy the Bot User OAuth Token (xoxb-…) from your app's OAuth & Permissions page.",
    )
    if settings.slack_mode == "socket":
        need(
            bool(settings.slack_app_token),
            "SLACK_APP_TOKEN",
            "make an app-level token with connections:write on your app's Basic Information "
            "page, or set SLACK_MODE=http.",
        )
    else:
        need(
            bool(settings.slack_signing_secret),
            "SLACK_SIGNING_SECRET",
            "copy the Signing Secret from your app's Basic Information page.",
        )
    if settings.max_sessions < settings.max_turns and "MAX_SESSIONS" not in reader.invalid_names:
        faults.append(
            f"MAX_SESSIONS (it is {settings.max_sessions}): every running turn holds a session, so "
            f"give at least MAX_TURNS, which is {settings.max_turns}."
        )
    if not settings.github_token and not {"MODEL_BASE_URL", "GITHUB_TOKEN"} & reader.invalid_names:
        need(
            bool(settings.model_base_url),
            "GITHUB_TOKEN or MODEL_BASE_URL",
            "give a GitHub token with Copilot access, or the address of an OpenAI-compatible "
            "model server.",
        )
    return faults
