"""The Web API's door: token, limits, faults, arguments, the method, and Slack's kind of answer.

Refusals are HTTP 200 with `ok: false`; too many calls are HTTP 429 with `Retry-After`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from aiohttp import web

from slack_emulator.api import arguments
from slack_emulator.api.arguments import Arguments
from slack_emulator.api.methods import METHODS, OF_PEOPLE, OF_THE_APP, SCOPES
from slack_emulator.api.methods.request import Asked
from slack_emulator.backend import Slack
from slack_emulator.call_log import Call, without_secrets
from slack_emulator.faults import Fault
from slack_emulator.state.entities import APP_TOKEN, BOT_TOKEN, BOT_USER_ID, Json, Refused, User

CONNECTIONS_OPEN = "apps.connections.open"
API_TEST = "api.test"
TOO_FAST = "ratelimited"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What goes back."""

    body: Json | None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    garbage: bool = False
    cut: bool = False


class WebApi:
    """Everything under `/api/`."""

    def __init__(self, slack: Slack) -> None:
        self._slack = slack

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call from its request to its response."""
        method = request.match_info["method"]
        try:
            values = await arguments.read(request)
        except Refused as refused:
            return _response(_Answer(_refusal(refused)))
        token = _token(request, values)
        values.pop("token", None)
        by_app = token in (BOT_TOKEN, APP_TOKEN)
        fault = self._slack.faults.meet(method) if by_app else None
        answer = await self._answer(method, token, values, fault)
        if by_app:
            self._note(method, values, answer, fault)
        if answer.cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return _response(answer)

    def _note(self, method: str, values: Json, answer: _Answer, fault: Fault | None) -> None:
        self._slack.journal.note(
            Call(
                method=method,
                arguments=without_secrets(values),
                time=self._slack.clock.now(),
                status=answer.status,
                answer=answer.body,
                fault=fault.kind if fault else None,
            )
        )

    async def _answer(self, method: str, token: str, values: Json, fault: Fault | None) -> _Answer:
        """What the fault makes of it, before or after the method is run."""
        match fault.kind if fault else None:
            case "429" if fault:
                return _too_fast(math.ceil(fault.seconds))
            case "500":
                return _Answer({"ok": False, "error": "internal_error"}, status=500)
            case "drop_before":
                return _Answer(None, cut=True)
            case "error" if fault:
                return _Answer({"ok": False, "error": fault.error})
            case "slow" if fault:
                await self._slack.clock.sleep(fault.seconds)
            case _:
                pass
        answer = await self._run(method, token, values)
        if fault and fault.kind == "drop_after":
            return _Answer(answer.body, cut=True)
        if fault and fault.kind == "garbage":
            return _Answer(answer.body, garbage=True)
        return answer

    async def _run(self, method: str, token: str, values: Json) -> _Answer:
        headers: tuple[tuple[str, str], ...] = ()
        try:
            if method == API_TEST:
                return _Answer(_api_test(values))
            user = self._authenticated(method, token)
            if user.id == BOT_USER_ID:
                if wait := self._wait_for(method, values):
                    return _too_fast(wait)
                if token == BOT_TOKEN:
                    headers = self._scopes(method)
            body = await METHODS[method](self._slack, Asked(user, Arguments(values)))
        except Refused as refused:
            return _Answer(_refusal(refused), headers=headers)
        return _Answer({"ok": True} | body, headers=headers)

    def _authenticated(self, method: str, token: str) -> User:
        """Whose token it is, if that may call this method."""
        if method not in METHODS:
            raise Refused("unknown_method")
        if not token:
            raise Refused("not_authed")
        if token == APP_TOKEN:
            if method != CONNECTIONS_OPEN:
                raise Refused("not_allowed_token_type")
            return self._slack.workspace.users[BOT_USER_ID]
        if token == BOT_TOKEN:
            if method == CONNECTIONS_OPEN or method in OF_PEOPLE:
                raise Refused("not_allowed_token_type")
            return self._slack.workspace.users[BOT_USER_ID]
        if (person := self._slack.workspace.by_token(token)) is None:
            raise Refused("invalid_auth")
        if method == CONNECTIONS_OPEN or method in OF_THE_APP:
            raise Refused("not_allowed_token_type")
        return person

    def _wait_for(self, method: str, values: Json) -> int:
        if not self._slack.settings.limits:
            return 0
        channel = values.get("channel", values.get("channel_id", ""))
        return self._slack.tiers.wait_for(method, str(channel))

    def _scopes(self, method: str) -> tuple[tuple[str, str], ...]:
        """The headers that name them. Refused with `missing_scope`."""
        granted, needed = self._slack.settings.scopes, SCOPES.get(method, ())
        if needed and not set(needed) & set(granted):
            raise Refused("missing_scope", needed=needed[0], provided=",".join(granted))
        return (
            ("x-oauth-scopes", ",".join(granted)),
            ("x-accepted-oauth-scopes", ",".join(needed)),
        )


def _api_test(values: Json) -> Json:
    """What came comes back; an `error` makes it fail."""
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


def _refusal(refused: Refused) -> Json:
    return {"ok": False, "error": refused.code} | refused.more


def _too_fast(seconds: int) -> _Answer:
    return _Answer(
        {"ok": False, "error": TOO_FAST}, status=429, headers=(("Retry-After", str(seconds)),)
    )


def _response(answer: _Answer) -> web.Response:
    if answer.garbage:
        return web.Response(text="<html>This is not what you asked for", content_type="text/html")
    return web.Response(
        text=json.dumps(answer.body),
        status=answer.status,
        content_type="application/json",
        headers=dict(answer.headers),
    )
