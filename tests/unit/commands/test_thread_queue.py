"""The order of commands in a thread.

Commands that change the thread's session run in the order of the messages. Later questions wait for
them, for a bounded time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.commands import texts
from bot.commands.dispatcher import CommandContext
from bot.commands.registry import COMMANDS, CommandTiming
from bot.commands.thread_queue import EXECUTION_SECONDS, HOLD_SECONDS
from bot.domain.cards import CommandResult, text_result
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import ThreadKey
from bot.turns.inbox import POLL_SECONDS
from tests.contracts.messages import make_message, ts_at
from tests.unit.commands.command_fixtures import (
    ADA,
    ALICE,
    BOB,
    DEV,
    GENERAL,
    TEAM,
    CommandFixture,
    command_fixture,
    thread_at,
)
from tests.unit.turns.inbox_fixtures import wait_until

HERE = thread_at(1)
_numbers = itertools.count()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        yield world


class Slow:
    """A handler of all commands that ends only when it may."""

    def __init__(self, world: CommandFixture) -> None:
        self.started: list[str] = []
        self.may_end: dict[str, asyncio.Event] = {}
        world.handlers.update(dict.fromkeys(COMMANDS, self.do))

    async def do(self, ctx: CommandContext) -> CommandResult:
        self.started.append(ctx.command.key)
        await self.may_end.setdefault(ctx.command.key, asyncio.Event()).wait()
        return text_result("done")

    def end(self, key: str) -> None:
        self.may_end.setdefault(key, asyncio.Event()).set()


@pytest.fixture
async def slow(world: CommandFixture) -> Slow:
    await world.context_for(1)
    return Slow(world)


def command_in(
    text: str, key: str, second: float = 0, *, thread: ThreadKey | None = HERE, by: str = ALICE
) -> Command:
    """A command by a message at a second, or by a button if that is 0."""
    name, _, args = text.partition(" ")
    return Command(
        key=key,
        name=name,
        args=args,
        user=by,
        source=CommandSource.MESSAGE if second else CommandSource.BUTTON,
        team=TEAM,
        channel=GENERAL,
        thread=thread,
        ts=ts_at(second) if second else "",
    )


async def begin(world: CommandFixture, command: Command) -> asyncio.Task[CommandResult]:
    assert await world.dispatcher.record(command)
    return asyncio.create_task(world.dispatcher.execute(command))


async def a_moment() -> None:
    """Let the event loop start what can start."""
    for _ in range(50):
        await asyncio.sleep(0.001)


async def waits(world: CommandFixture) -> bool:
    """True if a question that is posted now in the thread has to wait."""
    second = 500 + next(_numbers)
    message = make_message(second, root=1)
    accepted = await world.store.accept_message(message)
    assert accepted.turn is not None
    turn = (await world.store.claim()).turn
    if turn is not None:
        await world.store.requeue(turn)
    await world.store.withdraw(accepted.turn)
    return turn is None


def text_of(result: CommandResult) -> str:
    assert result.card is not None
    return result.card.text


CHANGING = (
    *("reset", "rewind", "resume s1", "model gpt-5", "model high", "model gpt-5 for channel"),
    *("role review", "retry", "retry gpt-5", "compare gpt-5 claude-4.5 x", "keep A"),
    *("delete s1", "quiet", "join"),
)
SHOWING = (
    *("help", "sessions", "status", "history", "export", "usage", "stop", "stop queue", "model"),
    *("model channel", "role", "resume", "title", "title New", "ask what?", "fork"),
)


@pytest.mark.parametrize("text", CHANGING)
async def test_later_questions_wait_for_what_changes_the_thread(
    world: CommandFixture, slow: Slow, text: str
) -> None:
    name = text.partition(" ")[0]
    form = (
        CommandSource.MESSAGE
        if CommandSource.MESSAGE in COMMANDS[name].sources
        else CommandSource.BUTTON
    )
    doing = await begin(world, replace(command_in(text, "one", 2, by=ADA), source=form))
    await wait_until(lambda: slow.started == ["one"])
    assert await waits(world)
    slow.end("one")
    assert text_of(await doing) == "done"
    assert not await waits(world), "told or not: it goes on when the order is carried out"


@pytest.mark.parametrize("text", SHOWING)
async def test_nothing_waits_for_what_only_shows_something(
    world: CommandFixture, slow: Slow, text: str
) -> None:
    doing = await begin(world, command_in(text, "one", 2))
    await wait_until(lambda: slow.started == ["one"])
    assert not await waits(world)
    slow.end("one")
    await doing


def test_each_command_has_its_place_in_the_queue() -> None:
    """A new command needs a decision: what it changes, and what waits for it."""
    found = {
        timing: {n for n, name in COMMANDS.items() if name.timing is timing}
        for timing in CommandTiming
    }
    within = {"reset", "resume", "rewind", "model", "role", "retry", "compare", "keep", "delete"}
    assert found[CommandTiming.IN_ORDER] == within | {"quiet", "join"}
    assert found[CommandTiming.AFTER_PENDING] == {"ask", "fork", "title"}


async def test_two_that_change_a_thread_are_executed_in_the_order_of_their_messages(
    world: CommandFixture, slow: Slow
) -> None:
    first = command_in("model gpt-5", "first", 2)
    second = command_in("reset", "second", 3)
    assert await world.dispatcher.record(first)
    assert await world.dispatcher.record(second)
    doing = [asyncio.create_task(world.dispatcher.execute(each)) for each in (second, first)]
    await wait_until(lambda: slow.started == ["first"])
    await a_moment()
    assert slow.started == ["first"]
    slow.end("first")
    await wait_until(lambda: slow.started == ["first", "second"])
    assert await waits(world), "for the second"
    slow.end("second")
    await asyncio.gather(*doing)
    assert not await waits(world)


async def test_of_two_presses_at_one_moment_the_second_waits_for_the_first(
    world: CommandFixture, slow: Slow
) -> None:
    one = await begin(world, command_in("rewind", "one"))
    other = await begin(world, command_in("rewind", "other"))
    await wait_until(lambda: slow.started == ["one"])
    await a_moment()
    assert slow.started == ["one"]
    slow.end("one")
    await wait_until(lambda: slow.started == ["one", "other"])
    slow.end("other")
    await asyncio.gather(one, other)


async def test_what_goes_by_the_session_waits_for_what_changes_it_and_holds_up_nothing(
    world: CommandFixture, slow: Slow
) -> None:
    first = await begin(world, command_in("reset", "first", 2))
    await wait_until(lambda: slow.started == ["first"])
    behind = [
        await begin(world, command_in(v, v, 3 + n)) for n, v in enumerate(("fork", "title X"))
    ]
    at_once = await begin(world, command_in("stop", "stop", 6))
    await wait_until(lambda: slow.started == ["first", "stop"])
    await a_moment()
    assert slow.started == ["first", "stop"]
    slow.end("first")
    await wait_until(lambda: len(slow.started) == 4)
    assert not await waits(world)
    for key in ("stop", "fork", "title X"):
        slow.end(key)
    await asyncio.gather(first, at_once, *behind)


async def test_threads_do_not_wait_for_each_other(world: CommandFixture, slow: Slow) -> None:
    await world.context_for(50)
    one = await begin(world, command_in("reset", "one", 2))
    other = await begin(world, command_in("reset", "other", 51, thread=thread_at(50)))
    await wait_until(lambda: sorted(slow.started) == ["one", "other"])
    for key in ("one", "other"):
        slow.end(key)
    await asyncio.gather(one, other)


async def test_a_command_that_names_a_session_holds_its_thread_from_when_it_came_in(
    world: CommandFixture, slow: Slow
) -> None:
    command = replace(
        command_in("reset s1", "command", thread=None),
        source=CommandSource.SLASH_COMMAND,
        channel=DEV,
    )
    doing = await begin(world, command)
    await wait_until(lambda: slow.started == ["command"])
    later = make_message(world.clock.now() + 1 - float(ts_at(0)), root=1)
    earlier = make_message(400, root=1)
    assert (await world.store.accept_message(later)).turn is not None
    assert (await world.store.claim()).turn is None
    assert (await world.store.accept_message(earlier)).turn is not None
    turn = (await world.store.claim()).turn
    assert turn is not None
    assert turn.message == earlier
    slow.end("command")
    await doing


async def test_a_command_that_hangs_times_out_and_waiting_messages_continue(
    world: CommandFixture, slow: Slow
) -> None:
    doing = await begin(world, command_in("reset", "hangs", 2))
    await wait_until(lambda: slow.started == ["hangs"])
    await world.clock.advance(EXECUTION_SECONDS - 1)
    assert await waits(world)
    await world.clock.advance(2)
    assert text_of(await doing) == texts.TOOK_TOO_LONG
    assert not await waits(world)


async def test_a_command_that_never_starts_holds_nothing_after_its_timeout(
    world: CommandFixture, slow: Slow
) -> None:
    """For example, there were too many commands and the task that reports it died."""
    assert await world.dispatcher.record(command_in("reset", "never", 2))
    next_one = await begin(world, command_in("reset", "next", 3))
    await wait_until(lambda: world.clock.sleeping > 0)
    assert slow.started == []
    await world.clock.advance(HOLD_SECONDS + 1)
    assert text_of(await next_one) == texts.TOOK_TOO_LONG, "nothing waits for this one, either"
    assert not await waits(world)
    assert HOLD_SECONDS > POLL_SECONDS


async def test_a_refused_command_holds_nothing(world: CommandFixture, slow: Slow) -> None:
    result = await (await begin(world, command_in("reset", "bobs", 2, by=BOB)))
    assert text_of(result) == texts.NOT_YOURS.format(command="reset")
    assert slow.started == []
    assert not await waits(world)


async def test_a_command_that_cannot_be_started_holds_nothing(
    world: CommandFixture, slow: Slow
) -> None:
    world.room = False
    await world.router.route_message(make_message(2, root=1, text="!reset"))
    assert [command.name for command in world.started] == ["reset"]
    assert slow.started == []
    assert not await waits(world)


async def test_a_restart_finds_unfinished_commands_and_later_questions_wait_for_them(
    world: CommandFixture, tmp_path: Path
) -> None:
    del tmp_path
    await world.context_for(1)
    slow = Slow(world)
    reset, fork = command_in("reset", "reset", 2), command_in("fork", "fork", 3)
    for command in (reset, fork):
        assert await world.dispatcher.record(command)
    world.access_config(world.access._config)  # noqa: SLF001 # a desk that knows nothing of them
    left = await world.dispatcher.load_unfinished()
    assert list(left) == [(reset, True), (fork, False)]
    assert await waits(world)
    slow.end("reset")
    assert text_of(await world.dispatcher.execute(reset)) == "done"
    assert not await waits(world)
    await world.dispatcher.mark_done(reset)
    assert [command for command, _ in await world.dispatcher.load_unfinished()] == [fork]
