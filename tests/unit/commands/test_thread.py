"""`stop`, `title`, `quiet` and `join`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from bot.commands import texts
from bot.commands.texts import sessions as session_texts
from bot.commands.thread import is_quiet
from bot.domain.commands import CommandSource
from bot.errors import AgentError, AgentErrorKind
from bot.ports import AgentSession, SessionConfig
from tests.unit.commands.command_fixtures import (
    ALICE,
    BOB,
    CommandFixture,
    FakeSessionPool,
    command_fixture,
    thread_at,
)
from tests.unit.commands.thread_fixtures import Running, thread_commands


class NamedSession:
    """A session that can only be renamed."""

    def __init__(self, session_id: str, pool: RenamingPool) -> None:
        self._id = session_id
        self._pool = pool

    async def rename(self, title: str) -> None:
        if self._pool.fails:
            raise AgentError(AgentErrorKind.UNSUPPORTED, "no such method")
        self._pool.names[self._id] = title


class RenamingPool(FakeSessionPool):
    """A pool whose sessions can be renamed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}
        self.fails = False

    @asynccontextmanager
    async def acquire(self, session_id: str, config: SessionConfig) -> AsyncIterator[AgentSession]:  # noqa: ARG002 # the pool's
        yield cast("AgentSession", NamedSession(session_id, self))


@pytest.fixture
def running() -> Running:
    return Running()


@pytest.fixture
def pool() -> RenamingPool:
    return RenamingPool()


@pytest.fixture
async def world(
    tmp_path: Path, running: Running, pool: RenamingPool
) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        world.handlers.update(thread_commands(world, pool, running).handlers())
        yield world


# Stop --------------------------------------------------------------------------------------------


async def test_stop_stops_the_running_answer(world: CommandFixture, running: Running) -> None:
    await world.context_for(1)
    running.answering = True
    result = await world.run_command("stop", thread=thread_at(1))
    assert result.card.text == session_texts.STOPPED
    assert running.calls == [f"stop {thread_at(1).root_ts} by {ALICE}"]


async def test_stop_where_nothing_runs_says_so(world: CommandFixture) -> None:
    await world.context_for(1)
    assert (
        await world.run_command("stop", thread=thread_at(1))
    ).card.text == session_texts.NOTHING_RUNS


async def test_stop_shows_the_queue_and_offers_to_clear_it(
    world: CommandFixture, running: Running
) -> None:
    await world.context_with(1)
    await world.enqueue_turn(2, root=1)
    await world.enqueue_turn(3, root=1)
    running.answering = True
    card = (await world.run_command("stop", thread=thread_at(1))).card
    assert card.text == "Stopped. 2 messages are still queued."
    (drop,) = card.buttons
    running.waiting = 2
    result = await world.press_button(drop, thread=thread_at(1))
    assert result.card.text == "No reply is running in this thread. " + (
        "Queue cleared: 2 messages won't be answered."
    )
    assert result.public, "others' messages were dropped"


async def test_the_queue_is_cleared_before_the_answer_is_stopped(
    world: CommandFixture, running: Running
) -> None:
    """Else the next turn would start in between."""
    await world.context_for(1)
    await world.run_command("stop queue", thread=thread_at(1))
    assert [did.split()[0] for did in running.calls] == ["clear", "stop"]


async def test_stopping_an_empty_queue_says_so(world: CommandFixture) -> None:
    await world.context_for(1)
    result = await world.run_command("stop Queue", thread=thread_at(1))
    assert result.card.text == session_texts.NOTHING_RUNS + session_texts.NOTHING_WAITED
    assert not result.public


async def test_stop_with_other_words_does_nothing(world: CommandFixture, running: Running) -> None:
    await world.context_for(1)
    result = await world.run_command("stop it", thread=thread_at(1))
    assert result.card.text == session_texts.USAGE_HINT.format(command="stop", usage="[queue]")
    assert running.calls == []


# Title -------------------------------------------------------------------------------------------


async def test_a_title_is_given_in_the_database_the_runtime_and_slack(
    world: CommandFixture, pool: RenamingPool
) -> None:
    session = await world.context_for(1)
    result = await world.run_command("title  Our\n\x1bplans \u202e!", thread=thread_at(1))
    assert (result.card.text, result.public) == ("s1 is now called “Our plans !”.", True)
    assert (await world.session(1)).title == "Our plans !"
    assert pool.names == {session.id: "Our plans !"}
    assert world.publisher.titles == [(thread_at(1), "Our plans !")]
    card = (await world.run_command("title", thread=thread_at(1))).card
    assert card.text == session_texts.TITLE_IS.format(handle="s1", title="Our plans !")


async def test_a_title_can_be_set_even_if_the_runtime_cannot_rename(
    world: CommandFixture, pool: RenamingPool
) -> None:
    await world.context_for(1)
    pool.fails = True
    result = await world.run_command("title Plans", thread=thread_at(1))
    assert result.public
    assert (await world.session(1)).title == "Plans"


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("x" * 201, session_texts.TITLE_TOO_LONG.format(most=200, length=201)),
        ("\u202e\x00\x07", session_texts.TITLE_EMPTY),
    ],
)
async def test_a_title_that_cannot_be_shown_is_not_taken(
    world: CommandFixture, title: str, sentence: str
) -> None:
    before = (await world.context_for(1)).title
    result = await world.run_command(f"title {title}", thread=thread_at(1))
    assert (result.card.text, result.public) == (sentence, False)
    assert (await world.session(1)).title == before


async def test_without_a_session_there_is_nothing_to_name(world: CommandFixture) -> None:
    result = await world.run_command("title Plans", thread=thread_at(1))
    assert result.card.text == session_texts.NO_SESSION


# Quiet -------------------------------------------------------------------------------------------


async def test_a_quiet_thread_answers_mentions_only_until_it_is_joined_again(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    result = await world.run_command("quiet", thread=thread_at(1))
    assert (result.card.text, result.public) == (session_texts.QUIET, True)
    assert await is_quiet(world.store, thread_at(1))
    assert not await is_quiet(world.store, thread_at(10))
    assert (
        await world.run_command("quiet", thread=thread_at(1))
    ).card.text == session_texts.QUIET_ALREADY
    result = await world.run_command("join", thread=thread_at(1))
    assert (result.card.text, result.public) == (session_texts.JOINED, True)
    assert not await is_quiet(world.store, thread_at(1))
    assert (
        await world.run_command("join", thread=thread_at(1))
    ).card.text == session_texts.JOINED_ALREADY


async def test_in_direct_messages_no_mention_is_suggested(world: CommandFixture) -> None:
    await world.context_for(1, channel="D0ALICE")
    result = await world.run_command("quiet", thread=thread_at(1, "D0ALICE"))
    assert result.card.text == session_texts.QUIET_DIRECT


@pytest.mark.parametrize("name", ["quiet", "join"])
async def test_quiet_and_join_take_no_words(world: CommandFixture, name: str) -> None:
    await world.context_for(1)
    result = await world.run_command(f"{name} please", thread=thread_at(1))
    assert result.card.text == session_texts.USAGE_HINT_PLAIN.format(command=name)


@pytest.mark.parametrize("text", ["stop", "title x", "quiet", "join"])
async def test_what_is_about_a_thread_needs_one(world: CommandFixture, text: str) -> None:
    result = await world.run_command(text, by=BOB, form=CommandSource.BUTTON)
    assert result.card.text == texts.ONLY_IN_THREADS.format(command=text.split()[0])
