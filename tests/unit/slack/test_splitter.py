"""Long answers come in parts that each fit a message; text and code fences stay whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.replies.splitter import PART_LIMIT, PartText, Splitter, find_open_fence
from bot.slack.replies.text import ReplyText

SMALL = 600

lines = st.one_of(
    st.sampled_from(
        (
            *("", "```", "```python", "~~~~", "~~~", "````md", "  ```js title=x", "- ```", "text"),
            *("A sentence. " * 12, "word " * 40, "x" * 300, "😀" * 50, "e\u0301" * 90, "`" * 130),
            *("    ```", "foo ```bar", "1. ```sh", "| a | b |", "```a`b", "x" * 280 + "@here"),
        )
    ),
    st.text(max_size=60),
)
answers = st.lists(lines, max_size=40).map("\n".join)


def split(text: str, limit: int = SMALL) -> list[PartText]:
    splitter = Splitter(limit)
    splitter.add_text(text)
    splitter.complete()
    return splitter.parts


@st.composite
def fed(draw: st.DrawFn) -> list[str]:
    text = draw(answers)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=30)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(text=answers)
def test_parts_fit_are_balanced_and_say_the_text(text: str) -> None:
    parts = split(text)
    joined = "".join(part.body.replace("@\u2060", "@") for part in parts)
    assert joined == text.replace("@\u2060", "@")
    for part in parts:
        assert len(part.closed_text) <= SMALL
        assert find_open_fence(part.closed_text) is None
        assert part.is_final


@given(pieces=fed())
def test_however_the_text_comes_the_parts_are_the_same(pieces: list[str]) -> None:
    splitter = Splitter(SMALL)
    for piece in pieces:
        splitter.add_text(piece)
    splitter.complete()
    assert splitter.parts == split("".join(pieces))


@given(pieces=fed())
def test_the_text_of_a_part_does_not_change(pieces: list[str]) -> None:
    """Text in a stream cannot be changed: each view of a part begins with the view before."""
    splitter = Splitter(SMALL)
    seen: list[str] = []
    for piece in [*pieces, None]:
        if piece is None:
            splitter.complete()
        else:
            splitter.add_text(piece)
        now = [part.closed_text if part.is_final else part.text for part in splitter.parts]
        assert all(after.startswith(before) for before, after in zip(seen, now, strict=False))
        assert len(now) >= len(seen)
        seen = now


@given(pieces=fed(), every=st.integers(1, 5))
def test_parts_ended_early_still_say_the_text(pieces: list[str], every: int) -> None:
    splitter = Splitter(SMALL)
    for count, piece in enumerate(pieces):
        splitter.add_text(piece)
        if count % every == 0 and splitter.parts:
            ended = splitter.parts[-1]
            shown = len(ended.text)
            splitter.end_part(shown)
            assert ended.is_final
            assert len(ended.text) == shown
    splitter.complete()
    joined = "".join(part.body.replace("@\u2060", "@") for part in splitter.parts)
    assert joined == "".join(pieces).replace("@\u2060", "@")
    assert all(len(part.closed_text) <= SMALL for part in splitter.parts)
    assert all(find_open_fence(part.closed_text) is None for part in splitter.parts)


def test_the_cut_falls_between_paragraphs() -> None:
    first, second = "One. " * 75, "Two. " * 60
    parts = split(f"{first}\n\n{second}")
    assert [part.body for part in parts] == [f"{first}\n\n", second]


@pytest.mark.parametrize("gap", ["\n", ". ", " "])
def test_without_paragraphs_the_cut_falls_at_the_end_of_a_line_a_sentence_or_a_word(
    gap: str,
) -> None:
    parts = split(gap.join(["somewords" * 4] * 40))
    assert len(parts) > 1
    assert all(part.body.endswith(gap) for part in parts[:-1])


def test_a_text_without_any_place_is_cut_all_the_same_but_not_within_a_character() -> None:
    parts = split("e\u0301" * 2_000)
    assert len(parts) > 1
    assert all(part.body.startswith("e") for part in parts)


def test_a_mail_address_does_not_become_a_ping_at_the_head_of_a_part() -> None:
    reply = ReplyText(SMALL)
    for size in range(400, 470):
        reply.complete("x" * size + "@here.example" + "y" * 300, "")
        assert not any(part.body.startswith("@here") for part in reply.parts)
        reply = ReplyText(SMALL)


def test_an_early_cut_within_a_mail_address_does_not_make_it_a_ping() -> None:
    splitter = Splitter()
    splitter.add_text("Write to me")
    splitter.end_part(shown_chars=len("Write to me"))
    splitter.add_text("@here.example, please.")
    assert [part.text for part in splitter.parts] == [
        "Write to me",
        "@\u2060here.example, please.",
    ]


def test_an_open_fence_is_closed_and_opened_again_with_its_language() -> None:
    code = "".join(f"print({number})\n" for number in range(140))
    parts = split(f"Look:\n````python title=x\n{code}````\nDone.")
    assert len(parts) > 2
    assert all(part.fence_opener == "````python title=x\n" for part in parts[1:])
    assert all(part.closed_text.endswith("\n````") for part in parts[:-1])
    assert parts[-1].closed_text.endswith("````\nDone.")


def test_a_fence_within_a_list_keeps_its_indentation() -> None:
    code = "".join(f"  print({number})\n" for number in range(80))
    parts = split(f"- ```py\n{code}  ```")
    assert parts[1].fence_opener == "  ```py\n"
    assert parts[0].closed_text.endswith("\n  ```")


def test_an_answer_that_ends_in_an_open_fence_is_closed() -> None:
    assert split("```js\nlet a")[0].closed_text == "```js\nlet a\n```"


def test_an_early_cut_takes_the_best_place_that_has_not_been_shown() -> None:
    splitter = Splitter()
    splitter.add_text("Shown text. A whole sentence. And half of ano")
    splitter.end_part(shown_chars=len("Shown text. A"))
    splitter.add_text("ther one.")
    assert [part.body for part in splitter.parts] == [
        "Shown text. A whole sentence. ",
        "And half of another one.",
    ]


def test_a_limit_without_room_for_text_is_refused() -> None:
    with pytest.raises(ValueError, match="600"):
        Splitter(599)


def test_five_megabytes_are_split_quickly_enough_to_be_read() -> None:
    text = "Ein Satz mit Wörtern. " * 230_000
    parts = split(text, PART_LIMIT)
    assert "".join(part.body for part in parts) == text
    assert max(len(part.closed_text) for part in parts) <= PART_LIMIT


# The text of a reply ----------------------------------------------------------------------------


def test_a_note_is_set_apart_at_the_end() -> None:
    reply = ReplyText()
    reply.append_text("Half an ans")
    reply.complete("Half an answer", "Stopped.")
    assert [part.closed_text for part in reply.parts] == ["Half an answer\n\n_Stopped._"]


def test_a_note_without_an_answer_is_a_message_of_its_own() -> None:
    reply = ReplyText()
    reply.complete("", "Ask <!channel>\nagain.")
    assert [part.closed_text for part in reply.parts] == ["_Ask <\u2060!channel> again._"]


def test_replaced_text_makes_room_for_the_final_text() -> None:
    reply = ReplyText()
    reply.append_text("First try")
    reply.replace_text("")
    reply.append_text("Second try")
    reply.complete("Second try", "")
    assert [part.closed_text for part in reply.parts] == ["Second try"]


@given(pieces=fed(), note=st.sampled_from(["", "Stopped."]))
def test_the_final_parts_hold_the_whole_answer_after_any_partial_text(
    pieces: list[str], note: str
) -> None:
    reply = ReplyText(SMALL)
    for piece in pieces:
        reply.append_text(piece)
    whole = "".join(pieces)
    reply.complete(whole, note)
    straight = ReplyText(SMALL)
    straight.complete(whole, note)
    assert list(reply.parts) == list(straight.parts)
