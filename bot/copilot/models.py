"""Which models the configured model server offers."""

from __future__ import annotations

import logging

import aiohttp

from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentFault

log = logging.getLogger(__name__)

LIST_SECONDS = 5.0
FALLBACK_MODEL = "default"
"""What servers with a single model take, whatever they call it."""


async def choose_model(options: RuntimeOptions) -> str:
    """The model to use: the configured one, else the first that the server lists, else "default".

    With GitHub's models and none configured: "", the plan's default.
    """
    if options.model or not options.base_url:
        return options.model
    try:
        listed = await list_models(options)
    except AgentError as error:
        log.info("the model server does not tell its models: %s", error)
        return FALLBACK_MODEL
    return listed[0] if listed else FALLBACK_MODEL


async def list_models(options: RuntimeOptions) -> tuple[str, ...]:
    """The names of `GET <base_url>/models`. Raises `AgentError`; bounded to 5 s."""
    headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    url = f"{options.base_url.rstrip('/')}/models"
    limit = aiohttp.ClientTimeout(total=LIST_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, headers=headers, trust_env=True) as http,
            http.get(url) as answer,
        ):
            if answer.status != 200:
                raise AgentError(fault_of_status(answer.status), f"HTTP {answer.status}")
            return _names(await answer.json(content_type=None))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise AgentError(AgentFault.UNREACHABLE, type(error).__name__) from error
    except ValueError as error:
        raise AgentError(AgentFault.MODEL, "the list of models is not JSON") from error


def fault_of_status(status: int) -> AgentFault:
    """What a model server's HTTP status means for the person who asked."""
    match status:
        case 401 | 402 | 403 | 404:
            # 404: the server has no such model, or the address is wrong; for the operator too.
            return AgentFault.ACCESS
        case 413:
            return AgentFault.TOO_LONG
        case 429:
            return AgentFault.RATE_LIMIT
        case 502 | 503 | 504:
            return AgentFault.UNREACHABLE
        case _:
            return AgentFault.MODEL


def _names(body: object) -> tuple[str, ...]:
    """The ids of an OpenAI model list; what does not look like one has none."""
    listed = body.get("data") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        return ()
    ids = (entry.get("id") for entry in listed if isinstance(entry, dict))
    return tuple(name for name in ids if isinstance(name, str) and name)
