"""The promises about messages that were heard before the one that made their thread known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.messages import Message, Trigger
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.turns import Acceptance, Accepted, TurnState
from bot.ports import Store
from tests.contracts.messages import said, ts_at
from tests.fakes import HandClock


def read_again(message: Message) -> Message:
    """The same message as it is read from Slack."""
    return replace(message, event_id=f"missed-{message.ts}")


class Overtaken:
    async def test_what_was_heard_before_its_thread_was_known_is_judged_once_more(
        self, store: Store, clock: HandClock
    ) -> None:
        """Slack keeps no order: the message that makes a thread known may come after others."""
        second, third = (said(n, root=1, trigger=Trigger.FOLLOW_UP) for n in (2, 3))
        for message in (third, second):
            assert (await store.accept(message)).acceptance is Acceptance.OVERHEARD
        await clock.advance(60)
        first = await store.accept(said(1))
        assert (first.acceptance, first.overtaken) == (Acceptance.SCHEDULED, True)
        found = [await store.accept(read_again(message)) for message in (second, third)]
        assert [one.acceptance for one in found] == [Acceptance.SCHEDULED] * 2
        for message in (second, read_again(second), said(1)):
            assert await store.accept(message) == Accepted(acceptance=Acceptance.REPEATED)
        asked = []
        while (turn := (await store.claim()).turn) is not None:
            asked.append(turn.message.ts)
            await store.finish(turn, TurnState.DONE)
        assert asked == [ts_at(1), ts_at(2), ts_at(3)]

    async def test_it_is_told_again_while_they_have_not_been_judged(
        self, store: Store, clock: HandClock
    ) -> None:
        """Whoever gave up waiting for the first answer has it from Slack's repeat."""
        early = said(2, root=1, trigger=Trigger.FOLLOW_UP)
        await store.accept(early)
        await clock.advance(60)
        await store.accept(said(1))
        for event_id in ("", "EvAgain"):
            again = await store.accept(said(1, event_id=event_id))
            assert again == Accepted(acceptance=Acceptance.REPEATED, overtaken=True)
        await clock.advance(1)
        assert (await store.accept(early)).acceptance is Acceptance.SCHEDULED
        assert await store.accept(said(1)) == Accepted(acceptance=Acceptance.REPEATED)

    @pytest.mark.parametrize("trigger", [Trigger.MENTION, Trigger.COMMAND])
    async def test_in_the_usual_case_nothing_is_to_be_taken_in_again(
        self, store: Store, clock: HandClock, trigger: Trigger
    ) -> None:
        """Nor where only a bot spoke, or somebody before the first mention; nor what came later."""
        await store.accept(said(1, root=0, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        await store.accept(said(4, root=0, user="B0ROBOT", trigger=Trigger.BOT))
        await clock.advance(1)
        first = said(2, root=0, trigger=trigger)
        assert not (await store.accept(first)).overtaken
        await clock.advance(1)
        assert not (await store.accept(said(3, root=0, trigger=Trigger.FOLLOW_UP))).overtaken
        assert not (await store.accept(first)).overtaken

    async def test_what_was_written_before_the_first_mention_stays_overheard(
        self, store: Store, clock: HandClock
    ) -> None:
        before = said(1, root=0, trigger=Trigger.FOLLOW_UP)
        await store.accept(before)
        await clock.advance(1)
        await store.accept(said(2, root=0))
        assert await store.accept(read_again(before)) == Accepted(acceptance=Acceptance.REPEATED)

    async def test_what_was_written_before_the_bot_began_to_take_part_stays_overheard(
        self, store: Store, clock: HandClock
    ) -> None:
        """By an order, that is: no message made the thread known."""
        before = said(1, root=0, trigger=Trigger.FOLLOW_UP)
        await store.accept(before)
        await clock.advance(1)
        await store.make_thread(before.thread, frozenset({"U0ALICE"}))
        assert await store.accept(read_again(before)) == Accepted(acceptance=Acceptance.REPEATED)

    async def test_judged_anew_a_second_person_ends_it_for_both(
        self, store: Store, clock: HandClock
    ) -> None:
        early = [
            said(2, root=1, trigger=Trigger.FOLLOW_UP),
            said(3, root=1, user="U0BOB", trigger=Trigger.ASIDE),
            said(4, root=1, trigger=Trigger.FOLLOW_UP),
        ]
        for message in early:
            await store.accept(message)
        await clock.advance(1)
        await store.accept(said(1))
        found = [(await store.accept(read_again(message))).acceptance for message in early]
        assert found == [Acceptance.SCHEDULED, Acceptance.OVERHEARD, Acceptance.OVERHEARD]

    async def test_judged_anew_in_a_quiet_thread_it_is_overheard_for_good(
        self, store: Store, clock: HandClock
    ) -> None:
        early = said(2, root=1, trigger=Trigger.FOLLOW_UP)
        quiet = Choice(
            scope=Scope.THREAD,
            holder=str(early.thread),
            topic=Topic.QUIET,
            value="on",
            by="U",
            at=0.0,
        )
        await store.accept(early)
        await store.choose(quiet)
        await clock.advance(1)
        await store.accept(said(1))
        await clock.advance(1)
        assert (await store.accept(read_again(early))).acceptance is Acceptance.OVERHEARD
        await store.unchoose(quiet.scope, quiet.holder, quiet.topic)
        assert await store.accept(early) == Accepted(acceptance=Acceptance.REPEATED)

    async def test_what_was_withdrawn_or_is_a_bots_is_not_judged_anew(
        self, store: Store, clock: HandClock
    ) -> None:
        early = said(2, root=1, trigger=Trigger.FOLLOW_UP)
        robot = said(3, root=1, user="B0ROBOT", trigger=Trigger.BOT)
        await store.accept(early)
        await store.accept(robot)
        await clock.advance(1)
        await store.accept(said(1))
        turn = (await store.accept(read_again(early))).turn
        assert turn is not None
        assert await store.withdraw(turn)
        for message in (early, read_again(early), robot, read_again(robot)):
            assert await store.accept(message) == Accepted(acceptance=Acceptance.REPEATED)
