"""The promises about what people chose, and about threads in which the bot is to be quiet."""

from __future__ import annotations

import pytest

from bot.domain.messages import Trigger
from bot.domain.preferences import Choice, Scope, Topic
from bot.domain.turns import Acceptance, Accepted
from bot.ports import Store
from tests.contracts.messages import said
from tests.contracts.store_fixtures import scheduled

HERE = said(1).thread


def chosen(scope: Scope, holder: str, topic: Topic, value: str, by: str = "U0ALICE") -> Choice:
    return Choice(scope=scope, holder=holder, topic=topic, value=value, by=by, at=12.5)


QUIET = chosen(Scope.THREAD, str(HERE), Topic.QUIET, "yes")


class Choosing:
    async def test_a_choice_is_kept_in_place_of_an_earlier_one(self, store: Store) -> None:
        first = chosen(Scope.CHANNEL, "C0DEV", Topic.MODEL, "gpt")
        second = chosen(Scope.CHANNEL, "C0DEV", Topic.MODEL, "claude", by="U0BOB")
        await store.choose(first)
        assert await store.choices([(Scope.CHANNEL, "C0DEV")]) == (first,)
        await store.choose(second)
        assert await store.choices([(Scope.CHANNEL, "C0DEV")]) == (second,)

    async def test_a_choice_is_taken_back(self, store: Store) -> None:
        await store.choose(chosen(Scope.PERSON, "U0BOB", Topic.BLOCKED, "yes"))
        assert await store.unchoose(Scope.PERSON, "U0BOB", Topic.BLOCKED)
        assert not await store.unchoose(Scope.PERSON, "U0BOB", Topic.BLOCKED)
        assert await store.choices([(Scope.PERSON, "U0BOB")]) == ()

    async def test_choices_come_by_the_order_of_their_holders(self, store: Store) -> None:
        workspace = chosen(Scope.WORKSPACE, "T0", Topic.MODEL, "gpt")
        person = chosen(Scope.PERSON, "U0BOB", Topic.MODEL, "claude")
        effort = chosen(Scope.PERSON, "U0BOB", Topic.EFFORT, "high")
        other = chosen(Scope.PERSON, "U0EVE", Topic.MODEL, "claude")
        for choice in (person, workspace, other, effort):
            await store.choose(choice)
        asked = [(Scope.WORKSPACE, "T0"), (Scope.CHANNEL, "C0"), (Scope.PERSON, "U0BOB")]
        assert await store.choices(asked) == (workspace, effort, person)
        assert await store.choices([]) == ()
        assert await store.choices_of(Topic.MODEL) == (workspace, person, other)
        assert await store.choices_of(Topic.PAUSED) == ()

    @pytest.mark.parametrize("trigger", [Trigger.FOLLOW_UP, Trigger.DIRECT])
    async def test_in_a_quiet_thread_only_a_mention_is_answered(
        self, store: Store, trigger: Trigger
    ) -> None:
        await scheduled(store, 1)
        await store.choose(QUIET)
        said_on = said(2, root=1, trigger=trigger)
        assert await store.accept(said_on) == Accepted(acceptance=Acceptance.OVERHEARD)
        for second, called in enumerate((Trigger.MENTION, Trigger.COMMAND, Trigger.MENU), 3):
            message = said(second, root=1, trigger=called)
            assert (await store.accept(message)).acceptance is Acceptance.SCHEDULED
        await store.unchoose(QUIET.scope, QUIET.holder, QUIET.topic)
        said_later = said(9, root=1, trigger=trigger)
        assert (await store.accept(said_later)).acceptance is Acceptance.SCHEDULED

    async def test_who_writes_in_a_quiet_thread_takes_part(self, store: Store) -> None:
        await scheduled(store, 1)
        await store.choose(QUIET)
        await store.accept(said(2, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        thread = await store.thread(HERE)
        assert thread is not None
        assert thread.people == {"U0ALICE", "U0BOB"}

    async def test_a_quiet_thread_leaves_the_others_alone(self, store: Store) -> None:
        await store.choose(QUIET)
        unknown = said(2, root=1, trigger=Trigger.DIRECT, direct=True)
        assert (await store.accept(unknown)).acceptance is Acceptance.OVERHEARD
        assert await store.thread(HERE) is None
        other = said(3, trigger=Trigger.DIRECT, direct=True)
        assert (await store.accept(other)).acceptance is Acceptance.SCHEDULED
