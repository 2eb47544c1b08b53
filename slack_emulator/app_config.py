"""Defines the app's configuration at Slack: request URLs, scopes, subscriptions, commands.

`/sandbox/app` changes it and reports invalid values in plain sentences.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeGuard
from urllib.parse import urlsplit

from slack_emulator.state.entities import APP_ID, BOT_ID, BOT_NAME, BOT_USER_ID, Json

ALL_SCOPES: Final = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:join",
    "channels:manage",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "reactions:read",
    "reactions:write",
    "team:read",
    "usergroups:read",
    "users:read",
)


class InvalidAppConfig(ValueError):
    """The body of a `/sandbox/` request is invalid; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig:
    """The app as its owner configured it."""

    request_url: str | None = None
    """URL for signed HTTP requests; None for Socket Mode."""
    interactivity_url: str | None = None
    """URL for commands, buttons and modals, if it is not the same."""
    subscriptions: frozenset[str] | None = None
    """Event names as in a manifest (`app_mention`, `message.im`); None for all."""
    scopes: tuple[str, ...] = ALL_SCOPES
    rate_limits_enabled: bool = True
    """True if the rate limits of Slack's tiers apply."""
    agent_sessions: bool = True
    """True if `agents.sessions.*` is available. Otherwise it responds with `feature_disabled`."""
    description: str = ""
    commands: tuple[Json, ...] = ()
    shortcuts: tuple[Json, ...] = ()

    def is_subscribed(self, name: str) -> bool:
        """True if the app is subscribed to events of this name. A plain `message` includes all its
        kinds."""
        if self.subscriptions is None:
            return True
        return name in self.subscriptions or name.partition(".")[0] in self.subscriptions

    def profile(self) -> Json:
        """The app as the page shows it."""
        return {
            "id": APP_ID,
            "name": BOT_NAME,
            "bot_id": BOT_ID,
            "user_id": BOT_USER_ID,
            "description": self.description,
            "commands": list(self.commands),
            "shortcuts": list(self.shortcuts),
        }

    def as_json(self) -> Json:
        return {
            "request_url": self.request_url,
            "interactivity_url": self.interactivity_url,
            "socket_mode": self.request_url is None,
            "subscriptions": None if self.subscriptions is None else sorted(self.subscriptions),
            "scopes": list(self.scopes),
            "limits": self.rate_limits_enabled,
            "agent_sessions": self.agent_sessions,
        } | self.profile()


def apply_changes(config: AppConfig, changes: Mapping[str, object]) -> AppConfig:
    """The configuration with the changes applied. Raises InvalidAppConfig."""
    for name, value in changes.items():
        match name, value:
            case "request_url", None | str():
                config = replace(config, request_url=_loopback_url(name, value))
            case "interactivity_url", None | str():
                config = replace(config, interactivity_url=_loopback_url(name, value))
            case "subscriptions", None:
                config = replace(config, subscriptions=None)
            case "subscriptions", list() if _are_strings(value):
                config = replace(config, subscriptions=frozenset(value))
            case "scopes", None:
                config = replace(config, scopes=ALL_SCOPES)
            case "scopes", list() if _are_strings(value):
                config = replace(config, scopes=tuple(value))
            case "limits", bool():
                config = replace(config, rate_limits_enabled=value)
            case "agent_sessions", bool():
                config = replace(config, agent_sessions=value)
            case "description", str():
                config = replace(config, description=value)
            case "commands", list():
                config = replace(config, commands=_objects_with_key(name, value, "command"))
            case "shortcuts", list():
                config = replace(config, shortcuts=_objects_with_key(name, value, "callback_id"))
            case _:
                raise InvalidAppConfig(f"/sandbox/app does not understand {name} with that value.")
    return config


def _are_strings(value: list[object]) -> TypeGuard[list[str]]:
    return all(isinstance(one, str) for one in value)


def _objects_with_key(name: str, value: list[object], key: str) -> tuple[Json, ...]:
    kept: list[Json] = []
    for one in value:
        if not isinstance(one, dict) or not isinstance(one.get(key), str):
            raise InvalidAppConfig(f"Each of {name} must be an object with a {key}.")
        kept.append(one)
    return tuple(kept)


def _loopback_url(name: str, url: str | None) -> str | None:
    """The URL, or None for an empty one. It must be on this machine: the emulator connects nowhere
    else."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise InvalidAppConfig(f"{name} is not a web address.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidAppConfig(
            f"{name} must be a web address such as http://127.0.0.1:3000/slack/events."
        )
    if not is_loopback(host):
        raise InvalidAppConfig(f"{name} must be on this machine: use 127.0.0.1 or localhost.")
    return url


def is_loopback(host: str) -> bool:
    """True if this is an address of this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
