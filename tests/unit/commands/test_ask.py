"""`ask`, `delete` and `title` on the real runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from bot.access.quotas import Limits as RealLimits
from bot.commands.ask import ANSWER_MOST, AT_ONCE, WAIT_SECONDS, Asides, Copying
from bot.commands.lifecycle import Switching
from bot.commands.texts import sessions as session_texts
from bot.commands.thread import Renaming, Threads
from bot.copilot.agent import CopilotAgent
from bot.copilot.options import RuntimeOptions
from bot.domain.commands import Form
from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionRecord
from bot.domain.usage import UsageBy
from bot.domain.users import Person
from bot.errors import AGENT_SENTENCES, AgentError, AgentFault
from bot.ports import Setup
from bot.sessions.pool import Sessions
from tests.integration.copilot.session_probe import answer_of, until
from tests.scripted_model import Answer, ScriptedModel
from tests.unit.commands.command_fixtures import ALICE, BOB, World, orders_world, thread_at

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOG = "My dog is called Rex."


class Limits:
    """Who may ask: everybody but those with a reason why not."""

    def __init__(self) -> None:
        self.refusals: dict[str, str] = {}
        self.paused = False

    async def refusal(self, user: str) -> str:
        return self.refusals.get(user, "")


class Broken:
    """A runtime that can neither copy nor delete."""

    async def fork(self, session_id: str, *, before: str = "", title: str = "") -> str:
        raise AgentError(AgentFault.UNSUPPORTED, f"{session_id} {before} {title}")

    async def delete(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        raise AgentError(AgentFault.RUNTIME, f"{session_ids}")


class Idle:
    """Nothing runs and nothing waits."""

    async def stop(self, thread: ThreadKey, by: str) -> bool:  # noqa: ARG002 # the protocol's
        return False

    async def clear(self, thread: ThreadKey, by: str = "") -> int:  # noqa: ARG002 # the protocol's
        return 0


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
async def pool(agent: CopilotAgent) -> AsyncIterator[Sessions]:
    pool = Sessions(agent, size=5)
    yield pool
    await pool.close()
    await agent.delete(list(await agent.stored()))


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest_asyncio.fixture(loop_scope="module")
async def world(
    tmp_path: Path, agent: CopilotAgent, pool: Sessions, limits: Limits
) -> AsyncIterator[World]:
    async with orders_world(tmp_path) as world:
        renaming = Renaming(pool, world.choosing)
        idle = Idle()
        threads = Threads(world.store, world.board, idle, idle, renaming.rename)
        world.handlers.update(threads.handlers())
        world.handlers.update(asides(world, agent, pool, limits).handlers())
        switching = Switching(world.store, world.board, agent, pool, world.clock)
        world.handlers.update(switching.handlers())
        yield world


def asides(
    world: World,
    agent: Copying,
    pool: Sessions,
    limits: Limits,
    wait_seconds: float = WAIT_SECONDS,
) -> Asides:
    return Asides(
        *(world.store, agent, pool, world.choosing, limits),
        paused=lambda: limits.paused,
        wait_seconds=wait_seconds,
    )


async def had(world: World, user: str) -> int:
    """How many turns of somebody count."""
    return await world.store.turns_since(user, 0.0)


async def told_of_the_dog(world: World, pool: Sessions) -> SessionRecord:
    """A session, on record and in the runtime, that knows the dog's name."""
    record = await world.asked(1, text=DOG)
    async with pool.held(record.id, Setup()) as session:
        await answer_of(session, DOG)
    return record


async def test_a_side_question_knows_the_thread_and_stays_out_of_its_memory(
    world: World, pool: Sessions, agent: CopilotAgent, model: ScriptedModel
) -> None:
    record = await told_of_the_dog(world, pool)
    model.when("dog's name", "Rex.")
    outcome = await world.order("ask What is my\ndog's name?", by=BOB, thread=thread_at(1))
    assert outcome.public
    assert outcome.card.text == "“What is my\ndog's name?”\n\nRex."
    assert outcome.card.small == session_texts.ASK_SMALL
    assert any(DOG in prompt for prompt in model.requests[-1].prompts)
    async with pool.held(record.id, Setup()) as session:
        await answer_of(session, "And now?")
    assert not any("dog's name" in prompt for prompt in model.requests[-1].prompts)
    assert set(await agent.stored()) == {record.id}, "the copy stayed behind"


async def test_a_side_question_does_not_wait_for_the_answer_that_is_being_written(
    world: World, pool: Sessions, model: ScriptedModel
) -> None:
    record = await told_of_the_dog(world, pool)
    model.when("a long story", Answer(chunks=["Once ", "upon"], hold_after=1))
    held = model.holds + 1
    async with pool.held(record.id, Setup()) as session:
        story = asyncio.create_task(answer_of(session, "a long story"))
        await model.reached(held)
        outcome = await world.order("ask Are you there?", thread=thread_at(1))
        assert outcome.card.text.endswith("Are you there?"), outcome.card.text
        assert not story.done()
        model.release()
        assert await story == "Once upon"


async def test_a_side_question_counts_like_a_turn_also_when_it_is_not_answered(
    world: World, model: ScriptedModel
) -> None:
    """For the quota and for the usage, of the thread where it is asked."""
    await world.asked(1)
    assert (await had(world, ALICE), await had(world, BOB)) == (1, 0)
    await world.order("ask What is Python?", by=BOB, thread=thread_at(1))
    model.when("trouble", Answer(fault=401))
    await world.order("ask trouble", by=BOB, form=Form.COMMAND)
    assert (await had(world, ALICE), await had(world, BOB)) == (1, 2)
    (bobs,) = await world.store.usage(UsageBy.PERSON, 0.0, user=BOB)
    assert (bobs.turns, bobs.input_tokens) == (2, 0)
    (here,) = await world.store.usage(UsageBy.THREAD, 0.0, thread=thread_at(1))
    assert here.turns == 2
    real = RealLimits(world.store, world.clock, per_day=2)
    assert await real.refusal(BOB)


async def test_while_the_bot_is_paused_no_side_question_is_asked(
    world: World, limits: Limits, model: ScriptedModel
) -> None:
    before = len(model.requests)
    limits.paused = True
    outcome = await world.order("ask What is Python?", form=Form.COMMAND)
    assert (outcome.card.text, outcome.public) == (session_texts.ASK_PAUSED, False)
    assert len(model.requests) == before
    assert await had(world, ALICE) == 0


async def test_without_a_thread_a_side_question_is_asked_of_nobody_and_told_to_one(
    world: World, agent: CopilotAgent
) -> None:
    outcome = await world.order("ask What is Python?", form=Form.COMMAND)
    assert not outcome.public
    assert "You said: " in outcome.card.text
    assert outcome.card.small == session_texts.ASK_SMALL_ALONE
    assert await agent.stored() == {}


async def test_a_side_question_can_come_before_the_first_question(
    world: World, agent: CopilotAgent
) -> None:
    """The runtime knows nothing of a session that was not asked yet."""
    session = await world.asked(1)
    await world.store.begin_anew(session.thread, "", ALICE)
    outcome = await world.order("ask What is Python?", thread=thread_at(1))
    assert "You said: " in outcome.card.text
    assert (await world.order("ask And Perl?", thread=thread_at(50))).public
    assert await agent.stored() == {}


async def test_a_very_long_side_answer_is_clipped_and_says_so(
    world: World, model: ScriptedModel
) -> None:
    model.when("the whole Bible", "x" * (ANSWER_MOST + 1))
    outcome = await world.order("ask the whole Bible", form=Form.COMMAND)
    assert len(outcome.card.text) < ANSWER_MOST + 100
    assert outcome.card.small == f"{session_texts.ASK_CLIPPED} {session_texts.ASK_SMALL_ALONE}"


async def test_an_empty_side_answer_gets_a_sentence(world: World, model: ScriptedModel) -> None:
    model.when("say nothing", "")
    outcome = await world.order("ask say nothing", form=Form.COMMAND)
    assert outcome.card.text in (session_texts.ASK_EMPTY, AGENT_SENTENCES[AgentFault.EMPTY])


async def test_trouble_with_the_model_becomes_a_sentence_and_leaves_nothing_behind(
    world: World, pool: Sessions, agent: CopilotAgent, model: ScriptedModel
) -> None:
    record = await told_of_the_dog(world, pool)
    model.when("trouble", Answer(fault=401))
    outcome = await world.order("ask trouble", thread=thread_at(1))
    assert not outcome.public
    assert outcome.card.text in AGENT_SENTENCES.values()
    assert set(await agent.stored()) == {record.id}


async def test_one_person_has_one_side_question_at_a_time(
    world: World, model: ScriptedModel
) -> None:
    model.when("slowly", Answer(chunks=["a", "b"], hold_after=1))
    held = model.holds + 1
    first = asyncio.create_task(world.order("ask slowly", form=Form.COMMAND))
    await model.reached(held)
    outcome = await world.order("ask again", form=Form.COMMAND)
    assert outcome.card.text == session_texts.ASK_ONE_AT_A_TIME
    outcome = await world.order("ask something else", by=BOB, form=Form.COMMAND)
    assert "something else" in outcome.card.text
    model.release()
    assert (await first).card.text.endswith("ab")
    assert "now" in (await world.order("ask now", form=Form.COMMAND)).card.text


async def test_more_side_questions_than_there_are_places_for_wait_and_give_up(
    world: World, agent: CopilotAgent, pool: Sessions, limits: Limits, model: ScriptedModel
) -> None:
    world.handlers.update(asides(world, agent, pool, limits, wait_seconds=0.1).handlers())
    model.when("slowly", Answer(chunks=["a", "b"], hold_after=1))
    held = model.holds + AT_ONCE
    everybody = [Person(user=f"U{number}", team="T", name="N") for number in range(AT_ONCE)]
    world.people.known.update({person.user: person for person in everybody})
    asking = [
        asyncio.create_task(world.order("ask slowly", by=person.user, form=Form.COMMAND))
        for person in everybody
    ]
    await model.reached(held)
    outcome = await world.order("ask me", form=Form.COMMAND)
    assert outcome.card.text == AGENT_SENTENCES[AgentFault.BUSY]
    model.release()
    assert all(outcome.card.text.endswith("ab") for outcome in await asyncio.gather(*asking))
    assert "You said" in (await world.order("ask me", form=Form.COMMAND)).card.text


async def test_a_runtime_that_cannot_copy_gets_a_sentence_and_one_that_cannot_delete_an_answer(
    world: World, pool: Sessions, limits: Limits
) -> None:
    world.handlers.update(asides(world, Broken(), pool, limits).handlers())
    await world.asked(1)
    outcome = await world.order("ask me", thread=thread_at(1))
    assert outcome.card.text == AGENT_SENTENCES[AgentFault.UNSUPPORTED]
    outcome = await world.order("ask me", form=Form.COMMAND)
    assert "You said" in outcome.card.text


async def test_who_is_not_answered_has_no_side_questions_either(
    world: World, limits: Limits, model: ScriptedModel
) -> None:
    before = len(model.requests)
    limits.refusals[ALICE] = "You have had your turns for today."
    outcome = await world.order("ask please", form=Form.COMMAND)
    assert outcome.card.text == "You have had your turns for today."
    outcome = await world.order("ask", by=BOB, form=Form.COMMAND)
    assert outcome.card.text == session_texts.ASK_NOTHING
    outcome = await world.order("ask " + "x" * 3_001, by=BOB, form=Form.COMMAND)
    assert outcome.card.text == session_texts.ASK_TOO_LONG.format(most="3,000", length="3,001")
    assert len(model.requests) == before
    assert (await had(world, ALICE), await had(world, BOB)) == (0, 0)


async def test_a_deleted_session_is_gone_from_the_disk(
    world: World, pool: Sessions, agent: CopilotAgent
) -> None:
    record = await told_of_the_dog(world, pool)
    assert record.id in await agent.stored()
    outcome = await world.order("delete s1", form=Form.HOME)
    assert outcome.card.text.startswith("s1 is gone for good, and ")
    assert "0 B" not in outcome.card.text
    assert await agent.stored() == {}
    await until(lambda: pool.live == 0)


async def test_a_session_that_the_runtime_never_had_can_be_deleted(world: World) -> None:
    await world.asked(1)
    outcome = await world.order("delete s1", form=Form.HOME)
    assert outcome.card.text == session_texts.DELETED.format(handle="s1", size="0 B")


async def test_a_held_session_is_not_deleted(
    world: World, pool: Sessions, agent: CopilotAgent
) -> None:
    record = await told_of_the_dog(world, pool)
    async with pool.held(record.id, Setup()):
        outcome = await world.order("delete s1", form=Form.HOME)
    assert outcome.card.text == session_texts.BUSY.format(handle="s1")
    assert record.id in await agent.stored()


async def test_a_title_is_given_to_the_runtimes_session_while_it_rests(
    world: World, pool: Sessions, agent: CopilotAgent, model: ScriptedModel
) -> None:
    record = await told_of_the_dog(world, pool)
    before = len(model.requests)
    assert (await world.order("title Our dog", thread=thread_at(1))).public
    async with pool.held(record.id, Setup()):
        assert (await world.order("title Their dog", thread=thread_at(1))).public
    await agent.delete([record.id])
    await world.store.begin_anew(record.thread, "", ALICE)
    assert (await world.order("title No dog yet", thread=thread_at(1))).public
    assert await agent.stored() == {}, "a session was made only to be named"
    assert len(model.requests) == before
