"""Checks what a store promises about the checkpoint and the active threads."""

from __future__ import annotations

from bot.domain.messages import Trigger
from bot.ports import Checkpoint, Store
from tests.contracts.messages import make_message
from tests.contracts.store_fixtures import Opened
from tests.fakes import ManualClock


class CheckpointContract:
    async def test_nothing_was_ever_received(self, store: Store) -> None:
        assert await store.load_checkpoint() is None

    async def test_until_when_all_was_received_is_remembered_over_a_restart(
        self, opened: Opened
    ) -> None:
        async with opened() as store:
            await store.save_checkpoint(1_790_000_000.5)
            await store.save_checkpoint(1_790_000_060.5)
        async with opened() as store:
            assert await store.load_checkpoint() == Checkpoint(
                since=1_790_000_000.5, until=1_790_000_060.5
            )

    async def test_a_note_of_a_clock_that_was_wrong_is_replaced_by_the_next_one(
        self, store: Store
    ) -> None:
        await store.save_checkpoint(1_790_000_100.0)
        await store.save_checkpoint(1_790_000_000.0)
        assert await store.load_checkpoint() == Checkpoint(
            since=1_790_000_000.0, until=1_790_000_000.0
        )
        await store.save_checkpoint(1_790_000_200.0)
        assert await store.load_checkpoint() == Checkpoint(
            since=1_790_000_000.0, until=1_790_000_200.0
        )

    async def test_threads_are_listed_by_when_they_were_last_active(
        self, store: Store, clock: ManualClock
    ) -> None:
        for at, root in ((1, 1), (2, 2), (3, 3), (4, 1)):
            await store.accept_message(make_message(at, root=root))
            await clock.advance(10)
        first, second, third = (make_message(n).thread for n in (1, 2, 3))
        began = clock.now() - 40
        assert await store.active_threads("T0SANDBOX", began, 10) == (first, third, second)
        assert await store.active_threads("T0SANDBOX", began, 2) == (first, third)
        assert await store.active_threads("T0SANDBOX", began + 20, 10) == (first, third)
        assert await store.active_threads("T0SANDBOX", clock.now(), 10) == ()
        assert await store.active_threads("T0OTHER", began, 10) == ()

    async def test_a_thread_that_is_not_the_bots_is_not_listed(self, store: Store) -> None:
        await store.accept_message(make_message(5, root=4, trigger=Trigger.FOLLOW_UP))
        await store.accept_message(make_message(7, root=6, trigger=Trigger.BOT))
        assert await store.active_threads("T0SANDBOX", 0.0, 10) == ()
