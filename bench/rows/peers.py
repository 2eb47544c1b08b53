"""Rows: the same mention answered by other bots, on Vercel's Chat SDK and in the shape of Slack's
samples on Bolt.

All three answer each thread by a Copilot session of its own, with the same options, the same
runtime and the same model, and hear a workspace of their own by Socket Mode. The peers keep
everything in memory; ours records what it hears before it acknowledges it, and would go on after a
crash.

First text is taken from answers of one line and one piece, which is the least that everybody waits
for. Both peers show it when the answer has ended: of one that grows, the Chat SDK shows whole lines
only, and the sample what it has after 20 pieces. Ours shows it when it comes.
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
"""Of milliseconds: 1.15 times as quick as the other bot."""
MORE: Final = Goal(least=1.15)
"""Of turns a second: 1.15 times as many."""
REST_SECONDS: Final = 0.1
"""How long a thread rests before it is asked for its first text, as with people."""
_KEEPS: Final = (
    "It keeps everything in memory; ours records before it acknowledges. Slack's limits are lifted."
)
_SHOWS: Final = (
    "The answer is one short line. It shows that when the answer has ended, by its own design; "
    "ours when it comes."
)


Figures = dict[str, float]
"""What one round measured, by the bot's name."""


@dataclass(frozen=True, slots=True)
class Side:
    """A bot's workspace, and the threads in which it has a session."""

    slack: SlackSide
    threads: tuple[str, ...]
    """Their roots' ts."""

    async def first_text(self, asks: int) -> float:
        """Milliseconds from a mention to the first text of its answer, the median of so many."""
        seconds = []
        for number in range(asks):
            await asyncio.sleep(REST_SECONDS)
            sent = await self._ask(self.threads[number % len(self.threads)])
            first, _ = await asyncio.gather(self.slack.first_text(sent), ended(self.slack, sent))
            seconds.append(first)
        return median(seconds) * 1_000

    async def turns(self, each: int) -> float:
        """Turns a second, with all threads at once, each asked again when it has its answer."""

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
    """Wait until the answer is all there: while it grows, the sample writes something behind it."""

    def has_ended(shown: Shown) -> bool:
        return shown.text.rstrip().endswith(f"{sent.mark}-end") and not shown.streaming

    await slack.until(sent, has_ended)


async def opened(slack: SlackSide, threads: int) -> Side:
    """New threads, each asked once."""

    async def one() -> str:
        sent = await slack.ask("quick")
        await ended(slack, sent)
        return sent.root_ts

    return Side(slack, tuple(await asyncio.gather(*(one() for _ in range(threads)))))


@asynccontextmanager
async def running_sides(
    model_url: str, folder: Path, threads: int
) -> AsyncIterator[dict[str, Side]]:
    """All three, each with a workspace of its own, without Slack's rate limits."""
    starts = {OURS: running_bot, CHAT_SDK: running_chat_sdk, BOLT_SAMPLE: running_bolt_sample}
    sides = {}
    async with AsyncExitStack() as stack:
        for number, (name, start) in enumerate(starts.items()):
            slack = await stack.enter_async_context(running_slack(limits=False))
            await stack.enter_async_context(start(slack, model_url, folder / str(number)))
            sides[name] = await opened(slack, threads)
        yield sides


async def rows(ground: Ground) -> list[Row]:
    """First text and turns a second, against each peer."""
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
    """Whoever was first is last the next time."""
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
        note=f"Ours is to be 1.15 times as quick, which is 0.869×. {_SHOWS} {_KEEPS}",
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
