"""Short scripts of users' actions, one for each way in which the bot posts an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.chaos.crash_fixtures import HALF, CrashFixture, talk
from tests.chaos.crashing_bot import CrashingBot
from tests.emulator_client import DEV, GENERAL

Script = Callable[[CrashFixture, CrashingBot], Awaitable[None]]
"""Plays until all is settled, or the bot is dead."""

_ALL_BUT_THE_LAST = 60


async def one_person(fixture: CrashFixture, bot: CrashingBot) -> None:
    """Alice asks again while her first answer streams; Slack delivers her messages repeatedly."""
    await fixture.slack.fault("events", "duplicate", times=3)
    talk(fixture.model, hold_after=HALF)
    first = await fixture.ask("alice", GENERAL, "first")
    await fixture.until_half_shown_or_dead(bot, first)
    if fixture.row_of(first) is not None:
        await fixture.ask("alice", GENERAL, "second", first.root, mention=False)
    talk(fixture.model)
    await fixture.wait_until_done_or_dead(bot)


async def two_people(fixture: CrashFixture, bot: CrashingBot) -> None:
    """In a thread of two users the answers come by edits."""
    root = await fixture.slack.say("bob", DEV, "shall we ask?")
    await fixture.slack.say("alice", DEV, "yes", thread_ts=root)
    await fixture.until(
        lambda: fixture.received_messages > 0 or not bot.alive, "they are overheard"
    )
    talk(fixture.model, hold_after=HALF)
    first = await fixture.ask("alice", DEV, "first", root)
    await fixture.until_half_shown_or_dead(bot, first)
    await fixture.ask("bob", DEV, "second", root)
    talk(fixture.model)
    await fixture.wait_until_done_or_dead(bot)


async def a_long_answer(fixture: CrashFixture, bot: CrashingBot) -> None:
    """An answer takes several messages; the model holds before the end of the last one."""
    talk(fixture.model, hold_after=_ALL_BUT_THE_LAST)
    story = await fixture.ask("alice", GENERAL, "a long story")

    async def goes_on() -> bool:
        return not bot.alive or (
            len(await fixture.slack.bot_messages(GENERAL, story.root)) > 1
            and fixture.model.holds > 0
        )

    await fixture.slack.wait_for(goes_on, 45.0, "the answer goes on in a second message")
    talk(fixture.model)
    await fixture.wait_until_done_or_dead(bot)


async def a_command(fixture: CrashFixture, bot: CrashingBot) -> None:
    """Alice asks by slash command: the bot posts her question in the channel."""
    talk(fixture.model)
    await fixture.command(bot, "alice", GENERAL, "what is a command?")
    await fixture.wait_until_done_or_dead(bot)
