"""Two lines to Slack: while one of them breaks, or is renewed, the other one hears."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bot.tasks import Background
from tests.conformance.http_client import ALICE, GENERAL, Outside, eventually, sandbox_from_outside
from tests.fakes import ForwardClock
from tests.integration.slack.gateway_fixtures import (
    OFTEN,
    Hearing,
    hearing,
    lines,
    socket_door,
    until_lines,
)
from tests.integration.slack.receiver import Ears, intake_for

TICKET = "apps.connections.open"
OF_OTHERS = "another program listens"


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with sandbox_from_outside() as outside:
        yield outside


@pytest.fixture
async def bot(outside: Outside) -> AsyncIterator[Hearing]:
    async with hearing(outside, ping_seconds=OFTEN) as bot:
        await until_lines(outside, 2)
        yield bot


async def trouble(outside: Outside, kind: str, **more: object) -> None:
    await outside.control("faults", {"socket": kind, **more})


async def says(bot: Hearing, *texts: str) -> None:
    for text in texts:
        await bot.outside.say(ALICE, GENERAL, f"@threadpilot {text}")


async def hears(bot: Hearing, *texts: str) -> None:
    """Wait until exactly these were heard, each once."""
    await bot.ears.until(lambda ears: len(ears.messages) >= len(texts), seconds=20)
    assert sorted(one.text for one in bot.ears.messages) == sorted(texts)


async def test_two_lines_that_are_all_our_own_are_no_other_program(
    bot: Hearing, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor when they have just been replaced, and Slack may still count the old ones."""
    for kind in ("drop", "half-open", "disconnect"):
        before = len(await bot.outside.calls(TICKET))
        await trouble(bot.outside, kind)

        async def replaced(before: int = before) -> bool:
            asked = len(await bot.outside.calls(TICKET))
            return asked >= before + 2 and await lines(bot.outside) == 2

        await eventually(replaced, f"both lines are new after {kind}", patience=30)
    assert OF_OTHERS not in caplog.text


async def test_the_bot_hears_though_the_second_line_has_to_wait(outside: Outside) -> None:
    """Slack gives few tickets a minute; the start waits for one line only."""
    for _ in range(9):
        await outside.do(TICKET, "xapp-sandbox")
    clock = ForwardClock()
    async with hearing(outside, clock=clock) as bot:
        await says(bot, "one line is enough")
        await hears(bot, "one line is enough")
        assert await lines(outside) == 1

        async def refused() -> bool:
            return any(call["status"] == 429 for call in await outside.calls(TICKET))

        await eventually(refused, "Slack has no second ticket yet")
        await outside.advance(60)

        async def both() -> bool:
            clock.forward(30)
            return await lines(outside) == 2

        await eventually(both, "the second line is up", patience=30)


@pytest.mark.parametrize("kind", ["drop", "disconnect"])
async def test_what_is_said_while_one_line_goes_is_heard_by_the_other(
    bot: Hearing, kind: str
) -> None:
    await trouble(bot.outside, kind, lines=1)
    texts = [f"number {n}" for n in range(6)]
    await says(bot, *texts)
    await hears(bot, *texts)
    await until_lines(bot.outside, 2)


async def test_what_goes_into_a_line_that_is_half_open_is_brought_again_by_the_other(
    bot: Hearing,
) -> None:
    await trouble(bot.outside, "half-open", lines=1)
    await says(bot, "one", "two", "three")
    await bot.outside.advance(4)  # Slack waits 3 s for what is acknowledged
    await hears(bot, "one", "two", "three")


async def test_both_lines_are_never_renewed_at_once(bot: Hearing) -> None:
    """Slack warns of both at the same moment: one stays until the other one is back, though that
    takes a few tries, and what is said meanwhile comes without being brought again."""
    before = len(await bot.outside.calls(TICKET))
    await trouble(bot.outside, "refuse", times=2)
    await trouble(bot.outside, "disconnect")
    texts, open_lines = [], []
    for number in range(20):
        texts.append(f"number {number}")
        await says(bot, texts[-1])
        open_lines.append(await lines(bot.outside))
    await hears(bot, *texts)

    async def renewed() -> bool:
        open_lines.append(await lines(bot.outside))
        return len(await bot.outside.calls(TICKET)) >= before + 4 and open_lines[-1] == 2

    await eventually(renewed, "both lines are new", patience=30)
    assert min(open_lines) >= 1


async def test_both_lines_come_back_after_tickets_that_were_dead(bot: Hearing) -> None:
    before = len(await bot.outside.calls(TICKET))
    await trouble(bot.outside, "dead-ticket", times=3)
    await trouble(bot.outside, "drop")
    await until_lines(bot.outside, 2)
    assert len(await bot.outside.calls(TICKET)) >= before + 5
    await says(bot, "back again")
    await hears(bot, "back again")


async def test_a_slack_that_refuses_every_line_is_not_stormed(bot: Hearing) -> None:
    """And is connected to again when it lets the bot in."""
    before = len(await bot.outside.calls(TICKET))
    await trouble(bot.outside, "refuse", times=10_000)
    await trouble(bot.outside, "drop")
    await until_lines(bot.outside, 0)

    async def five_more() -> bool:
        return len(await bot.outside.calls(TICKET)) >= before + 5

    await eventually(five_more, "five tickets have been asked for", patience=30)
    # The pauses are 0.2, 0.4 and 0.8 s where the lines are tried every 0.2 s.
    times = [call["time"] for call in (await bot.outside.calls(TICKET))[before:]]
    assert times[4] - times[0] > 1.3
    async with bot.outside.http.delete(f"{bot.outside.url}/sandbox/faults") as cleared:
        assert cleared.status == 200
    await until_lines(bot.outside, 2)
    await says(bot, "let in")
    await hears(bot, "let in")


@asynccontextmanager
async def told_of_gaps(outside: Outside) -> AsyncIterator[list[bool]]:
    """What the door tells of hearing and not hearing, with both lines up."""
    told: list[bool] = []
    door = replace(socket_door(outside), ping_seconds=1.0)
    background = Background()
    async with door.open(intake_for(Ears(), background), told.append):
        await until_lines(outside, 2)
        yield told
    await background.close()


async def until_new(outside: Outside, caplog: pytest.LogCaptureFixture, count: int) -> None:
    """Wait until so many lines have been opened in all, and two of them stand."""

    async def so() -> bool:
        return caplog.text.count("A new session") >= count and await lines(outside) == 2

    await eventually(so, f"{count} lines have been opened", patience=20)


async def test_lines_that_break_one_after_the_other_may_both_have_been_deaf(
    outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection that went dead without a word is noticed at each line's own time: one may be
    back while the other only seems to stand. What was said meanwhile was heard by nobody."""
    async with told_of_gaps(outside) as told:
        for count in (3, 4):
            assert told == [True]
            await trouble(outside, "half-open", lines=1)
            await until_new(outside, caplog, count)

        async def looked() -> bool:
            return told == [True, True]

        await eventually(looked, "there may have been a gap", patience=10)


async def test_lines_that_slack_renews_leave_no_gap(
    outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    async with told_of_gaps(outside) as told:
        for count in (3, 4):
            await trouble(outside, "disconnect", lines=1)
            await until_new(outside, caplog, count)
    assert told == [True]
