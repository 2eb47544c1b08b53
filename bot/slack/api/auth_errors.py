"""Explains Slack's errors for a token to the operator, at the start and in `threadpilot doctor`."""

from __future__ import annotations

from typing import Final

from bot.slack.api.calls import SlackCallError

TOKEN_ERROR_CODES: Final = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "not_allowed_token_type",
        "missing_scope",
        "no_permission",
    }
)
"""Slack's codes for a token that will not work later either. (Error tables of
docs.slack.dev/reference/methods/auth.test and …/apps.connections.open.)"""

BOT_TOKEN_REFUSED: Final = (
    "Slack refuses SLACK_BOT_TOKEN ({code}). Copy the Bot User OAuth Token (xoxb-…) from OAuth & "
    "Permissions; if it was revoked, install the app to the workspace again first."
)
APP_TOKEN_REFUSED: Final = (
    "Slack refuses SLACK_APP_TOKEN ({code}). Make one (xapp-…) with the scope connections:write "
    "under Basic Information → App-Level Tokens, and see that Socket Mode is switched on."
)
NOT_A_BOT_TOKEN: Final = (
    "SLACK_BOT_TOKEN is not a bot's. Copy the Bot User OAuth Token (xoxb-…) from OAuth & "
    "Permissions."
)
SLACK_UNREACHABLE: Final = (
    "Slack cannot be reached, or does not answer as it should. Look at the network, the proxy and "
    "SLACK_API_URL; `threadpilot doctor` looks at all of it."
)


def with_remedy(error: SlackCallError, refused_text: str) -> SlackCallError:
    """A copy of the error with a remedy as its text.

    `refused_text` is for a token that Slack refuses, and holds `{code}`. All other errors say that
    Slack is unreachable.
    """
    text = (
        refused_text.format(code=error.code)
        if error.code in TOKEN_ERROR_CODES
        else SLACK_UNREACHABLE
    )
    return SlackCallError(
        error.code, text, maybe_done=error.maybe_done, retry_after=error.retry_after
    )
