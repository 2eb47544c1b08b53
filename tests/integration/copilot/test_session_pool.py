"""Tests the pool of live sessions on the real runtime: bounded, one turn per session at a time."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from copilot import CopilotSession
from copilot._jsonrpc import JsonRpcError

from bot.copilot.agent import CopilotAgent
from bot.copilot.install import find_runtime
from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentErrorKind
from bot.ports import SessionConfig
from bot.sessions.pool import SessionPool
from tests.integration.copilot.session_probe import answer_to, runtimes_of, wait_until
from tests.scripted_model import Answer, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")


def name(number: int) -> str:
    """A session id that no other test module uses."""
    return f"pool-{number}"


async def test_a_live_session_is_used_again(options: RuntimeOptions) -> None:
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=5)
        async with sessions.acquire(name(1), SessionConfig()) as first:
            pass
        async with sessions.acquire(name(1), SessionConfig()) as second:
            assert second is first
        async with sessions.acquire(name(2), SessionConfig()) as other:
            assert other is not first
        assert sessions.open_count == 2
        await sessions.close()
        assert sessions.open_count == 0


async def test_the_longest_idle_session_makes_room_and_remembers(
    options: RuntimeOptions, model: ScriptedModel
) -> None:
    model.when("recite", Answer(lambda request: " | ".join(request.prompts)))
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=2)
        for number in (11, 12, 13):
            async with sessions.acquire(name(number), SessionConfig()) as session:
                await answer_to(session, f"I am thread {number}")
            assert sessions.open_count <= 2
        async with sessions.acquire(name(11), SessionConfig()) as resumed:
            assert await answer_to(resumed, "recite") == "I am thread 11 | recite"
        await sessions.close()


async def test_a_session_is_held_by_one_turn_at_a_time(options: RuntimeOptions) -> None:
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=5)
        order: list[str] = []

        async def hold(turn: str) -> None:
            async with sessions.acquire(name(21), SessionConfig()):
                order.append(f"{turn} in")
                await asyncio.sleep(0)
                order.append(f"{turn} out")

        await asyncio.gather(hold("a"), hold("b"), hold("c"))
        assert order == ["a in", "a out", "b in", "b out", "c in", "c out"]
        await sessions.close()


async def test_when_all_are_held_a_turn_waits_for_a_bound_and_gets_an_error(
    options: RuntimeOptions,
) -> None:
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=1, wait_seconds=0.2)
        async with sessions.acquire(name(31), SessionConfig()):
            with pytest.raises(AgentError) as caught:
                async with sessions.acquire(name(32), SessionConfig()):
                    pytest.fail("there was no place")
            assert caught.value.kind is AgentErrorKind.BUSY
        async with sessions.acquire(name(32), SessionConfig()) as session:
            assert session.alive
        await sessions.close()


async def test_after_the_runtime_died_a_session_is_opened_that_works(
    options: RuntimeOptions, model: ScriptedModel
) -> None:
    model.when("recite", Answer(lambda request: " | ".join(request.prompts)))
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=5)
        async with sessions.acquire(name(51), SessionConfig()) as session:
            await answer_to(session, "remember me")
        [runtime] = runtimes_of(options.data_dir)
        os.kill(runtime, signal.SIGKILL)
        await wait_until(lambda: not session.alive)
        async with sessions.acquire(name(51), SessionConfig()) as again:
            assert again is not session
            assert await answer_to(again, "recite") == "remember me | recite"
        assert sessions.open_count == 1
        await sessions.close()


async def test_a_session_that_does_not_open_leaves_its_place_free(
    options: RuntimeOptions,
) -> None:
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=1, wait_seconds=1)
        with pytest.raises(AgentError):
            async with sessions.acquire("...", SessionConfig()):
                pytest.fail("the runtime takes no such id")
        async with sessions.acquire(name(62), SessionConfig()) as session:
            assert session.alive
        await sessions.close()


async def test_another_model_is_used_without_opening_again(
    options: RuntimeOptions, model: ScriptedModel
) -> None:
    """And its effort, and given back again; the session stays the same."""
    wanted = [
        SessionConfig(),
        SessionConfig(model="m-1"),
        SessionConfig(model="m-1", effort="low"),
        SessionConfig(model="m-1"),
    ]
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=1)
        held, used = [], []
        for config in wanted:
            async with sessions.acquire(name(71), config) as session:
                held.append(session)
                await answer_to(session, "hello")
                used.append((model.requests[-1].model, model.requests[-1].effort))
                assert session.config == config
        assert len(set(held)) == 1
        assert used == [("scripted-1", ""), ("m-1", ""), ("m-1", "low"), ("m-1", "")]
        await sessions.close()


async def test_other_instructions_take_opening_again(
    options: RuntimeOptions, model: ScriptedModel, tmp_path: Path
) -> None:
    """And other tools; the memory stays, and so does the place."""
    roles = [
        SessionConfig(),
        SessionConfig(instructions="Be a pirate.", model="m-1"),
        SessionConfig(tools=("view",), folder=str(tmp_path)),
    ]
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=1, wait_seconds=5)
        held, requests = [], []
        for config in roles:
            async with sessions.acquire(name(72), config) as session:
                held.append(session)
                await answer_to(session, f"hello {len(held)}")
                requests.append(model.requests[-1])
            assert sessions.open_count == 1
        assert len(set(held)) == 3
        assert not held[0].alive
        assert ["pirate" in request.system for request in requests] == [False, True, False]
        assert [request.tools for request in requests] == [0, 0, 1]
        assert requests[-1].prompts == ("hello 1", "hello 2", "hello 3")
        await sessions.close()


async def test_a_failed_switch_of_the_model_leaves_the_session_free(
    options: RuntimeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn gets the error, and the next one gets the unchanged session."""

    async def say_no(*_: object, **__: object) -> None:
        raise JsonRpcError(-32603, "model not available")

    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=1, wait_seconds=5)
        async with sessions.acquire(name(73), SessionConfig()) as session:
            pass
        with monkeypatch.context() as patch:
            patch.setattr(CopilotSession, "set_model", say_no)
            with pytest.raises(AgentError) as caught:
                async with sessions.acquire(name(73), SessionConfig(model="retired")):
                    pytest.fail("it cannot be had")
        assert caught.value.kind is AgentErrorKind.MODEL_GONE
        async with sessions.acquire(name(73), SessionConfig()) as again:
            assert again is session
        await sessions.close()


async def test_a_session_is_prewarmed_if_there_is_room(options: RuntimeOptions) -> None:
    """Never at the cost of another one, and once."""
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=1, wait_seconds=5)
        warming = asyncio.create_task(sessions.prewarm(name(81), SessionConfig()))
        await asyncio.sleep(0)
        assert sessions.is_in_use(name(81))
        await sessions.prewarm(name(81), SessionConfig())
        await sessions.prewarm(name(82), SessionConfig())
        async with sessions.acquire(name(81), SessionConfig()) as session:  # waits until it is open
            assert session.alive
            assert warming.done()
            assert sessions.is_in_use(name(81))
        assert not sessions.is_in_use(name(81))
        assert sessions.open_count == 1
        await sessions.prewarm(name(82), SessionConfig())
        async with sessions.acquire(name(81), SessionConfig()) as again:
            assert again is session
        async with sessions.acquire(name(82), SessionConfig()):
            assert sessions.open_count == 1, "for a turn the idle one makes room"
        await sessions.close()


async def test_a_failed_prewarm_has_no_effect(options: RuntimeOptions) -> None:
    """And the place is free again; also when it is cancelled."""
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=1, wait_seconds=5)
        await sessions.prewarm("...", SessionConfig())
        warming = asyncio.create_task(sessions.prewarm(name(83), SessionConfig()))
        await asyncio.sleep(0)
        warming.cancel()
        await asyncio.wait([warming])
        assert warming.cancelled()
        assert not sessions.is_in_use(name(83))
        async with sessions.acquire(name(84), SessionConfig()) as session:
            assert session.alive
        await sessions.close()


async def test_idle_sessions_are_closed_and_held_ones_are_not(
    options: RuntimeOptions, model: ScriptedModel
) -> None:
    """So that they can be deleted: the next turn starts afresh."""
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=5)
        async with sessions.acquire(name(91), SessionConfig()) as idle:
            await answer_to(idle, "idle")
        async with sessions.acquire(name(92), SessionConfig()) as held:
            closing = asyncio.create_task(sessions.close_idle([name(91), name(92), "never-was"]))
            await asyncio.sleep(0)
            async with sessions.acquire(
                name(91), SessionConfig()
            ) as again:  # not before it is closed
                assert closing.done()
                assert (idle.alive, held.alive, again.alive) == (False, True, True)
        await sessions.close_idle([name(91)])
        await agent.delete_sessions([name(91)])
        async with sessions.acquire(name(91), SessionConfig()) as afresh:
            await answer_to(afresh, "afresh")
        assert model.requests[-1].prompts == ("afresh",)
        await sessions.close()


async def test_the_runtime_restarts_when_no_session_is_held(
    own_options: RuntimeOptions, model: ScriptedModel
) -> None:
    """Those that run finish first, those that come wait, and all remember."""
    async with CopilotAgent(own_options) as agent:
        sessions = SessionPool(agent, size=5)
        async with sessions.acquire(name(101), SessionConfig()) as session:
            await answer_to(session, "one")
            [before] = runtimes_of(own_options.data_dir)
            renewing = asyncio.create_task(sessions.restart_runtime(10))
            await asyncio.sleep(0)

            async def ask() -> None:
                async with sessions.acquire(name(101), SessionConfig()) as again:
                    await answer_to(again, "two")

            asking = asyncio.create_task(ask())
            await sessions.prewarm(name(102), SessionConfig())
            assert not await sessions.restart_runtime(10), "one at a time"
            assert not renewing.done()
            still_alive = session.alive
        assert still_alive
        assert await renewing
        await asking
        assert not session.alive
        assert model.requests[-1].prompts == ("one", "two")
        [after] = runtimes_of(own_options.data_dir)
        assert before != after
        assert sessions.open_count == 1
        await sessions.close()


async def test_a_restart_is_abandoned_when_a_turn_takes_too_long(
    own_options: RuntimeOptions,
) -> None:
    """And everything goes on as before."""
    async with CopilotAgent(own_options) as agent:
        sessions = SessionPool(agent, size=5, wait_seconds=5)
        async with sessions.acquire(name(103), SessionConfig()) as session:
            [before] = runtimes_of(own_options.data_dir)
            assert not await sessions.restart_runtime(0.05)
            async with sessions.acquire(name(104), SessionConfig()) as other:
                assert other.alive
            assert session.alive
        assert runtimes_of(own_options.data_dir) == [before]
        await sessions.close()


async def test_a_runtime_that_does_not_come_back_is_reported_and_tried_again(
    own_options: RuntimeOptions, tmp_path: Path
) -> None:
    """The turns after that start it, if it can be started."""
    link = tmp_path / "runtime"
    link.symlink_to(find_runtime(None))
    async with CopilotAgent(replace(own_options, cli_path=link)) as agent:
        sessions = SessionPool(agent, size=5, wait_seconds=5)
        async with sessions.acquire(name(105), SessionConfig()):
            pass
        real = link.readlink()
        link.unlink()
        with pytest.raises(AgentError):
            await sessions.restart_runtime(5)
        assert sessions.open_count == 0
        link.symlink_to(real)
        async with sessions.acquire(name(105), SessionConfig()) as session:
            assert session.alive
        await sessions.close()


async def test_turns_that_are_cancelled_leave_no_place_taken(options: RuntimeOptions) -> None:
    """Whenever it happens: while they wait, while theirs opens, or while another makes room."""
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=2, wait_seconds=5)

        async def hold(number: int) -> None:
            async with sessions.acquire(name(number), SessionConfig(instructions=str(number % 2))):
                await asyncio.sleep(0)

        for loops in (2**power for power in range(13)):
            turns = [asyncio.create_task(hold(110 + number)) for number in (0, 1, 2, 2)]
            for _ in range(loops):
                await asyncio.sleep(0)
            for turn in turns:
                turn.cancel()
            await asyncio.wait(turns)
        assert not any(sessions.is_in_use(name(110 + number)) for number in range(3))
        for number in (0, 1, 2):
            await hold(110 + number)
        assert sessions.open_count == 2
        assert await sessions.restart_runtime(5)
        await sessions.close()


async def test_a_turn_that_is_cancelled_while_another_session_makes_room_takes_no_place(
    options: RuntimeOptions,
) -> None:
    """The other one is closed all the same, and not opened again before it is."""
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=1, wait_seconds=5)
        async with sessions.acquire(name(121), SessionConfig()) as idle:
            pass
        turn = asyncio.create_task(sessions.acquire(name(122), SessionConfig()).__aenter__())
        await asyncio.sleep(0)
        assert sessions.is_in_use(name(122))
        turn.cancel()
        await asyncio.wait([turn])
        assert not sessions.is_in_use(name(122))
        async with sessions.acquire(name(121), SessionConfig()) as again:
            assert (idle.alive, again.alive) == (False, True)
        await sessions.close()


async def test_a_reserved_session_cannot_be_used_until_it_is_released(
    options: RuntimeOptions, model: ScriptedModel
) -> None:
    """It is closed and can be deleted. A turn that arrives in between then starts fresh."""
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=5, wait_seconds=10)
        async with sessions.acquire(name(131), SessionConfig()) as idle:
            await answer_to(idle, "of before")
        async with sessions.acquire(name(132), SessionConfig()) as held:
            wanted = [name(131), name(132), "pool-never-was"]
            async with sessions.exclusive(wanted) as taken:
                assert taken == {name(131), "pool-never-was"}
                assert (idle.alive, held.alive) == (False, True)
                assert sessions.is_in_use(name(131))
                async with sessions.exclusive(wanted) as twice:
                    assert twice == frozenset()

                async def ask() -> None:
                    async with sessions.acquire(name(131), SessionConfig()) as session:
                        await answer_to(session, "of after")

                asking = asyncio.create_task(ask())
                await sessions.prewarm(name(131), SessionConfig())
                await agent.delete_sessions([name(131)])
                assert not asking.done()
                assert sessions.open_count == 1
            await asking
        assert model.requests[-1].prompts == ("of after",)
        assert not sessions.is_in_use("pool-never-was")
        await sessions.close()


async def test_a_turn_waits_a_bounded_time_for_a_reserved_session(
    options: RuntimeOptions,
) -> None:
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=5, wait_seconds=0.05)
        async with sessions.exclusive([name(133)]):
            with pytest.raises(AgentError) as caught:
                async with sessions.acquire(name(133), SessionConfig()):
                    pytest.fail("it is reserved")
        assert caught.value.kind is AgentErrorKind.BUSY
        async with sessions.acquire(name(133), SessionConfig()) as session:
            assert session.alive
        await sessions.close()


async def test_a_cancelled_reservation_blocks_no_session(
    options: RuntimeOptions,
) -> None:
    """Whenever it happens; and what was being closed is opened again only once it is."""
    async with CopilotAgent(options) as agent:
        sessions = SessionPool(agent, size=2, wait_seconds=5)

        async def reserve() -> None:
            async with sessions.exclusive([name(134)]):
                await asyncio.sleep(0)

        for loops in (0, 1, 2, 4, 16, 256):
            async with sessions.acquire(name(134), SessionConfig()):
                pass
            reserving = asyncio.create_task(reserve())
            for _ in range(loops):
                await asyncio.sleep(0)
            reserving.cancel()
            await asyncio.wait([reserving])
            assert not sessions.is_in_use(name(134))
        async with sessions.acquire(name(134), SessionConfig()) as session:
            assert session.alive
        await sessions.close()


async def test_the_runtime_is_not_restarted_under_a_deletion(
    own_options: RuntimeOptions,
) -> None:
    """And nothing is reserved while it is."""
    async with CopilotAgent(own_options) as agent:
        sessions = SessionPool(agent, size=5, wait_seconds=0.05)
        async with sessions.acquire(name(135), SessionConfig()):
            pass
        async with sessions.exclusive([name(135)]):
            assert not await sessions.restart_runtime(0.05)
        async with sessions.acquire(name(135), SessionConfig()):
            renewing = asyncio.create_task(sessions.restart_runtime(10))
            await asyncio.sleep(0)
            with pytest.raises(AgentError) as caught:
                async with sessions.exclusive([name(136)]):
                    pytest.fail("the runtime is about to go")
        assert caught.value.kind is AgentErrorKind.BUSY
        assert await renewing
        async with sessions.exclusive([name(136)]) as taken:
            assert taken == {name(136)}
        await sessions.close()
