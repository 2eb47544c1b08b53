"""Checks what a store promises about the sessions of a thread: current, new, attached, copied."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.domain.messages import MessageOptions, ThreadKey, ts_position
from bot.domain.sessions import OrphanReport, SessionOrigin, SessionRecord
from bot.domain.turns import TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.errors import StoreError
from bot.ports import Store
from tests.contracts.messages import BEGIN, make_message, ts_at
from tests.contracts.store_fixtures import answered, began, claimed, current, scheduled
from tests.fakes import ManualClock

HERE = make_message(1).thread
ELSEWHERE = make_message(500).thread


async def copied(
    store: Store, source: SessionRecord, thread: ThreadKey = HERE, **how: object
) -> SessionRecord:
    given: dict[str, object] = {
        "session_id": "copy-1",
        "origin": SessionOrigin.FORK,
        "thread": thread,
        "owner": "U0BOB",
        **how,
    }
    return await store.add_session(source, **given)  # type: ignore[arg-type]  # a test's choice


class SessionContract:
    async def test_the_first_turn_makes_the_threads_session(self, store: Store) -> None:
        await store.accept_message(make_message(1, text="  What is\n Python?  "))
        turn = await claimed(store)
        session = await store.ensure_session(turn)
        assert session == SessionRecord(
            number=session.number,
            id=HERE.session_id(),
            thread=HERE,
            role="",
            current=True,
            owner="U0ALICE",
            title="What is Python?",
            origin=SessionOrigin.THREAD,
            model="",
            last_model="",
            effort="",
            seen_ts="",
            turn_count=0,
            input_tokens=0,
            output_tokens=0,
            context_tokens=0,
            context_limit=0,
            size=0,
            created_at=float(BEGIN),
            last_used_at=float(BEGIN),
        )
        assert not session.has_turns
        assert await store.ensure_session(turn) == session
        assert await store.current_session(HERE) == session
        assert await store.session_by_number(session.number) == session
        assert await store.session_by_id(session.id) == session

    async def test_where_there_is_none_none_is_found(self, store: Store) -> None:
        assert await store.current_session(HERE) is None
        assert await store.current_sessions(HERE) == ()
        assert await store.session_by_number(1) is None
        assert await store.session_by_id("slack-T0-C0-1") is None
        assert await store.attach(1, HERE) is None

    async def test_a_long_question_makes_a_short_title(self, store: Store) -> None:
        await store.accept_message(make_message(1, text="why " * 2_000))
        session = await store.ensure_session(await claimed(store))
        assert len(session.title) <= 100
        assert session.title.endswith("why…")

    async def test_a_turn_asks_the_session_that_is_current_when_it_is_asked(
        self, store: Store
    ) -> None:
        """Not the one at the time of the claim; that one does not get the usage."""
        await answered(store, make_message(1))
        await store.accept_message(make_message(2, root=1))
        turn = await claimed(store)
        fresh = await store.reset(HERE, "", "U0ALICE")
        assert await store.ensure_session(turn) == fresh
        assert await store.mark_prompted(turn)
        spent = TokenUsage(input_tokens=7, output_tokens=1)
        await store.record_result(
            turn, TurnResult(state=TurnState.DONE, answer="Yes.", usage=spent)
        )
        assert await store.finish_turn(turn, TurnState.DONE)
        assert (await current(store, HERE)).input_tokens == 7

    @pytest.mark.parametrize("state", [TurnState.REFUSED, TurnState.WITHDRAWN])
    async def test_what_is_never_asked_does_not_count_as_a_use_of_the_session(
        self, store: Store, clock: ManualClock, state: TurnState
    ) -> None:
        await answered(store, make_message(1))
        before = await current(store, HERE)
        await store.accept_message(make_message(2, root=1))
        turn = await claimed(store)
        await clock.advance(60)
        assert await store.finish_turn(turn, state)
        assert await current(store, HERE) == before

    async def test_later_turns_ask_the_same_session_whoever_writes(self, store: Store) -> None:
        await answered(store, make_message(1))
        _, session = await began(store, make_message(2, root=1, user="U0BOB", text="And Rust?"))
        assert (session.owner, session.title) == ("U0ALICE", "What is Python?")

    async def test_each_role_has_a_session_of_its_own(self, store: Store) -> None:
        await answered(store, make_message(1))
        await answered(
            store, replace(make_message(2, root=1), options=MessageOptions(role="review"))
        )
        await answered(
            store, replace(make_message(3, root=1), options=MessageOptions(role="coding"))
        )
        await answered(
            store, replace(make_message(4, root=1), options=MessageOptions(role="review"))
        )
        found = await store.current_sessions(HERE)
        assert [(s.role, s.turn_count) for s in found] == [("", 1), ("coding", 1), ("review", 2)]
        assert [s.id for s in found] == [HERE.session_id(n) for n in (0, 2, 1)]
        assert await store.current_session(HERE, "review") == found[2]

    async def test_a_fresh_session_sets_the_old_one_aside(self, store: Store) -> None:
        await answered(store, make_message(1))
        old = await current(store, HERE)
        fresh = await store.reset(HERE, "", "U0BOB")
        assert fresh.current
        assert (fresh.id, fresh.owner, fresh.turn_count) == (HERE.session_id(1), "U0BOB", 0)
        assert await store.session_by_number(old.number) == replace(old, current=False)
        assert await current(store, HERE) == fresh
        assert (await began(store, make_message(2, root=1)))[1].number == fresh.number

    async def test_a_fresh_session_is_given_nothing_from_before(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Also where Slack's clock is ahead of this machine's."""
        await answered(store, make_message(1))
        await store.accept_message(make_message(30, root=1, user="U0BOB"))
        assert (await store.reset(HERE, "", "U0ALICE")).seen_ts == ts_at(30)
        await clock.advance(60)
        assert (await store.reset(HERE, "", "U0ALICE")).seen_ts == ts_at(60)

    async def test_a_fresh_session_gets_its_title_from_its_first_question(
        self, store: Store
    ) -> None:
        await answered(store, make_message(1))
        assert (await store.reset(HERE, "", "U0ALICE")).title == ""
        await answered(store, make_message(2, root=1, text="And Rust?"))
        await answered(store, make_message(3, root=1, text="And Go?"))
        assert (await current(store, HERE)).title == "And Rust?"

    async def test_a_fresh_session_may_be_given_what_was_said_before_it(self, store: Store) -> None:
        await answered(store, make_message(1))
        fresh = await store.reset(HERE, "review", "U0ALICE", mark_seen=False)
        assert fresh.seen_ts == ""

    async def test_an_id_is_never_given_twice(self, store: Store) -> None:
        await answered(store, make_message(1))
        ids = [(await current(store, HERE)).id]
        for _ in range(3):
            fresh = await store.reset(HERE, "", "U0ALICE")
            ids.append(fresh.id)
            await store.delete_sessions([fresh.number])
        copy = await copied(store, await _first(store), session_id=HERE.session_id(4))
        ids.append(copy.id)
        ids.append((await store.reset(HERE, "", "U0ALICE")).id)
        assert ids == [HERE.session_id(n) for n in range(6)]

    async def test_an_earlier_session_is_taken_up_again(
        self, store: Store, clock: ManualClock
    ) -> None:
        await answered(store, make_message(1))
        old = await current(store, HERE)
        fresh = await store.reset(HERE, "", "U0ALICE")
        await clock.advance(9)
        again = await store.attach(old.number, HERE)
        assert again == replace(old, last_used_at=old.last_used_at + 9)
        assert await current(store, HERE) == again
        assert await store.session_by_number(fresh.number) == replace(fresh, current=False)
        assert await store.attach(old.number, HERE) == again

    async def test_a_session_is_taken_up_in_another_thread(self, store: Store) -> None:
        """It knows none of the messages there, and its old position when it comes back."""
        await answered(store, make_message(1))
        await answered(store, make_message(500))
        moved = await current(store, HERE)
        there = await current(store, ELSEWHERE)
        taken = await store.attach(moved.number, ELSEWHERE)
        assert taken is not None
        assert (taken.thread, taken.current, taken.seen_ts) == (ELSEWHERE, True, "")
        assert await store.current_session(HERE) is None
        assert await store.session_by_number(there.number) == replace(there, current=False)
        await answered(store, make_message(501, root=500))
        assert (await current(store, ELSEWHERE)).seen_ts == ts_at(501)
        back = await store.attach(moved.number, HERE)
        assert back is not None
        assert (back.seen_ts, back.turn_count) == (ts_at(1), 2)

    async def test_only_known_threads_have_sessions(self, store: Store) -> None:
        await answered(store, make_message(1))
        session = await current(store, HERE)
        with pytest.raises(StoreError):
            await store.reset(ELSEWHERE, "", "U0ALICE")
        with pytest.raises(StoreError):
            await store.attach(session.number, ELSEWHERE)
        with pytest.raises(StoreError):
            await copied(store, session, ELSEWHERE)
        assert await current(store, HERE) == session

    async def test_many_at_once_leave_one_current(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        found = await asyncio.gather(
            *(store.ensure_session(turn) for _ in range(5)),
            *(store.reset(HERE, "", "U0ALICE") for _ in range(5)),
        )
        # The turn is asked of the first one, its own or a fresh one that came before it.
        with_turns, fresh = (
            {session.number for session in part} for part in (found[:5], found[5:])
        )
        assert len(fresh) == 5
        assert len(with_turns) == 1
        assert [s.number for s in await store.current_sessions(HERE)] == [found[-1].number]

    async def test_title_and_model_are_chosen(self, store: Store) -> None:
        await answered(store, make_message(1))
        session = await current(store, HERE)
        await store.rename_session(session.number, "Snakes \ud83d")
        await store.set_model(session.number, "gpt", "high")
        chosen = replace(session, title="Snakes ?", model="gpt", effort="high")
        assert await current(store, HERE) == chosen
        await store.set_model(session.number, "", "")
        assert (await current(store, HERE)).model == ""

    async def test_all_of_it_is_there_by_its_ids(self, store: Store) -> None:
        assert await store.session_ids() == frozenset()
        await answered(store, make_message(1))
        await store.reset(HERE, "", "U0ALICE")
        assert await store.session_ids() == {HERE.session_id(), HERE.session_id(1)}

    async def test_sizes_are_kept(self, store: Store) -> None:
        await answered(store, make_message(1))
        sizes = {f"unknown-{n}": n for n in range(2_000)}
        unmatched = await store.save_sizes({**sizes, HERE.session_id(): 4_711})
        assert unmatched == OrphanReport(orphan_sizes=sizes, missing_count=0)
        assert (await current(store, HERE)).size == 4_711

    async def test_sessions_that_take_no_space_any_more_are_counted(self, store: Store) -> None:
        """Sessions with turns only: the others never had a size."""
        for second in (1, 2):
            await answered(store, make_message(second))
        await store.reset(HERE, "", "U0ALICE")
        kept = {make_message(2).thread.session_id(): 1}
        assert await store.save_sizes(kept) == OrphanReport(orphan_sizes={}, missing_count=1)
        assert await store.save_sizes({}) == OrphanReport(orphan_sizes={}, missing_count=2)
        assert (await current(store, make_message(2).thread)).size == 1


class SessionCopyContract:
    async def test_a_copy_remembers_what_its_source_does(self, store: Store) -> None:
        for second in (1, 2):
            await answered(store, make_message(second, root=1))
        source = await current(store, HERE)
        copy = await copied(store, source)
        assert copy == replace(
            source,
            number=copy.number,
            id="copy-1",
            current=False,
            owner="U0BOB",
            origin=SessionOrigin.FORK,
        )
        page = await store.list_history(copy.number, 0, 10)
        assert page == await store.list_history(source.number, 0, 10)
        assert page.total == 2
        assert await current(store, HERE) == source

    async def test_a_copy_goes_up_to_a_turn(self, store: Store) -> None:
        turns = [await answered(store, make_message(second, root=1)) for second in (1, 2, 3)]
        source = await current(store, HERE)
        copy = await copied(store, source, before_turn=turns[1].id)
        page = await store.list_history(copy.number, 0, 10)
        assert [each.turn for each in page.entries] == [turns[0].id]
        assert (copy.turn_count, copy.seen_ts) == (1, ts_at(1))

    async def test_in_another_thread_a_copy_is_given_what_comes_after_its_beginning(
        self, store: Store
    ) -> None:
        turn = await answered(store, make_message(1))
        source = await current(store, HERE)
        await store.add_thread(ELSEWHERE, frozenset({"U0BOB"}))
        copy = await copied(store, source, ELSEWHERE, title="Again", model="gpt")
        assert (copy.thread, copy.seen_ts, copy.turn_count) == (ELSEWHERE, ELSEWHERE.root_ts, 1)
        assert (copy.title, copy.model, copy.current) == ("Again", "gpt", False)
        taken_up = await store.attach(copy.number, ELSEWHERE)
        assert taken_up == replace(copy, current=True)
        assert await current(store, ELSEWHERE) == taken_up
        assert await store.truncate_history(copy.number, turn.id) == (turn.id,)
        assert (await current(store, ELSEWHERE)).seen_ts == ELSEWHERE.root_ts
        assert await current(store, HERE) == source

    async def test_a_copy_keeps_the_model_that_was_chosen(self, store: Store) -> None:
        await answered(store, make_message(1))
        source = await current(store, HERE)
        await store.set_model(source.number, "gpt", "high")
        same = await copied(store, source)
        other = await copied(store, source, session_id="copy-2", model="claude")
        assert (same.model, same.effort) == ("gpt", "high")
        assert (other.model, other.effort) == ("claude", "")

    async def test_a_copy_has_the_role_of_its_source_and_is_set_aside(self, store: Store) -> None:
        await answered(store, make_message(1))
        await answered(
            store, replace(make_message(2, root=1), options=MessageOptions(role="review"))
        )
        main, review = await store.current_sessions(HERE)
        copy = await copied(store, review)
        assert (await store.current_sessions(HERE)) == (main, review)
        taken_up = await store.attach(copy.number, HERE)
        assert (await store.current_sessions(HERE)) == (main, taken_up)

    async def test_what_the_runtime_does_not_have_yet_gets_an_id_of_the_threads(
        self, store: Store
    ) -> None:
        await scheduled(store, 1)
        source = await store.ensure_session(await claimed(store))
        copies = [await copied(store, source, session_id="") for _ in range(2)]
        assert [copy.id for copy in copies] == [HERE.session_id(1), HERE.session_id(2)]
        assert not any(copy.has_turns for copy in copies)

    async def test_an_id_that_is_on_record_is_refused(self, store: Store) -> None:
        await answered(store, make_message(1))
        source = await current(store, HERE)
        with pytest.raises(StoreError):
            await copied(store, source, session_id=source.id)
        assert await current(store, HERE) == source

    async def test_what_has_gone_cannot_be_copied(self, store: Store) -> None:
        await answered(store, make_message(1))
        source = await current(store, HERE)
        await store.delete_sessions([source.number])
        with pytest.raises(StoreError):
            await copied(store, source)


async def _first(store: Store) -> SessionRecord:
    session = await store.session_by_id(HERE.session_id())
    assert session is not None
    assert ts_position(session.seen_ts)
    return session
