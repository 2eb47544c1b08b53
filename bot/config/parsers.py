"""Parses single settings. Each error says what to give instead."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bot.redaction import MIN_SECRET_CHARS


def secret(given: str) -> str:
    """A secret. Raises `ValueError` if it is too short for redaction.

    Redaction of a short text would damage every log line that contains it.
    """
    if given and len(given) < MIN_SECRET_CHARS:
        raise ValueError(
            f"this is too short for a secret; give all of it, at least {MIN_SECRET_CHARS} "
            "characters, or leave it out where none is asked for."
        )
    return given


def token(prefix: str) -> Callable[[str], str]:
    def parse(given: str) -> str:
        if given and not given.startswith(prefix):
            raise ValueError(f"a token that begins with {prefix} belongs here.")
        return secret(given)

    return parse


def choice(*choices: str) -> Callable[[str], str]:
    def parse(given: str) -> str:
        for choice in choices:
            if given.lower() == choice.lower():
                return choice
        raise ValueError(f"choose one of {', '.join(choices)}.")

    return parse


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(given: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", given) or not low <= int(given) <= high:
            raise ValueError(f"give a whole number from {low} to {high}.")
        return int(given)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(given: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", given) or not low <= float(given) <= high:
            raise ValueError(f"give a number of seconds from {low:g} to {high:g}.")
        return float(given)

    return parse


def url(given: str) -> str:
    if given:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address that begins with https:// or http://.")
    return given


def api_url(given: str) -> str:
    parts = urlsplit(url(given))
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("use https://; plain http:// would show the token to the network.")
    return given if given.endswith("/") else f"{given}/"


def is_loopback(host: str) -> bool:
    """True if a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def path(given: str) -> Path:
    try:
        path = Path(given).expanduser().absolute()
        path.exists()
    except (OSError, RuntimeError):
        raise ValueError("give a path that can be used on this machine.") from None
    return path


def folder(given: str) -> Path:
    found = path(given)
    if found.exists() and not found.is_dir():
        raise ValueError("give a folder; there is a file of that name.")
    return found


def file(given: str) -> Path | None:
    if not given:
        return None
    found = path(given)
    if not found.is_file():
        raise ValueError("there is no such file; leave it out for what is there without it.")
    return found


def user_ids(given: str) -> frozenset[str]:
    return _parse_ids(
        given, "[UW]", "Slack user ids such as U024BE7LH (profile → ⋮ → Copy member ID)"
    )


def bot_ids(given: str) -> frozenset[str]:
    return _parse_ids(given, "[BUW]", "the ids of bots in Slack such as B024BE7LH or U024BE7LH")


def channel_ids(given: str) -> frozenset[str]:
    return _parse_ids(
        given, "[CDG]", "Slack channel ids such as C024BE7LH (at the end of its details)"
    )


def _parse_ids(given: str, first_letters: str, expected: str) -> frozenset[str]:
    ids = [part.strip() for part in given.split(",") if part.strip()]
    if any(not re.fullmatch(f"{first_letters}[A-Z0-9]+", part) for part in ids):
        raise ValueError(f"give {expected}, with commas.")
    return frozenset(ids)


def group_id(given: str) -> str:
    if given and not re.fullmatch(r"S[A-Z0-9]{2,40}", given):
        raise ValueError("give the id of a Slack user group; it begins with S.")
    return given


def boolean(given: str) -> bool:
    if given.lower() not in ("yes", "no"):
        raise ValueError("say yes or no.")
    return given.lower() == "yes"
