"""Queries and updates turns after they are accepted.

Every write of a running turn names the epoch of its claim. A process that was frozen can therefore
not end a turn that another process has claimed since.
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
from bot.store.sqlite.queries import Queries, read, write
from bot.store.sqlite.turn_rows import (
    SELECT_TURN,
    read_turn,
    read_turns,
    usage_from_row,
    usage_values,
)

# The oldest waiting turn that is the first of its thread, if no turn of the thread runs, no earlier
# command holds it, and its user is below the limit. A turn with a recorded result only waits for
# Slack to show it. It still blocks its thread, which keeps the order there, but takes no slot of
# its user. A plain message goes to the thread's current session. Assigning that session here saves
# a write (`SessionQueries.ensure_session`).
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
# A recorded result belongs to the abandoned attempt. Whether the thread still shows a status may be
# unknown.
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
# A refused or withdrawn turn was not sent to a session.
_FINISH_TURN = """
    UPDATE turns
    SET state = :state, ended = :now, status_left = status_left OR :status_left,
        session = CASE WHEN :state IN ('refused', 'withdrawn') THEN NULL ELSE session END
    WHERE id = :id AND epoch = :epoch AND state = 'running'
    RETURNING session, model, input_tokens, output_tokens, seconds, context_tokens,
              context_limit
"""
# The end of a turn is the only record of the end of its last stream.
_CLOSE_PARTS = "UPDATE parts SET closed = 1 WHERE turn = ? AND closed = 0"
# An open turn keeps its text, which is still needed.
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
# The previous process may have left a status in their threads.
RECOVER = """
    UPDATE turns SET epoch = epoch + 1, started = ?, status_left = 1 WHERE state = 'running'
"""
# The plus keeps SQLite from walking through all turns to sort by their order.
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
# Searched by thread, which has few turns; the pluses as above. A retry that never began does not
# count.
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


class TurnQueries(Queries):
    """Queries for turns: `bot.ports.InboxStore` without `accept_message`."""

    @write
    def claim(self, database: sqlite3.Connection) -> ClaimResult:
        claimed = fetch_all(
            database,
            CLAIM,
            {"now": self._clock.now(), "per_user": self._limits.max_running_per_user},
        )
        return ClaimResult(
            turn=find_turn(database, claimed[0][0]) if claimed else None,
            queue_length=count_waiting(database),
        )

    @write
    def mark_prompted(self, database: sqlite3.Connection, turn: Turn) -> bool:
        return _updates_row(
            database,
            _MARK_PROMPTED,
            {**_claim_values(turn), "now": self._clock.now()},
        )

    @write
    def requeue(self, database: sqlite3.Connection, turn: Turn) -> bool:
        return _updates_row(database, _REQUEUE, _claim_values(turn))

    @write
    def record_result(self, database: sqlite3.Connection, turn: Turn, result: TurnResult) -> bool:
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

    async def finish_turn(
        self, turn: Turn, state: TurnState, *, may_show_status: bool = False
    ) -> bool:
        finished = await self._finish_turn(turn, state, may_show_status=may_show_status)
        if finished:
            self._telemetry.record_turn_ended(turn, state)
        return finished

    @write
    def _finish_turn(
        self, database: sqlite3.Connection, turn: Turn, state: TurnState, *, may_show_status: bool
    ) -> bool:
        now = self._clock.now()
        values = {"state": _require_final(state), "now": now, "status_left": may_show_status}
        ended = fetch_all(database, _FINISH_TURN, {**_claim_values(turn), **values})
        if not ended:
            return False
        session, *usage = ended[0]
        fetch_all(database, _CLOSE_PARTS, (turn.id,))
        # A comparison uses copies of its session, and each copy has its own usage.
        free = turn.message.options.compare_models or usage[0] is None
        cost = TokenUsage() if free else usage_from_row(usage)
        if session is not None and not session_rows.add_usage(database, session, cost, now):
            # The session was deleted while it answered, so the texts of this turn go, too.
            fetch_all(database, ERASE_TEXT, (json.dumps([turn.id]),))
        return True

    @write
    def recover(self, database: sqlite3.Connection) -> Sequence[Turn]:
        fetch_all(database, RECOVER, (self._clock.now(),))
        return read_turns(database, RUNNING)

    @read
    def turn_by_ts(
        self, database: sqlite3.Connection, team: str, channel: str, ts: str
    ) -> Turn | None:
        return read_turn(database, TURN_BY_TS, (team, channel, ts))

    @read
    def turn_by_id(self, database: sqlite3.Connection, number: int) -> Turn | None:
        return find_turn(database, number)

    @read
    def running_turn(self, database: sqlite3.Connection, thread: ThreadKey) -> Turn | None:
        return read_turn(database, RUNNING_IN_THREAD, (thread.team, thread.channel, thread.root_ts))

    @read
    def latest_retry(self, database: sqlite3.Connection, turn: int) -> Turn | None:
        return find_latest_retry(database, turn)

    @read
    def running_turns(self, database: sqlite3.Connection, user: str = "") -> Sequence[Turn]:
        if user:
            return read_turns(database, RUNNING_OF_USER, (user,))
        return read_turns(database, ALL_RUNNING)

    @read
    def waiting_turns(
        self, database: sqlite3.Connection, thread: ThreadKey | None = None
    ) -> Sequence[Turn]:
        if thread is None:
            return read_turns(database, WAITING)
        return read_turns(
            database, WAITING_IN_THREAD, (thread.team, thread.channel, thread.root_ts)
        )

    @read
    def unnotified(self, database: sqlite3.Connection, since: float) -> Sequence[Turn]:
        return read_turns(database, UNNOTIFIED, (since,))

    @write
    def mark_notified(self, database: sqlite3.Connection, turn: Turn, notice: str) -> None:
        fetch_all(database, _MARK_NOTIFIED, {"id": turn.id, "note": strip_unstorable(notice)})

    @write
    def update_text(self, database: sqlite3.Connection, turn: Turn, text: str) -> bool:
        return _updates_row(database, _UPDATE_TEXT, {"id": turn.id, "text": strip_unstorable(text)})

    async def withdraw(self, turn: Turn) -> bool:
        withdrawn = await self._withdraw(turn)
        if withdrawn:
            self._telemetry.record_turn_ended(turn, TurnState.WITHDRAWN)
        return withdrawn

    @write
    def _withdraw(self, database: sqlite3.Connection, turn: Turn) -> bool:
        return _updates_row(database, _WITHDRAW, {"id": turn.id, "now": self._clock.now()})

    @read
    def queue_length(self, database: sqlite3.Connection) -> int:
        return count_waiting(database)


def count_waiting(database: sqlite3.Connection) -> int:
    """The number of waiting turns in all."""
    ((waiting,),) = fetch_all(database, "SELECT waiting FROM queue")
    return int(waiting)


def find_turn(database: sqlite3.Connection, number: int) -> Turn | None:
    """The turn with an id, or None."""
    return read_turn(database, TURN_BY_ID, (number,))


def find_latest_retry(database: sqlite3.Connection, turn: int) -> Turn | None:
    """The newest retry of a turn, or None."""
    return read_turn(database, LATEST_RETRY, (turn,))


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
