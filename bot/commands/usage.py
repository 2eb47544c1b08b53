"""The order `usage`: turns and tokens of a thread, a person, a channel or a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bot.access import texts as access_texts
from bot.commands.dispatcher import CommandContext, CommandHandler
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


class UsageCommand:
    """Tells what was used; of other people only what those in charge may know."""

    def __init__(self, store: Store, users: UserDirectory, clock: Clock) -> None:
        self._store = store
        self._users = users
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"usage": self.usage}

    async def usage(self, ctx: CommandContext) -> CommandResult:
        found = _ARGS.fullmatch(ctx.args.strip())
        if found is None:
            return text_result(usage_hint("usage"))
        usual = UsageGrouping.USER if ctx.thread_key is None else UsageGrouping.THREAD
        period = (found[1] or "week").casefold()
        by = UsageGrouping(found[2].casefold()) if found[2] else usual
        if by is UsageGrouping.THREAD and ctx.thread_key is None:
            return text_result(session_texts.USAGE_NO_THREAD)
        channel = ctx.thread_key.channel if ctx.thread_key else ctx.command.channel
        if by is UsageGrouping.CHANNEL:
            if not channel:
                return text_result(session_texts.USAGE_NO_CHANNEL)
            if not await self._users.can_see(ctx.user.id, channel):
                return text_result(access_texts.NOT_VISIBLE)
        rows = await self._rows(ctx, by, period, channel)
        everybody = by is UsageGrouping.MODEL and ctx.is_admin
        about = session_texts.USAGE_OF_ALL if everybody else session_texts.USAGE_OF[by]
        told_period = session_texts.PERIODS[period]
        return CommandResult(
            card=Card(
                title=session_texts.USAGE_TITLE.format(period=told_period),
                text=about.format(period=told_period),
                items=tuple(_item(row, by) for row in rows)
                or (CardItem(text=session_texts.USAGE_NOTHING),),
                buttons=tuple(
                    Button(
                        label=session_texts.PERIOD_LABELS[each],
                        command_name="usage",
                        args=f"{each} by {by}",
                    )
                    for each in PERIODS
                    if each != period
                ),
            )
        )

    async def _rows(
        self, ctx: CommandContext, grouping: UsageGrouping, period: str, channel: str
    ) -> tuple[UsageRow, ...]:
        since = self._clock.now() - PERIOD_SECONDS[period]
        theirs = grouping is UsageGrouping.USER or (
            grouping is UsageGrouping.MODEL and not ctx.is_admin
        )
        rows = await self._store.sum_usage(
            grouping,
            since,
            thread=ctx.thread_key if grouping is UsageGrouping.THREAD else None,
            user=ctx.user.id if theirs else "",
            channel=channel if grouping is UsageGrouping.CHANNEL else "",
            max_rows=_MAX_ROWS,
        )
        return tuple(rows)


def _item(row: UsageRow, grouping: UsageGrouping) -> CardItem:
    name = row.key or session_texts.UNKNOWN_MODEL
    return CardItem(text=session_texts.USAGE_NAMES.get(grouping, name), detail=format_usage(row))


def format_usage(row: UsageRow) -> str:
    """What somebody or something used: turns and tokens."""
    return session_texts.USAGE_ROW.format(
        turns=pluralize(row.turns, "turn"),
        input=format_count(row.input_tokens),
        output=format_count(row.output_tokens),
    )
