"""Checks what a store promises about thread holds, retries and forks."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.domain.commands import Command, CommandSource, ThreadHold
from bot.domain.messages import (
    Message,
    MessageOptions,
    ThreadKey,
    Trigger,
    ts_from_position,
    ts_position,
)
from bot.domain.sessions import SessionOrigin
from bot.domain.turns import AcceptResult, AcceptStatus, TurnState
from bot.ports import Store
from tests.contracts.messages import BEGIN, make_message, ts_at
from tests.contracts.store_fixtures import Opened, answered, began, claimed, current, scheduled
from tests.fakes import ManualClock

HERE = make_message(1).thread
ELSEWHERE = make_message(20).thread


def command(second: float, key: str = "") -> Command:
    return Command(
        key=key or f"Ev-order-{second}",
        name="reset",
        args="",
        user="U0ALICE",
        source=CommandSource.MESSAGE,
        team=HERE.team,
        channel=HERE.channel,
        thread=HERE,
        ts=ts_at(second),
    )


def held_message(second: float, *threads: ThreadKey, until: float = 300.0) -> ThreadHold:
    where = frozenset(threads or (HERE,))
    return ThreadHold(threads=where, position=ts_position(ts_at(second)), expires_at=BEGIN + until)


def rerun_of(turn: int, second: float, *, button: bool = False) -> Message:
    trigger = Trigger.REPLY_ACTION if button else Trigger.MENTION
    return replace(
        make_message(second, root=1, trigger=trigger), options=MessageOptions(retry_of=turn)
    )


class ThreadHoldContract:
    async def test_what_was_written_after_a_command_is_not_claimed_until_that_is_carried_out(
        self, store: Store
    ) -> None:
        assert await store.accept_command(command(2), held_message(2))
        later = await scheduled(store, 3, root=1)
        assert (await store.claim()).turn is None
        assert (await store.claim()).queue_length == 1
        await store.release_hold(command(2).key)
        assert (await claimed(store)).id == later.id

    async def test_what_was_written_before_it_does_not_wait(self, store: Store) -> None:
        earlier = await scheduled(store, 1)
        await store.accept_command(command(2), held_message(2))
        assert (await claimed(store)).id == earlier.id

    async def test_the_question_that_a_command_becomes_does_not_wait_for_it(
        self, store: Store
    ) -> None:
        await store.accept_command(command(2), held_message(2))
        born = await store.accept_message(
            make_message(2, root=1, event_id=f"order-{command(2).key}")
        )
        assert born.turn is not None
        assert (await claimed(store)).id == born.turn.id

    async def test_other_threads_do_not_wait_but_all_that_it_is_about_do(
        self, store: Store
    ) -> None:
        await store.accept_command(command(2), held_message(2, HERE, ELSEWHERE))
        await scheduled(store, 3, root=1)
        await scheduled(store, 21, root=20)
        free = await scheduled(store, 30)
        assert (await claimed(store)).id == free.id
        assert (await store.claim()).turn is None
        await store.finish_command(command(2).key)
        assert {(await claimed(store)).message.thread for _ in range(1)} == {HERE}

    async def test_when_its_time_is_over_what_waits_goes_on(
        self, store: Store, clock: ManualClock
    ) -> None:
        begin = clock.now()
        until = replace(held_message(2), expires_at=begin + 60)
        await store.accept_command(command(2), until)
        await scheduled(store, 3, root=1)
        await clock.advance(59)
        assert (await store.claim()).turn is None
        await clock.advance(2)
        await claimed(store)

    async def test_a_command_that_comes_late_is_given_way_to_before_the_prompt(
        self, store: Store
    ) -> None:
        """Slack keeps no order."""
        await scheduled(store, 3, root=1)
        turn = await claimed(store)
        await store.accept_command(command(2), held_message(2))
        assert not await store.mark_prompted(turn)
        assert await store.requeue(turn)
        assert (await store.claim()).turn is None
        await store.release_hold(command(2).key)
        assert await store.mark_prompted(await claimed(store))

    async def test_a_repeat_of_a_command_holds_nothing(self, store: Store) -> None:
        await store.accept_command(command(2), held_message(2))
        await store.finish_command(command(2).key)
        assert not await store.accept_command(command(2), held_message(2))
        await scheduled(store, 3, root=1)
        await claimed(store)

    async def test_after_a_restart_what_waited_waits_still(
        self, opened: Opened, clock: ManualClock
    ) -> None:
        async with opened() as store:
            await store.accept_command(command(2), held_message(2))
            await store.accept_command(command(2.5, "Ev-done"), held_message(2.5))
            await store.finish_command("Ev-done")
            await store.accept_command(replace(command(2.6), name="fork"))
            await scheduled(store, 3, root=1)
        await clock.advance(10_000)
        async with opened() as store:
            until = clock.now() + 300
            found = await store.renew_holds(until)
            assert found == {command(2).key: replace(held_message(2), expires_at=until)}
            assert (await store.claim()).turn is None

    async def test_a_command_without_which_the_thread_went_on_is_waited_for_no_more(
        self, opened: Opened, clock: ManualClock
    ) -> None:
        async with opened() as store:
            await store.accept_command(
                command(2), replace(held_message(2), expires_at=clock.now() + 1)
            )
            await clock.advance(2)
            await answered(store, make_message(3, root=1))
        async with opened() as store:
            assert await store.renew_holds(clock.now() + 300) == {}

    async def test_what_a_command_makes_a_session_forget_lets_go_in_the_same_moment(
        self, store: Store
    ) -> None:
        turn, session = await began(store, make_message(1))
        await store.finish_turn(turn, TurnState.DONE)
        order = command(2)
        await store.accept_command(order, held_message(2))
        await scheduled(store, 3, root=1)
        forget = store.truncate_history(
            session.number, turn.id, mark_seen=True, seen_until=order.ts, command_key=order.key
        )
        assert await forget == (turn.id,)
        await claimed(store)
        assert (await current(store, HERE)).seen_ts == ts_at(2)

    async def test_a_fresh_session_is_given_what_was_said_after_the_command_that_made_it(
        self, store: Store
    ) -> None:
        await scheduled(store, 1)
        await store.accept_message(make_message(5, root=1, user="U0BOB", trigger=Trigger.OVERHEARD))
        fresh = await store.reset(HERE, "", "U0ALICE", seen_until=ts_at(4))
        assert fresh.seen_ts == ts_at(4)

    def test_a_position_is_the_ts_that_it_comes_from(self) -> None:
        for ts in ("1.000001", ts_at(2.5), "0.000000"):
            assert ts_from_position(ts_position(ts)) == ts


class RetryContract:
    async def test_of_two_who_want_a_turn_answered_again_at_once_one_gets_it(
        self, store: Store
    ) -> None:
        turn = await answered(store, make_message(1))
        wanted = [rerun_of(turn.id, second, button=second == 3) for second in (2, 3, 4)]
        found: list[AcceptResult] = await asyncio.gather(*map(store.accept_message, wanted))
        kinds = [each.status for each in found]
        assert kinds == [
            AcceptStatus.SCHEDULED,
            AcceptStatus.ALREADY_RETRIED,
            AcceptStatus.ALREADY_RETRIED,
        ]
        assert [each.turn is None for each in found] == [False, True, True]
        assert [each.message.ts for each in await store.waiting_turns(HERE)] == [ts_at(2)]

    @pytest.mark.parametrize("state", [TurnState.DONE, TurnState.FAILED, TurnState.LOST])
    async def test_what_was_answered_again_is_not_answered_again_beside_that(
        self, store: Store, state: TurnState
    ) -> None:
        turn = await answered(store, make_message(1))
        await store.accept_message(rerun_of(turn.id, 2))
        again = await claimed(store)
        await store.finish_turn(again, state)
        assert (
            await store.accept_message(rerun_of(turn.id, 3))
        ).status is AcceptStatus.ALREADY_RETRIED
        assert (await store.accept_message(rerun_of(again.id, 4))).status is AcceptStatus.SCHEDULED

    async def test_what_was_taken_back_before_it_began_stands_in_nobodys_way(
        self, store: Store
    ) -> None:
        turn = await answered(store, make_message(1))
        first = (await store.accept_message(rerun_of(turn.id, 2))).turn
        assert first is not None
        await store.withdraw(first)
        assert await store.latest_retry(turn.id) is None
        assert (await store.accept_message(rerun_of(turn.id, 3))).status is AcceptStatus.SCHEDULED

    async def test_a_repeat_is_known_as_one(self, store: Store) -> None:
        turn = await answered(store, make_message(1))
        await store.accept_message(rerun_of(turn.id, 2))
        assert (await store.accept_message(rerun_of(turn.id, 2))).status is AcceptStatus.DUPLICATE


class ForkContract:
    async def test_forks_are_counted_by_whose_they_are_and_when_they_were_made(
        self, store: Store, clock: ManualClock
    ) -> None:
        _, source = await began(store, make_message(1))
        begin = clock.now()
        for number, (owner, origin) in enumerate(
            [
                ("U0ALICE", SessionOrigin.FORK),
                ("U0BOB", SessionOrigin.FORK),
                ("U0ALICE", SessionOrigin.COMPARISON),
            ]
        ):
            await store.add_session(
                source, session_id=f"copy-{number}", origin=origin, thread=HERE, owner=owner
            )
        assert await store.count_forks_since("U0ALICE", begin) == 1
        await clock.advance(10)
        assert await store.count_forks_since("U0ALICE", clock.now()) == 0

    async def test_what_was_remembered_later_is_found_by_when_it_was_written(
        self, store: Store
    ) -> None:
        first, session = await began(store, make_message(1))
        await store.finish_turn(first, TurnState.DONE)
        second = await answered(store, make_message(5, root=1))
        for written, wanted in ((0.5, first.id), (1, second.id), (4, second.id)):
            found = await store.history_entry_after_position(
                session.number, ts_position(ts_at(written))
            )
            assert found is not None
            assert found.turn == wanted
        assert (
            await store.history_entry_after_position(session.number, ts_position(ts_at(5))) is None
        )
