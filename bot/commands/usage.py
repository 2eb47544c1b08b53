"""The order `usage`: turns and tokens of a thread, a person, a channel or a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bot.access import texts as access_texts
from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import count, how_it_goes, many
from bot.commands.registry import PERIODS
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Card, Line, Outcome, Press, told
from bot.domain.usage import UsageBy, UsageRow
from bot.ports import Clock, People, Store

_DAY_SECONDS: Final = 86_400
PERIOD_SECONDS: Final[Mapping[str, float]] = {
    "day": _DAY_SECONDS,
    "week": 7 * _DAY_SECONDS,
    "month": 30 * _DAY_SECONDS,
}
_MOST_ROWS: Final = 10
_WORDS: Final = re.compile(rf"({'|'.join(PERIODS)})?(?: *by ({'|'.join(UsageBy)}))?", re.IGNORECASE)


class Spending:
    """Tells what was used; of other people only what those in charge may know."""

    def __init__(self, store: Store, people: People, clock: Clock) -> None:
        self._store = store
        self._people = people
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"usage": self.usage}

    async def usage(self, asked: Asked) -> Outcome:
        found = _WORDS.fullmatch(asked.words.strip())
        if found is None:
            return told(how_it_goes("usage"))
        usual = UsageBy.PERSON if asked.place is None else UsageBy.THREAD
        period = (found[1] or "week").casefold()
        by = UsageBy(found[2].casefold()) if found[2] else usual
        if by is UsageBy.THREAD and asked.place is None:
            return told(session_texts.USAGE_NO_THREAD)
        channel = asked.place.channel if asked.place else asked.order.channel
        if by is UsageBy.CHANNEL:
            if not channel:
                return told(session_texts.USAGE_NO_CHANNEL)
            if not await self._people.sees(asked.person.user, channel):
                return told(access_texts.NOT_SEEN)
        rows = await self._rows(asked, by, period, channel)
        everybody = by is UsageBy.MODEL and asked.in_charge
        about = session_texts.USAGE_OF_ALL if everybody else session_texts.USAGE_OF[by]
        told_period = session_texts.PERIODS[period]
        return Outcome(
            card=Card(
                title=session_texts.USAGE_TITLE.format(period=told_period),
                text=about.format(period=told_period),
                lines=tuple(_line(row, by) for row in rows)
                or (Line(text=session_texts.USAGE_NOTHING),),
                presses=tuple(
                    Press(
                        label=session_texts.PERIOD_LABELS[each],
                        verb="usage",
                        words=f"{each} by {by}",
                    )
                    for each in PERIODS
                    if each != period
                ),
            )
        )

    async def _rows(
        self, asked: Asked, by: UsageBy, period: str, channel: str
    ) -> tuple[UsageRow, ...]:
        since = self._clock.now() - PERIOD_SECONDS[period]
        theirs = by is UsageBy.PERSON or (by is UsageBy.MODEL and not asked.in_charge)
        rows = await self._store.usage(
            by,
            since,
            thread=asked.place if by is UsageBy.THREAD else None,
            user=asked.person.user if theirs else "",
            channel=channel if by is UsageBy.CHANNEL else "",
            most=_MOST_ROWS,
        )
        return tuple(rows)


def _line(row: UsageRow, by: UsageBy) -> Line:
    name = row.name or session_texts.UNKNOWN_MODEL
    return Line(text=session_texts.USAGE_NAMES.get(by, name), detail=used(row))


def used(row: UsageRow) -> str:
    """What somebody or something used: turns and tokens."""
    return session_texts.USAGE_ROW.format(
        turns=many(row.turns, "turn"),
        input=count(row.input_tokens),
        output=count(row.output_tokens),
    )
