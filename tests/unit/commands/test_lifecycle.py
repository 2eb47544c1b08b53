"""`reset`, `resume` and `delete`: which session a thread uses."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bot.commands import texts
from bot.commands.lifecycle import LifecycleCommands
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Card
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import MessageOptions, Trigger
from bot.domain.sessions import SessionRecord
from bot.domain.turns import TurnState
from bot.errors import StoreError
from bot.store.sqlite.data_dir import DATABASE_NAME
from tests.contracts.messages import make_message, ts_at
from tests.unit.commands.command_fixtures import (
    ADA,
    ALICE,
    BOB,
    DEV,
    DIRECT,
    GENERAL,
    CommandFixture,
    command_fixture,
    thread_at,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        switching = LifecycleCommands(
            world.store, world.publisher, world.runtime, world.pool, world.clock
        )
        world.handlers.update(switching.handlers())
        yield world


async def current(world: CommandFixture, second: float, channel: str = GENERAL) -> SessionRecord:
    found = await world.store.current_session(thread_at(second, channel))
    assert found is not None
    return found


def posted_in(world: CommandFixture) -> list[tuple[str, str]]:
    """The posts in threads: (ts of the thread, text)."""
    return [(thread.root_ts, card.text) for thread, card in world.publisher.shown]


async def audited(world: CommandFixture) -> list[tuple[str, str, str, str]]:
    """The audit entries (actor, action, target, detail), newest first."""
    entries, _ = await world.store.list_audit_entries(0, 50)
    return [(each.actor, each.action, each.target, each.detail) for each in entries]


# Reset -------------------------------------------------------------------------------------------


async def test_a_reset_thread_goes_on_afresh_and_the_old_session_is_kept(
    world: CommandFixture,
) -> None:
    old = await world.context_for(1)
    result = await world.run_command("reset", thread=thread_at(1))
    assert result.public
    assert result.card.text == session_texts.RESET_DONE.format(handle="s1")
    fresh = await current(world, 1)
    assert (fresh.handle, fresh.turn_count, fresh.owner) == ("s2", 0, ALICE)
    assert not (await world.session(old.number)).current
    assert world.pool.gone == [old.id]


async def test_a_reset_twice_is_a_reset_once(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.run_command("reset", thread=thread_at(1))
    result = await world.run_command("reset", thread=thread_at(1))
    assert (result.card.text, result.public) == (session_texts.RESET_FRESH, False)
    assert (await current(world, 1)).handle == "s2"


async def test_a_reset_while_an_answer_is_written_leaves_it_to_the_old_session(
    world: CommandFixture,
) -> None:
    await world.context_with(1)
    result = await world.run_command("reset", thread=thread_at(1))
    assert result.card.text.endswith(session_texts.RESET_RUNNING.format(handle="s1"))
    assert (await current(world, 1)).handle == "s2"


async def test_a_session_that_an_admin_resets_stays_its_owners_and_it_is_on_record(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    await world.run_command("reset", by=ADA, thread=thread_at(1))
    assert (await current(world, 1)).owner == ALICE
    assert await audited(world) == [(ADA, "reset", "s1", "of U0ALICE")]
    await world.context_for(2, root=1)
    await world.run_command("reset", by=ALICE, thread=thread_at(1))
    assert len(await audited(world)) == 1, "one's own is one's own business"


async def test_nothing_is_done_that_cannot_be_audited(
    world: CommandFixture, tmp_path: Path
) -> None:
    await world.context_for(1)
    await world.context_for(10, user=BOB)
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    for command in ("reset s1", "delete s1", "resume s1"):
        result = await world.run_command(
            command, by=ADA, thread=thread_at(10), form=CommandSource.BUTTON
        )
        assert result.card.text == StoreError.user_message
    assert (await current(world, 1)).handle == "s1"
    assert world.runtime.deleted == []


async def test_a_reset_from_elsewhere_is_posted_in_the_sessions_thread(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    result = await world.run_command("reset s1", form=CommandSource.HOME_TAB)
    assert (result.card.text, result.public) == (
        session_texts.RESET_ELSEWHERE.format(handle="s1"),
        False,
    )
    assert posted_in(world) == [
        (thread_at(1).root_ts, session_texts.RESET_DONE.format(handle="s1"))
    ]


async def test_a_reset_of_a_channel_that_is_gone_is_done_all_the_same(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    world.publisher.trouble = True
    result = await world.run_command("reset s1", form=CommandSource.SLASH_COMMAND)
    assert result.card.text == session_texts.RESET_ELSEWHERE.format(handle="s1")
    assert (await current(world, 1)).handle == "s2"


async def test_a_role_is_reset_by_its_sessions_name(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.context_for(2, root=1, role="review")
    result = await world.run_command("reset s2", thread=thread_at(1))
    assert result.card.text == session_texts.RESET_DONE_ROLE.format(handle="s2", role="review")
    assert (await current(world, 1)).handle == "s1"


async def test_an_archived_session_cannot_be_reset(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.run_command("reset", thread=thread_at(1))
    result = await world.run_command("reset s1", thread=thread_at(1))
    assert result.card.text == session_texts.RESET_INACTIVE.format(handle="s1")


async def test_a_session_is_reset_by_no_old_button_once_it_is_gone(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    result = await world.run_command("reset s1", form=CommandSource.HOME_TAB)
    assert result.card.text == texts.NO_SUCH_SESSION


async def test_there_is_nothing_to_reset_without_a_session(world: CommandFixture) -> None:
    assert (
        await world.run_command("reset", thread=thread_at(1))
    ).card.text == session_texts.NO_SESSION
    result = await world.run_command("reset", form=CommandSource.SLASH_COMMAND)
    assert result.card.text == texts.ONLY_IN_THREADS.format(command="reset")
    await world.context_for(1)
    result = await world.run_command("reset it", thread=thread_at(1))
    assert result.card.text == session_texts.USAGE_HINT.format(command="reset", usage="[s12]")


# Resume ------------------------------------------------------------------------------------------


async def test_a_reset_session_can_be_resumed(world: CommandFixture) -> None:
    await world.context_for(1, text="Plans")
    await world.run_command("reset", thread=thread_at(1))
    world.pool.gone.clear()
    result = await world.run_command("resume s1", thread=thread_at(1))
    assert result.public
    assert result.card.text == session_texts.RESUME_DONE_NAMED.format(
        handle="s1", title="Plans", turns="1 turn"
    ) + session_texts.RESUME_BEFORE.format(handle="s2")
    assert (await current(world, 1)).handle == "s1"
    fresh = await world.session(2)
    assert not fresh.current
    assert fresh.id in world.pool.gone


async def test_a_session_can_be_taken_to_another_thread_of_its_channel(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    await world.context_for(10)
    result = await world.run_command("resume s1", thread=thread_at(10))
    assert result.public
    assert (await current(world, 10)).handle == "s1"
    assert await world.store.current_session(thread_at(1)) is None
    assert posted_in(world) == [
        (thread_at(1).root_ts, session_texts.RESUME_MOVED.format(handle="s1"))
    ]


async def test_a_thread_can_begin_with_a_session_of_before(world: CommandFixture) -> None:
    await world.context_for(1)
    new = thread_at(50)
    result = await world.run_command("resume s1", thread=new, ts=new.root_ts)
    assert result.public, result.card.text
    assert (await current(world, 50)).handle == "s1"


async def test_in_the_middle_of_a_thread_that_it_does_not_know_it_asks_for_a_question_first(
    world: CommandFixture,
) -> None:
    """Other users may have posted in it."""
    await world.context_for(1)
    result = await world.run_command("resume s1", thread=thread_at(50), ts="1790000051.000000")
    assert result.card.text == session_texts.RESUME_TOO_EARLY
    assert (await current(world, 1)).handle == "s1"


async def test_the_current_session_need_not_be_resumed(world: CommandFixture) -> None:
    await world.context_for(1)
    result = await world.run_command("resume s1", thread=thread_at(1))
    assert result.card.text == session_texts.RESUME_PRESENT.format(handle="s1")


async def test_a_session_stays_in_its_channel(world: CommandFixture) -> None:
    await world.context_for(1, channel=DEV)
    await world.context_for(10)
    for who in (ALICE, ADA):
        result = await world.run_command("resume s1", by=who, thread=thread_at(10))
        assert result.card.text == session_texts.RESUME_OTHER_CHANNEL.format(handle="s1")
        assert not result.public


async def test_what_one_said_in_direct_messages_stays_there(world: CommandFixture) -> None:
    await world.context_for(1, channel=DIRECT, text="between us")
    await world.context_for(10)
    result = await world.run_command("resume s1", thread=thread_at(10))
    assert result.card.text == session_texts.RESUME_OTHER_CHANNEL.format(handle="s1")
    assert (await current(world, 10)).handle == "s2"


async def test_a_user_resumes_no_session_of_another_user(world: CommandFixture) -> None:
    await world.context_for(1, user=BOB)
    await world.context_for(10, user=ALICE)
    result = await world.run_command("resume s1", by=ALICE, thread=thread_at(10))
    assert result.card.text == texts.NOT_YOURS.format(command="resume")


async def test_only_admins_replace_the_session_of_another_user(
    world: CommandFixture,
) -> None:
    await world.context_for(1, user=ALICE)
    await world.context_for(10, user=BOB)
    result = await world.run_command("resume s1", by=ALICE, thread=thread_at(10))
    assert (result.card.text, result.public) == (session_texts.RESUME_NOT_YOURS, False)
    assert (await current(world, 10)).handle == "s2"
    assert await audited(world) == []
    assert (await world.run_command("resume s1", by=ADA, thread=thread_at(10))).public
    detail = "of U0ALICE, in place of s2 of U0BOB"
    assert await audited(world) == [(ADA, "resume", "s1", detail)]


async def test_a_session_that_answers_is_not_taken_away(world: CommandFixture) -> None:
    await world.context_with(1)
    await world.context_for(10, user=BOB)
    await world.enqueue_turn(20)
    result = await world.run_command("resume s1", by=ADA, thread=thread_at(10))
    assert result.card.text == session_texts.BUSY.format(handle="s1")


async def test_a_session_that_is_held_is_not_taken_away(world: CommandFixture) -> None:
    session = await world.context_for(1)
    await world.context_for(10)
    world.pool.held.add(session.id)
    result = await world.run_command("resume s1", thread=thread_at(10))
    assert result.card.text == session_texts.BUSY.format(handle="s1")


async def test_a_session_that_messages_wait_for_is_neither_taken_away_nor_deleted(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    await world.context_for(10)
    waiting = await world.enqueue_turn(20, root=1)
    for command in ("resume s1", "delete s1"):
        result = await world.run_command(command, thread=thread_at(10), form=CommandSource.BUTTON)
        assert result.card.text == session_texts.AWAITED.format(handle="s1")
    assert await world.store.withdraw(waiting)
    assert (await world.run_command("resume s1", thread=thread_at(10))).public


async def test_without_a_name_previous_sessions_are_offered(world: CommandFixture) -> None:
    """Those of this thread first, then the user's own of this channel: five at most, and none of
    another channel or user."""
    for second in (10, 20, 30, 40, 50):
        await world.context_for(second, text=f"thread of {second}")
        await world.clock.advance(1)
    await world.context_for(60, text="Bob's", user=BOB)
    await world.context_for(70, text="elsewhere", channel=DEV)
    await world.context_for(1, text="this thread's")
    await world.run_command("reset", thread=thread_at(1))
    card = (await world.run_command("resume", thread=thread_at(1))).card
    assert [line.text for line in card.items] == [
        *("this thread's", "thread of 50", "thread of 40", "thread of 30", "thread of 20"),
    ]
    (button,) = card.items[1].buttons
    assert (button.command_name, button.args) == ("resume", "s5")
    assert (await world.press_button(button, thread=thread_at(1))).public
    assert (await current(world, 1)).handle == "s5"


async def test_copies_of_a_comparison_are_not_offered(world: CommandFixture) -> None:
    await world.add_comparison(await world.context_for(1), "gpt-5")
    result = await world.run_command("resume", thread=thread_at(1))
    assert result.card.text == session_texts.RESUME_NONE


async def test_a_comparison_copy_is_kept_by_the_buttons_of_the_comparison_only(
    world: CommandFixture,
) -> None:
    """Resumed by name, it would reveal whose answer is whose. It may be deleted once the comparison
    is over."""
    source = await world.context_for(1)
    copy = await world.add_comparison(source, "gpt-5")
    for place in (1, 50):
        result = await world.run_command(
            "resume s2", thread=thread_at(place), form=CommandSource.BUTTON
        )
        assert result.card.text == session_texts.RESUME_COPY.format(handle="s2")
        assert not result.public
    assert (await current(world, 1)).handle == "s1"
    question = make_message(2, root=1, trigger=Trigger.MENTION)
    await world.store.accept_message(
        replace(question, options=MessageOptions(compare_models=("gpt-5", "claude-4.5")))
    )
    comparing = (await world.store.claim()).turn
    assert comparing is not None
    result = await world.run_command("delete s2", form=CommandSource.HOME_TAB)
    assert result.card.text == session_texts.BUSY.format(handle="s2")
    assert await world.store.finish_turn(comparing, TurnState.STOPPED)
    assert (
        "deleted permanently"
        in (await world.run_command("delete s2", form=CommandSource.HOME_TAB)).card.text
    )
    assert world.runtime.deleted == [copy.id]
    assert world.publisher.shown == []


async def test_without_previous_sessions_none_is_offered(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.context_for(10, user=BOB)
    result = await world.run_command("resume", thread=thread_at(1))
    assert result.card == Card(text=session_texts.RESUME_NONE)
    result = await world.run_command("resume", by=BOB, thread=thread_at(1))
    assert [line.buttons[0].args for line in result.card.items] == ["s2"]


async def test_what_is_no_name_of_a_session_gets_a_sentence(world: CommandFixture) -> None:
    await world.context_for(1)
    result = await world.run_command("resume yesterday", thread=thread_at(1))
    assert result.card.text == session_texts.RESUME_NO_HANDLE
    result = await world.run_command("resume s1", form=CommandSource.BUTTON)
    assert result.card.text == texts.ONLY_IN_THREADS.format(command="resume")


# Delete ------------------------------------------------------------------------------------------


async def test_a_deleted_session_is_gone_on_both_sides_and_its_thread_is_notified(
    world: CommandFixture,
) -> None:
    session = await world.context_for(1)
    result = await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    assert result.card.text == session_texts.DELETED.format(handle="s1", size="2.0 KB")
    assert await world.store.session_by_number(1) is None
    assert (world.runtime.deleted, world.pool.gone) == ([session.id], [session.id])
    assert posted_in(world) == [(thread_at(1).root_ts, session_texts.DELETED_HERE)]
    assert await audited(world) == [(ALICE, "delete", "s1", "of U0ALICE, 1 turn")]


async def test_deleting_twice_says_that_there_is_none(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    result = await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    assert result.card.text == texts.NO_SUCH_SESSION
    result = await world.run_command(
        "delete", by=ADA, thread=thread_at(1), form=CommandSource.BUTTON
    )
    assert result.card.text == texts.NO_SUCH_SESSION


async def test_an_archived_session_is_deleted_without_a_post(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.run_command("reset", thread=thread_at(1))
    await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    assert world.publisher.shown == []
    assert (await current(world, 1)).handle == "s2"


async def test_admins_delete_sessions_they_do_not_see_and_it_is_audited(
    world: CommandFixture,
) -> None:
    await world.context_for(1, channel=DEV, text="a secret")
    world.people.hidden.add((ADA, DEV))
    result = await world.run_command("delete s1", by=ADA, form=CommandSource.HOME_TAB)
    assert result.card.text == session_texts.DELETED.format(handle="s1", size="2.0 KB")
    (entry,), _ = await world.store.list_audit_entries(0, 10)
    assert (entry.actor, entry.action, entry.target) == (ADA, "delete", "s1")
    assert "secret" not in entry.detail


async def test_a_session_that_answers_is_not_deleted(world: CommandFixture) -> None:
    await world.context_with(1)
    result = await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    assert result.card.text == session_texts.BUSY.format(handle="s1")
    assert world.runtime.deleted == []
    assert (await world.store.list_audit_entries(0, 10))[1] == 0


async def test_the_thread_of_a_deleted_session_may_be_gone(world: CommandFixture) -> None:
    await world.context_for(1)
    world.publisher.trouble = True
    result = await world.run_command("delete s1", form=CommandSource.HOME_TAB)
    assert result.card.text.startswith("s1 is deleted permanently")


# Messages after the command ----------------------------------------------------------------------


async def test_a_session_is_deleted_though_a_question_waits_that_was_written_after_that(
    world: CommandFixture,
) -> None:
    """It waits for the command, and starts another session."""
    old = await world.context_for(1)
    command = Command(
        key="press",
        name="delete",
        args=old.handle,
        user=ALICE,
        source=CommandSource.HOME_TAB,
        team=old.thread.team,
    )
    assert await world.dispatcher.record(command)
    await world.enqueue_turn(world.clock.now() + 1 - float(ts_at(0)), root=1)
    result = await world.dispatcher.execute(command)
    assert result.card.text.startswith("s1 is deleted")
    assert await world.store.session_by_number(old.number) is None
    turn = (await world.store.claim()).turn
    assert turn is not None
    assert (await world.store.ensure_session(turn)).number != old.number


async def test_a_later_question_that_was_claimed_before_the_command_gives_way_to_it(
    world: CommandFixture,
) -> None:
    """Slack does not keep the order: a fresh session exists for it already."""
    old = await world.context_for(1)
    await world.enqueue_turn(5, root=1)
    turn = (await world.store.claim()).turn
    assert turn is not None
    result = await world.run_command("reset", thread=thread_at(1), ts=ts_at(4))
    assert result.card.text == session_texts.RESET_DONE.format(handle=old.handle)
    assert await world.store.mark_prompted(turn)
    assert (await world.store.ensure_session(turn)).number != old.number


# Twice at once -----------------------------------------------------------------------------------


async def test_a_session_resumed_by_several_presses_at_once_is_resumed_once(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    await world.run_command("reset", thread=thread_at(1))
    await world.context_for(2, root=1)
    buttons = [
        world.run_command("resume s1", thread=thread_at(1), form=CommandSource.BUTTON, by=by)
        for by in (ALICE, ADA, ALICE)
    ]
    results = await asyncio.gather(*buttons)
    assert [result.public for result in results] == [True, False, False]
    assert results[1].card.text == session_texts.RESUME_PRESENT.format(handle="s1")
    assert (await current(world, 1)).handle == "s1"


async def test_a_thread_reset_by_several_at_once_is_reset_once(world: CommandFixture) -> None:
    await world.context_for(1)
    resets = [world.run_command("reset", thread=thread_at(1), by=by) for by in (ALICE, ADA, ALICE)]
    texts_shown = [result.card.text for result in await asyncio.gather(*resets)]
    assert texts_shown == [
        session_texts.RESET_DONE.format(handle="s1"),
        session_texts.RESET_FRESH,
        session_texts.RESET_FRESH,
    ]
    assert (await current(world, 1)).handle == "s2"
