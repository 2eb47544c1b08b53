"""Quotas: which users may have another turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.access import quotas
from bot.access.quotas import Quota, QuotaPolicy
from bot.domain.preferences import Preference, PreferenceKind, Scope
from tests.unit.commands.command_fixtures import ADA, ALICE, BOB, CommandFixture, command_fixture


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CommandFixture]:
    async with command_fixture(tmp_path) as world:
        yield world


async def choose(world: CommandFixture, user: str, topic: PreferenceKind, value: str) -> None:
    await world.store.set_preference(
        Preference(scope=Scope.USER, scope_id=user, kind=topic, value=value, set_by=ADA, set_at=1.0)
    )


async def test_without_a_limit_all_users_may_ask_without_end(
    world: CommandFixture,
) -> None:
    for second in range(1, 6):
        await world.context_for(second)
    assert await QuotaPolicy(world.store, world.clock, per_day=0).quota_refusal(ALICE) == ""


async def test_a_user_without_turns_left_gets_a_text_until_a_day_has_passed(
    world: CommandFixture,
) -> None:
    bounds = QuotaPolicy(world.store, world.clock, per_day=2)
    await world.context_for(1)
    assert await bounds.quota_refusal(ALICE) == ""
    await world.clock.advance(3_600)
    await world.context_for(2)
    assert await bounds.quota_refusal(ALICE) == quotas.USED_UP.format(turns="2 questions")
    assert await bounds.quota_refusal(BOB) == ""
    await world.clock.advance(quotas.DAY_SECONDS - 3_599)
    assert await bounds.quota_refusal(ALICE) == ""


async def test_a_users_own_number_replaces_the_default(world: CommandFixture) -> None:
    bounds = QuotaPolicy(world.store, world.clock, per_day=5)
    await choose(world, ALICE, PreferenceKind.QUOTA, "1")
    await world.context_for(1)
    assert await bounds.quota_refusal(ALICE) == quotas.USED_UP.format(turns=quotas.ONE_TURN)
    assert await bounds.quota_of(ALICE) == Quota(per_day=1, is_custom=True)

    await choose(world, ALICE, PreferenceKind.QUOTA, "0")
    assert await bounds.quota_refusal(ALICE) == ""
    assert await bounds.quota_of(BOB) == Quota(per_day=5)


async def test_a_blocked_user_gets_no_turn(world: CommandFixture) -> None:
    bounds = QuotaPolicy(world.store, world.clock, per_day=0)
    await choose(world, BOB, PreferenceKind.BLOCKED, "yes")
    assert await bounds.quota_refusal(BOB) == quotas.BLOCKED
    assert await bounds.quota_refusal(ALICE) == ""
    await world.store.clear_preference(Scope.USER, BOB, PreferenceKind.BLOCKED)
    assert await bounds.quota_refusal(BOB) == ""


@pytest.mark.parametrize("value", ["", "many", "-1", "1.5", "9" * 30])
async def test_an_invalid_number_does_not_count(world: CommandFixture, value: str) -> None:
    await choose(world, ALICE, PreferenceKind.QUOTA, value)
    assert await QuotaPolicy(world.store, world.clock, per_day=7).quota_of(ALICE) == Quota(
        per_day=7
    )
