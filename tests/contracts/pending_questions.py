"""Checks what a store promises about pending questions and about notices of refused turns."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.domain.commands import PendingQuestion
from bot.domain.messages import Trigger
from bot.domain.turns import AcceptStatus
from bot.ports import Store
from tests.contracts.messages import make_message, ts_at
from tests.contracts.store_fixtures import THREAD_QUEUE, Opened, scheduled
from tests.fakes import ManualClock

QUESTION = PendingQuestion(
    event_id="command-V01",
    team="T0SANDBOX",
    channel="C0GENERAL",
    root_ts="",
    user="U0ALICE",
    user_team="T0SANDBOX",
    text="What is Python?",
    mrkdwn="<@U0ALICE> asks: What is Python?",
    created_at=5.0,
)


class PendingQuestionContract:
    async def test_a_question_is_kept_once(self, store: Store) -> None:
        found = await asyncio.gather(*(store.save_question(QUESTION) for _ in range(3)))
        assert found == [True, False, False]
        assert await store.pending_questions() == (QUESTION,)

    async def test_it_is_there_after_a_restart_the_oldest_first(self, opened: Opened) -> None:
        later = replace(QUESTION, event_id="command-V02", root_ts=ts_at(1), created_at=6.0)
        async with opened() as store:
            await store.save_question(later)
            await store.save_question(QUESTION)
        async with opened() as store:
            assert await store.pending_questions() == (QUESTION, later)

    async def test_what_was_dropped_may_be_asked_again(self, store: Store) -> None:
        await store.save_question(QUESTION)
        await store.delete_question(QUESTION.event_id)
        assert await store.pending_questions() == ()
        assert await store.save_question(QUESTION)

    async def test_what_has_become_a_message_is_not_asked_again(self, store: Store) -> None:
        """Also if the bot died before it could delete the question."""
        await store.save_question(QUESTION)
        message = make_message(1, event_id=QUESTION.event_id, trigger=Trigger.POSTED_QUESTION)
        assert (await store.accept_message(message)).status is AcceptStatus.SCHEDULED
        assert await store.pending_questions() == ()
        assert not await store.save_question(QUESTION)

    async def test_words_that_no_database_takes_are_made_fit(self, store: Store) -> None:
        await store.save_question(replace(QUESTION, text="a\0b\ud83d", mrkdwn="\ud83d"))
        [kept] = await store.pending_questions()
        assert (kept.text, kept.mrkdwn) == ("ab?", "?")


class UnnotifiedContract:
    async def test_who_was_not_taken_is_unnotified_until_it_is_noted(
        self, store: Store, clock: ManualClock
    ) -> None:
        for second in range(THREAD_QUEUE):
            await scheduled(store, second + 1, root=1)
        refused = await store.accept_message(make_message(99, root=1))
        assert refused.status is AcceptStatus.QUEUE_FULL
        assert refused.turn is not None
        [untold] = await store.unnotified(clock.now())
        assert untold == refused.turn
        await store.mark_notified(untold, "Sorry.")
        assert await store.unnotified(0) == ()

    async def test_what_was_refused_too_long_ago_is_let_go(
        self, store: Store, clock: ManualClock
    ) -> None:
        for second in range(THREAD_QUEUE + 1):
            await store.accept_message(make_message(second + 1, root=1))
        assert len(await store.unnotified(clock.now())) == 1
        assert await store.unnotified(clock.now() + 1) == ()
