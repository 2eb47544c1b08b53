"""`help`, `sessions` and `status`, for the users who may see each item."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.commands import texts
from bot.commands.help import Help
from bot.commands.registry import COMMANDS
from bot.commands.sessions import SessionsCommand
from bot.commands.status import StatusCommand
from bot.commands.texts import sessions as session_texts
from bot.commands.user_names import UserNames
from bot.domain.cards import Card
from bot.domain.commands import CommandSource
from bot.domain.messages import ThreadKey
from tests.unit.commands.command_fixtures import (
    ADA,
    ALICE,
    BOB,
    CAROL,
    DEV,
    GENERAL,
    CommandFixture,
    command_fixture,
    thread_at,
)
from tests.unit.commands.thread_fixtures import thread_commands


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        names = UserNames(world.people)
        world.handlers.update(Help(slash_command="/copilot").handlers())
        world.handlers.update(
            SessionsCommand(world.store, world.people, names, world.clock).handlers()
        )
        world.handlers.update(
            StatusCommand(world.store, world.choosing, names, world.clock).handlers()
        )
        world.handlers.update(thread_commands(world, world.pool).handlers())
        yield world


# Help --------------------------------------------------------------------------------------------


async def helped(world: CommandFixture, by: str, thread: ThreadKey | None) -> set[str]:
    """The commands in the help text."""
    source = CommandSource.MESSAGE if thread else CommandSource.SLASH_COMMAND
    result = await world.run_command("help", by=by, thread=thread, form=source, channel=GENERAL)
    prefix = "!" if thread else "/copilot "
    lines = result.card.text.splitlines()
    assert all(line.startswith(f"• `{prefix}") for line in lines)
    assert not result.public
    return {line.removeprefix(f"• `{prefix}").partition("`")[0].split()[0] for line in lines}


async def test_help_in_a_thread_shows_its_owner_everything_but_admin(
    world: CommandFixture,
) -> None:
    await world.context_for(1, user=ALICE)
    listed = {name for name, spec in COMMANDS.items() if spec.in_help}
    assert await helped(world, ALICE, thread_at(1)) == listed - {"admin"}


async def test_help_leaves_out_what_the_user_may_not_do_here(world: CommandFixture) -> None:
    await world.context_for(1, user=ALICE)
    await world.context_for(2, root=1, user=BOB)
    bobs = await helped(world, BOB, thread_at(1))
    assert {"stop", "retry", "title", "resume"} <= bobs
    assert not {"reset", "rewind", "admin"} & bobs
    carols = await helped(world, CAROL, thread_at(1))
    assert carols == {
        *("help", "sessions", "status", "resume", "model", "ask", "fork", "history", "export"),
        "usage",
    }
    assert "admin" in await helped(world, ADA, thread_at(1))


async def test_help_by_slash_command_lists_what_a_slash_command_can_do(
    world: CommandFixture,
) -> None:
    names = await helped(world, ALICE, None)
    assert {"sessions", "usage", "ask"} <= names
    assert not {"stop", "fork", "title", "quiet", "admin", "delete"} & names
    assert "admin" in await helped(world, ADA, None)


async def test_help_has_buttons(world: CommandFixture) -> None:
    card = (await world.run_command("help", thread=thread_at(1))).card
    assert [button.command_name for button in card.buttons] == ["sessions", "status"]
    card = (await world.run_command("help", form=CommandSource.SLASH_COMMAND)).card
    assert [button.command_name for button in card.buttons] == ["sessions"]


# Sessions ----------------------------------------------------------------------------------------


async def listed(world: CommandFixture, command: str = "sessions", by: str = ALICE) -> Card:
    result = await world.run_command(
        command, by=by, form=CommandSource.SLASH_COMMAND, channel=GENERAL
    )
    assert not result.public
    return result.card


def titles(card: Card) -> list[str]:
    return [line.text for line in card.items]


async def test_a_user_without_sessions_is_notified(world: CommandFixture) -> None:
    assert (await listed(world)).text == session_texts.NONE_OF_MINE
    assert (await listed(world, "sessions all", ADA)).text == session_texts.NONE_AT_ALL


async def test_ones_own_sessions_are_listed_the_last_used_first(world: CommandFixture) -> None:
    await world.context_for(1, text="first thread")
    await world.clock.advance(60)
    await world.context_for(10, text="second thread")
    await world.context_for(20, text="Bob's thread", user=BOB)
    await world.clock.advance(3 * 86_400)
    card = await listed(world)
    assert titles(card) == ["second thread", "first thread"]
    assert card.text == "1 to 2 of 2, last used first."
    second = card.items[0]
    assert second.link == thread_at(10)
    assert second.detail == "s2 · gpt-5 · 1 turn · 3 d ago · active"
    assert [(button.label, button.command_name, button.args) for button in second.buttons] == [
        ("Reset", "reset", "s2"),
        ("Delete", "delete", "s2"),
    ]
    assert second.buttons[1].style == "danger"
    assert all(button.confirm for button in second.buttons)


async def test_long_lists_come_in_pages(world: CommandFixture) -> None:
    for number in range(10):
        await world.clock.advance(1)
        await world.context_for(number * 10 + 1, text=f"thread {number}")
    first = await listed(world)
    assert titles(first) == [f"thread {number}" for number in range(9, 1, -1)]
    assert [(button.label, button.args) for button in first.buttons] == [(session_texts.OLDER, "2")]
    second = await listed(world, "sessions page 2")
    assert titles(second) == ["thread 1", "thread 0"]
    assert [(button.label, button.args) for button in second.buttons] == [
        (session_texts.NEWER, "1")
    ]
    assert await listed(world, "sessions 99") == second
    assert await listed(world, "sessions 0") == first


@pytest.mark.parametrize("args", ["everything", "-1", "page", "allx", "all of them", "1 2"])
async def test_what_is_no_page_gets_a_sentence(world: CommandFixture, args: str) -> None:
    await world.context_for(1)
    card = await listed(world, f"sessions {args}", ADA)
    assert card.text == session_texts.USAGE_HINT.format(command="sessions", usage="[all] [page]")


async def test_a_session_in_a_hidden_channel_shows_neither_title_nor_thread(
    world: CommandFixture,
) -> None:
    await world.context_for(1, text="a secret", channel=DEV)
    world.people.hidden.add((ALICE, DEV))
    (line,) = (await listed(world)).items
    assert line.text == f"s1 {session_texts.ELSEWHERE}"
    assert (line.link, line.buttons) == (None, ())
    assert "secret" not in line.detail


async def test_admins_see_whose_sessions_there_are(world: CommandFixture) -> None:
    await world.context_for(1, text="Alice's", user=ALICE)
    await world.clock.advance(1)
    await world.context_for(10, text="Bob's secret", user=BOB, channel=DEV)
    world.people.hidden.add((ADA, DEV))
    bobs, alices = (await listed(world, "sessions all", ADA)).items
    assert (bobs.text, bobs.link) == (f"s2 {session_texts.ELSEWHERE}", None)
    assert bobs.detail.startswith("s2 · owner: Bob · ")
    assert [button.command_name for button in bobs.buttons] == ["delete"]
    assert alices.text == "Alice's"
    assert [button.command_name for button in alices.buttons] == ["reset", "delete"]


async def test_the_pages_of_all_sessions_stay_all_sessions(world: CommandFixture) -> None:
    for number in range(9):
        await world.context_for(number * 10 + 1, user=BOB)
    card = await listed(world, "sessions all", ADA)
    assert [button.args for button in card.buttons] == ["all 2"]
    card = await listed(world, "sessions all page 2", ADA)
    assert [button.args for button in card.buttons] == ["all 1"]


async def test_a_session_is_running_current_or_archived(world: CommandFixture) -> None:
    session = await world.context_for(1)
    await world.store.reset(session.thread, "", ALICE)
    await world.context_with(2, root=1)
    states = {line.detail.split(" · ")[0]: line.detail for line in (await listed(world)).items}
    assert states["s1"].endswith(session_texts.INACTIVE)
    assert states["s2"].endswith(session_texts.RUNNING)


async def test_only_a_current_session_can_be_reset(world: CommandFixture) -> None:
    session = await world.context_for(1)
    await world.store.reset(session.thread, "", ALICE)
    buttons = {line.detail[:2]: line.buttons for line in (await listed(world)).items}
    assert [button.command_name for button in buttons["s1"]] == ["delete"]


async def test_while_a_channel_is_unknown_only_its_sessions_are_hidden(
    world: CommandFixture,
) -> None:
    await world.context_for(1, text="Here")
    await world.context_for(10, text="There", channel=DEV)
    world.people.unknown.add(DEV)
    shown = {line.detail[:2]: line for line in (await listed(world)).items}
    assert shown["s1"].text == "Here"
    assert shown["s2"].text == f"s2 {session_texts.ELSEWHERE}"
    assert shown["s2"].link is None


async def test_comparison_copies_are_in_no_users_own_list(world: CommandFixture) -> None:
    """Until one is kept."""
    source = await world.context_for(1, text="Which is best?")
    copy = await world.add_comparison(source, "claude-4.5")
    card = await listed(world)
    assert [line.detail[:2] for line in card.items] == ["s1"]
    assert "1 to 1 of 1" in card.text
    await world.store.attach(copy.number, source.thread)
    assert {line.detail[:2] for line in (await listed(world)).items} == {"s1", "s2"}


async def test_a_comparison_copy_is_listed_without_its_model(
    world: CommandFixture,
) -> None:
    """To admins, as a copy."""
    source = await world.context_for(1)
    await world.add_comparison(source, "claude-4.5")
    details = [line.detail for line in (await listed(world, "sessions all", ADA)).items]
    assert any(
        detail.startswith("s2") and detail.endswith(session_texts.COMPARED) for detail in details
    )
    assert not any("claude" in detail for detail in details)
    text = (await world.run_command("status s2", thread=thread_at(1))).card.text
    assert session_texts.STATUS_BLIND in text
    assert "claude" not in text


async def test_a_role_that_runs_does_not_make_the_main_session_look_so(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    await world.context_with(2, root=1, role="review")
    states = {line.detail[:2]: line.detail for line in (await listed(world)).items}
    assert states["s1"].endswith(session_texts.CURRENT)
    assert states["s2"].endswith(session_texts.RUNNING)


# Status ------------------------------------------------------------------------------------------


async def test_status_shows_the_state_of_the_session(world: CommandFixture) -> None:
    session = await world.context_for(1, text="What is Python?")
    await world.context_for(2, root=1, user=BOB)
    await world.context_with(3, root=1)
    await world.enqueue_turn(4, root=1)
    await world.enqueue_turn(5, root=1)
    await world.clock.advance(7_200)
    result = await world.run_command("status", by=CAROL, thread=thread_at(1))
    card = result.card
    assert not result.public
    assert card.title == "s1, What is Python?"
    assert card.small_print == f"Runtime id: {session.id}"
    assert card.text.splitlines() == [
        "State: active, 2 h ago",
        "Owner: Alice",
        "Model: the default (default)",
        "Turns: 3 (2,000 tokens in, 40 out)",
        "Context: 3,200 of 128,000 tokens (2 %)",
        "Queue: a reply is being written, 2 messages queued",
        session_texts.STATUS_TAKES_PART,
    ]
    assert [button.command_name for button in card.buttons] == ["history", "export"]


async def test_status_shows_its_owner_what_they_may_do(world: CommandFixture) -> None:
    await world.context_for(1)
    for who in (ALICE, ADA):
        card = (await world.run_command("status", by=who, thread=thread_at(1))).card
        assert [button.command_name for button in card.buttons] == [
            "history",
            "export",
            "reset",
            "delete",
        ]


async def test_status_says_who_chose_the_model(world: CommandFixture) -> None:
    session = await world.context_for(1)
    await world.store.set_model(session.number, "claude-4.5", "high")
    text = (await world.run_command("status", thread=thread_at(1))).card.text
    assert "Model: claude-4.5 (chosen for this session)" in text
    assert "Effort: high" in text


async def test_status_shows_the_sessions_of_roles_and_quietness(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.context_for(2, root=1, role="review")
    await world.run_command("quiet", thread=thread_at(1))
    text = (await world.run_command("status", thread=thread_at(1))).card.text
    assert "Other sessions here: s2 (review)" in text
    assert text.endswith(session_texts.STATUS_QUIET)


async def test_status_of_a_named_session_leads_to_its_thread(world: CommandFixture) -> None:
    await world.context_for(1)
    card = (await world.run_command("status s1", form=CommandSource.SLASH_COMMAND)).card
    assert card.link == thread_at(1)
    assert (await world.run_command("status s1", thread=thread_at(1))).card.link is None


async def test_status_without_a_session_says_so(world: CommandFixture) -> None:
    text = (await world.run_command("status", thread=thread_at(1))).card.text
    assert text.startswith(session_texts.NO_SESSION)
    text = (await world.run_command("status", form=CommandSource.SLASH_COMMAND)).card.text
    assert text == texts.ONLY_IN_THREADS.format(command="status")
    await world.context_for(1)
    text = (await world.run_command("!status now".removeprefix("!"), thread=thread_at(1))).card.text
    assert text == session_texts.USAGE_HINT.format(command="status", usage="[s12]")


async def test_an_owner_unknown_to_slack_appears_by_id(world: CommandFixture) -> None:
    await world.context_for(1, user="U0GONE")
    text = (await world.run_command("status", thread=thread_at(1))).card.text
    assert "Owner: U0GONE" in text
