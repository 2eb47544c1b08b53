"""The promises about what sessions remember: which turns, and up to where they were told."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.messages import Trigger, Wish
from bot.domain.sessions import Remembered
from bot.domain.turns import Ending, TurnState
from bot.domain.usage import Spent
from bot.ports import Store
from tests.contracts.messages import BEGIN, said, ts_at
from tests.contracts.store_fixtures import answered, began, claimed, current, scheduled
from tests.fakes import HandClock

HERE = said(1).thread
SPENT = Spent(
    model="gpt",
    input_tokens=100,
    output_tokens=20,
    seconds=1.5,
    context_tokens=120,
    context_limit=8_000,
)


class Remembering:
    async def test_a_session_remembers_what_it_was_asked(
        self, store: Store, clock: HandClock
    ) -> None:
        await clock.advance(5)
        turn, session = await began(store, said(1))
        await clock.advance(5)
        await store.record(turn, Ending(state=TurnState.DONE, answer="A language.", spent=SPENT))
        await store.finish(turn, TurnState.DONE)
        recalled = Remembered(
            turn=turn.id,
            ts=ts_at(1),
            user="U0ALICE",
            text="What is Python?",
            answer="A language.",
            state=TurnState.DONE,
            model="gpt",
            event=f"event-{turn.id}",
            asked=BEGIN + 5.0,
            seconds=1.5,
            input_tokens=100,
            output_tokens=20,
        )
        assert await store.recall(session.number, turn.id) == recalled
        page = await store.remembered(session.number, 0, 10)
        assert (page.turns, page.total) == ((recalled,), 1)
        now = await current(store, HERE)
        assert (now.turns, now.seen_ts, now.used) == (1, ts_at(1), BEGIN + 10.0)
        assert now.asked

    async def test_its_memory_is_paged_oldest_first(self, store: Store) -> None:
        turns = [await answered(store, said(second, root=1)) for second in range(1, 6)]
        number = (await current(store, HERE)).number
        page = await store.remembered(number, 3, 10)
        assert [each.turn for each in page.turns] == [turns[3].id, turns[4].id]
        assert page.total == 5
        assert (await store.remembered(number, 9, 10)).turns == ()
        after = await store.recall_after(number, turns[1].id)
        assert after is not None
        assert after.turn == turns[2].id
        assert await store.recall_after(number, turns[4].id) is None
        assert await store.recall_after(number, 4_711) is None
        assert [await store.asked_after(number, turn.id) for turn in turns] == [4, 3, 2, 1, 0]
        assert await store.asked_after(number, 4_711) == 0
        assert await store.recall(number, 4_711) is None

    async def test_an_old_epoch_is_not_remembered(self, store: Store) -> None:
        await scheduled(store, 1)
        old = await claimed(store)
        session = await store.session_for(old)
        await store.hand_back(old)
        await claimed(store)
        await store.remember(old, session.number, "late")
        assert await store.recall(session.number, old.id) is None
        assert await current(store, HERE) == session

    async def test_what_is_asked_again_after_a_restart_is_remembered_once(
        self, store: Store
    ) -> None:
        first, session = await began(store, said(1))
        await store.remember(first, session.number, "twice")
        (again,) = await store.recover()
        await store.remember(again, session.number, "anew")
        recalled = await store.recall(session.number, first.id)
        assert recalled is not None
        assert recalled.event == "anew"
        assert (await current(store, HERE)).turns == 1
        assert await store.forget(session.number, first.id) == (first.id,)
        assert (await current(store, HERE)).seen_ts == ""

    async def test_handed_back_nothing_is_forgotten(self, store: Store) -> None:
        turn, session = await began(store, said(1))
        await store.hand_back(turn)
        remembered = await store.recall(session.number, turn.id)
        assert remembered is not None
        assert remembered.event == f"event-{turn.id}"
        assert (await current(store, HERE)).turns == 1

    async def test_an_earlier_message_that_is_asked_later_takes_nothing_back(
        self, store: Store
    ) -> None:
        await answered(store, said(9, root=1))
        await answered(store, said(3, root=1))
        assert (await current(store, HERE)).seen_ts == ts_at(9)

    async def test_it_forgets_a_turn_and_all_that_came_later(self, store: Store) -> None:
        turns = [await answered(store, said(second, root=1)) for second in range(1, 5)]
        number = (await current(store, HERE)).number
        assert await store.forget(number, turns[2].id) == (turns[2].id, turns[3].id)
        session = await current(store, HERE)
        assert (session.turns, session.seen_ts) == (2, ts_at(2))
        page = await store.remembered(number, 0, 10)
        assert [each.turn for each in page.turns] == [turns[0].id, turns[1].id]
        assert await store.forget(number, turns[2].id) == ()
        assert await store.forget(number, turns[0].id) == (turns[0].id, turns[1].id)
        session = await current(store, HERE)
        assert (session.turns, session.seen_ts, session.asked) == (0, "", False)

    async def test_what_was_said_can_be_forgotten_along_with_it(self, store: Store) -> None:
        turns = [await answered(store, said(second, root=1)) for second in (1, 2)]
        other = said(5, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP)
        await store.accept(other)
        number = (await current(store, HERE)).number
        assert await store.forget(number, 4_711, told=True) == ()
        assert (await current(store, HERE)).seen_ts == ts_at(2)
        assert await store.forget(number, turns[1].id, told=True) == (turns[1].id,)
        assert (await current(store, HERE)).seen_ts == ts_at(5)
        assert await store.forget(number, turns[0].id) == (turns[0].id,)
        assert (await current(store, HERE)).seen_ts == ""

    async def test_what_is_answered_anew_was_asked_when_it_was_asked_first(
        self, store: Store
    ) -> None:
        """What people said between the question and the wish for another answer is told later."""
        asked = await answered(store, said(2, root=1))
        number = (await current(store, HERE)).number
        for second in (5, 7):
            assert await store.forget(number, asked.id) == (asked.id,)
            anew = replace(said(second, root=1), wish=Wish(again=asked.id))
            asked = await answered(store, anew)
            assert (await current(store, HERE)).seen_ts == ts_at(2)
        await answered(store, said(8, root=1))
        later = replace(said(9, root=1), wish=Wish(again=asked.id))
        await answered(store, later)
        assert (await current(store, HERE)).seen_ts == ts_at(8)
        await answered(store, replace(said(10, root=1), wish=Wish(again=4_711)))
        assert (await current(store, HERE)).seen_ts == ts_at(10)

    async def test_the_turn_that_answers_one_anew_is_found(self, store: Store) -> None:
        first = await answered(store, said(1))
        await answered(store, said(2, root=1))
        assert await store.answered_anew(first.id) is None
        wish = Wish(model="gpt", again=first.id)
        anew = await answered(store, replace(said(5, root=1), wish=wish))
        assert await store.answered_anew(first.id) == await store.turn(anew.id)
        assert await store.answered_anew(anew.id) is None
        assert await store.answered_anew(4_711) is None

    async def test_what_one_session_forgets_a_copy_still_knows(self, store: Store) -> None:
        turn = await answered(store, said(1))
        source = await current(store, HERE)
        copy = await store.add_session(
            source, session_id="copy", origin=source.origin, thread=HERE, owner="U0ALICE"
        )
        await store.forget(source.number, turn.id)
        assert await store.recall(copy.number, turn.id) is not None
        assert await store.recall(source.number, turn.id) is None

    async def test_a_session_that_has_gone_remembers_nothing(self, store: Store) -> None:
        turn, session = await began(store, said(1))
        await store.drop([session.number])
        await store.remember(turn, session.number, "late")
        assert await store.recall(session.number, turn.id) is None
        assert (await store.remembered(session.number, 0, 10)).total == 0

    async def test_a_session_that_lost_its_memory_remembers_nothing(self, store: Store) -> None:
        turn = await answered(store, said(1))
        session = await current(store, HERE)
        lost = await store.lose(session.number)
        assert lost is not None
        assert (lost.turns, lost.seen_ts, lost.asked) == (0, "", False)
        assert await store.recall(session.number, turn.id) is None
        assert await store.lose(99) is None

    async def test_what_a_turn_cost_is_added_to_its_session_once(self, store: Store) -> None:
        await answered(store, said(1), spent=SPENT)
        turn = await answered(store, said(2, root=1), spent=SPENT)
        assert not await store.finish(turn, TurnState.DONE)
        session = await current(store, HERE)
        assert (session.input_tokens, session.output_tokens) == (200, 40)
        assert (session.context_tokens, session.context_limit) == (120, 8_000)
        await answered(store, said(3, root=1))
        later = await current(store, HERE)
        assert later == replace(session, turns=3, seen_ts=ts_at(3))

    async def test_the_session_that_was_asked_pays_whatever_became_current(
        self, store: Store
    ) -> None:
        turn, asked = await began(store, said(1))
        fresh = await store.begin_anew(HERE, "", "U0ALICE")
        await store.record(turn, Ending(state=TurnState.DONE, answer="So.", spent=SPENT))
        await store.finish(turn, TurnState.DONE)
        old = await store.session(asked.number)
        assert old is not None
        assert (old.input_tokens, old.turns) == (100, 1)
        assert await current(store, HERE) == fresh
