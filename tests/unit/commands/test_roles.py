"""`role`: which roles there are, and how a role's session starts beside the main one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.roles import MAX_ITEMS
from bot.commands.texts import models as model_texts
from bot.domain.cards import Card
from bot.domain.commands import CommandSource
from bot.sessions.roles import BUILT_IN_ROLES, Role
from tests.unit.commands.command_fixtures import ALICE, BOB
from tests.unit.commands.preference_fixtures import SECRET, PreferenceFixture, preference_fixture

READER = Role(
    name="reader",
    instructions="The secret recipe.",
    model="large",
    tools=("view",),
    folder="/srv/books",
)
ROLES: Mapping[str, Role] = {**BUILT_IN_ROLES, "reader": READER}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PreferenceFixture]:
    async with preference_fixture(tmp_path, ROLES) as world:
        yield world


def begins(card: Card) -> list[str]:
    """The roles that a button starts."""
    return [button.args for line in card.items for button in line.buttons]


async def test_role_alone_lists_the_roles_and_which_have_a_session_here(
    world: PreferenceFixture,
) -> None:
    await world.ask(world.thread())
    await world.ask(world.thread(), role="review")
    result = await world.run_command("role", by=ALICE, thread=world.thread())
    assert not result.public
    shown = {line.text: line.detail for line in result.card.items}
    assert list(shown) == ["review", "coding", "planning", "reader"], "those of the thread first"
    assert shown["review"] == "s2 in this thread, 1 turn"
    assert shown["coding"] == "no session in this thread yet"
    assert shown["reader"] == "model large, can read files, no session in this thread yet"
    assert begins(result.card) == ["coding", "planning", "reader"]


async def test_neither_instructions_nor_folders_are_shown(world: PreferenceFixture) -> None:
    await world.ask(world.thread())
    shown = str(await world.run_command("role", by=ALICE, thread=world.thread()))
    shown += str(await world.run_command("role reader", by=ALICE, thread=world.thread()))
    assert "recipe" not in shown
    assert "/srv" not in shown


async def test_a_role_is_started_beside_the_main_session(world: PreferenceFixture) -> None:
    main, _ = await world.ask(world.thread())
    result = await world.run_command("role Review", by=ALICE, thread=world.thread())
    assert result.public
    assert "`review: your question`" in result.card.text
    assert "reads this thread with its first question" in result.card.text
    begun = await world.store.current_session(world.thread(), "review")
    assert begun is not None
    assert (begun.owner, begun.turn_count) == (ALICE, 0)
    assert await world.store.current_session(world.thread()) == main
    session, _ = await world.ask(world.thread(), role="review")
    assert session.number == begun.number, "the next question to the role is asked of it"


async def test_a_role_that_is_there_already_is_only_shown(world: PreferenceFixture) -> None:
    await world.ask(world.thread())
    session, _ = await world.ask(world.thread(), role="review")
    for text in ("role review", "role review:"):
        result = await world.run_command(text, by=ALICE, thread=world.thread())
        assert result.card.text == model_texts.ROLE_THERE.format(
            role="review", handle=session.handle, turns="1 turn"
        )
    assert await world.store.current_session(world.thread(), "review") == session


async def test_a_role_that_does_not_exist_gets_the_list(world: PreferenceFixture) -> None:
    await world.ask(world.thread())
    result = await world.run_command("role Wizard", by=ALICE, thread=world.thread())
    assert not result.public
    assert result.card.text == model_texts.NO_SUCH_ROLE.format(name="Wizard")
    assert {line.text for line in result.card.items} == set(ROLES)
    assert [session.role for session in await world.store.current_sessions(world.thread())] == [""]


async def test_a_thread_without_questions_needs_one_before_a_role(
    world: PreferenceFixture,
) -> None:
    result = await world.run_command("role review", by=ALICE, thread=world.thread())
    assert result.card.text == model_texts.ROLE_UNKNOWN_THREAD.format(role="review")
    card = (await world.run_command("role", by=ALICE, thread=world.thread())).card
    assert not begins(card)


async def test_a_role_outside_of_threads_is_refused(world: PreferenceFixture) -> None:
    result = await world.run_command("role review", by=ALICE, form=CommandSource.BUTTON)
    assert result.card.text == model_texts.ROLE_OF_NO_THREAD.format(role="review")
    card = (await world.run_command("role", by=ALICE, form=CommandSource.BUTTON)).card
    assert [line.text for line in card.items] == sorted(ROLES)
    assert not begins(card)


async def test_more_roles_than_fit_are_shown_by_name(tmp_path: Path) -> None:
    many = {f"r{number:02}": Role(name=f"r{number:02}", instructions="x") for number in range(12)}
    async with preference_fixture(tmp_path, many) as world:
        await world.ask(world.thread())
        card = (await world.run_command("role", by=ALICE, thread=world.thread())).card
        assert len(card.items) == MAX_ITEMS
        assert card.text.endswith("There are also: r10, r11.")


async def test_a_user_who_does_not_take_part_starts_nothing(world: PreferenceFixture) -> None:
    await world.ask(world.thread())
    result = await world.run_command("role review", by=BOB, thread=world.thread())
    assert result.card.text == texts.NOT_PARTICIPANT.format(command="role")
    hidden = world.thread(channel=SECRET)
    await world.ask(hidden)
    result = await world.run_command("role review", by=BOB, thread=hidden)
    assert result.card.text == access_texts.NOT_VISIBLE
    assert await world.store.current_session(world.thread(), "review") is None
