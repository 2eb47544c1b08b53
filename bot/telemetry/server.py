"""The operators' door: `/metrics`, `/healthz` and `/readyz`, apart from the one that Slack uses.

It listens on loopback unless told otherwise. It takes no orders and shows nothing of anybody.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from bot.health_routes import add_health_routes
from bot.http_server import ServerLimits, serve_http
from bot.telemetry.gauges import Gauges, StatusProbe

log = logging.getLogger(__name__)

READY_SECONDS: Final = 3.0
"""How long the bot may take to say that it is ready: less than a database that is locked does."""

BOUNDS: Final = ServerLimits(max_connections=32)


class TelemetryServer:
    """Answers those who look after the bot."""

    def __init__(self, registry: CollectorRegistry, bounds: ServerLimits = BOUNDS) -> None:
        self._registry = registry
        self._bounds = bounds
        self._gauges: Gauges | None = None
        self._ready_check: Callable[[], Awaitable[bool]] | None = None
        self.port = 0
        """Where it listens, once it is open."""

    def set_probe(self, probe: StatusProbe, ready_check: Callable[[], Awaitable[bool]]) -> None:
        """The bot runs: from now on this can be seen of it. `ready` says whether messages are heard
        and could be recorded; it may raise `BotError`, which means no."""
        self._gauges = Gauges(self._registry, probe)
        self._ready_check = ready_check

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[None]:
        """Answer while inside. Raises `SettingsError` when the address cannot be had."""
        app = web.Application(client_max_size=1_024)
        app.router.add_get("/metrics", self._handle_metrics)
        add_health_routes(app, self._is_ready, READY_SECONDS)
        server = serve_http(
            *(app, host, port), setting_prefix="METRICS", limits=self._bounds, shutdown_seconds=1.0
        )
        async with server as self.port:
            log.info("metrics and health checks are at port %d", self.port)
            yield

    async def _handle_metrics(self, _: web.Request) -> web.Response:
        if self._gauges is not None:
            await self._gauges.refresh()
        text = generate_latest(self._registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _is_ready(self) -> bool:
        return self._ready_check is not None and await self._ready_check()
