"""Measures how fast Slack's events are accepted: on disk first, and then acknowledged."""

from __future__ import annotations

import itertools
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from bench.comparison import Goal, Limit, Row, p99, percentile
from bench.ground import Ground
from bench.plain_bolt import PATH
from bench.plain_bolt import READY as BOLT_READY
from bench.programs import START_SECONDS, running, running_bot, running_model
from bench.senders import IN_FLIGHT, Burst, Send, ThreadLocation, by_http, by_socket, talk, ts_of
from bench.slack_side import CHANNEL, PEOPLE, SlackSide, running_slack
from slack_emulator.state.entities import SIGNING_SECRET, Json
from tests.chaos.database_reader import DatabaseReader

EVENTS: Final = 2_000
WARM_UP: Final = 200
ROUNDS: Final = 9
THREADS: Final = 10
ALLOWED_MS: Final = 300.0
GOAL: Final = Goal(least=1.0)

ReceivedCheck = Callable[[], set[tuple[str, str]]]
"""Returns channel and ts of every message on record."""


class NotOnRecord(Exception):
    """An acknowledged event is not in the database, so its speed is worth nothing."""


@dataclass(slots=True)
class _Side:
    """One of the two receivers of bursts, with its latencies."""

    send: Send
    numbers: itertools.count[int]
    """Numbers of bursts: each burst has new events, because a repeated event would be cheap."""
    places: Sequence[ThreadLocation]
    count: int
    received: ReceivedCheck | None = None
    """Reads the messages on record, to find every acknowledged event; None: nothing is stored."""
    latencies: list[float] = field(default_factory=list)

    async def take(self) -> float:
        """Send one burst; return the events per second."""
        burst = await self.burst(self.count)
        self.latencies += burst.latencies
        return burst.per_second

    async def burst(self, count: int) -> Burst:
        """Send a burst of `count` events. Raises `NotTaken` or `NotOnRecord`."""
        events = talk(self.places, PEOPLE[1:], next(self.numbers) * EVENTS, count)
        burst = await self.send(events)
        if self.received is not None:
            all_on_record(self.received, events)
        return burst


def all_on_record(received: ReceivedCheck, events: Sequence[Json]) -> None:
    """Raise `NotOnRecord` if a message is missing."""
    missing = {ts_of(event) for event in events} - received()
    if missing:
        raise NotOnRecord(f"{len(missing)} of {len(events)} acknowledged events are not on record")


async def rows(ground: Ground) -> list[Row]:
    """One row for signed HTTP, and one for Socket Mode."""
    async with running_model(ground.folder) as model_url:
        first = await _row(ground.part(0.5), "http", model_url)
        return [first, await _row(ground, "socket", model_url)]


async def _row(ground: Ground, way: str, model_url: str) -> Row:
    folder = ground.folder / way
    by = {"http": "signed HTTP events", "socket": "Socket Mode envelopes"}[way]
    count = ground.sized(by, EVENTS, least=500, tiny=60)
    sides = _bot(way, model_url, folder), _plain_bolt(way, folder)
    async with sides[0] as (to_bot, places), sides[1] as to_bolt:
        make = partial(_Side, numbers=itertools.count(), places=places, count=count)
        ours = make(send=to_bot, received=DatabaseReader(folder / "bot" / "data").received_messages)
        theirs = make(send=to_bolt)
        for side in (ours, theirs):
            await side.burst(ground.pick(WARM_UP, 10))
        rounds = await ground.rounds(by, ground.pick(ROUNDS, 2), ours.take, theirs.take)
    return Row(
        name=f"Accepted events/s, {'HTTP' if way == 'http' else 'Socket Mode'}",
        measured=f"{count:,} {by}, {IN_FLIGHT} in flight, each on disk before its acknowledgement",
        against="Bolt for Python that only acknowledges, and keeps nothing",
        unit="events/s",
        rounds=rounds,
        goal=GOAL,
        limits=(_limit(ours.latencies),),
        note=(
            f"Messages between users in {len(places)} threads that the bot takes part in: each is "
            "recorded and checked, none starts a turn. After every burst each of them is looked up "
            f"in the database. p50, p99: {_described(ours.latencies)}; of plain Bolt: "
            f"{_described(theirs.latencies)}."
        ),
    )


def _limit(latencies: Sequence[float]) -> Limit:
    return Limit(name="p99", value=p99(latencies) * 1_000, most=ALLOWED_MS, unit="ms")


def _described(latencies: Sequence[float]) -> str:
    return f"{percentile(latencies, 0.5) * 1_000:.0f} ms, {p99(latencies) * 1_000:.0f} ms"


@asynccontextmanager
async def _bot(
    way: str, model_url: str, folder: Path
) -> AsyncIterator[tuple[Send, list[ThreadLocation]]]:
    """Run a bot that has answered in some threads; yields its sender and the threads."""
    settings, address = dict[str, str](), ""
    async with running_slack(limits=False) as slack:
        if way == "http":
            port = _a_free_port()
            address = f"http://127.0.0.1:{port}{PATH}"
            settings = {
                "SLACK_MODE": "http",
                "SLACK_SIGNING_SECRET": SIGNING_SECRET,
                "HTTP_PORT": str(port),
            }
            slack.set(request_url=address)
        async with running_bot(slack, model_url, folder / "bot", **settings):
            places = [await _answered(slack) for _ in range(THREADS)]
            yield _sender(way, slack, address), places


async def _answered(slack: SlackSide) -> ThreadLocation:
    """A thread in which the bot has answered a user."""
    sent = await slack.ask("instant")
    await slack.ended(sent)
    return ThreadLocation(CHANNEL, sent.ts)


@asynccontextmanager
async def _plain_bolt(way: str, folder: Path) -> AsyncIterator[Send]:
    async with running_slack(limits=False) as slack:
        command = (sys.executable, "-m", "bench.plain_bolt", way, slack.api_url)
        async with running(*command, log=folder / "bolt.log") as bolt:
            line = await bolt.line(START_SECONDS)
            yield _sender(way, slack, line.removeprefix(BOLT_READY))


def _sender(way: str, slack: SlackSide, address: str) -> Send:
    if way == "http":
        return partial(by_http, address)
    return partial(by_socket, slack.emulator.slack.socket_mode)


def _a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
