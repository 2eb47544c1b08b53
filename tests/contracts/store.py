"""What a database must promise (`bot.ports.Store`), whatever it is built on.

An adapter joins by a subclass of `StoreContract` with a fixture `opened` that opens the same
database whenever it is called, with the bounds named here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from bot.errors import StoreError
from bot.model import (
    Acceptance,
    Accepted,
    Delivery,
    Ending,
    Part,
    ThreadKey,
    Trigger,
    Turn,
    TurnState,
)
from bot.ports import Store
from tests.contracts.messages import said, ts_at

PER_USER = 2
THREAD_QUEUE = 5
WHOLE_QUEUE = 12

Opened = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture
async def store(opened: Opened) -> AsyncIterator[Store]:
    async with opened() as store:
        yield store


async def claimed(store: Store) -> Turn:
    turn = await store.claim()
    assert turn is not None, "nothing can be claimed"
    return turn


async def scheduled(store: Store, second: float, root: float | None = None) -> Turn:
    accepted = await store.accept(said(second, root=root))
    assert accepted.acceptance is Acceptance.SCHEDULED
    assert accepted.turn is not None
    return accepted.turn


class _Accepting:
    async def test_a_mention_becomes_a_waiting_turn(self, store: Store) -> None:
        message = said(1)
        accepted = await store.accept(message)
        assert accepted.acceptance is Acceptance.SCHEDULED
        assert accepted.turn == await store.find("T0SANDBOX", "C0GENERAL", ts_at(1))
        assert accepted.turn is not None
        assert accepted.turn.message == message
        assert (accepted.turn.state, accepted.turn.epoch) == (TurnState.WAITING, 0)

    async def test_the_same_event_again_changes_nothing(self, store: Store) -> None:
        await store.accept(said(1, event_id="Ev1"))
        again = await store.accept(said(2, event_id="Ev1"))
        assert again == Accepted(acceptance=Acceptance.REPEATED)
        assert await store.find("T0SANDBOX", "C0GENERAL", ts_at(2)) is None

    async def test_the_same_message_by_another_event_changes_nothing(self, store: Store) -> None:
        """A mention arrives twice: as app_mention and as message, each with its own event id."""
        first = await store.accept(said(1, event_id="Ev1", text="first"))
        again = await store.accept(said(1, event_id="Ev2", text="second"))
        assert again == Accepted(acceptance=Acceptance.REPEATED)
        assert await store.find("T0SANDBOX", "C0GENERAL", ts_at(1)) == first.turn

    async def test_the_same_ts_in_another_channel_is_another_message(self, store: Store) -> None:
        await store.accept(said(1))
        other = await store.accept(said(1, channel="C0DEV"))
        assert other.acceptance is Acceptance.SCHEDULED

    async def test_many_at_once_are_each_recorded_once(self, store: Store) -> None:
        messages = [said(i) for i in range(10)]
        found = await asyncio.gather(*(store.accept(m) for m in messages + messages))
        assert [a.acceptance for a in found[:10]] == [Acceptance.SCHEDULED] * 10
        assert [a.acceptance for a in found[10:]] == [Acceptance.REPEATED] * 10

    async def test_a_repeat_after_the_answer_is_still_a_repeat(self, store: Store) -> None:
        await store.accept(said(1))
        await store.finish(await claimed(store), TurnState.DONE)
        assert (await store.accept(said(1))).acceptance is Acceptance.REPEATED
        assert await store.claim() is None

    async def test_it_says_how_many_of_the_thread_are_ahead(self, store: Store) -> None:
        await scheduled(store, 1)
        await claimed(store)
        await scheduled(store, 3, root=1)
        assert (await store.accept(said(4, root=1))).ahead == 2
        assert (await store.accept(said(2, root=1))).ahead == 1
        assert (await store.accept(said(5))).ahead == 0

    async def test_a_thread_takes_only_so_many_waiting_messages(self, store: Store) -> None:
        for second in range(THREAD_QUEUE):
            await scheduled(store, second, root=0)
        refused = await store.accept(said(50, root=0))
        assert refused.acceptance is Acceptance.FULL
        assert refused.turn is not None
        assert refused.turn.state is TurnState.REFUSED
        assert await store.find("T0SANDBOX", "C0GENERAL", ts_at(50)) == refused.turn
        assert (await store.accept(said(50, root=0))).acceptance is Acceptance.REPEATED
        await claimed(store)
        assert (await store.accept(said(51, root=0))).acceptance is Acceptance.SCHEDULED

    async def test_all_threads_take_only_so_many_waiting_messages(self, store: Store) -> None:
        for second in range(WHOLE_QUEUE):
            await scheduled(store, second)
        assert (await store.accept(said(50))).acceptance is Acceptance.FULL

    @pytest.mark.parametrize("ts", ["", "yesterday", "1", "-1.000000", "1.0000001", "١.000000"])
    async def test_what_is_no_ts_is_refused_and_leaves_nothing(self, store: Store, ts: str) -> None:
        odd = said(1)
        message = type(odd)(
            event_id="EvOdd", thread=odd.thread, ts=ts, user=odd.user, user_team=odd.user_team,
            text=odd.text, trigger=odd.trigger,
        )  # fmt: skip
        with pytest.raises(StoreError):
            await store.accept(message)
        assert await store.thread(odd.thread) is None
        assert await store.claim() is None

    async def test_text_that_no_database_takes_is_accepted_all_the_same(self, store: Store) -> None:
        """JSON can carry half a character, and a NUL."""
        await store.accept(said(1, text="half \ud83d and \x00 none"))
        turn = await claimed(store)
        assert turn.message.text == "half ? and  none"


class _TwoParty:
    async def test_a_follow_up_is_answered_while_one_person_takes_part(self, store: Store) -> None:
        await scheduled(store, 1)
        follow_up = said(2, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept(follow_up)).acceptance is Acceptance.SCHEDULED

    async def test_in_an_unknown_thread_it_is_overheard(self, store: Store) -> None:
        follow_up = said(2, root=1, trigger=Trigger.FOLLOW_UP)
        assert await store.accept(follow_up) == Accepted(acceptance=Acceptance.OVERHEARD)
        assert (await store.accept(follow_up)).acceptance is Acceptance.REPEATED
        assert await store.thread(follow_up.thread) is None

    async def test_a_second_person_ends_it_for_both(self, store: Store) -> None:
        await scheduled(store, 1)
        bob = said(2, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP)
        alice = said(3, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept(bob)).acceptance is Acceptance.OVERHEARD
        assert (await store.accept(alice)).acceptance is Acceptance.OVERHEARD
        assert (await store.accept(said(4, root=1))).acceptance is Acceptance.SCHEDULED

    async def test_one_who_speaks_to_somebody_else_takes_part(self, store: Store) -> None:
        await scheduled(store, 1)
        aside = said(2, root=1, user="U0BOB", trigger=Trigger.ASIDE)
        assert (await store.accept(aside)).acceptance is Acceptance.OVERHEARD
        follow_up = said(3, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept(follow_up)).acceptance is Acceptance.OVERHEARD
        thread = await store.thread(aside.thread)
        assert thread is not None
        assert thread.people == {"U0ALICE", "U0BOB"}

    async def test_a_second_person_by_mention_takes_part(self, store: Store) -> None:
        await scheduled(store, 1)
        await store.accept(said(2, root=1, user="U0BOB"))
        follow_up = said(3, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept(follow_up)).acceptance is Acceptance.OVERHEARD

    @pytest.mark.parametrize("trigger", [Trigger.MENTION, Trigger.DIRECT, Trigger.COMMAND])
    async def test_what_is_meant_for_the_bot_always_makes_a_turn(
        self, store: Store, trigger: Trigger
    ) -> None:
        message = said(2, root=1, trigger=trigger)
        assert (await store.accept(message)).acceptance is Acceptance.SCHEDULED

    async def test_who_wrote_is_known_where_the_bot_was_there_from_the_start(
        self, store: Store
    ) -> None:
        started = said(1)
        joined = said(3, root=2)
        direct = said(5, root=4, trigger=Trigger.DIRECT, direct=True)
        command = said(6, trigger=Trigger.COMMAND)
        about_a_message = said(8, root=7, trigger=Trigger.COMMAND)
        known = {}
        for message in (started, joined, direct, command, about_a_message):
            await store.accept(message)
            thread = await store.thread(message.thread)
            assert thread is not None
            assert thread.people == {"U0ALICE"}
            known[message.ts] = thread.people_known
        assert known == {
            ts_at(1): True,
            ts_at(3): False,
            ts_at(5): True,
            ts_at(6): True,
            ts_at(8): False,
        }

    async def test_an_answer_heard_before_the_first_message_leaves_it_open(
        self, store: Store
    ) -> None:
        """Slack keeps no order: somebody may have written that was not taken down."""
        await store.accept(said(2, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        await store.accept(said(1))
        thread = await store.thread(said(1).thread)
        assert thread is not None
        assert not thread.people_known

    async def test_people_found_out_later_count(self, store: Store) -> None:
        key = (await scheduled(store, 2, root=1)).message.thread
        await store.note_people(key, frozenset({"U0BOB", "U0ALICE"}))
        thread = await store.thread(key)
        assert thread is not None
        assert thread.people_known
        assert thread.people == {"U0ALICE", "U0BOB"}
        assert thread.generation == 0

    async def test_people_of_an_unknown_thread_are_refused(self, store: Store) -> None:
        with pytest.raises(StoreError):
            await store.note_people(said(1).thread, frozenset({"U0BOB"}))


class _Claiming:
    async def test_nothing_waits_nothing_is_claimed(self, store: Store) -> None:
        assert await store.claim() is None

    async def test_a_claim_runs_and_has_the_next_epoch(self, store: Store) -> None:
        waiting = await scheduled(store, 1)
        turn = await claimed(store)
        assert (turn.id, turn.state, turn.epoch) == (waiting.id, TurnState.RUNNING, 1)
        assert await store.running(turn.message.thread) == turn

    async def test_one_at_a_time_in_a_thread(self, store: Store) -> None:
        await scheduled(store, 1)
        await scheduled(store, 2, root=1)
        first = await claimed(store)
        assert await store.claim() is None
        await store.finish(first, TurnState.DONE)
        assert (await claimed(store)).message.ts == ts_at(2)

    async def test_a_thread_goes_by_the_order_in_which_it_was_written(self, store: Store) -> None:
        for second in (9, 10, 3, 1):
            await scheduled(store, second, root=1)
        order = []
        for _ in range(4):
            turn = await claimed(store)
            order.append(turn.message.ts)
            await store.finish(turn, TurnState.DONE)
        assert order == [ts_at(1), ts_at(3), ts_at(9), ts_at(10)]

    async def test_a_shorter_ts_is_an_earlier_one(self, store: Store) -> None:
        late = said(2, root=1)
        early = type(late)(
            event_id="EvEarly", thread=late.thread, ts="999999999.000001", user=late.user,
            user_team=late.user_team, text="early", trigger=late.trigger,
        )  # fmt: skip
        await store.accept(late)
        await store.accept(early)
        assert (await claimed(store)).message.text == "early"

    async def test_of_many_threads_the_longest_accepted_is_next(self, store: Store) -> None:
        for user, second in (("U1", 30), ("U2", 10), ("U3", 20)):
            await store.accept(said(second, user=user))
        assert [(await claimed(store)).message.user for _ in range(3)] == ["U1", "U2", "U3"]

    async def test_one_person_has_only_so_many_at_once(self, store: Store) -> None:
        for second in range(PER_USER + 1):
            await scheduled(store, second)
        await store.accept(said(50, user="U0BOB"))
        first = await claimed(store)
        await claimed(store)
        assert (await claimed(store)).message.user == "U0BOB"
        assert await store.claim() is None
        await store.finish(first, TurnState.DONE)
        assert (await claimed(store)).message.user == "U0ALICE"

    async def test_many_claims_at_once_take_each_turn_once(self, store: Store) -> None:
        for second in range(6):
            await store.accept(said(second, user=f"U{second}"))
        turns = await asyncio.gather(*(store.claim() for _ in range(9)))
        ids = [turn.id for turn in turns if turn is not None]
        assert len(ids) == len(set(ids)) == 6


class _Running:
    async def test_begin_lets_the_prompt_go(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        await scheduled(store, 2, root=1)
        assert await store.begin(turn)
        assert await store.running(turn.message.thread) == replace(turn, prompted=True)

    async def test_begin_gives_way_to_an_earlier_message(self, store: Store) -> None:
        await scheduled(store, 5, root=1)
        later = await claimed(store)
        await scheduled(store, 3, root=1)
        assert not await store.begin(later)
        assert await store.claim() is None
        assert await store.hand_back(later)
        earlier = await claimed(store)
        assert earlier.message.ts == ts_at(3)
        assert await store.begin(earlier)
        await store.finish(earlier, TurnState.DONE)
        again = await claimed(store)
        assert (again.id, again.epoch) == (later.id, 2)

    async def test_a_turn_ends_once(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        assert await store.finish(turn, TurnState.DONE)
        assert not await store.finish(turn, TurnState.FAILED)
        found = await store.find("T0SANDBOX", "C0GENERAL", ts_at(1))
        assert found is not None
        assert found.state is TurnState.DONE
        assert await store.running(turn.message.thread) is None

    @pytest.mark.parametrize("state", [TurnState.WAITING, TurnState.RUNNING])
    async def test_waiting_and_running_are_no_ends(self, store: Store, state: TurnState) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        with pytest.raises(StoreError):
            await store.finish(turn, state)
        with pytest.raises(StoreError):
            await store.record(turn, Ending(state=state, answer="Python is a language."))
        assert await store.running(turn.message.thread) == turn

    async def test_the_answer_is_on_record_before_the_turn_ends(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        assert await store.record(
            turn, Ending(state=TurnState.STOPPED, answer="Python is 🐍 \ud83d", note="So.")
        )
        running = await store.running(turn.message.thread)
        assert running is not None
        assert running.ending == Ending(
            state=TurnState.STOPPED, answer="Python is 🐍 ?", note="So."
        )

    async def test_handed_back_it_waits_and_starts_afresh(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        await store.record(turn, Ending(state=TurnState.DONE, answer="half"))
        assert await store.hand_back(turn)
        again = await claimed(store)
        assert (again.id, again.epoch, again.ending) == (turn.id, turn.epoch + 1, None)

    async def test_an_old_epoch_changes_nothing(self, store: Store) -> None:
        """What a process that was frozen says when it comes back, its turn taken over."""
        await scheduled(store, 1)
        old = await claimed(store)
        await store.hand_back(old)
        new = await claimed(store)
        assert not await store.begin(old)
        assert not await store.record(old, Ending(state=TurnState.DONE, answer="late"))
        assert not await store.hand_back(old)
        assert not await store.finish(old, TurnState.FAILED)
        await store.note_part(old, Part(number=0, ts=ts_at(9), delivery=Delivery.EDITS))
        assert await store.running(new.message.thread) == new
        assert await store.parts(new) == ()

    async def test_a_turn_handed_back_cannot_be_ended_by_its_old_holder(self, store: Store) -> None:
        await scheduled(store, 1)
        old = await claimed(store)
        await store.hand_back(old)
        assert not await store.begin(old)
        assert not await store.finish(old, TurnState.DONE)
        assert not await store.record(old, Ending(state=TurnState.DONE, answer="late"))
        found = await store.find("T0SANDBOX", "C0GENERAL", ts_at(1))
        assert found is not None
        assert found.state is TurnState.WAITING

    async def test_parts_are_kept_by_number(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        second = Part(number=1, ts=ts_at(8), delivery=Delivery.EDITS, closed=True)
        first = Part(number=0, ts=ts_at(7), delivery=Delivery.STREAM)
        closed = Part(number=0, ts=ts_at(7), delivery=Delivery.STREAM, closed=True)
        await store.note_part(turn, second)
        await store.note_part(turn, first)
        assert await store.parts(turn) == (first, second)
        await store.note_part(turn, closed)
        assert await store.parts(turn) == (closed, second)


class _Waiting:
    async def test_a_waiting_turn_is_reworded(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.reword(turn, "What is Rust?")
        assert (await claimed(store)).message.text == "What is Rust?"

    async def test_a_waiting_turn_is_withdrawn(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.withdraw(turn)
        assert await store.claim() is None
        found = await store.find("T0SANDBOX", "C0GENERAL", ts_at(1))
        assert found is not None
        assert found.state is TurnState.WITHDRAWN

    async def test_that_it_waits_is_noted(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.show_waiting(turn)
        assert (await claimed(store)).waited

    async def test_what_no_longer_waits_stays_as_it_is(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        running = await claimed(store)
        assert not await store.reword(turn, "What is Rust?")
        assert not await store.withdraw(turn)
        assert not await store.show_waiting(turn)
        assert await store.running(turn.message.thread) == running


class _Restarting:
    async def test_what_ran_is_claimed_anew_oldest_first(self, store: Store) -> None:
        for second in (1, 2, 3):
            await store.accept(said(second, user=f"U{second}"))
        old = [await claimed(store) for _ in range(2)]
        await store.record(old[0], Ending(state=TurnState.DONE, answer="Python is a language."))
        taken = await store.recover()
        assert [(t.id, t.epoch) for t in taken] == [(t.id, t.epoch + 1) for t in old]
        assert [t.ending and t.ending.answer for t in taken] == ["Python is a language.", None]
        assert not await store.finish(old[0], TurnState.DONE)
        assert await store.finish(taken[0], TurnState.DONE)
        assert (await claimed(store)).message.user == "U3"

    async def test_all_of_it_is_there_after_a_restart(self, opened: Opened) -> None:
        part = Part(number=0, ts=ts_at(7), delivery=Delivery.STREAM)
        async with opened() as store:
            await scheduled(store, 1)
            await scheduled(store, 2, root=1)
            running = await claimed(store)
            await store.note_part(running, part)
        async with opened() as store:
            (recovered,) = await store.recover()
            assert (recovered.id, recovered.epoch) == (running.id, running.epoch + 1)
            assert recovered.message == running.message
            assert await store.parts(recovered) == (part,)
            assert (await store.accept(said(1))).acceptance is Acceptance.REPEATED
            await store.finish(recovered, TurnState.LOST)
            assert (await claimed(store)).message.ts == ts_at(2)

    async def test_nothing_ran_nothing_is_recovered(self, store: Store) -> None:
        await scheduled(store, 1)
        assert await store.recover() == ()

    async def test_what_nobody_wrote_is_not_found(self, store: Store) -> None:
        nowhere = ThreadKey(team="T0", channel="C0", root_ts=ts_at(1))
        assert await store.find("T0", "C0", ts_at(1)) is None
        assert await store.running(nowhere) is None
        assert await store.thread(nowhere) is None

    async def test_closed_it_says_so(self, opened: Opened) -> None:
        async with opened() as store:
            pass
        with pytest.raises(StoreError):
            await store.accept(said(1))
        with pytest.raises(StoreError):
            await store.thread(said(1).thread)


class StoreContract(_Accepting, _TwoParty, _Claiming, _Running, _Waiting, _Restarting):
    """Every promise."""
