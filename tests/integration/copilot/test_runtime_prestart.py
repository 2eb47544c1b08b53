"""Tests a runtime that is started before it is needed: once, and ended like any other."""

from __future__ import annotations

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from bot.copilot import runtime
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentErrorKind
from tests.integration.copilot.session_probe import answer_to, runtimes_of, wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")


def hanging(options: RuntimeOptions, folder: Path) -> RuntimeOptions:
    """Options with a runtime that never answers."""
    mute = folder / "mute"
    mute.write_text("#!/bin/sh\nexec sleep 100\n", encoding="utf-8")
    mute.chmod(mute.stat().st_mode | stat.S_IXUSR)
    return replace(options, cli_path=mute)


async def test_a_start_in_the_background_is_awaited_and_not_repeated(
    own_options: RuntimeOptions,
) -> None:
    async with CopilotAgent(own_options) as agent:
        agent.start_runtime_in_background()
        await agent.start_runtime()
        [only] = runtimes_of(own_options.data_dir)
        assert await answer_to(await agent.open_session("begun"), "hello") == "You said: hello"
        assert runtimes_of(own_options.data_dir) == [only]


async def test_a_waiting_caller_gets_the_reason_of_a_failed_start(
    own_options: RuntimeOptions,
) -> None:
    async with CopilotAgent(replace(own_options, cli_path=Path("/nowhere/copilot"))) as agent:
        agent.start_runtime_in_background()
        with pytest.raises(AgentError, match="there is no Copilot runtime at") as caught:
            await agent.start_runtime()
        assert caught.value.kind is AgentErrorKind.RUNTIME


async def test_closing_does_not_wait_for_a_start_that_is_not_needed(
    own_options: RuntimeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "START_SECONDS", 1_000.0)
    mute = hanging(own_options, tmp_path)
    async with asyncio.timeout(60):
        async with CopilotAgent(mute) as agent:
            agent.start_runtime_in_background()
            await wait_until(lambda: len(runtimes_of(mute.data_dir)) == 1)
        await wait_until(lambda: not runtimes_of(mute.data_dir))


async def test_a_failed_start_without_a_waiting_caller_has_no_effect(
    own_options: RuntimeOptions,
) -> None:
    async with CopilotAgent(replace(own_options, cli_path=Path("/nowhere/copilot"))) as agent:
        agent.start_runtime_in_background()
        for _ in range(3):
            await asyncio.sleep(0)
