"""Tests that the checks at the end of a round find each kind of problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.domain.turns import TurnState
from bot.slack.replies.messages import REPLY_EVENT_TYPE
from tests.chaos.database_reader import ExecutedCommand, Row
from tests.chaos.generator import MARKER, Say, Trouble, expected_answer, question, script
from tests.chaos.oracle import Observations, WrittenMessage, problems
from tests.emulator_client import GENERAL, PEOPLE, Json
from tests.scripted_model import ModelRequest


def message(thread: int, number: int) -> WrittenMessage:
    """A message of Alice; a thread's first message has the number of the thread."""
    say = Say(
        number=number,
        thread=thread,
        person="alice",
        place=GENERAL,
        lines=2,
        begins=number == thread,
        mentions=True,
        trouble=Trouble.NONE,
    )
    return WrittenMessage(say, GENERAL, ts_of(number), ts_of(thread), {say.text})


def ts_of(number: int, later: int = 0) -> str:
    return f"{1_790_000_000 + number}.{later:06}"


def row(of: WrittenMessage) -> Row:
    return Row(
        id=of.say.number + 1,
        channel=of.channel,
        root_ts=of.root_ts,
        ts=of.ts,
        user=PEOPLE["alice"],
        text=of.say.text,
        state=TurnState.DONE,
        answer=expected_answer(of.say.text),
        note="",
    )


def reply(of: WrittenMessage, text: str = "", part: int = 0) -> Json:
    payload = {"turn": of.say.number + 1, "part": part}
    return {
        "ts": ts_of(100 + of.say.number, part),
        "bot_id": "B0PILOT",
        "text": text or expected_answer(of.say.text),
        "metadata": {"event_type": REPLY_EVENT_TYPE, "event_payload": payload},
    }


FIRST, SECOND, OTHER = message(0, 0), message(0, 2), message(1, 1)


def all_well() -> Observations:
    """Two threads, three questions, three answers."""
    system = ("system", "Be kind.")
    return Observations(
        written=[FIRST, OTHER, SECOND],
        turns={(each.channel, each.ts): row(each) for each in (FIRST, OTHER, SECOND)},
        threads={
            (GENERAL, FIRST.ts): [{"ts": FIRST.ts, "text": "?"}, reply(FIRST), reply(SECOND)],
            (GENERAL, OTHER.ts): [{"ts": OTHER.ts, "text": "?"}, reply(OTHER)],
        },
        ephemeral_messages={"alice": []},
        requests=[
            ModelRequest(model="m", messages=(system, ("user", FIRST.say.text))),
            ModelRequest(model="m", messages=(system, ("user", OTHER.say.text))),
        ],
    )


def with_turn(seen: Observations, of: WrittenMessage, **changes: object) -> Observations:
    changed = replace(row(of), **changes)  # type: ignore[arg-type]  # a test names real fields
    return replace(seen, turns={**seen.turns, (of.channel, of.ts): changed})


def in_thread(seen: Observations, of: WrittenMessage, *messages: Json) -> Observations:
    place = (GENERAL, of.root_ts)
    return replace(seen, threads={**seen.threads, place: messages})


def test_where_all_is_well_nothing_is_found() -> None:
    assert list(problems(all_well())) == []


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (lambda s: replace(s, turns={}), "was lost"),
        (lambda s: with_turn(s, FIRST, state="running"), "is left running"),
        (lambda s: with_turn(s, FIRST, text="something else"), "was taken as"),
        (lambda s: in_thread(s, FIRST, reply(SECOND)), "shows \\[\\]"),
        (lambda s: in_thread(s, OTHER, reply(OTHER, "half")), "the model said"),
        (lambda s: in_thread(s, OTHER, reply(OTHER), reply(OTHER)), "twice"),
        (lambda s: in_thread(s, OTHER, reply(OTHER), reply(OTHER, part=1)), "the model said"),
        (lambda s: in_thread(s, OTHER, reply(OTHER) | {"metadata": {}}), "message of no turn"),
        (lambda s: in_thread(s, OTHER, reply(FIRST)), "which is another thread's"),
        (
            lambda s: in_thread(s, OTHER, reply(OTHER) | {"streaming": {"state": "streaming"}}),
            "left open",
        ),
        (
            lambda s: in_thread(s, FIRST, reply(FIRST) | {"ts": ts_of(900)}, reply(SECOND)),
            "was answered before",
        ),
        (lambda s: with_turn(s, OTHER, state="withdrawn"), "but not deleted"),
        (lambda s: with_turn(s, OTHER, state="failed", note="Sorry."), "on record is"),
        (
            lambda s: in_thread(with_turn(s, OTHER, state="failed"), OTHER),
            "its author got no message",
        ),
        (lambda s: of_history(s, FIRST.say.text, FIRST.say.text), "same question twice"),
        (lambda s: of_history(s, FIRST.say.text, OTHER.say.text), "several threads"),
        (
            lambda s: in_thread(s, OTHER, reply(OTHER) | {"reactions": [{"name": "eyes"}]}),
            "left on",
        ),
        (lambda s: replace(s, processing=[(GENERAL, OTHER.ts)]), "that the bot works"),
        (lambda s: of_talk(s, FIRST.say.text, "half", SECOND.say.text), "a session knows 'half'"),
        (
            lambda s: of_talk(
                with_turn(s, FIRST, state="stopped", answer="t00"), FIRST.say.text, "no", "?"
            ),
            "a session knows 'no'",
        ),
        (
            lambda s: of_history(
                with_turn(
                    with_turn(s, FIRST, session=1, ended=1.0), SECOND, session=1, accepted=2.0
                ),
                SECOND.say.text,
            ),
            "without the memory of",
        ),
        (
            lambda s: replace(
                of_talk(
                    with_turn(with_turn(s, FIRST, ended=float(FIRST.ts)), SECOND, accepted=9.0),
                    FIRST.say.text,
                    expected_answer(FIRST.say.text),
                    SECOND.say.text,
                ),
                resets=[ExecutedCommand(GENERAL, FIRST.ts, ts_of(1), "reset", 5.0)],
            ),
            "after a reset",
        ),
    ],
)
def test_each_kind_of_problem_is_found(
    wrong: Callable[[Observations], Observations], found: str
) -> None:
    with pytest.raises(AssertionError, match=found):
        assert not list(problems(wrong(all_well())))


def of_history(seen: Observations, *questions: str) -> Observations:
    messages = tuple(("user", text) for text in questions)
    return replace(seen, requests=[ModelRequest(model="m", messages=messages)])


def of_talk(seen: Observations, *texts: str) -> Observations:
    """A request with questions and answers in turns, the first a question."""
    messages = tuple(
        ("user" if not number % 2 else "assistant", text) for number, text in enumerate(texts)
    )
    return replace(seen, requests=[ModelRequest(model="m", messages=messages)])


def test_the_same_seed_is_the_same_script_and_another_is_another() -> None:
    assert str(script(5)) == str(script(5))
    assert str(script(5)) != str(script(6))


def test_every_line_of_an_answer_says_whose_it_is() -> None:
    text = question(3, 14, 7, version=1)
    lines = expected_answer(text).splitlines()
    assert len(lines) == 7
    assert {MARKER.findall(line)[0] for line in lines} == {"t03m014v1"}
