"""Sentences and small facts about sessions that several orders share."""

from __future__ import annotations

from bot.model import ThreadKey, Turn
from bot.orders import words_threads as words
from bot.orders.told import clipped, one_line
from bot.orders.verbs import VERBS
from bot.ports import Store
from bot.records import Origin, SessionRecord

_TITLE = 120


def how_it_goes(verb: str) -> str:
    """The sentence for words that a verb does not take."""
    usage = VERBS[verb].usage
    if not usage:
        return words.HOW_PLAIN.format(verb=verb)
    return words.HOW.format(verb=verb, usage=usage)


def titled(session: SessionRecord) -> str:
    """A session's title, on one line."""
    return clipped(one_line(session.title), _TITLE) or words.UNTITLED


def blind(session: SessionRecord) -> bool:
    """Whether it is not told which model a session has: it was copied for a comparison, and which
    answer is whose must not be found out by looking at it."""
    return session.origin is Origin.COMPARISON and not session.current


async def being_answered(store: Store, thread: ThreadKey) -> Turn | None:
    """The turn of a thread that is being answered just now. Not one whose ending is on record: its
    answer stands in the thread, and people use what is under it before the turn itself has ended.
    Raises `StoreError`."""
    running = await store.running(thread)
    return running if running is not None and running.ending is None else None


async def answering(store: Store, session: SessionRecord) -> bool:
    """Whether the running turn of a session's thread is, or is about to be, asked of it. Raises
    `StoreError`."""
    if not session.current:
        return False
    running = await being_answered(store, session.thread)
    return running is not None and running.message.wish.role == session.role
