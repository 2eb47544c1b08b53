"""Sums the usage of prompted turns, by the time of the prompt, and of side questions."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bot.domain.messages import ThreadKey
from bot.domain.usage import UsageGrouping, UsageRow
from bot.store.sqlite.connection import fetch_all
from bot.store.sqlite.queries import Queries, read, write

_THREAD_KEY: Final = "h.team || '/' || h.channel || '/' || h.root_ts"
_MODEL: Final = "coalesce(k.model, n.model, '')"
# The expressions to group turns by and to name the groups. The plus keeps SQLite from walking
# through all turns to sort by their order.
_GROUPINGS: Final[Mapping[UsageGrouping, tuple[str, str]]] = MappingProxyType(
    {
        UsageGrouping.THREAD: ("+n.thread", _THREAD_KEY),
        UsageGrouping.USER: ("+n.user", "n.user"),
        UsageGrouping.CHANNEL: ("h.channel", "h.channel"),
        UsageGrouping.MODEL: (_MODEL, _MODEL),
    }
)
# The same for side questions. The model of a side question is not known.
_SIDE_QUESTION_GROUPINGS: Final[Mapping[UsageGrouping, str]] = MappingProxyType(
    {
        UsageGrouping.THREAD: "a.thread",
        UsageGrouping.USER: "a.user",
        UsageGrouping.CHANNEL: "a.channel",
    }
)
COUNT_SINCE: Final = """
    SELECT (SELECT count(*) FROM turns WHERE user = ?1 AND prompted >= ?2)
           + (SELECT count(*) FROM asides WHERE user = ?1 AND at >= ?2)
"""
_INSERT_SIDE_QUESTION: Final = "INSERT INTO asides (user, thread, channel, at) VALUES (?, ?, ?, ?)"


class UsageQueries(Queries):
    """Queries for usage: `bot.ports.UsageStore`."""

    @read
    def sum_usage(
        self,
        database: sqlite3.Connection,
        grouping: UsageGrouping,
        since: float,
        *,
        thread: ThreadKey | None = None,
        user: str = "",
        channel: str = "",
        max_rows: int = 20,
    ) -> tuple[UsageRow, ...]:
        query = usage_query(
            grouping, thread=thread is not None, user=bool(user), channel=bool(channel)
        )
        values: dict[str, object] = {
            "since": since,
            "user": user,
            "channel": channel,
            "most": max_rows,
        }
        if thread is not None:
            values |= {"team": thread.team, "in": thread.channel, "root_ts": thread.root_ts}
            values["text"] = str(thread)
        return tuple(
            UsageRow(key=name, turns=turns, input_tokens=taken, output_tokens=given)
            for name, turns, taken, given in fetch_all(database, query, values)
        )

    @read
    def count_turns_since(self, database: sqlite3.Connection, user: str, since: float) -> int:
        ((count,),) = fetch_all(database, COUNT_SINCE, (user, since))
        return int(count)

    @write
    def record_side_question(
        self, database: sqlite3.Connection, user: str, thread: ThreadKey | None
    ) -> None:
        place = ("", "") if thread is None else (str(thread), thread.channel)
        fetch_all(database, _INSERT_SIDE_QUESTION, (user, *place, self._clock.now()))


def usage_query(grouping: UsageGrouping, *, thread: bool, user: bool, channel: bool) -> str:
    """The query that sums usage, with conditions for what is True."""
    used = [_turns_query(grouping, thread=thread, user=user, channel=channel)]
    if grouping in _SIDE_QUESTION_GROUPINGS:
        used.append(
            _side_questions_query(
                _SIDE_QUESTION_GROUPINGS[grouping], thread=thread, user=user, channel=channel
            )
        )
    return (
        "SELECT name, sum(turns), sum(taken), sum(given) "  # noqa: S608  # constants only
        f"FROM ({' UNION ALL '.join(used)}) GROUP BY name ORDER BY 2 DESC, 1 LIMIT :most"
    )


def _turns_query(grouping: UsageGrouping, *, thread: bool, user: bool, channel: bool) -> str:
    """The usage of turns by name. Each answer of a comparison counts for its own model."""
    group, name = _GROUPINGS[grouping]
    taken, given, answers = "n.input_tokens", "n.output_tokens", ""
    if grouping is UsageGrouping.MODEL:
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


def _side_questions_query(name: str, *, thread: bool, user: bool, channel: bool) -> str:
    """The number of side questions by name; those without a name are left out."""
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
