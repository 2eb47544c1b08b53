"""Tests which model is used, and the doctor's checks of the model server and the runtime."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from bot.copilot.agent import CopilotAgent
from bot.copilot.checks import check_model, check_runtime
from bot.copilot.models import FALLBACK_MODEL, list_models, resolve_model
from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentErrorKind
from tests.integration.copilot.session_probe import runtimes_of
from tests.scripted_model import MODEL_NAME, Answer, ScriptedModel

SECRET = "sk-do-not-show"
TOKEN = "ghp_" + "0" * 36
"""Has the form of GitHub's tokens, but is not a real one."""


def behind_proxy(monkeypatch: pytest.MonkeyPatch, port: int, but: str = "") -> None:
    """Send all traffic through a proxy on this machine, so that nothing leaves it."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    monkeypatch.setenv("NO_PROXY", but)


@asynccontextmanager
async def model_server(
    *, status: int = 200, listed: str = "{}", prompt_status: int = 404
) -> AsyncIterator[RuntimeOptions]:
    """The options for a server that answers `GET /models` and questions in a fixed way."""

    async def list_them(_: web.Request) -> web.Response:
        return web.Response(status=status, text=listed, content_type="application/json")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=prompt_status, text="{}", content_type="application/json")

    app = web.Application()
    app.router.add_get("/v1/models", list_them)
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/"
        yield RuntimeOptions(data_dir=Path("unused"), base_url=url, api_key=SECRET)
    finally:
        await runner.cleanup()


async def test_the_configured_model_is_used() -> None:
    """Without a request to the server."""
    options = RuntimeOptions(data_dir=Path("unused"), base_url="http://127.0.0.1:9/v1", model="m")
    assert await resolve_model(options) == "m"
    assert await resolve_model(replace(options, base_url="", model="")) == "", "the plan's default"


async def test_otherwise_the_servers_first_model_is_used() -> None:
    """As it lists them."""
    async with model_server(listed='{"data": [{"id": "big"}, {"id": "small"}]}') as options:
        assert await list_models(options) == ("big", "small")
        assert await resolve_model(options) == "big"


@pytest.mark.parametrize(
    ("status", "listed"),
    [
        (404, "{}"),
        (500, "{}"),
        (200, "<html>"),
        (200, "[]"),
        (200, '{"data": 3}'),
        (200, '{"data": [3, {"id": 4}, {"id": ""}, {}]}'),
    ],
)
async def test_a_server_without_a_usable_list_gets_the_fallback(status: int, listed: str) -> None:
    """Servers with one model take any name."""
    async with model_server(status=status, listed=listed) as options:
        assert await resolve_model(options) == FALLBACK_MODEL


async def test_a_server_that_is_not_there_gets_the_fallback() -> None:
    """It may come up later; the bot starts all the same."""
    options = RuntimeOptions(data_dir=Path("unused"), base_url="http://127.0.0.1:9/v1")
    assert await resolve_model(options) == FALLBACK_MODEL
    with pytest.raises(AgentError) as caught:
        await list_models(options)
    assert caught.value.kind is AgentErrorKind.UNREACHABLE


async def test_a_server_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts the connection and sends nothing."""
    monkeypatch.setattr("bot.copilot.models.LIST_SECONDS", 0.1)
    hang_up = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await hang_up.wait()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = RuntimeOptions(data_dir=Path("unused"), base_url=f"http://127.0.0.1:{port}/v1")
    try:
        async with asyncio.timeout(30):
            assert await resolve_model(options) == FALLBACK_MODEL
    finally:
        hang_up.set()
        server.close()
        await server.wait_closed()


async def test_the_doctor_finds_a_model_that_answers() -> None:
    """Listed, or not listed but answering."""
    async with ScriptedModel() as model:
        options = RuntimeOptions(data_dir=Path("unused"), base_url=model.url)
        check = await check_model(options)
        assert check.ok
        assert MODEL_NAME in check.message
        assert model.requests == [], "a listed model needs no question"
        unlisted = await check_model(replace(options, model="an-alias"))
        assert unlisted.ok
        assert model.requests[-1].model == "an-alias"
        model.default = Answer(fault=404)
        refused = await check_model(replace(options, model="no-such"))
        assert not refused.ok
        assert "no-such" in refused.message


@pytest.mark.parametrize(
    ("status", "listed", "prompt_status", "remedy"),
    [
        (401, "{}", 401, "MODEL_API_KEY"),
        (403, "{}", 403, "MODEL_API_KEY"),
        (404, "{}", 404, "/v1"),
        (500, "{}", 200, "HTTP 500"),
        (200, "<html>", 200, "MODEL_BASE_URL"),
    ],
)
async def test_the_doctor_says_what_is_wrong_with_the_model_server(
    status: int, listed: str, prompt_status: int, remedy: str
) -> None:
    """One sentence with the setting to look at, no secret."""
    async with model_server(status=status, listed=listed, prompt_status=prompt_status) as options:
        check = await check_model(options)
    assert not check.ok
    assert remedy in check.message
    assert SECRET not in check.message


async def test_the_doctor_reports_an_unreachable_model_server() -> None:
    """The most common fault."""
    options = RuntimeOptions(data_dir=Path("unused"), base_url="http://127.0.0.1:9/v1")
    check = await check_model(options)
    assert not check.ok
    assert "No model server answers at MODEL_BASE_URL" in check.message


async def test_the_doctor_starts_the_runtime(tmp_path: Path) -> None:
    """And reports its version."""
    options = RuntimeOptions(data_dir=tmp_path, base_url="http://127.0.0.1:9/v1", model="m")
    check = await check_runtime(options)
    assert check.ok, check.message
    assert re.search(r"1\.0\.102 starts", check.message)


async def test_the_doctor_says_why_the_runtime_does_not_start(tmp_path: Path) -> None:
    """With the remedy."""
    options = RuntimeOptions(
        data_dir=tmp_path, cli_path=tmp_path / "nowhere", base_url="http://127.0.0.1:9/v1"
    )
    check = await check_runtime(options)
    assert not check.ok
    assert "make setup" in check.message


async def test_the_doctor_notices_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK and the runtime are made for each other."""
    monkeypatch.setattr("bot.copilot.checks.RUNTIME_VERSION", "9.9.9")
    options = RuntimeOptions(data_dir=tmp_path, base_url="http://127.0.0.1:9/v1", model="m")
    check = await check_runtime(options)
    assert not check.ok
    assert "1.0.102" in check.message
    assert "9.9.9" in check.message


async def reported_by(agent: CopilotAgent) -> tuple[AgentErrorKind, AgentErrorKind]:
    """The kinds of error with which opening a session and listing the models fail."""
    with pytest.raises(AgentError) as opening:
        await agent.open_session("anything")
    with pytest.raises(AgentError) as listing:
        await agent.list_models()
    return opening.value.kind, listing.value.kind


async def test_github_out_of_reach_is_reported_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the doctor and in the thread. The proxy does not exist, so the test stays on this
    machine."""
    behind_proxy(monkeypatch, 9)
    options = RuntimeOptions(data_dir=tmp_path, github_token=TOKEN)
    check = await check_model(options)
    assert not check.ok
    assert "GITHUB_TOKEN" in check.message
    assert "ghp_" not in check.message
    async with CopilotAgent(options) as agent:
        opening, listing = await reported_by(agent)
    assert opening is listing is AgentErrorKind.UNREACHABLE


async def test_the_runtime_starts_while_github_is_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the bot connects to Slack, and can answer with the reason."""
    behind_proxy(monkeypatch, 9)
    async with CopilotAgent(RuntimeOptions(data_dir=tmp_path, github_token=TOKEN)) as agent:
        agent.start_runtime_in_background()
        await agent.start_runtime()
        assert len(runtimes_of(tmp_path)) == 1


async def test_a_token_that_github_refuses_is_reported_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub answers (here a server on this machine), so an admin has to fix it."""
    behind_proxy(monkeypatch, 9, but="127.0.0.1")
    async with (
        model_server() as github,
        CopilotAgent(
            RuntimeOptions(
                data_dir=tmp_path, github_token=TOKEN, github_api_url=f"{github.base_url}/models"
            )
        ) as agent,
    ):
        opening, listing = await reported_by(agent)
    assert opening is listing is AgentErrorKind.ACCESS


async def test_a_session_that_could_not_sign_in_tries_again_when_it_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open session never would: it must not be kept."""
    tries: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(await reader.readline())
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        behind_proxy(monkeypatch, server.sockets[0].getsockname()[1])
        async with CopilotAgent(RuntimeOptions(data_dir=tmp_path, github_token=TOKEN)) as agent:
            for _ in range(2):
                tries.clear()
                with pytest.raises(AgentError) as caught:
                    await agent.open_session("anything")
                assert caught.value.kind is AgentErrorKind.UNREACHABLE
                assert any(b"api.github.com" in line for line in tries)
