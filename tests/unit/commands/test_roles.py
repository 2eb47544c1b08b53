"""The order `role`: which roles there are, and a session of one beside the thread's main one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.roles import MOST_LINES
from bot.commands.texts import models as model_texts
from bot.domain.cards import Card
from bot.domain.commands import Form
from bot.sessions.roles import BUILT_IN, Role
from tests.unit.commands.command_fixtures import ALICE, BOB
from tests.unit.commands.preference_fixtures import SECRET, World, world_in

READER = Role(
    name="reader",
    instructions="The secret recipe.",
    model="large",
    tools=("view",),
    folder="/srv/books",
)
ROLES: Mapping[str, Role] = {**BUILT_IN, "reader": READER}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_in(tmp_path, ROLES) as world:
        yield world


def begins(card: Card) -> list[str]:
    """The roles that a button begins."""
    return [press.words for line in card.lines for press in line.presses]


async def test_role_alone_lists_the_roles_and_which_have_a_session_here(world: World) -> None:
    await world.ask(world.thread())
    await world.ask(world.thread(), role="review")
    outcome = await world.order("role", by=ALICE, thread=world.thread())
    assert not outcome.public
    shown = {line.text: line.detail for line in outcome.card.lines}
    assert list(shown) == ["review", "coding", "planning", "reader"], "those of the thread first"
    assert shown["review"] == "s2 in this thread, 1 turn"
    assert shown["coding"] == "no session in this thread yet"
    assert shown["reader"] == "model large, can read files, no session in this thread yet"
    assert begins(outcome.card) == ["coding", "planning", "reader"]


async def test_neither_instructions_nor_folders_are_shown(world: World) -> None:
    await world.ask(world.thread())
    told = str(await world.order("role", by=ALICE, thread=world.thread()))
    told += str(await world.order("role reader", by=ALICE, thread=world.thread()))
    assert "recipe" not in told
    assert "/srv" not in told


async def test_a_role_is_begun_beside_the_main_session(world: World) -> None:
    main, _ = await world.ask(world.thread())
    outcome = await world.order("role Review", by=ALICE, thread=world.thread())
    assert outcome.public
    assert "`review: your question`" in outcome.card.text
    assert "it is told what was said in this thread" in outcome.card.text
    begun = await world.store.current(world.thread(), "review")
    assert begun is not None
    assert (begun.owner, begun.turns) == (ALICE, 0)
    assert await world.store.current(world.thread()) == main
    session, _ = await world.ask(world.thread(), role="review")
    assert session.number == begun.number, "the next question to the role is asked of it"


async def test_a_role_that_is_there_already_is_only_told(world: World) -> None:
    await world.ask(world.thread())
    session, _ = await world.ask(world.thread(), role="review")
    for said in ("role review", "role review:"):
        outcome = await world.order(said, by=ALICE, thread=world.thread())
        assert outcome.card.text == model_texts.ROLE_THERE.format(
            role="review", handle=session.handle, turns="1 turn"
        )
    assert await world.store.current(world.thread(), "review") == session


async def test_a_role_that_does_not_exist_gets_the_list(world: World) -> None:
    await world.ask(world.thread())
    outcome = await world.order("role Wizard", by=ALICE, thread=world.thread())
    assert not outcome.public
    assert outcome.card.text == model_texts.NO_SUCH_ROLE.format(name="Wizard")
    assert {line.text for line in outcome.card.lines} == set(ROLES)
    assert [session.role for session in await world.store.currents(world.thread())] == [""]


async def test_in_a_thread_without_questions_it_is_said_to_ask_first(world: World) -> None:
    outcome = await world.order("role review", by=ALICE, thread=world.thread())
    assert outcome.card.text == model_texts.ROLE_UNKNOWN_THREAD.format(role="review")
    card = (await world.order("role", by=ALICE, thread=world.thread())).card
    assert not begins(card)


async def test_without_a_thread_it_is_said_where_a_role_belongs(world: World) -> None:
    outcome = await world.order("role review", by=ALICE, form=Form.BUTTON)
    assert outcome.card.text == model_texts.ROLE_OF_NO_THREAD.format(role="review")
    card = (await world.order("role", by=ALICE, form=Form.BUTTON)).card
    assert [line.text for line in card.lines] == sorted(ROLES)
    assert not begins(card)


async def test_more_roles_than_fit_are_told_by_name(tmp_path: Path) -> None:
    many = {f"r{number:02}": Role(name=f"r{number:02}", instructions="x") for number in range(12)}
    async with world_in(tmp_path, many) as world:
        await world.ask(world.thread())
        card = (await world.order("role", by=ALICE, thread=world.thread())).card
        assert len(card.lines) == MOST_LINES
        assert card.text.endswith("There are also: r10, r11.")


async def test_who_does_not_take_part_begins_nothing(world: World) -> None:
    await world.ask(world.thread())
    outcome = await world.order("role review", by=BOB, thread=world.thread())
    assert outcome.card.text == texts.NOT_TAKING_PART.format(verb="role")
    hidden = world.thread(channel=SECRET)
    await world.ask(hidden)
    outcome = await world.order("role review", by=BOB, thread=hidden)
    assert outcome.card.text == access_texts.NOT_SEEN
    assert await world.store.current(world.thread(), "review") is None
