"""When the runtimes of one bot are started: the next one when there is enough to do for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bot.copilot import runtimes
from bot.copilot.agent import CopilotAgent
from bot.copilot.install import find_runtime
from bot.copilot.options import RuntimeOptions
from tests.copilot.asking import answer_of, runs, runtimes_of, until
from tests.copilot.test_runtimes import START_SECONDS, opened, up
from tests.fakes import HandClock

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def two(options: RuntimeOptions, tmp_path: Path) -> RuntimeOptions:
    """Options with two runtimes and a data folder of the test's own."""
    return replace(options, data_dir=tmp_path, runtimes=2)


def growing() -> bool:
    """Whether one more runtime is being started."""
    return any(task.get_name() == "one more runtime" for task in asyncio.all_tasks())


async def test_few_sessions_have_one_runtime_and_more_get_a_second(two: RuntimeOptions) -> None:
    async with CopilotAgent(two) as agent:
        few = await opened(agent, "few", 3)
        assert len(runtimes_of(two.data_dir)) == 1
        assert not growing()
        more = await opened(agent, "more", 2)
        await until(lambda: len(up(agent)) == 2, within=START_SECONDS)
        assert len(runtimes_of(two.data_dir)) == 2
        assert all(live.alive for live in few + more)


async def test_many_sessions_opened_at_once_are_shared_about_evenly(
    two: RuntimeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where none of the runtimes ran before."""
    # A slow machine is no fault of the sharing.
    monkeypatch.setattr(runtimes, "WAIT_SECONDS", START_SECONDS)
    async with CopilotAgent(two) as agent:
        many = await asyncio.gather(*(agent.open(f"many-{number}") for number in range(16)))
        shares = Counter(live.runtime for live in many)
        assert len(shares) == 2
        assert min(shares.values()) >= 5
        said = await asyncio.gather(*(answer_of(live, f"I am {live.id}") for live in many))
        assert said == [f"You said: I am {live.id}" for live in many]


async def test_a_bot_that_may_have_one_runtime_never_has_a_second(two: RuntimeOptions) -> None:
    async with CopilotAgent(replace(two, runtimes=1)) as agent:
        many = await opened(agent, "many", 10)
        assert not growing()
        assert len(runtimes_of(two.data_dir)) == 1
        assert len({live.runtime for live in many}) == 1


def a_runtime_that(does: str, folder: Path) -> Path:
    """The real runtime, which does this, shell, when it is started for the second time; each start
    is a line of the file `starts`."""
    script = folder / "runtime"
    script.write_text(
        f'#!/bin/sh\necho started >> "{folder}/starts"\n'
        f'case $(wc -l < "{folder}/starts") in 2) {does};; esac\n'
        f'exec "{find_runtime(None)}" "$@"\n'
    )
    script.chmod(0o700)
    return script


async def test_one_more_runtime_that_does_not_start_breaks_nothing_and_is_tried_again_later(
    two: RuntimeOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = HandClock()
    broken, starts = a_runtime_that("exit 3", tmp_path), tmp_path / "starts"
    async with CopilotAgent(replace(two, cli_path=broken, clock=clock)) as agent:
        many = await opened(agent, "many", 10)
        assert await answer_of(many[-1], "hello") == "You said: hello"
        await until(lambda: "one more Copilot runtime did not start" in caplog.text)
        await clock.advance(runtimes.AGAIN_SECONDS - 1)
        # With so many in the only one, a start would be waited for.
        many.append(await agent.open("before"))
        assert starts.read_text() == "started\n" * 2
        await clock.advance(1)
        many.append(await agent.open("after"))
        await until(lambda: len(up(agent)) == 2, within=START_SECONDS)
        assert starts.read_text() == "started\n" * 3
        assert len({live.runtime for live in [*many, await agent.open("last")]}) == 2
    assert caplog.text.count("one more Copilot runtime did not start") == 1


@pytest.mark.parametrize("does", ["true", "exec sleep 100"], ids=["real", "mute"])
async def test_a_second_one_that_is_still_being_started_is_not_left_behind(
    two: RuntimeOptions, tmp_path: Path, does: str
) -> None:
    slow = a_runtime_that(does, tmp_path)
    async with CopilotAgent(replace(two, cli_path=slow)) as agent:
        kept = await opened(agent, "kept", 5)
        await until(lambda: len(runtimes_of(two.data_dir)) == 2)
        started = runtimes_of(two.data_dir)
        assert all(live.alive for live in kept)
    assert not any(map(runs, [*started, *runtimes_of(two.data_dir)]))
