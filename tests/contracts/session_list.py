"""The promises about many sessions: pages of those that fit, and what they come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.messages import Wish
from bot.domain.sessions import Origin, SessionFilter, SessionPage, Totals
from bot.domain.usage import Spent
from bot.ports import Store
from tests.contracts.messages import BEGIN, said
from tests.contracts.store_fixtures import answered, current
from tests.fakes import HandClock

ALL = SessionFilter()
HERE = said(1).thread

# What fits of the seven sessions of `_some`, by handle, newest used first.
FITTING = [
    (ALL, "s7 s6 s5 s4 s3 s2 s1"),
    (SessionFilter(owner="U0BOB"), "s5 s3"),
    (SessionFilter(owner="U0EVE"), ""),
    (SessionFilter(channel="C0DEV"), "s4 s3"),
    (SessionFilter(thread=HERE), "s7 s6 s1"),
    (SessionFilter(thread=said(99).thread), ""),
    (SessionFilter(model="gpt"), "s5 s4 s2"),
    (SessionFilter(unused_since=BEGIN + 3.0), "s3 s2 s1"),
    (SessionFilter(set_aside=True), "s1"),
    (SessionFilter(set_aside=False), "s7 s6 s5 s4 s3 s2"),
    (SessionFilter(copies=True), ""),
    (SessionFilter(copies=False), "s7 s6 s5 s4 s3 s2 s1"),
    (SessionFilter(keep_newest=5), "s2 s1"),
    (SessionFilter(keep_newest=50), ""),
    (SessionFilter(owner="U0ALICE", keep_newest=2), "s4 s2 s1"),
    (SessionFilter(channel="C0GENERAL", unused_since=BEGIN + 4.0, keep_newest=1), "s1"),
    (SessionFilter(owner="U0ALICE", channel="C0DEV", model="gpt"), "s4"),
]


async def _some(store: Store, clock: HandClock) -> None:
    """Seven sessions, each used a second after the one before and one byte larger."""
    messages = [
        (said(1), "claude"),
        (said(2), "gpt"),
        (said(3, user="U0BOB", channel="C0DEV"), "claude"),
        (said(4, channel="C0DEV"), "gpt"),
        (said(5, user="U0BOB"), "gpt"),
        (replace(said(6, root=1), wish=Wish(role="review")), "claude"),
    ]
    for message, model in messages:
        await answered(store, message, spent=Spent(model=model))
        await clock.advance(1)
    await store.begin_anew(HERE, "", "U0ALICE")
    page = await store.sessions(ALL, 0, 10)
    await store.note_sizes({session.id: session.number for session in page.sessions})


def _handles(page: SessionPage) -> list[str]:
    return [session.handle for session in page.sessions]


class Listing:
    @pytest.mark.parametrize(("wanted", "handles"), FITTING)
    async def test_the_sessions_that_fit_are_listed_and_added_up(
        self, store: Store, clock: HandClock, wanted: SessionFilter, handles: str
    ) -> None:
        await _some(store, clock)
        page = await store.sessions(wanted, 0, 10)
        assert _handles(page) == handles.split()
        assert page.total == len(page.sessions)
        used = [session.used for session in page.sessions] or [0.0]
        assert await store.totals(wanted) == Totals(
            count=len(page.sessions),
            size=sum(session.size for session in page.sessions),
            oldest=min(used),
            newest=max(used),
        )

    async def test_they_come_in_pages(self, store: Store, clock: HandClock) -> None:
        await _some(store, clock)
        pages = [await store.sessions(ALL, offset, 3) for offset in (0, 3, 6, 9)]
        assert [_handles(page) for page in pages] == [
            ["s7", "s6", "s5"],
            ["s4", "s3", "s2"],
            ["s1"],
            [],
        ]
        assert {page.total for page in pages} == {7}
        kept = await store.sessions(SessionFilter(keep_newest=2), 3, 3)
        assert (_handles(kept), kept.total) == (["s2", "s1"], 5)

    async def test_copies_of_comparisons_are_told_from_the_others(self, store: Store) -> None:
        """Until one is gone on with: that one is a session like any other."""
        await answered(store, said(1))
        source = await current(store, HERE)
        copies = [
            await store.add_session(
                source, session_id=f"copy-{number}", origin=origin, thread=HERE, owner="U0ALICE"
            )
            for number, origin in enumerate((Origin.COMPARISON, Origin.COMPARISON, Origin.FORK))
        ]
        await store.take_up(copies[1].number, HERE)
        for wanted, handles in ((None, ["s1", "s2", "s3", "s4"]), (True, ["s2"])):
            fitting = SessionFilter(copies=wanted)
            assert sorted(_handles(await store.sessions(fitting, 0, 10))) == handles
            assert (await store.totals(fitting)).count == len(handles)
        others = SessionFilter(copies=False, channel="C0GENERAL")
        assert sorted(_handles(await store.sessions(others, 0, 10))) == ["s1", "s3", "s4"]
        assert (await store.totals(others)).count == 3

    async def test_those_used_at_the_same_time_come_newest_made_first(self, store: Store) -> None:
        for second in (1, 2, 3):
            await answered(store, said(second))
        assert _handles(await store.sessions(ALL, 0, 10)) == ["s3", "s2", "s1"]

    async def test_where_there_is_nothing_the_sums_are_nought(self, store: Store) -> None:
        assert await store.sessions(ALL, 0, 10) == SessionPage(sessions=(), total=0)
        nothing = Totals(count=0, size=0, oldest=0.0, newest=0.0)
        assert await store.totals(ALL) == nothing
        assert await store.totals(SessionFilter(keep_newest=3)) == nothing
