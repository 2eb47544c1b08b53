"""Executes `admin usage` and `admin users`: who and what uses the bot, and how much."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from bot.access.policy import visible_channels
from bot.access.quotas import Quota, QuotaPolicy
from bot.commands.admin.limits import block_button, format_quota
from bot.commands.dispatcher import CommandContext
from bot.commands.formatting import Pages, format_age, page_buttons, parse_page
from bot.commands.registry import PERIODS
from bot.commands.texts import admin as admin_texts
from bot.commands.texts.sessions import UNKNOWN_MODEL
from bot.commands.usage import PERIOD_SECONDS, format_usage
from bot.commands.user_names import UserNames
from bot.domain.cards import Button, Card, CardItem, CommandResult, text_result
from bot.domain.messages import ThreadKey
from bot.domain.preferences import PreferenceKind, Scope
from bot.domain.sessions import SessionFilter
from bot.domain.usage import UsageGrouping, UsageRow
from bot.ports import Clock, Store, UserDirectory

COMMAND_NAME: Final = "admin"
PAGE_SIZE: Final = 8
"""Number of users on a page."""
_GROUPINGS: Final = {
    "people": UsageGrouping.USER,
    "channel": UsageGrouping.CHANNEL,
    "model": UsageGrouping.MODEL,
    "thread": UsageGrouping.THREAD,
}
_ARGS: Final = re.compile(
    rf"(?P<period>{'|'.join(PERIODS)})?(?: ?by (?P<by>{'|'.join(_GROUPINGS)}))?", re.IGNORECASE
)
_MAX_ROWS: Final = 10
_MAX_USERS: Final = 1_000


class UsageCommands:
    """Handles `admin usage` and `admin users`."""

    def __init__(
        self,
        store: Store,
        users: UserDirectory,
        names: UserNames,
        quotas: QuotaPolicy,
        clock: Clock,
    ) -> None:
        self._store = store
        self._users = users
        self._names = names
        self._quotas = quotas
        self._clock = clock

    async def usage(self, ctx: CommandContext) -> CommandResult:
        match = _ARGS.fullmatch(ctx.args)
        if match is None:
            return text_result(admin_texts.USAGE_HOW)
        period, grouping = (
            (match["period"] or "week").casefold(),
            (match["by"] or "people").casefold(),
        )
        since = self._clock.now() - PERIOD_SECONDS[period]
        rows = await self._store.sum_usage(_GROUPINGS[grouping], since, max_rows=_MAX_ROWS)
        buttons = [
            Button(
                label=other.capitalize(),
                command_name=COMMAND_NAME,
                args=f"usage {period} by {other}",
            )
            for other in _GROUPINGS
            if other != grouping
        ]
        card = Card(
            title=admin_texts.USAGE_TITLE.format(period=period, by=grouping),
            text=admin_texts.USAGE_TOP.format(count=len(rows))
            if rows
            else admin_texts.USAGE_NONE.format(period=period),
            items=await self._items(ctx.user.id, _GROUPINGS[grouping], rows),
            buttons=tuple(buttons),
            small_print=admin_texts.USAGE_HOW,
        )
        return CommandResult(card=card)

    async def users(self, ctx: CommandContext) -> CommandResult:
        requested_page = parse_page(ctx.args) if ctx.args else 1
        if requested_page is None:
            return text_result(admin_texts.USERS_HOW)
        now = self._clock.now()
        rows = await self._store.sum_usage(
            UsageGrouping.USER, now - PERIOD_SECONDS["month"], max_rows=_MAX_USERS
        )
        blocked = [
            preference.scope_id
            for preference in await self._store.preferences_of_kind(PreferenceKind.BLOCKED)
        ]
        idle = sorted(set(blocked) - {row.key for row in rows})
        rows = [*rows, *(_empty_row(user) for user in idle)]
        if not rows:
            return text_result(admin_texts.USERS_NONE)
        pages = Pages(total=len(rows), per_page=PAGE_SIZE)
        page = pages.nearest(requested_page)
        shown = rows[pages.offset(page) :][:PAGE_SIZE]
        names = await self._names.names_of({row.key for row in shown})
        card = Card(
            title=admin_texts.USERS_TITLE,
            text=admin_texts.USERS_ORDER,
            items=tuple([await self._user_item(row, names[row.key]) for row in shown]),
            buttons=page_buttons(
                COMMAND_NAME,
                pages,
                page,
                (admin_texts.NEWER, admin_texts.OLDER),
                lambda n: f"users {n}",
            ),
            small_print=pages.label(page, admin_texts.PAGE),
        )
        return CommandResult(card=card)

    async def _user_item(self, row: UsageRow, name: str) -> CardItem:
        newest = (await self._store.list_sessions(SessionFilter(owner=row.key), 0, 1)).sessions
        quota = self._quotas.quota_from(
            await self._store.preferences([(Scope.USER, row.key)]), row.key
        )
        details = [format_usage(row)]
        if newest:
            since = self._clock.now() - newest[0].last_used_at
            details.append(admin_texts.LAST_USE.format(age=format_age(since)))
        details += _quota_details(quota)
        return CardItem(
            text=name,
            detail=" · ".join(details),
            buttons=(block_button(row.key, name, blocked=quota.blocked),),
        )

    async def _items(
        self, viewer: str, grouping: UsageGrouping, rows: Sequence[UsageRow]
    ) -> tuple[CardItem, ...]:
        if grouping is UsageGrouping.THREAD:
            return await self._thread_items(viewer, rows)
        names = (
            await self._names.names_of(row.key for row in rows)
            if grouping is UsageGrouping.USER
            else {}
        )
        return tuple(
            CardItem(text=names.get(row.key, row.key) or UNKNOWN_MODEL, detail=format_usage(row))
            for row in rows
        )

    async def _thread_items(self, viewer: str, rows: Sequence[UsageRow]) -> tuple[CardItem, ...]:
        """The items of threads, with a link only if the viewer sees the channel."""
        threads = [_thread_of(row) for row in rows]
        visible = await visible_channels(
            self._users, viewer, {thread.channel for thread in threads}
        )
        return tuple(
            CardItem(text=admin_texts.A_THREAD, detail=format_usage(row), link=thread)
            if thread.channel in visible
            else CardItem(text=admin_texts.ELSEWHERE, detail=format_usage(row))
            for row, thread in zip(rows, threads, strict=True)
        )


def _thread_of(row: UsageRow) -> ThreadKey:
    team, _, rest = row.key.partition("/")
    channel, _, root = rest.partition("/")
    return ThreadKey(team=team, channel=channel, root_ts=root)


def _quota_details(quota: Quota) -> list[str]:
    blocked = [admin_texts.IS_BLOCKED] if quota.blocked else []
    return [*blocked, *([format_quota(quota.per_day)] if quota.per_day or quota.is_custom else [])]


def _empty_row(user: str) -> UsageRow:
    return UsageRow(key=user, turns=0, input_tokens=0, output_tokens=0)
