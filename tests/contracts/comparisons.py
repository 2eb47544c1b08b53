"""Checks what a store promises about comparisons: one vote each, and no model name too early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.domain.comparisons import Candidate, Comparison, ModelScore
from bot.domain.messages import Message, MessageOptions
from bot.domain.sessions import SessionOrigin, SessionRecord
from bot.domain.turns import Turn, TurnResult, TurnState
from bot.domain.usage import TokenUsage, UsageGrouping, UsageRow
from bot.ports import Store
from tests.contracts.messages import BEGIN, make_message
from tests.contracts.store_fixtures import began, claimed, current
from tests.fakes import ManualClock

HERE = make_message(1).thread
GPT = Candidate(
    label="A",
    session=2,
    usage=TokenUsage(
        model="gpt",
        input_tokens=100,
        output_tokens=20,
        seconds=1.5,
        context_tokens=120,
        context_limit=8_000,
    ),
    answer="A language.",
)
CLAUDE = Candidate(
    label="B",
    session=3,
    usage=TokenUsage(model="claude", input_tokens=50, output_tokens=10, seconds=2.5),
    answer="A snake.",
)
BROKEN = Candidate(label="C", session=4, usage=TokenUsage(model="grok"), error="It went silent.")


async def copied(
    store: Store, turn: Turn, source: SessionRecord, candidate: Candidate
) -> SessionRecord:
    """A copy of the session, for one answer."""
    return await store.add_session(
        source,
        session_id=f"copy-{candidate.label}-{turn.id}",
        origin=SessionOrigin.COMPARISON,
        thread=turn.message.thread,
        owner="U0ALICE",
        model=candidate.usage.model,
    )


async def compared(store: Store, message: Message | None = None, *, open_: bool = False) -> Turn:
    wish = MessageOptions(compare_models=("gpt", "claude", "grok"), show_names=open_)
    turn, session = await began(store, replace(message or make_message(1), options=wish))
    for each in (GPT, CLAUDE, BROKEN):
        await copied(store, turn, session, each)
    await store.save_comparison(turn, session.number, [CLAUDE, BROKEN, GPT])
    return turn


async def comparing_turn(
    store: Store,
) -> tuple[Turn, Sequence[SessionRecord], Sequence[Candidate]]:
    """A running turn whose question went to two copies of its session."""
    await store.accept_message(
        replace(make_message(1), options=MessageOptions(compare_models=("gpt", "claude")))
    )
    turn = await claimed(store)
    source = await store.ensure_session(turn)
    assert await store.mark_prompted(turn)
    copies, candidates = [], []
    for each in (GPT, CLAUDE):
        copy = await copied(store, turn, source, each)
        await store.append_history(turn, copy.number, f"event-{each.label}")
        copies.append(copy)
        candidates.append(replace(each, session=copy.number))
    await store.save_comparison(turn, source.number, candidates)
    return turn, copies, candidates


async def ended(store: Store, turn: Turn) -> None:
    """End the turn with all answers together."""
    spent = TokenUsage(input_tokens=150, output_tokens=25, seconds=2.5)
    await store.record_result(turn, TurnResult(state=TurnState.DONE, answer="A and B", usage=spent))
    assert await store.finish_turn(turn, TurnState.DONE)


class ComparisonContract:
    @pytest.mark.parametrize("open_", [True, False])
    async def test_what_came_of_it_is_kept(self, store: Store, open_: bool) -> None:
        turn = await compared(store, open_=open_)
        session = await store.current_session(HERE)
        assert session is not None
        assert await store.comparison_of_turn(turn.id) == Comparison(
            turn=turn.id,
            session=session.number,
            thread=HERE,
            user="U0ALICE",
            show_names=open_,
            revealed=open_,
            kept_label="",
            candidates=(GPT, CLAUDE, BROKEN),
        )
        assert await store.comparison_of_turn(turn.id + 1) is None

    async def test_everybody_has_one_vote_and_may_change_it(self, store: Store) -> None:
        turn = await compared(store)
        assert await store.save_vote(turn.id, "U0ALICE", "A")
        assert await store.save_vote(turn.id, "U0BOB", "A")
        assert await store.save_vote(turn.id, "U0BOB", "B")
        assert await store.save_vote(turn.id, "U0BOB", "B")
        found = await store.comparison_of_turn(turn.id)
        assert found is not None
        assert [each.votes for each in found.candidates] == [1, 1, 0]

    async def test_there_is_no_voting_for_what_is_not_there(self, store: Store) -> None:
        turn = await compared(store)
        assert not await store.save_vote(turn.id, "U0ALICE", "D")
        assert not await store.save_vote(turn.id, "U0ALICE", "C")
        assert not await store.save_vote(turn.id + 1, "U0ALICE", "A")
        assert not await store.reveal_models(turn.id + 1)
        assert not await store.mark_kept(turn.id + 1, "A")

    async def test_once_the_names_are_shown_there_is_no_voting(self, store: Store) -> None:
        turn = await compared(store)
        assert await store.save_vote(turn.id, "U0ALICE", "A")
        assert await store.reveal_models(turn.id)
        assert not await store.reveal_models(turn.id)
        assert not await store.save_vote(turn.id, "U0ALICE", "B")
        found = await store.comparison_of_turn(turn.id)
        assert found is not None
        assert found.revealed
        assert [each.votes for each in found.candidates] == [1, 0, 0]

    async def test_where_they_were_shown_from_the_start_there_is(self, store: Store) -> None:
        turn = await compared(store, open_=True)
        assert not await store.reveal_models(turn.id)
        assert await store.save_vote(turn.id, "U0ALICE", "B")

    async def test_one_answer_is_kept(self, store: Store) -> None:
        turn = await compared(store)
        assert not await store.mark_kept(turn.id, "C")
        assert not await store.mark_kept(turn.id, "D")
        assert await store.mark_kept(turn.id, "A")
        assert not await store.mark_kept(turn.id, "B")
        found = await store.comparison_of_turn(turn.id)
        assert found is not None
        assert found.kept_label == "A"

    async def test_asked_again_after_a_restart_it_is_another_comparison(self, store: Store) -> None:
        old = await compared(store)
        await store.save_vote(old.id, "U0ALICE", "A")
        await store.reveal_models(old.id)
        (turn,) = await store.recover()
        await store.save_comparison(old, 1, [GPT])
        await store.save_comparison(turn, 1, [CLAUDE, GPT])
        found = await store.comparison_of_turn(turn.id)
        assert found is not None
        assert (found.candidates, found.revealed) == ((GPT, CLAUDE), False)
        await store.save_comparison(old, 1, [BROKEN])
        assert await store.comparison_of_turn(turn.id) == found

    async def test_each_session_that_was_asked_pays_for_its_own_answer(
        self, store: Store, clock: ManualClock
    ) -> None:
        turn, copies, candidates = await comparing_turn(store)
        source = await current(store, HERE)
        await clock.advance(5)
        await store.save_comparison(turn, source.number, candidates)
        for copy, model, tokens in zip(copies, ("gpt", "claude"), (100, 50), strict=True):
            found = await store.session_by_number(copy.number)
            assert found is not None
            assert (found.last_model, found.last_used_at) == (model, BEGIN + 5.0)
            assert (found.input_tokens, found.output_tokens) == (tokens, tokens // 5)
        await clock.advance(5)
        await ended(store, turn)
        assert await current(store, HERE) == replace(source, last_used_at=BEGIN + 10.0)
        first = await store.session_by_number(copies[0].number)
        assert first is not None
        assert (first.context_tokens, first.context_limit) == (120, 8_000)

    async def test_asked_again_only_the_later_answers_are_paid_for(self, store: Store) -> None:
        turn, copies, candidates = await comparing_turn(store)
        await store.save_comparison(turn, 1, candidates[:1])
        sums = []
        for copy in copies:
            found = await store.session_by_number(copy.number)
            assert found is not None
            sums.append((found.input_tokens, found.output_tokens))
        assert sums == [(100, 20), (0, 0)]

    async def test_an_answer_whose_session_has_gone_meanwhile_goes_too(self, store: Store) -> None:
        turn, copies, candidates = await comparing_turn(store)
        await store.delete_sessions([copies[0].number])
        await store.save_comparison(turn, 1, candidates)
        found = await store.comparison_of_turn(turn.id)
        assert found is not None
        assert found.candidates == (replace(candidates[0], session=0, answer=""), candidates[1])
        assert not await store.mark_kept(turn.id, "A")

    async def test_each_session_remembers_its_own_answer(self, store: Store) -> None:
        turn, copies, _ = await comparing_turn(store)
        await ended(store, turn)
        fork = await store.add_session(
            copies[1], session_id="fork", origin=SessionOrigin.FORK, thread=HERE, owner="U0BOB"
        )
        for session, candidate in ((copies[0], GPT), (copies[1], CLAUDE), (fork, CLAUDE)):
            recalled = await store.history_entry(session.number, turn.id)
            assert recalled is not None
            assert (recalled.answer, recalled.state) == (candidate.answer, TurnState.DONE)
            spent = candidate.usage
            assert (recalled.model, recalled.seconds) == (spent.model, spent.seconds)
            assert (recalled.input_tokens, recalled.output_tokens) == (
                spent.input_tokens,
                spent.output_tokens,
            )
            page = await store.list_history(session.number, 0, 10)
            assert page.entries == (recalled,)

    async def test_what_was_used_of_each_model_is_shown(self, store: Store) -> None:
        turn, _, _ = await comparing_turn(store)
        await ended(store, turn)
        assert await store.sum_usage(UsageGrouping.MODEL, 0.0) == (
            UsageRow(key="claude", turns=1, input_tokens=50, output_tokens=10),
            UsageRow(key="gpt", turns=1, input_tokens=100, output_tokens=20),
        )
        (row,) = await store.sum_usage(UsageGrouping.USER, 0.0)
        assert row == UsageRow(key="U0ALICE", turns=1, input_tokens=150, output_tokens=25)
        assert await store.count_turns_since("U0ALICE", 0.0) == 1

    async def test_models_are_scored_by_the_comparisons_of_channels(self, store: Store) -> None:
        here = await compared(store)
        there = await compared(store, make_message(2, user="U0BOB", channel="C0DEV"), open_=True)
        await store.save_vote(here.id, "U0ALICE", "A")
        await store.save_vote(here.id, "U0BOB", "A")
        await store.save_vote(there.id, "U0BOB", "B")
        await store.mark_kept(there.id, "B")
        await store.reveal_models(here.id)
        assert await store.model_scores(["C0GENERAL"]) == (
            ModelScore(model="gpt", comparison_count=1, votes=2, kept_count=0),
            ModelScore(model="claude", comparison_count=1, votes=0, kept_count=0),
        )
        assert await store.model_scores(["C0GENERAL", "C0DEV", "C0DEV"]) == (
            ModelScore(model="gpt", comparison_count=2, votes=2, kept_count=0),
            ModelScore(model="claude", comparison_count=2, votes=1, kept_count=1),
        )
        assert len(await store.model_scores(["C0GENERAL", "C0DEV"], max_rows=1)) == 1
        assert await store.model_scores([]) == ()

    async def test_a_score_does_not_tell_who_is_who(self, store: Store) -> None:
        """Otherwise the scores after a vote would give the name away."""
        turn = await compared(store)
        await store.save_vote(turn.id, "U0ALICE", "A")
        assert await store.model_scores(["C0GENERAL"]) == ()
        await store.reveal_models(turn.id)
        assert len(await store.model_scores(["C0GENERAL"])) == 2
