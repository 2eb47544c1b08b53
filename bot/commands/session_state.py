"""Sentences and small facts about sessions that several orders share."""

from __future__ import annotations

from bot.commands.texts import sessions as session_texts
from bot.domain.messages import ThreadKey, ts_position
from bot.domain.sessions import SessionOrigin, SessionRecord
from bot.domain.turns import Turn
from bot.ports import Store


def is_blind(session: SessionRecord) -> bool:
    """Whether it is not told which model a session has: it was copied for a comparison, and which
    answer is whose must not be found out by looking at it."""
    return session.origin is SessionOrigin.COMPARISON and not session.current


async def running_turn(store: Store, thread: ThreadKey, before: int | None = None) -> Turn | None:
    """The turn of a thread that is being answered just now. Not one whose ending is on record: its
    answer stands in the thread, and people use what is under it before the turn itself has ended.
    `before` is the position of an order that is carried out: a turn that was written after it and
    has not come to its prompt gives way to it. Raises `StoreError`."""
    running = await store.running_turn(thread)
    if running is None or running.result is not None or is_queued_after(running, before):
        return None
    return running


def is_queued_after(turn: Turn, position: int | None) -> bool:
    """Whether an open turn was written after an order, and so is asked only after it."""
    if position is None or turn.prompted:
        return False
    return ts_position(turn.message.ts) > position


async def is_answering(store: Store, session: SessionRecord, before: int | None = None) -> bool:
    """Whether the running turn of a session's thread is, or is about to be, asked of it; `before`
    as above. Raises `StoreError`."""
    if not session.current:
        return False
    running = await running_turn(store, session.thread, before)
    return running is not None and running.message.options.role == session.role


def model_of(session: SessionRecord) -> str:
    """The model that a session goes by: the one chosen for it, else the one that answered last;
    "" where there is none, or where people are still to judge without knowing."""
    return "" if is_blind(session) else session.model or session.last_model


def state_of(session: SessionRecord, *, running: bool) -> str:
    """What a session is to its thread, in a word or two."""
    if running:
        return session_texts.RUNNING
    if is_blind(session):
        return session_texts.COMPARED
    return session_texts.CURRENT if session.current else session_texts.INACTIVE
