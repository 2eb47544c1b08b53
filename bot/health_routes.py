"""Adds the routes `/healthz` (the process runs) and `/readyz` (it can do its work) to a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from bot.errors import BotError

log = logging.getLogger(__name__)


def add_health_routes(
    app: web.Application, check_ready: Callable[[], Awaitable[bool]], timeout_seconds: float
) -> None:
    """Add both routes to `app`. `/readyz` answers 200 if `check_ready` returns True within
    `timeout_seconds`, else 503; the reason of a failed check is logged."""

    async def handle_health(_: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def handle_ready(_: web.Request) -> web.Response:
        ready = await _is_ready(check_ready, timeout_seconds)
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    app.router.add_get("/healthz", handle_health)
    app.router.add_get("/readyz", handle_ready)


async def _is_ready(check_ready: Callable[[], Awaitable[bool]], timeout_seconds: float) -> bool:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await check_ready()
    except TimeoutError:
        log.warning("readiness check timed out: seconds=%g", timeout_seconds)
    except BotError as error:
        log.warning("readiness check failed: reason=%s", error)
    except Exception:
        log.exception("readiness check failed")
    return False
