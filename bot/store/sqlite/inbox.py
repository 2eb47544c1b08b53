"""Records messages, each once, and a waiting turn for each that the bot answers."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Final

from bot.domain.messages import (
    MAX_CONSECUTIVE_BOT_TURNS,
    Message,
    Trigger,
    strip_unstorable,
    ts_position,
)
from bot.domain.turns import AcceptResult, AcceptStatus, Turn, TurnState
from bot.errors import StoreError
from bot.store.sqlite import commands, preferences, threads, turns
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, QueueLimits, read, write
from bot.store.sqlite.turn_rows import dump_options

_WITHOUT_MENTION: Final = (Trigger.FOLLOW_UP, Trigger.OVERHEARD)

# Without a conflict target: a repeat by either key is a repeat. Without RETURNING, for which SQLite
# creates a table each time (a tenth of the whole, measured): the row count is enough.
_INSERT_EVENT = """
    INSERT INTO events (event_id, team, channel, ts, root_ts, user, heard)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_COUNT_OPEN = """
    SELECT
        (SELECT waiting FROM queue),
        (SELECT count(*) FROM turns WHERE thread = :thread AND state = 'waiting'),
        (SELECT count(*) FROM turns WHERE thread = :thread AND state = 'waiting'
                                      AND position < :position)
        + (SELECT count(*) FROM turns WHERE thread = :thread AND state = 'running')
"""
# True if the bot was first mentioned in the thread after a late message was written. The turn that
# made the thread known was recorded together with the thread.
MENTIONED_LATER = """
    SELECT 1 FROM turns n JOIN threads h ON h.id = n.thread AND n.accepted = h.known_since
    WHERE n.thread = :thread AND n.position > :position AND n.trigger <> 'follow_up'
    LIMIT 1
"""
# A user's message that was received before the one that made its thread known, but was written
# after it, is evaluated once more, and only once.
REEVALUATE = """
    UPDATE events SET heard = :now
    WHERE team = :team AND channel = :channel AND ts = :ts AND root_ts = :root_ts
      AND EXISTS (
          SELECT 1 FROM threads h JOIN turns n ON n.thread = h.id AND n.accepted = h.known_since
          WHERE h.id = :thread AND h.known_since > events.heard AND n.position < :position
      )
      AND NOT EXISTS (SELECT 1 FROM turns WHERE thread = :thread AND ts = :ts)
    RETURNING 1
"""
# True if a message made its thread known, and there are such messages left to evaluate again.
OUT_OF_ORDER = """
    SELECT 1 FROM threads h
    JOIN turns n ON n.thread = h.id AND n.ts = :ts AND n.accepted = h.known_since
    JOIN events e ON e.team = h.team AND e.channel = h.channel AND e.root_ts = h.root_ts
    WHERE h.team = :team AND h.channel = :channel AND h.root_ts = :root_ts
      AND e.heard < h.known_since AND substr(e.user, 1, 4) <> 'bot:'
      AND CAST(replace(e.ts, '.', '') AS INTEGER) > n.position
    LIMIT 1
"""
_INSERT_TURN = """
    INSERT INTO turns (thread, event_id, ts, position, user, user_team, text, trigger,
                       external, direct, wish, state, accepted, ended)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    RETURNING id
"""


# Bots are recorded with a prefix, or (before schema 3) by their `B…`: no user id begins so.
_COUNT_BOT_TURNS = """
    SELECT count(*) FROM turns t JOIN threads h ON h.id = t.thread
    WHERE h.team = :team AND h.channel = :channel AND h.root_ts = :root_ts
      AND t.trigger = 'bot_mention' AND t.position < :position
      AND t.position > coalesce((
          SELECT max(CAST(replace(ts, '.', '') AS INTEGER)) FROM (
              SELECT ts FROM events
              WHERE team = :team AND channel = :channel AND root_ts = :root_ts
                AND lower(substr(user, 1, 1)) <> 'b'
              UNION ALL
              SELECT ts FROM orders WHERE thread = :text AND ts <> ''
          ) WHERE CAST(replace(ts, '.', '') AS INTEGER) < :position), 0)
"""


class InboxQueries(Queries):
    """Queries that accept messages: the other part of `bot.ports.InboxStore`."""

    async def accept_message(self, message: Message) -> AcceptResult:
        accepted = await self._accept_message(message)
        self._telemetry.record_message(accepted)
        if accepted.status is AcceptStatus.QUEUE_FULL and accepted.turn is not None:
            self._telemetry.record_turn_ended(accepted.turn, accepted.turn.state)
        return accepted

    @write
    def _accept_message(self, database: sqlite3.Connection, message: Message) -> AcceptResult:
        now, limits = self._clock.now(), self._limits
        key = message.thread
        position = _position(message.ts)
        if commands.is_command(database, message):
            return AcceptResult(status=AcceptStatus.DUPLICATE)
        by_bot = message.trigger in (Trigger.BOT, Trigger.BOT_MENTION)
        author = f"bot:{message.user}" if by_bot else message.user
        event = (message.event_id, key.team, key.channel, message.ts, key.root_ts, author, now)
        is_new = database.execute(_INSERT_EVENT, event).rowcount > 0
        if not is_new and not _claim_reevaluation(database, message, position, now):
            # A caller whose first attempt timed out does not have this result yet.
            out_of_order = _is_out_of_order(database, message)
            return AcceptResult(status=AcceptStatus.DUPLICATE, out_of_order=out_of_order)
        if message.trigger is Trigger.BOT:
            return AcceptResult(status=AcceptStatus.OVERHEARD)
        if (
            message.trigger is Trigger.BOT_MENTION
            and _count_bot_turns(database, message) > MAX_CONSECUTIVE_BOT_TURNS
        ):
            return AcceptResult(status=AcceptStatus.OVERHEARD)
        thread = threads.thread_id(database, key)
        if thread is not None:
            return _evaluate(database, message, thread, position, now, limits)
        if message.trigger in _WITHOUT_MENTION or _is_quiet(database, message):
            return AcceptResult(status=AcceptStatus.OVERHEARD)
        thread = threads.add_thread_for_message(database, message, now)
        accepted = _evaluate(database, message, thread, position, now, limits)
        return replace(accepted, out_of_order=_is_out_of_order(database, message))

    @read
    def count_consecutive_bot_turns(self, database: sqlite3.Connection, message: Message) -> int:
        return _count_bot_turns(database, message)


def _count_bot_turns(database: sqlite3.Connection, message: Message) -> int:
    key = message.thread
    place = {"team": key.team, "channel": key.channel, "root_ts": key.root_ts, "text": str(key)}
    ((count,),) = fetch_all(database, _COUNT_BOT_TURNS, place | {"position": _position(message.ts)})
    return int(count)


def _is_out_of_order(database: sqlite3.Connection, message: Message) -> bool:
    return bool(fetch_all(database, OUT_OF_ORDER, _thread_values(message) | {"ts": message.ts}))


def _claim_reevaluation(
    database: sqlite3.Connection, message: Message, position: int, now: float
) -> bool:
    """True if a recorded message is to be evaluated again, because its thread became known after
    it. Slack keeps no order: the message that made the thread known may have arrived later."""
    thread = threads.thread_id(database, message.thread)
    if thread is None or message.trigger not in _WITHOUT_MENTION:
        return False
    values = {"ts": message.ts, "thread": thread, "position": position, "now": now}
    return bool(fetch_all(database, REEVALUATE, _thread_values(message) | values))


def _evaluate(
    database: sqlite3.Connection,
    message: Message,
    thread: int,
    position: int,
    now: float,
    limits: QueueLimits,
) -> AcceptResult:
    """The result for a message in a known thread."""
    quiet, unmentioned = _is_quiet(database, message), message.trigger in _WITHOUT_MENTION
    if message.trigger is not Trigger.BOT_MENTION:
        threads.insert_participants(database, thread, {message.user})
    if quiet or message.trigger is Trigger.OVERHEARD:
        return AcceptResult(status=AcceptStatus.OVERHEARD)
    if unmentioned and (
        threads.participants_of(database, thread) != {message.user}
        or fetch_all(database, MENTIONED_LATER, {"thread": thread, "position": position})
    ):
        return AcceptResult(status=AcceptStatus.OVERHEARD)
    return _schedule(database, message, thread, position, now, limits)


def _schedule(
    database: sqlite3.Connection,
    message: Message,
    thread: int,
    position: int,
    now: float,
    limits: QueueLimits,
) -> AcceptResult:
    retry_of = message.options.retry_of
    if retry_of and turns.find_latest_retry(database, retry_of) is not None:
        return AcceptResult(status=AcceptStatus.ALREADY_RETRIED)
    values = {"thread": thread, "position": position}
    ((in_all, in_thread, ahead),) = fetch_all(database, _COUNT_OPEN, values)
    full = in_all >= limits.max_waiting or in_thread >= limits.max_waiting_per_thread
    state = TurnState.REFUSED if full else TurnState.WAITING
    row = (
        *(thread, message.event_id, message.ts, position, message.user, message.user_team),
        *(strip_unstorable(message.text), message.trigger, message.external, message.direct),
        *(dump_options(message.options), state, now, now if full else None),
    )
    ((number,),) = fetch_all(database, _INSERT_TURN, row)
    return AcceptResult(
        status=AcceptStatus.QUEUE_FULL if full else AcceptStatus.SCHEDULED,
        turn=Turn(id=number, message=message, state=state, epoch=0, accepted_at=now),
        turns_ahead=0 if full else ahead,
    )


def _is_quiet(database: sqlite3.Connection, message: Message) -> bool:
    """True if the thread is quiet and the message does not mention the bot."""
    can_be_quiet = message.trigger in (Trigger.FOLLOW_UP, Trigger.DIRECT)
    return can_be_quiet and preferences.is_quiet(database, message.thread)


def _thread_values(message: Message) -> dict[str, object]:
    key = message.thread
    return {"team": key.team, "channel": key.channel, "root_ts": key.root_ts}


def _position(ts: str) -> int:
    try:
        return ts_position(ts)
    except ValueError as error:
        raise StoreError(str(error)) from error
