"""Checks session ids of threads, the format of a `ts`, and text that can be stored."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.messages import ThreadKey, strip_unstorable, ts_position
from bot.domain.turns import TurnState


def test_a_session_id_is_what_the_runtime_takes() -> None:
    key = ThreadKey(team="T0SANDBOX", channel="C0GENERAL", root_ts="1790000000.000100")
    assert key.session_id() == "slack-T0SANDBOX-C0GENERAL-1790000000-000100"
    assert key.session_id(3) == "slack-T0SANDBOX-C0GENERAL-1790000000-000100-3"
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,250}", key.session_id(12))


def test_threads_of_different_places_have_different_sessions() -> None:
    keys = [
        ThreadKey(team=team, channel=channel, root_ts=ts)
        for team in ("T1", "T2")
        for channel in ("C1", "C2")
        for ts in ("1.000001", "1.000002")
    ]
    assert len({key.session_id() for key in keys}) == len(keys)


def test_only_waiting_and_running_turns_are_open() -> None:
    assert [state for state in TurnState if not state.final] == [
        TurnState.WAITING,
        TurnState.RUNNING,
    ]


@given(
    st.tuples(st.integers(0, 10**12 - 1), st.integers(0, 999_999)),
    st.tuples(st.integers(0, 10**12 - 1), st.integers(0, 999_999)),
)
def test_messages_stand_in_the_order_of_their_ts(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    positions = [ts_position(f"{seconds}.{after:06}") for seconds, after in (one, other)]
    assert (positions[0] < positions[1]) == (one < other)
    assert max(positions) < 2**63, "a database's integer holds it"


@pytest.mark.parametrize(
    "ts", ["", "now", "1", "1.2", "1.0000001", "-1.000000", "1.000000\n", "١.000000", " 1.000000"]
)
def test_what_is_no_ts_has_no_place(ts: str) -> None:
    with pytest.raises(ValueError, match="not the ts of a Slack message"):
        ts_position(ts)


def test_text_is_kept_but_for_what_no_database_takes() -> None:
    assert (
        strip_unstorable("half \ud83d, no \0, \U0001f600 and all")
        == "half ?, no , \U0001f600 and all"
    )


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_ordinary_text_is_kept_as_it_is(text: str) -> None:
    assert strip_unstorable(text) == text
