"""The settings: what the person who runs the bot may choose, read once from the environment.

`bot.config.definitions` is the one table of them, `bot.config.parsers` how each is read. All faults
are found in one go (`SettingsError.faults`), each with its remedy, and none repeats a secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from dotenv import dotenv_values

from bot.config import parsers
from bot.config.definitions import SETTINGS
from bot.errors import SettingsError
from bot.logs import redact_tokens

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the bot runs with: parsed, checked and complete."""

    slack_bot_token: str = field(repr=False)
    slack_app_token: str = field(repr=False)
    slack_signing_secret: str = field(repr=False)
    slack_mode: str
    slack_api_url: str
    slack_limits: int
    http_host: str
    http_port: int
    data_dir: Path
    github_token: str = field(repr=False)
    model_base_url: str
    model_api_key: str = field(repr=False)
    model: str
    copilot_cli_path: Path | None
    admin_users: frozenset[str]
    admin_group: str
    workspace_admins: bool
    allow_guests: bool
    allow_external: bool
    allowed_channels: frozenset[str]
    allowed_users: frozenset[str]
    allowed_bots: frozenset[str]
    roles_file: Path | None
    max_turns: int
    max_turns_per_user: int
    max_turns_per_day: int
    max_sessions: int
    pool_seconds: float
    runtime_memory_mb: int
    retention_days: int
    retention_sessions: int
    retention_mb: int
    context_messages: int
    catch_up_seconds: float
    max_message_chars: int
    silence_seconds: float
    turn_seconds: float
    shutdown_seconds: float
    log_level: str
    log_format: str
    metrics_port: int
    metrics_host: str
    otel_exporter_otlp_endpoint: str

    @property
    def secrets(self) -> frozenset[str]:
        """The values that may never be written anywhere."""
        values = (
            self.slack_bot_token,
            self.slack_app_token,
            self.slack_signing_secret,
            self.github_token,
            self.model_api_key,
        )
        return frozenset(value for value in values if value)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the settings. Raises `SettingsError` with every fault at once."""
        read = _Reader(env)
        settings = cls(
            slack_bot_token=read("SLACK_BOT_TOKEN", parsers.token("xoxb-")),
            slack_app_token=read("SLACK_APP_TOKEN", parsers.token("xapp-")),
            slack_signing_secret=read("SLACK_SIGNING_SECRET", parsers.secret),
            slack_mode=read("SLACK_MODE", parsers.choice("socket", "http")),
            slack_api_url=read("SLACK_API_URL", parsers.api_url),
            slack_limits=read("SLACK_LIMITS", parsers.integer(1, 1_000)),
            http_host=read("HTTP_HOST", str),
            http_port=read("HTTP_PORT", parsers.integer(1, 65_535)),
            data_dir=read("DATA_DIR", parsers.folder),
            github_token=read("GITHUB_TOKEN", parsers.secret),
            model_base_url=read("MODEL_BASE_URL", parsers.url),
            model_api_key=read("MODEL_API_KEY", parsers.secret),
            model=read("MODEL", str),
            copilot_cli_path=read("COPILOT_CLI_PATH", parsers.file),
            admin_users=read("ADMIN_USERS", parsers.user_ids),
            admin_group=read("ADMIN_GROUP", parsers.group_id),
            workspace_admins=read("WORKSPACE_ADMINS", parsers.boolean),
            allow_guests=read("ALLOW_GUESTS", parsers.boolean),
            allow_external=read("ALLOW_EXTERNAL", parsers.boolean),
            allowed_channels=read("ALLOWED_CHANNELS", parsers.channel_ids),
            allowed_users=read("ALLOWED_USERS", parsers.user_ids),
            allowed_bots=read("ALLOWED_BOTS", parsers.bot_ids),
            roles_file=read("ROLES_FILE", parsers.file),
            max_turns=read("MAX_TURNS", parsers.integer(1, 1_000)),
            max_turns_per_user=read("MAX_TURNS_PER_USER", parsers.integer(1, 1_000)),
            max_turns_per_day=read("MAX_TURNS_PER_DAY", parsers.integer(0, 100_000)),
            max_sessions=read("MAX_SESSIONS", parsers.integer(1, 1_000)),
            pool_seconds=read("POOL_SECONDS", parsers.seconds(0, 600)),
            runtime_memory_mb=read("RUNTIME_MEMORY_MB", parsers.integer(0, 1_000_000)),
            retention_days=read("RETENTION_DAYS", parsers.integer(0, 36_500)),
            retention_sessions=read("RETENTION_SESSIONS", parsers.integer(0, 10_000_000)),
            retention_mb=read("RETENTION_MB", parsers.integer(0, 100_000_000)),
            context_messages=read("CONTEXT_MESSAGES", parsers.integer(0, 500)),
            catch_up_seconds=read("CATCH_UP_SECONDS", parsers.seconds(0, 86_400)),
            max_message_chars=read("MAX_MESSAGE_CHARS", parsers.integer(1, 40_000)),
            silence_seconds=read("SILENCE_SECONDS", parsers.seconds(1, 3_600)),
            turn_seconds=read("TURN_SECONDS", parsers.seconds(1, 86_400)),
            shutdown_seconds=read("SHUTDOWN_SECONDS", parsers.seconds(0, 600)),
            log_level=read("LOG_LEVEL", parsers.choice("DEBUG", "INFO", "WARNING", "ERROR")),
            log_format=read("LOG_FORMAT", parsers.choice("text", "json")),
            metrics_port=read("METRICS_PORT", parsers.integer(0, 65_535)),
            metrics_host=read("METRICS_HOST", str),
            otel_exporter_otlp_endpoint=read("OTEL_EXPORTER_OTLP_ENDPOINT", parsers.url),
        )
        faults = [*read.faults, *_check_combinations(settings, read)]
        if faults:
            raise SettingsError(faults)
        return settings


def load_settings(env: Mapping[str, str] | None = None, dotenv: Path = Path(".env")) -> Settings:
    """The settings from `.env`, where there is one, overruled by the environment."""
    try:
        written = {name: text for name, text in dotenv_values(dotenv).items() if text is not None}
    except (OSError, UnicodeError):
        raise SettingsError([f"{dotenv}: give a readable text file in UTF-8."]) from None
    return Settings.from_env({**written, **(os.environ if env is None else env)})


class _Reader:
    """Reads one setting after another and collects what is wrong instead of stopping at it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._definitions = {setting.name: setting for setting in SETTINGS}
        self.faults: list[str] = []
        self.invalid_names: set[str] = set()

    def __call__(self, name: str, parse: Callable[[str], T]) -> T:
        setting = self._definitions[name]
        given = self._env.get(name, "").strip() or setting.default
        try:
            return parse(given)
        except ValueError as fault:
            shown = "" if setting.secret else f" (it is {redact_tokens(given)!r})"
            self.faults.append(f"{name}{shown}: {fault}")
            self.invalid_names.add(name)
            return parse(setting.default)


def _check_combinations(settings: Settings, reader: _Reader) -> list[str]:
    """What has to be given together with what was chosen."""
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
