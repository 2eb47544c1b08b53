"""How a turn stands in the database: its row as a fact, and a wish as text."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from bot.domain.messages import Message, ThreadKey, Trigger, Wish, storable
from bot.domain.turns import Ending, Turn, TurnState
from bot.domain.usage import Spent
from bot.store.sqlite.connection import rows

TURN: Final = """
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
    """The turns that a query which begins with `TURN` finds.

    Raises `ValueError` for a state that this version knows not.
    """
    return tuple(_turn(row) for row in rows(database, query, values))


def read_turn(
    database: sqlite3.Connection, query: str, values: Sequence[object] | Mapping[str, object]
) -> Turn | None:
    """The first of them."""
    found = read_turns(database, query, values)
    return found[0] if found else None


def wish_text(wish: Wish) -> str | None:
    """A wish for the database; None for the plain one."""
    if wish == Wish():
        return None
    return json.dumps(
        {
            "role": storable(wish.role),
            "model": storable(wish.model),
            "again": wish.again,
            "compare": [storable(model) for model in wish.compare],
            "open": wish.open,
        }
    )


def _wish(text: str | None) -> Wish:
    if text is None:
        return Wish()
    said = json.loads(text)
    return Wish(
        role=said["role"],
        model=said["model"],
        again=said["again"],
        compare=tuple(said["compare"]),
        open=said["open"],
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
        wish=_wish(wish),
    )
    return Turn(
        id=number,
        message=message,
        state=TurnState(state),
        epoch=epoch,
        waited=bool(waited),
        prompted=prompted is not None,
        accepted=accepted,
        ending=_ending(*ending),
    )


def _ending(
    outcome: str | None, answer: str | None, note: str | None, *spent: str | float | None
) -> Ending | None:
    if outcome is None:
        return None
    return Ending(
        state=TurnState(outcome), answer=answer or "", note=note or "", spent=_spent(*spent)
    )


def _spent(model: object, *costs: object) -> Spent | None:
    if not isinstance(model, str):
        return None
    return spent_of((model, *costs))


def spent_of(row: Sequence[object]) -> Spent:
    """What was spent, from the six columns that every table keeps it in."""
    model, input_tokens, output_tokens, seconds, context_tokens, context_limit = row
    return Spent(
        model=str(model),
        input_tokens=_whole(input_tokens),
        output_tokens=_whole(output_tokens),
        seconds=seconds if isinstance(seconds, float) else 0.0,
        context_tokens=_whole(context_tokens),
        context_limit=_whole(context_limit),
    )


def spent_values(spent: Spent) -> dict[str, object]:
    """The same the other way."""
    return {
        "model": storable(spent.model),
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        "seconds": spent.seconds,
        "context_tokens": spent.context_tokens,
        "context_limit": spent.context_limit,
    }


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0
