"""`help`, `sessions` and `status`: what there is, shown to those who may see it."""

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
from bot.commands.thread import QuietCommands
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
        world.handlers.update(QuietCommands(world.store, world.clock).handlers())
        yield world


# Help --------------------------------------------------------------------------------------------


async def helped(world: CommandFixture, by: str, thread: ThreadKey | None) -> set[str]:
    """The verbs that the help tells of."""
    form = CommandSource.MESSAGE if thread else CommandSource.SLASH_COMMAND
    outcome = await world.run_command("help", by=by, thread=thread, form=form, channel=GENERAL)
    prefix = "!" if thread else "/copilot "
    lines = outcome.card.text.splitlines()
    assert all(line.startswith(f"• `{prefix}") for line in lines)
    assert not outcome.public
    return {line.removeprefix(f"• `{prefix}").partition("`")[0].split()[0] for line in lines}


async def test_help_in_a_thread_tells_its_owner_of_everything_but_admin(
    world: CommandFixture,
) -> None:
    await world.context_for(1, user=ALICE)
    listed = {name for name, verb in COMMANDS.items() if verb.in_help}
    assert await helped(world, ALICE, thread_at(1)) == listed - {"admin"}


async def test_help_leaves_out_what_this_person_may_not_do_here(world: CommandFixture) -> None:
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


async def test_help_by_command_tells_of_what_a_command_can_say(world: CommandFixture) -> None:
    told = await helped(world, ALICE, None)
    assert {"sessions", "usage", "ask"} <= told
    assert not {"stop", "fork", "title", "quiet", "admin", "delete"} & told
    assert "admin" in await helped(world, ADA, None)


async def test_help_has_buttons(world: CommandFixture) -> None:
    card = (await world.run_command("help", thread=thread_at(1))).card
    assert [press.command_name for press in card.buttons] == ["sessions", "status"]
    card = (await world.run_command("help", form=CommandSource.SLASH_COMMAND)).card
    assert [press.command_name for press in card.buttons] == ["sessions"]


# Sessions ----------------------------------------------------------------------------------------


async def listed(world: CommandFixture, command: str = "sessions", by: str = ALICE) -> Card:
    outcome = await world.run_command(
        command, by=by, form=CommandSource.SLASH_COMMAND, channel=GENERAL
    )
    assert not outcome.public
    return outcome.card


def titles(card: Card) -> list[str]:
    return [line.text for line in card.items]


async def test_somebody_without_sessions_is_notified(world: CommandFixture) -> None:
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
    assert card.text == "1 to 2 of 2, the last used first."
    second = card.items[0]
    assert second.link == thread_at(10)
    assert second.detail == "s2 · gpt-5 · 1 turn · 3 d ago · current"
    assert [(press.label, press.command_name, press.args) for press in second.buttons] == [
        ("Reset", "reset", "s2"),
        ("Delete", "delete", "s2"),
    ]
    assert second.buttons[1].style == "danger"
    assert all(press.confirm for press in second.buttons)


async def test_long_lists_come_in_pages(world: CommandFixture) -> None:
    for number in range(10):
        await world.clock.advance(1)
        await world.context_for(number * 10 + 1, text=f"thread {number}")
    first = await listed(world)
    assert titles(first) == [f"thread {number}" for number in range(9, 1, -1)]
    assert [(press.label, press.args) for press in first.buttons] == [(session_texts.OLDER, "2")]
    second = await listed(world, "sessions page 2")
    assert titles(second) == ["thread 1", "thread 0"]
    assert [(press.label, press.args) for press in second.buttons] == [(session_texts.NEWER, "1")]
    assert await listed(world, "sessions 99") == second
    assert await listed(world, "sessions 0") == first


@pytest.mark.parametrize("said", ["everything", "-1", "page", "allx", "all of them", "1 2"])
async def test_what_is_no_page_gets_a_sentence(world: CommandFixture, said: str) -> None:
    await world.context_for(1)
    card = await listed(world, f"sessions {said}", ADA)
    assert card.text == session_texts.USAGE_HINT.format(verb="sessions", usage="[all] [page]")


async def test_a_session_of_a_place_unseen_shows_neither_title_nor_thread(
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
    assert bobs.detail.startswith("s2 · of Bob · ")
    assert [press.command_name for press in bobs.buttons] == ["delete"]
    assert alices.text == "Alice's"
    assert [press.command_name for press in alices.buttons] == ["reset", "delete"]


async def test_the_pages_of_everybodys_sessions_stay_everybodys(world: CommandFixture) -> None:
    for number in range(9):
        await world.context_for(number * 10 + 1, user=BOB)
    card = await listed(world, "sessions all", ADA)
    assert [press.args for press in card.buttons] == ["all 2"]
    card = await listed(world, "sessions all page 2", ADA)
    assert [press.args for press in card.buttons] == ["all 1"]


async def test_a_session_is_running_current_or_set_aside(world: CommandFixture) -> None:
    session = await world.context_for(1)
    await world.store.reset(session.thread, "", ALICE)
    await world.context_with(2, root=1)
    states = {line.detail.split(" · ")[0]: line.detail for line in (await listed(world)).items}
    assert states["s1"].endswith(session_texts.INACTIVE)
    assert states["s2"].endswith(session_texts.RUNNING)


async def test_only_a_current_session_can_be_reset(world: CommandFixture) -> None:
    session = await world.context_for(1)
    await world.store.reset(session.thread, "", ALICE)
    presses = {line.detail[:2]: line.buttons for line in (await listed(world)).items}
    assert [press.command_name for press in presses["s1"]] == ["delete"]


async def test_while_slack_does_not_tell_of_a_place_its_sessions_alone_show_nothing_of_it(
    world: CommandFixture,
) -> None:
    await world.context_for(1, text="Here")
    await world.context_for(10, text="There", channel=DEV)
    world.people.unknown.add(DEV)
    shown = {line.detail[:2]: line for line in (await listed(world)).items}
    assert shown["s1"].text == "Here"
    assert shown["s2"].text == f"s2 {session_texts.ELSEWHERE}"
    assert shown["s2"].link is None


async def test_copies_of_comparisons_are_in_nobodys_own_list(world: CommandFixture) -> None:
    """Until one is gone on with."""
    source = await world.context_for(1, text="Which is best?")
    copy = await world.add_comparison(source, "claude-4.5")
    card = await listed(world)
    assert [line.detail[:2] for line in card.items] == ["s1"]
    assert "1 to 1 of 1" in card.text
    await world.store.attach(copy.number, source.thread)
    assert {line.detail[:2] for line in (await listed(world)).items} == {"s1", "s2"}


async def test_a_copy_that_is_being_compared_is_listed_without_its_model(
    world: CommandFixture,
) -> None:
    """To those in charge, as what it is."""
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


async def test_status_tells_how_it_stands_with_the_session(world: CommandFixture) -> None:
    session = await world.context_for(1, text="What is Python?")
    await world.context_for(2, root=1, user=BOB)
    await world.context_with(3, root=1)
    await world.enqueue_turn(4, root=1)
    await world.enqueue_turn(5, root=1)
    await world.clock.advance(7_200)
    outcome = await world.run_command("status", by=CAROL, thread=thread_at(1))
    card = outcome.card
    assert not outcome.public
    assert card.title == "s1, What is Python?"
    assert card.small_print == f"The runtime's id: {session.id}"
    assert card.text.splitlines() == [
        "State: current, 2 h ago",
        "Owner: Alice",
        "Model: the default one (default)",
        "Turns: 3 (2,000 tokens in, 40 out)",
        "Context: 3,200 of 128,000 tokens (2 %)",
        "Queue: an answer is being written, 2 messages waiting",
        session_texts.STATUS_TAKES_PART,
    ]
    assert [press.command_name for press in card.buttons] == ["history", "export"]


async def test_status_shows_its_owner_what_they_may_do(world: CommandFixture) -> None:
    await world.context_for(1)
    for who in (ALICE, ADA):
        card = (await world.run_command("status", by=who, thread=thread_at(1))).card
        assert [press.command_name for press in card.buttons] == [
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


async def test_status_tells_of_the_sessions_of_roles_and_of_silence(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.context_for(2, root=1, role="review")
    await world.run_command("quiet", thread=thread_at(1))
    text = (await world.run_command("status", thread=thread_at(1))).card.text
    assert "Beside it: s2 (review)" in text
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
    assert text == texts.ONLY_IN_THREADS.format(verb="status")
    await world.context_for(1)
    text = (await world.run_command("!status now".removeprefix("!"), thread=thread_at(1))).card.text
    assert text == session_texts.USAGE_HINT.format(verb="status", usage="[s12]")


async def test_an_owner_whom_slack_no_longer_knows_goes_by_their_id(world: CommandFixture) -> None:
    await world.context_for(1, user="U0GONE")
    text = (await world.run_command("status", thread=thread_at(1))).card.text
    assert "Owner: U0GONE" in text
