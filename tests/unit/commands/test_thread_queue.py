"""The place of an order in its thread: commands that change what the thread goes on with are done
in the order in which people wrote, and later questions wait for them, for a bounded time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.commands import texts
from bot.commands.dispatcher import Asked
from bot.commands.registry import VERBS, Timing
from bot.commands.thread_queue import CARRY_SECONDS, HOLD_SECONDS
from bot.domain.cards import Outcome, told
from bot.domain.commands import Form, Order
from bot.domain.messages import ThreadKey
from bot.turns.inbox import LOOK_SECONDS
from tests.contracts.messages import said, ts_at
from tests.unit.commands.command_fixtures import (
    ADA,
    ALICE,
    BOB,
    DEV,
    GENERAL,
    TEAM,
    World,
    orders_world,
    thread_at,
)
from tests.unit.turns.inbox_fixtures import until

HERE = thread_at(1)
_numbers = itertools.count()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with orders_world(tmp_path) as world:
        yield world


class Slow:
    """A handler of every verb that does not come to an end before it may."""

    def __init__(self, world: World) -> None:
        self.begun: list[str] = []
        self.may_end: dict[str, asyncio.Event] = {}
        world.handlers.update(dict.fromkeys(VERBS, self.do))

    async def do(self, asked: Asked) -> Outcome:
        self.begun.append(asked.order.key)
        await self.may_end.setdefault(asked.order.key, asyncio.Event()).wait()
        return told("done")

    def end(self, key: str) -> None:
        self.may_end.setdefault(key, asyncio.Event()).set()


@pytest.fixture
async def slow(world: World) -> Slow:
    await world.asked(1)
    return Slow(world)


def given(
    said_: str, key: str, second: float = 0, *, thread: ThreadKey | None = HERE, by: str = ALICE
) -> Order:
    """An order by a message said at a second; by a press where that is 0."""
    verb, _, words_ = said_.partition(" ")
    return Order(
        key=key,
        verb=verb,
        words=words_,
        by=by,
        form=Form.MESSAGE if second else Form.BUTTON,
        team=TEAM,
        channel=GENERAL,
        thread=thread,
        ts=ts_at(second) if second else "",
    )


async def begin(world: World, order: Order) -> asyncio.Task[Outcome]:
    assert await world.desk.take(order)
    return asyncio.create_task(world.desk.carry_out(order))


async def a_moment() -> None:
    """Let what can begin begin."""
    for _ in range(50):
        await asyncio.sleep(0.001)


async def waits(world: World) -> bool:
    """Whether a question that is written now in the thread has to wait."""
    second = 500 + next(_numbers)
    message = said(second, root=1)
    accepted = await world.store.accept(message)
    assert accepted.turn is not None
    turn = (await world.store.claim()).turn
    if turn is not None:
        await world.store.hand_back(turn)
    await world.store.withdraw(accepted.turn)
    return turn is None


def text_of(outcome: Outcome) -> str:
    assert outcome.card is not None
    return outcome.card.text


CHANGING = (
    *("reset", "rewind", "resume s1", "model gpt-5", "model high", "model gpt-5 for channel"),
    *("role review", "retry", "retry gpt-5", "compare gpt-5 claude-4.5 x", "keep A"),
    *("delete s1", "quiet", "join"),
)
SHOWING = (
    *("help", "sessions", "status", "history", "export", "usage", "stop", "stop queue", "model"),
    *("model channel", "role", "resume", "title", "title New", "ask what?", "fork"),
)


@pytest.mark.parametrize("said_", CHANGING)
async def test_later_questions_wait_for_what_changes_the_thread(
    world: World, slow: Slow, said_: str
) -> None:
    verb = said_.partition(" ")[0]
    form = Form.MESSAGE if Form.MESSAGE in VERBS[verb].forms else Form.BUTTON
    doing = await begin(world, replace(given(said_, "one", 2, by=ADA), form=form))
    await until(lambda: slow.begun == ["one"])
    assert await waits(world)
    slow.end("one")
    assert text_of(await doing) == "done"
    assert not await waits(world), "told or not: it goes on when the order is carried out"


@pytest.mark.parametrize("said_", SHOWING)
async def test_nothing_waits_for_what_only_shows_something(
    world: World, slow: Slow, said_: str
) -> None:
    doing = await begin(world, given(said_, "one", 2))
    await until(lambda: slow.begun == ["one"])
    assert not await waits(world)
    slow.end("one")
    await doing


def test_each_verb_has_its_place() -> None:
    """A new verb has to be thought about: what it changes, and who waits for it."""
    found = {timing: {n for n, verb in VERBS.items() if verb.timing is timing} for timing in Timing}
    within = {"reset", "resume", "rewind", "model", "role", "retry", "compare", "keep", "delete"}
    assert found[Timing.WITHIN] == within | {"quiet", "join"}
    assert found[Timing.BEHIND] == {"ask", "fork", "title"}


async def test_two_that_change_a_thread_are_carried_out_in_the_order_of_their_messages(
    world: World, slow: Slow
) -> None:
    first = given("model gpt-5", "first", 2)
    second = given("reset", "second", 3)
    assert await world.desk.take(first)
    assert await world.desk.take(second)
    doing = [asyncio.create_task(world.desk.carry_out(each)) for each in (second, first)]
    await until(lambda: slow.begun == ["first"])
    await a_moment()
    assert slow.begun == ["first"]
    slow.end("first")
    await until(lambda: slow.begun == ["first", "second"])
    assert await waits(world), "for the second"
    slow.end("second")
    await asyncio.gather(*doing)
    assert not await waits(world)


async def test_of_two_presses_at_one_moment_the_second_waits_for_the_first(
    world: World, slow: Slow
) -> None:
    one = await begin(world, given("rewind", "one"))
    other = await begin(world, given("rewind", "other"))
    await until(lambda: slow.begun == ["one"])
    await a_moment()
    assert slow.begun == ["one"]
    slow.end("one")
    await until(lambda: slow.begun == ["one", "other"])
    slow.end("other")
    await asyncio.gather(one, other)


async def test_what_goes_by_the_session_waits_for_what_changes_it_and_holds_up_nothing(
    world: World, slow: Slow
) -> None:
    first = await begin(world, given("reset", "first", 2))
    await until(lambda: slow.begun == ["first"])
    behind = [await begin(world, given(v, v, 3 + n)) for n, v in enumerate(("fork", "title X"))]
    at_once = await begin(world, given("stop", "stop", 6))
    await until(lambda: slow.begun == ["first", "stop"])
    await a_moment()
    assert slow.begun == ["first", "stop"]
    slow.end("first")
    await until(lambda: len(slow.begun) == 4)
    assert not await waits(world)
    for key in ("stop", "fork", "title X"):
        slow.end(key)
    await asyncio.gather(first, at_once, *behind)


async def test_threads_do_not_wait_for_each_other(world: World, slow: Slow) -> None:
    await world.asked(50)
    one = await begin(world, given("reset", "one", 2))
    other = await begin(world, given("reset", "other", 51, thread=thread_at(50)))
    await until(lambda: sorted(slow.begun) == ["one", "other"])
    for key in ("one", "other"):
        slow.end(key)
    await asyncio.gather(one, other)


async def test_a_command_that_names_a_session_holds_its_thread_from_when_it_came_in(
    world: World, slow: Slow
) -> None:
    order = replace(given("reset s1", "command", thread=None), form=Form.COMMAND, channel=DEV)
    doing = await begin(world, order)
    await until(lambda: slow.begun == ["command"])
    later = said(world.clock.now() + 1 - float(ts_at(0)), root=1)
    earlier = said(400, root=1)
    assert (await world.store.accept(later)).turn is not None
    assert (await world.store.claim()).turn is None
    assert (await world.store.accept(earlier)).turn is not None
    turn = (await world.store.claim()).turn
    assert turn is not None
    assert turn.message == earlier
    slow.end("command")
    await doing


async def test_an_order_that_hangs_is_given_up_and_what_waits_goes_on(
    world: World, slow: Slow
) -> None:
    doing = await begin(world, given("reset", "hangs", 2))
    await until(lambda: slow.begun == ["hangs"])
    await world.clock.advance(CARRY_SECONDS - 1)
    assert await waits(world)
    await world.clock.advance(2)
    assert text_of(await doing) == texts.TOOK_TOO_LONG
    assert not await waits(world)


async def test_an_order_that_never_begins_holds_nobody_for_ever(world: World, slow: Slow) -> None:
    """Too much was going on, say, and the task died that was to say so."""
    assert await world.desk.take(given("reset", "never", 2))
    next_one = await begin(world, given("reset", "next", 3))
    await until(lambda: world.clock.sleeping > 0)
    assert slow.begun == []
    await world.clock.advance(HOLD_SECONDS + 1)
    assert text_of(await next_one) == texts.TOOK_TOO_LONG, "nothing waits for this one, either"
    assert not await waits(world)
    assert HOLD_SECONDS > LOOK_SECONDS


async def test_an_order_that_may_not_be_given_holds_nobody_once_that_is_clear(
    world: World, slow: Slow
) -> None:
    outcome = await (await begin(world, given("reset", "bobs", 2, by=BOB)))
    assert text_of(outcome) == texts.NOT_YOURS.format(verb="reset")
    assert slow.begun == []
    assert not await waits(world)


async def test_a_message_that_could_not_be_begun_with_holds_nobody(
    world: World, slow: Slow
) -> None:
    world.room = False
    await world.desk.accept(said(2, root=1, text="!reset"))
    assert [order.verb for order in world.begun] == ["reset"]
    assert slow.begun == []
    assert not await waits(world)


async def test_a_restart_finds_what_was_not_carried_out_and_later_questions_wait_for_it(
    world: World, tmp_path: Path
) -> None:
    del tmp_path
    await world.asked(1)
    slow = Slow(world)
    reset, fork = given("reset", "reset", 2), given("fork", "fork", 3)
    for order in (reset, fork):
        assert await world.desk.take(order)
    world.doors(world.access._doors)  # noqa: SLF001 # a desk that knows nothing of them
    left = await world.desk.take_up()
    assert list(left) == [(reset, True), (fork, False)]
    assert await waits(world)
    slow.end("reset")
    assert text_of(await world.desk.carry_out(reset)) == "done"
    assert not await waits(world)
    await world.desk.done(reset)
    assert [order for order, _ in await world.desk.take_up()] == [fork]
