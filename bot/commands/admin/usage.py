"""The orders `admin usage` and `admin users`: who and what uses the bot, and how much."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bot.access.policy import seen_of
from bot.access.quotas import Limit, Limits
from bot.commands.admin.limits import block_press, limit_said
from bot.commands.dispatcher import Asked
from bot.commands.formatting import Pages, age, page_in, pager
from bot.commands.registry import PERIODS
from bot.commands.texts import admin as admin_texts
from bot.commands.texts.sessions import UNKNOWN_MODEL
from bot.commands.usage import PERIOD_SECONDS, used
from bot.commands.user_names import Names
from bot.domain.cards import Card, Line, Outcome, Press, told
from bot.domain.messages import ThreadKey
from bot.domain.preferences import Scope, Topic
from bot.domain.sessions import SessionFilter
from bot.domain.usage import UsageBy, UsageRow
from bot.ports import Clock, People, Store

VERB: Final = "admin"
PAGE_SIZE: Final = 8
_BY: Final = {
    "people": UsageBy.PERSON,
    "channel": UsageBy.CHANNEL,
    "model": UsageBy.MODEL,
    "thread": UsageBy.THREAD,
}
_WORDS: Final = re.compile(
    rf"(?P<period>{'|'.join(PERIODS)})?(?: ?by (?P<by>{'|'.join(_BY)}))?", re.IGNORECASE
)
_MOST_ROWS: Final = 10
_MOST_PEOPLE: Final = 1_000


class UsageOrders:
    """Shows what was used."""

    def __init__(
        self, store: Store, people: People, names: Names, limits: Limits, clock: Clock
    ) -> None:
        self._store = store
        self._people = people
        self._names = names
        self._limits = limits
        self._clock = clock

    async def usage(self, asked: Asked) -> Outcome:
        found = _WORDS.fullmatch(asked.words)
        if found is None:
            return told(admin_texts.USAGE_HOW)
        period, by = (found["period"] or "week").casefold(), (found["by"] or "people").casefold()
        since = self._clock.now() - PERIOD_SECONDS[period]
        rows = await self._store.usage(_BY[by], since, most=_MOST_ROWS)
        presses = [
            Press(label=each.capitalize(), verb=VERB, words=f"usage {period} by {each}")
            for each in _BY
            if each != by
        ]
        card = Card(
            title=admin_texts.USAGE_TITLE.format(period=period, by=by),
            text=admin_texts.USAGE_TOP.format(count=len(rows))
            if rows
            else admin_texts.USAGE_NONE.format(period=period),
            lines=await self._lines(asked.person.user, _BY[by], rows),
            presses=tuple(presses),
            small=admin_texts.USAGE_HOW,
        )
        return Outcome(card=card)

    async def users(self, asked: Asked) -> Outcome:
        wished = page_in(asked.words) if asked.words else 1
        if wished is None:
            return told(admin_texts.USERS_HOW)
        now = self._clock.now()
        rows = await self._store.usage(
            UsageBy.PERSON, now - PERIOD_SECONDS["month"], most=_MOST_PEOPLE
        )
        blocked = [each.holder for each in await self._store.choices_of(Topic.BLOCKED)]
        idle = sorted(set(blocked) - {row.name for row in rows})
        rows = [*rows, *(_nothing_used(user) for user in idle)]
        if not rows:
            return told(admin_texts.USERS_NONE)
        pages = Pages(total=len(rows), per_page=PAGE_SIZE)
        page = pages.nearest(wished)
        shown = rows[pages.offset(page) :][:PAGE_SIZE]
        names = await self._names.of({row.name for row in shown})
        card = Card(
            title=admin_texts.USERS_TITLE,
            text=admin_texts.USERS_ORDER,
            lines=tuple([await self._person(row, names[row.name]) for row in shown]),
            presses=pager(
                VERB, pages, page, (admin_texts.NEWER, admin_texts.OLDER), lambda n: f"users {n}"
            ),
            small=pages.said(page, admin_texts.PAGE),
        )
        return Outcome(card=card)

    async def _person(self, row: UsageRow, name: str) -> Line:
        newest = (await self._store.sessions(SessionFilter(owner=row.name), 0, 1)).sessions
        limit = self._limits.among(await self._store.choices([(Scope.PERSON, row.name)]), row.name)
        details = [used(row)]
        if newest:
            since = self._clock.now() - newest[0].used
            details.append(admin_texts.LAST_USE.format(age=age(since)))
        details += _limit_details(limit)
        return Line(
            text=name,
            detail=" · ".join(details),
            presses=(block_press(row.name, name, blocked=limit.blocked),),
        )

    async def _lines(self, viewer: str, by: UsageBy, rows: Sequence[UsageRow]) -> tuple[Line, ...]:
        if by is UsageBy.THREAD:
            return await self._threads(viewer, rows)
        names = await self._names.of(row.name for row in rows) if by is UsageBy.PERSON else {}
        return tuple(
            Line(text=names.get(row.name, row.name) or UNKNOWN_MODEL, detail=used(row))
            for row in rows
        )

    async def _threads(self, viewer: str, rows: Sequence[UsageRow]) -> tuple[Line, ...]:
        """A thread is led to only for those who see the place that it is in."""
        threads = [_thread_of(row) for row in rows]
        seen = await seen_of(self._people, viewer, {thread.channel for thread in threads})
        return tuple(
            Line(text=admin_texts.A_THREAD, detail=used(row), link=thread)
            if thread.channel in seen
            else Line(text=admin_texts.ELSEWHERE, detail=used(row))
            for row, thread in zip(rows, threads, strict=True)
        )


def _thread_of(row: UsageRow) -> ThreadKey:
    team, _, rest = row.name.partition("/")
    channel, _, root = rest.partition("/")
    return ThreadKey(team=team, channel=channel, root_ts=root)


def _limit_details(limit: Limit) -> list[str]:
    blocked = [admin_texts.IS_BLOCKED] if limit.blocked else []
    return [*blocked, *([limit_said(limit.per_day)] if limit.per_day or limit.own else [])]


def _nothing_used(user: str) -> UsageRow:
    return UsageRow(name=user, turns=0, input_tokens=0, output_tokens=0)
