"""How often replies write, and by which delivery, on a manual clock."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import pytest

from bot.domain.turns import Delivery
from bot.slack.api.rate_limiter import RATE_LIMITS, Priority, RateLimiter, RateRequest
from bot.slack.replies.pacer import (
    END_METHODS,
    MIN_INTERVAL_SECONDS,
    TARGET_INTERVAL_SECONDS,
    WRITE_METHODS,
    Pacer,
)
from tests.fakes import ManualClock

STREAM, EDITS = Delivery.STREAM, Delivery.EDITS
POLL_SECONDS = 0.1
MANY = pytest.mark.parametrize(
    ("wanted", "count"), [(STREAM, 3), (STREAM, 10), (STREAM, 25), (EDITS, 4), (EDITS, 10)]
)


@dataclass(eq=False)
class Written:
    """A reply that always has more text."""

    delivery: Delivery
    at: list[float] = field(default_factory=list)
    """When it wrote."""

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.at)]


class PacerFixture:
    """Replies that write as often as they may."""

    def __init__(self, times: int = 1) -> None:
        self.clock = ManualClock()
        self.budget = RateLimiter(self.clock, times)
        self.pace = Pacer(self.budget, self.clock)
        self.replies: list[Written] = []

    def begin(self, wanted: Delivery, count: int = 1) -> list[Written]:
        """Start some replies, each with the delivery that the pacer chooses."""
        begun = [Written(wanted) for _ in range(count)]
        for reply in begun:
            way = self.pace.begin_message(reply, wanted)
            assert way is not None
            reply.delivery = way
        self.replies += begun
        return begun

    async def write(self, seconds: float) -> None:
        """Let all of them write for some time."""
        tasks = [asyncio.create_task(self._write(reply)) for reply in self.replies]
        for _ in range(int(seconds / POLL_SECONDS)):
            await self.clock.advance(POLL_SECONDS)
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in done), done

    async def _write(self, reply: Written) -> None:
        while True:
            if wait := self.pace.reserve_write(reply):
                await self.clock.sleep(wait)
                continue
            claim = RateRequest(method=WRITE_METHODS[reply.delivery], priority=Priority.OPTIONAL)
            assert await self.budget.acquire(claim, 0.0) == 0.0, "whose turn it is, may write"
            reply.at.append(self.clock.monotonic())
            await self.clock.sleep(self.pace.poll_interval(reply.delivery))

    async def exhaust(self, method: str, but: int = 0) -> None:
        while self.budget.optional_tokens(method) > but:
            claim = RateRequest(method=method, priority=Priority.OPTIONAL)
            assert await self.budget.acquire(claim, 0.0) == 0.0


async def test_a_few_answers_are_shown_at_an_even_pace() -> None:
    world = PacerFixture()
    (alone,) = world.begin(STREAM)
    await world.write(180)
    assert max(alone.gaps) == pytest.approx(min(alone.gaps), abs=2 * POLL_SECONDS)
    assert max(alone.gaps) < 0.75


@pytest.mark.parametrize(("wanted", "count"), [(STREAM, 2), (STREAM, 10), (EDITS, 3)])
async def test_what_many_answers_say_is_shown_every_two_seconds_at_first(
    wanted: Delivery, count: int
) -> None:
    world = PacerFixture()
    replies = world.begin(wanted, count)
    await world.write(20)
    assert all(len(reply.at) >= 10 for reply in replies)
    assert max(gap for reply in replies for gap in reply.gaps) < 2.0


@MANY
async def test_every_answer_keeps_growing_however_long_all_of_them_are(
    wanted: Delivery, count: int
) -> None:
    world = PacerFixture()
    replies = world.begin(wanted, count)
    await world.write(300)
    for way in Delivery:
        rule = RATE_LIMITS[WRITE_METHODS[way]]
        mine = [reply for reply in replies if reply.delivery is way]
        if not mine:
            continue
        spare = rule.optional_calls - (len(mine) if way is EDITS else 0)
        usual = rule.seconds / spare * len(mine)
        for reply in mine:
            assert max(reply.gaps) < 4 * max(usual, TARGET_INTERVAL_SECONDS), "the dearest time"
            late = [gap for at, gap in zip(reply.at[1:], reply.gaps, strict=True) if at > 200]
            assert max(late) < 1.5 * max(usual, TARGET_INTERVAL_SECONDS), (
                "in the long run it is even"
            )


@MANY
async def test_equal_replies_write_equally_often(wanted: Delivery, count: int) -> None:
    """Within one write over an answer, and a few over minutes."""
    world = PacerFixture()
    replies = world.begin(wanted, count)
    await world.write(240)
    for way, (seconds, apart) in itertools.product(Delivery, ((20, 1), (60, 2), (240, 4))):
        counts = [
            sum(at < seconds for at in reply.at) for reply in replies if reply.delivery is way
        ]
        assert max(counts, default=0) - min(counts, default=0) <= apart, (way, seconds, counts)


@pytest.mark.parametrize("wanted", list(Delivery))
async def test_no_minute_has_more_than_slack_takes_and_each_end_has_room(
    wanted: Delivery,
) -> None:
    world = PacerFixture()
    replies = world.begin(wanted, 18)
    for _ in range(30):
        await world.write(10)
        for way in Delivery:
            open_now = sum(reply.delivery is way for reply in replies)
            assert world.budget.optional_tokens(END_METHODS[way]) >= open_now
    for way in Delivery:
        at = sorted(at for reply in replies if reply.delivery is way for at in reply.at)
        busiest = max((sum(start <= each <= start + 60 for each in at) for start in at), default=0)
        assert busiest <= RATE_LIMITS[WRITE_METHODS[way]].calls


async def test_who_comes_later_writes_as_often_as_those_before() -> None:
    world = PacerFixture()
    early = world.begin(STREAM, 3)
    await world.write(60)
    late = world.begin(STREAM, 2)
    before = [len(reply.at) for reply in early]
    await world.write(60)
    counts = [len(reply.at) - had for reply, had in zip(early, before, strict=True)]
    assert max(counts) - min(len(reply.at) for reply in late) <= 2


async def test_where_streams_would_write_seldom_some_answers_come_by_edits() -> None:
    world = PacerFixture()
    ways = [reply.delivery for reply in world.begin(STREAM, 10)]
    assert ways[:5] == [STREAM] * 5
    assert ways.count(EDITS) == 3


async def test_an_answer_for_several_users_is_never_a_stream() -> None:
    assert {reply.delivery for reply in PacerFixture().begin(EDITS, 40)} == {EDITS}


async def test_nothing_is_begun_that_could_not_be_ended() -> None:
    world = PacerFixture()
    await world.exhaust(END_METHODS[EDITS], but=1)
    await world.exhaust(END_METHODS[STREAM], but=2)
    assert [reply.delivery for reply in world.begin(STREAM, 3)] == [STREAM, STREAM, EDITS]
    waiting = Written(STREAM)
    assert world.pace.begin_message(waiting, STREAM) is None
    assert world.pace.begin_message(waiting, EDITS) is None
    assert world.pace.reserve_write(waiting) == 0.0, "it may try again at any time"
    world.pace.unregister(world.replies[0])
    assert world.pace.begin_message(waiting, STREAM) is STREAM


async def test_edits_that_ends_need_are_not_spent_on_the_way() -> None:
    world = PacerFixture()
    world.begin(EDITS, 5)
    spares = []
    for left in (6, 5):
        await world.exhaust(WRITE_METHODS[EDITS], but=left)
        spares.append(world.pace.has_available_edits)
    assert spares == [True, False]
    await world.clock.advance(30)
    assert all(world.pace.reserve_write(reply) > 0 for reply in world.replies)


async def test_where_slack_takes_more_replies_write_more_often_but_not_all_the_time() -> None:
    double, plenty = PacerFixture(times=2), PacerFixture(times=1_000)
    for world, seconds in ((double, 0.34), (plenty, MIN_INTERVAL_SECONDS)):
        (reply,) = world.begin(STREAM)
        await world.write(5)
        assert max(reply.gaps) == pytest.approx(seconds, abs=2 * POLL_SECONDS)
