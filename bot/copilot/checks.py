"""Checks for `threadpilot doctor` that the runtime starts and that the model answers.

Each check returns one sentence for the operator: what it found, or how to fix it.
"""

from __future__ import annotations

import time

from bot.copilot.install import RUNTIME_VERSION
from bot.copilot.models import FALLBACK_MODEL, ModelServerError, list_models, send_test_prompt
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.domain.checks import CheckResult
from bot.errors import AgentError, AgentErrorKind

RUNTIME_STARTS = "The Copilot runtime {version} starts (in {seconds:.1f} s)."
RUNTIME_DIFFERS = (
    "The Copilot runtime starts, but has version {version}. Threadpilot needs {expected}: run "
    "`make setup`, or remove COPILOT_CLI_PATH."
)
RUNTIME_FAULT = "The Copilot runtime cannot be used: {detail}."
MODEL_ANSWERS = "The model server answers; the model is {model}."
MODEL_UNREACHABLE = (
    "No model server answers at MODEL_BASE_URL: start it, or correct the address ({detail})."
)
MODEL_KEY_REFUSED = (
    "The model server rejects the key (HTTP {status}): check MODEL_API_KEY and its permissions."
)
MODEL_REFUSES = (
    "The model server answers HTTP {status} to a short question to the model {model}: check "
    "MODEL, and that MODEL_BASE_URL is the start of the API (it usually ends in /v1)."
)
GITHUB_ANSWERS = "GitHub accepts GITHUB_TOKEN; the model is {model}."
GITHUB_DEFAULT = "your plan's default"
GITHUB_REFUSES = (
    "GitHub did not accept GITHUB_TOKEN for Copilot, or could not be reached: create a token of a "
    "user with a Copilot plan (a fine-grained one needs the permission “Copilot Requests”), and "
    "check the network and the proxy."
)
GITHUB_UNREACHABLE = (
    "GitHub accepted GITHUB_TOKEN but did not list its models: check the network, the proxy, and "
    "that the plan includes Copilot ({detail})."
)
GITHUB_NO_SUCH_MODEL = "Your Copilot plan has no model {model}: choose one of {models} for MODEL."

_MAX_NAMES = 20
"""Maximum number of models that a sentence names."""


async def check_runtime(options: RuntimeOptions) -> CheckResult:
    """Start the runtime once and check its version."""
    started_at = time.monotonic()
    try:
        runtime = await Runtime.start(options, options.model or FALLBACK_MODEL)
        try:
            seconds = time.monotonic() - started_at
            status = await runtime.call("status", runtime.client.get_status())
        finally:
            await runtime.stop()
    except AgentError as error:
        return CheckResult(ok=False, message=RUNTIME_FAULT.format(detail=_error_detail(error)))
    if status.version != RUNTIME_VERSION:
        differs = RUNTIME_DIFFERS.format(version=status.version, expected=RUNTIME_VERSION)
        return CheckResult(ok=False, message=differs)
    return CheckResult(
        ok=True, message=RUNTIME_STARTS.format(version=status.version, seconds=seconds)
    )


async def check_model(options: RuntimeOptions) -> CheckResult:
    """Check that the model server, or GitHub, offers a model."""
    return await (_check_server(options) if options.base_url else _check_github(options))


async def _check_server(options: RuntimeOptions) -> CheckResult:
    """Check the model server. A model that it does not list is sent a short prompt."""
    model = options.model
    try:
        try:
            listed = await list_models(options)
        except ModelServerError as refused:
            if refused.status not in (404, 405, 501):
                raise
            listed = ()
        model = model or next(iter(listed), FALLBACK_MODEL)
        if model not in listed:
            await send_test_prompt(options, model)
    except ModelServerError as refused:
        if refused.status in (401, 403):
            return CheckResult(ok=False, message=MODEL_KEY_REFUSED.format(status=refused.status))
        message = MODEL_REFUSES.format(status=refused.status, model=model or FALLBACK_MODEL)
        return CheckResult(ok=False, message=message)
    except AgentError as error:
        return CheckResult(ok=False, message=MODEL_UNREACHABLE.format(detail=_error_detail(error)))
    return CheckResult(ok=True, message=MODEL_ANSWERS.format(model=model))


async def _check_github(options: RuntimeOptions) -> CheckResult:
    """Check the sign-in to GitHub and the models of the plan, through the runtime."""
    try:
        runtime = await Runtime.start(options, options.model)
        try:
            client = runtime.client
            auth = await runtime.call("sign-in", client.get_auth_status())
            if not auth.isAuthenticated:
                return CheckResult(ok=False, message=GITHUB_REFUSES)
            listed = [m.id for m in await runtime.call("list of models", client.list_models())]
        finally:
            await runtime.stop()
    except AgentError as error:
        return CheckResult(ok=False, message=GITHUB_UNREACHABLE.format(detail=_error_detail(error)))
    if options.model and listed and options.model not in listed:
        names = ", ".join(listed[:_MAX_NAMES])
        message = GITHUB_NO_SUCH_MODEL.format(model=options.model, models=names)
        return CheckResult(ok=False, message=message)
    return CheckResult(
        ok=True, message=GITHUB_ANSWERS.format(model=options.model or GITHUB_DEFAULT)
    )


def _error_detail(error: AgentError) -> str:
    """The text of an error without the name of its kind."""
    detail = str(error).removeprefix(f"{error.kind}: ")
    return detail.rstrip(".") if error.kind is not AgentErrorKind.MODEL else "not an answer in JSON"
