"""Parses the arguments of a Web API call (query, form, JSON or multipart) into one flat object.

Slack accepts all of these, and structured arguments inside a form as JSON strings
(docs.slack.dev/apis/web-api). Every reader here raises ApiError with Slack's code for an invalid
value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import BodyPartReader, web

from slack_emulator.state.entities import ApiError, Json


class Arguments:
    """The arguments of one call, by name."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def has_value(self, name: str) -> bool:
        """True if the argument is given and not empty."""
        return self.values.get(name) not in (None, "", [], {})

    def is_given(self, name: str) -> bool:
        """True if the argument is given, even if it is empty."""
        return name in self.values

    def text(self, name: str, default: str = "") -> str:
        """A string that UTF-8 can encode; numbers are converted to text.

        Raises ApiError (`invalid_arguments`) for other types.
        """
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise invalid_argument(name, "must be a string")
        return str(value).encode(errors="replace").decode()

    def required_text(self, name: str) -> str:
        """A string that must not be empty. Raises ApiError (`invalid_arguments`)."""
        if not (value := self.text(name)):
            raise invalid_argument(name, "missing required field")
        return value

    def ts(self, name: str) -> str | None:
        """The ts of a message, or None. Raises ApiError for an invalid one."""
        value = self.text(name)
        if value and not _looks_like_ts(value):
            raise ApiError("invalid_ts" if name == "ts" else f"invalid_{name}")
        return value or None

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """An integer, lowered to `maximum` if it is above. Raises ApiError if it is below
        `minimum`."""
        value = self.text(name, str(default))
        try:
            number = int(value)
        except ValueError:
            raise invalid_argument(name, "must be a whole number") from None
        if number < minimum:
            raise ApiError("invalid_limit" if name == "limit" else "invalid_arguments")
        return min(number, maximum)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean; the strings "1", "true", "yes" and "on" count as true."""
        value = self.values.get(name, default)
        if isinstance(value, bool):
            return value
        return str(value).lower() in ("1", "true", "yes", "on")

    def json_value(self, name: str) -> object:
        """A JSON value, given as such or as a string, or None."""
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
        """A list of objects, or None. Raises ApiError with `code`."""
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
        """One object, or None. Raises ApiError with `code`."""
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
        """A list of strings, given as a JSON list or separated by commas; may be empty."""
        value = self.values.get(name)
        if isinstance(value, str):
            return [part.strip() for part in value.split(",") if part.strip()]
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise invalid_argument(name, "must be a list of strings")
        return list(value)


def invalid_argument(name: str, reason: str) -> ApiError:
    """Slack's error for an invalid argument, with the reason in its metadata."""
    return ApiError(
        "invalid_arguments", response_metadata={"messages": [f"[ERROR] {reason}: {name}"]}
    )


def _looks_like_ts(value: str) -> bool:
    seconds, dot, micros = value.partition(".")
    return seconds.isascii() and seconds.isdigit() and (not dot or micros.isdigit())


async def read_arguments(request: web.Request) -> Json:
    """The arguments of a request, with the token if it is one of them.

    Raises ApiError: `invalid_json`, `json_not_object`, `invalid_form_data` or `invalid_post_type`.
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
