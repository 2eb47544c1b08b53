"""The bot sends data only to Slack's API and to Slack's own response URLs."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from bot.clock import SystemClock
from bot.errors import SlackError
from bot.slack.api.calls import call_once
from bot.slack.api.client import open_client
from bot.slack.api.ephemeral import is_slack_url, respond

ROOT = Path(__file__).parents[4]

# Modules that can open a connection. One that talks to the outside belongs in this list, with the
# reason.
CLIENTS = {
    "aiohttp",
    "httpx",
    "requests",
    "urllib.request",
    "urllib3",
    "http.client",
    "ftplib",
    "smtplib",
    "websockets",
    "slack_sdk.webhook",
}
SPEAKING = {
    "bot/demo/main.py": "waits until the demo's model answers on this machine",
    "bot/health_routes.py": "answers health checks of both servers, and calls no host",
    "bot/http_server.py": "listens for `bot/slack` and `bot/telemetry`, and calls nobody",
    "bot/demo/local_model.py": "serves the demo's model on this machine, and asks it to warm up",
}
"""Other than `bot/slack` (Slack): `bot/copilot` (the model server, the runtime) and `bot/telemetry`
(it listens)."""
FOLDERS = ("bot/slack/", "bot/copilot/", "bot/telemetry/")


def imported(path: Path) -> set[str]:
    """The modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_nothing_else_of_the_bot_speaks_to_the_network() -> None:
    speaking = set()
    for path in sorted((ROOT / "bot").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        uses = any(m == c or m.startswith(f"{c}.") for m in imported(path) for c in CLIENTS)
        if uses and not name.startswith(FOLDERS):
            speaking.add(name)
    assert speaking == set(SPEAKING)


def test_no_file_is_ever_fetched() -> None:
    """The app may not even read files, and one place alone answers users by their response URL."""
    manifest = yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8"))
    assert "files:read" not in manifest["oauth_config"]["scopes"]["bot"]
    sources = {p: p.read_text(encoding="utf-8") for p in (ROOT / "bot" / "slack").rglob("*.py")}
    for word in ("url_private", "files_info", "files_list", "thumb_"):
        assert [path.name for path, source in sources.items() if word in source] == []
    hooks = [path.name for path, source in sources.items() if "AsyncWebhookClient(" in source]
    assert hooks == ["ephemeral.py"]


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.slack.com/commands/T0/1/x",
        "https://hooks.slack.com/actions/T0/1/x",
        "https://hooks.slack-gov.com/actions/T0/1/x",
        "http://127.0.0.1:8787/sandbox/answer/x",
    ],
)
def test_an_answer_address_is_slacks_own_or_the_emulators(address: str) -> None:
    assert is_slack_url(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://evil.example/x",
        "http://hooks.slack.com/x",
        "https://hooks.slack.com.evil.example/x",
        "https://evilslack.com/x",
        "https://hooks.slack.com@evil.example/x",
        "https://user:pass@hooks.slack.com/x",
        "https://evil.example/?hooks.slack.com",
        "https://evil.example#hooks.slack.com",
        "file:///etc/passwd",
        "ftp://hooks.slack.com/x",
        "//hooks.slack.com/x",
        "https://[::1",
        "http://169.254.169.254/latest/meta-data",
        "javascript:alert(1)",
    ],
)
async def test_nothing_is_sent_to_any_other_answer_address(address: str) -> None:
    with pytest.raises(SlackError, match="no_answer_address"):
        await respond(address, "what only one person is to see")


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_the_token_does_not_follow_a_redirect_to_another_host() -> None:
    """Even if a proxy answers in Slack's place and redirects the bot, the token stays with its
    host."""
    seen: list[web.Request] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({"ok": True})

    elsewhere = web.Application()
    elsewhere.router.add_route("*", "/{path:.*}", take)
    async with serving(elsewhere) as other:

        async def send_on(request: web.Request) -> web.Response:
            assert request.headers["Authorization"] == "Bearer xoxb-canary"
            raise web.HTTPTemporaryRedirect(f"{other}/stolen")

        slack = web.Application()
        slack.router.add_route("*", "/{path:.*}", send_on)
        async with (
            serving(slack) as home,
            open_client("xoxb-canary", f"{home}/api/", SystemClock()) as client,
        ):
            with suppress(SlackError):
                await call_once(client.web.chat_postMessage(channel="C0", text="hello"))
    for request in seen:
        assert "Authorization" not in request.headers
        assert "canary" not in str(request.headers)
