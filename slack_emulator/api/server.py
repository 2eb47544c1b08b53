"""Serves the Web API: checks token, limits, faults and arguments, and runs the method.

Errors are HTTP 200 with `ok: false`. Too many calls are HTTP 429 with `Retry-After`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from aiohttp import web

from slack_emulator.api import arguments
from slack_emulator.api.arguments import Arguments
from slack_emulator.api.methods import APP_ONLY_METHODS, METHODS, SCOPES, USER_ONLY_METHODS
from slack_emulator.api.methods.request import ApiRequest
from slack_emulator.backend import SlackBackend
from slack_emulator.call_log import LoggedCall, strip_secrets
from slack_emulator.faults import Fault
from slack_emulator.state.entities import APP_TOKEN, BOT_TOKEN, BOT_USER_ID, ApiError, Json, User

CONNECTIONS_OPEN = "apps.connections.open"
API_TEST = "api.test"
RATE_LIMITED = "ratelimited"


@dataclass(frozen=True, slots=True)
class _ApiResponse:
    """The response to one call, before it is written as HTTP."""

    body: Json | None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    garbage: bool = False
    drop_connection: bool = False


class WebApi:
    """The handler of all requests under `/api/`."""

    def __init__(self, slack: SlackBackend) -> None:
        self._slack = slack

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        method = request.match_info["method"]
        try:
            values = await arguments.read_arguments(request)
        except ApiError as error:
            return _http_response(_ApiResponse(_error_body(error)))
        token = _token(request, values)
        values.pop("token", None)
        by_app = token in (BOT_TOKEN, APP_TOKEN)
        fault = self._slack.faults.consume(method) if by_app else None
        answer = await self._respond(method, token, values, fault)
        if by_app:
            self._log_call(method, values, answer, fault)
        if answer.drop_connection:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return _http_response(answer)

    def _log_call(
        self, method: str, values: Json, response: _ApiResponse, fault: Fault | None
    ) -> None:
        self._slack.call_log.record(
            LoggedCall(
                method=method,
                arguments=strip_secrets(values),
                time=self._slack.clock.now(),
                status=response.status,
                response=response.body,
                fault=fault.kind if fault else None,
            )
        )

    async def _respond(
        self, method: str, token: str, values: Json, fault: Fault | None
    ) -> _ApiResponse:
        """The response, changed by the fault before or after the method runs."""
        match fault.kind if fault else None:
            case "429" if fault:
                return _rate_limited(math.ceil(fault.seconds))
            case "500":
                return _ApiResponse({"ok": False, "error": "internal_error"}, status=500)
            case "drop_before":
                return _ApiResponse(None, drop_connection=True)
            case "error" if fault:
                return _ApiResponse({"ok": False, "error": fault.error})
            case "slow" if fault:
                await self._slack.clock.sleep(fault.seconds)
            case _:
                pass
        answer = await self._call_method(method, token, values)
        if fault and fault.kind == "drop_after":
            return _ApiResponse(answer.body, drop_connection=True)
        if fault and fault.kind == "garbage":
            return _ApiResponse(answer.body, garbage=True)
        return answer

    async def _call_method(self, method: str, token: str, values: Json) -> _ApiResponse:
        headers: tuple[tuple[str, str], ...] = ()
        try:
            if method == API_TEST:
                return _ApiResponse(_api_test(values))
            user = self._authenticate(method, token)
            if user.id == BOT_USER_ID:
                if wait := self._retry_after(method, values):
                    return _rate_limited(wait)
                if token == BOT_TOKEN:
                    headers = self._scope_headers(method)
            body = await METHODS[method](self._slack, ApiRequest(user, Arguments(values)))
        except ApiError as error:
            return _ApiResponse(_error_body(error), headers=headers)
        return _ApiResponse({"ok": True} | body, headers=headers)

    def _authenticate(self, method: str, token: str) -> User:
        """The user of the token. Raises ApiError if the token may not call this method."""
        if method not in METHODS:
            raise ApiError("unknown_method")
        if not token:
            raise ApiError("not_authed")
        if token == APP_TOKEN:
            if method != CONNECTIONS_OPEN:
                raise ApiError("not_allowed_token_type")
            return self._slack.workspace.users[BOT_USER_ID]
        if token == BOT_TOKEN:
            if method == CONNECTIONS_OPEN or method in USER_ONLY_METHODS:
                raise ApiError("not_allowed_token_type")
            return self._slack.workspace.users[BOT_USER_ID]
        if (user := self._slack.workspace.user_by_token(token)) is None:
            raise ApiError("invalid_auth")
        if method == CONNECTIONS_OPEN or method in APP_ONLY_METHODS:
            raise ApiError("not_allowed_token_type")
        return user

    def _retry_after(self, method: str, values: Json) -> int:
        if not self._slack.app_config.rate_limits_enabled:
            return 0
        channel = values.get("channel", values.get("channel_id", ""))
        return self._slack.rate_limits.acquire(method, str(channel))

    def _scope_headers(self, method: str) -> tuple[tuple[str, str], ...]:
        """The headers that name the scopes. Raises ApiError (`missing_scope`)."""
        granted, needed = self._slack.app_config.scopes, SCOPES.get(method, ())
        if needed and not set(needed) & set(granted):
            raise ApiError("missing_scope", needed=needed[0], provided=",".join(granted))
        return (
            ("x-oauth-scopes", ",".join(granted)),
            ("x-accepted-oauth-scopes", ",".join(needed)),
        )


def _api_test(values: Json) -> Json:
    """The arguments of the call; an `error` argument makes the call fail."""
    answer: Json = {"ok": True, "args": values}
    if error := values.get("error"):
        answer = {"ok": False, "error": str(error), "args": values}
    return answer


def _token(request: web.Request, values: Json) -> str:
    header = request.headers.get("Authorization", "")
    kind, _, token = header.partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()
    field = values.get("token")
    return field if isinstance(field, str) else ""


def _error_body(error: ApiError) -> Json:
    return {"ok": False, "error": error.code} | error.extra


def _rate_limited(seconds: int) -> _ApiResponse:
    return _ApiResponse(
        {"ok": False, "error": RATE_LIMITED}, status=429, headers=(("Retry-After", str(seconds)),)
    )


def _http_response(response: _ApiResponse) -> web.Response:
    if response.garbage:
        return web.Response(text="<html>This is not what you asked for", content_type="text/html")
    return web.Response(
        text=json.dumps(response.body),
        status=response.status,
        content_type="application/json",
        headers=dict(response.headers),
    )
