"""Measures a message in a thread without a live session, against a resume by the bare SDK.

Both sides have as many sessions, each with one answer in it. Then both restart on the same folders,
and each session is asked once, which resumes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median

from bench.comparison import Goal, Round, Row, interleaved
from bench.ground import Ground
from bench.programs import Program, running_bare, running_bot, running_model
from bench.slack_side import SlackSide, running_slack

GOAL = Goal(most=1.1)


async def rows(ground: Ground) -> list[Row]:
    """One row: milliseconds to the first text."""
    rounds = ground.sized("rounds (resume)", 7, least=3, tiny=1, spare=1.5)
    each = ground.sized("sessions a round (resume)", 7, least=3, tiny=1, spare=1.5)
    count = 1 + rounds * each  # one for the warm-up; in all at most as many as the bot keeps live
    ours, theirs = ground.folder / "ours", ground.folder / "theirs"
    async with running_model(ground.folder) as model, running_slack(limits=False) as slack:
        async with running_bot(slack, model, ours):
            threads = [await _new_thread(slack) for _ in range(count)]
        sessions = [f"session-{number}" for number in range(count)]
        async with running_bare(model, theirs) as bare:
            await bare.ask(do="open", sessions=sessions)
            for session in sessions:
                await bare.ask(do="ask", session=session, prompt=f"quick {slack.new_mark()}")
        async with running_bot(slack, model, ours), running_bare(model, theirs) as bare:
            await _follow_up(slack, threads.pop())
            await _resume(bare, sessions.pop(), slack.new_mark())

            async def by_the_bot() -> float:
                return await _follow_up(slack, threads.pop())

            async def by_the_sdk() -> float:
                return await _resume(bare, sessions.pop(), slack.new_mark())

            async def once(_: int) -> tuple[Round, ...]:
                return await interleaved(each, by_the_bot, by_the_sdk)

            measured = await ground.repeated("resume", rounds, once)
    return [
        Row(
            name="Resume",
            measured="a message is sent in a thread whose session is not live → its first text is "
            "seen",
            against="the SDK alone: `resume_session`, `send` → first piece",
            unit="ms",
            rounds=tuple(map(_medians, measured)),
            goal=GOAL,
            note=f"After a restart. Each round: {each} sessions with one answer each, in turns. "
            "The model's first piece comes 20 ms after the request.",
        )
    ]


def _medians(pairs: Sequence[Round]) -> Round:
    """One round from many short ones in alternating order."""
    return Round(median(pair.ours for pair in pairs), median(pair.theirs for pair in pairs))


async def _new_thread(slack: SlackSide) -> str:
    """The root of a thread with one answer in it."""
    sent = await slack.ask("quick")
    await slack.ended(sent)
    return sent.root_ts


async def _follow_up(slack: SlackSide, root_ts: str) -> float:
    """Milliseconds to the first text of the thread's next answer; returns when it has ended."""
    sent = await slack.ask("quick", root_ts=root_ts, mention=False)
    first, _ = await asyncio.gather(slack.first_text(sent), slack.ended(sent))
    return 1_000 * first


async def _resume(bare: Program, session: str, mark: str) -> float:
    """Milliseconds to the first text of the session's next answer."""
    answer = await bare.ask(do="resume", session=session, prompt=f"quick {mark}")
    return 1_000 * float(str(answer["first"]))
