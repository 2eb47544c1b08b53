"""Executes `usage`: shows turns and tokens of a thread, a user, a channel or a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bot.access import texts as access_texts
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import format_count, pluralize, usage_hint
from bot.commands.registry import PERIODS
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Button, Card, CardItem, CommandResult, text_result
from bot.domain.usage import UsageGrouping, UsageRow
from bot.ports import Clock, Store, UserDirectory

_DAY_SECONDS: Final = 86_400
PERIOD_SECONDS: Final[Mapping[str, float]] = {
    "day": _DAY_SECONDS,
    "week": 7 * _DAY_SECONDS,
    "month": 30 * _DAY_SECONDS,
}
_MAX_ROWS: Final = 10
_ARGS: Final = re.compile(
    rf"({'|'.join(PERIODS)})?(?: *by ({'|'.join(UsageGrouping)}))?", re.IGNORECASE
)


class UsageCommand(CommandGroup):
    """Handles `usage`. Only admins see the usage of others."""

    def __init__(self, store: Store, users: UserDirectory, clock: Clock) -> None:
        self._store = store
        self._users = users
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"usage": self.usage}

    async def usage(self, ctx: CommandContext) -> CommandResult:
        match = _ARGS.fullmatch(ctx.args.strip())
        if match is None:
            return text_result(usage_hint("usage"))
        default = UsageGrouping.USER if ctx.thread_key is None else UsageGrouping.THREAD
        period = (match[1] or "week").casefold()
        grouping = UsageGrouping(match[2].casefold()) if match[2] else default
        if grouping is UsageGrouping.THREAD and ctx.thread_key is None:
            return text_result(session_texts.USAGE_NO_THREAD)
        channel = ctx.thread_key.channel if ctx.thread_key else ctx.command.channel
        if grouping is UsageGrouping.CHANNEL:
            if not channel:
                return text_result(session_texts.USAGE_NO_CHANNEL)
            if not await self._users.can_see(ctx.user.id, channel):
                return text_result(access_texts.NOT_VISIBLE)
        rows = await self._rows(ctx, grouping, period, channel)
        of_all = grouping is UsageGrouping.MODEL and ctx.is_admin
        template = session_texts.USAGE_OF_ALL if of_all else session_texts.USAGE_OF[grouping]
        period_text = session_texts.PERIODS[period]
        return CommandResult(
            card=Card(
                title=session_texts.USAGE_TITLE.format(period=period_text),
                text=template.format(period=period_text),
                items=tuple(_item(row, grouping) for row in rows)
                or (CardItem(text=session_texts.USAGE_NOTHING),),
                buttons=tuple(
                    Button(
                        label=session_texts.PERIOD_LABELS[other],
                        command_name="usage",
                        args=f"{other} by {grouping}",
                    )
                    for other in PERIODS
                    if other != period
                ),
            )
        )

    async def _rows(
        self, ctx: CommandContext, grouping: UsageGrouping, period: str, channel: str
    ) -> tuple[UsageRow, ...]:
        since = self._clock.now() - PERIOD_SECONDS[period]
        own_only = grouping is UsageGrouping.USER or (
            grouping is UsageGrouping.MODEL and not ctx.is_admin
        )
        rows = await self._store.sum_usage(
            grouping,
            since,
            thread=ctx.thread_key if grouping is UsageGrouping.THREAD else None,
            user=ctx.user.id if own_only else "",
            channel=channel if grouping is UsageGrouping.CHANNEL else "",
            max_rows=_MAX_ROWS,
        )
        return tuple(rows)


def _item(row: UsageRow, grouping: UsageGrouping) -> CardItem:
    name = row.key or session_texts.UNKNOWN_MODEL
    return CardItem(text=session_texts.USAGE_NAMES.get(grouping, name), detail=format_usage(row))


def format_usage(row: UsageRow) -> str:
    """Turns and tokens of a row as text."""
    return session_texts.USAGE_ROW.format(
        turns=pluralize(row.turns, "turn"),
        input=format_count(row.input_tokens),
        output=format_count(row.output_tokens),
    )
