"""The pool of live sessions, on the real runtime: bounded, each held by one turn at a time."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentFault
from bot.model import Thread, ThreadKey
from bot.sessions import Sessions
from tests.copilot.asking import answer_of, runtimes_of, until
from tests.scripted_model import Answer, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")


def a_thread(number: int, generation: int = 0, place: str = "") -> Thread:
    key = ThreadKey(team="T1", channel=f"CPOOL{place}", root_ts=f"{number}.000100")
    return Thread(key=key, generation=generation, people=frozenset(), people_known=True)


async def test_a_thread_gets_its_live_session_again(options: RuntimeOptions) -> None:
    async with CopilotAgent(options) as agent:
        sessions = Sessions(agent, size=5)
        async with sessions.held(a_thread(1)) as first:
            pass
        async with sessions.held(a_thread(1)) as second:
            assert second is first
        async with sessions.held(a_thread(2)) as other:
            assert other is not first
        assert sessions.live == 2
        await sessions.close()
        assert sessions.live == 0


async def test_the_longest_idle_session_makes_room_and_remembers(
    options: RuntimeOptions, model: ScriptedModel
) -> None:
    model.when("recite", Answer(lambda request: " | ".join(request.prompts)))
    async with CopilotAgent(options) as agent:
        sessions = Sessions(agent, size=2)
        for number in (11, 12, 13):
            async with sessions.held(a_thread(number)) as session:
                await answer_of(session, f"I am thread {number}")
            assert sessions.live <= 2
        async with sessions.held(a_thread(11)) as resumed:
            assert await answer_of(resumed, "recite") == "I am thread 11 | recite"
        await sessions.close()


async def test_a_session_is_held_by_one_turn_at_a_time(options: RuntimeOptions) -> None:
    async with CopilotAgent(options) as agent:
        sessions = Sessions(agent, size=5)
        order: list[str] = []

        async def hold(name: str) -> None:
            async with sessions.held(a_thread(21)):
                order.append(f"{name} in")
                await asyncio.sleep(0)
                order.append(f"{name} out")

        await asyncio.gather(hold("a"), hold("b"), hold("c"))
        assert order == ["a in", "a out", "b in", "b out", "c in", "c out"]
        await sessions.close()


async def test_when_all_are_held_a_turn_waits_for_a_bound_and_is_told(
    options: RuntimeOptions,
) -> None:
    async with CopilotAgent(options) as agent:
        sessions = Sessions(agent, size=1, wait_seconds=0.2)
        async with sessions.held(a_thread(31)):
            with pytest.raises(AgentError) as caught:
                async with sessions.held(a_thread(32)):
                    pytest.fail("there was no place")
            assert caught.value.fault is AgentFault.BUSY
        async with sessions.held(a_thread(32)) as session:
            assert session.alive
        await sessions.close()


async def test_a_reset_thread_has_a_session_of_its_own(
    options: RuntimeOptions, model: ScriptedModel
) -> None:
    model.when("recite", Answer(lambda request: " | ".join(request.prompts)))
    async with CopilotAgent(options) as agent:
        sessions = Sessions(agent, size=5)
        async with sessions.held(a_thread(41)) as session:
            await answer_of(session, "before the reset")
        async with sessions.held(a_thread(41, generation=1)) as session:
            assert await answer_of(session, "recite") == "recite"
        await sessions.close()


async def test_after_the_runtime_died_the_thread_gets_a_session_that_works(
    options: RuntimeOptions, model: ScriptedModel
) -> None:
    model.when("recite", Answer(lambda request: " | ".join(request.prompts)))
    async with CopilotAgent(options) as agent:
        sessions = Sessions(agent, size=5)
        async with sessions.held(a_thread(51)) as session:
            await answer_of(session, "remember me")
        [runtime] = runtimes_of(options.data_dir)
        os.kill(runtime, signal.SIGKILL)
        await until(lambda: not session.alive)
        async with sessions.held(a_thread(51)) as again:
            assert again is not session
            assert await answer_of(again, "recite") == "remember me | recite"
        assert sessions.live == 1
        await sessions.close()


async def test_a_session_that_does_not_open_leaves_its_place_free(
    options: RuntimeOptions,
) -> None:
    async with CopilotAgent(options) as agent:
        sessions = Sessions(agent, size=1, wait_seconds=1)
        with pytest.raises(AgentError):
            async with sessions.held(a_thread(61, place="." * 3)):
                pytest.fail("the runtime takes no such id")
        async with sessions.held(a_thread(62)) as session:
            assert session.alive
        await sessions.close()
