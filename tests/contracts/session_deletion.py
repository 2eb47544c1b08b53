"""Checks that deleted sessions take along the texts that only they have in their history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.comparisons import Candidate
from bot.domain.messages import MessageOptions
from bot.domain.sessions import SessionOrigin
from bot.domain.turns import Turn, TurnResult, TurnState
from bot.domain.usage import TokenUsage, UsageGrouping
from bot.ports import Store
from tests.contracts.comparisons import comparing_turn
from tests.contracts.messages import make_message, ts_at
from tests.contracts.store_fixtures import answered, began, claimed, current, scheduled

HERE = make_message(1).thread


async def words(store: Store, turn: Turn) -> tuple[str, str, str]:
    """What is left of a turn's texts: its text, its answer, its note."""
    found = await store.turn_by_id(turn.id)
    assert found is not None
    ending = found.result or TurnResult(state=TurnState.DONE)
    return found.message.text, ending.answer, ending.note


class SessionDeletionContract:
    async def test_a_session_goes_with_its_words(self, store: Store) -> None:
        turn, session = await began(store, make_message(1))
        await store.record_result(
            turn, TurnResult(state=TurnState.STOPPED, answer="Snakes.", note="Stopped.")
        )
        await store.finish_turn(turn, TurnState.STOPPED)
        assert await words(store, turn) == ("What is Python?", "Snakes.", "Stopped.")
        assert await store.delete_sessions([session.number, session.number + 1]) == 1
        assert await words(store, turn) == ("", "", "")
        assert await store.session_by_number(session.number) is None
        assert await store.current_session(HERE) is None
        assert (await store.list_history(session.number, 0, 10)).total == 0
        assert await store.delete_sessions([session.number]) == 0
        assert await store.delete_sessions([]) == 0

    async def test_the_turn_and_what_it_cost_stay(self, store: Store) -> None:
        spent = TokenUsage(model="gpt", input_tokens=100, output_tokens=20)
        turn = await answered(store, make_message(1), usage=spent)
        await store.delete_sessions([(await current(store, HERE)).number])
        found = await store.turn_by_id(turn.id)
        assert found is not None
        assert found.state is TurnState.DONE
        assert found.result == TurnResult(state=TurnState.DONE, usage=spent)
        (row,) = await store.sum_usage(UsageGrouping.MODEL, 0.0)
        assert (row.key, row.turns, row.input_tokens) == ("gpt", 1, 100)

    async def test_what_another_session_remembers_stays(self, store: Store) -> None:
        shared = await answered(store, make_message(1))
        source = await current(store, HERE)
        copy = await store.add_session(
            source, session_id="copy", origin=SessionOrigin.FORK, thread=HERE, owner="U0BOB"
        )
        own = await answered(store, make_message(2, root=1))
        assert await store.delete_sessions([source.number]) == 1
        assert (await words(store, shared))[0] == "What is Python?"
        assert (await words(store, own))[0] == ""
        assert await store.delete_sessions([copy.number]) == 1
        assert (await words(store, shared))[0] == ""

    async def test_what_was_forgotten_goes_too(self, store: Store) -> None:
        turn = await answered(store, make_message(1))
        session = await current(store, HERE)
        await store.truncate_history(session.number, turn.id)
        await store.delete_sessions([session.number])
        assert await words(store, turn) == ("", "", "")

    async def test_the_other_session_of_a_thread_keeps_its_words(self, store: Store) -> None:
        old = await answered(store, make_message(1))
        number = (await current(store, HERE)).number
        await store.reset(HERE, "", "U0ALICE")
        new = await answered(store, make_message(2, root=1))
        await store.delete_sessions([number])
        assert (await words(store, old))[0] == ""
        assert (await words(store, new))[0] == "What is Python?"

    @pytest.mark.parametrize("others", [True, False])
    async def test_words_that_came_to_no_session_go_with_the_threads_last_one(
        self, store: Store, others: bool
    ) -> None:
        withdrawn = await scheduled(store, 2, root=1)
        await store.withdraw(withdrawn)
        await answered(store, make_message(3, root=1))
        number = (await current(store, HERE)).number
        if others:
            await answered(
                store, replace(make_message(4, root=1), options=MessageOptions(role="review"))
            )
        await store.delete_sessions([number])
        assert ((await words(store, withdrawn))[0] == "") is not others

    async def test_open_turns_keep_their_words_until_they_end(self, store: Store) -> None:
        running, session = await began(store, make_message(1))
        waiting = await scheduled(store, 2, root=1)
        await store.record_result(running, TurnResult(state=TurnState.DONE, answer="So it is."))
        await store.delete_sessions([session.number])
        assert await words(store, running) == ("What is Python?", "So it is.", "")
        assert await store.finish_turn(running, TurnState.DONE)
        assert await words(store, running) == ("", "", "")
        turn = await claimed(store)
        assert turn == replace(waiting, state=TurnState.RUNNING, epoch=1)
        fresh = await store.ensure_session(turn)
        assert (fresh.id, fresh.seen_ts) == (HERE.session_id(1), "")

    async def test_many_go_at_once(self, store: Store) -> None:
        turn = await answered(store, make_message(1))
        source = await current(store, HERE)
        copies = [
            await store.add_session(
                source, session_id=f"c{n}", origin=SessionOrigin.FORK, thread=HERE, owner="U0BOB"
            )
            for n in range(600)
        ]
        assert await store.delete_sessions([copy.number for copy in copies]) == 600
        assert (await words(store, turn))[0] == "What is Python?"
        assert await store.session_ids() == {source.id}

    async def test_an_answer_of_a_comparison_loses_its_session(self, store: Store) -> None:
        turn, session = await began(store, make_message(1))
        copy = await store.add_session(
            session,
            session_id="copy",
            origin=SessionOrigin.COMPARISON,
            thread=HERE,
            owner="U0ALICE",
        )
        candidate = Candidate(
            label="A", session=copy.number, usage=TokenUsage(model="gpt"), answer="Snakes."
        )
        await store.save_comparison(turn, session.number, [candidate])
        candidate = replace(candidate, answer="")
        await store.delete_sessions([copy.number])
        comparison = await store.comparison_of_turn(turn.id)
        assert comparison is not None
        assert comparison.candidates == (replace(candidate, session=0),)
        assert not await store.mark_kept(turn.id, "A")

    async def test_an_answer_of_a_comparison_stays_while_a_fork_remembers_it(
        self, store: Store
    ) -> None:
        turn, copies, candidates = await comparing_turn(store)
        fork = await store.add_session(
            copies[0], session_id="fork", origin=SessionOrigin.FORK, thread=HERE, owner="U0ALICE"
        )

        async def answers() -> list[str]:
            comparison = await store.comparison_of_turn(turn.id)
            assert comparison is not None
            return [each.answer for each in comparison.candidates]

        texts = [each.answer for each in candidates]
        await store.delete_sessions([copy.number for copy in copies])
        assert await answers() == [texts[0], ""]
        recalled = await store.history_entry(fork.number, turn.id)
        assert recalled is not None
        assert recalled.answer == texts[0]
        await store.delete_sessions([fork.number])
        assert await answers() == ["", ""]

    async def test_a_number_never_means_another_session(self, store: Store) -> None:
        await answered(store, make_message(1))
        old = await current(store, HERE)
        await store.delete_sessions([old.number])
        _, fresh = await began(store, make_message(2, root=1))
        assert fresh.number > old.number
        assert fresh.id != old.id
        assert (await current(store, HERE)).seen_ts == ts_at(2)
