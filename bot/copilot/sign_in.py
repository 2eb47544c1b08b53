"""Whether GitHub let the runtime in, with GitHub's models, and if not, why.

The native runtime opens a session also where signing in failed, and fails every question in it with
an error of its own ("No GitHub OAuth token"). It signs in anew with each session that is opened,
never for one that is open (measured with 1.0.102): such a session must not be used.
"""

from __future__ import annotations

import aiohttp
from copilot import CopilotSession

from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.errors import AgentError, AgentErrorKind

REACH_SECONDS = 5.0
_NOT_SIGNED_IN = "Not authenticated"
"""Part of the refusal to list the models when signing in failed. Not why it did."""


async def ensure_signed_in(
    runtime: Runtime, session: CopilotSession, options: RuntimeOptions
) -> None:
    """Raise `AgentError` when the session would ask GitHub's models without being signed in:
    UNREACHABLE where GitHub cannot be reached, ACCESS where it refuses. Asks no network where all
    is well."""
    if options.base_url:
        return
    status = await runtime.call("sign-in", session.rpc.git_hub_auth.get_status())
    if not status.is_authenticated:
        raise await _sign_in_error(options)


async def listing_error(options: RuntimeOptions, error: AgentError) -> AgentError:
    """What a refused list of models means: that of signing in, where that failed; else itself."""
    return await _sign_in_error(options) if _NOT_SIGNED_IN in str(error.__cause__) else error


async def _sign_in_error(options: RuntimeOptions) -> AgentError:
    """The runtime does not say why, so that GitHub's address is tried."""
    kind = (
        AgentErrorKind.ACCESS
        if await _is_reachable(options.github_api_url)
        else AgentErrorKind.UNREACHABLE
    )
    return AgentError(kind, "GitHub did not let us sign in")


async def _is_reachable(address: str) -> bool:
    """Whether anything but a gateway's error comes from there within 5 s."""
    timeout = aiohttp.ClientTimeout(total=REACH_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as http,
            http.get(address) as answer,
        ):
            return answer.status < 500
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
