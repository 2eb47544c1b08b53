"""Converts turns, message options and usage between rows and domain values."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from bot.domain.messages import Message, MessageOptions, ThreadKey, Trigger, strip_unstorable
from bot.domain.turns import Turn, TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.store.sqlite.connection import fetch_all

SELECT_TURN: Final = """
    SELECT n.id, n.event_id, h.team, h.channel, h.root_ts, n.ts, n.user, n.user_team, n.text,
           n.trigger, n.external, n.direct, n.wish, n.state, n.epoch, n.waited, n.prompted,
           n.accepted, n.outcome, n.answer, n.note,
           n.model, n.input_tokens, n.output_tokens, n.seconds, n.context_tokens, n.context_limit
    FROM turns n JOIN threads h ON h.id = n.thread
"""


def read_turns(
    database: sqlite3.Connection,
    query: str,
    values: Sequence[object] | Mapping[str, object] = (),
) -> tuple[Turn, ...]:
    """The turns found by a query that begins with `SELECT_TURN`.

    Raises `ValueError` for a state that this version does not know.
    """
    return tuple(_turn(row) for row in fetch_all(database, query, values))


def read_turn(
    database: sqlite3.Connection, query: str, values: Sequence[object] | Mapping[str, object]
) -> Turn | None:
    """The first turn found by such a query, or None."""
    found = read_turns(database, query, values)
    return found[0] if found else None


def dump_options(options: MessageOptions) -> str | None:
    """Message options as JSON, or None for the default ones."""
    if options == MessageOptions():
        return None
    return json.dumps(
        {
            "role": strip_unstorable(options.role),
            "model": strip_unstorable(options.model),
            "again": options.retry_of,
            "compare": [strip_unstorable(model) for model in options.compare_models],
            "open": options.show_names,
        }
    )


def _load_options(text: str | None) -> MessageOptions:
    if text is None:
        return MessageOptions()
    values = json.loads(text)
    return MessageOptions(
        role=values["role"],
        model=values["model"],
        retry_of=values["again"],
        compare_models=tuple(values["compare"]),
        show_names=values["open"],
    )


def _turn(row: sqlite3.Row) -> Turn:
    number, event_id, team, channel, root_ts, ts, user, user_team, text, *rest = row
    trigger, external, direct, wish, state, epoch, waited, prompted, accepted, *ending = rest
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
        options=_load_options(wish),
    )
    return Turn(
        id=number,
        message=message,
        state=TurnState(state),
        epoch=epoch,
        may_be_marked_waiting=bool(waited),
        prompted=prompted is not None,
        accepted_at=accepted,
        result=_result(*ending),
    )


def _result(
    outcome: str | None, answer: str | None, note: str | None, *usage: str | float | None
) -> TurnResult | None:
    if outcome is None:
        return None
    return TurnResult(
        state=TurnState(outcome),
        answer=answer or "",
        note=note or "",
        usage=_optional_usage(*usage),
    )


def _optional_usage(model: object, *costs: object) -> TokenUsage | None:
    if not isinstance(model, str):
        return None
    return usage_from_row((model, *costs))


def usage_from_row(row: Sequence[object]) -> TokenUsage:
    """The usage in the six columns that every table stores it in."""
    model, input_tokens, output_tokens, seconds, context_tokens, context_limit = row
    return TokenUsage(
        model=str(model),
        input_tokens=_as_integer(input_tokens),
        output_tokens=_as_integer(output_tokens),
        seconds=seconds if isinstance(seconds, float) else 0.0,
        context_tokens=_as_integer(context_tokens),
        context_limit=_as_integer(context_limit),
    )


def usage_values(usage: TokenUsage) -> dict[str, object]:
    """The values of these columns for a usage."""
    return {
        "model": strip_unstorable(usage.model),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "seconds": usage.seconds,
        "context_tokens": usage.context_tokens,
        "context_limit": usage.context_limit,
    }


def _as_integer(value: object) -> int:
    return value if isinstance(value, int) else 0
