"""What a Web API call brings along: query, form, JSON or multipart, read into one flat object.

Slack takes all of them, and structured arguments inside a form as JSON strings
(docs.slack.dev/apis/web-api). Every reader here refuses what makes no sense, by Slack's codes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from aiohttp import BodyPartReader, web

from slack_emulator.state.entities import ApiError, Json

MAX_ARGUMENT_CHARS: Final = 1_000_000


class Arguments:
    """One call's arguments, by name."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def has_value(self, name: str) -> bool:
        """Whether it was given and is not empty."""
        return self.values.get(name) not in (None, "", [], {})

    def is_given(self, name: str) -> bool:
        """Whether it was given at all, be it empty."""
        return name in self.values

    def text(self, name: str, default: str = "") -> str:
        """A string that UTF-8 can hold; numbers are taken as they read.

        Refused with `invalid_arguments`.
        """
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise invalid_argument(name, "must be a string")
        return str(value).encode(errors="replace").decode()

    def required_text(self, name: str) -> str:
        """A string that must be there."""
        if not (value := self.text(name)):
            raise invalid_argument(name, "missing required field")
        return value

    def ts(self, name: str) -> str | None:
        """A message's ts, or None where there is none."""
        value = self.text(name)
        if value and not _looks_like_ts(value):
            raise ApiError("invalid_ts" if name == "ts" else f"invalid_{name}")
        return value or None

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """A whole number, cut to what is allowed at the top. Refused below `low`."""
        value = self.text(name, str(default))
        try:
            number = int(value)
        except ValueError:
            raise invalid_argument(name, "must be a whole number") from None
        if number < minimum:
            raise ApiError("invalid_limit" if name == "limit" else "invalid_arguments")
        return min(number, maximum)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Yes or no."""
        value = self.values.get(name, default)
        if isinstance(value, bool):
            return value
        return str(value).lower() in ("1", "true", "yes", "on")

    def json_value(self, name: str) -> object:
        """JSON, given as such or as a string; None where there is none."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return None
        try:
            parsed: object = json.loads(value)
        except (ValueError, RecursionError):
            raise invalid_argument(name, "must be valid JSON") from None
        return parsed

    def json_objects(self, name: str, code: str) -> list[Json] | None:
        """A list of objects; None where there is none. Refused with `code`."""
        try:
            value = self.json_value(name)
        except ApiError:
            raise ApiError(code) from None
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise ApiError(code)
        return value

    def json_object(self, name: str, code: str) -> Json | None:
        """One object; None where there is none. Refused with `code`."""
        try:
            value = self.json_value(name)
        except ApiError:
            raise ApiError(code) from None
        if value is None:
            return None
        if not isinstance(value, dict):
            raise ApiError(code)
        return value

    def string_list(self, name: str) -> list[str]:
        """A list of words: a JSON list, or separated by commas."""
        value = self.values.get(name)
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise invalid_argument(name, "must be a list of strings")
        return list(value)


def invalid_argument(name: str, reason: str) -> ApiError:
    """Slack's answer to a wrong argument, with its explanation."""
    return ApiError(
        "invalid_arguments", response_metadata={"messages": [f"[ERROR] {reason}: {name}"]}
    )


def _looks_like_ts(value: str) -> bool:
    seconds, dot, micros = value.partition(".")
    return seconds.isascii() and seconds.isdigit() and (not dot or micros.isdigit())


async def read_arguments(request: web.Request) -> Json:
    """The arguments of a request, and its token if it stands among them.

    Refused with `invalid_json`, `json_not_object`, `invalid_form_data` or `invalid_post_type`.
    """
    values: Json = dict(request.query)
    if request.method == "GET" or not request.body_exists:
        return values
    kind = request.content_type
    if kind == "application/json":
        return values | await _read_json(request)
    if kind == "multipart/form-data":
        return values | await _read_multipart(request)
    if kind in ("application/x-www-form-urlencoded", "application/octet-stream", "text/plain"):
        try:
            return values | dict(await request.post())
        except (ValueError, LookupError):
            raise ApiError("invalid_form_data") from None
    raise ApiError("invalid_post_type")


async def _read_json(request: web.Request) -> Json:
    try:
        body: object = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError):
        raise ApiError("invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError("json_not_object")
    return body


async def _read_multipart(request: web.Request) -> Json:
    values: Json = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or not part.name:
                raise ApiError("invalid_form_data")
            content = bytes(await part.read(decode=True))
            values[part.name] = content.decode()
    except (ValueError, LookupError, AssertionError):
        raise ApiError("invalid_form_data") from None
    return values
