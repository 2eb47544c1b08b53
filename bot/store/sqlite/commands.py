"""What is said to the database about orders: each is carried out once, and none is forgotten.

An order's words are kept only until it is done; that it was given is kept for ever, so that a
repeat is known as one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from bot.domain.commands import Form, Hold, Order
from bot.domain.messages import Message, ThreadKey, storable
from bot.store.sqlite import thread_holds
from bot.store.sqlite.connection import rows

MOST: Final = 400
"""Unfinished orders that are told at a start."""
MOST_IN_THREAD: Final = 2_000
"""Orders of one thread that are told."""

# What was heard as a message is no order any more.
_HEARD = """
    SELECT 1 FROM events WHERE event_id = :key
    UNION ALL
    SELECT 1 FROM events WHERE :ts <> '' AND team = :team AND channel = :channel AND ts = :ts
"""
# Without a conflict target: a repeat by either key is a repeat.
_ACCEPT = """
    INSERT INTO orders (key, verb, words, by, form, team, channel, ts, thread, turn, given)
    VALUES (:key, :verb, :words, :by, :form, :team, :channel, :ts, :thread, :turn, :now)
    ON CONFLICT DO NOTHING RETURNING 1
"""
_FINISH = "UPDATE orders SET finished = ?, words = '' WHERE key = ? AND finished IS NULL"
UNFINISHED = """
    SELECT key, verb, words, by, form, team, channel, ts, thread, turn
    FROM orders WHERE finished IS NULL ORDER BY given, rowid LIMIT ?
"""
GIVEN_AS = """
    SELECT key FROM orders WHERE key = ?1
    UNION ALL
    SELECT key FROM orders WHERE ts <> '' AND team = ?2 AND channel = ?3 AND ts = ?4
"""
ORDERED_IN = """
    SELECT ts FROM orders WHERE thread = ? AND ts <> '' ORDER BY given DESC LIMIT ?
"""


def ordered_in(database: sqlite3.Connection, thread: ThreadKey) -> frozenset[str]:
    """The `ts` of the messages of a thread that were orders, the newest of them."""
    found = rows(database, ORDERED_IN, (str(thread), MOST_IN_THREAD))
    return frozenset(str(ts) for (ts,) in found)


def accept_order(database: sqlite3.Connection, order: Order, hold: Hold | None, now: float) -> bool:
    """Record an order, and what waits for it; False when it was recorded before, as an order or as
    a message."""
    values = {
        "key": order.key,
        "verb": storable(order.verb),
        "words": storable(order.words),
        "by": order.by,
        "form": order.form,
        "team": order.team,
        "channel": order.channel,
        "ts": order.ts,
        "thread": None if order.thread is None else str(order.thread),
        "turn": order.turn,
        "now": now,
    }
    if rows(database, _HEARD, values):
        return False
    if not rows(database, _ACCEPT, values):
        return False
    if hold is not None:
        thread_holds.hold(database, order.key, hold)
    return True


def is_order(database: sqlite3.Connection, message: Message) -> bool:
    """Whether a message is on record as an order, and is not the question that came of it."""
    key = message.thread
    found = rows(database, GIVEN_AS, (message.event_id, key.team, key.channel, message.ts))
    return any(message.event_id != f"order-{given}" for (given,) in found)


def finish_order(database: sqlite3.Connection, key: str, now: float) -> None:
    """An order was carried out: nothing waits for it."""
    thread_holds.release(database, key)
    rows(database, _FINISH, (now, key))


def unfinished_orders(database: sqlite3.Connection) -> Sequence[Order]:
    """What was not carried out."""
    return tuple(_order(row) for row in rows(database, UNFINISHED, (MOST,)))


def _order(row: sqlite3.Row) -> Order:
    key, verb, words, by, form, team, channel, ts, thread, turn = row
    return Order(
        key=key,
        verb=verb,
        words=words,
        by=by,
        form=Form(form),
        team=team,
        channel=channel,
        ts=ts,
        thread=None if thread is None else _thread(thread),
        turn=turn,
    )


def _thread(text: str) -> ThreadKey:
    """What `str` made of a key."""
    team, channel, root_ts = text.split("/")
    return ThreadKey(team=team, channel=channel, root_ts=root_ts)
