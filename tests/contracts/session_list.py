"""Checks what a store promises about lists of sessions: pages and totals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.messages import MessageOptions
from bot.domain.sessions import SessionFilter, SessionOrigin, SessionPage, SessionTotals
from bot.domain.usage import TokenUsage
from bot.ports import Store
from tests.contracts.messages import BEGIN, make_message
from tests.contracts.store_fixtures import answered, current
from tests.fakes import ManualClock

ALL = SessionFilter()
HERE = make_message(1).thread

# What fits of the seven sessions of `_some`, by handle, newest used first.
FITTING = [
    (ALL, "s7 s6 s5 s4 s3 s2 s1"),
    (SessionFilter(owner="U0BOB"), "s5 s3"),
    (SessionFilter(owner="U0EVE"), ""),
    (SessionFilter(channel="C0DEV"), "s4 s3"),
    (SessionFilter(thread=HERE), "s7 s6 s1"),
    (SessionFilter(thread=make_message(99).thread), ""),
    (SessionFilter(model="gpt"), "s5 s4 s2"),
    (SessionFilter(unused_since=BEGIN + 3.0), "s3 s2 s1"),
    (SessionFilter(inactive=True), "s1"),
    (SessionFilter(inactive=False), "s7 s6 s5 s4 s3 s2"),
    (SessionFilter(comparison_copies=True), ""),
    (SessionFilter(comparison_copies=False), "s7 s6 s5 s4 s3 s2 s1"),
    (SessionFilter(keep_newest=5), "s2 s1"),
    (SessionFilter(keep_newest=50), ""),
    (SessionFilter(owner="U0ALICE", keep_newest=2), "s4 s2 s1"),
    (SessionFilter(channel="C0GENERAL", unused_since=BEGIN + 4.0, keep_newest=1), "s1"),
    (SessionFilter(owner="U0ALICE", channel="C0DEV", model="gpt"), "s4"),
]


async def _some(store: Store, clock: ManualClock) -> None:
    """Seven sessions, each used a second after the one before and one byte larger."""
    messages = [
        (make_message(1), "claude"),
        (make_message(2), "gpt"),
        (make_message(3, user="U0BOB", channel="C0DEV"), "claude"),
        (make_message(4, channel="C0DEV"), "gpt"),
        (make_message(5, user="U0BOB"), "gpt"),
        (replace(make_message(6, root=1), options=MessageOptions(role="review")), "claude"),
    ]
    for message, model in messages:
        await answered(store, message, usage=TokenUsage(model=model))
        await clock.advance(1)
    await store.reset(HERE, "", "U0ALICE")
    page = await store.list_sessions(ALL, 0, 10)
    await store.save_sizes({session.id: session.number for session in page.sessions})


def _handles(page: SessionPage) -> list[str]:
    return [session.handle for session in page.sessions]


class SessionListContract:
    @pytest.mark.parametrize(("wanted", "handles"), FITTING)
    async def test_the_sessions_that_fit_are_listed_and_added_up(
        self, store: Store, clock: ManualClock, wanted: SessionFilter, handles: str
    ) -> None:
        await _some(store, clock)
        page = await store.list_sessions(wanted, 0, 10)
        assert _handles(page) == handles.split()
        assert page.total == len(page.sessions)
        used = [session.last_used_at for session in page.sessions] or [0.0]
        assert await store.session_totals(wanted) == SessionTotals(
            count=len(page.sessions),
            size=sum(session.size for session in page.sessions),
            oldest=min(used),
            newest=max(used),
        )

    async def test_they_come_in_pages(self, store: Store, clock: ManualClock) -> None:
        await _some(store, clock)
        pages = [await store.list_sessions(ALL, offset, 3) for offset in (0, 3, 6, 9)]
        assert [_handles(page) for page in pages] == [
            ["s7", "s6", "s5"],
            ["s4", "s3", "s2"],
            ["s1"],
            [],
        ]
        assert {page.total for page in pages} == {7}
        kept = await store.list_sessions(SessionFilter(keep_newest=2), 3, 3)
        assert (_handles(kept), kept.total) == (["s2", "s1"], 5)

    async def test_copies_of_comparisons_are_distinguished_from_the_others(
        self, store: Store
    ) -> None:
        """Until one is kept: that one is a session like any other."""
        await answered(store, make_message(1))
        source = await current(store, HERE)
        copies = [
            await store.add_session(
                source, session_id=f"copy-{number}", origin=origin, thread=HERE, owner="U0ALICE"
            )
            for number, origin in enumerate(
                (SessionOrigin.COMPARISON, SessionOrigin.COMPARISON, SessionOrigin.FORK)
            )
        ]
        await store.attach(copies[1].number, HERE)
        for wanted, handles in ((None, ["s1", "s2", "s3", "s4"]), (True, ["s2"])):
            fitting = SessionFilter(comparison_copies=wanted)
            assert sorted(_handles(await store.list_sessions(fitting, 0, 10))) == handles
            assert (await store.session_totals(fitting)).count == len(handles)
        others = SessionFilter(comparison_copies=False, channel="C0GENERAL")
        assert sorted(_handles(await store.list_sessions(others, 0, 10))) == ["s1", "s3", "s4"]
        assert (await store.session_totals(others)).count == 3

    async def test_those_used_at_the_same_time_come_newest_made_first(self, store: Store) -> None:
        for second in (1, 2, 3):
            await answered(store, make_message(second))
        assert _handles(await store.list_sessions(ALL, 0, 10)) == ["s3", "s2", "s1"]

    async def test_where_there_is_nothing_the_sums_are_nought(self, store: Store) -> None:
        assert await store.list_sessions(ALL, 0, 10) == SessionPage(sessions=(), total=0)
        nothing = SessionTotals(count=0, size=0, oldest=0.0, newest=0.0)
        assert await store.session_totals(ALL) == nothing
        assert await store.session_totals(SessionFilter(keep_newest=3)) == nothing
