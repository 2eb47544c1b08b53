"""Tests errors of the model: their kind, and that the session survives them.

The runtime retries after most errors, in some cases for many seconds. Those are in
`test_events.py`, with measured events of the runtime.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from bot.copilot.agent import CopilotAgent
from bot.copilot.event_stream import MAX_ANSWER_CHARS
from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentErrorKind
from tests.fakes import ManualClock
from tests.integration.copilot.session_probe import answer_to, first_text
from tests.scripted_model import Answer, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def clock() -> ManualClock:
    """The clock that measures silence in this module."""
    return ManualClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def patient(
    options: RuntimeOptions, clock: ManualClock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CopilotAgent]:
    """An agent that waits 120 s of the manual clock for an event."""
    own = replace(options, clock=clock, data_dir=tmp_path_factory.mktemp("patient"))
    async with CopilotAgent(own) as shared:
        yield shared


@pytest.mark.parametrize(
    ("fault", "meaning"),
    [
        (Answer(fault=400), AgentErrorKind.MODEL),
        (Answer(fault=400, code="context_length_exceeded"), AgentErrorKind.TOO_LONG),
        (Answer(fault=401), AgentErrorKind.ACCESS),
        (Answer(fault=403), AgentErrorKind.ACCESS),
        (Answer(fault=404), AgentErrorKind.ACCESS),
        (Answer(""), AgentErrorKind.EMPTY),
    ],
    ids=["bad request", "too long", "bad key", "forbidden", "no such model", "no text"],
)
async def test_a_fault_of_the_model_is_reported_by_its_kind(
    agent: CopilotAgent,
    model: ScriptedModel,
    session_id: str,
    fault: Answer,
    meaning: AgentErrorKind,
) -> None:
    """Users see no exception text, operators see no key. The session answers the next prompt."""
    model.when("trouble", fault)
    session = await agent.open_session(session_id)
    with pytest.raises(AgentError) as caught:
        await answer_to(session, "trouble")
    assert caught.value.kind is meaning
    assert "127.0.0.1" not in caught.value.user_message
    assert "sk-very-secret" not in str(caught.value)
    assert session.alive
    assert await answer_to(session, "better now?") == "You said: better now?"


async def test_a_prompt_beyond_the_models_context_is_too_long(
    agent: CopilotAgent, session_id: str
) -> None:
    """The runtime does not call the model, and the session continues."""
    session = await agent.open_session(session_id)
    with pytest.raises(AgentError) as caught:
        await answer_to(session, "word " * 300_000)
    assert caught.value.kind is AgentErrorKind.TOO_LONG
    assert await answer_to(session, "shorter") == "You said: shorter"


@pytest.mark.parametrize(
    "fault",
    [Answer(fault=429, retry_after=1, times=1), Answer(fault=500, times=1)],
    ids=["rate limit", "server error"],
)
async def test_a_passing_fault_is_not_noticed(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, fault: Answer
) -> None:
    """The runtime asks again, and there is an answer."""
    model.when("hiccup", fault)
    assert await answer_to(await agent.open_session(session_id), "hiccup") == "You said: hiccup"


@pytest.mark.parametrize(
    "answer",
    [Answer(fault="silence"), Answer(chunks=["a", "b"], hold_after=1)],
    ids=["not a word", "half-way"],
)
async def test_a_model_that_goes_silent_is_given_up(
    patient: CopilotAgent,
    model: ScriptedModel,
    clock: ManualClock,
    session_id: str,
    answer: Answer,
) -> None:
    """After 120 s without a sign of life, not before; the model's connection is closed."""
    model.when("hush", answer)
    session = await patient.open_session(session_id)
    held, gone = model.holds, model.disconnects
    asking = asyncio.create_task(answer_to(session, "hush"))
    await model.reached(held + 1)
    # The runtime answers in order, so all earlier events have arrived after this call.
    await patient.open_session(f"{session_id}-beside")
    await clock.advance(119)
    assert not asking.done()
    await clock.advance(2)
    with pytest.raises(AgentError) as caught:
        await asking
    assert caught.value.kind is AgentErrorKind.SILENT
    await model.disconnected(gone + 1, within=30)
    assert await answer_to(session, "awake?") == "You said: awake?"


async def test_a_slow_model_is_not_a_silent_one(
    patient: CopilotAgent, model: ScriptedModel, clock: ManualClock, session_id: str
) -> None:
    """Every piece of text restarts the timeout."""
    model.when("slow", Answer(chunks=["a", "b"], hold_after=1))
    session = await patient.open_session(session_id)
    events = session.ask("slow")
    await first_text(events)
    await clock.advance(100)
    model.release()
    async with asyncio.timeout(30):
        rest = [event async for event in events]
    assert rest


async def test_a_model_that_never_ends_is_cut_off(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """An answer that is too long for any Slack thread is an error."""
    model.when("ramble", Answer(chunks=["x" * 20_000] * (MAX_ANSWER_CHARS // 20_000 + 5)))
    session = await agent.open_session(session_id)
    with pytest.raises(AgentError) as caught:
        await answer_to(session, "ramble")
    assert caught.value.kind is AgentErrorKind.MODEL
    assert await answer_to(session, "enough") == "You said: enough"
