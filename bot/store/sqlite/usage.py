"""What is said to the database about what was used: turns that came to a prompt, by the time at
which it was sent, and side questions."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.domain.messages import ThreadKey
from bot.domain.usage import UsageBy, UsageRow
from bot.store.sqlite.connection import rows

_THREAD: Final = "h.team || '/' || h.channel || '/' || h.root_ts"
_MODEL: Final = "coalesce(k.model, n.model, '')"
# What turns are added up by, and what its name is. The plus keeps SQLite from walking through all
# turns for the sake of their order.
_BY: Final[Mapping[UsageBy, tuple[str, str]]] = MappingProxyType(
    {
        UsageBy.THREAD: ("+n.thread", _THREAD),
        UsageBy.PERSON: ("+n.user", "n.user"),
        UsageBy.CHANNEL: ("h.channel", "h.channel"),
        UsageBy.MODEL: (_MODEL, _MODEL),
    }
)
# The same of side questions. Which model answered one is not known.
_ASIDE_BY: Final[Mapping[UsageBy, str]] = MappingProxyType(
    {UsageBy.THREAD: "a.thread", UsageBy.PERSON: "a.user", UsageBy.CHANNEL: "a.channel"}
)
SINCE: Final = """
    SELECT (SELECT count(*) FROM turns WHERE user = ?1 AND prompted >= ?2)
           + (SELECT count(*) FROM asides WHERE user = ?1 AND at >= ?2)
"""
_NOTE: Final = "INSERT INTO asides (user, thread, channel, at) VALUES (?, ?, ?, ?)"


def usage(
    database: sqlite3.Connection,
    by: UsageBy,
    since: float,
    *,
    thread: ThreadKey | None,
    user: str,
    channel: str,
    most: int,
) -> tuple[UsageRow, ...]:
    """What was used since a time, the most turns first."""
    query = usage_query(by, thread=thread is not None, user=bool(user), channel=bool(channel))
    values: dict[str, object] = {"since": since, "user": user, "channel": channel, "most": most}
    if thread is not None:
        values |= {"team": thread.team, "in": thread.channel, "root_ts": thread.root_ts}
        values["text"] = str(thread)
    return tuple(
        UsageRow(name=name, turns=turns, input_tokens=taken, output_tokens=given)
        for name, turns, taken, given in rows(database, query, values)
    )


def usage_query(by: UsageBy, *, thread: bool, user: bool, channel: bool) -> str:
    """The query that adds up, narrowed as said."""
    used = [_of_turns(by, thread=thread, user=user, channel=channel)]
    if by in _ASIDE_BY:
        used.append(_of_asides(_ASIDE_BY[by], thread=thread, user=user, channel=channel))
    return (
        "SELECT name, sum(turns), sum(taken), sum(given) "  # noqa: S608  # constants only
        f"FROM ({' UNION ALL '.join(used)}) GROUP BY name ORDER BY 2 DESC, 1 LIMIT :most"
    )


def _of_turns(by: UsageBy, *, thread: bool, user: bool, channel: bool) -> str:
    """What turns used, by name. Of those that compare, each answer counts by its model."""
    group, name = _BY[by]
    taken, given, answers = "n.input_tokens", "n.output_tokens", ""
    if by is UsageBy.MODEL:
        taken, given = f"coalesce(k.input_tokens, {taken})", f"coalesce(k.output_tokens, {given})"
        answers = "LEFT JOIN candidates k ON k.turn = n.id"
    narrowed = ["n.prompted >= :since"]
    if thread:
        narrowed.append(
            "n.thread = (SELECT id FROM threads "
            "WHERE team = :team AND channel = :in AND root_ts = :root_ts)"
        )
    if user:
        narrowed.append("n.user = :user")
    if channel:
        narrowed.append("h.channel = :channel")
    return (
        f"SELECT {name} AS name, count(*) AS turns, sum({taken}) AS taken, "  # noqa: S608  # constants only
        f"sum({given}) AS given FROM turns n CROSS JOIN threads h ON h.id = n.thread {answers} "
        f"WHERE {' AND '.join(narrowed)} GROUP BY {group}"
    )


def _of_asides(name: str, *, thread: bool, user: bool, channel: bool) -> str:
    """How many side questions were asked, by name; those without one are left out."""
    narrowed = ["a.at >= :since", f"{name} <> ''"]
    if thread:
        narrowed.append("a.thread = :text")
    if user:
        narrowed.append("a.user = :user")
    if channel:
        narrowed.append("a.channel = :channel")
    return (
        f"SELECT {name}, count(*), 0, 0 FROM asides a "  # noqa: S608  # constants only
        f"WHERE {' AND '.join(narrowed)} GROUP BY +{name}"
    )


def turns_since(database: sqlite3.Connection, user: str, since: float) -> int:
    """How many turns of somebody came to a prompt since a time, and side questions."""
    ((count,),) = rows(database, SINCE, (user, since))
    return int(count)


def note_aside(
    database: sqlite3.Connection, user: str, thread: ThreadKey | None, now: float
) -> None:
    """Somebody asks a side question."""
    place = ("", "") if thread is None else (str(thread), thread.channel)
    rows(database, _NOTE, (user, *place, now))
