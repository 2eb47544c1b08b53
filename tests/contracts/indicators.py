"""Checks what a store promises about indicators: each is recorded as long as Slack may show it."""

from __future__ import annotations

from bot.domain.turns import TurnResult, TurnState
from bot.ports import Store
from tests.contracts.messages import make_message, ts_at
from tests.contracts.store_fixtures import Opened, claimed, scheduled


class IndicatorContract:
    async def test_a_mark_is_left_from_the_end_of_the_wait_until_it_is_noted_as_gone(
        self, opened: Opened
    ) -> None:
        async with opened() as store:
            turn = await scheduled(store, 1)
            assert await store.add_waiting_indicator(turn)
            assert await store.stale_waiting_indicators(0) == ()
            running = await claimed(store)
            assert await store.stale_waiting_indicators(0) == (running,)
            await store.finish_turn(running, TurnState.DONE)
        async with opened() as store:
            (left,) = await store.stale_waiting_indicators(0)
            assert (left.id, left.state) == (turn.id, TurnState.DONE)
            assert await store.stale_waiting_indicators(left.id) == ()
            await store.remove_waiting_indicator(left)
            assert await store.stale_waiting_indicators(0) == ()
            found = await store.turn_by_id(turn.id)
            assert found is not None
            assert not found.may_be_marked_waiting

    async def test_no_more_are_marked_than_can_be_taken_back_in_ten_minutes(
        self, opened: Opened
    ) -> None:
        async with opened() as store:
            for second in range(200):
                turn = await scheduled(store, second)
                assert await store.add_waiting_indicator(turn)
                await store.finish_turn(await claimed(store), TurnState.DONE)
            turn = await scheduled(store, 200)
            assert not await store.add_waiting_indicator(turn)
            await store.remove_waiting_indicator((await store.stale_waiting_indicators(0))[0])
            assert await store.add_waiting_indicator(turn)
            assert await store.add_waiting_indicator(turn), "it is marked already"

    async def test_the_mark_of_a_message_that_was_deleted_is_left_as_well(
        self, store: Store
    ) -> None:
        turn = await scheduled(store, 1)
        await store.add_waiting_indicator(turn)
        await store.withdraw(turn)
        assert [left.id for left in await store.stale_waiting_indicators(0)] == [turn.id]

    async def test_a_turn_that_waits_again_keeps_its_mark(self, store: Store) -> None:
        await store.add_waiting_indicator(await scheduled(store, 1))
        await store.requeue(await claimed(store))
        assert await store.stale_waiting_indicators(0) == ()

    async def test_a_turn_that_ends_as_it_should_leaves_no_status(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        await store.record_result(turn, TurnResult(state=TurnState.DONE, answer="So it is."))
        await store.finish_turn(turn, TurnState.DONE)
        assert await store.stale_status_indicators(0) == ()

    async def test_a_status_that_was_not_taken_back_is_left_until_it_is_noted_as_gone(
        self, opened: Opened
    ) -> None:
        async with opened() as store:
            await scheduled(store, 1)
            turn = await claimed(store)
            await store.finish_turn(turn, TurnState.DONE, may_show_status=True)
        async with opened() as store:
            (left,) = await store.stale_status_indicators(0)
            assert left.message == turn.message
            assert await store.stale_status_indicators(left.id) == ()
            await store.remove_status_indicator(left)
            assert await store.stale_status_indicators(0) == ()

    async def test_the_status_of_what_was_cut_short_is_left(self, opened: Opened) -> None:
        """Killed in between, requeued and then deleted: no other code clears it any more."""
        async with opened() as store:
            await scheduled(store, 1)
            turn = await claimed(store)
        async with opened() as store:
            (again,) = await store.recover()
            assert [left.id for left in await store.stale_status_indicators(0)] == [turn.id]
            await store.finish_turn(again, TurnState.LOST)
            assert [left.id for left in await store.stale_status_indicators(0)] == [turn.id]
            await store.remove_status_indicator(again)
            await scheduled(store, 2)
            await store.requeue(await claimed(store))
            (waiting,) = await store.waiting_turns()
            await store.withdraw(waiting)
            assert [left.message.ts for left in await store.stale_status_indicators(0)] == [
                ts_at(2)
            ]

    async def test_what_is_left_comes_the_oldest_first_a_hundred_at_a_time(
        self, store: Store
    ) -> None:
        for second in range(1, 103):
            await store.accept_message(make_message(second))
            await store.finish_turn(await claimed(store), TurnState.DONE, may_show_status=True)
        first = await store.stale_status_indicators(0)
        then = await store.stale_status_indicators(first[-1].id)
        assert [turn.message.ts for turn in (*first, *then)] == [ts_at(n) for n in range(1, 103)]
        assert (len(first), len(then)) == (100, 2)
