"""Checks what a store promises about preferences, and about quiet threads."""

from __future__ import annotations

import pytest

from bot.domain.messages import Trigger
from bot.domain.preferences import Preference, PreferenceKind, Scope
from bot.domain.turns import AcceptResult, AcceptStatus
from bot.ports import Store
from tests.contracts.messages import make_message
from tests.contracts.store_fixtures import scheduled

HERE = make_message(1).thread


def preference(
    scope: Scope, holder: str, topic: PreferenceKind, value: str, by: str = "U0ALICE"
) -> Preference:
    return Preference(scope=scope, scope_id=holder, kind=topic, value=value, set_by=by, set_at=12.5)


QUIET = preference(Scope.THREAD, str(HERE), PreferenceKind.QUIET, "yes")


class PreferenceContract:
    async def test_a_choice_is_kept_in_place_of_an_earlier_one(self, store: Store) -> None:
        first = preference(Scope.CHANNEL, "C0DEV", PreferenceKind.MODEL, "gpt")
        second = preference(Scope.CHANNEL, "C0DEV", PreferenceKind.MODEL, "claude", by="U0BOB")
        await store.set_preference(first)
        assert await store.preferences([(Scope.CHANNEL, "C0DEV")]) == (first,)
        await store.set_preference(second)
        assert await store.preferences([(Scope.CHANNEL, "C0DEV")]) == (second,)

    async def test_a_choice_is_taken_back(self, store: Store) -> None:
        await store.set_preference(preference(Scope.USER, "U0BOB", PreferenceKind.BLOCKED, "yes"))
        assert await store.clear_preference(Scope.USER, "U0BOB", PreferenceKind.BLOCKED)
        assert not await store.clear_preference(Scope.USER, "U0BOB", PreferenceKind.BLOCKED)
        assert await store.preferences([(Scope.USER, "U0BOB")]) == ()

    async def test_preferences_come_in_the_order_of_their_scopes(self, store: Store) -> None:
        workspace = preference(Scope.WORKSPACE, "T0", PreferenceKind.MODEL, "gpt")
        person = preference(Scope.USER, "U0BOB", PreferenceKind.MODEL, "claude")
        effort = preference(Scope.USER, "U0BOB", PreferenceKind.EFFORT, "high")
        other = preference(Scope.USER, "U0EVE", PreferenceKind.MODEL, "claude")
        for choice in (person, workspace, other, effort):
            await store.set_preference(choice)
        scopes = [(Scope.WORKSPACE, "T0"), (Scope.CHANNEL, "C0"), (Scope.USER, "U0BOB")]
        assert await store.preferences(scopes) == (workspace, effort, person)
        assert await store.preferences([]) == ()
        assert await store.preferences_of_kind(PreferenceKind.MODEL) == (workspace, person, other)
        assert await store.preferences_of_kind(PreferenceKind.PAUSED) == ()

    @pytest.mark.parametrize("trigger", [Trigger.FOLLOW_UP, Trigger.DIRECT])
    async def test_in_a_quiet_thread_only_a_mention_is_answered(
        self, store: Store, trigger: Trigger
    ) -> None:
        await scheduled(store, 1)
        await store.set_preference(QUIET)
        follow_up = make_message(2, root=1, trigger=trigger)
        assert await store.accept_message(follow_up) == AcceptResult(status=AcceptStatus.OVERHEARD)
        for second, called in enumerate(
            (Trigger.MENTION, Trigger.POSTED_QUESTION, Trigger.REPLY_ACTION), 3
        ):
            message = make_message(second, root=1, trigger=called)
            assert (await store.accept_message(message)).status is AcceptStatus.SCHEDULED
        await store.clear_preference(QUIET.scope, QUIET.scope_id, QUIET.kind)
        later = make_message(9, root=1, trigger=trigger)
        assert (await store.accept_message(later)).status is AcceptStatus.SCHEDULED

    async def test_who_writes_in_a_quiet_thread_takes_part(self, store: Store) -> None:
        await scheduled(store, 1)
        await store.set_preference(QUIET)
        await store.accept_message(make_message(2, root=1, user="U0BOB", trigger=Trigger.FOLLOW_UP))
        thread = await store.thread_by_key(HERE)
        assert thread is not None
        assert thread.participants == {"U0ALICE", "U0BOB"}

    async def test_a_quiet_thread_leaves_the_others_alone(self, store: Store) -> None:
        await store.set_preference(QUIET)
        unknown = make_message(2, root=1, trigger=Trigger.DIRECT, direct=True)
        assert (await store.accept_message(unknown)).status is AcceptStatus.OVERHEARD
        assert await store.thread_by_key(HERE) is None
        other = make_message(3, trigger=Trigger.DIRECT, direct=True)
        assert (await store.accept_message(other)).status is AcceptStatus.SCHEDULED
