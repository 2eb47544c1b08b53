"""What is said to the database about turns once they are accepted.

Every write of a running turn names the epoch of the claim that it comes from, so that a process
that was frozen meanwhile cannot end what another has taken over.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from bot.errors import StoreError
from bot.model import Ending, Message, ThreadKey, Trigger, Turn, TurnState, storable
from bot.store.database import rows

_TURN = """
    SELECT n.id, n.event_id, h.team, h.channel, h.root_ts, n.ts, n.user, n.user_team, n.text,
           n.trigger, n.external, n.direct, n.state, n.epoch, n.waited, n.prompted,
           n.outcome, n.answer, n.note
    FROM turns n JOIN threads h ON h.id = n.thread
"""

# The oldest waiting turn that is the first of its thread, of a thread where nothing runs, of a
# person who may have one more running.
CLAIM = """
    UPDATE turns
    SET state = 'running', epoch = epoch + 1, started = :now, prompted = NULL
    WHERE id = (
        SELECT n.id FROM turns n INDEXED BY turns_waiting
        WHERE n.state = 'waiting'
          AND NOT EXISTS (SELECT 1 FROM turns r WHERE r.thread = n.thread AND r.state = 'running')
          AND NOT EXISTS (SELECT 1 FROM turns e WHERE e.thread = n.thread AND e.state = 'waiting'
                                                  AND e.position < n.position)
          AND (SELECT count(*) FROM turns u WHERE u.user = n.user AND u.state = 'running')
              < :per_user
        ORDER BY n.id LIMIT 1
    )
    RETURNING id
"""
_BEGIN = """
    UPDATE turns SET prompted = :now
    WHERE id = :id AND epoch = :epoch AND state = 'running'
      AND NOT EXISTS (SELECT 1 FROM turns e WHERE e.thread = turns.thread
                      AND e.state = 'waiting' AND e.position < turns.position)
    RETURNING id
"""
# An ending on record belonged to the asking that is given up with it.
_HAND_BACK = """
    UPDATE turns SET state = 'waiting', outcome = NULL, answer = NULL, note = NULL
    WHERE id = :id AND epoch = :epoch AND state = 'running' RETURNING id
"""
_RECORD = """
    UPDATE turns SET outcome = :outcome, answer = :answer, note = :note
    WHERE id = :id AND epoch = :epoch AND state = 'running' RETURNING id
"""
_FINISH = """
    UPDATE turns SET state = :state, ended = :now
    WHERE id = :id AND epoch = :epoch AND state = 'running' RETURNING id
"""
_SHOW_WAITING = """
    UPDATE turns SET waited = 1 WHERE id = :id AND state = 'waiting' RETURNING id
"""
_REWORD = "UPDATE turns SET text = :text WHERE id = :id AND state = 'waiting' RETURNING id"
_WITHDRAW = """
    UPDATE turns SET state = 'withdrawn', ended = :now
    WHERE id = :id AND state = 'waiting' RETURNING id
"""
RECOVER = "UPDATE turns SET epoch = epoch + 1, started = ? WHERE state = 'running'"
# The plus keeps SQLite from walking through all turns for the sake of their order.
RUNNING = f"{_TURN} WHERE n.state = 'running' ORDER BY +n.id"
FIND = f"""
    {_TURN} JOIN events e ON e.team = h.team AND e.channel = h.channel AND e.root_ts = h.root_ts
                         AND e.ts = n.ts
    WHERE e.team = ? AND e.channel = ? AND e.ts = ?
"""
RUNNING_IN = f"""
    {_TURN} WHERE n.state = 'running' AND h.team = ? AND h.channel = ? AND h.root_ts = ?
"""


def claim(database: sqlite3.Connection, now: float, per_user: int) -> Turn | None:
    """Take the next turn that may run."""
    claimed = rows(database, CLAIM, {"now": now, "per_user": per_user})
    for (number,) in claimed:
        return _first(database, f"{_TURN} WHERE n.id = ?", (number,))
    return None


def begin(database: sqlite3.Connection, turn: Turn, now: float) -> bool:
    """Note that the prompt is about to be sent, unless an earlier message came in."""
    return _changed(database, _BEGIN, {**_mine(turn), "now": now})


def hand_back(database: sqlite3.Connection, turn: Turn) -> bool:
    """Make a running turn wait again."""
    return _changed(database, _HAND_BACK, _mine(turn))


def record(database: sqlite3.Connection, turn: Turn, ending: Ending) -> bool:
    """Store how a running turn ends."""
    values = {
        **_mine(turn),
        "outcome": _final(ending.state),
        "answer": storable(ending.answer),
        "note": storable(ending.note),
    }
    return _changed(database, _RECORD, values)


def finish(database: sqlite3.Connection, turn: Turn, state: TurnState, now: float) -> bool:
    """End a running turn."""
    return _changed(database, _FINISH, {**_mine(turn), "state": _final(state), "now": now})


def recover(database: sqlite3.Connection, now: float) -> Sequence[Turn]:
    """Claim anew what a process that is gone had claimed."""
    rows(database, RECOVER, (now,))
    return tuple(_turn(row) for row in rows(database, RUNNING))


def find(database: sqlite3.Connection, team: str, channel: str, ts: str) -> Turn | None:
    """The turn of a message."""
    return _first(database, FIND, (team, channel, ts))


def running(database: sqlite3.Connection, key: ThreadKey) -> Turn | None:
    """The running turn of a thread."""
    return _first(database, RUNNING_IN, (key.team, key.channel, key.root_ts))


def show_waiting(database: sqlite3.Connection, turn: Turn) -> bool:
    """Note that a waiting turn is shown as waiting."""
    return _changed(database, _SHOW_WAITING, {"id": turn.id})


def reword(database: sqlite3.Connection, turn: Turn, text: str) -> bool:
    """Replace a waiting turn's text."""
    return _changed(database, _REWORD, {"id": turn.id, "text": storable(text)})


def withdraw(database: sqlite3.Connection, turn: Turn, now: float) -> bool:
    """End a waiting turn."""
    return _changed(database, _WITHDRAW, {"id": turn.id, "now": now})


def _mine(turn: Turn) -> dict[str, object]:
    return {"id": turn.id, "epoch": turn.epoch}


def _final(state: TurnState) -> TurnState:
    if not state.final:
        raise StoreError(f"a turn cannot end as {state}")
    return state


def _changed(database: sqlite3.Connection, statement: str, values: Mapping[str, object]) -> bool:
    return bool(rows(database, statement, values))


def _first(database: sqlite3.Connection, query: str, values: tuple[object, ...]) -> Turn | None:
    for row in rows(database, query, values):
        return _turn(row)
    return None


def _turn(row: sqlite3.Row) -> Turn:
    """A row of `_TURN` as a fact. Raises `ValueError` for a state that this version knows not."""
    number, event_id, team, channel, root_ts, ts, user, user_team, text, *rest = row
    trigger, external, direct, state, epoch, waited, prompted, outcome, answer, note = rest
    message = Message(
        event_id=event_id,
        thread=ThreadKey(team=team, channel=channel, root_ts=root_ts),
        ts=ts,
        user=user,
        user_team=user_team,
        text=text,
        trigger=Trigger(trigger),
        external=bool(external),
        direct=bool(direct),
    )
    ending = None
    if outcome is not None:
        ending = Ending(state=TurnState(outcome), answer=answer, note=note)
    return Turn(
        id=number,
        message=message,
        state=TurnState(state),
        epoch=epoch,
        waited=bool(waited),
        prompted=prompted is not None,
        ending=ending,
    )
