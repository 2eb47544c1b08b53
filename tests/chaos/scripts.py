"""What people do while a bot dies under them: short scripts, each for one way of answering."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.chaos.crash_fixtures import HALF, CrashFixture, talk
from tests.chaos.crashing_bot import CrashingBot
from tests.emulator_client import DEV, GENERAL

Script = Callable[[CrashFixture, CrashingBot], Awaitable[None]]
"""Plays until all is settled, or the bot is dead."""

_ALL_BUT_THE_LAST = 60


async def one_person(place: CrashFixture, bot: CrashingBot) -> None:
    """Alice asks, and while she sees the answer come as a stream she asks on; each of her messages
    is delivered more than once."""
    await place.slack.fault("events", "duplicate", times=3)
    talk(place.model, hold_after=HALF)
    first = await place.ask("alice", GENERAL, "first")
    await place.until_half_shown_or_dead(bot, first)
    if place.row_of(first) is not None:
        await place.ask("alice", GENERAL, "second", first.root, mention=False)
    talk(place.model)
    await place.wait_until_done_or_dead(bot)


async def two_people(place: CrashFixture, bot: CrashingBot) -> None:
    """In a thread of two people the answers come by edits."""
    root = await place.slack.say("bob", DEV, "shall we ask?")
    await place.slack.say("alice", DEV, "yes", thread_ts=root)
    await place.until(lambda: place.received_messages > 0 or not bot.alive, "they are overheard")
    talk(place.model, hold_after=HALF)
    first = await place.ask("alice", DEV, "first", root)
    await place.until_half_shown_or_dead(bot, first)
    await place.ask("bob", DEV, "second", root)
    talk(place.model)
    await place.wait_until_done_or_dead(bot)


async def a_long_answer(place: CrashFixture, bot: CrashingBot) -> None:
    """An answer that takes several messages; the model holds before the end of the last."""
    talk(place.model, hold_after=_ALL_BUT_THE_LAST)
    story = await place.ask("alice", GENERAL, "a long story")

    async def goes_on() -> bool:
        return not bot.alive or (
            len(await place.slack.bot_messages(GENERAL, story.root)) > 1 and place.model.holds > 0
        )

    await place.slack.wait_for(goes_on, 45.0, "the answer goes on in a second message")
    talk(place.model)
    await place.wait_until_done_or_dead(bot)


async def a_command(place: CrashFixture, bot: CrashingBot) -> None:
    """Alice asks by command: the bot puts her question into the channel."""
    talk(place.model)
    await place.command(bot, "alice", GENERAL, "what is a command?")
    await place.wait_until_done_or_dead(bot)
