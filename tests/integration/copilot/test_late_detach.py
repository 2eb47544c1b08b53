"""Tests sessions that the runtime detaches late, or opens without a caller: they keep their
history, and are not created again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from copilot._jsonrpc import JsonRpcClient

from bot.copilot import session
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.copilot.sdk_compat import process_of
from bot.copilot.session import LiveSession
from tests.integration.copilot.session_probe import answer_to, freeze, runs
from tests.scripted_model import ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def own_agent(options: RuntimeOptions, tmp_path: Path) -> AsyncIterator[CopilotAgent]:
    """An agent whose runtime may be frozen."""
    async with CopilotAgent(replace(options, data_dir=tmp_path)) as agent:
        yield agent


def pid_of(live: LiveSession) -> int:
    """The id of the session's process."""
    process = process_of(live.runtime.client)
    assert process is not None
    return process.pid


async def close_without_effect(agent: CopilotAgent, name: str) -> LiveSession:
    """A session with one turn that was closed while the runtime was frozen. It is still frozen."""
    stuck = await agent.open_session(name)
    await answer_to(stuck, "one")
    await freeze(pid_of(stuck))
    await stuck.close()
    assert not stuck.alive
    assert not stuck.runtime.gone
    return stuck


async def test_a_session_that_detaches_late_keeps_its_whole_history(
    own_agent: CopilotAgent, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "DETACH_SECONDS", 0.3)
    for number in range(10):  # one of five went wrong, blank or with an error
        stuck = await close_without_effect(own_agent, f"stuck-{number}")
        os.kill(pid_of(stuck), signal.SIGCONT)
        again = await own_agent.open_session(stuck.id)
        assert not again.is_new
        await answer_to(again, "two")
        assert model.requests[-1].prompts == ("one", "two")
        await again.close()


async def test_a_session_that_detaches_late_can_be_deleted(own_agent: CopilotAgent) -> None:
    """Otherwise it would stay on disk silently."""
    stuck = await close_without_effect(own_agent, "stuck")
    deleting = asyncio.create_task(own_agent.delete_sessions([stuck.id]))
    done, _ = await asyncio.wait({deleting}, timeout=1)
    os.kill(pid_of(stuck), signal.SIGCONT)
    assert not done
    assert (await deleting)[stuck.id] > 0
    assert stuck.id not in await own_agent.stored_sizes()


async def test_a_session_whose_opening_was_given_up_can_be_opened(
    own_agent: CopilotAgent, model: ScriptedModel
) -> None:
    """The runtime opens it anyway, without a caller."""
    pid = pid_of(await own_agent.open_session("other"))
    await freeze(pid)
    opening = asyncio.create_task(own_agent.open_session("given-up"))
    done, _ = await asyncio.wait({opening}, timeout=0.5)
    assert not done
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    os.kill(pid, signal.SIGCONT)
    again = await own_agent.open_session("given-up")
    await answer_to(again, "one")
    await answer_to(again, "two")
    assert model.requests[-1].prompts == ("one", "two")


@pytest.mark.parametrize("sent", ["session.resume", "session.create", "session.options.update"])
async def test_a_session_whose_opening_was_cancelled_can_be_opened_at_once(
    own_agent: CopilotAgent, monkeypatch: pytest.MonkeyPatch, sent: str
) -> None:
    """The cancelled opening ends in the runtime before the next one starts.

    Otherwise its end would close the session again.
    """
    request_sent = asyncio.Event()
    request = JsonRpcClient.request

    async def signal_and_request(self: JsonRpcClient, method: str, *args: Any, **more: Any) -> Any:
        response = asyncio.ensure_future(request(self, method, *args, **more))
        if method == sent:
            request_sent.set()
        return await response

    monkeypatch.setattr(JsonRpcClient, "request", signal_and_request)
    await own_agent.open_session("first")
    for number in range(10):
        for _ in range(2):
            request_sent.clear()
            opening = asyncio.create_task(own_agent.open_session(f"on-the-way-{number}"))
            await request_sent.wait()
            await asyncio.sleep(0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        opened = await own_agent.open_session(f"on-the-way-{number}")
        assert await answer_to(opened, "one") == "You said: one"


async def test_sessions_of_a_runtime_that_was_given_up_are_opened_once_its_process_has_ended(
    own_agent: CopilotAgent,
) -> None:
    """It may write into their histories until its end, and another one would read half of them."""
    lost = await own_agent.open_session("lost")
    pid = pid_of(lost)
    await answer_to(lost, "one")
    await freeze(pid)
    lost.runtime._mark_gone("its pipe is closed")  # noqa: SLF001 (as `Runtime.call` does)
    again = await own_agent.open_session(lost.id)
    assert not runs(pid)
    assert again.alive
