"""What each event of the runtime means to us; the events are as measured with CLI 1.0.102."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from copilot.session_events import (
    AssistantMessageData,
    AssistantMessageDeltaData,
    AssistantReasoningDeltaData,
    AssistantTurnRetryData,
    AssistantUsageData,
    ModelCallFailureData,
    ModelCallFailureKind,
    ModelCallFailureSource,
    ModelCallStartData,
    SessionErrorData,
    SessionEvent,
    SessionEventData,
    SessionEventType,
    SessionIdleData,
    SessionUsageInfoData,
    UserMessageData,
)
from hypothesis import given
from hypothesis import strategies as st

from bot.copilot.event_stream import MAX_ANSWER_CHARS, PromptEvents
from bot.copilot.events import EventReader, SessionIdle, prompt_ids_of
from bot.copilot.options import RuntimeOptions
from bot.domain.agent_events import (
    AgentEvent,
    AnswerStopped,
    ContextUsage,
    PromptAccepted,
    TextComplete,
    TextDelta,
    TextRetracted,
    TokensUsed,
)
from bot.errors import AgentError, AgentErrorKind
from bot.ports import PromptIds
from tests.fakes import ManualClock
from tests.integration.copilot.session_probe import text_of

OPTIONS = RuntimeOptions(data_dir=Path("unused"), api_key="sk-hidden", clock=ManualClock())


def event(data: SessionEventData, agent: str | None = None) -> SessionEvent:
    """An event as the SDK hands it over."""
    return SessionEvent(
        data=data,
        id=UUID(int=1),
        timestamp=datetime(2026, 10, 1, tzinfo=UTC),
        type=SessionEventType.UNKNOWN,
        agent_id=agent,
    )


def delta(text: str) -> SessionEvent:
    return event(AssistantMessageDeltaData(delta_content=text, message_id="m"))


def message(text: str) -> SessionEvent:
    return event(AssistantMessageData(content=text, message_id="m"))


def usage() -> SessionEvent:
    return event(AssistantUsageData(model="m", input_tokens=5, output_tokens=None))


def call() -> SessionEvent:
    return event(ModelCallStartData(turn_id="0"))


def failure(
    status: int | None = None, code: str | None = None, *, transport: bool = False
) -> SessionEvent:
    kind = ModelCallFailureKind.TRANSPORT if transport else ModelCallFailureKind.API
    return event(
        ModelCallFailureData(
            source=ModelCallFailureSource.TOP_LEVEL,
            failure_kind=kind,
            status_code=status,
            error_code=code,
        )
    )


def error(kind: str = "query", status: int | None = None, text: str = "as it is") -> SessionEvent:
    return event(SessionErrorData(error_type=kind, message=text, status_code=status))


def idle(*, aborted: bool | None = None) -> SessionEvent:
    return event(SessionIdleData(aborted=aborted))


@pytest.mark.parametrize(
    ("given_event", "meaning"),
    [
        (delta("hi"), TextDelta(text="hi")),
        (delta(""), None),
        (message("hi"), TextComplete(text="hi")),
        (event(AssistantTurnRetryData(turn_id="0")), TextRetracted()),
        (usage(), TokensUsed(model="m", input_tokens=5, output_tokens=0)),
        (event(UserMessageData(content="x")), PromptAccepted(event_id=str(UUID(int=1)))),
        (
            event(SessionUsageInfoData(current_tokens=7, messages_length=1, token_limit=9)),
            ContextUsage(tokens=7, limit=9),
        ),
        (event(UserMessageData(content="x"), agent="sub"), None),
        (idle(), SessionIdle(stopped=False)),
        (idle(aborted=True), SessionIdle(stopped=True)),
        (event(AssistantReasoningDeltaData(delta_content="hm", reasoning_id="r")), None),
        (
            event(AssistantMessageDeltaData(delta_content="x", message_id="m"), agent="sub"),
            None,
        ),
        (event(AssistantMessageData(content="x", message_id="m"), agent="sub"), None),
        (event(SessionIdleData(), agent="sub"), None),
    ],
)
def test_an_event_is_translated_to_its_meaning(given_event: SessionEvent, meaning: object) -> None:
    """Text, tokens and rest; thoughts and sub-agents are not part of the answer."""
    assert EventReader().translate(given_event) == meaning


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([failure(400), error(status=400)], AgentErrorKind.MODEL),
        ([failure(422), error(status=422)], AgentErrorKind.MODEL),
        ([failure(400, "context_length_exceeded"), error(status=400)], AgentErrorKind.TOO_LONG),
        ([failure(401), error("authentication", 401)], AgentErrorKind.ACCESS),
        ([failure(402), error(status=402)], AgentErrorKind.ACCESS),
        ([failure(403), error("authentication", 403)], AgentErrorKind.ACCESS),
        ([failure(404), error(status=404)], AgentErrorKind.ACCESS),
        ([failure(413), error(text="rejected the prompt as too long")], AgentErrorKind.TOO_LONG),
        ([failure(429), error("rate_limit", 429)], AgentErrorKind.RATE_LIMIT),
        ([failure(500), error(status=500)], AgentErrorKind.MODEL),
        ([failure(503), error(status=503)], AgentErrorKind.UNREACHABLE),
        ([failure(transport=True), error()], AgentErrorKind.UNREACHABLE),
        (
            [call(), failure(429), call(), failure(transport=True), error()],
            AgentErrorKind.UNREACHABLE,
        ),
        ([call(), usage(), error(text="No response was returned.")], AgentErrorKind.EMPTY),
        (
            [error(text="Request exceeds the model's prompt budget (9; limit 2)")],
            AgentErrorKind.TOO_LONG,
        ),
        ([error()], AgentErrorKind.MODEL),
        ([error("something new")], AgentErrorKind.MODEL),
    ],
)
def test_an_error_is_known_by_its_type_status_and_what_came_before(
    events: list[SessionEvent], fault: AgentErrorKind
) -> None:
    """The users in the thread get the message of its kind."""
    reader = EventReader()
    read = [reader.translate(one) for one in events][-1]
    assert isinstance(read, AgentError)
    assert read.kind is fault


def test_an_error_keeps_its_secrets() -> None:
    """A model server may repeat the key that it refuses."""
    read = EventReader(OPTIONS.sanitize_for_log).translate(error(text="wrong key: sk-hidden"))
    assert isinstance(read, AgentError)
    assert "sk-hidden" not in str(read)
    assert "as it is" not in read.user_message


def test_trouble_with_storing_is_no_trouble_with_the_answer() -> None:
    """The runtime stores again later; the answer goes on."""
    assert (
        EventReader().translate(error(text="Failed to persist session events: disk full")) is None
    )


async def read_all(prompt_events: PromptEvents) -> list[AgentEvent]:
    """What a reader gets. Raises the error that the answer ends with."""
    events = []
    async with asyncio.timeout(30):
        while (one := await prompt_events.next_event()) is not None:
            events.append(one)
    return events


async def test_text_that_piles_up_is_put_together() -> None:
    """Even for a slow reader the pending text is one entry."""
    prompt_events = PromptEvents(OPTIONS)
    for letter in "abc":
        prompt_events.handle_event(delta(letter))
    prompt_events.handle_event(usage())
    prompt_events.handle_event(idle())
    assert await read_all(prompt_events) == [
        TextDelta(text="abc"),
        TokensUsed(model="m", input_tokens=5, output_tokens=0),
    ]


async def test_of_what_the_context_holds_only_the_last_counts() -> None:
    """Even if it is reported several times before a read."""
    prompt_events = PromptEvents(OPTIONS)
    for tokens in (1, 2, 3):
        prompt_events.handle_event(
            event(SessionUsageInfoData(current_tokens=tokens, messages_length=1, token_limit=9))
        )
    prompt_events.handle_event(idle())
    assert await read_all(prompt_events) == [ContextUsage(tokens=3, limit=9)]


async def test_an_error_comes_after_what_was_said() -> None:
    """The reader gets the text first, then the error."""
    prompt_events = PromptEvents(OPTIONS)
    for each in (delta("so far"), error(status=500), idle()):
        prompt_events.handle_event(each)
    assert await prompt_events.next_event() == TextDelta(text="so far")
    with pytest.raises(AgentError):
        await prompt_events.next_event()
    assert prompt_events.runtime_done.is_set()


async def test_a_stopped_answer_says_so_last() -> None:
    """And ignores later events."""
    prompt_events = PromptEvents(OPTIONS)
    for each in (delta("a"), idle(aborted=True), delta("late"), idle()):
        prompt_events.handle_event(each)
    assert await read_all(prompt_events) == [TextDelta(text="a"), AnswerStopped()]


async def test_an_error_without_rest_still_ends_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session normally becomes idle right after an error. If not, the answer still ends."""
    monkeypatch.setattr("bot.copilot.event_stream.ERROR_SECONDS", 0.05)
    prompt_events = PromptEvents(OPTIONS)
    prompt_events.handle_event(error(status=500))
    with pytest.raises(AgentError):
        await read_all(prompt_events)
    assert not prompt_events.runtime_done.is_set(), "so that the session is made to rest"


async def test_a_runtime_that_goes_ends_the_answer() -> None:
    """With the fault that says so."""
    prompt_events = PromptEvents(OPTIONS)
    prompt_events.fail_runtime_gone("status -9")
    with pytest.raises(AgentError) as caught:
        await read_all(prompt_events)
    assert caught.value.kind is AgentErrorKind.RUNTIME


async def test_silence_is_measured_from_the_last_sign_of_life() -> None:
    """Any event is one, also those that mean nothing to us."""
    clock = ManualClock()
    prompt_events = PromptEvents(replace(OPTIONS, clock=clock, silence_seconds=10))
    await clock.advance(9)
    prompt_events.handle_event(call())
    await clock.advance(9)
    early = prompt_events.is_complete
    await clock.advance(2)
    assert (early, prompt_events.is_complete) == (False, True)
    with pytest.raises(AgentError) as caught:
        await read_all(prompt_events)
    assert caught.value.kind is AgentErrorKind.SILENT


async def test_a_process_that_was_stopped_first_receives_what_came_meanwhile() -> None:
    """Before it takes its own absence for the silence of the model."""
    clock = ManualClock()
    prompt_events = PromptEvents(replace(OPTIONS, clock=clock, silence_seconds=120))
    prompt_events.handle_event(delta("so far"))
    await clock.jump(125)
    assert not prompt_events.is_complete
    prompt_events.handle_event(delta(" and to its end"))
    prompt_events.handle_event(idle())
    assert len(await read_all(prompt_events)) == 1


async def test_an_answer_that_is_never_read_stays_bounded() -> None:
    """It ends as an error instead of filling the memory."""
    prompt_events = PromptEvents(OPTIONS)
    for _ in range(MAX_ANSWER_CHARS // 1_000 + 100):
        prompt_events.handle_event(delta("x" * 1_000))
    prompt_events.handle_event(idle())
    chars = 0

    async def read() -> None:
        nonlocal chars
        while isinstance(event := await prompt_events.next_event(), TextDelta):
            chars += len(event.text)

    with pytest.raises(AgentError):
        await read()
    assert MAX_ANSWER_CHARS < chars <= MAX_ANSWER_CHARS + 1_000


@given(
    tries=st.lists(st.lists(st.text(max_size=5), max_size=5), max_size=3),
    chunks=st.lists(st.text(max_size=5), max_size=8),
    reads=st.lists(st.booleans(), max_size=30),
)
def test_what_the_reader_gets_is_what_the_model_said(
    tries: list[list[str]], chunks: list[str], reads: list[bool]
) -> None:
    """For any chunks, any failed attempts before, and any times of reading."""
    script = []
    for words in tries:
        script += [delta(word) for word in words]
        script.append(event(AssistantTurnRetryData(turn_id="0")))
    script += [delta(word) for word in chunks] + [message("".join(chunks)), idle()]

    async def play() -> list[AgentEvent]:
        prompt_events = PromptEvents(OPTIONS)
        got = []
        for number, each in enumerate(script):
            prompt_events.handle_event(each)
            wants = number < len(reads) and reads[number]
            if (
                wants
                and prompt_events.pending_count
                and (one := await prompt_events.next_event()) is not None
            ):
                got.append(one)
        return got + await read_all(prompt_events)

    assert text_of(asyncio.run(play())) == "".join(chunks)


def test_the_prompts_of_a_history_are_reported_and_those_at_its_end_without_an_answer() -> None:
    def entry(kind: str, number: int, **more: object) -> dict[str, object]:
        return {"type": kind, "id": str(UUID(int=number)), "data": {}, **more}

    history = [
        entry("user.message", 1),
        entry("assistant.message", 2),
        entry("user.message", 3),
        entry("session.error", 4),
        entry("user.message", 5),
        entry("user.message", 6, agentId="another"),
        entry("assistant.message", 7, agentId="another"),
    ]
    first, *others = (str(UUID(int=number)) for number in (1, 3, 5))
    assert prompt_ids_of(history) == PromptIds(all=[first, *others], unanswered=others)
    assert prompt_ids_of(history[:2]) == PromptIds(all=[first], unanswered=[])
    assert prompt_ids_of([]) == PromptIds(all=[], unanswered=[])
