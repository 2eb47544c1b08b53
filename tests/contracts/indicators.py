"""The promises about what Slack shows for a time: it is on record for as long as it may stand."""

from __future__ import annotations

from bot.domain.turns import Ending, TurnState
from bot.ports import Store
from tests.contracts.messages import said, ts_at
from tests.contracts.store_fixtures import Opened, claimed, scheduled


class Showing:
    async def test_a_mark_is_left_from_the_end_of_the_wait_until_it_is_noted_as_gone(
        self, opened: Opened
    ) -> None:
        async with opened() as store:
            turn = await scheduled(store, 1)
            assert await store.show_waiting(turn)
            assert await store.marks_left(0) == ()
            running = await claimed(store)
            assert await store.marks_left(0) == (running,)
            await store.finish(running, TurnState.DONE)
        async with opened() as store:
            (left,) = await store.marks_left(0)
            assert (left.id, left.state) == (turn.id, TurnState.DONE)
            assert await store.marks_left(left.id) == ()
            await store.note_unmarked(left)
            assert await store.marks_left(0) == ()
            found = await store.turn(turn.id)
            assert found is not None
            assert not found.waited

    async def test_no_more_are_marked_than_can_be_taken_back_in_ten_minutes(
        self, opened: Opened
    ) -> None:
        async with opened() as store:
            for second in range(200):
                turn = await scheduled(store, second)
                assert await store.show_waiting(turn)
                await store.finish(await claimed(store), TurnState.DONE)
            turn = await scheduled(store, 200)
            assert not await store.show_waiting(turn)
            await store.note_unmarked((await store.marks_left(0))[0])
            assert await store.show_waiting(turn)
            assert await store.show_waiting(turn), "it is marked already"

    async def test_the_mark_of_a_message_that_was_deleted_is_left_as_well(
        self, store: Store
    ) -> None:
        turn = await scheduled(store, 1)
        await store.show_waiting(turn)
        await store.withdraw(turn)
        assert [left.id for left in await store.marks_left(0)] == [turn.id]

    async def test_a_turn_that_waits_again_keeps_its_mark(self, store: Store) -> None:
        await store.show_waiting(await scheduled(store, 1))
        await store.hand_back(await claimed(store))
        assert await store.marks_left(0) == ()

    async def test_a_turn_that_ends_as_it_should_leaves_no_status(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        await store.record(turn, Ending(state=TurnState.DONE, answer="So it is."))
        await store.finish(turn, TurnState.DONE)
        assert await store.statuses_left(0) == ()

    async def test_a_status_that_was_not_taken_back_is_left_until_it_is_noted_as_gone(
        self, opened: Opened
    ) -> None:
        async with opened() as store:
            await scheduled(store, 1)
            turn = await claimed(store)
            await store.finish(turn, TurnState.DONE, status_left=True)
        async with opened() as store:
            (left,) = await store.statuses_left(0)
            assert left.message == turn.message
            assert await store.statuses_left(left.id) == ()
            await store.note_status_back(left)
            assert await store.statuses_left(0) == ()

    async def test_the_status_of_what_was_cut_short_is_left(self, opened: Opened) -> None:
        """Killed on the way, handed back and then deleted: nobody else takes it back any more."""
        async with opened() as store:
            await scheduled(store, 1)
            turn = await claimed(store)
        async with opened() as store:
            (again,) = await store.recover()
            assert [left.id for left in await store.statuses_left(0)] == [turn.id]
            await store.finish(again, TurnState.LOST)
            assert [left.id for left in await store.statuses_left(0)] == [turn.id]
            await store.note_status_back(again)
            await scheduled(store, 2)
            await store.hand_back(await claimed(store))
            (waiting,) = await store.waiting()
            await store.withdraw(waiting)
            assert [left.message.ts for left in await store.statuses_left(0)] == [ts_at(2)]

    async def test_what_is_left_comes_the_oldest_first_a_hundred_at_a_time(
        self, store: Store
    ) -> None:
        for second in range(1, 103):
            await store.accept(said(second))
            await store.finish(await claimed(store), TurnState.DONE, status_left=True)
        first = await store.statuses_left(0)
        then = await store.statuses_left(first[-1].id)
        assert [turn.message.ts for turn in (*first, *then)] == [ts_at(n) for n in range(1, 103)]
        assert (len(first), len(then)) == (100, 2)
