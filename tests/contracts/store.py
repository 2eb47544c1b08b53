"""What a database must promise (`bot.ports.Store`), whatever it is built on.

An adapter joins by a subclass of `StoreContract` with a fixture `opened` that opens the same
database whenever it is called, on the fixture `clock` and with the bounds that stand in `work`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.domain.messages import ThreadKey, Trigger, Wish
from bot.domain.turns import Acceptance, Claimed, Delivery, Ending, Part, TurnState
from bot.domain.usage import Spent
from bot.errors import StoreError
from bot.ports import Store
from tests.contracts.checkpoints import Hearing
from tests.contracts.commands import Auditing, Ordering
from tests.contracts.comparisons import Comparing
from tests.contracts.history import Remembering
from tests.contracts.inbox import Accepting, TwoParty
from tests.contracts.indicators import Showing
from tests.contracts.messages import said, ts_at
from tests.contracts.out_of_order import Overtaken
from tests.contracts.pending_questions import Questioning, Untold
from tests.contracts.preferences import Choosing
from tests.contracts.session_deletion import Dropping
from tests.contracts.session_list import Listing
from tests.contracts.sessions import Copying, Sessions
from tests.contracts.store_fixtures import PER_USER, Opened, claimed, scheduled
from tests.contracts.thread_context import Telling
from tests.contracts.thread_holds import Anew, Forks, Holding
from tests.contracts.usage import Using
from tests.fakes import HandClock


class _Claiming:
    async def test_nothing_waits_nothing_is_claimed(self, store: Store) -> None:
        assert (await store.claim()).turn is None

    async def test_a_claim_runs_and_has_the_next_epoch(self, store: Store) -> None:
        waiting = await scheduled(store, 1)
        turn = await claimed(store)
        assert (turn.id, turn.state, turn.epoch) == (waiting.id, TurnState.RUNNING, 1)
        assert await store.running(turn.message.thread) == turn

    async def test_one_at_a_time_in_a_thread(self, store: Store) -> None:
        await scheduled(store, 1)
        await scheduled(store, 2, root=1)
        first = await claimed(store)
        assert (await store.claim()).turn is None
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
        assert (await store.claim()).turn is None
        await store.finish(first, TurnState.DONE)
        assert (await claimed(store)).message.user == "U0ALICE"

    async def test_many_claims_at_once_take_each_turn_once(self, store: Store) -> None:
        for second in range(6):
            await store.accept(said(second, user=f"U{second}"))
        claims = await asyncio.gather(*(store.claim() for _ in range(9)))
        ids = [claimed.turn.id for claimed in claims if claimed.turn is not None]
        assert len(ids) == len(set(ids)) == 6

    async def test_a_claim_tells_how_many_wait_still_also_those_that_may_not_run(
        self, store: Store
    ) -> None:
        assert await store.claim() == Claimed(turn=None, waiting=0)
        await scheduled(store, 1)
        await scheduled(store, 2, root=1)
        assert (await store.claim()).waiting == 1
        assert await store.claim() == Claimed(turn=None, waiting=1)


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
        assert (await store.claim()).turn is None
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

    async def test_what_it_cost_is_on_record_with_the_answer(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        ending = Ending(
            state=TurnState.DONE,
            answer="Python is a language.",
            spent=Spent(
                model="gpt",
                input_tokens=100,
                output_tokens=20,
                seconds=1.5,
                context_tokens=120,
                context_limit=8_000,
            ),
        )
        assert await store.record(turn, ending)
        await store.finish(turn, TurnState.DONE)
        found = await store.turn(turn.id)
        assert found is not None
        assert found.ending == ending

    async def test_handed_back_it_waits_and_starts_afresh(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        await store.record(turn, Ending(state=TurnState.DONE, answer="half", spent=Spent()))
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

    async def test_the_end_of_a_turn_closes_its_parts(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        first = Part(number=0, ts=ts_at(2), delivery=Delivery.STREAM)
        await store.note_part(turn, first)
        assert not await store.finish(replace(turn, epoch=turn.epoch - 1), TurnState.DONE)
        assert await store.parts(turn) == (first,)
        assert await store.finish(turn, TurnState.DONE)
        assert await store.parts(turn) == (replace(first, closed=True),)


class _Waiting:
    async def test_a_waiting_turn_is_reworded(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.reword(turn, "What is Rust?")
        assert (await claimed(store)).message.text == "What is Rust?"

    async def test_a_waiting_turn_is_withdrawn(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.withdraw(turn)
        assert (await store.claim()).turn is None
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


class _Looking:
    async def test_a_turn_is_found_by_its_number(self, store: Store) -> None:
        turn = await scheduled(store, 1)
        assert await store.turn(turn.id) == turn
        assert await store.turn(turn.id + 1) is None

    async def test_what_was_wished_is_kept(self, store: Store) -> None:
        wish = Wish(role="review", model="gpt", again=7, compare=("a", "b"), open=True)
        message = replace(said(1), wish=wish)
        await store.accept(message)
        assert (await claimed(store)).message == message

    async def test_running_turns_come_the_longest_running_first(
        self, store: Store, clock: HandClock
    ) -> None:
        for second, user in ((1, "U1"), (2, "U2"), (3, "U1")):
            await store.accept(said(second, user=user))
        first = await claimed(store)
        await store.hand_back(first)
        turns = []
        for _ in range(3):
            turns.append(await claimed(store))
            await clock.advance(1)
        assert await store.all_running() == tuple(turns)
        assert await store.all_running("U1") == tuple(t for t in turns if t.message.user == "U1")
        assert await store.all_running("U9") == ()

    async def test_waiting_turns_come_in_their_order(self, store: Store) -> None:
        """Of a thread in the order in which they were written, of all in that of their coming."""
        for second in (9, 3):
            await scheduled(store, second, root=1)
        other = await scheduled(store, 20)
        key = said(1).thread
        assert [t.message.ts for t in await store.waiting(key)] == [ts_at(3), ts_at(9)]
        assert [t.message.ts for t in await store.waiting()] == [ts_at(9), ts_at(3), ts_at(20)]
        assert await store.waiting(other.message.thread) == (other,)

    async def test_a_thread_that_the_bot_began_is_known(self, store: Store) -> None:
        key = said(1).thread
        await store.make_thread(key, frozenset({"U0ALICE"}))
        await store.make_thread(key, frozenset({"U0BOB"}))
        thread = await store.thread(key)
        assert thread is not None
        assert thread.people == {"U0ALICE"}
        assert thread.people_known
        follow_up = said(2, root=1, trigger=Trigger.FOLLOW_UP)
        assert (await store.accept(follow_up)).acceptance is Acceptance.SCHEDULED


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


class StoreContract(
    Accepting,
    TwoParty,
    Overtaken,
    _Claiming,
    _Running,
    _Waiting,
    _Looking,
    _Restarting,
    Sessions,
    Copying,
    Questioning,
    Untold,
    Remembering,
    Telling,
    Listing,
    Dropping,
    Choosing,
    Using,
    Comparing,
    Ordering,
    Auditing,
    Holding,
    Anew,
    Forks,
    Hearing,
    Showing,
):
    """Every promise."""
