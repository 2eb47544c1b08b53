"""Checks messages that were received before the one that made their thread known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.messages import Message, Trigger
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.turns import AcceptResult, AcceptStatus, TurnState
from bot.ports import Store
from tests.contracts.messages import make_message, ts_at
from tests.fakes import ManualClock


def read_again(message: Message) -> Message:
    """The same message as a backfill reads it from Slack."""
    return replace(message, event_id=f"missed-{message.ts}")


class OutOfOrderContract:
    async def test_what_was_received_before_its_thread_was_known_is_judged_once_more(
        self, store: Store, clock: ManualClock
    ) -> None:
        """Slack keeps no order: the message that makes a thread known may come after others."""
        second, third = (make_message(n, root=1, trigger=Trigger.FOLLOW_UP) for n in (2, 3))
        for message in (third, second):
            assert (await store.accept_message(message)).status is AcceptStatus.OVERHEARD
        await clock.advance(60)
        first = await store.accept_message(make_message(1))
        assert (first.status, first.out_of_order) == (AcceptStatus.SCHEDULED, True)
        found = [await store.accept_message(read_again(message)) for message in (second, third)]
        assert [one.status for one in found] == [AcceptStatus.SCHEDULED] * 2
        for message in (second, read_again(second), make_message(1)):
            assert await store.accept_message(message) == AcceptResult(
                status=AcceptStatus.DUPLICATE
            )
        turns = []
        while (turn := (await store.claim()).turn) is not None:
            turns.append(turn.message.ts)
            await store.finish_turn(turn, TurnState.DONE)
        assert turns == [ts_at(1), ts_at(2), ts_at(3)]

    async def test_it_is_reported_again_while_they_have_not_been_judged(
        self, store: Store, clock: ManualClock
    ) -> None:
        """A caller whose first attempt timed out gets the result from Slack's repeat."""
        early = make_message(2, root=1, trigger=Trigger.FOLLOW_UP)
        await store.accept_message(early)
        await clock.advance(60)
        await store.accept_message(make_message(1))
        for event_id in ("", "EvAgain"):
            again = await store.accept_message(make_message(1, event_id=event_id))
            assert again == AcceptResult(status=AcceptStatus.DUPLICATE, out_of_order=True)
        await clock.advance(1)
        assert (await store.accept_message(early)).status is AcceptStatus.SCHEDULED
        assert await store.accept_message(make_message(1)) == AcceptResult(
            status=AcceptStatus.DUPLICATE
        )

    @pytest.mark.parametrize("trigger", [Trigger.MENTION, Trigger.POSTED_QUESTION])
    async def test_in_the_usual_case_nothing_is_to_be_taken_in_again(
        self, store: Store, clock: ManualClock, trigger: Trigger
    ) -> None:
        """Nor if only a bot wrote, or a user before the first mention; nor what came later."""
        await store.accept_message(make_message(1, root=0, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        await store.accept_message(make_message(4, root=0, user="B0ROBOT", trigger=Trigger.BOT))
        await clock.advance(1)
        first = make_message(2, root=0, trigger=trigger)
        assert not (await store.accept_message(first)).out_of_order
        await clock.advance(1)
        assert not (
            await store.accept_message(make_message(3, root=0, trigger=Trigger.FOLLOW_UP))
        ).out_of_order
        assert not (await store.accept_message(first)).out_of_order

    async def test_what_was_written_before_the_first_mention_stays_overheard(
        self, store: Store, clock: ManualClock
    ) -> None:
        before = make_message(1, root=0, trigger=Trigger.FOLLOW_UP)
        await store.accept_message(before)
        await clock.advance(1)
        await store.accept_message(make_message(2, root=0))
        assert await store.accept_message(read_again(before)) == AcceptResult(
            status=AcceptStatus.DUPLICATE
        )

    async def test_what_was_written_before_the_bot_began_to_take_part_stays_overheard(
        self, store: Store, clock: ManualClock
    ) -> None:
        """By a command: no message made the thread known."""
        before = make_message(1, root=0, trigger=Trigger.FOLLOW_UP)
        await store.accept_message(before)
        await clock.advance(1)
        await store.add_thread(before.thread, frozenset({"U0ALICE"}))
        assert await store.accept_message(read_again(before)) == AcceptResult(
            status=AcceptStatus.DUPLICATE
        )

    async def test_judged_again_a_second_person_ends_it_for_both(
        self, store: Store, clock: ManualClock
    ) -> None:
        early = [
            make_message(2, root=1, trigger=Trigger.FOLLOW_UP),
            make_message(3, root=1, user="U0BOB", trigger=Trigger.OVERHEARD),
            make_message(4, root=1, trigger=Trigger.FOLLOW_UP),
        ]
        for message in early:
            await store.accept_message(message)
        await clock.advance(1)
        await store.accept_message(make_message(1))
        found = [(await store.accept_message(read_again(message))).status for message in early]
        assert found == [AcceptStatus.SCHEDULED, AcceptStatus.OVERHEARD, AcceptStatus.OVERHEARD]

    async def test_evaluated_again_in_a_quiet_thread_it_stays_overheard(
        self, store: Store, clock: ManualClock
    ) -> None:
        early = make_message(2, root=1, trigger=Trigger.FOLLOW_UP)
        quiet = Preference(
            scope=Scope.THREAD,
            scope_id=str(early.thread),
            kind=PreferenceKind.QUIET,
            value="on",
            set_by="U",
            set_at=0.0,
        )
        await store.accept_message(early)
        await store.set_preference(quiet)
        await clock.advance(1)
        await store.accept_message(make_message(1))
        await clock.advance(1)
        assert (await store.accept_message(read_again(early))).status is AcceptStatus.OVERHEARD
        await store.clear_preference(quiet.scope, quiet.scope_id, quiet.kind)
        assert await store.accept_message(early) == AcceptResult(status=AcceptStatus.DUPLICATE)

    async def test_what_was_withdrawn_or_is_a_bots_is_not_judged_again(
        self, store: Store, clock: ManualClock
    ) -> None:
        early = make_message(2, root=1, trigger=Trigger.FOLLOW_UP)
        robot = make_message(3, root=1, user="B0ROBOT", trigger=Trigger.BOT)
        await store.accept_message(early)
        await store.accept_message(robot)
        await clock.advance(1)
        await store.accept_message(make_message(1))
        turn = (await store.accept_message(read_again(early))).turn
        assert turn is not None
        assert await store.withdraw(turn)
        for message in (early, read_again(early), robot, read_again(robot)):
            assert await store.accept_message(message) == AcceptResult(
                status=AcceptStatus.DUPLICATE
            )
