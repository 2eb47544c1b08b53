"""Lists the models of the configured model server."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentErrorKind

log = logging.getLogger(__name__)

LIST_SECONDS = 5.0
"""Timeout for the list of models, in seconds."""
ASK_SECONDS = 60.0
"""Timeout for a test prompt, in seconds. A local model may have to be loaded first."""
FALLBACK_MODEL = "default"
"""A name that servers with a single model accept, however they name the model."""


async def resolve_model(options: RuntimeOptions) -> str:
    """The model to use: the configured one, else the first of the server, else "default".

    An empty string with GitHub's models and none configured: the plan's default.
    """
    if options.model or not options.base_url:
        return options.model
    try:
        listed = await list_models(options)
    except AgentError as error:
        log.info("models could not be listed: error=%s", error)
        return FALLBACK_MODEL
    return listed[0] if listed else FALLBACK_MODEL


class ModelServerError(AgentError):
    """The model server answered with the HTTP error `status`."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(kind_of_status(status), f"the model server answers HTTP {status}")


async def list_models(options: RuntimeOptions) -> tuple[str, ...]:
    """The names of `GET <base_url>/models`, in the server's order.

    Raises `AgentError`, and `ModelServerError` for an HTTP error. Bounded to 5 s.
    """
    async with _connect_server(options, LIST_SECONDS) as http, http.get("models") as answer:
        if answer.status != 200:
            raise ModelServerError(answer.status)
        return _parse_model_ids(await answer.json(content_type=None))


async def send_test_prompt(options: RuntimeOptions, model: str) -> None:
    """Send a short prompt to the model server, without the runtime.

    Raises `AgentError`, and `ModelServerError` for an HTTP error. Bounded to 60 s.
    """
    question = {
        "model": model,
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 5,
        "stream": False,
    }
    async with (
        _connect_server(options, ASK_SECONDS) as http,
        http.post("chat/completions", json=question) as answer,
    ):
        if answer.status != 200:
            raise ModelServerError(answer.status)
        await answer.json(content_type=None)


@asynccontextmanager
async def _connect_server(
    options: RuntimeOptions, seconds: float
) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session with the model server. Its errors are raised as `AgentError`."""
    headers = {"Authorization": f"Bearer {options.api_key}"} if options.api_key else {}
    try:
        async with aiohttp.ClientSession(
            base_url=f"{options.base_url.rstrip('/')}/",
            timeout=aiohttp.ClientTimeout(total=seconds),
            headers=headers,
            trust_env=True,
        ) as http:
            yield http
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise AgentError(
            AgentErrorKind.UNREACHABLE,
            f"the model server cannot be reached ({type(error).__name__})",
        ) from error
    except ValueError as error:
        raise AgentError(
            AgentErrorKind.MODEL, "the model server does not answer in JSON"
        ) from error


def kind_of_status(status: int) -> AgentErrorKind:
    """The kind of error that a model server's HTTP status means."""
    match status:
        case 401 | 402 | 403 | 404:
            # 404: the server has no such model, or the address is wrong. The operator has to fix
            # both.
            return AgentErrorKind.ACCESS
        case 413:
            return AgentErrorKind.TOO_LONG
        case 429:
            return AgentErrorKind.RATE_LIMIT
        case 502 | 503 | 504:
            return AgentErrorKind.UNREACHABLE
        case _:
            return AgentErrorKind.MODEL


def _parse_model_ids(body: object) -> tuple[str, ...]:
    """The ids of an OpenAI model list, or an empty tuple for any other body."""
    listed = body.get("data") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        return ()
    ids = (entry.get("id") for entry in listed if isinstance(entry, dict))
    return tuple(name for name in ids if isinstance(name, str) and name)
