"""Which texts are commands, and which are questions for the model."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.parser import KnownNames, ParsedCommand, parse_command, parse_message
from bot.commands.registry import COMMANDS, COMMANDS_AND_ALIASES, CommandSpec
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import Message, Trigger
from tests.contracts.messages import make_message

KNOWN = KnownNames(
    models=frozenset({"gpt-5", "claude-4.5"}), roles=frozenset({"review", "planning"})
)

COMMAND_TEXTS = [
    ("help", "help", ""),
    ("Help", "help", ""),
    ("list", "sessions", ""),
    ("sessions all page 2", "sessions", "all page 2"),
    ("sessions 3", "sessions", "3"),
    ("status s12", "status", "s12"),
    ("new", "reset", ""),
    ("reset", "reset", ""),
    ("resume s12", "resume", "s12"),
    ("stop", "stop", ""),
    ("stop queue", "stop", "queue"),
    ("model", "model", ""),
    ("model gpt-5", "model", "gpt-5"),
    ("model gpt-5 high for channel", "model", "gpt-5 high for channel"),
    ("compare gpt-5 claude-4.5 what is a monad?", "compare", "gpt-5 claude-4.5 what is a monad?"),
    ("compare gpt-5, claude-4.5 why?", "compare", "gpt-5, claude-4.5 why?"),
    ("!title Why not?", "title", "Why not?"),
    ("compare --open gpt-5 why?", "compare", "--open gpt-5 why?"),
    ("ask: what is Python?", "ask", "what is Python?"),
    ("!ask what is Python?", "ask", "what is Python?"),
    ("fork", "fork", ""),
    ("retry gpt-5", "retry", "gpt-5"),
    ("rewind", "rewind", ""),
    ("role review", "role", "review"),
    ("title: My plans", "title", "My plans"),
    ("!title My plans", "title", "My plans"),
    ("title", "title", ""),
    ("model gpt-nope high", "model", "gpt-nope high"),
    ("retry o3", "retry", "o3"),
    ("model high", "model", "high"),
    ("model default for workspace", "model", "default for workspace"),
    ("admin pause", "admin", "pause"),
    ("history s12 2", "history", "s12 2"),
    ("history page 2", "history", "page 2"),
    ("export json", "export", "json"),
    ("export json s12", "export", "json s12"),
    ("usage month by channel", "usage", "month by channel"),
    ("usage by me", "usage", "by me"),
    ("quiet", "quiet", ""),
    ("join", "join", ""),
    ("admin cleanup --older-than 30d", "admin", "cleanup --older-than 30d"),
    ("!help me please", "help", "me please"),
    ("!sessions whatever this is", "sessions", "whatever this is"),
    ("!reset\nnow", "reset", "now"),
    ("!ask\nfirst line\nsecond line", "ask", "first line\nsecond line"),
]

QUESTIONS = [
    "",
    "!",
    "! help",
    "!!help",
    "help me write a letter",
    "list all countries of Europe",
    "reset my password, how?",
    "new ideas for a party?",
    "resume of the meeting please, in three lines",
    "stop the music",
    "model a database for me",
    "model trains",
    "role models",
    "retry logic",
    "resume writing",
    "title ideas for a talk about cats",
    "ask Bob politely to come",
    "admin pause between keystrokes",
    "status: green",
    "compare apples and pears",
    "status of the project?",
    "history of Rome",
    "title ideas for my blog?",
    "compare gpt-5.5 with its forerunner",
    "export controls of the EU",
    "usage of the word literally",
    "quiet places in Paris",
    "join these two tables",
    "role models for children",
    "admin rights on Windows, how?",
    "delete s12",
    "vote A",
    "set model gpt-5",
    "explain help",
    "!unknown verb",
    "/help",
    "ask " + "x" * 10_000,
    "!title " + "x" * 10_000,
]


def command_in(text: str, trigger: Trigger = Trigger.MENTION) -> Command | None:
    parsed = parse_message(make_message(2, root=1, text=text, trigger=trigger), KNOWN)
    return parsed if isinstance(parsed, Command) else None


@pytest.mark.parametrize(("text", "name", "args"), COMMAND_TEXTS)
@pytest.mark.parametrize("trigger", [Trigger.MENTION, Trigger.DIRECT])
def test_a_sentence_that_is_nothing_but_a_command_is_one(
    text: str, name: str, args: str, trigger: Trigger
) -> None:
    command = command_in(text, trigger)
    assert command is not None, "it was taken for a question"
    assert (command.name, command.args) == (name, args)
    assert (command.source, command.user, command.key) == (
        CommandSource.MESSAGE,
        "U0ALICE",
        "Ev-C0GENERAL-2",
    )
    assert command.thread is not None
    assert (command.thread.root_ts, command.ts) == ("1790000001.000000", "1790000002.000000")


@pytest.mark.parametrize("text", QUESTIONS, ids=range(len(QUESTIONS)))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_any_other_text_is_a_question_without_changes(text: str, trigger: Trigger) -> None:
    message = make_message(2, root=1, text=text, trigger=trigger)
    assert parse_message(message, KNOWN) == message


def test_without_a_mention_only_the_mark_makes_a_command() -> None:
    assert command_in("reset", Trigger.FOLLOW_UP) is None
    assert command_in("!reset", Trigger.FOLLOW_UP) is not None


@pytest.mark.parametrize(
    "trigger", [Trigger.OVERHEARD, Trigger.POSTED_QUESTION, Trigger.REPLY_ACTION]
)
def test_a_message_for_others_or_by_another_trigger_is_no_command(trigger: Trigger) -> None:
    assert command_in("reset", trigger) is None
    if trigger is not Trigger.REPLY_ACTION:
        assert command_in("!reset", trigger) is None


def test_an_unknown_model_makes_no_comparison() -> None:
    assert command_in("compare gpt-9 why?") is None
    assert parse_command("compare gpt-5 why?", KnownNames(), CommandSource.MESSAGE) is None


def test_a_model_whose_name_is_a_pattern_is_taken_by_the_letter() -> None:
    known = KnownNames(models=frozenset({"a.*b", "(("}))
    assert parse_command("compare (( why?", known, CommandSource.MESSAGE) is not None
    assert parse_command("compare aXXb why?", known, CommandSource.MESSAGE) is None


@pytest.mark.parametrize("name", list(COMMANDS.values()), ids=lambda name: name.name)
@pytest.mark.parametrize("source", [CommandSource.SLASH_COMMAND, CommandSource.MESSAGE])
def test_a_command_name_is_known_in_the_forms_that_it_has_and_in_no_other(
    name: CommandSpec, source: CommandSource
) -> None:
    parsed = parse_command(f"!{name.name} x", KNOWN, source)
    assert parsed == (ParsedCommand(name=name.name, args="x") if source in name.sources else None)


def test_a_command_with_free_words_is_known_as_what_goes_in_threads_only() -> None:
    assert parse_command("title Plans", KNOWN, CommandSource.MESSAGE) is None
    parsed = parse_command("title Plans", KNOWN, CommandSource.MESSAGE, from_slash_command=True)
    assert parsed == ParsedCommand(name="title", args="Plans")


def test_a_question_that_begins_with_a_role_goes_to_the_session_of_the_role() -> None:
    parsed = parse_message(make_message(2, root=1, text="Review: is this right?"), KNOWN)
    assert isinstance(parsed, Message)
    assert (parsed.text, parsed.options.role) == ("is this right?", "review")


@pytest.mark.parametrize("text", ["review:", "review: \n", "review", "critic: hello", ": hello"])
def test_what_only_looks_like_a_role_stays_as_it_is(text: str) -> None:
    message = make_message(2, root=1, text=text)
    assert parse_message(message, KNOWN) == message


def test_no_command_is_found_twice_in_a_role() -> None:
    """`review: reset` is a question to the reviewer."""
    parsed = parse_message(make_message(2, root=1, text="review: reset"), KNOWN)
    assert isinstance(parsed, Message)
    assert parsed.text == "reset"


@given(
    text=st.text()
    | st.builds(
        "{}{} {}".format,
        st.sampled_from(["", "!"]),
        st.sampled_from(sorted(COMMANDS_AND_ALIASES)),
        st.text(),
    ),
    trigger=st.sampled_from(Trigger),
)
def test_no_text_is_too_strange_to_be_read(text: str, trigger: Trigger) -> None:
    message = replace(make_message(2, root=1, trigger=trigger), text=text)
    parsed = parse_message(message, KNOWN)
    if isinstance(parsed, Command):
        assert CommandSource.MESSAGE in COMMANDS[parsed.name].sources
    else:
        assert parsed.text in text
