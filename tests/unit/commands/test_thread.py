"""`stop`, `title`, `quiet` and `join`: what goes on in a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.commands import texts
from bot.commands.texts import sessions as session_texts
from bot.commands.thread import Quietness, Threads, is_quiet
from bot.domain.commands import Form
from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionRecord
from bot.errors import AgentError, AgentFault
from tests.unit.commands.command_fixtures import ALICE, BOB, World, orders_world, thread_at


class Running:
    """The answers and the messages that wait, of one thread."""

    def __init__(self) -> None:
        self.answering = False
        self.waiting = 0
        self.did: list[str] = []

    async def stop(self, thread: ThreadKey, by: str) -> bool:
        self.did.append(f"stop {thread.root_ts} by {by}")
        was, self.answering = self.answering, False
        return was

    async def clear(self, thread: ThreadKey, by: str = "") -> int:  # noqa: ARG002 # the protocol's
        self.did.append(f"clear {thread.root_ts}")
        was, self.waiting = self.waiting, 0
        return was


class Named:
    """The names of sessions in the runtime."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.trouble = False

    async def rename(self, session: SessionRecord, title: str) -> None:
        if self.trouble:
            raise AgentError(AgentFault.UNSUPPORTED, "no such method")
        self.names[session.id] = title


@pytest.fixture
def running() -> Running:
    return Running()


@pytest.fixture
def named() -> Named:
    return Named()


@pytest.fixture
async def world(tmp_path: Path, running: Running, named: Named) -> AsyncIterator[World]:
    async with orders_world(tmp_path) as world:
        threads = Threads(world.store, world.board, running, running, named.rename)
        world.handlers.update(threads.handlers())
        world.handlers.update(Quietness(world.store, world.clock).handlers())
        yield world


# Stop --------------------------------------------------------------------------------------------


async def test_stop_stops_the_running_answer(world: World, running: Running) -> None:
    await world.asked(1)
    running.answering = True
    outcome = await world.order("stop", thread=thread_at(1))
    assert outcome.card.text == session_texts.STOPPED
    assert running.did == [f"stop {thread_at(1).root_ts} by {ALICE}"]


async def test_stop_where_nothing_runs_says_so(world: World) -> None:
    await world.asked(1)
    assert (await world.order("stop", thread=thread_at(1))).card.text == session_texts.NOTHING_RUNS


async def test_stop_tells_what_still_waits_and_offers_to_drop_it(
    world: World, running: Running
) -> None:
    await world.asking(1)
    await world.waits(2, root=1)
    await world.waits(3, root=1)
    running.answering = True
    card = (await world.order("stop", thread=thread_at(1))).card
    assert card.text == "I stopped. 2 messages are still in line."
    (drop,) = card.presses
    running.waiting = 2
    outcome = await world.press(drop, thread=thread_at(1))
    assert outcome.card.text == "Nothing is being answered in this thread. " + (
        "2 messages that waited won't be answered."
    )
    assert outcome.public, "others' messages were dropped"


async def test_what_waits_is_dropped_before_the_answer_is_stopped(
    world: World, running: Running
) -> None:
    """Else the next of it would begin in between."""
    await world.asked(1)
    await world.order("stop queue", thread=thread_at(1))
    assert [did.split()[0] for did in running.did] == ["clear", "stop"]


async def test_stopping_an_empty_queue_says_so(world: World) -> None:
    await world.asked(1)
    outcome = await world.order("stop Queue", thread=thread_at(1))
    assert outcome.card.text == session_texts.NOTHING_RUNS + session_texts.NOTHING_WAITED
    assert not outcome.public


async def test_stop_with_other_words_does_nothing(world: World, running: Running) -> None:
    await world.asked(1)
    outcome = await world.order("stop it", thread=thread_at(1))
    assert outcome.card.text == session_texts.HOW.format(verb="stop", usage="[queue]")
    assert running.did == []


# Title -------------------------------------------------------------------------------------------


async def test_a_title_is_given_in_the_database_the_runtime_and_slack(
    world: World, named: Named
) -> None:
    session = await world.asked(1)
    outcome = await world.order("title  Our\n\x1bplans \u202e!", thread=thread_at(1))
    assert (outcome.card.text, outcome.public) == ("s1 is now called “Our plans !”.", True)
    assert (await world.session(1)).title == "Our plans !"
    assert named.names == {session.id: "Our plans !"}
    assert world.board.titles == [(thread_at(1), "Our plans !")]
    card = (await world.order("title", thread=thread_at(1))).card
    assert card.text == session_texts.TITLE_IS.format(handle="s1", title="Our plans !")


async def test_a_runtime_that_knows_no_names_keeps_nobody_from_giving_one(
    world: World, named: Named
) -> None:
    await world.asked(1)
    named.trouble = True
    outcome = await world.order("title Plans", thread=thread_at(1))
    assert outcome.public
    assert (await world.session(1)).title == "Plans"


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("x" * 201, session_texts.TITLE_TOO_LONG.format(most=200, length=201)),
        ("\u202e\x00\x07", session_texts.TITLE_EMPTY),
    ],
)
async def test_a_title_that_cannot_be_shown_is_not_taken(
    world: World, title: str, sentence: str
) -> None:
    before = (await world.asked(1)).title
    outcome = await world.order(f"title {title}", thread=thread_at(1))
    assert (outcome.card.text, outcome.public) == (sentence, False)
    assert (await world.session(1)).title == before


async def test_without_a_session_there_is_nothing_to_name(world: World) -> None:
    outcome = await world.order("title Plans", thread=thread_at(1))
    assert outcome.card.text == session_texts.NO_SESSION


# Quiet -------------------------------------------------------------------------------------------


async def test_a_quiet_thread_answers_mentions_only_until_it_is_joined_again(
    world: World,
) -> None:
    await world.asked(1)
    outcome = await world.order("quiet", thread=thread_at(1))
    assert (outcome.card.text, outcome.public) == (session_texts.QUIET, True)
    assert await is_quiet(world.store, thread_at(1))
    assert not await is_quiet(world.store, thread_at(10))
    assert (
        await world.order("quiet", thread=thread_at(1))
    ).card.text == session_texts.QUIET_ALREADY
    outcome = await world.order("join", thread=thread_at(1))
    assert (outcome.card.text, outcome.public) == (session_texts.JOINED, True)
    assert not await is_quiet(world.store, thread_at(1))
    assert (
        await world.order("join", thread=thread_at(1))
    ).card.text == session_texts.JOINED_ALREADY


async def test_in_direct_messages_nobody_is_told_to_mention(world: World) -> None:
    await world.asked(1, channel="D0ALICE")
    outcome = await world.order("quiet", thread=thread_at(1, "D0ALICE"))
    assert outcome.card.text == session_texts.QUIET_DIRECT


@pytest.mark.parametrize("verb", ["quiet", "join"])
async def test_quiet_and_join_take_no_words(world: World, verb: str) -> None:
    await world.asked(1)
    outcome = await world.order(f"{verb} please", thread=thread_at(1))
    assert outcome.card.text == session_texts.HOW_PLAIN.format(verb=verb)


@pytest.mark.parametrize("order", ["stop", "title x", "quiet", "join"])
async def test_what_is_about_a_thread_needs_one(world: World, order: str) -> None:
    outcome = await world.order(order, by=BOB, form=Form.BUTTON)
    assert outcome.card.text == texts.ONLY_IN_THREADS.format(verb=order.split()[0])
