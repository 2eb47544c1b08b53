"""Collects traces: a server for OTLP over HTTP that stores the spans it receives.

async with Collector() as collector:
    ... send traces to collector.url ...
    spans = await collector.until(lambda spans: any(span.name == "turn" for span in spans))
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

OURS = "threadpilot"
THE_RUNTIMES = "github-copilot"
"""The service name of the Copilot runtime (measured, CLI 1.0.102)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One span."""

    service: str
    name: str
    trace: str
    """32 hex digits."""
    id: str
    parent: str
    """The id of the parent span; "" for none."""
    begins: int
    ends: int
    """Nanoseconds since the epoch."""
    attributes: Mapping[str, object]
    events: tuple[str, ...]
    failed: bool


class Collector:
    """The server; an async context manager."""

    def __init__(self) -> None:
        self.spans: list[Collected] = []
        self.raw = b""
        """All bytes received, of any kind."""
        self.hangs = False
        """True if it accepts requests and never responds."""
        self._runner: web.AppRunner | None = None
        self._news = asyncio.Condition()

    @property
    def url(self) -> str:
        assert self._runner is not None
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aenter__(self) -> Self:
        site = web.Application()
        site.router.add_post("/{signal:.*}", self._take)
        self._runner = web.AppRunner(site, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        assert self._runner is not None
        await self._runner.cleanup()
        return False

    async def until(
        self, there: Callable[[Sequence[Collected]], bool], seconds: float = 30.0
    ) -> Sequence[Collected]:
        """Wait until the spans received satisfy the condition."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: there(self.spans))
        return tuple(self.spans)

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        self.raw += raw
        if self.hangs:
            await asyncio.sleep(60)
        if request.path == "/v1/traces":
            async with self._news:
                self.spans += _read(raw)
                self._news.notify_all()
        return web.Response(content_type="application/x-protobuf")


def _read(raw: bytes) -> list[Collected]:
    message = ExportTraceServiceRequest()
    message.ParseFromString(raw)
    return [
        Collected(
            service=str(_values(resource.resource.attributes).get("service.name")),
            name=span.name,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            begins=span.start_time_unix_nano,
            ends=span.end_time_unix_nano,
            attributes=_values(span.attributes),
            events=tuple(event.name for event in span.events),
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
        )
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Sequence[KeyValue]) -> dict[str, object]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
