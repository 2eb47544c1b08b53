"""What is said to the database about turns once they are accepted.

Every write of a running turn names the epoch of the claim that it comes from, so that a process
that was frozen meanwhile cannot end what another has taken over.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from bot.domain.messages import ThreadKey, strip_unstorable
from bot.domain.turns import ClaimResult, Turn, TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.errors import StoreError
from bot.store.sqlite import session_rows, thread_holds
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.turn_rows import (
    SELECT_TURN,
    read_turn,
    read_turns,
    usage_from_row,
    usage_values,
)

# The oldest waiting turn that is the first of its thread, of a thread where nothing runs, waiting
# for no order that was given before it, of a person who may have one more running. One whose ending
# is on record only waits for Slack to show it: its thread is held for the sake of the order there,
# and nobody's place is.
# A plain message will be asked of the thread's current session: noted here, that costs no write of
# its own (`list_sessions.asked_by`).
CLAIM = f"""
    UPDATE turns
    SET state = 'running', epoch = epoch + 1, started = :now, prompted = NULL,
        session = coalesce((SELECT s.number FROM sessions s
                            WHERE s.thread = turns.thread AND s.role = '' AND s.current = 1
                              AND turns.wish IS NULL), session)
    WHERE id = (
        SELECT n.id FROM turns n INDEXED BY turns_waiting
        WHERE n.state = 'waiting'
          AND NOT EXISTS (SELECT 1 FROM turns r WHERE r.thread = n.thread AND r.state = 'running')
          AND NOT EXISTS (SELECT 1 FROM turns e WHERE e.thread = n.thread AND e.state = 'waiting'
                                                  AND e.position < n.position)
          AND NOT EXISTS ({thread_holds.HELD_BY_COMMAND.format(turn="n")})
          AND (SELECT count(*) FROM turns u WHERE u.user = n.user AND u.state = 'running'
                                              AND u.outcome IS NULL)
              < :per_user
        ORDER BY n.id LIMIT 1
    )
    RETURNING id
"""  # noqa: S608  # constants only
_MARK_PROMPTED = f"""
    UPDATE turns SET prompted = :now
    WHERE id = :id AND epoch = :epoch AND state = 'running'
      AND NOT EXISTS (SELECT 1 FROM turns e WHERE e.thread = turns.thread
                      AND e.state = 'waiting' AND e.position < turns.position)
      AND NOT EXISTS ({thread_holds.HELD_BY_COMMAND.format(turn="turns")})
    RETURNING id
"""  # noqa: S608  # constants only
# An ending on record belonged to the asking that is given up with it. Whether the thread shows work
# still, nobody may have been able to find out.
_REQUEUE = """
    UPDATE turns
    SET state = 'waiting', status_left = 1,
        outcome = NULL, answer = NULL, note = NULL, model = NULL,
        input_tokens = 0, output_tokens = 0, seconds = 0, context_tokens = 0, context_limit = 0
    WHERE id = :id AND epoch = :epoch AND state = 'running' RETURNING id
"""
_RECORD_RESULT = """
    UPDATE turns
    SET outcome = :outcome, answer = :answer, note = :note, model = :model,
        input_tokens = :input_tokens, output_tokens = :output_tokens, seconds = :seconds,
        context_tokens = :context_tokens, context_limit = :context_limit
    WHERE id = :id AND epoch = :epoch AND state = 'running' RETURNING id
"""
# What is refused, or left to others, was not asked of a session.
_FINISH_TURN = """
    UPDATE turns
    SET state = :state, ended = :now, status_left = status_left OR :status_left,
        session = CASE WHEN :state IN ('refused', 'withdrawn') THEN NULL ELSE session END
    WHERE id = :id AND epoch = :epoch AND state = 'running'
    RETURNING session, model, input_tokens, output_tokens, seconds, context_tokens,
              context_limit
"""
# The end of a turn is the end of its last stream, of which no other note is made.
_CLOSE_PARTS = "UPDATE parts SET closed = 1 WHERE turn = ? AND closed = 0"
# An open turn keeps its words: they are still wanted.
ERASE_TEXT = """
    UPDATE turns SET text = '', answer = NULL, note = NULL
    WHERE id IN (SELECT value FROM json_each(?)) AND state NOT IN ('waiting', 'running')
      AND NOT EXISTS (SELECT 1 FROM remembered r WHERE r.turn = turns.id)
"""
UNNOTIFIED = f"""
    {SELECT_TURN} WHERE n.state = 'refused' AND n.outcome IS NULL AND n.accepted >= ?
    ORDER BY n.accepted LIMIT 100
"""
_MARK_NOTIFIED = """
    UPDATE turns SET outcome = 'refused', note = :note
    WHERE id = :id AND state = 'refused' AND outcome IS NULL
"""
_UPDATE_TEXT = "UPDATE turns SET text = :text WHERE id = :id AND state = 'waiting' RETURNING id"
_WITHDRAW = """
    UPDATE turns SET state = 'withdrawn', ended = :now
    WHERE id = :id AND state = 'waiting' RETURNING id
"""
# Whoever ran them showed so in their threads, and is gone.
RECOVER = """
    UPDATE turns SET epoch = epoch + 1, started = ?, status_left = 1 WHERE state = 'running'
"""
# The plus keeps SQLite from walking through all turns for the sake of their order.
RUNNING = f"{SELECT_TURN} WHERE n.state = 'running' ORDER BY +n.id"
TURN_BY_TS = f"""
    {SELECT_TURN}
    JOIN events e ON e.team = h.team AND e.channel = h.channel AND e.root_ts = h.root_ts
                 AND e.ts = n.ts
    WHERE e.team = ? AND e.channel = ? AND e.ts = ?
"""
TURN_BY_ID = f"{SELECT_TURN} WHERE n.id = ?"
RUNNING_IN_THREAD = f"""
    {SELECT_TURN} WHERE n.state = 'running' AND h.team = ? AND h.channel = ? AND h.root_ts = ?
"""
# By the thread, whose turns are few; the pluses as above. What never began answers nothing.
LATEST_RETRY = f"""
    {SELECT_TURN} WHERE n.thread = (SELECT thread FROM turns WHERE id = ?1) AND +n.id > ?1
             AND json_extract(n.wish, '$.again') = ?1
             AND n.state NOT IN ('refused', 'withdrawn')
    ORDER BY +n.id DESC LIMIT 1
"""  # noqa: S608  # constants only
# The longest running first; the plus as above.
ALL_RUNNING = f"{SELECT_TURN} WHERE n.state = 'running' ORDER BY +n.started, +n.id LIMIT 100"
RUNNING_OF_USER = f"""
    {SELECT_TURN} WHERE n.state = 'running' AND n.user = ? ORDER BY +n.started, +n.id LIMIT 100
"""
WAITING = f"{SELECT_TURN} WHERE n.state = 'waiting' ORDER BY n.id LIMIT 1000"
WAITING_IN_THREAD = f"""
    {SELECT_TURN} WHERE n.state = 'waiting' AND h.team = ? AND h.channel = ? AND h.root_ts = ?
    ORDER BY n.position LIMIT 1000
"""


def claim(database: sqlite3.Connection, now: float, max_running_per_user: int) -> ClaimResult:
    """Take the next turn that may run, and tell how many wait still."""
    claimed = fetch_all(database, CLAIM, {"now": now, "per_user": max_running_per_user})
    return ClaimResult(
        turn=turn_by_id(database, claimed[0][0]) if claimed else None,
        queue_length=queue_length(database),
    )


def queue_length(database: sqlite3.Connection) -> int:
    """How many turns wait, in all."""
    ((waiting,),) = fetch_all(database, "SELECT waiting FROM queue")
    return int(waiting)


def mark_prompted(database: sqlite3.Connection, turn: Turn, now: float) -> bool:
    """Note that the prompt is about to be sent, unless an earlier message or order came in."""
    return _updates_row(database, _MARK_PROMPTED, {**_claim_values(turn), "now": now})


def requeue(database: sqlite3.Connection, turn: Turn) -> bool:
    """Make a running turn wait again."""
    return _updates_row(database, _REQUEUE, _claim_values(turn))


def record_result(database: sqlite3.Connection, turn: Turn, result: TurnResult) -> bool:
    """Store how a running turn ends."""
    values: dict[str, object] = {
        **_claim_values(turn),
        "outcome": _require_final(result.state),
        "answer": strip_unstorable(result.answer),
        "note": strip_unstorable(result.note),
        **usage_values(result.usage or TokenUsage()),
    }
    if result.usage is None:
        values["model"] = None
    return _updates_row(database, _RECORD_RESULT, values)


def finish_turn(
    database: sqlite3.Connection,
    turn: Turn,
    state: TurnState,
    now: float,
    *,
    status_uncleared: bool = False,
) -> bool:
    """End a running turn, and add its cost to its session's sums."""
    values = {"state": _require_final(state), "now": now, "status_left": status_uncleared}
    ended = fetch_all(database, _FINISH_TURN, {**_claim_values(turn), **values})
    if not ended:
        return False
    session, *spent = ended[0]
    fetch_all(database, _CLOSE_PARTS, (turn.id,))
    # A comparison asks copies of its session, and each of these pays for itself.
    free = turn.message.options.compare_models or spent[0] is None
    cost = TokenUsage() if free else usage_from_row(spent)
    if session is not None and not session_rows.add_usage(database, session, cost, now):
        # The session was deleted while it answered: now the words of this turn go, too.
        fetch_all(database, ERASE_TEXT, (json.dumps([turn.id]),))
    return True


def recover(database: sqlite3.Connection, now: float) -> Sequence[Turn]:
    """Claim anew what a process that is gone had claimed."""
    fetch_all(database, RECOVER, (now,))
    return read_turns(database, RUNNING)


def turn_by_ts(database: sqlite3.Connection, team: str, channel: str, ts: str) -> Turn | None:
    """The turn of a message."""
    return read_turn(database, TURN_BY_TS, (team, channel, ts))


def turn_by_id(database: sqlite3.Connection, number: int) -> Turn | None:
    """The turn with an id."""
    return read_turn(database, TURN_BY_ID, (number,))


def running_turn(database: sqlite3.Connection, key: ThreadKey) -> Turn | None:
    """The running turn of a thread."""
    return read_turn(database, RUNNING_IN_THREAD, (key.team, key.channel, key.root_ts))


def latest_retry(database: sqlite3.Connection, number: int) -> Turn | None:
    """The newest turn that was made to answer another one anew."""
    return read_turn(database, LATEST_RETRY, (number,))


def running_turns(database: sqlite3.Connection, user: str) -> Sequence[Turn]:
    """All running turns, or one person's."""
    if user:
        return read_turns(database, RUNNING_OF_USER, (user,))
    return read_turns(database, ALL_RUNNING)


def waiting_turns(database: sqlite3.Connection, key: ThreadKey | None) -> Sequence[Turn]:
    """The waiting turns of a thread, or of all."""
    if key is None:
        return read_turns(database, WAITING)
    return read_turns(database, WAITING_IN_THREAD, (key.team, key.channel, key.root_ts))


def unnotified(database: sqlite3.Connection, since: float) -> Sequence[Turn]:
    """Those refused since a time whose authors were not told."""
    return read_turns(database, UNNOTIFIED, (since,))


def mark_notified(database: sqlite3.Connection, turn: Turn, notice: str) -> None:
    """Note that the author of a refused turn was told."""
    fetch_all(database, _MARK_NOTIFIED, {"id": turn.id, "note": strip_unstorable(notice)})


def update_text(database: sqlite3.Connection, turn: Turn, text: str) -> bool:
    """Replace a waiting turn's text."""
    return _updates_row(database, _UPDATE_TEXT, {"id": turn.id, "text": strip_unstorable(text)})


def withdraw(database: sqlite3.Connection, turn: Turn, now: float) -> bool:
    """End a waiting turn."""
    return _updates_row(database, _WITHDRAW, {"id": turn.id, "now": now})


def _claim_values(turn: Turn) -> dict[str, object]:
    return {"id": turn.id, "epoch": turn.epoch}


def _require_final(state: TurnState) -> TurnState:
    if not state.final:
        raise StoreError(f"a turn cannot end as {state}")
    return state


def _updates_row(
    database: sqlite3.Connection, statement: str, values: Mapping[str, object]
) -> bool:
    return bool(fetch_all(database, statement, values))
