"""Sentences and small facts about sessions that several orders share."""

from __future__ import annotations

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


async def answering(store: Store, session: SessionRecord) -> bool:
    """Whether the running turn of a session's thread is, or is about to be, asked of it. Raises
    `StoreError`."""
    if not session.current:
        return False
    running = await store.running(session.thread)
    return running is not None and running.message.wish.role == session.role
