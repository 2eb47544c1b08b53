"""Reads the state of sessions: whether one answers, is hidden in a comparison, or is current."""

from __future__ import annotations

from bot.commands.texts import sessions as session_texts
from bot.domain.messages import ThreadKey, ts_position
from bot.domain.sessions import SessionOrigin, SessionRecord
from bot.domain.turns import Turn
from bot.ports import Store


def is_blind(session: SessionRecord) -> bool:
    """True if the model of a session is hidden.

    The session is a copy for a comparison, and must not reveal which answer is its own.
    """
    return session.origin is SessionOrigin.COMPARISON and not session.current


async def running_turn(store: Store, thread: ThreadKey, before: int | None = None) -> Turn | None:
    """The turn of a thread that is being answered now, or None.

    A turn with a recorded result does not count: its reply is posted, and users press the buttons
    under it before the turn itself has ended. `before` is the position of the command that is being
    executed: a turn that was written after it and is not prompted yet does not count, either.
    Raises `StoreError`.
    """
    running = await store.running_turn(thread)
    if running is None or running.result is not None or is_queued_after(running, before):
        return None
    return running


def is_queued_after(turn: Turn, position: int | None) -> bool:
    """True if an open turn was written after a command, and so starts after it."""
    if position is None or turn.prompted:
        return False
    return ts_position(turn.message.ts) > position


async def is_answering(store: Store, session: SessionRecord, before: int | None = None) -> bool:
    """True if the running turn of a thread uses this session. Raises `StoreError`.

    `before` is as for `running_turn`.
    """
    if not session.current:
        return False
    running = await running_turn(store, session.thread, before)
    return running is not None and running.message.options.role == session.role


def model_of(session: SessionRecord) -> str:
    """The model to show for a session: the chosen one, else the last one that answered.

    An empty string if there is none, or if a comparison hides it.
    """
    return "" if is_blind(session) else session.model or session.last_model


def state_of(session: SessionRecord, *, running: bool) -> str:
    """The state of a session in its thread, in a word or two."""
    if running:
        return session_texts.RUNNING
    if is_blind(session):
        return session_texts.COMPARED
    return session_texts.CURRENT if session.current else session_texts.INACTIVE
