"""Checks that the runtime is signed in to GitHub, for sessions with GitHub's models.

The native runtime opens a session even if the sign-in failed, and then fails every prompt with
"No GitHub OAuth token". It signs in again with each session that it opens, never for an open one
(measured with 1.0.102). So a session that is not signed in must not be used.
"""

from __future__ import annotations

import aiohttp
from copilot import CopilotSession

from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.errors import AgentError, AgentErrorKind

REACH_SECONDS = 5.0
"""Timeout for the request that tests whether GitHub is reachable, in seconds."""
_NOT_SIGNED_IN = "Not authenticated"
"""Part of the error for listing models without being signed in. It does not give the reason."""


async def ensure_signed_in(
    runtime: Runtime, session: CopilotSession, options: RuntimeOptions
) -> None:
    """Raise `AgentError` if the session uses GitHub's models and is not signed in.

    The kind is UNREACHABLE if GitHub is not reachable, and ACCESS if it refuses. Makes no network
    request if the session is signed in.
    """
    if options.base_url:
        return
    status = await runtime.call("sign-in", session.rpc.git_hub_auth.get_status())
    if not status.is_authenticated:
        raise await _sign_in_error(options)


async def listing_error(options: RuntimeOptions, error: AgentError) -> AgentError:
    """The error for a failed list of models: the sign-in error if that failed, else `error`."""
    return await _sign_in_error(options) if _NOT_SIGNED_IN in str(error.__cause__) else error


async def _sign_in_error(options: RuntimeOptions) -> AgentError:
    """The error for a failed sign-in. The runtime gives no reason, so GitHub's address is tried."""
    kind = (
        AgentErrorKind.ACCESS
        if await _is_reachable(options.github_api_url)
        else AgentErrorKind.UNREACHABLE
    )
    return AgentError(kind, "GitHub did not let us sign in")


async def _is_reachable(address: str) -> bool:
    """True if the address answers within 5 s with anything but a server error."""
    timeout = aiohttp.ClientTimeout(total=REACH_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as http,
            http.get(address) as answer,
        ):
            return answer.status < 500
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
