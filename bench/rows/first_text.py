"""Measures the time to the first and to the last text in one thread with a live session.

The other side is the SDK alone, with a session as old and the same model: from its `send` to its
first and to its last piece. Slack's limits are lifted: 20 streams a minute are too few to measure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import median
from typing import Final

from bench.comparison import Goal, Row
from bench.ground import Ground
from bench.programs import Program, running_bare, running_bot, running_model
from bench.slack_side import Sent, SlackSide, running_slack

MOST_MORE_MS: Final = 6.0
_SESSION: Final = "one"


async def rows(ground: Ground) -> list[Row]:
    """One row for the first text, and one for a whole answer of 100 pieces."""
    async with AsyncExitStack() as opened:
        model = await opened.enter_async_context(running_model(ground.folder))
        slack = await opened.enter_async_context(running_slack(limits=False))
        bot = running_bot(slack, model, ground.folder / "bot")
        await opened.enter_async_context(bot)
        bare = await opened.enter_async_context(running_bare(model, ground.folder / "bare"))
        thread = await slack.ask("quick")
        await slack.ended(thread)
        await bare.ask(do="open", sessions=[_SESSION])
        await bare.ask(do="ask", session=_SESSION, prompt=f"quick {slack.new_mark()}")
        return [
            await _first_text(ground.part(0.4), slack, thread, bare),
            await _whole_answer(ground, slack, thread, bare),
        ]


async def _first_text(ground: Ground, slack: SlackSide, thread: Sent, bare: Program) -> Row:
    each = ground.sized("answers a round (first text)", 4, least=3, tiny=1)

    async def ours() -> float:
        return await _median(each, lambda: _ours(slack, "quick", thread, slack.first_text))

    async def theirs() -> float:
        return await _median(each, lambda: _theirs(bare, slack, "quick", "first"))

    return Row(
        name="First text",
        measured="a mention is sent → its first text is seen in the thread",
        against="the SDK alone: `send` → first piece",
        unit="ms",
        rounds=await ground.rounds("first text", ground.pick(9, 1), ours, theirs),
        goal=Goal(most_more=MOST_MORE_MS),
        note="The difference counts, because it is what the bot adds. The session is live, and the "
        "model's first piece comes 20 ms after the request. "
        f"Each round: the median of {each} answers a side. Slack's limits are lifted.",
    )


async def _whole_answer(ground: Ground, slack: SlackSide, thread: Sent, bare: Program) -> Row:
    async def ours() -> float:
        return await _ours(slack, "steady", thread, slack.whole_text)

    async def theirs() -> float:
        return await _theirs(bare, slack, "steady", "last")

    return Row(
        name="Whole answer",
        measured="a mention is sent → the last of 100 pieces is seen",
        against="the SDK alone: `send` → last piece",
        unit="ms",
        rounds=await ground.rounds("whole answer", ground.pick(5, 1), ours, theirs),
        goal=Goal(most=1.02),
        note="The model sends 50 pieces a second; the end of the stream brings those that are not "
        "shown yet. Slack's limits are lifted.",
    )


async def _median(count: int, measure: Callable[[], Awaitable[float]]) -> float:
    return median([await measure() for _ in range(count)])


async def _ours(
    slack: SlackSide, way: str, thread: Sent, seen: Callable[[Sent], Awaitable[float]]
) -> float:
    """Milliseconds from a question to the given part of its answer."""
    sent = await slack.ask(way, root_ts=thread.root_ts)
    seconds, _ = await asyncio.gather(seen(sent), slack.ended(sent))
    return 1_000 * seconds


async def _theirs(bare: Program, slack: SlackSide, way: str, until: str) -> float:
    answer = await bare.ask(do="ask", session=_SESSION, prompt=f"{way} {slack.new_mark()}")
    return 1_000 * float(str(answer[until]))
