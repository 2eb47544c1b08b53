"""Serves `/metrics`, `/healthz` and `/readyz` for operators, on its own port.

It listens on loopback by default. It accepts no commands and shows no data of users.
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
"""Timeout for the ready check, in seconds: shorter than the wait for a locked database."""

BOUNDS: Final = ServerLimits(max_connections=32)


class TelemetryServer:
    """An HTTP server for the bot's operators."""

    def __init__(self, registry: CollectorRegistry, bounds: ServerLimits = BOUNDS) -> None:
        self._registry = registry
        self._bounds = bounds
        self._gauges: Gauges | None = None
        self._ready_check: Callable[[], Awaitable[bool]] | None = None
        self.port = 0
        """The port that it listens on, or 0 while it is closed."""

    def set_probe(self, probe: StatusProbe, ready_check: Callable[[], Awaitable[bool]]) -> None:
        """Serve the state of a running bot from now on.

        `ready_check` returns True if messages are received and can be stored. It may raise
        `BotError`, which means that the bot is not ready.
        """
        self._gauges = Gauges(self._registry, probe)
        self._ready_check = ready_check

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[None]:
        """Serve until the block ends. Raises `SettingsError` if the address is not available."""
        app = web.Application(client_max_size=1_024)
        app.router.add_get("/metrics", self._handle_metrics)
        add_health_routes(app, self._is_ready, READY_SECONDS)
        server = serve_http(
            *(app, host, port), setting_prefix="METRICS", limits=self._bounds, shutdown_seconds=1.0
        )
        async with server as self.port:
            log.info("telemetry server started: port=%d", self.port)
            yield

    async def _handle_metrics(self, _: web.Request) -> web.Response:
        if self._gauges is not None:
            await self._gauges.refresh()
        text = generate_latest(self._registry)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _is_ready(self) -> bool:
        return self._ready_check is not None and await self._ready_check()
