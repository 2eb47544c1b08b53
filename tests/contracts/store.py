"""Checks what a store promises (`bot.ports.Store`), for any adapter.

An adapter subclasses `StoreContract` with a fixture `opened`. It opens the same database on each
call, on the fixture `clock` and with the limits of `tests.contracts.store_fixtures`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.domain.messages import MessageOptions, ThreadKey, Trigger
from bot.domain.turns import AcceptStatus, ClaimResult, Delivery, ReplyPart, TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.errors import StoreError
from bot.ports import Store
from tests.contracts.checkpoints import CheckpointContract
from tests.contracts.commands import AuditContract, CommandContract
from tests.contracts.comparisons import ComparisonContract
from tests.contracts.history import HistoryContract
from tests.contracts.inbox import InboxContract, TwoPersonThreadContract
from tests.contracts.indicators import IndicatorContract
from tests.contracts.messages import make_message, ts_at
from tests.contracts.out_of_order import OutOfOrderContract
from tests.contracts.pending_questions import PendingQuestionContract, UnnotifiedContract
from tests.contracts.preferences import PreferenceContract
from tests.contracts.session_deletion import SessionDeletionContract
from tests.contracts.session_list import SessionListContract
from tests.contracts.sessions import SessionContract, SessionCopyContract
from tests.contracts.store_fixtures import PER_USER, Opened, claimed, scheduled
from tests.contracts.thread_context import ThreadContextContract
from tests.contracts.thread_holds import ForkContract, RetryContract, ThreadHoldContract
from tests.contracts.usage import UsageContract
from tests.fakes import ManualClock


class _ClaimContract:
    async def test_nothing_waits_nothing_is_claimed(self, store: Store) -> None:
        assert (await store.claim()).turn is None

    async def test_a_claim_runs_and_has_the_next_epoch(self, store: Store) -> None:
        waiting = await scheduled(store, 1)
        turn = await claimed(store)
        assert (turn.id, turn.state, turn.epoch) == (waiting.id, TurnState.RUNNING, 1)
        assert await store.running_turn(turn.message.thread) == turn

    async def test_one_at_a_time_in_a_thread(self, store: Store) -> None:
        await scheduled(store, 1)
        await scheduled(store, 2, root=1)
        first = await claimed(store)
        assert (await store.claim()).turn is None
        await store.finish_turn(first, TurnState.DONE)
        assert (await claimed(store)).message.ts == ts_at(2)

    async def test_a_thread_goes_by_the_order_in_which_it_was_written(self, store: Store) -> None:
        for second in (9, 10, 3, 1):
            await scheduled(store, second, root=1)
        order = []
        for _ in range(4):
            turn = await claimed(store)
            order.append(turn.message.ts)
            await store.finish_turn(turn, TurnState.DONE)
        assert order == [ts_at(1), ts_at(3), ts_at(9), ts_at(10)]

    async def test_a_shorter_ts_is_an_earlier_one(self, store: Store) -> None:
        late = make_message(2, root=1)
        early = type(late)(
            event_id="EvEarly", thread=late.thread, ts="999999999.000001", user=late.user,
            user_team=late.user_team, text="early", trigger=late.trigger,
        )  # fmt: skip
        await store.accept_message(late)
        await store.accept_message(early)
        assert (await claimed(store)).message.text == "early"

    async def test_of_many_threads_the_longest_accepted_is_next(self, store: Store) -> None:
        for user, second in (("U1", 30), ("U2", 10), ("U3", 20)):
            await store.accept_message(make_message(second, user=user))
        assert [(await claimed(store)).message.user for _ in range(3)] == ["U1", "U2", "U3"]

    async def test_one_person_has_only_so_many_at_once(self, store: Store) -> None:
        for second in range(PER_USER + 1):
            await scheduled(store, second)
        await store.accept_message(make_message(50, user="U0BOB"))
        first = await claimed(store)
        await claimed(store)
        assert (await claimed(store)).message.user == "U0BOB"
        assert (await store.claim()).turn is None
        await store.finish_turn(first, TurnState.DONE)
        assert (await claimed(store)).message.user == "U0ALICE"

    async def test_many_claims_at_once_take_each_turn_once(self, store: Store) -> None:
        for second in range(6):
            await store.accept_message(make_message(second, user=f"U{second}"))
        claims = await asyncio.gather(*(store.claim() for _ in range(9)))
        ids = [claimed.turn.id for claimed in claims if claimed.turn is not None]
        assert len(ids) == len(set(ids)) == 6

    async def test_a_claim_tells_how_many_wait_still_also_those_that_may_not_run(
        self, store: Store
    ) -> None:
        assert await store.claim() == ClaimResult(turn=None, queue_length=0)
        await scheduled(store, 1)
        await scheduled(store, 2, root=1)
        assert (await store.claim()).queue_length == 1
        assert await store.claim() == ClaimResult(turn=None, queue_length=1)


class _RunningTurnContract:
    async def test_begin_lets_the_prompt_go(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        await scheduled(store, 2, root=1)
        assert await store.mark_prompted(turn)
        assert await store.running_turn(turn.message.thread) == replace(turn, prompted=True)

    async def test_begin_gives_way_to_an_earlier_message(self, store: Store) -> None:
        await scheduled(store, 5, root=1)
        later = await claimed(store)
        await scheduled(store, 3, root=1)
        assert not await store.mark_prompted(later)
        assert (await store.claim()).turn is None
        assert await store.requeue(later)
        earlier = await claimed(store)
        assert earlier.message.ts == ts_at(3)
        assert await store.mark_prompted(earlier)
        await store.finish_turn(earlier, TurnState.DONE)
        again = await claimed(store)
        assert (again.id, again.epoch) == (later.id, 2)

    async def test_a_turn_ends_once(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        assert await store.finish_turn(turn, TurnState.DONE)
        assert not await store.finish_turn(turn, TurnState.FAILED)
        found = await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(1))
        assert found is not None
        assert found.state is TurnState.DONE
        assert await store.running_turn(turn.message.thread) is None

    @pytest.mark.parametrize("state", [TurnState.WAITING, TurnState.RUNNING])
    async def test_waiting_and_running_are_no_ends(self, store: Store, state: TurnState) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        with pytest.raises(StoreError):
            await store.finish_turn(turn, state)
        with pytest.raises(StoreError):
            await store.record_result(turn, TurnResult(state=state, answer="Python is a language."))
        assert await store.running_turn(turn.message.thread) == turn

    async def test_the_answer_is_on_record_before_the_turn_ends(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        assert await store.record_result(
            turn, TurnResult(state=TurnState.STOPPED, answer="Python is 🐍 \ud83d", note="So.")
        )
        running = await store.running_turn(turn.message.thread)
        assert running is not None
        assert running.result == TurnResult(
            state=TurnState.STOPPED, answer="Python is 🐍 ?", note="So."
        )

    async def test_what_it_cost_is_on_record_with_the_answer(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        ending = TurnResult(
            state=TurnState.DONE,
            answer="Python is a language.",
            usage=TokenUsage(
                model="gpt",
                input_tokens=100,
                output_tokens=20,
                seconds=1.5,
                context_tokens=120,
                context_limit=8_000,
            ),
        )
        assert await store.record_result(turn, ending)
        await store.finish_turn(turn, TurnState.DONE)
        found = await store.turn_by_id(turn.id)
        assert found is not None
        assert found.result == ending

    async def test_handed_back_it_waits_and_starts_afresh(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        await store.record_result(
            turn, TurnResult(state=TurnState.DONE, answer="half", usage=TokenUsage())
        )
        assert await store.requeue(turn)
        again = await claimed(store)
        assert (again.id, again.epoch, again.result) == (turn.id, turn.epoch + 1, None)

    async def test_an_old_epoch_changes_nothing(self, store: Store) -> None:
        """The writes of a process that was frozen, after another one claimed its turn."""
        await scheduled(store, 1)
        old = await claimed(store)
        await store.requeue(old)
        new = await claimed(store)
        assert not await store.mark_prompted(old)
        assert not await store.record_result(old, TurnResult(state=TurnState.DONE, answer="late"))
        assert not await store.requeue(old)
        assert not await store.finish_turn(old, TurnState.FAILED)
        await store.save_part(old, ReplyPart(number=0, ts=ts_at(9), delivery=Delivery.EDITS))
        assert await store.running_turn(new.message.thread) == new
        assert await store.reply_parts(new) == ()

    async def test_a_turn_handed_back_cannot_be_ended_by_its_old_holder(self, store: Store) -> None:
        await scheduled(store, 1)
        old = await claimed(store)
        await store.requeue(old)
        assert not await store.mark_prompted(old)
        assert not await store.finish_turn(old, TurnState.DONE)
        assert not await store.record_result(old, TurnResult(state=TurnState.DONE, answer="late"))
        found = await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(1))
        assert found is not None
        assert found.state is TurnState.WAITING

    async def test_parts_are_kept_by_number(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        second = ReplyPart(number=1, ts=ts_at(8), delivery=Delivery.EDITS, closed=True)
        first = ReplyPart(number=0, ts=ts_at(7), delivery=Delivery.STREAM)
        closed = ReplyPart(number=0, ts=ts_at(7), delivery=Delivery.STREAM, closed=True)
        await store.save_part(turn, second)
        await store.save_part(turn, first)
        assert await store.reply_parts(turn) == (first, second)
        await store.save_part(turn, closed)
        assert await store.reply_parts(turn) == (closed, second)

    async def test_the_end_of_a_turn_closes_its_parts(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        first = ReplyPart(number=0, ts=ts_at(2), delivery=Delivery.STREAM)
        await store.save_part(turn, first)
        assert not await store.finish_turn(replace(turn, epoch=turn.epoch - 1), TurnState.DONE)
        assert await store.reply_parts(turn) == (first,)
        assert await store.finish_turn(turn, TurnState.DONE)
        assert await store.reply_parts(turn) == (replace(first, closed=True),)


class _WaitingTurnContract:
    async def test_a_waiting_turn_is_reworded(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.update_text(turn, "What is Rust?")
        assert (await claimed(store)).message.text == "What is Rust?"

    async def test_a_waiting_turn_is_withdrawn(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.withdraw(turn)
        assert (await store.claim()).turn is None
        found = await store.turn_by_ts("T0SANDBOX", "C0GENERAL", ts_at(1))
        assert found is not None
        assert found.state is TurnState.WITHDRAWN

    async def test_that_it_waits_is_noted(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.add_waiting_indicator(turn)
        assert (await claimed(store)).may_be_marked_waiting

    async def test_what_no_longer_waits_stays_as_it_is(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        running = await claimed(store)
        assert not await store.update_text(turn, "What is Rust?")
        assert not await store.withdraw(turn)
        assert not await store.add_waiting_indicator(turn)
        assert await store.running_turn(turn.message.thread) == running


class _LookupContract:
    async def test_a_turn_is_found_by_its_number(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.turn_by_id(turn.id) == turn
        assert await store.turn_by_id(turn.id + 1) is None

    async def test_what_was_wished_is_kept(self, store: Store) -> None:
        wish = MessageOptions(
            role="review", model="gpt", retry_of=7, compare_models=("a", "b"), show_names=True
        )
        message = replace(make_message(1), options=wish)
        await store.accept_message(message)
        assert (await claimed(store)).message == message

    async def test_running_turns_come_the_longest_running_first(
        self, store: Store, clock: ManualClock
    ) -> None:
        for second, user in ((1, "U1"), (2, "U2"), (3, "U1")):
            await store.accept_message(make_message(second, user=user))
        first = await claimed(store)
        await store.requeue(first)
        turns = []
        for _ in range(3):
            turns.append(await claimed(store))
            await clock.advance(1)
        assert await store.running_turns() == tuple(turns)
        assert await store.running_turns("U1") == tuple(t for t in turns if t.message.user == "U1")
        assert await store.running_turns("U9") == ()

    async def test_waiting_turns_come_in_their_order(self, store: Store) -> None:
        """Those of a thread in the order of writing, all of them in the order of arrival."""
        for second in (9, 3):
            await scheduled(store, second, root=1)
        other = await scheduled(store, 20)
        key = make_message(1).thread
        assert [t.message.ts for t in await store.waiting_turns(key)] == [ts_at(3), ts_at(9)]
        assert [t.message.ts for t in await store.waiting_turns()] == [
            ts_at(9),
            ts_at(3),
            ts_at(20),
        ]
        assert await store.waiting_turns(other.message.thread) == (other,)

    async def test_a_thread_that_the_bot_began_is_known(self, store: Store) -> None:
        key = make_message(1).thread
        await store.add_thread(key, frozenset({"U0ALICE"}))
        await store.add_thread(key, frozenset({"U0BOB"}))
        thread = await store.thread_by_key(key)
        assert thread is not None
        assert thread.participants == {"U0ALICE"}
        assert thread.participants_known
        follow_up = make_message(2, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept_message(follow_up)).status is AcceptStatus.SCHEDULED


class _RestartContract:
    async def test_what_ran_is_claimed_again_oldest_first(self, store: Store) -> None:
        for second in (1, 2, 3):
            await store.accept_message(make_message(second, user=f"U{second}"))
        old = [await claimed(store) for _ in range(2)]
        await store.record_result(
            old[0], TurnResult(state=TurnState.DONE, answer="Python is a language.")
        )
        taken = await store.recover()
        assert [(t.id, t.epoch) for t in taken] == [(t.id, t.epoch + 1) for t in old]
        assert [t.result and t.result.answer for t in taken] == ["Python is a language.", None]
        assert not await store.finish_turn(old[0], TurnState.DONE)
        assert await store.finish_turn(taken[0], TurnState.DONE)
        assert (await claimed(store)).message.user == "U3"

    async def test_all_of_it_is_there_after_a_restart(self, opened: Opened) -> None:
        part = ReplyPart(number=0, ts=ts_at(7), delivery=Delivery.STREAM)
        async with opened() as store:
            await scheduled(store, 1)
            await scheduled(store, 2, root=1)
            running = await claimed(store)
            await store.save_part(running, part)
        async with opened() as store:
            (recovered,) = await store.recover()
            assert (recovered.id, recovered.epoch) == (running.id, running.epoch + 1)
            assert recovered.message == running.message
            assert await store.reply_parts(recovered) == (part,)
            assert (await store.accept_message(make_message(1))).status is AcceptStatus.DUPLICATE
            await store.finish_turn(recovered, TurnState.LOST)
            assert (await claimed(store)).message.ts == ts_at(2)

    async def test_nothing_ran_nothing_is_recovered(self, store: Store) -> None:
        await scheduled(store, 1)
        assert await store.recover() == ()

    async def test_what_nobody_wrote_is_not_found(self, store: Store) -> None:
        nowhere = ThreadKey(team="T0", channel="C0", root_ts=ts_at(1))
        assert await store.turn_by_ts("T0", "C0", ts_at(1)) is None
        assert await store.running_turn(nowhere) is None
        assert await store.thread_by_key(nowhere) is None

    async def test_closed_it_says_so(self, opened: Opened) -> None:
        async with opened() as store:
            pass
        with pytest.raises(StoreError):
            await store.accept_message(make_message(1))
        with pytest.raises(StoreError):
            await store.thread_by_key(make_message(1).thread)


class StoreContract(
    InboxContract,
    TwoPersonThreadContract,
    OutOfOrderContract,
    _ClaimContract,
    _RunningTurnContract,
    _WaitingTurnContract,
    _LookupContract,
    _RestartContract,
    SessionContract,
    SessionCopyContract,
    PendingQuestionContract,
    UnnotifiedContract,
    HistoryContract,
    ThreadContextContract,
    SessionListContract,
    SessionDeletionContract,
    PreferenceContract,
    UsageContract,
    ComparisonContract,
    CommandContract,
    AuditContract,
    ThreadHoldContract,
    RetryContract,
    ForkContract,
    CheckpointContract,
    IndicatorContract,
):
    """Every promise."""
