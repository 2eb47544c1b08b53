"""The workspace's calls never exceed Slack's rate limits, and threads share them fairly."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import pytest
from slack_sdk.web.async_client import AsyncWebClient

import bot.slack
from bot.slack.api import rate_limiter as budget
from bot.slack.api.rate_limiter import (
    ARRIVAL_JITTER_SECONDS,
    MAX_RETRY_AFTER_SECONDS,
    RATE_LIMITS,
    Priority,
    RateLimiter,
    RateRequest,
)
from slack_emulator.rate_limits import PER_MINUTE, SPECIAL
from tests.fakes import ManualClock

EDIT, POST, STOP = "chat.update", "chat.postMessage", "chat.stopStream"
MINUTE = 60.0 + ARRIVAL_JITTER_SECONDS
"""After that a token is back."""


def a_call(
    thread: str, priority: Priority = Priority.NORMAL, method: str = EDIT, channel: str = "C1"
) -> RateRequest:
    return RateRequest(method=method, channel=channel, thread=thread, priority=priority)


async def exhausted(limiter: RateLimiter, method: str = EDIT, channel: str = "C1") -> None:
    """Take every token that is available now."""
    for _ in range(RATE_LIMITS[method].calls):
        assert await limiter.acquire(a_call("used up", method=method, channel=channel), 0.0) == 0.0


async def test_where_slack_takes_more_there_are_more_tokens() -> None:
    budget = RateLimiter(ManualClock(), rate_multiplier=3)
    for _ in range(3):
        await exhausted(budget)
    assert await budget.acquire(a_call("one more"), 0.0) > 0


class Queue:
    """Waiting calls, in the order in which they are made."""

    def __init__(self, clock: ManualClock, budget: RateLimiter) -> None:
        self._clock = clock
        self._budget = budget
        self.made: list[str] = []
        self.at: list[float] = []
        self.refused: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def add(
        self, claim: RateRequest, name: str = "", within: float = 600.0
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(self._take(claim, name or claim.thread, within))
        self._tasks.append(task)
        await self._clock.advance(0)
        return task

    async def _take(self, claim: RateRequest, name: str, within: float) -> None:
        if await self._budget.acquire(claim, self._clock.monotonic() + within):
            self.refused.append(name)
        else:
            self.made.append(name)
            self.at.append(self._clock.monotonic())

    async def until_over(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            await self._clock.advance(0.5)
        assert all(task.done() for task in self._tasks)


@pytest.mark.parametrize(
    "method", sorted({rule: name for name, rule in RATE_LIMITS.items()}.values())
)
@pytest.mark.parametrize("urgency", list(Priority))
async def test_no_minute_has_more_calls_of_a_method_than_slack_allows(
    method: str, urgency: Priority
) -> None:
    clock, rule = ManualClock(), RATE_LIMITS[method]
    budget, at = RateLimiter(clock), list[float]()
    for _ in range(90):
        for number in range(rule.calls // 7):
            claim = a_call(f"thread {number}", urgency, method)
            if await budget.acquire(claim, clock.monotonic()) == 0.0:
                at.append(clock.monotonic())
        await clock.advance(rule.seconds / 30)
    rounding = 1e-6
    busiest = max(
        sum(start <= each < start + rule.seconds - rounding for each in at) for start in at
    )
    assert busiest == (rule.optional_calls if urgency is Priority.OPTIONAL else rule.calls)
    assert len(at) == 3 * busiest


async def test_a_call_waits_for_nothing_while_there_are_tokens() -> None:
    clock = ManualClock()
    await exhausted(RateLimiter(clock))
    assert clock.sleeping == 0


async def test_what_ends_an_answer_goes_before_what_was_there_earlier() -> None:
    clock = ManualClock()
    budget = RateLimiter(clock)
    queue = Queue(clock, budget)
    await exhausted(budget)
    for name in ("a", "b"):
        await queue.add(a_call(name))
    await queue.add(a_call("the end", Priority.HIGH))
    await queue.until_over(70)
    assert queue.made == ["the end", "a", "b"]
    assert queue.at == [MINUTE, MINUTE, MINUTE]


async def test_a_call_that_comes_late_is_still_one_of_its_minute() -> None:
    """Slack counts calls when they arrive, and one may travel longer than another."""
    clock = ManualClock()
    budget = RateLimiter(clock)
    await exhausted(budget)
    await clock.advance(60.0)
    assert await budget.acquire(a_call("one more"), 0.0) > 0


async def test_what_lasts_for_the_minute_is_known() -> None:
    clock = ManualClock()
    budget, rule = RateLimiter(clock), RATE_LIMITS[EDIT]
    assert budget.optional_tokens(EDIT) == rule.optional_calls
    assert budget.sustainable_interval(EDIT, 0) == pytest.approx(MINUTE / rule.optional_calls)
    assert budget.sustainable_interval(EDIT, rule.optional_calls // 2) == pytest.approx(
        2 * MINUTE / rule.optional_calls
    )
    assert budget.sustainable_interval(EDIT, rule.optional_calls) == MINUTE, "there is none to last"
    await exhausted(budget)
    assert budget.optional_tokens(EDIT) == 0
    await clock.advance(MINUTE - 6.0)
    more = (
        rule.calls - rule.optional_calls
    )  # so many more have to come back before one can be spared
    assert more == 2
    assert budget.sustainable_interval(EDIT, 0) == pytest.approx(6.0)


@pytest.mark.parametrize("used", [0, 10, 40, 48, 50])
@pytest.mark.parametrize("kept", [0, 5, 47])
async def test_at_the_pace_that_lasts_there_is_always_a_token(used: int, kept: int) -> None:
    clock = ManualClock()
    budget = RateLimiter(clock)
    for _ in range(used):
        await budget.acquire(a_call("earlier"), 0.0)
        await clock.advance(0.3)
    for _ in range(200):
        await clock.advance(budget.sustainable_interval(EDIT, kept))
        assert budget.optional_tokens(EDIT) > kept
        assert await budget.acquire(a_call("steady", Priority.OPTIONAL), 0.0) == 0.0


async def test_a_thread_with_a_lot_to_say_does_not_keep_the_others_waiting() -> None:
    clock = ManualClock()
    budget = RateLimiter(clock)
    queue = Queue(clock, budget)
    await exhausted(budget, POST)
    for number in range(30):
        await queue.add(a_call("talker", method=POST), f"talker {number}")
    for name in ("shy", "quiet"):
        await queue.add(a_call(name, method=POST))
    await queue.until_over(60)
    assert set(queue.made[:3]) == {"talker 0", "shy", "quiet"}
    assert [name for name in queue.made if "talker" in name] == [f"talker {n}" for n in range(30)]


async def test_what_can_be_left_out_leaves_room_for_what_cannot() -> None:
    clock = ManualClock()
    budget = RateLimiter(clock)
    for number in range(200):
        await budget.acquire(a_call(f"thread {number}", Priority.OPTIONAL), 600.0)
    assert clock.sleeping == 0, "nothing of it waits"
    assert await budget.acquire(a_call("the end", Priority.HIGH), 0.0) == 0.0
    queue = Queue(clock, budget)
    await exhausted(budget, STOP)
    waiting = await queue.add(a_call("the end", Priority.HIGH, STOP))
    await clock.advance(MINUTE - 0.1)
    assert not waiting.done()
    assert await budget.acquire(a_call("thread", Priority.OPTIONAL, STOP), 600.0) > 0
    await clock.advance(0.1)
    assert waiting.done()
    assert queue.made == ["the end"]


async def test_too_many_says_slack_to_one_and_all_of_them_wait() -> None:
    clock = ManualClock()
    budget = RateLimiter(clock)
    queue = Queue(clock, budget)
    budget.block(a_call("unlucky", method=POST), 7.0)
    await queue.add(a_call("another", method=POST))
    assert await budget.acquire(a_call("hasty", method=POST), clock.monotonic() + 5.0) == 7.0
    assert await budget.acquire(a_call("elsewhere", method=POST, channel="C2"), 0.0) == 0.0
    assert await budget.acquire(a_call("another method"), 0.0) == 0.0
    await clock.advance(6.9)
    assert queue.made == []
    await clock.advance(0.1)
    assert queue.made == ["another"]


async def test_a_wait_has_an_end_whatever_slack_says() -> None:
    clock = ManualClock()
    budget = RateLimiter(clock)
    budget.block(a_call("unlucky"), 86_400.0)
    queue = Queue(clock, budget)
    late = await queue.add(a_call("patient"), within=MAX_RETRY_AFTER_SECONDS + 1)
    await clock.advance(MAX_RETRY_AFTER_SECONDS)
    assert late.done()
    assert queue.made == ["patient"]


async def test_a_line_in_which_no_turn_comes_in_time_is_left() -> None:
    clock = ManualClock()
    budget = RateLimiter(clock)
    queue = Queue(clock, budget)
    await exhausted(budget, POST)
    for number in range(12):
        await queue.add(a_call(f"thread {number}", Priority.HIGH, POST))
    await queue.add(a_call("late", method=POST), within=15.0)
    await queue.until_over(60)
    assert queue.refused == ["late"]
    assert len(queue.made) == 12


async def test_a_call_that_is_cancelled_makes_room_for_the_next() -> None:
    clock = ManualClock()
    budget = RateLimiter(clock)
    queue = Queue(clock, budget)
    await exhausted(budget)
    first = await queue.add(a_call("a"))
    await queue.add(a_call("b"))
    first.cancel()
    await clock.advance(MINUTE)
    assert queue.made == ["b"]
    assert clock.sleeping == 0


async def test_the_line_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_WAITING_CALLS", 3)
    clock = ManualClock()
    shared = RateLimiter(clock)
    queue = Queue(clock, shared)
    await exhausted(shared)
    for number in range(5):
        await queue.add(a_call(f"thread {number}"))
    assert queue.refused == ["thread 3", "thread 4"]
    await queue.until_over(61)
    assert len(queue.made) == 3


async def test_channels_that_are_quiet_again_take_no_memory() -> None:
    clock = ManualClock()
    shared = RateLimiter(clock)
    for number in range(5_000):
        await shared.acquire(a_call("thread", method=POST, channel=f"C{number}"), 0.0)
        await clock.advance(0.02)
    assert shared.bucket_count < 2_000


def test_the_emulator_takes_as_much_of_every_method_as_the_bot_expects() -> None:
    """Otherwise the emulator would not show what happens at Slack's limits."""
    expected = {method: rule.calls * 60.0 / rule.seconds for method, rule in RATE_LIMITS.items()}
    assert {method: PER_MINUTE.get(method, SPECIAL) for method in RATE_LIMITS} == expected


def test_every_method_that_the_bot_calls_has_its_tier() -> None:
    """Each call through a client's `calls` is named in the source as `web.<method>`. No other call
    is made, except for the identity before there is a bot."""
    known = {name for name in dir(AsyncWebClient) if not name.startswith("_")}
    called: set[str] = set()
    bare: set[str] = set()
    for file in Path(bot.slack.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in known and "_" in node.attr:
                called.add(node.attr)
            if isinstance(node, ast.Name) and node.id == "call_once":
                bare.add(file.stem)
    names = {name.replace("_", ".") for name in called}
    assert names - {"api.call", "apps.connections.open"} == set(RATE_LIMITS)
    assert bare == {"calls", "checks", "identity", "socket_client"}
