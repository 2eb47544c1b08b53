"""Queries and updates comparisons of models and the votes for their answers."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence

from bot.domain.comparisons import Candidate, Comparison, ModelScore
from bot.domain.messages import ThreadKey, strip_unstorable
from bot.domain.turns import Turn
from bot.store.sqlite import session_rows
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write
from bot.store.sqlite.turn_rows import usage_from_row, usage_values

log = logging.getLogger(__name__)

# The epoch: a process that was frozen must not replace what another one recorded.
_SAVE_COMPARISON = """
    INSERT INTO comparisons (turn, channel, session, open, revealed)
    SELECT n.id, h.channel, :session, :open, :open FROM turns n JOIN threads h ON h.id = n.thread
    WHERE n.id = :turn AND n.epoch = :epoch
    ON CONFLICT (turn) DO UPDATE
    SET session = excluded.session, open = excluded.open, revealed = excluded.revealed, kept = ''
    RETURNING turn
"""
_INSERT_CANDIDATE = """
    INSERT INTO candidates (turn, label, session, answer, failed, model, input_tokens,
                            output_tokens, seconds, context_tokens, context_limit)
    VALUES (:turn, :label, :session, :answer, :failed, :model, :input_tokens,
            :output_tokens, :seconds, :context_tokens, :context_limit)
"""
_DELETE_CANDIDATES = (
    "DELETE FROM candidates WHERE turn = ? RETURNING session, input_tokens, output_tokens"
)
_CLEAR_LABELS = "UPDATE remembered SET label = '' WHERE turn = ? AND label <> ''"
_SET_LABEL = "UPDATE remembered SET label = ? WHERE turn = ? AND session = ?"
COMPARISON = """
    SELECT c.session, h.team, h.channel, h.root_ts, n.user, c.open, c.revealed, c.kept
    FROM comparisons c JOIN turns n ON n.id = c.turn JOIN threads h ON h.id = n.thread
    WHERE c.turn = ?
"""
CANDIDATES = """
    SELECT c.label, c.session, c.answer, c.failed,
           (SELECT count(*) FROM votes v WHERE v.turn = c.turn AND v.label = c.label),
           c.model, c.input_tokens, c.output_tokens, c.seconds, c.context_tokens, c.context_limit
    FROM candidates c WHERE c.turn = ? ORDER BY c.label
"""
_SAVE_VOTE = """
    INSERT INTO votes (turn, user, label)
    SELECT c.turn, :user, k.label
    FROM comparisons c JOIN candidates k ON k.turn = c.turn AND k.label = :label
    WHERE c.turn = :turn AND k.failed = '' AND (c.open OR NOT c.revealed)
    ON CONFLICT (turn, user) DO UPDATE SET label = excluded.label
    RETURNING 1
"""
_REVEAL_MODELS = "UPDATE comparisons SET revealed = 1 WHERE turn = ? AND NOT revealed RETURNING 1"
_MARK_KEPT = """
    UPDATE comparisons SET kept = :label
    WHERE turn = :turn AND kept = ''
      AND EXISTS (SELECT 1 FROM candidates k WHERE k.turn = :turn AND k.label = :label
                  AND k.failed = '' AND k.session <> 0)
    RETURNING 1
"""
# Revealed comparisons only: a score that changes with a vote would give the model away.
SCORES = """
    SELECT k.model, count(*),
           sum((SELECT count(*) FROM votes v WHERE v.turn = k.turn AND v.label = k.label)),
           sum(c.kept = k.label)
    FROM json_each(?) asked CROSS JOIN comparisons c ON c.channel = asked.value
    CROSS JOIN candidates k ON k.turn = c.turn
    WHERE k.failed = '' AND (c.revealed OR c.kept <> '')
    GROUP BY k.model ORDER BY 3 DESC, 4 DESC, 2 DESC, 1 LIMIT ?
"""


class ComparisonQueries(Queries):
    """Queries for comparisons: `bot.ports.ComparisonStore`."""

    @write
    def save_comparison(
        self,
        database: sqlite3.Connection,
        turn: Turn,
        session: int,
        candidates: Sequence[Candidate],
    ) -> None:
        values: dict[str, object] = {
            "turn": turn.id,
            "epoch": turn.epoch,
            "session": session,
            "open": turn.message.options.show_names,
        }
        if not fetch_all(database, _SAVE_COMPARISON, values):
            log.warning("comparison not saved: turn=%d reason=claimed again", turn.id)
            return
        for paid_by, input_tokens, output_tokens in fetch_all(
            database, _DELETE_CANDIDATES, (turn.id,)
        ):
            session_rows.subtract_usage(database, paid_by, input_tokens, output_tokens)
        fetch_all(database, _CLEAR_LABELS, (turn.id,))
        now = self._clock.now()
        for candidate in candidates:
            # A session may have been deleted while it answered; its answer goes, too.
            exists = session_rows.add_usage(database, candidate.session, candidate.usage, now)
            row = {
                "turn": turn.id,
                "label": candidate.label,
                "session": candidate.session if exists else 0,
                "answer": strip_unstorable(candidate.answer) if exists else "",
                "failed": strip_unstorable(candidate.error),
                **usage_values(candidate.usage),
            }
            fetch_all(database, _INSERT_CANDIDATE, row)
            fetch_all(database, _SET_LABEL, (candidate.label, turn.id, candidate.session))

    @read
    def comparison_of_turn(self, database: sqlite3.Connection, turn: int) -> Comparison | None:
        found = fetch_all(database, COMPARISON, (turn,))
        if not found:
            return None
        session, team, channel, root_ts, user, show_names, revealed, kept = found[0]
        return Comparison(
            turn=turn,
            session=session,
            thread=ThreadKey(team=team, channel=channel, root_ts=root_ts),
            user=user,
            show_names=bool(show_names),
            revealed=bool(revealed),
            kept_label=kept,
            candidates=tuple(_candidate(row) for row in fetch_all(database, CANDIDATES, (turn,))),
        )

    @write
    def save_vote(self, database: sqlite3.Connection, turn: int, user: str, label: str) -> bool:
        return bool(fetch_all(database, _SAVE_VOTE, {"turn": turn, "user": user, "label": label}))

    @write
    def reveal_models(self, database: sqlite3.Connection, turn: int) -> bool:
        return bool(fetch_all(database, _REVEAL_MODELS, (turn,)))

    @write
    def mark_kept(self, database: sqlite3.Connection, turn: int, label: str) -> bool:
        return bool(fetch_all(database, _MARK_KEPT, {"turn": turn, "label": label}))

    @read
    def model_scores(
        self, database: sqlite3.Connection, channels: Sequence[str], max_rows: int = 10
    ) -> Sequence[ModelScore]:
        return tuple(
            ModelScore(model=model, comparison_count=compared, votes=votes, kept_count=kept)
            for model, compared, votes, kept in fetch_all(
                database, SCORES, (json.dumps(sorted(set(channels))), max_rows)
            )
        )


def _candidate(row: sqlite3.Row) -> Candidate:
    label, session, answer, error, votes, *usage = row
    return Candidate(
        label=label,
        session=session,
        usage=usage_from_row(usage),
        answer=answer,
        error=error,
        votes=votes,
    )
