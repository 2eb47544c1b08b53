"""Opens a store and moves turns to a state, for the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import pytest

from bot.domain.messages import Message, ThreadKey
from bot.domain.sessions import SessionRecord
from bot.domain.turns import AcceptStatus, Turn, TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.ports import Store
from tests.contracts.messages import make_message
from tests.fakes import ManualClock

PER_USER: Final = 2
THREAD_QUEUE: Final = 5
WHOLE_QUEUE: Final = 12

Opened = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(opened: Opened) -> AsyncIterator[Store]:
    async with opened() as store:
        yield store


async def claimed(store: Store) -> Turn:
    turn = (await store.claim()).turn
    assert turn is not None, "nothing can be claimed"
    return turn


async def scheduled(store: Store, second: float, root: float | None = None) -> Turn:
    accepted = await store.accept_message(make_message(second, root=root))
    assert accepted.status is AcceptStatus.SCHEDULED
    assert accepted.turn is not None
    return accepted.turn


async def began(store: Store, message: Message) -> tuple[Turn, SessionRecord]:
    """The turn of a message, its prompt accepted by its session."""
    await store.accept_message(message)
    turn = await claimed(store)
    session = await store.ensure_session(turn)
    assert await store.mark_prompted(turn)
    await store.append_history(turn, session.number, f"event-{turn.id}")
    return turn, session


async def answered(
    store: Store, message: Message, *, usage: TokenUsage | None = None, answer: str = "So it is."
) -> Turn:
    """The turn of a message that was answered by its session."""
    turn, _ = await began(store, message)
    await store.record_result(turn, TurnResult(state=TurnState.DONE, answer=answer, usage=usage))
    assert await store.finish_turn(turn, TurnState.DONE)
    return turn


async def current(store: Store, key: ThreadKey, role: str = "") -> SessionRecord:
    """A thread's current session now."""
    session = await store.current_session(key, role)
    assert session is not None, "the thread has no session"
    return session
