"""How a message is recorded: once, and as a waiting turn where it is the bot's business."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from typing import Final

from bot.domain.messages import BOTS_IN_A_ROW, Message, Trigger, storable, ts_position
from bot.domain.turns import Acceptance, Accepted, Turn, TurnState
from bot.errors import StoreError
from bot.store.sqlite import commands, preferences, threads, turns
from bot.store.sqlite.connection import rows
from bot.store.sqlite.turn_rows import wish_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much the database takes on."""

    per_user: int
    """Turns of one person that run at once."""
    thread_queue: int
    """Waiting turns of one thread."""
    whole_queue: int
    """Waiting turns in all."""


_UNASKED: Final = (Trigger.FOLLOW_UP, Trigger.ASIDE)

# Without a conflict target: a repeat by either key is a repeat. Without RETURNING, for which SQLite
# makes a table each time (a tenth of the whole, measured): that it counts rows is enough.
_HEAR = """
    INSERT INTO events (event_id, team, channel, ts, root_ts, user, heard)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
_OPEN = """
    SELECT
        (SELECT waiting FROM queue),
        (SELECT count(*) FROM turns WHERE thread = :thread AND state = 'waiting'),
        (SELECT count(*) FROM turns WHERE thread = :thread AND state = 'waiting'
                                      AND position < :position)
        + (SELECT count(*) FROM turns WHERE thread = :thread AND state = 'running')
"""
# Whether the bot was called into a thread only after a message that is brought late was written.
# The turn that made the thread known was recorded together with it.
CALLED_LATER = """
    SELECT 1 FROM turns n JOIN threads h ON h.id = n.thread AND n.accepted = h.known_since
    WHERE n.thread = :thread AND n.position > :position AND n.trigger <> 'follow_up'
    LIMIT 1
"""
# A person's message that was heard before the one that made its thread known, and was written after
# that one, is judged once more, and then no more.
JUDGE_ANEW = """
    UPDATE events SET heard = :now
    WHERE team = :team AND channel = :channel AND ts = :ts AND root_ts = :root_ts
      AND EXISTS (
          SELECT 1 FROM threads h JOIN turns n ON n.thread = h.id AND n.accepted = h.known_since
          WHERE h.id = :thread AND h.known_since > events.heard AND n.position < :position
      )
      AND NOT EXISTS (SELECT 1 FROM turns WHERE thread = :thread AND ts = :ts)
    RETURNING 1
"""
# Whether a message made its thread known, and there are such that were not judged anew yet.
OVERTAKEN = """
    SELECT 1 FROM threads h
    JOIN turns n ON n.thread = h.id AND n.ts = :ts AND n.accepted = h.known_since
    JOIN events e ON e.team = h.team AND e.channel = h.channel AND e.root_ts = h.root_ts
    WHERE h.team = :team AND h.channel = :channel AND h.root_ts = :root_ts
      AND e.heard < h.known_since AND substr(e.user, 1, 4) <> 'bot:'
      AND CAST(replace(e.ts, '.', '') AS INTEGER) > n.position
    LIMIT 1
"""
_TURN = """
    INSERT INTO turns (thread, event_id, ts, position, user, user_team, text, trigger,
                       external, direct, wish, state, accepted, ended)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    RETURNING id
"""


# Bots are on record with a mark, or (before schema 3) by their `B…`: no person's id begins so.
_BOTS_BEFORE = """
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


def bots_before(database: sqlite3.Connection, message: Message) -> int:
    """What `bot.ports.ThreadStore.bots_before` promises."""
    key = message.thread
    place = {"team": key.team, "channel": key.channel, "root_ts": key.root_ts, "text": str(key)}
    ((count,),) = rows(database, _BOTS_BEFORE, place | {"position": _position(message.ts)})
    return int(count)


def accept(database: sqlite3.Connection, message: Message, now: float, bounds: Bounds) -> Accepted:
    """Record a message; what `bot.ports.InboxStore.accept` promises, inside one transaction."""
    key = message.thread
    position = _position(message.ts)
    if commands.is_order(database, message):
        return Accepted(acceptance=Acceptance.REPEATED)
    by_bot = message.trigger in (Trigger.BOT, Trigger.BOT_MENTION)
    author = f"bot:{message.user}" if by_bot else message.user
    heard = (message.event_id, key.team, key.channel, message.ts, key.root_ts, author, now)
    is_new = database.execute(_HEAR, heard).rowcount > 0
    if not is_new and not _heard_too_early(database, message, position, now):
        # Whoever gave up waiting for the first time does not know it yet.
        overtaken = _is_overtaken(database, message)
        return Accepted(acceptance=Acceptance.REPEATED, overtaken=overtaken)
    if message.trigger is Trigger.BOT:
        return Accepted(acceptance=Acceptance.OVERHEARD)
    if message.trigger is Trigger.BOT_MENTION and bots_before(database, message) > BOTS_IN_A_ROW:
        return Accepted(acceptance=Acceptance.OVERHEARD)
    thread = threads.thread_id(database, key)
    if thread is not None:
        return _judged(database, message, thread, position, now, bounds)
    if message.trigger in _UNASKED or _keeps_quiet(database, message):
        return Accepted(acceptance=Acceptance.OVERHEARD)
    thread = threads.make_known(database, message, now)
    accepted = _judged(database, message, thread, position, now, bounds)
    return replace(accepted, overtaken=_is_overtaken(database, message))


def _is_overtaken(database: sqlite3.Connection, message: Message) -> bool:
    return bool(rows(database, OVERTAKEN, _place(message) | {"ts": message.ts}))


def _heard_too_early(
    database: sqlite3.Connection, message: Message, position: int, now: float
) -> bool:
    """Whether a message that was heard before is to be judged anew, for only since then its thread
    is known. Slack keeps no order: the message that made it known may have come later."""
    thread = threads.thread_id(database, message.thread)
    if thread is None or message.trigger not in _UNASKED:
        return False
    values = {"ts": message.ts, "thread": thread, "position": position, "now": now}
    return bool(rows(database, JUDGE_ANEW, _place(message) | values))


def _judged(
    database: sqlite3.Connection,
    message: Message,
    thread: int,
    position: int,
    now: float,
    bounds: Bounds,
) -> Accepted:
    """What becomes of a message in a known thread."""
    quiet, unasked = _keeps_quiet(database, message), message.trigger in _UNASKED
    if message.trigger is not Trigger.BOT_MENTION:
        threads.join(database, thread, {message.user})
    if quiet or message.trigger is Trigger.ASIDE:
        return Accepted(acceptance=Acceptance.OVERHEARD)
    if unasked and (
        threads.people_in(database, thread) != {message.user}
        or rows(database, CALLED_LATER, {"thread": thread, "position": position})
    ):
        return Accepted(acceptance=Acceptance.OVERHEARD)
    return _schedule(database, message, thread, position, now, bounds)


def _schedule(
    database: sqlite3.Connection,
    message: Message,
    thread: int,
    position: int,
    now: float,
    bounds: Bounds,
) -> Accepted:
    again = message.wish.again
    if again and turns.answered_anew(database, again) is not None:
        return Accepted(acceptance=Acceptance.TAKEN)
    counted = rows(database, _OPEN, {"thread": thread, "position": position})
    ((in_all, in_thread, ahead),) = counted
    full = in_all >= bounds.whole_queue or in_thread >= bounds.thread_queue
    state = TurnState.REFUSED if full else TurnState.WAITING
    values = (
        *(thread, message.event_id, message.ts, position, message.user, message.user_team),
        *(storable(message.text), message.trigger, message.external, message.direct),
        *(wish_text(message.wish), state, now, now if full else None),
    )
    ((number,),) = rows(database, _TURN, values)
    return Accepted(
        acceptance=Acceptance.FULL if full else Acceptance.SCHEDULED,
        turn=Turn(id=number, message=message, state=state, epoch=0, accepted=now),
        ahead=0 if full else ahead,
    )


def _keeps_quiet(database: sqlite3.Connection, message: Message) -> bool:
    """Whether the thread is to be left alone with what does not call the bot by name."""
    called = message.trigger not in (Trigger.FOLLOW_UP, Trigger.DIRECT)
    return not called and preferences.is_quiet(database, message.thread)


def _place(message: Message) -> dict[str, object]:
    key = message.thread
    return {"team": key.team, "channel": key.channel, "root_ts": key.root_ts}


def _position(ts: str) -> int:
    try:
        return ts_position(ts)
    except ValueError as error:
        raise StoreError(str(error)) from error
