"""Checks what a store promises about session history."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.messages import MessageOptions, Trigger
from bot.domain.sessions import HistoryEntry
from bot.domain.turns import TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.ports import Store
from tests.contracts.messages import BEGIN, make_message, ts_at
from tests.contracts.store_fixtures import answered, began, claimed, current, scheduled
from tests.fakes import ManualClock

HERE = make_message(1).thread
USAGE = TokenUsage(
    model="gpt",
    input_tokens=100,
    output_tokens=20,
    seconds=1.5,
    context_tokens=120,
    context_limit=8_000,
)


class HistoryContract:
    async def test_a_session_remembers_what_it_was_asked(
        self, store: Store, clock: ManualClock
    ) -> None:
        await clock.advance(5)
        turn, session = await began(store, make_message(1))
        await clock.advance(5)
        await store.record_result(
            turn, TurnResult(state=TurnState.DONE, answer="A language.", usage=USAGE)
        )
        await store.finish_turn(turn, TurnState.DONE)
        recalled = HistoryEntry(
            turn=turn.id,
            ts=ts_at(1),
            user="U0ALICE",
            text="What is Python?",
            answer="A language.",
            state=TurnState.DONE,
            model="gpt",
            event_id=f"event-{turn.id}",
            accepted_at=BEGIN + 5.0,
            seconds=1.5,
            input_tokens=100,
            output_tokens=20,
        )
        assert await store.history_entry(session.number, turn.id) == recalled
        page = await store.list_history(session.number, 0, 10)
        assert (page.entries, page.total) == ((recalled,), 1)
        now = await current(store, HERE)
        assert (now.turn_count, now.seen_ts, now.last_used_at) == (1, ts_at(1), BEGIN + 10.0)
        assert now.has_turns

    async def test_its_memory_is_paged_oldest_first(self, store: Store) -> None:
        turns = [await answered(store, make_message(second, root=1)) for second in range(1, 6)]
        number = (await current(store, HERE)).number
        page = await store.list_history(number, 3, 10)
        assert [each.turn for each in page.entries] == [turns[3].id, turns[4].id]
        assert page.total == 5
        assert (await store.list_history(number, 9, 10)).entries == ()
        after = await store.next_history_entry(number, turns[1].id)
        assert after is not None
        assert after.turn == turns[2].id
        assert await store.next_history_entry(number, turns[4].id) is None
        assert await store.next_history_entry(number, 4_711) is None
        assert [await store.count_history_after(number, turn.id) for turn in turns] == [
            4,
            3,
            2,
            1,
            0,
        ]
        assert await store.count_history_after(number, 4_711) == 0
        assert await store.history_entry(number, 4_711) is None

    async def test_an_old_epoch_is_not_remembered(self, store: Store) -> None:
        await scheduled(store, 1)
        old = await claimed(store)
        session = await store.ensure_session(old)
        await store.requeue(old)
        await claimed(store)
        await store.append_history(old, session.number, "late")
        assert await store.history_entry(session.number, old.id) is None
        assert await current(store, HERE) == session

    async def test_what_is_asked_again_after_a_restart_is_remembered_once(
        self, store: Store
    ) -> None:
        first, session = await began(store, make_message(1))
        await store.append_history(first, session.number, "twice")
        (again,) = await store.recover()
        await store.append_history(again, session.number, "anew")
        recalled = await store.history_entry(session.number, first.id)
        assert recalled is not None
        assert recalled.event_id == "anew"
        assert (await current(store, HERE)).turn_count == 1
        assert await store.truncate_history(session.number, first.id) == (first.id,)
        assert (await current(store, HERE)).seen_ts == ""

    async def test_handed_back_nothing_is_forgotten(self, store: Store) -> None:
        turn, session = await began(store, make_message(1))
        await store.requeue(turn)
        remembered = await store.history_entry(session.number, turn.id)
        assert remembered is not None
        assert remembered.event_id == f"event-{turn.id}"
        assert (await current(store, HERE)).turn_count == 1

    async def test_an_earlier_message_that_is_asked_later_takes_nothing_back(
        self, store: Store
    ) -> None:
        await answered(store, make_message(9, root=1))
        await answered(store, make_message(3, root=1))
        assert (await current(store, HERE)).seen_ts == ts_at(9)

    async def test_it_forgets_a_turn_and_all_that_came_later(self, store: Store) -> None:
        turns = [await answered(store, make_message(second, root=1)) for second in range(1, 5)]
        number = (await current(store, HERE)).number
        assert await store.truncate_history(number, turns[2].id) == (turns[2].id, turns[3].id)
        session = await current(store, HERE)
        assert (session.turn_count, session.seen_ts) == (2, ts_at(2))
        page = await store.list_history(number, 0, 10)
        assert [each.turn for each in page.entries] == [turns[0].id, turns[1].id]
        assert await store.truncate_history(number, turns[2].id) == ()
        assert await store.truncate_history(number, turns[0].id) == (turns[0].id, turns[1].id)
        session = await current(store, HERE)
        assert (session.turn_count, session.seen_ts, session.has_turns) == (0, "", False)

    async def test_what_was_said_can_be_forgotten_along_with_it(self, store: Store) -> None:
        turns = [await answered(store, make_message(second, root=1)) for second in (1, 2)]
        other = make_message(5, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP)
        await store.accept_message(other)
        number = (await current(store, HERE)).number
        assert await store.truncate_history(number, 4_711, mark_seen=True) == ()
        assert (await current(store, HERE)).seen_ts == ts_at(2)
        assert await store.truncate_history(number, turns[1].id, mark_seen=True) == (turns[1].id,)
        assert (await current(store, HERE)).seen_ts == ts_at(5)
        assert await store.truncate_history(number, turns[0].id) == (turns[0].id,)
        assert (await current(store, HERE)).seen_ts == ""

    async def test_what_is_answered_again_was_asked_when_it_was_asked_first(
        self, store: Store
    ) -> None:
        """Messages between the question and its retry are context for a later turn."""
        retried = await answered(store, make_message(2, root=1))
        number = (await current(store, HERE)).number
        for second in (5, 7):
            assert await store.truncate_history(number, retried.id) == (retried.id,)
            message = replace(
                make_message(second, root=1), options=MessageOptions(retry_of=retried.id)
            )
            retried = await answered(store, message)
            assert (await current(store, HERE)).seen_ts == ts_at(2)
        await answered(store, make_message(8, root=1))
        later = replace(make_message(9, root=1), options=MessageOptions(retry_of=retried.id))
        await answered(store, later)
        assert (await current(store, HERE)).seen_ts == ts_at(8)
        await answered(
            store, replace(make_message(10, root=1), options=MessageOptions(retry_of=4_711))
        )
        assert (await current(store, HERE)).seen_ts == ts_at(10)

    async def test_the_turn_that_answers_one_again_is_found(self, store: Store) -> None:
        first = await answered(store, make_message(1))
        await answered(store, make_message(2, root=1))
        assert await store.latest_retry(first.id) is None
        wish = MessageOptions(model="gpt", retry_of=first.id)
        retry = await answered(store, replace(make_message(5, root=1), options=wish))
        assert await store.latest_retry(first.id) == await store.turn_by_id(retry.id)
        assert await store.latest_retry(retry.id) is None
        assert await store.latest_retry(4_711) is None

    async def test_what_one_session_forgets_a_copy_still_knows(self, store: Store) -> None:
        turn = await answered(store, make_message(1))
        source = await current(store, HERE)
        copy = await store.add_session(
            source, session_id="copy", origin=source.origin, thread=HERE, owner="U0ALICE"
        )
        await store.truncate_history(source.number, turn.id)
        assert await store.history_entry(copy.number, turn.id) is not None
        assert await store.history_entry(source.number, turn.id) is None

    async def test_a_session_that_has_gone_remembers_nothing(self, store: Store) -> None:
        turn, session = await began(store, make_message(1))
        await store.delete_sessions([session.number])
        await store.append_history(turn, session.number, "late")
        assert await store.history_entry(session.number, turn.id) is None
        assert (await store.list_history(session.number, 0, 10)).total == 0

    async def test_a_session_that_lost_its_memory_remembers_nothing(self, store: Store) -> None:
        turn = await answered(store, make_message(1))
        session = await current(store, HERE)
        lost = await store.clear_history(session.number)
        assert lost is not None
        assert (lost.turn_count, lost.seen_ts, lost.has_turns) == (0, "", False)
        assert await store.history_entry(session.number, turn.id) is None
        assert await store.clear_history(99) is None

    async def test_what_a_turn_cost_is_added_to_its_session_once(self, store: Store) -> None:
        await answered(store, make_message(1), usage=USAGE)
        turn = await answered(store, make_message(2, root=1), usage=USAGE)
        assert not await store.finish_turn(turn, TurnState.DONE)
        session = await current(store, HERE)
        assert (session.input_tokens, session.output_tokens) == (200, 40)
        assert (session.context_tokens, session.context_limit) == (120, 8_000)
        await answered(store, make_message(3, root=1))
        later = await current(store, HERE)
        assert later == replace(session, turn_count=3, seen_ts=ts_at(3))

    async def test_the_session_that_was_asked_pays_whatever_became_current(
        self, store: Store
    ) -> None:
        turn, session = await began(store, make_message(1))
        fresh = await store.reset(HERE, "", "U0ALICE")
        await store.record_result(turn, TurnResult(state=TurnState.DONE, answer="So.", usage=USAGE))
        await store.finish_turn(turn, TurnState.DONE)
        old = await store.session_by_number(session.number)
        assert old is not None
        assert (old.input_tokens, old.turn_count) == (100, 1)
        assert await current(store, HERE) == fresh
