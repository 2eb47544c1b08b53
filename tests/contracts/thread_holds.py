"""The promises about what waits for an order, and about turns that are to be answered anew once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.domain.commands import Form, Hold, Order
from bot.domain.messages import Message, ThreadKey, Trigger, Wish, ts_of, ts_position
from bot.domain.sessions import Origin
from bot.domain.turns import Acceptance, Accepted, TurnState
from bot.ports import Store
from tests.contracts.messages import BEGIN, said, ts_at
from tests.contracts.store_fixtures import Opened, answered, began, claimed, current, scheduled
from tests.fakes import HandClock

HERE = said(1).thread
ELSEWHERE = said(20).thread


def an_order(second: float, key: str = "") -> Order:
    return Order(
        key=key or f"Ev-order-{second}",
        verb="reset",
        words="",
        by="U0ALICE",
        form=Form.MESSAGE,
        team=HERE.team,
        channel=HERE.channel,
        thread=HERE,
        ts=ts_at(second),
    )


def held(second: float, *threads: ThreadKey, until: float = 300.0) -> Hold:
    where = frozenset(threads or (HERE,))
    return Hold(threads=where, position=ts_position(ts_at(second)), until=BEGIN + until)


def anew(turn: int, second: float, *, press: bool = False) -> Message:
    trigger = Trigger.MENU if press else Trigger.MENTION
    return replace(said(second, root=1, trigger=trigger), wish=Wish(again=turn))


class Holding:
    async def test_what_was_written_after_an_order_is_not_claimed_until_that_is_carried_out(
        self, store: Store
    ) -> None:
        assert await store.accept_order(an_order(2), held(2))
        later = await scheduled(store, 3, root=1)
        assert (await store.claim()).turn is None
        assert (await store.claim()).waiting == 1
        await store.release_order(an_order(2).key)
        assert (await claimed(store)).id == later.id

    async def test_what_was_written_before_it_does_not_wait(self, store: Store) -> None:
        earlier = await scheduled(store, 1)
        await store.accept_order(an_order(2), held(2))
        assert (await claimed(store)).id == earlier.id

    async def test_the_question_that_an_order_becomes_does_not_wait_for_it(
        self, store: Store
    ) -> None:
        await store.accept_order(an_order(2), held(2))
        born = await store.accept(said(2, root=1, event_id=f"order-{an_order(2).key}"))
        assert born.turn is not None
        assert (await claimed(store)).id == born.turn.id

    async def test_other_threads_do_not_wait_but_all_that_it_is_about_do(
        self, store: Store
    ) -> None:
        await store.accept_order(an_order(2), held(2, HERE, ELSEWHERE))
        await scheduled(store, 3, root=1)
        await scheduled(store, 21, root=20)
        free = await scheduled(store, 30)
        assert (await claimed(store)).id == free.id
        assert (await store.claim()).turn is None
        await store.finish_order(an_order(2).key)
        assert {(await claimed(store)).message.thread for _ in range(1)} == {HERE}

    async def test_when_its_time_is_over_what_waits_goes_on(
        self, store: Store, clock: HandClock
    ) -> None:
        begin = clock.now()
        until = replace(held(2), until=begin + 60)
        await store.accept_order(an_order(2), until)
        await scheduled(store, 3, root=1)
        await clock.advance(59)
        assert (await store.claim()).turn is None
        await clock.advance(2)
        await claimed(store)

    async def test_an_order_that_comes_late_is_given_way_to_before_the_prompt(
        self, store: Store
    ) -> None:
        """Slack keeps no order."""
        await scheduled(store, 3, root=1)
        turn = await claimed(store)
        await store.accept_order(an_order(2), held(2))
        assert not await store.begin(turn)
        assert await store.hand_back(turn)
        assert (await store.claim()).turn is None
        await store.release_order(an_order(2).key)
        assert await store.begin(await claimed(store))

    async def test_a_repeat_of_an_order_holds_nothing(self, store: Store) -> None:
        await store.accept_order(an_order(2), held(2))
        await store.finish_order(an_order(2).key)
        assert not await store.accept_order(an_order(2), held(2))
        await scheduled(store, 3, root=1)
        await claimed(store)

    async def test_after_a_restart_what_waited_waits_still(
        self, opened: Opened, clock: HandClock
    ) -> None:
        async with opened() as store:
            await store.accept_order(an_order(2), held(2))
            await store.accept_order(an_order(2.5, "Ev-done"), held(2.5))
            await store.finish_order("Ev-done")
            await store.accept_order(replace(an_order(2.6), verb="fork"))
            await scheduled(store, 3, root=1)
        await clock.advance(10_000)
        async with opened() as store:
            until = clock.now() + 300
            found = await store.renew_holds(until)
            assert found == {an_order(2).key: replace(held(2), until=until)}
            assert (await store.claim()).turn is None

    async def test_an_order_without_which_the_thread_went_on_is_waited_for_no_more(
        self, opened: Opened, clock: HandClock
    ) -> None:
        async with opened() as store:
            await store.accept_order(an_order(2), replace(held(2), until=clock.now() + 1))
            await clock.advance(2)
            await answered(store, said(3, root=1))
        async with opened() as store:
            assert await store.renew_holds(clock.now() + 300) == {}

    async def test_what_an_order_makes_a_session_forget_lets_go_in_the_same_moment(
        self, store: Store
    ) -> None:
        turn, session = await began(store, said(1))
        await store.finish(turn, TurnState.DONE)
        order = an_order(2)
        await store.accept_order(order, held(2))
        await scheduled(store, 3, root=1)
        forget = store.forget(session.number, turn.id, told=True, upto=order.ts, order=order.key)
        assert await forget == (turn.id,)
        await claimed(store)
        assert (await current(store, HERE)).seen_ts == ts_at(2)

    async def test_a_fresh_session_is_told_what_was_said_after_the_order_that_made_it(
        self, store: Store
    ) -> None:
        await scheduled(store, 1)
        await store.accept(said(5, root=1, user="U0BOB", trigger=Trigger.ASIDE))
        fresh = await store.begin_anew(HERE, "", "U0ALICE", upto=ts_at(4))
        assert fresh.seen_ts == ts_at(4)

    def test_a_position_is_the_ts_that_it_comes_from(self) -> None:
        for ts in ("1.000001", ts_at(2.5), "0.000000"):
            assert ts_of(ts_position(ts)) == ts


class Anew:
    async def test_of_two_who_want_a_turn_answered_anew_at_once_one_gets_it(
        self, store: Store
    ) -> None:
        turn = await answered(store, said(1))
        wanted = [anew(turn.id, second, press=second == 3) for second in (2, 3, 4)]
        found: list[Accepted] = await asyncio.gather(*map(store.accept, wanted))
        kinds = [each.acceptance for each in found]
        assert kinds == [Acceptance.SCHEDULED, Acceptance.TAKEN, Acceptance.TAKEN]
        assert [each.turn is None for each in found] == [False, True, True]
        assert [each.message.ts for each in await store.waiting(HERE)] == [ts_at(2)]

    @pytest.mark.parametrize("state", [TurnState.DONE, TurnState.FAILED, TurnState.LOST])
    async def test_what_was_answered_anew_is_not_answered_anew_beside_that(
        self, store: Store, state: TurnState
    ) -> None:
        turn = await answered(store, said(1))
        await store.accept(anew(turn.id, 2))
        again = await claimed(store)
        await store.finish(again, state)
        assert (await store.accept(anew(turn.id, 3))).acceptance is Acceptance.TAKEN
        assert (await store.accept(anew(again.id, 4))).acceptance is Acceptance.SCHEDULED

    async def test_what_was_taken_back_before_it_began_stands_in_nobodys_way(
        self, store: Store
    ) -> None:
        turn = await answered(store, said(1))
        first = (await store.accept(anew(turn.id, 2))).turn
        assert first is not None
        await store.withdraw(first)
        assert await store.answered_anew(turn.id) is None
        assert (await store.accept(anew(turn.id, 3))).acceptance is Acceptance.SCHEDULED

    async def test_a_repeat_is_known_as_one(self, store: Store) -> None:
        turn = await answered(store, said(1))
        await store.accept(anew(turn.id, 2))
        assert (await store.accept(anew(turn.id, 2))).acceptance is Acceptance.REPEATED


class Forks:
    async def test_forks_are_counted_by_whose_they_are_and_when_they_were_made(
        self, store: Store, clock: HandClock
    ) -> None:
        _, source = await began(store, said(1))
        begin = clock.now()
        for number, (owner, origin) in enumerate(
            [("U0ALICE", Origin.FORK), ("U0BOB", Origin.FORK), ("U0ALICE", Origin.COMPARISON)]
        ):
            await store.add_session(
                source, session_id=f"copy-{number}", origin=origin, thread=HERE, owner=owner
            )
        assert await store.forks_since("U0ALICE", begin) == 1
        await clock.advance(10)
        assert await store.forks_since("U0ALICE", clock.now()) == 0

    async def test_what_was_remembered_later_is_found_by_when_it_was_written(
        self, store: Store
    ) -> None:
        first, session = await began(store, said(1))
        await store.finish(first, TurnState.DONE)
        second = await answered(store, said(5, root=1))
        for written, wanted in ((0.5, first.id), (1, second.id), (4, second.id)):
            found = await store.recall_later(session.number, ts_position(ts_at(written)))
            assert found is not None
            assert found.turn == wanted
        assert await store.recall_later(session.number, ts_position(ts_at(5))) is None
