"""What the tests of a database's promises do again and again: open it, and take a turn so far."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import pytest

from bot.domain.messages import Message, ThreadKey
from bot.domain.sessions import SessionRecord
from bot.domain.turns import Acceptance, Ending, Turn, TurnState
from bot.domain.usage import Spent
from bot.ports import Store
from tests.contracts.messages import said
from tests.fakes import HandClock

PER_USER: Final = 2
THREAD_QUEUE: Final = 5
WHOLE_QUEUE: Final = 12

Opened = Callable[[], AbstractAsyncContextManager[Store]]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(opened: Opened) -> AsyncIterator[Store]:
    async with opened() as store:
        yield store


async def claimed(store: Store) -> Turn:
    turn = (await store.claim()).turn
    assert turn is not None, "nothing can be claimed"
    return turn


async def scheduled(store: Store, second: float, root: float | None = None) -> Turn:
    accepted = await store.accept(said(second, root=root))
    assert accepted.acceptance is Acceptance.SCHEDULED
    assert accepted.turn is not None
    return accepted.turn


async def began(store: Store, message: Message) -> tuple[Turn, SessionRecord]:
    """The turn of a message, its prompt taken by its session."""
    await store.accept(message)
    turn = await claimed(store)
    session = await store.session_for(turn)
    assert await store.begin(turn)
    await store.remember(turn, session.number, f"event-{turn.id}")
    return turn, session


async def answered(
    store: Store, message: Message, *, spent: Spent | None = None, answer: str = "So it is."
) -> Turn:
    """The turn of a message that was answered by its session."""
    turn, _ = await began(store, message)
    await store.record(turn, Ending(state=TurnState.DONE, answer=answer, spent=spent))
    assert await store.finish(turn, TurnState.DONE)
    return turn


async def current(store: Store, key: ThreadKey, role: str = "") -> SessionRecord:
    """A thread's current session as it stands now."""
    session = await store.current(key, role)
    assert session is not None, "the thread has no session"
    return session
