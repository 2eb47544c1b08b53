"""Tests which events of the runtime are passed on: all that the bot uses, few of the others."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from copilot import CopilotSession
from copilot.generated import session_events
from copilot.session_events import SessionEvent

from bot.copilot import sdk_compat
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentErrorKind
from tests.integration.copilot.session_probe import answer_to
from tests.scripted_model import Answer, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PIECES = [f"piece {number} " for number in range(40)]


class EventRecorder:
    """Counts the events that the runtime sent, and those that were dispatched, by type."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.dispatched: Counter[str] = Counter()


@pytest.fixture
def event_recorder(monkeypatch: pytest.MonkeyPatch) -> EventRecorder:
    recorder, lock = EventRecorder(), threading.Lock()
    dispatch = CopilotSession._dispatch_event  # noqa: SLF001

    def read_and_count(messages: sdk_compat._MessageReader) -> bytes | None:
        message = next_message(messages)
        if message is None:
            return None
        parsed = json.loads(message)
        kind = parsed.get("method", "")
        with lock:
            recorder.received[
                parsed["params"]["event"]["type"] if kind == "session.event" else kind
            ] += 1
        return message

    def dispatch_and_count(session: CopilotSession, event: SessionEvent) -> None:
        recorder.dispatched[event.raw_type or event.type.value] += 1
        dispatch(session, event)

    next_message = sdk_compat._MessageReader._next_message  # noqa: SLF001
    monkeypatch.setattr(sdk_compat._MessageReader, "_next_message", read_and_count)  # noqa: SLF001
    monkeypatch.setattr(CopilotSession, "_dispatch_event", dispatch_and_count)
    return recorder


@pytest_asyncio.fixture(loop_scope="module")
async def own_agent(
    options: RuntimeOptions, tmp_path: Path, event_recorder: EventRecorder
) -> AsyncIterator[CopilotAgent]:
    """An agent whose runtime is recorded from its start."""
    del event_recorder
    async with CopilotAgent(replace(options, data_dir=tmp_path)) as agent:
        yield agent


async def test_ignored_events_are_mostly_dropped_and_the_answer_is_complete(
    own_agent: CopilotAgent, model: ScriptedModel, event_recorder: EventRecorder
) -> None:
    model.when("a long one", Answer(chunks=_PIECES))
    live = await own_agent.open_session("heard")
    await answer_to(live, "first")
    event_recorder.received.clear()
    event_recorder.dispatched.clear()
    assert await answer_to(live, "a long one") == "".join(_PIECES)
    ignored = {
        kind: times
        for kind, times in event_recorder.received.items()
        if kind in sdk_compat.IGNORED_EVENTS
    }
    assert sdk_compat.IGNORED_EVENTS - set(ignored) == set(), "each of them comes with a turn"
    assert sum(ignored.values()) > len(_PIECES)
    dispatched_ignored = sum(
        times
        for kind, times in event_recorder.dispatched.items()
        if kind in sdk_compat.IGNORED_EVENTS
    )
    assert dispatched_ignored < sum(ignored.values()) / 2
    wanted = {
        kind: times
        for kind, times in event_recorder.received.items()
        if kind not in sdk_compat.IGNORED_EVENTS
    }
    for no_event in ("", "session.lifecycle"):
        wanted.pop(no_event, None)
    assert {kind: event_recorder.dispatched[kind] for kind in wanted} == wanted


async def test_a_session_with_only_ignored_events_counts_as_alive(
    options: RuntimeOptions,
    model: ScriptedModel,
    tmp_path: Path,
    event_recorder: EventRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a model that thinks without output would count as silent."""
    ignored = frozenset({*sdk_compat.IGNORED_EVENTS, "assistant.message_delta"})
    monkeypatch.setattr(sdk_compat, "IGNORED_EVENTS", ignored)
    monkeypatch.setattr(sdk_compat, "LIVENESS_SECONDS", 0.2)
    model.when("slowly", Answer(chunks=_PIECES[:12], chunk_delay=0.25))
    quick = replace(options, data_dir=tmp_path, silence_seconds=1.5)
    async with CopilotAgent(quick) as agent:
        assert await answer_to(await agent.open_session("lives"), "slowly") == "".join(_PIECES[:12])
    assert (
        event_recorder.dispatched["assistant.message_delta"]
        + event_recorder.dispatched["assistant.streaming_delta"]
        > 0
    )


async def test_a_session_that_does_nothing_is_silent(
    options: RuntimeOptions, model: ScriptedModel, tmp_path: Path
) -> None:
    model.when("nothing", Answer(fault="silence"))
    quick = replace(options, data_dir=tmp_path, silence_seconds=1.0)
    async with CopilotAgent(quick) as agent:
        with pytest.raises(AgentError) as caught:
            await answer_to(await agent.open_session("silent"), "nothing")
    model.release()
    assert caught.value.kind is AgentErrorKind.SILENT


async def test_moments_are_read_as_the_runtime_writes_them(agent: CopilotAgent) -> None:
    await agent.start_runtime()
    read_and_count = session_events.from_datetime("2026-11-24T11:38:23.916Z")
    assert read_and_count == datetime(2026, 11, 24, 11, 38, 23, 916_000, UTC)
    for wrong, error in ((7, AssertionError), ("yesterday", ValueError)):
        with pytest.raises(error):
            session_events.from_datetime(wrong)
