"""Open code spans are the same for a growing line and for the whole line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from bot.slack.formatting.links import OpenSpans
from tests.unit.chunk_strategies import in_chunks

LINES = st.text(st.sampled_from("``\\\\a "), max_size=40)


def whole(line: str) -> list[int]:
    return list(dict.fromkeys(_begun(line)))


def _begun(line: str) -> Iterator[int]:
    """The same in another form: each run, from the first, searches for the run that ends it
    (CommonMark 0.31, section 6.1)."""
    at = 0
    while (found := re.compile(r"\\.|(`+)").search(line, at)) is not None:
        at = found.end()
        if found[1] is None:
            continue
        ends = (end for end in re.compile("`+").finditer(line, at) if len(end[0]) == len(found[1]))
        end = next(ends, None)
        if end is None:
            yield len(found[1])
        else:
            at = end.end()


@given(in_chunks(LINES))
def test_spans_are_found_however_the_line_is_cut(pieces: list[str]) -> None:
    spans = OpenSpans()
    for piece in pieces:
        spans.advance(piece)
    assert spans.open_lengths() == whole("".join(pieces))


@given(LINES, LINES)
def test_a_query_in_between_changes_nothing(line: str, more: str) -> None:
    """A query comes where a run is at its end."""
    spans = OpenSpans()
    spans.advance(line)
    assert spans.open_lengths() == whole(line)
    spans.advance(f"]{more}")
    assert spans.open_lengths() == whole(f"{line}]{more}")
