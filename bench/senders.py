"""Sends bursts of events as Slack does, and times each until it is acknowledged.

A burst is made and signed before the clock starts, and the senders do as little as possible. So the
receiver is measured and not the sender.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from slack_emulator.delivery.http import signature_headers
from slack_emulator.delivery.receipt import ACK_SECONDS, PayloadKind
from slack_emulator.delivery.socket_mode import SocketMode, build_envelope
from slack_emulator.state.entities import APP_ID, BOT_USER_ID, TEAM_ID, VERIFICATION_TOKEN, Json

IN_FLIGHT: Final = 64
"""Number of deliveries at once: a sender waits for each acknowledgement before the next event."""
BURST_SECONDS: Final = 60.0
"""Timeout of a burst in seconds; it takes about one."""


class NotTaken(Exception):
    """An event was not acknowledged, so there is nothing to measure."""


@dataclass(frozen=True, slots=True)
class ThreadLocation:
    """A thread to write in."""

    channel: str
    root_ts: str


@dataclass(frozen=True, slots=True)
class Burst:
    """The times of a burst."""

    seconds: float
    """Seconds from the first event sent to the last acknowledgement."""
    latencies: tuple[float, ...]
    """Seconds from sending to acknowledgement, of each event."""

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds


def talk(
    places: Sequence[ThreadLocation], people: Sequence[str], first: int, count: int
) -> list[Json]:
    """The events of messages that users write to each other in threads.

    The payloads have all fields of Slack's own (docs.slack.dev/reference/events/message). Each
    number gives a different event.
    """
    return [
        _event(number, places[number % len(places)], people[number % len(people)])
        for number in range(first, first + count)
    ]


def ts_of(event: Json) -> tuple[str, str]:
    """The channel and the ts of a message."""
    inner = event["event"]
    assert isinstance(inner, dict)
    return str(inner["channel"]), str(inner["ts"])


def _event(number: int, place: ThreadLocation, person: str) -> Json:
    seconds, _, micros = place.root_ts.partition(".")
    ts = f"{int(seconds) + 1 + number // 500}.{(int(micros) + number) % 1_000_000:06d}"
    text = (
        f"I think so, too, for the reason number {number}: what was agreed on last week still "
        "holds, the numbers are in the sheet & nobody has asked for more since."
    ).replace("&", "&amp;")
    words = {"type": "text", "text": text.replace("&amp;", "&")}
    section = {"type": "rich_text_section", "elements": [words]}
    message: Json = {
        "user": person,
        "type": "message",
        "ts": ts,
        "client_msg_id": f"5f1c0a52-0c61-4a3e-9d55-{number:012x}",
        "text": text,
        "team": TEAM_ID,
        "thread_ts": place.root_ts,
        "parent_user_id": "UALICE",
        "blocks": [{"type": "rich_text", "block_id": f"b{number}", "elements": [section]}],
        "channel": place.channel,
        "event_ts": ts,
        "channel_type": "channel",
    }
    granted = {
        "enterprise_id": None,
        "team_id": TEAM_ID,
        "user_id": BOT_USER_ID,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "context_team_id": TEAM_ID,
        "context_enterprise_id": None,
        "api_app_id": APP_ID,
        "event": message,
        "type": "event_callback",
        "event_id": f"EvBENCH{number:09d}",
        "event_time": int(seconds),
        "authorizations": [granted],
        "is_ext_shared_channel": False,
        "event_context": f"4-message-{place.channel}-{number}",
    }


async def by_http(address: str, events: Sequence[Json]) -> Burst:
    """Send signed events to an app's request URL, over connections that stay open.

    Raises `NotTaken` if an event is not answered with 200.
    """
    target = urlsplit(address)
    assert target.hostname is not None
    requests = iter([_request(target.netloc, target.path, event) for event in events])
    lines = [
        await asyncio.open_connection(target.hostname, target.port)
        for _ in range(min(IN_FLIGHT, len(events)))
    ]
    latencies: list[float] = []

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for request in requests:
            began = time.perf_counter()
            writer.write(request)
            status = await _status(reader)
            latencies.append(time.perf_counter() - began)
            if status != 200:
                raise NotTaken(f"an event was answered with {status}")

    try:
        return await _timed(latencies, [send(*line) for line in lines])
    finally:
        for _, writer in lines:
            writer.close()


def _request(host: str, path: str, event: Json) -> bytes:
    body = json.dumps(event).encode()
    headers = {
        "Host": host,
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "Accept": "*/*",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **signature_headers(body, time.time()),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


async def _status(reader: asyncio.StreamReader) -> int:
    """Read one whole response; return its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            await reader.readexactly(int(value))
    return int(first.split()[1])


async def by_socket(sockets: SocketMode, events: Sequence[Json]) -> Burst:
    """Send envelopes to an app by Socket Mode.

    Raises `NotTaken` if one is acknowledged after the 3 s that Slack waits, and `TimeoutError` if
    one is never acknowledged.
    """
    left = iter([build_envelope(PayloadKind.EVENT, event, 0, "") for event in events])
    latencies: list[float] = []

    async def send() -> None:
        for envelope in left:
            began = time.perf_counter()
            receipt = await sockets.send(envelope, _waited)
            latencies.append(took := time.perf_counter() - began)
            if not receipt.ok or took > ACK_SECONDS:
                raise NotTaken(f"an envelope was not acknowledged: {receipt.reason or 'timeout'}")

    return await _timed(latencies, [send() for _ in range(min(IN_FLIGHT, len(events)))])


async def _waited(received: asyncio.Future[None]) -> bool:
    """Wait for an acknowledgement, without the emulator's clock, which takes three tasks each time.

    The caller checks the duration afterwards, and the burst as a whole has its timeout.
    """
    await asyncio.wait((received,))
    return True


async def _timed(latencies: list[float], senders: Sequence[Awaitable[None]]) -> Burst:
    """Send a whole burst without garbage collection in the senders' process.

    The process has many objects, and a collection would delay all senders at once.
    """
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        async with asyncio.timeout(BURST_SECONDS):
            await asyncio.gather(*senders)
        return Burst(time.perf_counter() - began, tuple(latencies))
    finally:
        gc.enable()


Send = Callable[[Sequence[Json]], Awaitable[Burst]]
