"""Indicators are removed in time, under Slack's own limits and over faults and crashes.

No answered message stays marked as queued for long, and no thread shows work without a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from slack_emulator.server import RunningEmulator
from tests.chaos import fast_clock
from tests.chaos.database_reader import DatabaseReader
from tests.chaos.supervised_command import SupervisedCommand
from tests.emulator_client import DEV, GENERAL, Refusal
from tests.fakes import OffsetClock
from tests.scenarios.conftest import Bots, ScenarioClient, environment
from tests.scripted_model import Answer, ScriptedModel

STATUS = "agents.sessions.setStatus"
LONG_TIMEOUT_SETTINGS = {"SILENCE_SECONDS": "3600", "TURN_SECONDS": "36000"}
MessageLocation = tuple[str, str]


async def indicators_left(slack: ScenarioClient, places: Sequence[MessageLocation]) -> list[str]:
    """The indicators left in threads that have been answered."""
    found = []
    for channel, ts in places:
        found += [f"{ts} is marked" for _ in await slack.reactions(channel, ts)]
        if await works(slack, channel, ts):
            found.append(f"{ts} shows work")
    return found


async def works(slack: ScenarioClient, channel: str, ts: str) -> bool:
    """True if there is a Stop button. The function presses it: no turn may still run."""
    try:
        await slack.stop("alice", channel, ts)
    except Refusal as refused:
        return refused.code != "session_not_processing"
    return True


async def wait_until_reactions_cleared(
    slack: ScenarioClient, places: Sequence[MessageLocation], timeout: float
) -> None:
    async def gone() -> bool:
        return not [ts for channel, ts in places if await slack.reactions(channel, ts)]

    await slack.wait_for(gone, timeout, "no answered message is marked as waiting")


@asynccontextmanager
async def time_passing(
    slack: ScenarioClient, clock: OffsetClock, seconds: float
) -> AsyncIterator[None]:
    """A second counts as many, for the bot and for Slack."""

    async def pass_on() -> None:
        while True:
            await asyncio.sleep(0.1)
            clock.move_forward(seconds / 10)
            await slack.advance(seconds / 10)

    passing = asyncio.create_task(pass_on())
    try:
        yield
    finally:
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)


async def test_many_answers_at_once_leave_no_mark_and_no_status(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """More messages are queued than marks can be removed in two minutes. More are answered than
    statuses can be set and cleared in one."""
    many = {"MAX_TURNS": "60", "MAX_TURNS_PER_USER": "60", "MAX_SESSIONS": "60"}
    bots.env |= LONG_TIMEOUT_SETTINGS | many
    model.default = Answer(chunks=["An ", "answer."], chunk_delay=0.2)
    clock = OffsetClock()
    await bots.start(clock)
    bots.bot.inbox.pause_turns()
    places: list[MessageLocation] = []
    for number in range(45):
        channel = (GENERAL, DEV)[number % 2]
        places.append((channel, await slack.say("bob", channel, f"@threadpilot ask {number}")))

    async def marked() -> bool:
        seen = [await slack.reactions(channel, ts) for channel, ts in places]
        return all(seen)

    await slack.wait_for(marked, 60.0, "all that wait are marked")
    bots.bot.inbox.resume_turns()
    async with time_passing(slack, clock, 10.0):
        for channel, ts in places:
            await slack.wait_until_answered(channel, ts, person="bob", timeout=60.0)
        await slack.until_idle(bots.bot)
        await wait_until_reactions_cleared(slack, places, 60.0)
    assert await indicators_left(slack, places) == []
    refused = {call["method"] for call in await slack.calls() if call["status"] == 429}
    assert not refused & {STATUS, "reactions.add", "reactions.remove"}


async def test_no_indicator_is_left_after_slack_failed_for_minutes(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    bots.env |= LONG_TIMEOUT_SETTINGS
    model.when("hold", Answer(chunks=["held ", "up"], hold_after=1))
    clock = OffsetClock()
    await bots.start(clock)
    await slack.say("bob", GENERAL, "Hello")
    ts = await slack.say("alice", GENERAL, "@threadpilot hold")
    await model.reached()
    await slack.say("bob", GENERAL, "I listen", thread_ts=ts)  # so it is no stream that ends
    waiting = await slack.say("alice", GENERAL, "@threadpilot and then?", thread_ts=ts)
    await slack.wait_until_reaction_set(GENERAL, waiting)
    await slack.wait_for(lambda: slack.calls(STATUS), why="the thread shows work")
    for method in (STATUS, "reactions.remove"):
        await slack.fault(method, "500", times=10_000)
    async with time_passing(slack, clock, 20.0):
        model.release()
        await slack.until_shown(GENERAL, ts, "You said: and then?", timeout=60.0)
        await slack.until_idle(bots.bot)
        clock.move_forward(300)
        assert await slack.reactions(GENERAL, waiting)
        await slack.clear_faults()
        await wait_until_reactions_cleared(slack, [(GENERAL, waiting)], 60.0)
        await wait_until_no_indicator_recorded(bots.env["DATA_DIR"])
    assert await indicators_left(slack, [(GENERAL, ts)]) == []


async def wait_until_no_indicator_recorded(data_dir: str) -> None:
    """Wait until no indicator is recorded as still to be removed."""
    records = DatabaseReader(Path(data_dir))
    async with asyncio.timeout(60):
        while records.indicators_left():  # noqa: ASYNC110 # another process may take it back
            await asyncio.sleep(0.1)


async def test_no_indicator_is_left_by_a_bot_that_is_killed_repeatedly(
    emulator: RunningEmulator, slack: ScenarioClient, model: ScriptedModel, tmp_path: Path
) -> None:
    """While a thread shows work, a message is marked, and Slack refuses to remove either."""
    model.when("hold", Answer(chunks=["held ", "up"], hold_after=1, times=1))
    await slack.app(limits=False)  # the bot keeps to them by a faster clock
    env = environment(emulator, model, tmp_path / "data") | LONG_TIMEOUT_SETTINGS
    bot = SupervisedCommand(env, tmp_path / "bot.log", fast_clock.main)
    async with bot.kept_running():
        await bot.up()
        ts = await slack.say("alice", GENERAL, "@threadpilot hold")
        await model.reached()
        await slack.wait_for(lambda: slack.calls(STATUS), why="the thread shows work")
        waiting = await slack.say("alice", GENERAL, "and then?", thread_ts=ts)
        await slack.wait_until_reaction_set(GENERAL, waiting)
        for method in (STATUS, "reactions.remove"):
            await slack.fault(method, "drop_before", times=10_000)
        for _ in range(2):
            await killed(bot)
            model.release()
        await slack.until_shown(GENERAL, ts, "You said: and then?", timeout=60.0)
        assert await slack.reactions(GENERAL, waiting)
        await killed(bot)
        await slack.clear_faults()
        await wait_until_reactions_cleared(slack, [(GENERAL, waiting)], 60.0)
        await wait_until_no_indicator_recorded(env["DATA_DIR"])
        assert await indicators_left(slack, [(GENERAL, ts)]) == []


async def killed(bot: SupervisedCommand) -> None:
    """Kill the bot; the next one has started."""
    before = bot.starts
    bot.kill()
    async with asyncio.timeout(60):
        while bot.starts == before:  # noqa: ASYNC110 # what is waited for has no event to it
            await asyncio.sleep(0.05)
    await bot.up()
