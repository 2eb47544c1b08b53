"""`history`, `export` and `usage`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.access import texts as access_texts
from bot.commands import texts
from bot.commands.history import HistoryCommands
from bot.commands.texts import sessions as session_texts
from bot.commands.transcripts import Transcript, TranscriptFormat, as_markdown, read_transcript
from bot.commands.usage import UsageCommand
from bot.commands.user_names import UserNames
from bot.domain.commands import CommandSource
from bot.domain.messages import ThreadKey
from bot.domain.sessions import HistoryEntry, SessionOrigin, SessionRecord
from bot.domain.turns import TurnState
from tests.unit.commands.command_fixtures import (
    ADA,
    ALICE,
    BOB,
    DEV,
    GENERAL,
    TEAM,
    CommandFixture,
    command_fixture,
    thread_at,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        names = UserNames(world.people)
        remembering = HistoryCommands(world.store, world.publisher, names, world.clock)
        world.handlers.update(remembering.handlers())
        world.handlers.update(UsageCommand(world.store, world.people, world.clock).handlers())
        yield world


# History -----------------------------------------------------------------------------------------


async def test_history_shows_who_asked_what_and_what_the_answer_was(world: CommandFixture) -> None:
    await world.context_for(1, text="What is\nPython?", answer="A *language*.\nAnd a snake.")
    await world.context_for(2, root=1, user=BOB, text="x" * 1_000, answer="y" * 1_000)
    await world.clock.advance(3_600)
    result = await world.run_command("history", thread=thread_at(1))
    assert not result.public
    first, second = result.card.items
    assert first.text == "What is Python?"
    assert first.detail == "1. Alice, 1 h ago · gpt-5\nA *language*. And a snake."
    assert second.detail.startswith("2. Bob, 1 h ago · gpt-5\nyyy")
    assert len(second.text) == 300
    assert len(second.detail) < 600
    assert result.card.buttons == ()


async def test_history_begins_with_the_newest_page(world: CommandFixture) -> None:
    for number in range(1, 13):
        await world.context_for(number, root=1, text=f"question {number}")
    newest = (await world.run_command("history", thread=thread_at(1))).card
    assert [line.text for line in newest.items] == ["question 11", "question 12"]
    assert newest.text == session_texts.PAGE.format(page=3, last=3)
    (earlier,) = newest.buttons
    middle = (await world.press_button(earlier, thread=thread_at(1))).card
    assert [line.text for line in middle.items] == [f"question {n}" for n in range(6, 11)]
    assert [button.args for button in middle.buttons] == ["s1 1", "s1 3"]
    assert (await world.run_command("history page 99", thread=thread_at(1))).card == newest


async def test_the_history_of_a_named_session_leads_to_its_thread(world: CommandFixture) -> None:
    await world.context_for(1)
    card = (await world.run_command("history s1", form=CommandSource.SLASH_COMMAND)).card
    assert card.link == thread_at(1)
    assert card.title == "s1, What is Python?"


async def test_a_session_without_a_history_says_so(world: CommandFixture) -> None:
    session = await world.context_for(1)
    await world.store.reset(session.thread, "", ALICE)
    result = await world.run_command("history", thread=thread_at(1))
    assert result.card.text == session_texts.HISTORY_EMPTY.format(handle="s2")
    assert (
        await world.run_command("history", thread=thread_at(9))
    ).card.text == session_texts.NO_SESSION
    result = await world.run_command("history of Rome", thread=thread_at(1))
    assert result.card.text == session_texts.USAGE_HINT.format(
        command="history", usage="[s12] [page]"
    )
    result = await world.run_command("history", form=CommandSource.SLASH_COMMAND)
    assert result.card.text == texts.ONLY_IN_THREADS.format(command="history")


# Export ------------------------------------------------------------------------------------------


async def test_an_export_is_a_file_for_the_caller_alone(world: CommandFixture) -> None:
    await world.context_for(1, text="What is Python?", answer="A language.")
    await world.context_for(2, root=1, user=BOB, text="And Perl?", answer="Another one.")
    result = await world.run_command("export", by=BOB, thread=thread_at(1))
    assert (result.public, world.publisher.shown) == (False, [])
    assert result.card.text == session_texts.EXPORT_DONE.format(handle="s1", turns="2 turns")
    ((user, name, content),) = world.publisher.files
    assert (user, name) == (BOB, "threadpilot-s1.md")
    assert content.startswith("# What is Python\\?\n\n- Session: s1\n- Owner: Alice\n")
    assert re.findall("^## (.*)", content, re.MULTILINE) == [
        "1. Alice, 3 Oct 2026, 04:00 UTC",
        "2. Bob, 3 Oct 2026, 04:00 UTC",
    ]
    assert "```text\nWhat is Python?\n```" in content
    assert "**gpt\\-5**, 1.5 s, 1,000 tokens in, 20 out" in content


async def test_an_export_of_a_foreign_session_by_an_admin_is_audited(
    world: CommandFixture,
) -> None:
    """Before the file is sent. The owner's own export is not audited."""
    await world.context_for(1)
    await world.context_for(2, root=1, user=ADA)
    await world.run_command("export", by=ALICE, thread=thread_at(1))
    assert (await world.store.list_audit_entries(0, 5))[1] == 0
    world.publisher.trouble = True
    await world.run_command("export", by=ADA, thread=thread_at(1))
    (entry,), _ = await world.store.list_audit_entries(0, 5)
    assert (entry.actor, entry.action, entry.target, entry.detail) == (
        *(ADA, "export", "s1"),
        "of U0ALICE, 2 turns",
    )


async def test_an_export_for_programs_has_a_stable_shape(world: CommandFixture) -> None:
    session = await world.context_for(1, text="What is ☃?", answer="A snowman.")
    await world.run_command("export JSON s1", form=CommandSource.SLASH_COMMAND)
    ((_, name, content),) = world.publisher.files
    assert name == "threadpilot-s1.json"
    assert json.loads(content) == {
        "format": "threadpilot-transcript",
        "version": 1,
        "session": {
            "handle": "s1",
            "id": session.id,
            "title": "What is ☃?",
            "role": "",
            "model": "",
            "owner": {"id": ALICE, "name": "Alice"},
            "team": TEAM,
            "channel": GENERAL,
            "thread": thread_at(1).root_ts,
            "created": "2026-10-03T04:00:00+00:00",
            "used": "2026-10-03T04:00:00+00:00",
            "turns": 1,
            "input_tokens": 1000,
            "output_tokens": 20,
        },
        "left_out": 0,
        "turns": [
            {
                "number": 1,
                "ts": thread_at(1).root_ts,
                "asked": "2026-10-03T04:00:00+00:00",
                "user": {"id": ALICE, "name": "Alice"},
                "question": "What is ☃?",
                "answer": "A snowman.",
                "state": "done",
                "model": "gpt-5",
                "seconds": 1.5,
                "input_tokens": 1000,
                "output_tokens": 20,
            }
        ],
    }


async def test_a_very_long_session_is_exported_without_its_oldest_turns(
    world: CommandFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.commands.transcripts.MAX_TURNS", 3)
    monkeypatch.setattr("bot.commands.transcripts._PAGE_SIZE", 2)
    for number in range(1, 6):
        await world.context_for(number, root=1, text=f"question {number}")
    transcript = await read_transcript(world.store, await world.session(1))
    assert [turn.text for turn in transcript.turns] == ["question 3", "question 4", "question 5"]
    assert transcript.omitted_count == 2
    result = await world.run_command("export", thread=thread_at(1))
    assert result.card.text.endswith(session_texts.EXPORT_OMITTED.format(turns="2 turns"))
    assert "## 3. Alice" in world.publisher.files[0][2]


async def test_a_comparison_copy_hides_its_model(world: CommandFixture) -> None:
    source = await world.context_for(1)
    await world.add_comparison(source, "claude-4.5")
    card = (await world.run_command("history s2", thread=thread_at(1))).card
    assert "gpt-5" not in card.items[0].detail
    for form in TranscriptFormat:
        await world.run_command(f"export {form} s2", thread=thread_at(1))
    for _, _, content in world.publisher.files:
        assert not re.search(r"claude|gpt", content)


async def test_names_that_slack_does_not_return_are_ids(world: CommandFixture) -> None:
    await world.context_for(1, user="U0AAGONE")
    await world.context_for(2, root=1, user=BOB)
    await world.run_command("export", by=ALICE, thread=thread_at(1))
    content = world.publisher.files[0][2]
    assert "- Owner: U0AAGONE" in content
    assert "## 2. Bob, " in content


async def test_an_export_that_slack_does_not_take_gets_a_sentence(world: CommandFixture) -> None:
    await world.context_for(1)
    world.publisher.trouble = True
    result = await world.run_command("export", thread=thread_at(1))
    assert result.card.text.startswith("Sorry")


async def test_there_is_nothing_to_export_of_nothing(world: CommandFixture) -> None:
    session = await world.context_for(1)
    await world.store.reset(session.thread, "", ALICE)
    result = await world.run_command("export", thread=thread_at(1))
    assert result.card.text == session_texts.HISTORY_EMPTY.format(handle="s2")
    assert (
        await world.run_command("export", thread=thread_at(9))
    ).card.text == session_texts.NO_SESSION
    result = await world.run_command("export pdf", thread=thread_at(1))
    assert result.card.text == session_texts.USAGE_HINT.format(
        command="export", usage="[markdown|json] [s12]"
    )
    assert world.publisher.files == []


SESSION = SessionRecord(
    number=7,
    id="slack-T-C-1",
    thread=ThreadKey(team="T", channel="C", root_ts="1.000000"),
    role="",
    current=True,
    owner="U1",
    title="Plans",
    origin=SessionOrigin.THREAD,
    model="",
    last_model="",
    effort="",
    seen_ts="",
    turn_count=1,
    input_tokens=1,
    output_tokens=1,
    context_tokens=0,
    context_limit=0,
    size=0,
    created_at=0,
    last_used_at=0,
)
TURN = HistoryEntry(
    turn=1,
    ts="1.000000",
    user="U1",
    text="q",
    answer="a",
    state=TurnState.DONE,
    model="m",
    event_id="e",
    accepted_at=0,
    seconds=1,
    input_tokens=1,
    output_tokens=1,
)


def test_the_transcript_of_a_role_says_so() -> None:
    written = as_markdown(Transcript(session=replace(SESSION, role="review"), turns=(TURN,)))
    assert "- Role: review\n" in written
    assert "Role" not in as_markdown(Transcript(session=SESSION, turns=(TURN,)))


def frame(markdown: str) -> list[str]:
    """The text outside of all fences, as Markdown is read."""
    outside, fence = [], ""
    for line in re.split(r"\r\n|\r|\n", markdown):
        if fence:
            if re.fullmatch(rf" {{0,3}}`{{{len(fence)},}}[ \t]*", line):
                fence = ""
        elif opened := re.match(r"(`{3,})", line):
            fence = opened[1]
        else:
            outside.append(line)
    assert not fence, "a fence is left open"
    return outside


@pytest.mark.parametrize(
    "text",
    [
        "```",
        "```text\n````\n# heading",
        "\n## 2. Mallory",
        "<!--",
        "~~~",
        "`" * 50,
        "\r```\r# x",
        "",
    ],
)
def test_no_text_breaks_the_frame_of_a_transcript(text: str) -> None:
    turn = replace(TURN, text=text, answer=text)
    written = as_markdown(Transcript(session=SESSION, turns=(turn,)))
    outside = [line for line in frame(written) if line]
    plain = as_markdown(Transcript(session=SESSION, turns=(TURN,)))
    missing = [] if text else [session_texts.NO_ANSWER]
    assert outside == [line for line in frame(plain) if line] + missing


@given(text=st.text(alphabet="`~#\n\r a<>-"), title=st.text(), name=st.text())
def test_no_title_and_no_name_breaks_it_either(text: str, title: str, name: str) -> None:
    transcript = Transcript(
        session=replace(SESSION, title=title),
        turns=(replace(TURN, text=text, answer=text or "a"),),
        names={"U1": name or "U1"},
    )
    outside = [line for line in frame(as_markdown(transcript)) if line]
    plain = frame(as_markdown(Transcript(session=SESSION, turns=(TURN,))))
    assert len(outside) == len([line for line in plain if line])
    assert [line[:2] for line in outside] == [line[:2] for line in plain if line]
    json.loads(transcript.render(TranscriptFormat.JSON))


# Usage -------------------------------------------------------------------------------------------


async def rows(world: CommandFixture, command: str, by: str = ALICE, **given: object) -> list[str]:
    form = CommandSource.MESSAGE if given.get("thread") else CommandSource.SLASH_COMMAND
    result = await world.run_command(command, by=by, form=form, **given)  # type: ignore[arg-type]
    assert not result.public
    return [f"{line.text}: {line.detail}" for line in result.card.items]


async def test_usage_is_of_this_thread_in_a_thread_and_of_the_user_elsewhere(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    await world.context_for(2, root=1, user=BOB)
    await world.context_for(10, channel=DEV)
    two = "2 turns, 2,000 tokens in, 40 out"
    assert await rows(world, "usage", thread=thread_at(1)) == [f"This thread: {two}"]
    assert await rows(world, "usage", channel=GENERAL) == [f"You: {two}"]
    assert await rows(world, "usage by me", thread=thread_at(1)) == [f"You: {two}"]


async def test_usage_is_of_a_day_a_week_or_a_month(world: CommandFixture) -> None:
    await world.context_for(1)
    await world.clock.advance(2 * 86_400)
    assert await rows(world, "usage day", channel=GENERAL) == [f"{session_texts.USAGE_NOTHING}: "]
    assert len(await rows(world, "usage", channel=GENERAL)) == 1
    await world.clock.advance(20 * 86_400)
    assert await rows(world, "usage week by me", channel=GENERAL) == [
        f"{session_texts.USAGE_NOTHING}: "
    ]
    card = (await world.run_command("usage Month BY me", form=CommandSource.SLASH_COMMAND)).card
    assert card.title == "Usage in the last 30 days"
    assert card.items[0].text == "You"
    assert [(button.label, button.args) for button in card.buttons] == [
        ("Day", "day by me"),
        ("Week", "week by me"),
    ]


async def test_the_usage_of_a_channel_is_for_those_who_see_it(world: CommandFixture) -> None:
    await world.context_for(1, channel=DEV)
    await world.context_for(2, root=1, user=BOB, channel=DEV)
    await world.context_for(10)
    found = await rows(world, "usage by channel", channel=DEV)
    assert found == ["This channel: 2 turns, 2,000 tokens in, 40 out"]
    world.people.hidden.add((ALICE, DEV))
    result = await world.run_command(
        "usage by channel", form=CommandSource.SLASH_COMMAND, channel=DEV
    )
    assert result.card.text == access_texts.NOT_VISIBLE


async def test_usage_by_model_is_of_the_user_and_for_admins_of_all_users(
    world: CommandFixture,
) -> None:
    await world.context_for(1)
    await world.context_for(10, user=BOB)
    one, two = "gpt-5: 1 turn, 1,000 tokens in, 20 out", "gpt-5: 2 turns, 2,000 tokens in, 40 out"
    assert await rows(world, "usage by model", channel=GENERAL) == [one]
    assert await rows(world, "usage by model", by=ADA, channel=GENERAL) == [two]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("usage by thread", session_texts.USAGE_NO_THREAD),
        ("usage by channel", session_texts.USAGE_NO_CHANNEL),
        (
            "usage year",
            session_texts.USAGE_HINT.format(
                command="usage", usage="[day|week|month] [by thread|me|channel|model]"
            ),
        ),
    ],
)
async def test_usage_of_what_is_not_there_gets_a_sentence(
    world: CommandFixture, text: str, sentence: str
) -> None:
    assert (await world.run_command(text, form=CommandSource.HOME_TAB)).card.text == sentence
