"""Any client may open connections and send any data within the server's limits.

Memory, descriptors and time of the bot stay bounded, and other clients are served."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from prometheus_client import CollectorRegistry, Gauge
from slack_sdk.signature import SignatureVerifier

from bot.http_server import ServerLimits
from bot.slack.transport.http import MAX_BODY_BYTES, HttpTransport
from bot.slack.transport.request_body import FREE_BYTES_PER_BODY
from bot.tasks import BackgroundTasks
from bot.telemetry.server import TelemetryServer
from tests.fakes import ManualClock
from tests.integration.slack.receiver import RecordingReceiver, event_receiver_for
from tests.integration.slack.transport.test_http import SECRET, envelope, mention

GUARD = 30.0
"""Timeout in seconds against a test that hangs."""
LONG = ServerLimits(max_connections=3, header_seconds=3_600, idle_seconds=3_600)
"""Limits with times that no test waits for."""


@dataclass
class Visitor:
    """One connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, wire: str | bytes) -> None:
        self.writer.write(wire.encode() if isinstance(wire, str) else wire)
        await self.writer.drain()

    async def status(self) -> int:
        """The status of the next response, whose body is read, too."""
        async with asyncio.timeout(GUARD):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].split()[0])
            await self.reader.readexactly(length)
        return int(head.split()[1])

    async def get(self, path: str = "/healthz") -> int:
        await self.send(f"GET {path} HTTP/1.1\r\nHost: bot\r\n\r\n")
        return await self.status()

    async def ask_without_end(self) -> None:
        """Raises `ConnectionError` when the other side has closed the connection."""
        while True:
            await self.send("GET /metrics HTTP/1.1\r\nHost: bot\r\n\r\n" * 1_000)

    async def closed(self) -> bytes:
        """The data until the other side closes the connection."""
        async with asyncio.timeout(GUARD):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


class Visitors:
    """The clients of the server at a port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._open: list[Visitor] = []

    async def come(self) -> Visitor:
        visitor = Visitor(*await asyncio.open_connection("127.0.0.1", self.port))
        self._open.append(visitor)
        return visitor

    def leave(self) -> None:
        for visitor in self._open:
            visitor.writer.transport.abort()
        self._open.clear()


class FakeTransport:
    """Slack's transport, with its received events and its readiness."""

    def __init__(self) -> None:
        self.receiver = RecordingReceiver()
        self.clock = ManualClock()
        self.may_be_ready = asyncio.Event()
        self.may_be_ready.set()
        self.readiness_checks = asyncio.Semaphore(0)

    async def is_ready(self) -> bool:
        self.readiness_checks.release()
        await self.may_be_ready.wait()
        return True

    def head(self, length: int, *, body: bytes | None = None) -> str:
        """The head of a delivery, signed for `body`, or with an invented signature."""
        stamp = str(int(self.clock.now()))
        signature = "v0=" + "0" * 64
        if body is not None:
            made = SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)
            assert made is not None
            signature = made
        return (
            f"POST /slack/events HTTP/1.1\r\nHost: bot\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length}\r\nX-Slack-Request-Timestamp: {stamp}\r\n"
            f"X-Slack-Signature: {signature}\r\n\r\n"
        )


@asynccontextmanager
async def opened(
    bounds: ServerLimits = LONG, max_bodies: int = 1 << 20
) -> AsyncIterator[tuple[FakeTransport, Visitors]]:
    transport, background = FakeTransport(), BackgroundTasks()
    served = HttpTransport(
        signing_secret=SECRET,
        clock=transport.clock,
        check_ready=transport.is_ready,
        port=0,
        limits=bounds,
        max_total_body_bytes=max_bodies,
    )
    async with served.open(event_receiver_for(transport.receiver, background), lambda _: None):
        visitors = Visitors(served.port)
        try:
            yield transport, visitors
        finally:
            transport.may_be_ready.set()
            visitors.leave()
    await background.close()


@asynccontextmanager
async def watched(
    bounds: ServerLimits = LONG, registry: CollectorRegistry | None = None
) -> AsyncIterator[Visitors]:
    site = TelemetryServer(registry or CollectorRegistry(), bounds)
    async with site.serve("127.0.0.1", 0):
        visitors = Visitors(site.port)
        try:
            yield visitors
        finally:
            visitors.leave()


@pytest.fixture(params=["Slack's", "the operators'"])
async def crowded(request: pytest.FixtureRequest) -> AsyncIterator[Visitors]:
    """The clients of a server with three connections."""
    async with AsyncExitStack() as stack:
        if request.param == "Slack's":
            _, visitors = await stack.enter_async_context(opened())
        else:
            visitors = await stack.enter_async_context(watched())
        yield visitors


async def test_silent_connections_do_not_block_others(crowded: Visitors) -> None:
    silent = [await crowded.come() for _ in range(10)]
    assert await (await crowded.come()).get() == 200
    assert [await visitor.closed() for visitor in silent[:7]] == [b""] * 7


async def test_the_one_that_has_waited_the_longest_makes_room(crowded: Visitors) -> None:
    first, second, third = [await crowded.come() for _ in range(3)]
    assert [await visitor.get() for visitor in (second, third, first)] == [200] * 3
    assert await (await crowded.come()).get() == 200
    assert await second.closed() == b""
    assert [await first.get(), await third.get()] == [200, 200]


async def test_half_a_head_does_not_count_as_a_request(crowded: Visitors) -> None:
    slow = [await crowded.come() for _ in range(3)]
    for visitor in slow:
        await visitor.send("GET /healthz HTTP/1.1\r\nHost: b")
    assert await (await crowded.come()).get() == 200
    assert await slow[0].closed() == b""


async def test_half_a_body_does_not_block_others() -> None:
    """The signature cannot be verified before the whole body is read."""
    body = json.dumps(envelope(mention())).encode()
    async with opened() as (transport, visitors):
        slow = [await visitors.come() for _ in range(3)]
        for visitor in slow:
            await visitor.send(transport.head(9) + "x")
        event = await visitors.come()
        await event.send(transport.head(len(body), body=body).encode() + body)
        assert await event.status() == 200
        assert await slow[0].closed() == b""


async def test_while_all_connections_are_busy_others_are_refused_at_once() -> None:
    async with opened() as (transport, visitors):
        transport.may_be_ready.clear()
        busy = [await visitors.come() for _ in range(3)]
        for visitor in busy:
            await visitor.send("GET /readyz HTTP/1.1\r\nHost: bot\r\n\r\n")
            async with asyncio.timeout(GUARD):
                await transport.readiness_checks.acquire()
        assert (await (await visitors.come()).closed()).startswith(b"HTTP/1.1 503 ")
        transport.may_be_ready.set()
        assert [await visitor.status() for visitor in busy] == [200] * 3
        assert await (await visitors.come()).get() == 200


@pytest.mark.parametrize("text", ["", "GET /healthz HT", "POST /slack/events HTTP/1.1\r\nHost: b"])
async def test_a_connection_without_a_request_is_closed(text: str) -> None:
    async with opened(ServerLimits(max_connections=3, header_seconds=0.1)) as (_, visitors):
        visitor = await visitors.come()
        await visitor.send(text)
        assert await visitor.closed() == b""


async def test_a_connection_on_which_no_more_is_asked_is_closed() -> None:
    async with opened(ServerLimits(max_connections=3, idle_seconds=0.1)) as (_, visitors):
        visitor = await visitors.come()
        assert await visitor.get() == 200
        assert await visitor.closed() == b""


async def test_the_next_request_has_to_come_as_quickly_as_the_first() -> None:
    async with opened(ServerLimits(max_connections=3, header_seconds=0.1, idle_seconds=3_600)) as (
        _,
        visitors,
    ):
        visitor = await visitors.come()
        assert [await visitor.get(), await visitor.get()] == [200, 200]
        await visitor.send("GET ")
        assert await visitor.closed() == b""


async def test_an_unread_response_is_dropped() -> None:
    """Otherwise a client that does not read holds a connection and the data written to it."""
    registry = CollectorRegistry()
    Gauge("much", "m" * 1_000_000, registry=registry)
    async with watched(ServerLimits(max_connections=3, idle_seconds=0.1), registry) as visitors:
        visitor = await visitors.come()
        visitor.writer.transport.pause_reading()  # type: ignore[attr-defined] # of an open stream
        async with asyncio.timeout(GUARD):
            with pytest.raises(ConnectionError):
                await visitor.ask_without_end()


@pytest.mark.parametrize(
    "headers",
    [
        "",
        "X-Slack-Request-Timestamp: 1\r\nX-Slack-Signature: v0=" + "0" * 64 + "\r\n",
        "X-Slack-Request-Timestamp: {now}\r\n",
        "X-Slack-Request-Timestamp: {now}\r\nX-Slack-Signature: v0=\r\n",
        "X-Slack-Request-Timestamp: {now}\r\nX-Slack-Signature: v0=" + "x" * 64 + "\r\n",
    ],
)
async def test_what_slack_cannot_have_signed_is_refused_before_its_body_is_there(
    headers: str,
) -> None:
    async with opened() as (transport, visitors):
        visitor = await visitors.come()
        text = headers.format(now=int(transport.clock.now()))
        await visitor.send(
            f"POST /slack/events HTTP/1.1\r\nHost: bot\r\nContent-Length: "
            f"{MAX_BODY_BYTES}\r\n{text}\r\n"
        )
        assert await visitor.status() == 401


async def test_what_says_that_it_is_too_large_is_refused_before_its_body_is_there() -> None:
    async with opened() as (transport, visitors):
        visitor = await visitors.come()
        await visitor.send(transport.head(MAX_BODY_BYTES + 1))
        assert await visitor.status() == 413


async def test_large_bodies_together_stay_within_the_limit() -> None:
    """An ordinary event, which is small, is accepted at the same time."""
    body = json.dumps(envelope(mention())).encode()
    async with opened(ServerLimits(max_connections=9), max_bodies=2 * FREE_BYTES_PER_BODY) as (
        transport,
        visitors,
    ):
        large = [await visitors.come() for _ in range(2)]
        for visitor in large:
            await visitor.send(
                transport.head(3 * FREE_BYTES_PER_BODY) + "x" * 2 * FREE_BYTES_PER_BODY
            )
        another = await visitors.come()
        await another.send(transport.head(3 * FREE_BYTES_PER_BODY) + "x" * 3 * FREE_BYTES_PER_BODY)
        assert await another.status() == 503
        event = await visitors.come()
        await event.send(transport.head(len(body), body=body).encode() + body)
        assert await event.status() == 200
        assert len(transport.receiver.messages) == 1
        for visitor in large:
            visitor.writer.close()
        async with asyncio.timeout(GUARD):
            while True:  # until the bot has noticed that the clients are gone
                another = await visitors.come()
                await another.send(
                    transport.head(2 * FREE_BYTES_PER_BODY) + "x" * 2 * FREE_BYTES_PER_BODY
                )
                if await another.status() == 401:  # read completely, and not signed
                    break


async def test_malformed_requests_do_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor does a client that disconnects within a body, which is not an error of the bot."""
    async with opened(ServerLimits(max_connections=3)) as (transport, visitors):
        for text in ("POST /slack/events HTTP/1.1\r\nHost: bot\r\n\r\n", "no HTTP\r\n\r\n"):
            for _ in range(9):
                visitor = await visitors.come()
                await visitor.send(text)
                assert (await visitor.closed()).startswith(b"HTTP/1.")
        for _ in range(9):
            visitor = await visitors.come()
            await visitor.send(transport.head(9) + "x")
            visitor.writer.transport.abort()
        assert await (await visitors.come()).get() == 200
    warnings = [line for line in caplog.records if line.levelno >= logging.WARNING]
    assert {line.levelname for line in warnings} == {"WARNING"}
    sentences = Counter(line.getMessage() for line in warnings)
    assert "request refused: not signed by Slack" in sentences
    assert set(sentences.values()) == {1}


# Out of descriptors ------------------------------------------------------------------------------


class Child:
    """The servers in a process with few descriptors."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.slack = self.operators = Visitors(0)

    async def line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(GUARD):
            return (await self._process.stdout.readline()).decode().strip()

    async def send_command(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        assert await self.line() == "done"


@asynccontextmanager
async def with_few_descriptors() -> AsyncIterator[Child]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.integration.slack.transport.limited_descriptors"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    child = Child(process)
    try:
        child.slack, child.operators = (Visitors(int(n)) for n in (await child.line()).split())
        yield child
    finally:
        child.slack.leave()
        child.operators.leave()
        process.kill()
        await process.wait()


async def test_without_any_descriptor_left_both_transports_still_answer() -> None:
    """Each reserves a few for that; beyond these, the connection with the longest wait closes."""
    async with with_few_descriptors() as child:
        await child.send_command("take")
        for visitors in (child.operators, child.slack):
            for _ in range(8):
                assert await (await visitors.come()).get() == 200


async def test_after_a_flood_that_takes_all_descriptors_clients_are_served() -> None:
    async with with_few_descriptors() as child:
        for _ in range(120):
            await child.slack.come()
        assert await (await child.operators.come()).get() == 200
        child.slack.leave()
        assert await (await child.slack.come()).get() == 200
        await child.send_command("take")
        await child.send_command("release")
        for visitors in (child.operators, child.slack):
            assert [await (await visitors.come()).get() for _ in range(20)] == [200] * 20
