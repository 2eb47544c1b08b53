"""Checks what a store promises about usage."""

from __future__ import annotations

import pytest

from bot.domain.messages import ThreadKey
from bot.domain.turns import Turn, TurnState
from bot.domain.usage import TokenUsage, UsageGrouping, UsageRow
from bot.ports import Store
from tests.contracts.messages import BEGIN, make_message
from tests.contracts.store_fixtures import answered, began, claimed, scheduled
from tests.fakes import ManualClock

HERE = make_message(1).thread
DEV = make_message(5, channel="C0DEV").thread


def token_usage(model: str, tokens: int) -> TokenUsage:
    return TokenUsage(model=model, input_tokens=tokens, output_tokens=tokens // 10)


async def _some(store: Store, clock: ManualClock) -> Turn:
    """Four turns a second apart, the last of them not answered yet."""
    await answered(store, make_message(1), usage=token_usage("gpt", 100))
    await clock.advance(1)
    await answered(store, make_message(2, root=1, user="U0BOB"), usage=token_usage("claude", 200))
    await clock.advance(1)
    await answered(store, make_message(5, channel="C0DEV"), usage=token_usage("gpt", 400))
    await clock.advance(1)
    turn, _ = await began(store, make_message(6, root=1))
    return turn


def _row(name: str, turns: int, given: int) -> UsageRow:
    return UsageRow(key=name, turns=turns, input_tokens=given, output_tokens=given // 10)


# (by, since after the beginning, narrowed to, what comes of it)
USED = [
    (UsageGrouping.THREAD, 0, {}, [_row(str(HERE), 3, 300), _row(str(DEV), 1, 400)]),
    (UsageGrouping.USER, 0, {}, [_row("U0ALICE", 3, 500), _row("U0BOB", 1, 200)]),
    (UsageGrouping.CHANNEL, 0, {}, [_row("C0GENERAL", 3, 300), _row("C0DEV", 1, 400)]),
    (UsageGrouping.MODEL, 0, {}, [_row("gpt", 2, 500), _row("", 1, 0), _row("claude", 1, 200)]),
    (UsageGrouping.MODEL, 2, {}, [_row("", 1, 0), _row("gpt", 1, 400)]),
    (UsageGrouping.MODEL, 0, {"user": "U0BOB"}, [_row("claude", 1, 200)]),
    (UsageGrouping.USER, 0, {"channel": "C0DEV"}, [_row("U0ALICE", 1, 400)]),
    (UsageGrouping.USER, 1, {"thread": HERE}, [_row("U0ALICE", 1, 0), _row("U0BOB", 1, 200)]),
    (UsageGrouping.THREAD, 0, {"thread": make_message(77).thread}, []),
    (UsageGrouping.THREAD, 0, {"user": "U0ALICE", "channel": "C0DEV"}, [_row(str(DEV), 1, 400)]),
    (UsageGrouping.CHANNEL, 0, {"max_rows": 1}, [_row("C0GENERAL", 3, 300)]),
    (UsageGrouping.USER, 4, {}, []),
]


class UsageContract:
    @pytest.mark.parametrize(("by", "since", "narrowed", "rows"), USED)
    async def test_what_was_used_is_added_up(
        self,
        store: Store,
        clock: ManualClock,
        by: UsageGrouping,
        since: int,
        narrowed: dict[str, str | int | ThreadKey],
        rows: list[UsageRow],
    ) -> None:
        await _some(store, clock)
        found = await store.sum_usage(by, float(BEGIN + since), **narrowed)  # type: ignore[arg-type]  # a table's row
        assert list(found) == rows

    async def test_what_never_came_to_a_prompt_was_not_used(self, store: Store) -> None:
        await scheduled(store, 1)
        turn = await claimed(store)
        await store.finish_turn(turn, TurnState.REFUSED)
        assert await store.sum_usage(UsageGrouping.USER, 0.0) == ()
        assert await store.count_turns_since("U0ALICE", 0.0) == 0

    async def test_a_side_question_counts_like_a_turn_that_took_nothing(
        self, store: Store, clock: ManualClock
    ) -> None:
        await answered(store, make_message(1), usage=token_usage("gpt", 100))
        for user, thread in (("U0ALICE", HERE), ("U0ALICE", None), ("U0BOB", DEV)):
            await clock.advance(1)
            await store.record_side_question(user, thread)
        assert await store.count_turns_since("U0ALICE", 0.0) == 3
        assert await store.count_turns_since("U0ALICE", BEGIN + 1.5) == 1
        persons = (_row("U0ALICE", 3, 100), _row("U0BOB", 1, 0))
        assert await store.sum_usage(UsageGrouping.USER, 0.0) == persons
        assert await store.sum_usage(UsageGrouping.USER, BEGIN + 2.5) == (_row("U0BOB", 1, 0),)
        assert await store.sum_usage(UsageGrouping.USER, 0.0, user="U0ALICE") == persons[:1]
        assert await store.sum_usage(UsageGrouping.USER, 0.0, channel="C0DEV") == persons[1:]
        here = (_row("U0ALICE", 2, 100),)
        assert await store.sum_usage(UsageGrouping.USER, 0.0, thread=HERE) == here
        threads = (_row(str(HERE), 2, 100), _row(str(DEV), 1, 0))
        assert await store.sum_usage(UsageGrouping.THREAD, 0.0) == threads
        channels = (_row("C0GENERAL", 2, 100), _row("C0DEV", 1, 0))
        assert await store.sum_usage(UsageGrouping.CHANNEL, 0.0) == channels
        assert await store.sum_usage(UsageGrouping.MODEL, 0.0) == (_row("gpt", 1, 100),)

    async def test_the_turns_of_somebody_are_counted_whatever_came_of_them(
        self, store: Store, clock: ManualClock
    ) -> None:
        turn = await _some(store, clock)
        assert await store.count_turns_since("U0ALICE", float(BEGIN)) == 3
        assert await store.count_turns_since("U0ALICE", BEGIN + 0.5) == 2
        assert await store.count_turns_since("U0BOB", float(BEGIN)) == 1
        await store.finish_turn(turn, TurnState.FAILED)
        assert await store.count_turns_since("U0ALICE", BEGIN + 2.5) == 1
