"""`ask`, `delete` and `title` on the real runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from bot.access.quotas import QuotaPolicy
from bot.commands.ask import (
    MAX_ANSWER_CHARS,
    MAX_CONCURRENT,
    WAIT_SECONDS,
    AskCommand,
)
from bot.commands.lifecycle import LifecycleCommands
from bot.commands.texts import sessions as session_texts
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.domain.commands import CommandSource
from bot.domain.sessions import SessionRecord
from bot.domain.usage import UsageGrouping
from bot.domain.users import User
from bot.errors import AGENT_ERROR_MESSAGES, AgentError, AgentErrorKind
from bot.ports import Agent, SessionConfig
from bot.sessions.pool import SessionPool
from tests.integration.copilot.session_probe import answer_to, wait_until
from tests.scripted_model import Answer, ScriptedModel
from tests.unit.commands.command_fixtures import (
    ALICE,
    BOB,
    CommandFixture,
    FakeAgent,
    command_fixture,
    thread_at,
)
from tests.unit.commands.thread_fixtures import thread_commands

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOG = "My dog is called Rex."


class FakeQuotas(QuotaPolicy):
    """Refuses the users in `refusals`."""

    def __init__(self) -> None:
        self.refusals: dict[str, str] = {}
        self.paused = False

    async def quota_refusal(self, user: str) -> str:
        return self.refusals.get(user, "")


class BrokenAgent(FakeAgent):
    """An agent that fails to copy and to delete."""

    async def fork_session(self, session_id: str, *, before: str = "", title: str = "") -> str:
        raise AgentError(AgentErrorKind.UNSUPPORTED, f"{session_id} {before} {title}")

    async def delete_sessions(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        raise AgentError(AgentErrorKind.RUNTIME, f"{session_ids}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[ScriptedModel]:
    async with ScriptedModel() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent(
    model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CopilotAgent]:
    options = RuntimeOptions(
        data_dir=tmp_path_factory.mktemp("data"), base_url=model.url, api_key="sk-very-secret"
    )
    async with CopilotAgent(options) as agent:
        yield agent


@pytest_asyncio.fixture(loop_scope="module")
async def pool(agent: CopilotAgent) -> AsyncIterator[SessionPool]:
    pool = SessionPool(agent, size=5)
    yield pool
    await pool.close()
    await agent.delete_sessions(list(await agent.stored_sizes()))


@pytest.fixture
def quotas() -> FakeQuotas:
    return FakeQuotas()


@pytest_asyncio.fixture(loop_scope="module")
async def world(
    tmp_path: Path, agent: CopilotAgent, pool: SessionPool, quotas: FakeQuotas
) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        world.handlers.update(thread_commands(world, pool).handlers())
        world.handlers.update(ask_command(world, agent, pool, quotas).handlers())
        switching = LifecycleCommands(world.store, world.publisher, agent, pool, world.clock)
        world.handlers.update(switching.handlers())
        yield world


def ask_command(
    world: CommandFixture,
    agent: Agent,
    pool: SessionPool,
    quotas: FakeQuotas,
    wait_seconds: float = WAIT_SECONDS,
) -> AskCommand:
    return AskCommand(
        *(world.store, agent, pool, world.choosing, quotas),
        paused=lambda: quotas.paused,
        wait_seconds=wait_seconds,
    )


async def had(world: CommandFixture, user: str) -> int:
    """The number of turns that count for a user."""
    return await world.store.count_turns_since(user, 0.0)


async def session_that_knows_the_dog(world: CommandFixture, pool: SessionPool) -> SessionRecord:
    """A session, in the store and the runtime, that knows the dog's name."""
    record = await world.context_for(1, text=DOG)
    async with pool.acquire(record.id, SessionConfig()) as session:
        await answer_to(session, DOG)
    return record


async def test_a_side_question_knows_the_thread_and_stays_out_of_its_memory(
    world: CommandFixture, pool: SessionPool, agent: CopilotAgent, model: ScriptedModel
) -> None:
    record = await session_that_knows_the_dog(world, pool)
    model.when("dog's name", "Rex.")
    result = await world.run_command("ask What is my\ndog's name?", by=BOB, thread=thread_at(1))
    assert result.public
    assert result.card.text == "“What is my\ndog's name?”\n\nRex."
    assert result.card.small_print == session_texts.ASK_SMALL
    assert any(DOG in prompt for prompt in model.requests[-1].prompts)
    async with pool.acquire(record.id, SessionConfig()) as session:
        await answer_to(session, "And now?")
    assert not any("dog's name" in prompt for prompt in model.requests[-1].prompts)
    assert set(await agent.stored_sizes()) == {record.id}, "the copy stayed behind"


async def test_a_side_question_does_not_wait_for_the_answer_that_is_being_written(
    world: CommandFixture, pool: SessionPool, model: ScriptedModel
) -> None:
    record = await session_that_knows_the_dog(world, pool)
    model.when("a long story", Answer(chunks=["Once ", "upon"], hold_after=1))
    held = model.holds + 1
    async with pool.acquire(record.id, SessionConfig()) as session:
        story = asyncio.create_task(answer_to(session, "a long story"))
        await model.reached(held)
        result = await world.run_command("ask Are you there?", thread=thread_at(1))
        assert result.card.text.endswith("Are you there?"), result.card.text
        assert not story.done()
        model.release()
        assert await story == "Once upon"


async def test_a_side_question_counts_as_a_turn_even_without_an_answer(
    world: CommandFixture, model: ScriptedModel
) -> None:
    """In the quota, and in the usage of its thread."""
    await world.context_for(1)
    assert (await had(world, ALICE), await had(world, BOB)) == (1, 0)
    await world.run_command("ask What is Python?", by=BOB, thread=thread_at(1))
    model.when("trouble", Answer(fault=401))
    await world.run_command("ask trouble", by=BOB, form=CommandSource.SLASH_COMMAND)
    assert (await had(world, ALICE), await had(world, BOB)) == (1, 2)
    (bobs,) = await world.store.sum_usage(UsageGrouping.USER, 0.0, user=BOB)
    assert (bobs.turns, bobs.input_tokens) == (2, 0)
    (here,) = await world.store.sum_usage(UsageGrouping.THREAD, 0.0, thread=thread_at(1))
    assert here.turns == 2
    real = QuotaPolicy(world.store, world.clock, per_day=2)
    assert await real.quota_refusal(BOB)


async def test_while_the_bot_is_paused_no_side_question_is_asked(
    world: CommandFixture, quotas: FakeQuotas, model: ScriptedModel
) -> None:
    before = len(model.requests)
    quotas.paused = True
    result = await world.run_command("ask What is Python?", form=CommandSource.SLASH_COMMAND)
    assert (result.card.text, result.public) == (session_texts.ASK_PAUSED, False)
    assert len(model.requests) == before
    assert await had(world, ALICE) == 0


async def test_a_side_question_outside_of_threads_uses_no_session_and_is_shown_to_its_author(
    world: CommandFixture, agent: CopilotAgent
) -> None:
    result = await world.run_command("ask What is Python?", form=CommandSource.SLASH_COMMAND)
    assert not result.public
    assert "You said: " in result.card.text
    assert result.card.small_print == session_texts.ASK_SMALL_ALONE
    assert await agent.stored_sizes() == {}


async def test_a_side_question_can_come_before_the_first_question(
    world: CommandFixture, agent: CopilotAgent
) -> None:
    """The runtime does not have a session without turns."""
    session = await world.context_for(1)
    await world.store.reset(session.thread, "", ALICE)
    result = await world.run_command("ask What is Python?", thread=thread_at(1))
    assert "You said: " in result.card.text
    assert (await world.run_command("ask And Perl?", thread=thread_at(50))).public
    assert await agent.stored_sizes() == {}


async def test_a_very_long_side_answer_is_clipped_and_says_so(
    world: CommandFixture, model: ScriptedModel
) -> None:
    model.when("the whole Bible", "x" * (MAX_ANSWER_CHARS + 1))
    result = await world.run_command("ask the whole Bible", form=CommandSource.SLASH_COMMAND)
    assert len(result.card.text) < MAX_ANSWER_CHARS + 100
    assert result.card.small_print == f"{session_texts.ASK_CLIPPED} {session_texts.ASK_SMALL_ALONE}"


async def test_an_empty_side_answer_gets_a_sentence(
    world: CommandFixture, model: ScriptedModel
) -> None:
    model.when("say nothing", "")
    result = await world.run_command("ask say nothing", form=CommandSource.SLASH_COMMAND)
    assert result.card.text in (
        session_texts.ASK_EMPTY,
        AGENT_ERROR_MESSAGES[AgentErrorKind.EMPTY],
    )


async def test_trouble_with_the_model_becomes_a_sentence_and_leaves_nothing_behind(
    world: CommandFixture, pool: SessionPool, agent: CopilotAgent, model: ScriptedModel
) -> None:
    record = await session_that_knows_the_dog(world, pool)
    model.when("trouble", Answer(fault=401))
    result = await world.run_command("ask trouble", thread=thread_at(1))
    assert not result.public
    assert result.card.text in AGENT_ERROR_MESSAGES.values()
    assert set(await agent.stored_sizes()) == {record.id}


async def test_a_user_has_one_side_question_at_a_time(
    world: CommandFixture, model: ScriptedModel
) -> None:
    model.when("slowly", Answer(chunks=["a", "b"], hold_after=1))
    held = model.holds + 1
    first = asyncio.create_task(world.run_command("ask slowly", form=CommandSource.SLASH_COMMAND))
    await model.reached(held)
    result = await world.run_command("ask again", form=CommandSource.SLASH_COMMAND)
    assert result.card.text == session_texts.ASK_ONE_AT_A_TIME
    result = await world.run_command("ask something else", by=BOB, form=CommandSource.SLASH_COMMAND)
    assert "something else" in result.card.text
    model.release()
    assert (await first).card.text.endswith("ab")
    assert "now" in (await world.run_command("ask now", form=CommandSource.SLASH_COMMAND)).card.text


async def test_side_questions_beyond_the_slots_wait_and_time_out(
    world: CommandFixture,
    agent: CopilotAgent,
    pool: SessionPool,
    quotas: FakeQuotas,
    model: ScriptedModel,
) -> None:
    world.handlers.update(ask_command(world, agent, pool, quotas, wait_seconds=0.1).handlers())
    model.when("slowly", Answer(chunks=["a", "b"], hold_after=1))
    held = model.holds + MAX_CONCURRENT
    everybody = [User(id=f"U{number}", team="T", name="N") for number in range(MAX_CONCURRENT)]
    world.people.known.update({person.id: person for person in everybody})
    asking = [
        asyncio.create_task(
            world.run_command("ask slowly", by=person.id, form=CommandSource.SLASH_COMMAND)
        )
        for person in everybody
    ]
    await model.reached(held)
    result = await world.run_command("ask me", form=CommandSource.SLASH_COMMAND)
    assert result.card.text == AGENT_ERROR_MESSAGES[AgentErrorKind.BUSY]
    model.release()
    assert all(result.card.text.endswith("ab") for result in await asyncio.gather(*asking))
    assert (
        "You said"
        in (await world.run_command("ask me", form=CommandSource.SLASH_COMMAND)).card.text
    )


async def test_a_runtime_that_cannot_copy_gets_a_sentence_and_one_that_cannot_delete_an_answer(
    world: CommandFixture, pool: SessionPool, quotas: FakeQuotas
) -> None:
    world.handlers.update(ask_command(world, BrokenAgent(), pool, quotas).handlers())
    await world.context_for(1)
    result = await world.run_command("ask me", thread=thread_at(1))
    assert result.card.text == AGENT_ERROR_MESSAGES[AgentErrorKind.UNSUPPORTED]
    result = await world.run_command("ask me", form=CommandSource.SLASH_COMMAND)
    assert "You said" in result.card.text


async def test_a_refused_user_has_no_side_questions(
    world: CommandFixture, quotas: FakeQuotas, model: ScriptedModel
) -> None:
    before = len(model.requests)
    quotas.refusals[ALICE] = "You've reached your limit for today."
    result = await world.run_command("ask please", form=CommandSource.SLASH_COMMAND)
    assert result.card.text == "You've reached your limit for today."
    result = await world.run_command("ask", by=BOB, form=CommandSource.SLASH_COMMAND)
    assert result.card.text == session_texts.ASK_NOTHING
    result = await world.run_command("ask " + "x" * 3_001, by=BOB, form=CommandSource.SLASH_COMMAND)
    assert result.card.text == session_texts.ASK_TOO_LONG.format(most="3,000", length="3,001")
    assert len(model.requests) == before
    assert (await had(world, ALICE), await had(world, BOB)) == (0, 0)


async def test_a_deleted_session_is_gone_from_the_disk(
    world: CommandFixture, pool: SessionPool, agent: CopilotAgent
) -> None:
    record = await session_that_knows_the_dog(world, pool)
    assert record.id in await agent.stored_sizes()
    result = await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    assert result.card.text.startswith("s1 is deleted permanently; ")
    assert "0 B" not in result.card.text
    assert await agent.stored_sizes() == {}
    await wait_until(lambda: pool.open_count == 0)


async def test_a_session_that_the_runtime_never_had_can_be_deleted(world: CommandFixture) -> None:
    await world.context_for(1)
    result = await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    assert result.card.text == session_texts.DELETED.format(handle="s1", size="0 B")


async def test_a_held_session_is_not_deleted(
    world: CommandFixture, pool: SessionPool, agent: CopilotAgent
) -> None:
    record = await session_that_knows_the_dog(world, pool)
    async with pool.acquire(record.id, SessionConfig()):
        result = await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    assert result.card.text == session_texts.BUSY.format(handle="s1")
    assert record.id in await agent.stored_sizes()


async def test_a_title_is_set_in_the_runtime_while_the_session_is_idle(
    world: CommandFixture, pool: SessionPool, agent: CopilotAgent, model: ScriptedModel
) -> None:
    record = await session_that_knows_the_dog(world, pool)
    before = len(model.requests)
    assert (await world.run_command("title Our dog", thread=thread_at(1))).public
    async with pool.acquire(record.id, SessionConfig()):
        assert (await world.run_command("title Their dog", thread=thread_at(1))).public
    await agent.delete_sessions([record.id])
    await world.store.reset(record.thread, "", ALICE)
    assert (await world.run_command("title No dog yet", thread=thread_at(1))).public
    assert await agent.stored_sizes() == {}, "a session was made only to be named"
    assert len(model.requests) == before
