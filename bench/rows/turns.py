"""Measures turns per second and processor time of many threads at once.

The model answers at once, and each thread asks again as soon as its answer has ended. The other
side is a loop around the SDK alone with as many live sessions. Slack's own limits are lifted,
because the rows would measure nothing else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final

from bench.comparison import Goal, Round, Row, in_turn
from bench.ground import Ground
from bench.programs import Program, running_bare, running_bot, running_model
from bench.slack_side import Sent, SlackSide, running_slack

GOAL: Final = Goal(least=0.85)
PROCESSOR_GOAL: Final = Goal(most_ours=6.0)


@dataclass(frozen=True, slots=True)
class ProcessorUse:
    """The figures of one side in one round."""

    per_second: float
    own_ms: float
    """Processor time of the Python process itself per turn, in milliseconds."""
    runtime_ms: float
    """Processor time of its runtime per turn, in milliseconds."""


@dataclass(frozen=True, slots=True)
class ThreadRounds:
    """The rounds of a number of threads with `each` questions per thread."""

    threads: int
    each: int
    rounds: Sequence[tuple[ProcessorUse, ProcessorUse]]
    """Ours and theirs."""

    def of(self, what: Callable[[ProcessorUse], float]) -> tuple[Round, ...]:
        """The rounds of one figure."""
        return tuple(Round(what(ours), what(theirs)) for ours, theirs in self.rounds)


async def rows(ground: Ground) -> list[Row]:
    """Two rows for turns per second, in 20 and in 100 threads, and one for processor time in 20."""
    few, many = ground.pick((20, 100), (2, 3))
    one = await _measure(ground.part(0.45), few, 8)
    other = await _measure(ground, many, 2)
    return [_per_second(one), _per_second(other), _processor_time(one)]


async def _measure(ground: Ground, threads: int, questions: int) -> ThreadRounds:
    folder = ground.folder / str(threads)
    what = f"{threads} threads"
    each = ground.sized(f"questions a thread and round ({what})", questions, least=1, tiny=1)
    async with AsyncExitStack() as opened:
        model = await opened.enter_async_context(running_model(folder))
        slack = await opened.enter_async_context(running_slack(limits=False))
        as_many = {"MAX_TURNS": str(threads), "MAX_SESSIONS": str(threads)}
        bot = await opened.enter_async_context(running_bot(slack, model, folder / "bot", **as_many))
        bare = await opened.enter_async_context(running_bare(model, folder / "bare"))
        begun = await asyncio.gather(*(_new_thread(slack) for _ in range(threads)))
        sessions = [f"s-{number}" for number in range(threads)]
        await bare.ask(do="open", sessions=sessions)
        await _theirs(slack, bare, sessions, 1)

        async def ours() -> ProcessorUse:
            return await _processor_use(bot, threads * each, lambda: _ours(slack, begun, each))

        async def theirs() -> ProcessorUse:
            return await _processor_use(
                bare, threads * each, lambda: _theirs(slack, bare, sessions, each)
            )

        rounds = await ground.repeated(
            what, ground.pick(5, 1), lambda number: in_turn(number, ours, theirs)
        )
    return ThreadRounds(threads, each, rounds)


def _per_second(measured: ThreadRounds) -> Row:
    threads = measured.threads
    return Row(
        name=f"Turns a second, {threads} threads",
        measured=f"{threads} threads ask, {measured.each} times each, as soon as they are answered",
        against=f"a loop around the SDK alone, {threads} live sessions",
        unit="turns/s",
        rounds=measured.of(lambda spent: spent.per_second),
        goal=GOAL,
        note="Every session is live, and all threads' turns run at once (MAX_TURNS). Slack and its "
        "users run on the same processors.",
    )


def _processor_time(measured: ThreadRounds) -> Row:
    ours, theirs = (
        median(spent.runtime_ms for spent in side) for side in zip(*measured.rounds, strict=True)
    )
    return Row(
        name="Processor time a turn",
        measured=f"what the bot's process takes for each turn, {measured.threads} threads at once",
        against="the process of the SDK alone",
        unit="ms",
        rounds=measured.of(lambda spent: spent.own_ms),
        goal=PROCESSOR_GOAL,
        note="User and system time of the Python process, in the same rounds as turns a second. "
        f"The runtime, a process of its own, takes {ours:.1f} ms a turn with the bot and "
        f"{theirs:.1f} ms with the SDK alone.",
    )


async def _processor_use(
    program: Program, turns: int, ask: Callable[[], Awaitable[None]]
) -> ProcessorUse:
    """Run turns and measure their speed and processor time."""
    own, runtime = program.cpu_seconds()
    began = time.perf_counter()
    await ask()
    took = time.perf_counter() - began
    own_then, runtime_then = program.cpu_seconds()
    each = 1_000 / turns
    return ProcessorUse(turns / took, (own_then - own) * each, (runtime_then - runtime) * each)


async def _new_thread(slack: SlackSide) -> Sent:
    """A thread with one answer."""
    sent = await slack.ask("instant")
    await slack.ended(sent)
    return sent


async def _ours(slack: SlackSide, threads: list[Sent], each: int) -> None:
    """Turns through the whole bot."""

    async def ask_on(thread: Sent) -> None:
        for _ in range(each):
            await slack.ended(await slack.ask("instant", root_ts=thread.root_ts, mention=False))

    await asyncio.gather(*(ask_on(thread) for thread in threads))


async def _theirs(slack: SlackSide, bare: Program, sessions: list[str], each: int) -> None:
    """Turns with the SDK alone."""
    prompts = {name: [f"instant {slack.new_mark()}" for _ in range(each)] for name in sessions}
    await bare.ask(do="loop", prompts=prompts)
