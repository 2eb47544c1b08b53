"""The promises about a thread's sessions: the current one, a fresh one, an earlier one, copies."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.domain.messages import ThreadKey, Wish, ts_position
from bot.domain.sessions import Origin, SessionRecord, Unmatched
from bot.domain.turns import Ending, TurnState
from bot.domain.usage import Spent
from bot.errors import StoreError
from bot.ports import Store
from tests.contracts.messages import BEGIN, said, ts_at
from tests.contracts.store_fixtures import answered, began, claimed, current, scheduled
from tests.fakes import HandClock

HERE = said(1).thread
ELSEWHERE = said(500).thread


async def copied(
    store: Store, source: SessionRecord, thread: ThreadKey = HERE, **how: object
) -> SessionRecord:
    given: dict[str, object] = {
        "session_id": "copy-1",
        "origin": Origin.FORK,
        "thread": thread,
        "owner": "U0BOB",
        **how,
    }
    return await store.add_session(source, **given)  # type: ignore[arg-type]  # a test's choice


class Sessions:
    async def test_the_first_turn_makes_the_threads_session(self, store: Store) -> None:
        await store.accept(said(1, text="  What is\n Python?  "))
        turn = await claimed(store)
        session = await store.session_for(turn)
        assert session == SessionRecord(
            number=session.number,
            id=HERE.session_id(),
            thread=HERE,
            role="",
            current=True,
            owner="U0ALICE",
            title="What is Python?",
            origin=Origin.THREAD,
            model="",
            last_model="",
            effort="",
            seen_ts="",
            turns=0,
            input_tokens=0,
            output_tokens=0,
            context_tokens=0,
            context_limit=0,
            size=0,
            created=float(BEGIN),
            used=float(BEGIN),
        )
        assert not session.asked
        assert await store.session_for(turn) == session
        assert await store.current(HERE) == session
        assert await store.session(session.number) == session
        assert await store.session_by_id(session.id) == session

    async def test_where_there_is_none_none_is_found(self, store: Store) -> None:
        assert await store.current(HERE) is None
        assert await store.currents(HERE) == ()
        assert await store.session(1) is None
        assert await store.session_by_id("slack-T0-C0-1") is None
        assert await store.take_up(1, HERE) is None

    async def test_a_long_question_makes_a_short_title(self, store: Store) -> None:
        await store.accept(said(1, text="why " * 2_000))
        session = await store.session_for(await claimed(store))
        assert len(session.title) <= 100
        assert session.title.endswith("why…")

    async def test_a_turn_asks_the_session_that_is_current_when_it_is_asked(
        self, store: Store
    ) -> None:
        """Not the one that was when the turn was claimed; and that one does not pay for it."""
        await answered(store, said(1))
        await store.accept(said(2, root=1))
        turn = await claimed(store)
        fresh = await store.begin_anew(HERE, "", "U0ALICE")
        assert await store.session_for(turn) == fresh
        assert await store.begin(turn)
        spent = Spent(input_tokens=7, output_tokens=1)
        await store.record(turn, Ending(state=TurnState.DONE, answer="Yes.", spent=spent))
        assert await store.finish(turn, TurnState.DONE)
        assert (await current(store, HERE)).input_tokens == 7

    @pytest.mark.parametrize("state", [TurnState.REFUSED, TurnState.WITHDRAWN])
    async def test_what_is_never_asked_does_not_count_as_a_use_of_the_session(
        self, store: Store, clock: HandClock, state: TurnState
    ) -> None:
        await answered(store, said(1))
        before = await current(store, HERE)
        await store.accept(said(2, root=1))
        turn = await claimed(store)
        await clock.advance(60)
        assert await store.finish(turn, state)
        assert await current(store, HERE) == before

    async def test_later_turns_ask_the_same_session_whoever_writes(self, store: Store) -> None:
        await answered(store, said(1))
        _, session = await began(store, said(2, root=1, user="U0BOB", text="And Rust?"))
        assert (session.owner, session.title) == ("U0ALICE", "What is Python?")

    async def test_each_role_has_a_session_of_its_own(self, store: Store) -> None:
        await answered(store, said(1))
        await answered(store, replace(said(2, root=1), wish=Wish(role="review")))
        await answered(store, replace(said(3, root=1), wish=Wish(role="coding")))
        await answered(store, replace(said(4, root=1), wish=Wish(role="review")))
        found = await store.currents(HERE)
        assert [(s.role, s.turns) for s in found] == [("", 1), ("coding", 1), ("review", 2)]
        assert [s.id for s in found] == [HERE.session_id(n) for n in (0, 2, 1)]
        assert await store.current(HERE, "review") == found[2]

    async def test_a_fresh_session_sets_the_old_one_aside(self, store: Store) -> None:
        await answered(store, said(1))
        old = await current(store, HERE)
        fresh = await store.begin_anew(HERE, "", "U0BOB")
        assert fresh.current
        assert (fresh.id, fresh.owner, fresh.turns) == (HERE.session_id(1), "U0BOB", 0)
        assert await store.session(old.number) == replace(old, current=False)
        assert await current(store, HERE) == fresh
        assert (await began(store, said(2, root=1)))[1].number == fresh.number

    async def test_a_fresh_session_is_told_nothing_from_before(
        self, store: Store, clock: HandClock
    ) -> None:
        """Also where Slack's clock is ahead of this machine's."""
        await answered(store, said(1))
        await store.accept(said(30, root=1, user="U0BOB"))
        assert (await store.begin_anew(HERE, "", "U0ALICE")).seen_ts == ts_at(30)
        await clock.advance(60)
        assert (await store.begin_anew(HERE, "", "U0ALICE")).seen_ts == ts_at(60)

    async def test_a_fresh_session_gets_its_title_from_its_first_question(
        self, store: Store
    ) -> None:
        await answered(store, said(1))
        assert (await store.begin_anew(HERE, "", "U0ALICE")).title == ""
        await answered(store, said(2, root=1, text="And Rust?"))
        await answered(store, said(3, root=1, text="And Go?"))
        assert (await current(store, HERE)).title == "And Rust?"

    async def test_a_fresh_session_may_be_told_what_was_said_before_it(self, store: Store) -> None:
        await answered(store, said(1))
        fresh = await store.begin_anew(HERE, "review", "U0ALICE", told=False)
        assert fresh.seen_ts == ""

    async def test_an_id_is_never_given_twice(self, store: Store) -> None:
        await answered(store, said(1))
        ids = [(await current(store, HERE)).id]
        for _ in range(3):
            fresh = await store.begin_anew(HERE, "", "U0ALICE")
            ids.append(fresh.id)
            await store.drop([fresh.number])
        copy = await copied(store, await _first(store), session_id=HERE.session_id(4))
        ids.append(copy.id)
        ids.append((await store.begin_anew(HERE, "", "U0ALICE")).id)
        assert ids == [HERE.session_id(n) for n in range(6)]

    async def test_an_earlier_session_is_taken_up_again(
        self, store: Store, clock: HandClock
    ) -> None:
        await answered(store, said(1))
        old = await current(store, HERE)
        fresh = await store.begin_anew(HERE, "", "U0ALICE")
        await clock.advance(9)
        again = await store.take_up(old.number, HERE)
        assert again == replace(old, used=old.used + 9)
        assert await current(store, HERE) == again
        assert await store.session(fresh.number) == replace(fresh, current=False)
        assert await store.take_up(old.number, HERE) == again

    async def test_a_session_is_taken_up_in_another_thread(self, store: Store) -> None:
        """It knows nothing of what was said there, and again where it was when it comes back."""
        await answered(store, said(1))
        await answered(store, said(500))
        moved = await current(store, HERE)
        there = await current(store, ELSEWHERE)
        taken = await store.take_up(moved.number, ELSEWHERE)
        assert taken is not None
        assert (taken.thread, taken.current, taken.seen_ts) == (ELSEWHERE, True, "")
        assert await store.current(HERE) is None
        assert await store.session(there.number) == replace(there, current=False)
        await answered(store, said(501, root=500))
        assert (await current(store, ELSEWHERE)).seen_ts == ts_at(501)
        back = await store.take_up(moved.number, HERE)
        assert back is not None
        assert (back.seen_ts, back.turns) == (ts_at(1), 2)

    async def test_only_known_threads_have_sessions(self, store: Store) -> None:
        await answered(store, said(1))
        session = await current(store, HERE)
        with pytest.raises(StoreError):
            await store.begin_anew(ELSEWHERE, "", "U0ALICE")
        with pytest.raises(StoreError):
            await store.take_up(session.number, ELSEWHERE)
        with pytest.raises(StoreError):
            await copied(store, session, ELSEWHERE)
        assert await current(store, HERE) == session

    async def test_many_at_once_leave_one_current(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        found = await asyncio.gather(
            *(store.session_for(turn) for _ in range(5)),
            *(store.begin_anew(HERE, "", "U0ALICE") for _ in range(5)),
        )
        # The turn is asked of the first one, its own or a fresh one that came before it.
        asked, fresh = ({session.number for session in part} for part in (found[:5], found[5:]))
        assert len(fresh) == 5
        assert len(asked) == 1
        assert [s.number for s in await store.currents(HERE)] == [found[-1].number]

    async def test_title_and_model_are_chosen(self, store: Store) -> None:
        await answered(store, said(1))
        session = await current(store, HERE)
        await store.retitle(session.number, "Snakes \ud83d")
        await store.choose_model(session.number, "gpt", "high")
        chosen = replace(session, title="Snakes ?", model="gpt", effort="high")
        assert await current(store, HERE) == chosen
        await store.choose_model(session.number, "", "")
        assert (await current(store, HERE)).model == ""

    async def test_all_of_it_is_there_by_its_ids(self, store: Store) -> None:
        assert await store.session_ids() == frozenset()
        await answered(store, said(1))
        await store.begin_anew(HERE, "", "U0ALICE")
        assert await store.session_ids() == {HERE.session_id(), HERE.session_id(1)}

    async def test_sizes_are_kept(self, store: Store) -> None:
        await answered(store, said(1))
        sizes = {f"unknown-{n}": n for n in range(2_000)}
        unmatched = await store.note_sizes({**sizes, HERE.session_id(): 4_711})
        assert unmatched == Unmatched(unrecorded=sizes, unsized=0)
        assert (await current(store, HERE)).size == 4_711

    async def test_sessions_that_take_no_space_any_more_are_counted(self, store: Store) -> None:
        """Those that were asked: the others never took any."""
        for second in (1, 2):
            await answered(store, said(second))
        await store.begin_anew(HERE, "", "U0ALICE")
        kept = {said(2).thread.session_id(): 1}
        assert await store.note_sizes(kept) == Unmatched(unrecorded={}, unsized=1)
        assert await store.note_sizes({}) == Unmatched(unrecorded={}, unsized=2)
        assert (await current(store, said(2).thread)).size == 1


class Copying:
    async def test_a_copy_remembers_what_its_source_does(self, store: Store) -> None:
        for second in (1, 2):
            await answered(store, said(second, root=1))
        source = await current(store, HERE)
        copy = await copied(store, source)
        assert copy == replace(
            source,
            number=copy.number,
            id="copy-1",
            current=False,
            owner="U0BOB",
            origin=Origin.FORK,
        )
        page = await store.remembered(copy.number, 0, 10)
        assert page == await store.remembered(source.number, 0, 10)
        assert page.total == 2
        assert await current(store, HERE) == source

    async def test_a_copy_goes_up_to_a_turn(self, store: Store) -> None:
        turns = [await answered(store, said(second, root=1)) for second in (1, 2, 3)]
        source = await current(store, HERE)
        copy = await copied(store, source, before_turn=turns[1].id)
        page = await store.remembered(copy.number, 0, 10)
        assert [each.turn for each in page.turns] == [turns[0].id]
        assert (copy.turns, copy.seen_ts) == (1, ts_at(1))

    async def test_in_another_thread_a_copy_is_told_what_comes_after_its_beginning(
        self, store: Store
    ) -> None:
        turn = await answered(store, said(1))
        source = await current(store, HERE)
        await store.make_thread(ELSEWHERE, frozenset({"U0BOB"}))
        copy = await copied(store, source, ELSEWHERE, title="Again", model="gpt")
        assert (copy.thread, copy.seen_ts, copy.turns) == (ELSEWHERE, ELSEWHERE.root_ts, 1)
        assert (copy.title, copy.model, copy.current) == ("Again", "gpt", False)
        taken_up = await store.take_up(copy.number, ELSEWHERE)
        assert taken_up == replace(copy, current=True)
        assert await current(store, ELSEWHERE) == taken_up
        assert await store.forget(copy.number, turn.id) == (turn.id,)
        assert (await current(store, ELSEWHERE)).seen_ts == ELSEWHERE.root_ts
        assert await current(store, HERE) == source

    async def test_a_copy_keeps_the_model_that_was_chosen(self, store: Store) -> None:
        await answered(store, said(1))
        source = await current(store, HERE)
        await store.choose_model(source.number, "gpt", "high")
        same = await copied(store, source)
        other = await copied(store, source, session_id="copy-2", model="claude")
        assert (same.model, same.effort) == ("gpt", "high")
        assert (other.model, other.effort) == ("claude", "")

    async def test_a_copy_has_the_role_of_its_source_and_is_set_aside(self, store: Store) -> None:
        await answered(store, said(1))
        await answered(store, replace(said(2, root=1), wish=Wish(role="review")))
        main, review = await store.currents(HERE)
        copy = await copied(store, review)
        assert (await store.currents(HERE)) == (main, review)
        taken_up = await store.take_up(copy.number, HERE)
        assert (await store.currents(HERE)) == (main, taken_up)

    async def test_what_the_runtime_does_not_have_yet_gets_an_id_of_the_threads(
        self, store: Store
    ) -> None:
        await scheduled(store, 1)
        source = await store.session_for(await claimed(store))
        copies = [await copied(store, source, session_id="") for _ in range(2)]
        assert [copy.id for copy in copies] == [HERE.session_id(1), HERE.session_id(2)]
        assert not any(copy.asked for copy in copies)

    async def test_an_id_that_is_on_record_is_refused(self, store: Store) -> None:
        await answered(store, said(1))
        source = await current(store, HERE)
        with pytest.raises(StoreError):
            await copied(store, source, session_id=source.id)
        assert await current(store, HERE) == source

    async def test_what_has_gone_cannot_be_copied(self, store: Store) -> None:
        await answered(store, said(1))
        source = await current(store, HERE)
        await store.drop([source.number])
        with pytest.raises(StoreError):
            await copied(store, source)


async def _first(store: Store) -> SessionRecord:
    session = await store.session_by_id(HERE.session_id())
    assert session is not None
    assert ts_position(session.seen_ts)
    return session
