"""Tests that a runtime that dies, freezes or cannot start is noticed, reported and restarted."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from bot.copilot import runtime, session
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.copilot.sdk_compat import is_disconnected
from bot.errors import AgentError, AgentErrorKind
from tests.integration.copilot.session_probe import (
    answer_to,
    environment_of,
    first_text,
    freeze,
    runs,
    runtimes_of,
    wait_until,
)
from tests.scripted_model import MODEL_NAME, Answer, ScriptedModel

_OPEN_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions

async def main():
    options = RuntimeOptions(data_dir=Path(sys.argv[1]), base_url=sys.argv[2])
    async with CopilotAgent(options) as agent:
        live = await agent.open_session("orphan")
        print("open", flush=True)
        await asyncio.sleep(100)

asyncio.run(main())
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def own_agent(own_options: RuntimeOptions) -> AsyncIterator[CopilotAgent]:
    """An agent whose runtime may be killed."""
    async with CopilotAgent(own_options) as agent:
        yield agent


async def test_a_killed_runtime_is_noticed_and_restarted(
    own_agent: CopilotAgent, own_options: RuntimeOptions, model: ScriptedModel
) -> None:
    """Every running answer ends within 2 s, and the next `open` has the memory."""
    model.when("first", lambda request: request.prompts[0])
    model.when("hang", Answer(chunks=["a", "b"], hold_after=1))
    kept, other = await own_agent.open_session("kept"), await own_agent.open_session("other")
    await answer_to(kept, "keep this")
    held = model.holds
    asking = [
        asyncio.create_task(answer_to(kept, "hang on")),
        asyncio.create_task(answer_to(other, "hang on")),
    ]
    await model.reached(held + 2)
    [pid] = runtimes_of(own_options.data_dir)
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    ends = await asyncio.gather(*asking, return_exceptions=True)
    assert time.monotonic() - killed < 2
    assert [end.kind for end in ends if isinstance(end, AgentError)] == [AgentErrorKind.RUNTIME] * 2
    assert not kept.alive
    with pytest.raises(AgentError):
        await answer_to(kept, "hello?")
    again, too = await asyncio.gather(
        own_agent.open_session("kept"), own_agent.open_session("other")
    )
    assert await answer_to(again, "what was first?") == "keep this"
    assert too.alive
    assert len(runtimes_of(own_options.data_dir)) == 1, "two openers start one runtime"


async def test_a_runtime_that_dies_idle_is_noticed_too(
    own_agent: CopilotAgent, own_options: RuntimeOptions
) -> None:
    """Its sessions are not alive; stopping and closing them is harmless."""
    live = await own_agent.open_session("idle")
    [pid] = runtimes_of(own_options.data_dir)
    os.kill(pid, signal.SIGKILL)
    await wait_until(lambda: not live.alive)
    await live.abort()
    await live.close()
    assert await answer_to(await own_agent.open_session("idle"), "back?") == "You said: back?"


async def kill_unseen(options: RuntimeOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the runtime right after a check of the monitor, whose interval is 3 s from then on."""
    monkeypatch.setattr(runtime, "POLL_SECONDS", 3.0)
    # The monitor sleeps for its old interval at most.
    await asyncio.sleep(0.6)
    [pid] = runtimes_of(options.data_dir)
    os.kill(pid, signal.SIGKILL)


async def test_a_death_is_noticed_by_the_next_prompt_before_the_next_check(
    own_agent: CopilotAgent,
    own_options: RuntimeOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A turn that begins between the two must not be given the dead session a second time."""
    live = await own_agent.open_session("early")
    await kill_unseen(own_options, monkeypatch)
    with pytest.raises(AgentError) as caught:
        async with asyncio.timeout(2):
            await answer_to(live, "anybody there?")
    assert caught.value.kind is AgentErrorKind.RUNTIME
    assert not live.alive
    monkeypatch.setattr(runtime, "POLL_SECONDS", 0.5)
    assert await answer_to(await own_agent.open_session("early"), "back?") == "You said: back?"


async def test_a_death_is_noticed_by_the_next_open_after_the_connection_has_ended(
    own_agent: CopilotAgent,
    own_options: RuntimeOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The SDK then fails with its own error. A second call must not get it again."""
    live = await own_agent.open_session("early")
    await kill_unseen(own_options, monkeypatch)
    # The SDK does not report that its connection has ended.
    await wait_until(lambda: is_disconnected(live.runtime.client))
    assert live.alive, "nobody has noticed it yet"
    with pytest.raises(AgentError) as caught:
        async with asyncio.timeout(2):
            await own_agent.open_session("other")
    assert caught.value.kind is AgentErrorKind.RUNTIME
    monkeypatch.setattr(runtime, "POLL_SECONDS", 0.5)
    assert await answer_to(await own_agent.open_session("other"), "back?") == "You said: back?"


async def test_a_call_that_waits_for_an_answer_ends_with_the_runtime(
    own_agent: CopilotAgent, own_options: RuntimeOptions
) -> None:
    """The SDK would wait without end, and the bot's own timeout is 15 s."""
    live = await own_agent.open_session("waiting")
    [pid] = runtimes_of(own_options.data_dir)
    await freeze(pid)
    waiting = asyncio.create_task(live.switch_model("", ""))
    await asyncio.sleep(0)
    assert not waiting.done()
    os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    with pytest.raises(AgentError) as caught:
        await waiting
    assert time.monotonic() - killed < 2
    assert caught.value.kind is AgentErrorKind.RUNTIME


def history_of(options: RuntimeOptions, session_id: str) -> str:
    """The history of a session on disk."""
    return "".join(
        file.read_text()
        for file in options.data_dir.rglob("events.jsonl")
        if file.parent.name == session_id
    )


async def test_a_prompt_that_a_dead_runtime_left_unanswered_can_be_cut_out(
    own_agent: CopilotAgent, own_options: RuntimeOptions, model: ScriptedModel
) -> None:
    """Also if its id was not stored. Earlier answers stay."""
    model.when("hang", Answer(chunks=["a", "b"], hold_after=1))
    live = await own_agent.open_session("cut")
    await answer_to(live, "keep this")
    assert not (await live.prompt_ids()).unanswered
    held = model.holds
    asking = asyncio.create_task(answer_to(live, "hang on"))
    await model.reached(held + 1)
    # The runtime writes its history a moment after the turn has started.
    await wait_until(lambda: "hang on" in history_of(own_options, "cut"))
    [pid] = runtimes_of(own_options.data_dir)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(AgentError):
        await asking
    again = await own_agent.open_session("cut")
    [event] = (await again.prompt_ids()).unanswered
    assert await again.truncate_from(event)
    assert not (await again.prompt_ids()).unanswered
    await answer_to(again, "and now?")
    assert model.requests[-1].prompts == ("keep this", "and now?")


async def test_a_frozen_runtime_does_not_block_its_callers(
    own_agent: CopilotAgent,
    own_options: RuntimeOptions,
    model: ScriptedModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stop and leaving are bounded, and a ping finds out that the runtime has to be killed."""
    monkeypatch.setattr(runtime, "PING_EVERY", 1)
    monkeypatch.setattr(runtime, "PING_SECONDS", 2.0)
    monkeypatch.setattr(session, "STOP_SECONDS", 0.5)
    monkeypatch.setattr(session, "IDLE_SECONDS", 0.5)
    model.when("freeze", Answer(chunks=["a", "b"], hold_after=1))
    live = await own_agent.open_session("frozen")
    [pid] = runtimes_of(own_options.data_dir)
    async with asyncio.timeout(30), aclosing(live.ask("freeze")) as events:
        await first_text(events)
        await freeze(pid)
        begun = time.monotonic()
        await live.abort()
        [end] = [event async for event in events]
        assert type(end).__name__ == "AnswerStopped"
    assert time.monotonic() - begun < 5
    assert not live.alive, "nobody knows what this session does"
    await wait_until(lambda: not runtimes_of(own_options.data_dir))
    assert await answer_to(await own_agent.open_session("frozen"), "thawed?") == "You said: thawed?"


async def test_the_runtime_sees_no_token_and_keeps_to_its_folder(
    own_agent: CopilotAgent,
    own_options: RuntimeOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its environment has no tokens of Slack or of users, and its files are private."""
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-not-for-you")
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "not-for-you")
    monkeypatch.setenv("DATABASE_URL", "not-for-you")
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_not_for_you")
    await answer_to(await own_agent.open_session("private"), "hello")
    [pid] = runtimes_of(own_options.data_dir)
    env = environment_of(pid)
    assert not [value for value in env.values() if "not" in value and "for" in value]
    assert not [name for name in env if "SLACK" in name or "TOKEN" in name or "KEY" in name[-3:]]
    assert Path(env["HOME"]).is_relative_to(own_options.data_dir)
    assert own_options.api_key not in " ".join(env.values())
    assert os.getsid(pid) != os.getsid(0), "a Ctrl-C for the bot is not one for the runtime"
    for kept in (own_options.data_dir / "copilot").iterdir():
        assert stat.S_IMODE(kept.stat().st_mode) == (0o700 if kept.is_dir() else 0o600)
    written = [p for p in own_options.data_dir.rglob("*") if p.is_file()]
    assert written
    assert not [p for p in written if own_options.api_key.encode() in p.read_bytes()]


async def test_leaving_the_agent_ends_the_runtime(
    own_options: RuntimeOptions, model: ScriptedModel
) -> None:
    """Also in the middle of an answer; afterwards nothing opens."""
    model.when("leave", Answer(chunks=["a", "b"], hold_after=1))
    async with CopilotAgent(own_options) as agent:
        live = await agent.open_session("leaving")
        held = model.holds
        asking = asyncio.create_task(answer_to(live, "leave"))
        await model.reached(held + 1)
    assert runtimes_of(own_options.data_dir) == []
    with pytest.raises(AgentError) as caught:
        await asking
    assert caught.value.kind is AgentErrorKind.RUNTIME
    with pytest.raises(AgentError):
        await agent.open_session("late")


async def start_a_bot(options: RuntimeOptions) -> asyncio.subprocess.Process:
    """A separate process with an open session."""
    bot = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _OPEN_AND_WAIT,
        str(options.data_dir),
        options.base_url,
        stdout=asyncio.subprocess.PIPE,
    )
    assert bot.stdout is not None
    async with asyncio.timeout(30):
        assert await bot.stdout.readline() == b"open\n"
    return bot


async def the_next_bot_waits_for(last: int, options: RuntimeOptions) -> None:
    """Make sure that a session is opened only once a frozen runtime, woken here, has ended."""
    async with CopilotAgent(options) as agent:
        opening = asyncio.create_task(agent.open_session("orphan"))
        done, _ = await asyncio.wait({opening}, timeout=2)
        assert not done
        assert runs(last)
        os.kill(last, signal.SIGCONT)
        assert await answer_to(await opening, "back?") == "You said: back?"
        assert not runs(last)


async def test_a_bot_that_is_killed_leaves_no_runtime_behind(
    own_options: RuntimeOptions,
) -> None:
    """The runtime notices that the bot has gone."""
    bot = await start_a_bot(own_options)
    [pid] = runtimes_of(own_options.data_dir, parent=bot.pid)
    bot.kill()
    await bot.wait()
    await wait_until(lambda: not runs(pid), within=10)


async def test_the_next_runtime_starts_only_once_the_last_one_has_ended(
    own_options: RuntimeOptions,
) -> None:
    """Both would write into the same histories. The last one is slow to end here."""
    bot = await start_a_bot(own_options)
    [last] = runtimes_of(own_options.data_dir, parent=bot.pid)
    await freeze(last)
    bot.kill()
    await bot.wait()
    await the_next_bot_waits_for(last, own_options)


async def test_a_previous_runtime_that_does_not_end_is_awaited_for_a_bounded_time(
    own_options: RuntimeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "PREVIOUS_RUNTIME_SECONDS", 0.5)
    bot = await start_a_bot(own_options)
    [last] = runtimes_of(own_options.data_dir, parent=bot.pid)
    await freeze(last)
    bot.kill()
    await bot.wait()
    try:
        async with CopilotAgent(own_options) as agent:
            assert (
                await answer_to(await agent.open_session("other"), "hello?") == "You said: hello?"
            )
    finally:
        os.kill(last, signal.SIGKILL)


async def test_the_model_is_found_out_when_its_server_comes_up_later(
    own_options: RuntimeOptions,
) -> None:
    """Until then any name works. The bot needs no restart."""
    async with ScriptedModel() as early:
        port = int(early.url.split(":")[2].split("/")[0])
    options = replace(own_options, base_url=early.url)
    async with CopilotAgent(options) as agent:
        before = await agent.open_session("early")
        async with ScriptedModel(port) as late:
            await answer_to(before, "which model?")
            await answer_to(await agent.open_session("late"), "and now?")
    assert [request.model for request in late.requests] == ["default", MODEL_NAME]


@pytest.mark.parametrize("content", ["#!/bin/sh\nexit 3\n", "\0no program\n"])
async def test_a_runtime_that_does_not_start_is_reported(
    own_options: RuntimeOptions, tmp_path: Path, content: str
) -> None:
    """It ends at once, or is no program at all."""
    broken = tmp_path / "broken"
    broken.write_text(content)
    broken.chmod(0o700)
    async with CopilotAgent(replace(own_options, cli_path=broken)) as agent:
        with pytest.raises(AgentError, match="did not start") as caught:
            await agent.open_session("never")
    assert caught.value.kind is AgentErrorKind.RUNTIME


async def test_a_runtime_that_never_answers_is_killed(
    own_options: RuntimeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is bounded, and nothing of it is left."""
    monkeypatch.setattr(runtime, "START_SECONDS", 0.5)
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexec sleep 100\n")
    mute.chmod(0o700)
    async with CopilotAgent(replace(own_options, cli_path=mute)) as agent:
        with pytest.raises(AgentError, match=r"no answer within 0\.5 s"):
            await agent.start_runtime()
    assert runtimes_of(own_options.data_dir) == []


async def test_opening_is_bounded(
    own_options: RuntimeOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of its steps are slow; and the next one may try again."""
    monkeypatch.setattr("bot.copilot.agent.OPEN_SECONDS", 0.5)
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexec sleep 100\n")
    mute.chmod(0o700)
    async with CopilotAgent(replace(own_options, cli_path=mute)) as agent:
        for _ in range(2):
            with pytest.raises(AgentError, match="did not open") as caught:
                await agent.open_session("never")
            assert caught.value.kind is AgentErrorKind.RUNTIME
    assert runtimes_of(own_options.data_dir) == []


async def test_a_data_folder_that_cannot_be_written_is_reported(
    own_options: RuntimeOptions, tmp_path: Path
) -> None:
    """Instead of a runtime that hangs, as it does without a home."""
    (tmp_path / "file").write_text("")
    wrong = replace(own_options, data_dir=tmp_path / "file")
    async with CopilotAgent(wrong) as agent:
        with pytest.raises(AgentError, match="cannot be created"):
            await agent.open_session("never")
