"""Many threads at once: how many answers a second come of a model that answers at once.

Each thread asks anew as soon as its answer has ended. Held against a loop around the SDK alone with
as many live sessions. Slack's own limits are lifted, for they would be all that is measured.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from bench.ground import Ground
from bench.measuring import Goal, Row, interleaved
from bench.programs import Program, running_bare, running_bot, running_model
from bench.slack_side import Sent, SlackSide, running_slack


async def rows(ground: Ground) -> list[Row]:
    """Turns a second in 20 and in 100 threads."""
    few, many = ground.pick((20, 100), (2, 3))
    return [
        await _row(ground, few, each=ground.pick(8, 1), rounds=ground.pick(5, 1)),
        await _row(ground, many, each=ground.pick(2, 1), rounds=ground.pick(3, 1)),
    ]


async def _row(ground: Ground, threads: int, *, each: int, rounds: int) -> Row:
    folder = ground.folder / str(threads)
    async with AsyncExitStack() as opened:
        model = await opened.enter_async_context(running_model(folder))
        slack = await opened.enter_async_context(running_slack(limits=False))
        as_many = {"MAX_TURNS": str(threads), "MAX_SESSIONS": str(threads)}
        bot = running_bot(slack, model, folder / "bot", **as_many)
        await opened.enter_async_context(bot)
        bare = await opened.enter_async_context(running_bare(model, folder / "bare"))
        asked = await asyncio.gather(*(_begun(slack) for _ in range(threads)))
        sessions = [f"s-{number}" for number in range(threads)]
        await bare.ask(do="open", sessions=sessions)
        await _theirs(slack, bare, sessions, 1)

        async def ours() -> float:
            return await _ours(slack, asked, each)

        async def theirs() -> float:
            return await _theirs(slack, bare, sessions, each)

        measured = await interleaved(rounds, ours, theirs)
    return Row(
        name=f"Turns a second, {threads} threads",
        measured=f"{threads} threads ask, {each} times each, as soon as they are answered",
        against=f"a loop around the SDK alone, {threads} live sessions",
        unit="turns/s",
        rounds=measured,
        goal=Goal(least=0.85),
        note="Every session is live, and all threads' turns run at once (MAX_TURNS). The bot "
        "shares its sessions between two runtimes, as it does unless told otherwise (RUNTIMES); "
        "the SDK has one. Slack and the people run on the same processors.",
    )


async def _begun(slack: SlackSide) -> Sent:
    """A thread with one answer."""
    sent = await slack.ask("instant")
    await slack.ended(sent)
    return sent


async def _ours(slack: SlackSide, threads: list[Sent], each: int) -> float:
    """Turns a second through the whole bot."""

    async def ask_on(thread: Sent) -> None:
        for _ in range(each):
            await slack.ended(await slack.ask("instant", root_ts=thread.root_ts, mention=False))

    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(ask_on(thread) for thread in threads))
    return len(threads) * each / (loop.time() - began)


async def _theirs(slack: SlackSide, bare: Program, sessions: list[str], each: int) -> float:
    """Turns a second with the SDK alone."""
    prompts = {name: [f"instant {slack.new_mark()}" for _ in range(each)] for name in sessions}
    answer = await bare.ask(do="loop", prompts=prompts)
    return len(sessions) * each / float(str(answer["seconds"]))
