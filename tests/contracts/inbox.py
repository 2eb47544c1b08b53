"""Checks what a store promises about messages: each is recorded once, and some become turns."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.messages import MAX_CONSECUTIVE_BOT_TURNS, Trigger
from bot.domain.turns import AcceptResult, AcceptStatus, TurnState
from bot.errors import StoreError
from bot.ports import Store
from tests.contracts.messages import make_message, ts_at
from tests.contracts.store_fixtures import THREAD_QUEUE, WHOLE_QUEUE, claimed, scheduled
from tests.fakes import ManualClock


class InboxContract:
    async def test_a_mention_becomes_a_waiting_turn(self, store: Store) -> None:
        message = make_message(1)
        accepted = await store.accept_message(message)
        assert accepted.status is AcceptStatus.SCHEDULED
        assert accepted.turn == await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(1))
        assert accepted.turn is not None
        assert accepted.turn.message == message
        assert (accepted.turn.state, accepted.turn.epoch) == (TurnState.WAITING, 0)

    async def test_the_same_event_again_changes_nothing(self, store: Store) -> None:
        await store.accept_message(make_message(1, event_id="Ev1"))
        again = await store.accept_message(make_message(2, event_id="Ev1"))
        assert again == AcceptResult(status=AcceptStatus.DUPLICATE)
        assert await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(2)) is None

    async def test_the_same_message_by_another_event_changes_nothing(self, store: Store) -> None:
        """A mention arrives twice: as app_mention and as message, each with its own event id."""
        first = await store.accept_message(make_message(1, event_id="Ev1", text="first"))
        again = await store.accept_message(make_message(1, event_id="Ev2", text="second"))
        assert again == AcceptResult(status=AcceptStatus.DUPLICATE)
        assert await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(1)) == first.turn

    async def test_the_same_ts_in_another_channel_is_another_message(self, store: Store) -> None:
        await store.accept_message(make_message(1))
        other = await store.accept_message(make_message(1, channel="C0DEV"))
        assert other.status is AcceptStatus.SCHEDULED

    async def test_many_at_once_are_each_recorded_once(self, store: Store) -> None:
        messages = [make_message(i) for i in range(10)]
        found = await asyncio.gather(*(store.accept_message(m) for m in messages + messages))
        assert [a.status for a in found[:10]] == [AcceptStatus.SCHEDULED] * 10
        assert [a.status for a in found[10:]] == [AcceptStatus.DUPLICATE] * 10

    async def test_a_repeat_after_the_answer_is_still_a_repeat(self, store: Store) -> None:
        await store.accept_message(make_message(1))
        await store.finish_turn(await claimed(store), TurnState.DONE)
        assert (await store.accept_message(make_message(1))).status is AcceptStatus.DUPLICATE
        assert (await store.claim()).turn is None

    async def test_it_is_kept_when_a_message_was_recorded(
        self, store: Store, clock: ManualClock
    ) -> None:
        recorded = clock.now()
        accepted = await store.accept_message(make_message(1))
        await clock.advance(60)
        assert accepted.turn is not None
        assert accepted.turn.accepted_at == (await claimed(store)).accepted_at == recorded

    async def test_the_queue_is_as_long_as_there_are_turns_that_wait(self, store: Store) -> None:
        assert await store.queue_length() == 0
        for second in (1, 2, 3):
            await scheduled(store, second)
        assert await store.queue_length() == 3
        turn = await claimed(store)
        assert await store.queue_length() == 2
        await store.requeue(turn)
        assert await store.queue_length() == 3
        await store.withdraw(turn)
        assert await store.queue_length() == 2

    async def test_it_says_how_many_of_the_thread_are_ahead(self, store: Store) -> None:
        await scheduled(store, 1)
        await claimed(store)
        await scheduled(store, 3, root=1)
        assert (await store.accept_message(make_message(4, root=1))).turns_ahead == 2
        assert (await store.accept_message(make_message(2, root=1))).turns_ahead == 1
        assert (await store.accept_message(make_message(5))).turns_ahead == 0

    async def test_a_thread_takes_only_so_many_waiting_messages(self, store: Store) -> None:
        for second in range(THREAD_QUEUE):
            await scheduled(store, second, root=0)
        refused = await store.accept_message(make_message(50, root=0))
        assert refused.status is AcceptStatus.QUEUE_FULL
        assert refused.turn is not None
        assert refused.turn.state is TurnState.REFUSED
        assert await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(50)) == refused.turn
        assert (
            await store.accept_message(make_message(50, root=0))
        ).status is AcceptStatus.DUPLICATE
        await claimed(store)
        assert (
            await store.accept_message(make_message(51, root=0))
        ).status is AcceptStatus.SCHEDULED

    async def test_all_threads_take_only_so_many_waiting_messages(self, store: Store) -> None:
        for second in range(WHOLE_QUEUE):
            await scheduled(store, second)
        assert (await store.accept_message(make_message(50))).status is AcceptStatus.QUEUE_FULL

    async def test_what_another_bot_says_is_received_and_nothing_more(self, store: Store) -> None:
        await scheduled(store, 1)
        for root in (1, 50):
            remark = make_message(root + 1, root=root, user="B0ROBOT", trigger=Trigger.BOT)
            assert await store.accept_message(remark) == AcceptResult(status=AcceptStatus.OVERHEARD)
            assert (await store.accept_message(remark)).status is AcceptStatus.DUPLICATE
        assert await store.thread_by_key(make_message(50).thread) is None
        thread = await store.thread_by_key(make_message(1).thread)
        assert thread is not None
        assert thread.participants == {"U0ALICE"}
        follow_up = make_message(3, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(follow_up)).status is AcceptStatus.SCHEDULED

    @pytest.mark.parametrize("ts", ["", "yesterday", "1", "-1.000000", "1.0000001", "١.000000"])
    async def test_what_is_no_ts_is_refused_and_leaves_nothing(self, store: Store, ts: str) -> None:
        odd = make_message(1)
        message = type(odd)(
            event_id="EvOdd", thread=odd.thread, ts=ts, user=odd.user, user_team=odd.user_team,
            text=odd.text, trigger=odd.trigger,
        )  # fmt: skip
        with pytest.raises(StoreError):
            await store.accept_message(message)
        assert await store.thread_by_key(odd.thread) is None
        assert (await store.claim()).turn is None

    async def test_text_that_no_database_takes_is_accepted_all_the_same(self, store: Store) -> None:
        """JSON can carry half a character, and a NUL."""
        await store.accept_message(make_message(1, text="half \ud83d and \x00 none"))
        turn = await claimed(store)
        assert turn.message.text == "half ? and  none"


class TwoPersonThreadContract:
    async def test_a_follow_up_is_answered_while_one_person_takes_part(self, store: Store) -> None:
        await scheduled(store, 1)
        follow_up = make_message(2, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(follow_up)).status is AcceptStatus.SCHEDULED

    async def test_what_was_written_before_the_bot_was_called_is_overheard_when_it_comes_late(
        self, store: Store, clock: ManualClock
    ) -> None:
        await store.accept_message(make_message(5, root=0))
        await clock.advance(1)
        before = make_message(4, root=0, trigger=Trigger.FOLLOW_UP)
        after = make_message(6, root=0, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(before)).status is AcceptStatus.OVERHEARD
        assert (await store.accept_message(after)).status is AcceptStatus.SCHEDULED

    async def test_a_follow_up_that_a_later_mention_overtakes_is_answered(
        self, store: Store, clock: ManualClock
    ) -> None:
        await scheduled(store, 1)
        await clock.advance(1)
        await store.accept_message(make_message(3, root=1))
        follow_up = make_message(2, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(follow_up)).status is AcceptStatus.SCHEDULED

    async def test_in_an_unknown_thread_it_is_overheard(self, store: Store) -> None:
        follow_up = make_message(2, root=1, trigger=Trigger.FOLLOW_UP)
        assert await store.accept_message(follow_up) == AcceptResult(status=AcceptStatus.OVERHEARD)
        assert (await store.accept_message(follow_up)).status is AcceptStatus.DUPLICATE
        assert await store.thread_by_key(follow_up.thread) is None

    async def test_a_second_person_ends_it_for_both(self, store: Store) -> None:
        await scheduled(store, 1)
        bob = make_message(2, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP)
        alice = make_message(3, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(bob)).status is AcceptStatus.OVERHEARD
        assert (await store.accept_message(alice)).status is AcceptStatus.OVERHEARD
        assert (
            await store.accept_message(make_message(4, root=1))
        ).status is AcceptStatus.SCHEDULED

    async def test_a_user_who_addresses_another_user_becomes_a_participant(
        self, store: Store
    ) -> None:
        await scheduled(store, 1)
        message = make_message(2, root=1, user="U0BOB", trigger=Trigger.OVERHEARD)
        assert (await store.accept_message(message)).status is AcceptStatus.OVERHEARD
        follow_up = make_message(3, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(follow_up)).status is AcceptStatus.OVERHEARD
        thread = await store.thread_by_key(message.thread)
        assert thread is not None
        assert thread.participants == {"U0ALICE", "U0BOB"}

    async def test_a_second_person_by_mention_takes_part(self, store: Store) -> None:
        await scheduled(store, 1)
        await store.accept_message(make_message(2, root=1, user="U0BOB"))
        follow_up = make_message(3, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(follow_up)).status is AcceptStatus.OVERHEARD

    @pytest.mark.parametrize(
        "trigger", [Trigger.MENTION, Trigger.DIRECT, Trigger.POSTED_QUESTION, Trigger.REPLY_ACTION]
    )
    async def test_what_is_meant_for_the_bot_always_makes_a_turn(
        self, store: Store, trigger: Trigger
    ) -> None:
        message = make_message(2, root=1, trigger=trigger)
        assert (await store.accept_message(message)).status is AcceptStatus.SCHEDULED

    async def test_who_wrote_is_known_where_the_bot_was_there_from_the_start(
        self, store: Store
    ) -> None:
        started = make_message(1)
        joined = make_message(3, root=2)
        direct = make_message(5, root=4, trigger=Trigger.DIRECT, direct=True)
        command = make_message(6, trigger=Trigger.POSTED_QUESTION)
        about_a_message = make_message(8, root=7, trigger=Trigger.POSTED_QUESTION)
        known = {}
        for message in (started, joined, direct, command, about_a_message):
            await store.accept_message(message)
            thread = await store.thread_by_key(message.thread)
            assert thread is not None
            assert thread.participants == {"U0ALICE"}
            known[message.ts] = thread.participants_known
        assert known == {
            ts_at(1): True,
            ts_at(3): False,
            ts_at(5): True,
            ts_at(6): True,
            ts_at(8): False,
        }

    async def test_an_answer_received_before_the_first_message_leaves_it_open(
        self, store: Store
    ) -> None:
        """Slack keeps no order: another user may have written without being recorded."""
        await store.accept_message(make_message(2, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        await store.accept_message(make_message(1))
        thread = await store.thread_by_key(make_message(1).thread)
        assert thread is not None
        assert not thread.participants_known

    async def test_participants_added_later_count(self, store: Store) -> None:
        key = (await scheduled(store, 2, root=1)).message.thread
        await store.add_participants(key, frozenset({"U0BOB", "U0ALICE"}))
        thread = await store.thread_by_key(key)
        assert thread is not None
        assert thread.participants_known
        assert thread.participants == {"U0ALICE", "U0BOB"}

    async def test_participants_of_an_unknown_thread_are_refused(self, store: Store) -> None:
        with pytest.raises(StoreError):
            await store.add_participants(make_message(1).thread, frozenset({"U0BOB"}))

    async def test_bots_are_answered_a_few_times_in_a_row_until_a_person_writes(
        self, store: Store
    ) -> None:
        """One more than that carries the notice. A user's own message, also one that is not for the
        bot, restarts the count."""

        async def by_bot(second: float) -> AcceptStatus:
            message = make_message(second, root=1, user="U0ROBOT", trigger=Trigger.BOT_MENTION)
            accepted = await store.accept_message(message)
            if accepted.turn is not None:
                await store.finish_turn(await claimed(store), TurnState.DONE)
            return accepted.status

        found = [await by_bot(second) for second in range(1, MAX_CONSECUTIVE_BOT_TURNS + 4)]
        scheduled_ones = [AcceptStatus.SCHEDULED] * (MAX_CONSECUTIVE_BOT_TURNS + 1)
        assert found == [*scheduled_ones, AcceptStatus.OVERHEARD, AcceptStatus.OVERHEARD]
        await store.accept_message(make_message(20, root=1, user="B0ROBOT", trigger=Trigger.BOT))
        assert await by_bot(21) is AcceptStatus.OVERHEARD
        await store.accept_message(
            make_message(30, root=1, user="U0BOB", trigger=Trigger.OVERHEARD)
        )
        assert [
            await by_bot(31 + more) for more in range(MAX_CONSECUTIVE_BOT_TURNS + 1)
        ] == scheduled_ones
        assert await by_bot(50) is AcceptStatus.OVERHEARD

    async def test_it_says_how_many_bots_asked_before_since_a_person_wrote(
        self, store: Store
    ) -> None:
        await store.accept_message(make_message(1, user="U0BOB"))
        await store.accept_message(
            make_message(2, root=1, user="B0ROBOT", trigger=Trigger.BOT_MENTION)
        )
        await store.accept_message(
            make_message(3, root=1, user="U0OTHER", trigger=Trigger.BOT_MENTION)
        )
        await store.accept_message(make_message(3, channel="C0DEV", trigger=Trigger.BOT_MENTION))
        counts = [
            await store.count_consecutive_bot_turns(make_message(second, root=1))
            for second in (1, 2, 3, 4)
        ]
        assert counts == [0, 0, 1, 2]

    async def test_a_bot_that_asks_takes_no_part_in_the_thread(self, store: Store) -> None:
        """So a user who writes in it next is answered without a mention."""
        await store.accept_message(make_message(1, user="U0ROBOT", trigger=Trigger.BOT_MENTION))
        thread = await store.thread_by_key(make_message(1).thread)
        assert thread is not None
        assert thread.participants == frozenset()
        follow_up = make_message(2, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(follow_up)).status is AcceptStatus.SCHEDULED
