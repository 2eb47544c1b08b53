"""The promises about orders, which are carried out once, and about the audit."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.domain.commands import AuditEntry, Form, Order
from bot.domain.turns import Acceptance
from bot.ports import Store
from tests.contracts.messages import BEGIN, said, ts_at
from tests.contracts.store_fixtures import Opened, scheduled
from tests.fakes import HandClock

HERE = said(1).thread
ORDER = Order(
    key="Ev-order",
    verb="title",
    words="Snakes \ud83d",
    by="U0ALICE",
    form=Form.MESSAGE,
    team="T0SANDBOX",
    channel="C0GENERAL",
    thread=HERE,
    ts=ts_at(2),
    turn=7,
)
PRESS = Order(key="press-1", verb="stop", words="", by="U0BOB", form=Form.HOME, team="T0SANDBOX")


class Ordering:
    async def test_an_order_is_recorded_once(self, store: Store) -> None:
        assert await store.accept_order(ORDER)
        assert not await store.accept_order(ORDER)
        assert not await store.accept_order(replace(ORDER, ts=ts_at(3)))
        assert not await store.accept_order(replace(ORDER, key="Ev-other"))
        assert await store.accept_order(replace(ORDER, key="Ev-other", channel="C0DEV"))

    async def test_a_double_click_is_one_order(self, store: Store) -> None:
        found = await asyncio.gather(*(store.accept_order(PRESS) for _ in range(5)))
        assert found == [True, False, False, False, False]
        assert await store.accept_order(replace(PRESS, key="press-2"))

    async def test_a_message_that_is_an_order_is_no_question(self, store: Store) -> None:
        """Slack delivers a mention twice, with an event id of its own each time."""
        await store.accept_order(ORDER)
        twin = said(2, root=1, event_id="Ev-twin")
        assert (await store.accept(twin)).acceptance is Acceptance.REPEATED
        repeat = said(3, root=1, event_id="Ev-order")
        assert (await store.accept(repeat)).acceptance is Acceptance.REPEATED
        assert await store.thread(HERE) is None
        assert (await store.accept(said(4, root=1))).acceptance is Acceptance.SCHEDULED

    async def test_the_question_that_comes_of_an_order_is_accepted_once(self, store: Store) -> None:
        await store.accept_order(ORDER)
        born = said(2, root=1, event_id="order-Ev-order")
        assert (await store.accept(born)).acceptance is Acceptance.SCHEDULED
        assert (await store.accept(born)).acceptance is Acceptance.REPEATED
        assert not await store.accept_order(ORDER)

    async def test_a_message_that_was_a_question_is_no_order(self, store: Store) -> None:
        await store.accept(said(2, root=1, event_id="Ev-order"))
        assert not await store.accept_order(replace(ORDER, key="Ev-twin"))
        assert not await store.accept_order(replace(ORDER, ts=""))
        assert await store.unfinished_orders() == ()

    async def test_what_was_not_finished_is_told_until_it_is(
        self, opened: Opened, clock: HandClock
    ) -> None:
        done = replace(PRESS, key="press-2")
        async with opened() as store:
            for order in (ORDER, PRESS, done):
                await store.accept_order(order)
                await clock.advance(1)
            await store.finish_order(done.key)
        async with opened() as store:
            left = await store.unfinished_orders()
            assert left == (replace(ORDER, words="Snakes ?"), PRESS)
            assert await store.unfinished_orders() == left
            await store.finish_order(ORDER.key)
            assert await store.unfinished_orders() == (PRESS,)
            assert not await store.accept_order(ORDER)
            assert not await store.accept_order(done)

    async def test_only_so_many_are_told_at_a_time(self, store: Store) -> None:
        orders = [replace(PRESS, key=f"press-{n}") for n in range(403)]
        await asyncio.gather(*(store.accept_order(order) for order in orders))
        assert await store.unfinished_orders() == tuple(orders[:400])
        await asyncio.gather(*(store.finish_order(order.key) for order in orders[:400]))
        assert await store.unfinished_orders() == tuple(orders[400:])

    async def test_an_order_that_is_not_on_record_can_be_finished(self, store: Store) -> None:
        await store.finish_order("never-given")

    async def test_a_fresh_session_is_not_told_the_order_that_made_it(self, store: Store) -> None:
        await scheduled(store, 1)
        await store.accept_order(ORDER)
        assert (await store.begin_anew(HERE, "", "U0ALICE")).seen_ts == ts_at(2)


class Auditing:
    async def test_entries_come_newest_first(self, store: Store, clock: HandClock) -> None:
        assert await store.audited(0, 10) == ((), 0)
        for number in range(3):
            await store.audit("U0ADMIN", "admin cleanup", f"s{number}", "3 of \ud83d")
            await clock.advance(1)
        entries, total = await store.audited(1, 1)
        assert total == 3
        assert entries == (
            AuditEntry(
                id=2,
                at=BEGIN + 1.0,
                by="U0ADMIN",
                act="admin cleanup",
                target="s1",
                detail="3 of ?",
            ),
        )
        await store.audit("U0ADMIN", "admin pause", "")
        entries, total = await store.audited(0, 10)
        assert [entry.id for entry in entries] == [4, 3, 2, 1]
        assert entries[0].detail == ""
