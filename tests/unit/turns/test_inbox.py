"""The inbox processes each message once, in order, within its bounds, to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.messages import MessageOptions, Trigger
from bot.domain.turns import AcceptStatus, ClaimResult, TurnState
from bot.errors import AGENT_ERROR_MESSAGES, AgentErrorKind, BotError, StoreError
from bot.turns import inbox as inbox_texts
from bot.turns import runner
from bot.turns.inbox import POLL_SECONDS
from bot.turns.queue_notices import INDICATOR_DELAY_SECONDS
from bot.turns.runner import DELIVERY_RETRY_SECONDS
from tests.contracts.messages import make_message, ts_at
from tests.unit.turns.inbox_fixtures import (
    ACCEPT,
    CLAIM,
    END,
    InboxFixture,
    inbox_fixture,
    wait_until,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[InboxFixture]:
    async with inbox_fixture(tmp_path) as world:
        yield world


class TestDispatch:
    async def test_a_message_whose_turn_starts_at_once_is_never_marked(
        self, tmp_path: Path
    ) -> None:
        """The commit that records the message claims its turn, before `enqueue` returns."""
        async with inbox_fixture(tmp_path) as world, world.inbox.dispatch_turns():
            for second in range(1, 6):
                await world.inbox.enqueue(make_message(second, text="hold"))
                await world.wait_until(lambda: len(world.handler.processed) == 1)
                world.handler.released.set()
                await world.ended(make_message(second))
                world.handler.processed.clear()
                world.handler.released.clear()
            await world.clock.advance(10 * INDICATOR_DELAY_SECONDS)
            await asyncio.sleep(0)
            assert world.slack.shown == []

    async def test_a_message_is_answered(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            accepted = await world.inbox.enqueue(make_message(1))
            assert await world.ended(make_message(1)) is TurnState.DONE
        assert accepted.status is AcceptStatus.SCHEDULED
        assert world.slack.shown == []

    async def test_a_message_delivered_twice_is_answered_once(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await asyncio.gather(
                world.inbox.enqueue(make_message(1, event_id="Ev1")),
                world.inbox.enqueue(make_message(1, event_id="Ev2")),
            )
            await world.ended(make_message(1))
        assert len(world.handler.processed) == 1

    async def test_overheard_messages_cause_no_claims(
        self, world: InboxFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A claim is a write, and the next message would have to wait for it."""
        claims, claim = 0, world.store.claim

        async def counted() -> ClaimResult:
            nonlocal claims
            claims += 1
            return await claim()

        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1))
            await world.ended(make_message(1))
            await wait_until(lambda: world.inbox.running_count == 0)
            monkeypatch.setattr(world.store, "claim", counted)
            for second in range(2, 12):
                accepted = await world.inbox.enqueue(
                    make_message(second, root=1, trigger=Trigger.OVERHEARD)
                )
                assert accepted.status is AcceptStatus.OVERHEARD
            assert claims == 0
            await world.inbox.enqueue(make_message(12))
            assert await world.ended(make_message(12)) is TurnState.DONE
            await wait_until(lambda: world.inbox.running_count == 0)
            # One claim for each turn, and none when it ends: nothing else waits.
            for second in range(13, 16):
                await world.inbox.enqueue(make_message(second))
                assert await world.ended(make_message(second)) is TurnState.DONE
            assert claims == 4

    async def test_a_message_accepted_before_dispatch_is_answered(
        self, world: InboxFixture
    ) -> None:
        await world.inbox.enqueue(make_message(1))
        async with world.inbox.dispatch_turns():
            assert await world.ended(make_message(1)) is TurnState.DONE

    async def test_turns_of_a_thread_run_in_the_order_of_their_messages(
        self, world: InboxFixture
    ) -> None:
        for second in (4, 2, 3, 1):
            await world.inbox.enqueue(make_message(second, root=1))
        async with world.inbox.dispatch_turns():
            await world.ended(make_message(4))
        assert [t.message.ts for t in world.handler.processed] == [ts_at(s) for s in (1, 2, 3, 4)]
        assert world.handler.most_running == 1

    async def test_at_most_max_turns_run_at_once(self, tmp_path: Path) -> None:
        async with inbox_fixture(tmp_path, max_turns=3) as world, world.inbox.dispatch_turns():
            messages = [make_message(n, user=f"U{n}", text="hold") for n in range(8)]
            for message in messages:
                await world.inbox.enqueue(message)
            await wait_until(lambda: world.handler.running == 3)
            assert world.inbox.running_count == 3
            world.handler.released.set()
            for message in messages:
                assert await world.ended(message) is TurnState.DONE
            assert world.handler.most_running == 3

    async def test_a_requeued_turn_runs_after_the_earlier_message(
        self, world: InboxFixture
    ) -> None:
        later, earlier = make_message(5, root=1, text="hold, give way"), make_message(3, root=1)
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(later)
            await wait_until(lambda: world.handler.running == 1)
            await world.inbox.enqueue(earlier)
            world.handler.released.set()
            assert await world.ended(later) is TurnState.DONE
            assert await world.ended(earlier) is TurnState.DONE
        order = [t.message.ts for t in world.handler.processed]
        assert order == [later.ts, earlier.ts, later.ts]


class TestQueue:
    async def test_a_turn_behind_another_of_its_thread_is_marked(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await world.inbox.enqueue(make_message(2, root=1))
            await world.wait_until(lambda: world.slack.shown == [("mark", ts_at(2))])
            world.handler.released.set()
            await world.ended(make_message(2))
        assert world.slack.shown == [("mark", ts_at(2)), ("unmark", ts_at(2))]

    async def test_a_turn_without_a_free_slot_is_marked(self, tmp_path: Path) -> None:
        async with inbox_fixture(tmp_path, max_turns=1) as world, world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await world.inbox.enqueue(make_message(2, user="U0BOB"))
            await world.wait_until(lambda: world.slack.shown == [("mark", ts_at(2))])
            world.handler.released.set()
            await world.ended(make_message(2))

    async def test_a_turn_above_the_users_limit_is_marked(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            for second in (1, 2, 3):
                await world.inbox.enqueue(make_message(second, text="hold"))
            await world.wait_until(lambda: world.slack.shown == [("mark", ts_at(3))])
            assert world.handler.running == 2
            world.handler.released.set()
            assert await world.ended(make_message(3)) is TurnState.DONE

    async def test_a_slow_reaction_does_not_outlive_the_wait(self, world: InboxFixture) -> None:
        world.slack.marks_may_go.clear()
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await world.inbox.enqueue(make_message(2, root=1))
            await world.wait_until(lambda: world.slack.marking == 1)
            world.handler.released.set()
            await world.ended(make_message(2))
            world.slack.marks_may_go.set()
        assert world.slack.shown == [("mark", ts_at(2)), ("unmark", ts_at(2))]

    async def test_a_reaction_from_before_a_restart_is_removed(self, tmp_path: Path) -> None:
        async with inbox_fixture(tmp_path, drain_seconds=0) as world, world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await world.inbox.enqueue(make_message(2, root=1))
            await world.wait_until(lambda: world.slack.shown == [("mark", ts_at(2))])
        async with inbox_fixture(tmp_path) as world:
            world.handler.released.set()
            async with world.inbox.dispatch_turns():
                await world.ended(make_message(2))
            assert world.slack.shown == [("unmark", ts_at(2))]

    async def test_authors_above_the_queue_limit_are_notified(self, tmp_path: Path) -> None:
        async with inbox_fixture(tmp_path, thread_queue=1) as world, world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await wait_until(lambda: world.handler.running == 1)
            await world.inbox.enqueue(make_message(2, root=1))
            accepted = await world.inbox.enqueue(make_message(3, root=1))
            assert accepted.status is AcceptStatus.QUEUE_FULL
            await wait_until(lambda: (inbox_texts.FULL, ts_at(3)) in world.slack.shown)
            world.handler.released.set()
            await world.ended(make_message(2))
            assert await world.state(make_message(3)) is TurnState.REFUSED

    async def test_authors_not_notified_before_a_restart_are_notified_once_after_it(
        self, tmp_path: Path
    ) -> None:
        async with inbox_fixture(tmp_path, thread_queue=0) as world:
            accepted = await world.store.accept_message(make_message(1))
            assert accepted.status is AcceptStatus.QUEUE_FULL
            assert accepted.turn is not None
        for expected in ([(inbox_texts.FULL, ts_at(1))], []):
            async with inbox_fixture(tmp_path, thread_queue=0) as world:
                async with world.inbox.dispatch_turns():
                    await wait_until(lambda: world.clock.sleeping >= 1)
                assert world.slack.shown == expected
                assert await world.store.unnotified(0) == ()

    async def test_notices_above_the_limit_are_sent_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bot.turns.queue_notices.MAX_PENDING", 1)
        async with inbox_fixture(tmp_path, thread_queue=0) as world, world.inbox.dispatch_turns():
            for second in (1, 2, 3):
                await world.inbox.enqueue(make_message(second))
            for count in (1, 2, 3):
                await wait_until(lambda: len(world.slack.shown) >= count)  # noqa: B023 # at once
                # Until the notice is recorded there is no room for the next.
                await wait_until_unnotified(world, 3 - count)
                await wait_until(lambda: world.clock.sleeping >= 1)
                await world.clock.advance(POLL_SECONDS)
            assert sorted(ts for _, ts in world.slack.shown) == [ts_at(n) for n in (1, 2, 3)]

    async def test_failed_notices_are_sent_when_slack_is_back(self, tmp_path: Path) -> None:
        async with inbox_fixture(tmp_path, thread_queue=0) as world, world.inbox.dispatch_turns():
            world.slack.failing_notices = 1
            await world.inbox.enqueue(make_message(1))
            await wait_until(lambda: world.slack.failing_notices == 0)
            await wait_until(lambda: world.clock.sleeping >= 1)
            await world.clock.advance(POLL_SECONDS)
            await wait_until(lambda: bool(world.slack.shown))
            await wait_until_unnotified(world, 0)
            assert world.slack.shown == [(inbox_texts.FULL, ts_at(1))]


async def wait_until_unnotified(world: InboxFixture, count: int) -> None:
    """Wait until at most `count` refused turns have no recorded notice."""
    async with asyncio.timeout(20):
        while len(await world.store.unnotified(0)) > count:  # noqa: ASYNC110 # it has no event
            await asyncio.sleep(0.002)


class TestEdits:
    async def test_an_edit_in_time_is_applied(self, world: InboxFixture) -> None:
        await world.inbox.enqueue(make_message(1))
        await world.inbox.handle_edit("T0SANDBOX", "C0GENERAL", ts_at(1), "What is Rust?")
        async with world.inbox.dispatch_turns():
            await world.ended(make_message(1))
        assert [t.message.text for t in world.handler.processed] == ["What is Rust?"]
        assert world.slack.shown == [(inbox_texts.EDIT_APPLIED, ts_at(1))]

    async def test_an_edit_of_a_question_to_a_role_is_a_question_to_it(
        self, world: InboxFixture
    ) -> None:
        message = replace(make_message(1, text="check it"), options=MessageOptions(role="review"))
        await world.inbox.enqueue(message)
        await world.inbox.handle_edit("T0SANDBOX", "C0GENERAL", ts_at(1), "review: check it twice")
        async with world.inbox.dispatch_turns():
            await world.ended(message)
        assert [t.message.text for t in world.handler.processed] == ["check it twice"]

    @pytest.mark.parametrize(
        "options", [MessageOptions(compare_models=("a", "b")), MessageOptions(retry_of=7)]
    )
    async def test_an_edit_does_not_change_a_command(
        self, world: InboxFixture, options: MessageOptions
    ) -> None:
        message = replace(make_message(1), options=options)
        await world.inbox.enqueue(message)
        await world.inbox.handle_edit("T0SANDBOX", "C0GENERAL", ts_at(1), "!compare a b why?")
        async with world.inbox.dispatch_turns():
            await world.ended(message)
        assert [t.message.text for t in world.handler.processed] == [message.text]
        assert (inbox_texts.EDIT_OF_COMMAND, ts_at(1)) in world.slack.shown

    async def test_an_edit_of_what_is_being_answered_is_too_late(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await wait_until(lambda: world.handler.running == 1)
            await world.inbox.handle_edit("T0SANDBOX", "C0GENERAL", ts_at(1), "What is Rust?")
            world.handler.released.set()
            await world.ended(make_message(1))
        assert world.slack.shown == [(inbox_texts.EDIT_TOO_LATE, ts_at(1))]

    async def test_a_message_deleted_in_time_is_not_answered(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await world.inbox.enqueue(make_message(2, root=1))
            await world.wait_until(lambda: ("mark", ts_at(2)) in world.slack.shown)
            await world.inbox.handle_deletion("T0SANDBOX", "C0GENERAL", ts_at(2))
            world.handler.released.set()
            await world.ended(make_message(1))
        assert await world.state(make_message(2)) is TurnState.WITHDRAWN
        assert [t.message.ts for t in world.handler.processed] == [ts_at(1)]
        assert world.slack.shown == [
            ("mark", ts_at(2)),
            ("unmark", ts_at(2)),
            (inbox_texts.DELETED_IN_TIME, ts_at(2)),
        ]

    async def test_a_message_deleted_too_late_is_answered(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await wait_until(lambda: world.handler.running == 1)
            await world.inbox.handle_deletion("T0SANDBOX", "C0GENERAL", ts_at(1))
            world.handler.released.set()
            assert await world.ended(make_message(1)) is TurnState.DONE
        assert world.slack.shown == [(inbox_texts.DELETED_TOO_LATE, ts_at(1))]

    async def test_an_event_without_an_effect_causes_no_notice(self, world: InboxFixture) -> None:
        """An unfurled link, messages that were never for the bot, and turns that have ended."""
        team, channel = "T0SANDBOX", "C0GENERAL"
        await world.inbox.handle_edit(team, channel, ts_at(9), "What is Rust?")
        await world.inbox.handle_deletion(team, channel, ts_at(9))
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1))
            await world.inbox.handle_edit(team, channel, ts_at(1), make_message(1).text)
            await world.ended(make_message(1))
            await world.inbox.handle_deletion(team, channel, ts_at(1))
        assert world.slack.shown == []


class TestFailures:
    async def test_a_failing_handler_ends_its_turn_and_not_its_thread(
        self, world: InboxFixture
    ) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="fail"))
            assert await world.ended(make_message(1)) is TurnState.FAILED
            await world.inbox.enqueue(make_message(2, root=1))
            assert await world.ended(make_message(2)) is TurnState.DONE
        assert (BotError.user_message, ts_at(1)) in world.slack.shown

    async def test_an_error_is_reported_with_its_user_message(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="no model"))
            assert await world.ended(make_message(1)) is TurnState.FAILED
        assert world.slack.shown == [(AGENT_ERROR_MESSAGES[AgentErrorKind.RATE_LIMIT], ts_at(1))]

    async def test_a_turn_left_open_ends(self, world: InboxFixture) -> None:
        """Without a notice: its handler raised no error, so it has shown its result."""
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="leave open"))
            assert await world.ended(make_message(1)) is TurnState.FAILED
        assert world.slack.shown == []

    async def test_delivery_is_retried_until_slack_is_back(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="record, no Slack, no Slack either"))
            for tries in range(1, 12):
                await wait_until(lambda: len(world.handler.recovered) >= tries)  # noqa: B023 # at once
                await wait_until(lambda: world.clock.sleeping >= 2)
                await world.clock.advance(30)
            assert await world.state(make_message(1)) is TurnState.RUNNING
            world.handler.slack_is_back = True
            await world.clock.advance(60)
            assert await world.ended(make_message(1)) is TurnState.DONE
        assert len(world.handler.recovered) > 10
        assert world.slack.shown == []

    async def test_a_pending_delivery_takes_no_slot_but_holds_its_thread(
        self, tmp_path: Path
    ) -> None:
        """It takes neither a slot nor one of its author's; later turns of its thread wait."""
        async with inbox_fixture(tmp_path, max_turns=1) as world, world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="record, no Slack, no Slack either"))
            await wait_until(lambda: len(world.handler.recovered) >= 1)
            await world.inbox.enqueue(make_message(2, root=1))
            for second in (3, 4, 5):
                await world.inbox.enqueue(make_message(second))
                assert await world.ended(make_message(second)) is TurnState.DONE
            await wait_until(lambda: world.inbox.running_count == 0)
            assert await world.state(make_message(1)) is TurnState.RUNNING
            assert await world.state(make_message(2)) is TurnState.WAITING
            world.handler.slack_is_back = True
            await world.clock.advance(60)
            assert await world.ended(make_message(2)) is TurnState.DONE
            order = [turn.message.ts for turn in world.handler.processed]
        assert order == [ts_at(second) for second in (1, 3, 4, 5, 2)]

    async def test_pending_deliveries_are_bounded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Above the maximum no new turn starts: Slack is down for all users."""
        monkeypatch.setattr(runner, "MAX_PENDING_DELIVERIES", 1)
        text = "record, no Slack, no Slack either"
        async with inbox_fixture(tmp_path, max_turns=1) as world, world.inbox.dispatch_turns():
            for number in (1, 2, 3):
                await world.inbox.enqueue(make_message(number, user=f"U{number}", text=text))
            await wait_until(lambda: len({turn.id for turn in world.handler.recovered}) == 2)
            assert world.inbox.running_count == 1
            world.handler.slack_is_back = True
            await world.clock.advance(60)
            assert await world.ended(make_message(3)) is TurnState.DONE

    async def test_an_undeliverable_answer_fails_after_the_timeout(
        self, world: InboxFixture
    ) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="record, no Slack, no Slack either"))
            await wait_until(lambda: len(world.handler.recovered) >= 1)
            await world.clock.advance(DELIVERY_RETRY_SECONDS + 60)
            assert await world.ended(make_message(1)) is TurnState.FAILED
        assert world.slack.shown == [(BotError.user_message, ts_at(1))]

    async def test_a_message_recorded_for_a_cancelled_caller_is_dispatched(
        self, world: InboxFixture
    ) -> None:
        """The commit succeeds although its caller was cancelled; Slack delivers again."""
        async with world.inbox.dispatch_turns():
            await world.store.accept_message(make_message(1))
            repeated = await world.inbox.enqueue(make_message(1))
            assert repeated.status is AcceptStatus.DUPLICATE
            assert await world.ended(make_message(1)) is TurnState.DONE

    async def test_a_waiting_turn_without_a_wakeup_is_found(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await wait_until(lambda: world.clock.sleeping >= 1)
            await world.store.accept_message(make_message(1))
            await world.clock.advance(POLL_SECONDS)
            assert await world.ended(make_message(1)) is TurnState.DONE

    async def test_a_recorded_answer_is_shown_after_a_failure(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="record, fail"))
            assert await world.ended(make_message(1)) is TurnState.DONE
        assert [t.result and t.result.answer for t in world.handler.recovered] == [
            "Python is a language."
        ]
        assert world.slack.shown == []

    async def test_a_recorded_answer_that_cannot_be_shown_is_reported(
        self, world: InboxFixture
    ) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="record, fail, cannot recover"))
            assert await world.ended(make_message(1)) is TurnState.FAILED
        assert world.slack.shown == [(BotError.user_message, ts_at(1))]

    async def test_a_message_that_cannot_be_recorded_is_not_accepted(
        self, world: InboxFixture
    ) -> None:
        world.break_database(ACCEPT)
        with pytest.raises(StoreError):
            await world.inbox.enqueue(make_message(1))
        world.repair_database()
        assert (await world.inbox.enqueue(make_message(1))).status is AcceptStatus.SCHEDULED

    async def test_claims_are_retried_with_a_growing_interval(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            world.break_database(CLAIM)
            await world.inbox.enqueue(make_message(1))
            for pause in (0.1, 0.2, 0.4, 0.8):
                await wait_until(lambda: world.clock.sleeping == 1)
                await world.clock.advance(pause * 0.9)
                assert world.clock.sleeping == 1
                await world.clock.advance(pause * 0.1)
            await wait_until(lambda: world.clock.sleeping == 1)
            world.repair_database()
            await world.clock.advance(1.6)
            assert await world.ended(make_message(1)) is TurnState.DONE

    async def test_an_end_that_cannot_be_recorded_is_retried(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await wait_until(lambda: world.handler.running == 1)
            world.break_database(END)
            world.handler.released.set()
            await wait_until(lambda: world.clock.sleeping >= 2)
            world.repair_database()
            await world.clock.advance(60)
            assert await world.ended(make_message(1)) is TurnState.FAILED
        assert world.slack.shown == [(StoreError.user_message, ts_at(1))]


async def leave_with(folder: Path, text: str) -> None:
    """Leave while a message is being answered, with no drain time."""
    async with inbox_fixture(folder, drain_seconds=0) as world, world.inbox.dispatch_turns():
        await world.inbox.enqueue(make_message(1, text=text))
        await wait_until(lambda: world.handler.running == 1)
        if "record" in text:
            await wait_until(world.handler.recorded.is_set)


class TestLeaving:
    async def test_a_running_turn_gets_time_to_end(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            await world.inbox.enqueue(make_message(1, text="hold"))
            await wait_until(lambda: world.handler.running == 1)
            asyncio.get_running_loop().call_later(0.05, world.handler.released.set)
        assert await world.state(make_message(1)) is TurnState.DONE

    async def test_a_cancelled_turn_is_answered_by_the_next_start(self, tmp_path: Path) -> None:
        await leave_with(tmp_path, "hold")
        async with inbox_fixture(tmp_path) as world:
            assert await world.state(make_message(1)) is TurnState.WAITING
            world.handler.released.set()
            async with world.inbox.dispatch_turns():
                assert await world.ended(make_message(1)) is TurnState.DONE
            assert [t.epoch for t in world.handler.processed] == [2]

    async def test_a_cancelled_turn_with_a_recorded_answer_is_shown_by_the_next_start(
        self, tmp_path: Path
    ) -> None:
        await leave_with(tmp_path, "record, hang")
        async with inbox_fixture(tmp_path) as world:
            async with world.inbox.dispatch_turns():
                assert await world.ended(make_message(1)) is TurnState.DONE
            assert [t.result and t.result.answer for t in world.handler.recovered] == [
                "Python is a language."
            ]
            assert world.handler.processed == []

    async def test_an_interrupted_recovery_is_repeated_by_the_next_start(
        self, tmp_path: Path
    ) -> None:
        await leave_with(tmp_path, "record, hang, never recover")
        async with inbox_fixture(tmp_path, drain_seconds=0) as world:
            async with world.inbox.dispatch_turns():
                await wait_until(lambda: len(world.handler.recovered) == 1)
            assert await world.state(make_message(1)) is TurnState.RUNNING

    async def test_a_turn_whose_reply_does_not_close_is_answered_by_the_next_start(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Slack hangs while the bot stops: the bot does not wait for it."""
        monkeypatch.setattr(runner, "CANCEL_SECONDS", 0.1)
        await leave_with(tmp_path, "cling")
        async with inbox_fixture(tmp_path) as world:
            assert await world.state(make_message(1)) is TurnState.WAITING
            world.handler.released.set()
            async with world.inbox.dispatch_turns():
                assert await world.ended(make_message(1)) is TurnState.DONE

    async def test_no_new_turn_starts(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            pass
        await world.inbox.enqueue(make_message(1))
        assert await world.state(make_message(1)) is TurnState.WAITING
        assert world.handler.processed == []

    async def test_the_inbox_closes_while_the_database_fails(self, world: InboxFixture) -> None:
        async with world.inbox.dispatch_turns():
            world.break_database(CLAIM)
            await world.inbox.enqueue(make_message(1))
            await wait_until(lambda: world.clock.sleeping == 1)
        assert world.inbox.running_count == 0
        assert await world.state(make_message(1)) is TurnState.WAITING
