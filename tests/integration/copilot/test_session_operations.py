"""Tests operations on sessions other than prompts, on the real runtime and as the model sees them.

Several of the runtime's functions behind them are marked experimental. These tests fail when one of
them changes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from contextlib import aclosing
from dataclasses import replace

import pytest
from copilot import CopilotSession
from copilot._jsonrpc import JsonRpcError
from copilot.rpc import CurrentModel, ModelApi

from bot.copilot.agent import DELETE_BATCH_SIZE, CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.copilot.runtime import Runtime
from bot.domain.agent_events import PromptAccepted
from bot.errors import AgentError, AgentErrorKind
from bot.ports import AgentSession, SessionConfig
from tests.fakes import ManualClock
from tests.integration.copilot.session_probe import (
    answer_to,
    events_of,
    first_text,
    runtimes_of,
    wait_until,
)
from tests.scripted_model import MODEL_NAME, Answer, ScriptedModel

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def event_of(session: AgentSession, prompt: str) -> str:
    """Ask, and give the prompt's id in the session's history."""
    [accepted] = [e for e in await events_of(session, prompt) if isinstance(e, PromptAccepted)]
    return accepted.event_id


async def prompts_after(session: AgentSession, model: ScriptedModel, prompt: str) -> list[str]:
    """All prompts that the model is sent when the session is asked one more."""
    await answer_to(session, prompt)
    return list(model.requests[-1].prompts)


# Copies ----------------------------------------------------------------------------------------


async def test_a_copy_knows_all_and_goes_its_own_way(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """What is said in one is not known to the other."""
    session = await agent.open_session(session_id)
    await answer_to(session, "one")
    copy = await agent.open_session(await agent.fork_session(session_id, title="A copy"))
    assert copy.id != session_id
    assert await prompts_after(copy, model, "in the copy") == ["one", "in the copy"]
    assert await prompts_after(session, model, "two") == ["one", "two"]


async def test_a_copy_can_end_before_a_prompt(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """That prompt and what came after are not in it; ids of prompts are the same in the copy."""
    session = await agent.open_session(session_id)
    first = await event_of(session, "one")
    second = await event_of(session, "two")
    third = await event_of(session, "three")
    copy = await agent.open_session(await agent.fork_session(session_id, before=third))
    assert await prompts_after(copy, model, "go on") == ["one", "two", "go on"]
    assert await copy.truncate_from(second)
    assert await prompts_after(copy, model, "again") == ["one", "again"]
    blank = await agent.open_session(await agent.fork_session(session_id, before=first))
    assert await prompts_after(blank, model, "anew") == ["anew"]


async def test_a_copy_can_be_made_of_a_session_that_is_closed(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """Most of them are."""
    session = await agent.open_session(session_id)
    await answer_to(session, "one")
    await session.close()
    copy = await agent.open_session(await agent.fork_session(session_id))
    assert await prompts_after(copy, model, "two") == ["one", "two"]


async def test_a_copy_can_be_made_while_the_session_answers(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """The answer that is under way is not in it, and not disturbed."""
    model.when("at length", Answer(chunks=["so ", "long"], hold_after=1))
    session = await agent.open_session(session_id)
    await answer_to(session, "one")
    async with asyncio.timeout(20), aclosing(session.ask("at length")) as events:
        await first_text(events)
        copy = await agent.open_session(await agent.fork_session(session_id))
        assert (await prompts_after(copy, model, "and?"))[0] == "one"
        assert "so " not in [text for _, text in model.requests[-1].messages]
        model.release()
        assert (await first_text(events)).text == "long"
        assert [event async for event in events]


async def test_there_is_no_copy_of_nothing(agent: CopilotAgent, session_id: str) -> None:
    """Of a session that never was, that was never asked, and from a prompt that is not there."""
    session = await agent.open_session(session_id)
    with pytest.raises(AgentError) as no_history:
        await agent.fork_session(session_id)
    await session.close()
    with pytest.raises(AgentError) as closed:
        await agent.fork_session(session_id)
    with pytest.raises(AgentError) as unknown:
        await agent.fork_session("never-was")
    session_with_prompt = await agent.open_session(session_id)
    await answer_to(session_with_prompt, "one")
    with pytest.raises(AgentError) as no_prompt:
        await agent.fork_session(session_id, before=str(uuid.uuid4()))
    caught = [no_history, closed, unknown, no_prompt]
    assert {each.value.kind for each in caught} == {AgentErrorKind.NO_SESSION}


# Forgetting ------------------------------------------------------------------------------------


async def test_a_session_forgets_from_a_prompt_on(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """Also for good: after it was closed and opened again."""
    session = await agent.open_session(session_id)
    await answer_to(session, "one")
    second = await event_of(session, "two")
    await answer_to(session, "three")
    assert await session.truncate_from(second)
    assert not await session.truncate_from(second), "it is not there any more"
    assert await prompts_after(session, model, "other") == ["one", "other"]
    await session.close()
    again = await agent.open_session(session_id)
    assert await prompts_after(again, model, "last") == ["one", "other", "last"]


async def test_what_is_forgotten_does_not_take_the_models_switch_along(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """To the runtime a switch is an event of the history like any other."""
    session = await agent.open_session(session_id)
    first = await event_of(session, "one")
    await session.switch_model("other-model", "high")
    assert await session.truncate_from(first)
    await answer_to(session, "anew")
    assert (model.requests[-1].model, model.requests[-1].effort) == ("other-model", "high")


async def test_a_session_can_forget_everything(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """And be opened again afterwards."""
    session = await agent.open_session(session_id)
    first = await event_of(session, "one")
    assert await session.truncate_from(first)
    await session.close()
    again = await agent.open_session(session_id)
    assert await prompts_after(again, model, "anew") == ["anew"]


async def test_a_prompt_without_an_answer_can_be_forgotten(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """One that was stopped, and one whose answer failed."""
    model.when("stop me", Answer(chunks=["a", "b"], hold_after=1))
    model.when("fail", Answer(fault=400))
    session = await agent.open_session(session_id)
    await answer_to(session, "one")
    async with asyncio.timeout(20), aclosing(session.ask("stop me")) as events:
        accepted = await anext(events)
        await first_text(events)
        await session.abort()
    assert isinstance(accepted, PromptAccepted)
    with pytest.raises(AgentError):
        await answer_to(session, "fail")
    assert await session.truncate_from(accepted.event_id)
    assert await prompts_after(session, model, "two") == ["one", "two"]


@pytest.mark.parametrize("event", ["", "nonsense", str(uuid.UUID(int=7))])
async def test_what_is_not_in_the_history_is_not_forgotten(
    agent: CopilotAgent, model: ScriptedModel, session_id: str, event: str
) -> None:
    """Nothing else is, either."""
    session = await agent.open_session(session_id)
    await answer_to(session, "one")
    assert not await session.truncate_from(event)
    assert await prompts_after(session, model, "two") == ["one", "two"]


# Side questions --------------------------------------------------------------------------------


async def test_a_side_question_knows_the_history_and_does_not_enter_it(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """Before the first prompt, between two, and while an answer is under way."""
    model.when("at length", Answer(chunks=["so ", "long"], hold_after=1))
    session = await agent.open_session(session_id)
    assert await session.ask_side_question("hello?") == "You said: hello?"
    await answer_to(session, "one")
    assert await session.ask_side_question("what was that?") == "You said: what was that?"
    assert model.requests[-1].prompts == ("one", "what was that?")
    async with asyncio.timeout(20), aclosing(session.ask("at length")) as events:
        await first_text(events)
        assert await session.ask_side_question("and now?") == "You said: and now?"
        model.release()
        assert [event async for event in events]
    assert await prompts_after(session, model, "two") == ["one", "at length", "two"]


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (Answer(fault=400), AgentErrorKind.MODEL),
        (Answer(fault=404), AgentErrorKind.ACCESS),
        (Answer(fault="cut", text="a b c d e f g h i j k l m"), AgentErrorKind.UNREACHABLE),
        (Answer(""), AgentErrorKind.EMPTY),
    ],
    ids=["bad request", "no such model", "cut", "no text"],
)
async def test_a_side_question_that_fails_is_reported_by_its_kind(
    agent: CopilotAgent,
    model: ScriptedModel,
    session_id: str,
    answer: Answer,
    meaning: AgentErrorKind,
) -> None:
    """And the session goes on."""
    model.when("beside", answer)
    session = await agent.open_session(session_id)
    with pytest.raises(AgentError) as caught:
        await session.ask_side_question("beside")
    assert caught.value.kind is meaning
    assert await answer_to(session, "well?") == "You said: well?"


# Models ----------------------------------------------------------------------------------------


async def test_a_session_goes_on_with_another_model(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """Live, with an effort and without it again, and back to the usual one."""
    session = await agent.open_session(session_id)
    used = []
    for name, effort in (("m-1", ""), ("m-1", "high"), ("m-2", "high"), ("m-2", ""), ("", "")):
        await session.switch_model(name, effort)
        assert (session.config.model, session.config.effort) == (name, effort)
        await answer_to(session, "who are you?")
        used.append((model.requests[-1].model, model.requests[-1].effort))
    assert used == [("m-1", ""), ("m-1", "high"), ("m-2", "high"), ("m-2", ""), ("scripted-1", "")]


async def test_a_session_is_opened_with_the_model_that_it_should_have(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """New or resumed, with any model before. An effort that the runtime stored is reset."""
    used = []
    for name, effort in (("m-1", "low"), ("m-2", "high"), ("", ""), ("m-1", "")):
        session = await agent.open_session(session_id, SessionConfig(model=name, effort=effort))
        await answer_to(session, "who are you?")
        used.append((model.requests[-1].model, model.requests[-1].effort))
        await session.close()
    assert used == [("m-1", "low"), ("m-2", "high"), ("scripted-1", ""), ("m-1", "")]


async def test_a_copy_can_have_another_model_than_the_session(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """The copy has no notice of the switch. Otherwise a blind comparison would not be possible."""
    session = await agent.open_session(session_id, SessionConfig(model="m-1", effort="high"))
    await answer_to(session, "one")
    copy = await agent.open_session(
        await agent.fork_session(session_id), SessionConfig(model="m-2")
    )
    await answer_to(copy, "two")
    request = model.requests[-1]
    assert (request.model, request.effort) == ("m-2", "")
    assert "switched" not in str(request.messages)


async def test_a_model_that_the_runtime_does_not_take_is_gone(
    agent: CopilotAgent, session_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime refuses, or stays with another model.

    With a custom model server it accepts every name, so its answers are replaced here.
    """
    session = await agent.open_session(session_id)

    async def say_no(*_: object, **__: object) -> None:
        raise JsonRpcError(-32603, "model not available")

    async def do_nothing(*_: object, **__: object) -> None:
        return None

    for answer in (say_no, do_nothing):
        monkeypatch.setattr(CopilotSession, "set_model", answer)
        with pytest.raises(AgentError) as caught:
            await session.switch_model("retired", "")
        assert caught.value.kind is AgentErrorKind.MODEL_GONE
    assert session.config.model == ""
    await agent.open_session(session_id, SessionConfig(effort="high"))  # no reason not to answer

    async def another(*_: object, **__: object) -> CurrentModel:
        return CurrentModel(model_id="another")

    monkeypatch.setattr(ModelApi, "get_current", another)
    with pytest.raises(AgentError) as opened:
        await agent.open_session(session_id)
    assert opened.value.kind is AgentErrorKind.MODEL_GONE


async def test_the_models_are_those_of_the_server_the_usual_one_first(
    own_options: RuntimeOptions, session_id: str
) -> None:
    """Remembered for a minute; one that was asked for by the settings is the first."""
    clock = ManualClock()
    async with ScriptedModel() as server:
        server.models = ["big", "small"]
        own = replace(own_options, base_url=server.url, clock=clock)
        async with CopilotAgent(own) as agent:
            assert list(await agent.list_models()) == ["big", "small"]
            server.models = ["small", "new", "big"]
            assert list(await agent.list_models()) == ["big", "small"]
            await agent.open_session(session_id)
            await clock.advance(61)
            assert list(await agent.list_models()) == ["small", "new", "big"]
        async with CopilotAgent(replace(own, model="small")) as agent:
            assert list(await agent.list_models()) == ["small", "new", "big"]


async def test_no_list_of_models_is_reported(own_options: RuntimeOptions) -> None:
    """The server is not there."""
    async with CopilotAgent(replace(own_options, base_url="http://127.0.0.1:9/v1")) as agent:
        with pytest.raises(AgentError) as caught:
            await agent.list_models()
    assert caught.value.kind is AgentErrorKind.UNREACHABLE


# What is stored --------------------------------------------------------------------------------


async def test_a_session_can_be_named(
    agent: CopilotAgent, options: RuntimeOptions, session_id: str
) -> None:
    """The runtime writes it down."""
    session = await agent.open_session(session_id)
    await answer_to(session, "hello")
    await session.rename("Holidays in “Brno”")
    await session.close()
    written = [path for path in options.data_dir.rglob(f"*{session_id}*/**/*") if path.is_file()]
    assert any("Holidays in" in path.read_text(errors="replace") for path in written)


async def test_sessions_are_stored_until_they_are_deleted(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """Open ones, closed ones and copies; deleting again frees nothing."""
    opened, closed = (
        await agent.open_session(session_id),
        await agent.open_session(f"{session_id}-closed"),
    )
    await answer_to(opened, "one")
    await answer_to(closed, "one")
    await closed.close()
    copy = await agent.fork_session(session_id)
    ours = [opened.id, closed.id, copy]
    stored = await agent.stored_sizes()
    assert all(stored[each] > 0 for each in ours)
    never = [f"{session_id}-never", "no id at all", ""]
    freed = await agent.delete_sessions([*ours, *never])
    assert all(freed[each] > 0 for each in ours)
    assert [freed[each] for each in never] == [0, 0, 0]
    assert not set(ours) & set(await agent.stored_sizes())
    assert not opened.alive
    assert set((await agent.delete_sessions(ours)).values()) == {0}
    again = await agent.open_session(session_id)
    assert await prompts_after(again, model, "anew") == ["anew"]


async def test_a_session_that_is_deleted_while_it_answers_ends(
    agent: CopilotAgent, model: ScriptedModel, session_id: str
) -> None:
    """The reader gets the error at once."""
    model.when("doomed", Answer(chunks=["a", "b"], hold_after=1))
    session = await agent.open_session(session_id)
    held = model.holds
    asking = asyncio.create_task(answer_to(session, "doomed"))
    await model.reached(held + 1)
    assert (await agent.delete_sessions([session_id]))[session_id] > 0
    with pytest.raises(AgentError):
        await asyncio.wait_for(asking, 5)
    assert session_id not in await agent.stored_sizes()


async def test_hundreds_of_sessions_are_deleted_in_one_go(
    agent: CopilotAgent, session_id: str
) -> None:
    """However many the runtime is asked to delete at once."""
    session = await agent.open_session(session_id)
    await answer_to(session, "one")
    copies = [await agent.fork_session(session_id) for _ in range(DELETE_BATCH_SIZE + 5)]
    freed = await agent.delete_sessions(copies)
    assert len(freed) == len(copies)
    assert all(freed.values())
    assert not set(copies) & set(await agent.stored_sizes())


# The runtime itself ----------------------------------------------------------------------------


async def test_the_memory_of_the_runtime_is_known(own_options: RuntimeOptions) -> None:
    """While it runs."""
    async with CopilotAgent(own_options) as agent:
        assert await agent.memory_bytes() == 0
        await agent.start_runtime()
        assert 20_000_000 < await agent.memory_bytes() < 2_000_000_000
        [pid] = runtimes_of(own_options.data_dir)
        os.kill(pid, signal.SIGKILL)
        await wait_until(lambda: not runtimes_of(own_options.data_dir))
        assert await agent.memory_bytes() == 0


async def test_the_runtime_can_be_restarted(
    own_options: RuntimeOptions, model: ScriptedModel
) -> None:
    """Another process; the sessions are not alive any more, and remember when opened again."""
    async with CopilotAgent(own_options) as agent:
        await agent.restart()
        session = await agent.open_session("kept")
        await answer_to(session, "one")
        [before] = runtimes_of(own_options.data_dir)
        await agent.restart()
        [after] = runtimes_of(own_options.data_dir)
        assert before != after
        assert not session.alive
        again = await agent.open_session("kept")
        assert await prompts_after(again, model, "two") == ["one", "two"]


async def test_what_the_runtime_cannot_do_is_reported_as_such(own_options: RuntimeOptions) -> None:
    """A function that it does not have, as an experimental one may be gone some day."""
    runtime = await Runtime.start(own_options, MODEL_NAME)
    try:
        connection = runtime.client._client  # noqa: SLF001 (the SDK's own are all there)
        assert connection is not None
        with pytest.raises(AgentError) as caught:
            await runtime.call("try", connection.request("sessions.noSuchFunction", {}))
    finally:
        await runtime.stop()
    assert caught.value.kind is AgentErrorKind.UNSUPPORTED


async def test_a_session_that_is_closed_does_nothing_more(
    agent: CopilotAgent, session_id: str
) -> None:
    """Each method raises instead of waiting."""
    session = await agent.open_session(session_id)
    event = await event_of(session, "one")
    await session.close()
    for call in (
        session.switch_model("m-1", ""),
        session.truncate_from(event),
        session.ask_side_question("hello?"),
        session.rename("Closed"),
    ):
        with pytest.raises(AgentError) as caught:
            await call
        assert caught.value.kind is AgentErrorKind.RUNTIME


async def test_a_side_question_ends_with_the_runtime_and_with_silence(
    own_options: RuntimeOptions, model: ScriptedModel
) -> None:
    """It does not wait for what cannot come."""
    model.when("beside", Answer(fault="silence"))
    clock = ManualClock()
    async with CopilotAgent(replace(own_options, clock=clock)) as agent:
        session = await agent.open_session("beside")
        held = model.holds
        asking = asyncio.create_task(session.ask_side_question("beside"))
        await model.reached(held + 1)
        await clock.advance(121)
        with pytest.raises(AgentError) as silent:
            await asking
        assert silent.value.kind is AgentErrorKind.SILENT
        again = asyncio.create_task(session.ask_side_question("beside"))
        await model.reached(held + 2)
        [pid] = runtimes_of(own_options.data_dir)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(AgentError) as dead:
            await asyncio.wait_for(again, 5)
        assert dead.value.kind is AgentErrorKind.RUNTIME
