"""The answer buffer follows the events of a session, and a shown text can follow the buffer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.turns.answer_stream import AnswerBuffer

Step = tuple[str, str]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.text(max_size=5)),
        st.tuples(st.just("take back"), st.just("")),
        st.tuples(st.just("settle"), st.text(max_size=5)),
        st.tuples(st.just("settle as added"), st.just("")),
    ),
    max_size=20,
)


@given(steps)
def test_deltas_and_replacements_always_equal_the_answer(steps: list[Step]) -> None:
    """The deltas of `add`, appended and replaced on request, always equal the answer."""
    answer, shown, current = AnswerBuffer(), "", ""
    for what, text in steps:
        if what == "add":
            shown += answer.add(text)
            current += text
        elif what == "take back":
            if answer.discard_current():
                shown = answer.text
            current = ""
        else:
            if answer.complete_current(text if what == "settle" else current):
                shown = answer.text
            current = ""
        assert shown == answer.text


def test_several_messages_of_the_model_are_separated() -> None:
    answer = AnswerBuffer()
    answer.add("Let me look.")
    assert answer.complete_current("Let me look.") is False
    assert answer.add("It is") == "\n\nIt is"
    assert answer.add(" 42.") == " 42."
    assert answer.text == "Let me look.\n\nIt is 42."


def test_the_complete_text_replaces_the_deltas() -> None:
    answer = AnswerBuffer()
    answer.add("It is 4")
    assert answer.complete_current("It is 42.") is True
    assert answer.text == "It is 42."


def test_a_retried_call_discards_only_its_own_text() -> None:
    answer = AnswerBuffer()
    answer.complete_current("First.")
    answer.add("half a sec")
    assert answer.discard_current() is True
    assert answer.text == "First."
    assert answer.discard_current() is False
