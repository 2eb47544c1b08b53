"""The settings: what the person who runs the bot may choose, read once from the environment.

`SETTINGS` is the one table of them; the README's table is held equal to it by a test. All faults
are found in one go (`SettingsError.faults`), each with its remedy, and none repeats a secret.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values

from bot.errors import SettingsError
from bot.logs import without_tokens

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One row of the settings table."""

    name: str
    meaning: str
    default: str = ""
    secret: bool = False
    needed: str = ""
    """When it has to be given; empty where it never has to."""


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="SLACK_BOT_TOKEN",
        meaning="The bot's token, from *OAuth & Permissions*; begins with `xoxb-`.",
        secret=True,
        needed="always",
    ),
    Setting(
        name="SLACK_APP_TOKEN",
        meaning="The app-level token with `connections:write`; begins with `xapp-`.",
        secret=True,
        needed="with `SLACK_MODE=socket`",
    ),
    Setting(
        name="SLACK_SIGNING_SECRET",
        meaning="Proves that a request came from Slack; from *Basic Information*.",
        secret=True,
        needed="with `SLACK_MODE=http`",
    ),
    Setting(
        name="SLACK_MODE",
        meaning="`socket`: the bot connects to Slack; `http`: Slack calls the bot.",
        default="socket",
    ),
    Setting(
        name="SLACK_API_URL",
        meaning="Where Slack's Web API is; the sandbox's address in the demo and in tests.",
        default="https://slack.com/api/",
    ),
    Setting(
        name="HTTP_HOST",
        meaning="The address that `SLACK_MODE=http` listens on; loopback unless told otherwise.",
        default="127.0.0.1",
    ),
    Setting(
        name="HTTP_PORT",
        meaning="The port that `SLACK_MODE=http` listens on.",
        default="3000",
    ),
    Setting(
        name="DATA_DIR",
        meaning="The folder of the database and of the sessions; made if missing, one bot each.",
        default="data",
    ),
    Setting(
        name="GITHUB_TOKEN",
        meaning="A GitHub token with Copilot access: the models of your Copilot plan.",
        secret=True,
        needed="without `MODEL_BASE_URL`",
    ),
    Setting(
        name="MODEL_BASE_URL",
        meaning="An OpenAI-compatible server to use instead of GitHub's models.",
        needed="without `GITHUB_TOKEN`",
    ),
    Setting(
        name="MODEL_API_KEY",
        meaning="The key for `MODEL_BASE_URL`, where that server asks for one.",
        secret=True,
    ),
    Setting(
        name="MODEL",
        meaning="The model's name; otherwise the server's first model, or your plan's default.",
    ),
    Setting(
        name="COPILOT_CLI_PATH",
        meaning="The Copilot runtime's binary; otherwise the one that `make setup` installed.",
    ),
    Setting(
        name="ADMIN_USERS",
        meaning="Slack user ids (`U…`, comma-separated) who see the bot's state on its Home tab.",
    ),
    Setting(
        name="MAX_TURNS",
        meaning="How many turns run at once, in all; more wait.",
        default="20",
    ),
    Setting(
        name="MAX_TURNS_PER_USER",
        meaning="How many turns of one person run at once; more wait.",
        default="3",
    ),
    Setting(
        name="MAX_SESSIONS",
        meaning="How many sessions stay live; each costs about 4 MB. Others are resumed on need.",
        default="50",
    ),
    Setting(
        name="MAX_MESSAGE_CHARS",
        meaning="The longest message that is taken; a longer one gets a sentence.",
        default="30000",
    ),
    Setting(
        name="SILENCE_SECONDS",
        meaning="How long the model may say nothing before the turn is given up.",
        default="120",
    ),
    Setting(
        name="TURN_SECONDS",
        meaning="How long one turn may take in all, however much the model says.",
        default="1800",
    ),
    Setting(
        name="SHUTDOWN_SECONDS",
        meaning="How long running turns may take to finish when the bot is asked to stop.",
        default="20",
    ),
    Setting(
        name="LOG_LEVEL",
        meaning="`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
        default="INFO",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the bot runs with: parsed, checked and complete."""

    slack_bot_token: str = field(repr=False)
    slack_app_token: str = field(repr=False)
    slack_signing_secret: str = field(repr=False)
    slack_mode: str
    slack_api_url: str
    http_host: str
    http_port: int
    data_dir: Path
    github_token: str = field(repr=False)
    model_base_url: str
    model_api_key: str = field(repr=False)
    model: str
    copilot_cli_path: Path | None
    admin_users: frozenset[str]
    max_turns: int
    max_turns_per_user: int
    max_sessions: int
    max_message_chars: int
    silence_seconds: float
    turn_seconds: float
    shutdown_seconds: float
    log_level: str

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
            slack_bot_token=read("SLACK_BOT_TOKEN", _token("xoxb-")),
            slack_app_token=read("SLACK_APP_TOKEN", _token("xapp-")),
            slack_signing_secret=read("SLACK_SIGNING_SECRET", str),
            slack_mode=read("SLACK_MODE", _one_of("socket", "http")),
            slack_api_url=read("SLACK_API_URL", _api_url),
            http_host=read("HTTP_HOST", str),
            http_port=read("HTTP_PORT", _whole(1, 65_535)),
            data_dir=read("DATA_DIR", _folder),
            github_token=read("GITHUB_TOKEN", str),
            model_base_url=read("MODEL_BASE_URL", _url),
            model_api_key=read("MODEL_API_KEY", str),
            model=read("MODEL", str),
            copilot_cli_path=read("COPILOT_CLI_PATH", _file),
            admin_users=read("ADMIN_USERS", _user_ids),
            max_turns=read("MAX_TURNS", _whole(1, 1_000)),
            max_turns_per_user=read("MAX_TURNS_PER_USER", _whole(1, 1_000)),
            max_sessions=read("MAX_SESSIONS", _whole(1, 1_000)),
            max_message_chars=read("MAX_MESSAGE_CHARS", _whole(1, 40_000)),
            silence_seconds=read("SILENCE_SECONDS", _seconds(1, 3_600)),
            turn_seconds=read("TURN_SECONDS", _seconds(1, 86_400)),
            shutdown_seconds=read("SHUTDOWN_SECONDS", _seconds(0, 600)),
            log_level=read("LOG_LEVEL", _one_of("DEBUG", "INFO", "WARNING", "ERROR")),
        )
        faults = [*read.faults, *_missing(settings, read)]
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
        self._table = {setting.name: setting for setting in SETTINGS}
        self.faults: list[str] = []
        self.faulty: set[str] = set()

    def __call__(self, name: str, parse: Callable[[str], T]) -> T:
        setting = self._table[name]
        given = self._env.get(name, "").strip() or setting.default
        try:
            return parse(given)
        except ValueError as fault:
            shown = "" if setting.secret else f" (it is {without_tokens(given)!r})"
            self.faults.append(f"{name}{shown}: {fault}")
            self.faulty.add(name)
            return parse(setting.default)


def _missing(settings: Settings, read: _Reader) -> list[str]:
    """What has to be given together with what was chosen."""
    faults = []

    def need(present: bool, name: str, remedy: str) -> None:
        if not present and name not in read.faulty:
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
    if settings.max_sessions < settings.max_turns and "MAX_SESSIONS" not in read.faulty:
        faults.append(
            f"MAX_SESSIONS (it is {settings.max_sessions}): every running turn holds a session, so "
            f"give at least MAX_TURNS, which is {settings.max_turns}."
        )
    if not settings.github_token and not {"MODEL_BASE_URL", "GITHUB_TOKEN"} & read.faulty:
        need(
            bool(settings.model_base_url),
            "GITHUB_TOKEN or MODEL_BASE_URL",
            "give a GitHub token with Copilot access, or the address of an OpenAI-compatible "
            "model server.",
        )
    return faults


def _token(prefix: str) -> Callable[[str], str]:
    def parse(given: str) -> str:
        if given and not given.startswith(prefix):
            raise ValueError(f"a token that begins with {prefix} belongs here.")
        return given

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(given: str) -> str:
        for choice in choices:
            if given.lower() == choice.lower():
                return choice
        raise ValueError(f"choose one of {', '.join(choices)}.")

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(given: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", given) or not low <= int(given) <= high:
            raise ValueError(f"give a whole number from {low} to {high}.")
        return int(given)

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(given: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", given) or not low <= float(given) <= high:
            raise ValueError(f"give a number of seconds from {low:g} to {high:g}.")
        return float(given)

    return parse


def _url(given: str) -> str:
    if given:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address that begins with https:// or http://.")
    return given


def _api_url(given: str) -> str:
    parts = urlsplit(_url(given))
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("use https://; plain http:// would show the token to the network.")
    return given if given.endswith("/") else f"{given}/"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _path(given: str) -> Path:
    try:
        path = Path(given).expanduser().absolute()
        path.exists()
    except (OSError, RuntimeError):
        raise ValueError("give a path that can be used on this machine.") from None
    return path


def _folder(given: str) -> Path:
    path = _path(given)
    if path.exists() and not path.is_dir():
        raise ValueError("give a folder; there is a file of that name.")
    return path


def _file(given: str) -> Path | None:
    if not given:
        return None
    path = _path(given)
    if not path.is_file():
        raise ValueError("there is no such file; leave it out to use the installed runtime.")
    return path


def _user_ids(given: str) -> frozenset[str]:
    ids = [part.strip() for part in given.split(",") if part.strip()]
    wrong = [part for part in ids if not re.fullmatch(r"[UW][A-Z0-9]+", part)]
    if wrong:
        raise ValueError(
            "give Slack user ids such as U024BE7LH (profile → ⋮ → Copy member ID), with commas."
        )
    return frozenset(ids)
