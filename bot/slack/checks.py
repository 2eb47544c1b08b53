"""Checks the tokens, scopes and event subscriptions for `threadpilot doctor`.

Each check gives one sentence for the operator: the result, or how to fix the problem.
"""

from __future__ import annotations

from typing import Final

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.domain.checks import CheckResult
from bot.errors import SlackError
from bot.slack.api.auth_errors import APP_TOKEN_REFUSED, BOT_TOKEN_REFUSED, NOT_A_BOT_TOKEN
from bot.slack.api.calls import call_once
from bot.slack.manifest import BOT_EVENTS, SCOPES

CALL_SECONDS: Final = 10.0

BOT_GOOD: Final = "The bot token belongs to @{user} in the workspace {team}."
APP_GOOD: Final = "The app-level token can connect by Socket Mode."
APP_NOT_NEEDED: Final = (
    "SLACK_MODE=http needs no app-level token. SLACK_SIGNING_SECRET can only be checked by Slack: "
    "the request URL under Event Subscriptions must show Verified."
)
UNREACHABLE: Final = (
    "Slack can't be reached ({why}). Check the network, the proxy and SLACK_API_URL."
)
SLOW_DOWN: Final = (
    "Slack limits the rate of calls, so {name} was not checked. Try again in a minute."
)
SCOPES_GOOD: Final = "The bot token has all {count} scopes that the bot uses."
SCOPES_MORE: Final = " It also has scopes that are not in manifest.yml: {names}."
SCOPES_MISSING: Final = (
    "The bot token lacks {names}. Paste manifest.yml under App Manifest and save. Then reinstall "
    "the app to the workspace (Install App) and copy the new token."
)
SCOPES_UNKNOWN: Final = (
    "Slack did not return the scopes of the bot token. Check by hand: OAuth & Permissions lists "
    "{names}."
)
EVENTS_UNKNOWN: Final = (
    "A token does not show which events Slack sends. Check by hand: Event Subscriptions → "
    "Subscribe to bot events lists {names}. Pasting manifest.yml under App Manifest sets them."
)


async def check_bot_token(token: str, api_url: str) -> tuple[CheckResult, CheckResult]:
    """Check the bot token and its scopes, within 10 s."""
    headers: dict[str, str] = {}

    async def auth_test() -> AsyncSlackResponse:
        response = await _build_client(token, api_url).auth_test()
        headers.update({name.lower(): value for name, value in response.headers.items()})
        return response

    try:
        auth = await call_once(auth_test(), CALL_SECONDS)
    except SlackError as error:
        return _failed_check(error, BOT_TOKEN_REFUSED, "SLACK_BOT_TOKEN"), _scopes_unknown()
    scopes = _check_scopes(headers.get("x-oauth-scopes"))
    if not auth.get("bot_id"):
        return CheckResult(ok=False, message=NOT_A_BOT_TOKEN), scopes
    message = BOT_GOOD.format(user=auth.get("user"), team=auth.get("team"))
    return CheckResult(ok=True, message=message), scopes


async def check_app_token(token: str, api_url: str) -> CheckResult:
    """Check that the token may open a Socket Mode connection, within 10 s; none is opened."""
    call = _build_client(token, api_url).apps_connections_open(app_token=token)
    try:
        await call_once(call, CALL_SECONDS)
    except SlackError as error:
        return _failed_check(error, APP_TOKEN_REFUSED, "SLACK_APP_TOKEN")
    return CheckResult(ok=True, message=APP_GOOD)


def check_events() -> CheckResult:
    """The events to check by hand, as no API returns the subscriptions."""
    return CheckResult(ok=None, message=EVENTS_UNKNOWN.format(names=", ".join(sorted(BOT_EVENTS))))


def _build_client(token: str, api_url: str) -> AsyncWebClient:
    return AsyncWebClient(
        token=token, base_url=api_url, timeout=int(CALL_SECONDS), retry_handlers=[]
    )


def _check_scopes(granted: str | None) -> CheckResult:
    """`granted` is the header `x-oauth-scopes` of a Slack response."""
    if granted is None:
        return _scopes_unknown()
    names = {name.strip() for name in granted.split(",") if name.strip()}
    missing = [f"{name} ({why})" for name, why in SCOPES.items() if name not in names]
    if missing:
        return CheckResult(ok=False, message=SCOPES_MISSING.format(names=", ".join(missing)))
    message = SCOPES_GOOD.format(count=len(SCOPES))
    if extra := sorted(names - SCOPES.keys()):
        message += SCOPES_MORE.format(names=", ".join(extra))
    return CheckResult(ok=True, message=message)


def _scopes_unknown() -> CheckResult:
    return CheckResult(ok=None, message=SCOPES_UNKNOWN.format(names=", ".join(SCOPES)))


def _failed_check(error: SlackError, remedy: str, name: str) -> CheckResult:
    if error.code in ("ratelimited", "rate_limited", "http_429"):
        return CheckResult(ok=None, message=SLOW_DOWN.format(name=name))
    if error.code in ("timeout", "unreachable") or error.code.startswith("http_"):
        return CheckResult(ok=False, message=UNREACHABLE.format(why=error))
    return CheckResult(ok=False, message=remedy.format(code=error.code))
