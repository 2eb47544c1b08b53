"""The facts: a thread's session ids."""

from __future__ import annotations

import re

from bot.model import ThreadKey, TurnState


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
