"""Measures from the start of the process to the first text of an answer, against the bare SDK.

The message is written when the bot is connected to Slack; the bare SDK is asked when its runtime
has started.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from bench.comparison import Goal, Row
from bench.ground import Ground
from bench.programs import running_bare, running_bot, running_model
from bench.slack_side import SlackSide, running_slack

GOAL = Goal(most=1.15)


async def rows(ground: Ground) -> list[Row]:
    """One row: seconds to the first text."""
    ours, theirs = ground.folder / "ours", ground.folder / "theirs"
    async with running_model(ground.folder) as model, running_slack(limits=False) as slack:

        async def with_the_bot() -> float:
            return await _first_of_bot(slack, model, ours)

        async def with_the_sdk() -> float:
            return await _first_of_bare(model, theirs, slack.new_mark())

        if not ground.tiny:  # once, to load all files into the page cache
            await with_the_bot()
            await with_the_sdk()
        planned = ground.pick(5, 1)
        measured = await ground.rounds("start", planned, with_the_bot, with_the_sdk)
    return [
        Row(
            name="Start",
            measured="the process is started → the first text of its first answer is seen",
            against="the SDK alone: the process is started → first piece",
            unit="s",
            rounds=measured,
            goal=GOAL,
            note="The bot is asked as soon as it is connected to Slack, the SDK as soon as its "
            "runtime has started; in a new thread, a new session.",
        )
    ]


async def _first_of_bot(slack: SlackSide, model_url: str, folder: Path) -> float:
    began = time.perf_counter()
    async with running_bot(slack, model_url, folder):
        sent = await slack.ask("quick")
        first, _ = await asyncio.gather(slack.first_text(sent), slack.ended(sent))
        return sent.at + first - began


async def _first_of_bare(model_url: str, folder: Path, mark: str) -> float:
    began = time.perf_counter()
    async with running_bare(model_url, folder) as bare:
        await bare.ask(do="open", sessions=[mark])
        prompted = time.perf_counter()
        answer = await bare.ask(do="ask", session=mark, prompt=f"quick {mark}")
        return prompted - began + float(str(answer["first"]))
