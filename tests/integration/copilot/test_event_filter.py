"""What of the runtime's events is heard: all that the bot wants to know, little of the rest."""

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
    """What came from the runtime, and what of it was made an event, by type."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()


@pytest.fixture
def event_recorder(monkeypatch: pytest.MonkeyPatch) -> EventRecorder:
    ears, lock = EventRecorder(), threading.Lock()
    dispatch = CopilotSession._dispatch_event  # noqa: SLF001

    def read(messages: sdk_compat._MessageReader) -> bytes | None:
        message = take(messages)
        if message is None:
            return None
        said = json.loads(message)
        kind = said.get("method", "")
        with lock:
            ears.came[said["params"]["event"]["type"] if kind == "session.event" else kind] += 1
        return message

    def hear(session: CopilotSession, event: SessionEvent) -> None:
        ears.heard[event.raw_type or event.type.value] += 1
        dispatch(session, event)

    take = sdk_compat._MessageReader._next_message  # noqa: SLF001
    monkeypatch.setattr(sdk_compat._MessageReader, "_next_message", read)  # noqa: SLF001
    monkeypatch.setattr(CopilotSession, "_dispatch_event", hear)
    return ears


@pytest_asyncio.fixture(loop_scope="module")
async def own_agent(
    options: RuntimeOptions, tmp_path: Path, event_recorder: EventRecorder
) -> AsyncIterator[CopilotAgent]:
    """An agent whose runtime is listened to from its start."""
    del event_recorder
    async with CopilotAgent(replace(options, data_dir=tmp_path)) as agent:
        yield agent


async def test_what_says_nothing_to_the_bot_is_hardly_received_and_the_answer_is_whole(
    own_agent: CopilotAgent, model: ScriptedModel, event_recorder: EventRecorder
) -> None:
    model.when("a long one", Answer(chunks=_PIECES))
    live = await own_agent.open_session("heard")
    await answer_to(live, "first")
    event_recorder.came.clear()
    event_recorder.heard.clear()
    assert await answer_to(live, "a long one") == "".join(_PIECES)
    needless = {
        kind: times
        for kind, times in event_recorder.came.items()
        if kind in sdk_compat.IGNORED_EVENTS
    }
    assert sdk_compat.IGNORED_EVENTS - set(needless) == set(), "each of them comes with a turn"
    assert sum(needless.values()) > len(_PIECES)
    heard_in_vain = sum(
        times for kind, times in event_recorder.heard.items() if kind in sdk_compat.IGNORED_EVENTS
    )
    assert heard_in_vain < sum(needless.values()) / 2
    wanted = {
        kind: times
        for kind, times in event_recorder.came.items()
        if kind not in sdk_compat.IGNORED_EVENTS
    }
    for no_event in ("", "session.lifecycle"):
        wanted.pop(no_event, None)
    assert {kind: event_recorder.heard[kind] for kind in wanted} == wanted


async def test_a_session_that_only_does_what_says_nothing_shows_that_it_lives(
    options: RuntimeOptions,
    model: ScriptedModel,
    tmp_path: Path,
    event_recorder: EventRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a model that thinks without a word would be given up for silent."""
    needless = frozenset({*sdk_compat.IGNORED_EVENTS, "assistant.message_delta"})
    monkeypatch.setattr(sdk_compat, "IGNORED_EVENTS", needless)
    monkeypatch.setattr(sdk_compat, "LIVENESS_SECONDS", 0.2)
    model.when("slowly", Answer(chunks=_PIECES[:12], chunk_delay=0.25))
    quick = replace(options, data_dir=tmp_path, silence_seconds=1.5)
    async with CopilotAgent(quick) as agent:
        assert await answer_to(await agent.open_session("lives"), "slowly") == "".join(_PIECES[:12])
    assert (
        event_recorder.heard["assistant.message_delta"]
        + event_recorder.heard["assistant.streaming_delta"]
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
    read = session_events.from_datetime("2026-11-24T11:38:23.916Z")
    assert read == datetime(2026, 11, 24, 11, 38, 23, 916_000, UTC)
    for wrong, error in ((7, AssertionError), ("yesterday", ValueError)):
        with pytest.raises(error):
            session_events.from_datetime(wrong)
