"""Several runtimes of one bot: whichever a session is opened in, it remembers, and can be copied
and deleted; and any of them may go. When they are started: `test_runtimes_starting`."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.copilot.sdk import process_of
from bot.copilot.session import LiveSession
from tests.copilot.asking import answer_of, runs, runtimes_of, until
from tests.scripted_model import ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

START_SECONDS = 60.0
"""A second runtime starts within one or two, on a busy machine later."""


@pytest.fixture
def two(options: RuntimeOptions, tmp_path: Path) -> RuntimeOptions:
    """Options with two runtimes and a data folder of the test's own."""
    return replace(options, data_dir=tmp_path, runtimes=2)


@dataclass(frozen=True, slots=True)
class Pair:
    """An agent with two runtimes, five sessions in the first one and three in the second."""

    agent: CopilotAgent
    first: list[LiveSession]
    second: list[LiveSession]


@pytest_asyncio.fixture(loop_scope="module")
async def pair(two: RuntimeOptions) -> AsyncIterator[Pair]:
    async with CopilotAgent(two) as agent:
        yield await a_pair(agent)


async def a_pair(agent: CopilotAgent) -> Pair:
    """Have both runtimes started, and share sessions among them."""
    first = await opened(agent, "first", 5)
    await until(lambda: len(up(agent)) == 2, within=START_SECONDS)
    second = await opened(agent, "second", 3)
    assert len({live.runtime for live in first}) == 1
    assert {live.runtime for live in second} == {*up(agent)} - {first[0].runtime}
    return Pair(agent, first, second)


async def opened(agent: CopilotAgent, name: str, count: int) -> list[LiveSession]:
    return [await agent.open(f"{name}-{number}") for number in range(count)]


def up(agent: CopilotAgent) -> list[Runtime]:
    """The runtimes that run."""
    return agent._runtimes.up  # noqa: SLF001 (nothing else tells them apart)


def pid_of(live: LiveSession) -> int:
    """The process that has the session."""
    process = process_of(live.runtime.client)
    assert process is not None
    return process.pid


async def remembers(live: LiveSession, model: ScriptedModel, *said: str) -> None:
    """Make sure that a session has all this in its history, and nothing else."""
    await answer_of(live, "what was said?")
    assert model.requests[-1].prompts == (*said, "what was said?")


# Sessions and where they are --------------------------------------------------------------------


async def test_a_session_remembers_in_whichever_runtime_it_is_opened(
    pair: Pair, model: ScriptedModel
) -> None:
    """There and back: the first one must not go by what it knew of it before."""
    here, there = pair.first[0].runtime, pair.second[0].runtime
    moving = pair.first[4]
    await answer_of(moving, "one")
    await asyncio.gather(moving.close(), *(live.close() for live in pair.second))
    moved = await pair.agent.open(moving.id)
    assert moved.runtime is there
    await remembers(moved, model, "one")
    await asyncio.gather(moved.close(), *(live.close() for live in pair.first))
    back = await pair.agent.open(moving.id)
    assert back.runtime is here
    await remembers(back, model, "one", "what was said?")


async def test_a_copy_of_a_session_of_the_second_runtime_has_its_last_turn(
    pair: Pair, model: ScriptedModel
) -> None:
    """While it is live, and after it was closed: then another runtime makes the copy."""
    source = pair.second[0]
    await answer_of(source, "one")
    await answer_of(source, "two")
    of_live = await pair.agent.fork(source.id)
    await remembers(await pair.agent.open(of_live), model, "one", "two")
    await source.close()
    of_closed = await pair.agent.fork(source.id)
    await remembers(await pair.agent.open(of_closed), model, "one", "two")


async def test_sessions_of_both_runtimes_are_listed_and_can_be_deleted(pair: Pair) -> None:
    one, other, kept = pair.first[0], pair.second[0], pair.second[1]
    for live in (one, other, kept):
        await answer_of(live, "hello")
    assert {one.id, other.id, kept.id} <= {*await pair.agent.stored()}
    freed = await pair.agent.delete([one.id, other.id])
    assert min(freed[one.id], freed[other.id]) > 0
    assert not one.alive
    assert not other.alive
    left = await pair.agent.stored()
    assert kept.id in left
    assert not {one.id, other.id} & {*left}
    assert (await pair.agent.open(other.id)).blank
    assert await answer_of(kept, "still there?") == "You said: still there?"


async def test_a_session_that_was_not_let_go_of_in_time_is_opened_where_it_was(
    pair: Pair, two: RuntimeOptions, model: ScriptedModel
) -> None:
    """Two runtimes must not have one history; though the other one has less to do."""
    stuck = pair.first[4]
    await answer_of(stuck, "one")
    os.kill(pid_of(stuck), signal.SIGSTOP)
    await stuck.close()
    os.kill(pid_of(stuck), signal.SIGCONT)
    assert not stuck.alive
    assert not stuck.runtime.gone
    # The runtime lets go of it late, and nobody hears of that.
    await until(lambda: not [*two.data_dir.rglob(f"{stuck.id}/inuse.*.lock")])
    again = await pair.agent.open(stuck.id)
    assert again.runtime is stuck.runtime
    await remembers(again, model, "one")
    # Let go of in good order, it may be anywhere again.
    await again.close()
    moved = await pair.agent.open(stuck.id)
    assert moved.runtime is pair.second[0].runtime
    await remembers(moved, model, "one", "what was said?")


async def test_a_session_whose_opening_was_given_up_is_opened_where_it_may_be(
    pair: Pair, model: ScriptedModel
) -> None:
    """The runtime goes on opening it, and would go by what it knew of it whenever it came back."""
    there = pair.second[0].runtime
    os.kill(pid_of(pair.second[0]), signal.SIGSTOP)
    opening = asyncio.create_task(pair.agent.open("given-up"))
    await until(lambda: "given-up" in there.holds)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    os.kill(pid_of(pair.second[0]), signal.SIGCONT)
    await asyncio.gather(*(live.close() for live in pair.first))
    again = await pair.agent.open("given-up")
    assert again.runtime is there
    await answer_of(again, "one")
    await remembers(again, model, "one")


async def test_a_session_that_was_not_let_go_of_in_time_is_deleted_where_it_still_is(
    pair: Pair,
) -> None:
    """To any other runtime it is somebody else's, and would stay on disk without a word."""
    stuck = pair.second[0]
    await answer_of(stuck, "one")
    os.kill(pid_of(stuck), signal.SIGSTOP)
    await stuck.close()
    deleting = asyncio.create_task(pair.agent.delete([stuck.id]))
    done, _ = await asyncio.wait({deleting}, timeout=1)
    os.kill(pid_of(stuck), signal.SIGCONT)
    assert not done
    assert (await deleting)[stuck.id] > 0
    assert stuck.id not in await pair.agent.stored()


# When one of them goes --------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["first", "second"])
async def test_a_runtime_that_is_killed_takes_only_its_own_sessions_along(
    pair: Pair, model: ScriptedModel, which: str
) -> None:
    """Those are opened anew and remember; the other runtime goes on and takes new ones."""
    lost, going_on = (pair.first, pair.second) if which == "first" else (pair.second, pair.first)
    await answer_of(lost[0], "lost?")
    await answer_of(going_on[0], "going on?")
    os.kill(pid_of(lost[0]), signal.SIGKILL)
    await until(lambda: lost[0].runtime.gone)
    assert not any(live.alive for live in lost)
    new = await pair.agent.open("new")
    assert new.runtime is going_on[0].runtime
    assert await answer_of(new, "new?") == "You said: new?"
    await remembers(going_on[0], model, "going on?")
    again = await pair.agent.open(lost[0].id)
    assert again.alive
    await remembers(again, model, "lost?")


async def test_sessions_of_a_runtime_that_was_given_up_are_opened_once_its_process_has_ended(
    pair: Pair,
) -> None:
    """It may write into their histories up to its end, and another one would read half of them."""
    lost = pair.second[0]
    pid = pid_of(lost)
    await answer_of(lost, "one")
    os.kill(pid, signal.SIGSTOP)
    lost.runtime._went("its pipe is closed")  # noqa: SLF001 (as `Runtime.call` does)
    again = await pair.agent.open(lost.id)
    assert not runs(pid)
    assert again.alive


# All of them ------------------------------------------------------------------------------------


async def test_the_memory_is_that_of_each(pair: Pair) -> None:
    one, other = (psutil.Process(pid_of(live)) for live in (pair.first[0], pair.second[0]))
    taken = await pair.agent.memory()
    assert len(taken) == 2
    assert taken[0] > 0.8 * one.memory_info().rss > 40_000_000
    assert taken[1] > 0.8 * other.memory_info().rss > 40_000_000


async def test_a_restart_ends_both(pair: Pair, two: RuntimeOptions, model: ScriptedModel) -> None:
    before = runtimes_of(two.data_dir)
    await answer_of(pair.second[0], "one")
    await pair.agent.restart()
    assert len(before) == 2
    assert not any(map(runs, before))
    assert len(runtimes_of(two.data_dir)) == 1
    assert not any(live.alive for live in pair.first + pair.second)
    await remembers(await pair.agent.open(pair.second[0].id), model, "one")
    more = await opened(pair.agent, "more", 5)
    await until(lambda: len(up(pair.agent)) == 2, within=START_SECONDS)
    assert all(live.alive for live in more)


async def test_leaving_the_agent_ends_both(two: RuntimeOptions) -> None:
    async with CopilotAgent(two) as agent:
        await a_pair(agent)
        both = runtimes_of(two.data_dir)
        assert len(both) == 2
    assert not any(map(runs, both))
