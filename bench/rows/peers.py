"""Measures other bots on the same mentions: on Vercel's Chat SDK, and like Slack's Bolt samples.

All three answer each thread by its own Copilot session, with the same options, runtime and model.
Each is connected to its own workspace by Socket Mode. The peers keep everything in memory; ours
records each event before it acknowledges it, and continues after a crash.

First text is measured on answers of one line and one piece, the shortest that all bots show. Both
peers show it when the answer has ended: of a growing answer, the Chat SDK shows whole lines only,
and the sample shows its text after 20 pieces. Ours shows it when it arrives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.comparison import Goal, Round, Row
from bench.ground import Ground
from bench.peers.programs import running_bolt_sample, running_chat_sdk
from bench.programs import running_bot, running_model
from bench.slack_side import PEOPLE, Sent, Shown, SlackSide, running_slack

OURS: Final = "Threadpilot"
CHAT_SDK: Final = "Chat SDK bot"
BOLT_SAMPLE: Final = "sample on Bolt"
PEERS: Final = (CHAT_SDK, BOLT_SAMPLE)
THREADS: Final = 20
QUICKER: Final = Goal(most=0.869)
"""Goal for milliseconds: 1.15 times as fast as the other bot."""
MORE: Final = Goal(least=1.15)
"""Goal for turns per second: 1.15 times as many."""
REST_SECONDS: Final = 0.1
"""Interval in seconds before the next question of a thread, as with real users."""
_KEEPS: Final = (
    "It keeps everything in memory; ours records before it acknowledges. Slack's limits are lifted."
)
_SHOWS: Final = (
    "The answer is one short line. It shows the line when the answer has ended, by its own design; "
    "ours shows it when it arrives."
)


Figures = dict[str, float]
"""The figures of one round, by the bot's name."""


@dataclass(frozen=True, slots=True)
class Side:
    """A bot's workspace, and the threads in which it has a session."""

    slack: SlackSide
    threads: tuple[str, ...]
    """The `ts` of their roots."""

    async def first_text(self, asks: int) -> float:
        """Milliseconds from a mention to the first text of its answer: the median of `asks`."""
        seconds = []
        for number in range(asks):
            await asyncio.sleep(REST_SECONDS)
            sent = await self._ask(self.threads[number % len(self.threads)])
            first, _ = await asyncio.gather(self.slack.first_text(sent), ended(self.slack, sent))
            seconds.append(first)
        return median(seconds) * 1_000

    async def turns(self, each: int) -> float:
        """Turns per second with all threads at once; each asks again when it has its answer."""

        async def one(root_ts: str) -> None:
            for _ in range(each):
                await ended(self.slack, await self._ask(root_ts))

        began = time.perf_counter()
        await asyncio.gather(*map(one, self.threads))
        return each * len(self.threads) / (time.perf_counter() - began)

    async def _ask(self, root_ts: str) -> Sent:
        person = PEOPLE[self.threads.index(root_ts) % len(PEOPLE)]
        return await self.slack.ask("quick", root_ts=root_ts, person=person)


async def ended(slack: SlackSide, sent: Sent) -> None:
    """Wait until the answer is complete: while it grows, the sample appends a marker."""

    def has_ended(shown: Shown) -> bool:
        return shown.text.rstrip().endswith(f"{sent.mark}-end") and not shown.streaming

    await slack.until(sent, has_ended)


async def opened(slack: SlackSide, threads: int) -> Side:
    """A side with new threads, each with one answer."""

    async def one() -> str:
        sent = await slack.ask("quick")
        await ended(slack, sent)
        return sent.root_ts

    return Side(slack, tuple(await asyncio.gather(*(one() for _ in range(threads)))))


@asynccontextmanager
async def running_sides(
    model_url: str, folder: Path, threads: int
) -> AsyncIterator[dict[str, Side]]:
    """Run all three bots, each with its own workspace, without Slack's rate limits."""
    starts = {OURS: running_bot, CHAT_SDK: running_chat_sdk, BOLT_SAMPLE: running_bolt_sample}
    sides = {}
    async with AsyncExitStack() as stack:
        for number, (name, start) in enumerate(starts.items()):
            slack = await stack.enter_async_context(running_slack(limits=False))
            await stack.enter_async_context(start(slack, model_url, folder / str(number)))
            sides[name] = await opened(slack, threads)
        yield sides


async def rows(ground: Ground) -> list[Row]:
    """One row for first text and one for turns per second, against each peer."""
    asks = ground.sized("answers a round (other bots)", 8, least=3, tiny=1)
    each = ground.sized("questions a thread and round (other bots)", 3, least=1, tiny=1)
    async with (
        running_model(ground.folder) as model_url,
        running_sides(model_url, ground.folder, ground.pick(THREADS, 2)) as sides,
    ):

        async def once(number: int) -> tuple[Figures, Figures]:
            order = _turned(list(sides), number)
            return (
                {name: await sides[name].first_text(asks) for name in order},
                {name: await sides[name].turns(each) for name in order},
            )

        measured = await ground.repeated("other bots", ground.pick(7, 1), once)
    first, turns = [one for one, _ in measured], [other for _, other in measured]
    return [_first_text(peer, first) for peer in PEERS] + [_turns(peer, turns) for peer in PEERS]


def _turned(names: list[str], number: int) -> list[str]:
    """The names rotated by `number`, so that each bot is first in turn."""
    start = number % len(names)
    return names[start:] + names[:start]


def _first_text(peer: str, measured: Sequence[Figures]) -> Row:
    return Row(
        name=f"First text, {peer}",
        measured="a mention is sent in a thread with a live session → its first text is seen",
        against=f"{peer}, with the same session",
        unit="ms",
        rounds=_against(peer, measured),
        goal=QUICKER,
        note=f"The goal is 1.15 times as fast, which is 0.869×. {_SHOWS} {_KEEPS}",
    )


def _turns(peer: str, measured: Sequence[Figures]) -> Row:
    return Row(
        name=f"Turns a second, {peer}",
        measured=f"{THREADS} threads at once, from mention to the end of the answer",
        against=f"{peer}, with the same sessions",
        unit="turns/s",
        rounds=_against(peer, measured),
        goal=MORE,
        note=_KEEPS,
    )


def _against(peer: str, measured: Sequence[Figures]) -> tuple[Round, ...]:
    return tuple(Round(ours=each[OURS], theirs=each[peer]) for each in measured)
