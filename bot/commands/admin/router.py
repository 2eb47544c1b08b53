"""Routes `admin` to its subcommands, which are modules of this package.

The dispatcher has checked that the user is an admin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bot.access.quotas import QuotaPolicy
from bot.commands.admin.cleanup import CleanupCommands
from bot.commands.admin.limits import LimitCommands
from bot.commands.admin.pause import PauseCommands
from bot.commands.admin.usage import UsageCommands
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import (
    Pages,
    format_count,
    format_time,
    one_line,
    page_buttons,
    parse_page,
)
from bot.commands.texts import admin as admin_texts
from bot.commands.user_names import UserNames
from bot.domain.cards import Button, Card, CardItem, CommandResult, text_result
from bot.domain.text import truncate
from bot.ports import CardPublisher, Clock, Store, UserDirectory
from bot.sessions.cleanup import Cleanup
from bot.tasks import BackgroundTasks
from bot.turns.inbox import Inbox

COMMAND_NAME: Final = "admin"
_CANCEL_SECONDS: Final = 10.0
"""Timeout in seconds for a cancelled cleanup to write the audit entry and the last card."""
PAGE_SIZE: Final = 8
"""Number of audit entries on a page."""
_MAX_WORD_CHARS: Final = 40
_WITHOUT_ARGS: Final = frozenset({"pause", "resume", "drain"})
"""Subcommands without arguments: `admin resume s12` may be meant for one session but affects
all."""


class AdminRouter(CommandGroup):
    """Handles `admin`. To be closed before the store is closed."""

    def __init__(
        self,
        store: Store,
        users: UserDirectory,
        publisher: CardPublisher,
        clock: Clock,
        cleanup: Cleanup,
        quotas: QuotaPolicy,
        inbox: Inbox,
        *,
        list_sessions: CommandHandler,
    ) -> None:
        """`list_sessions` is the handler of `sessions`, which can list all sessions."""
        names = UserNames(users)
        self._store = store
        self._names = names
        self._list_sessions = list_sessions
        self._inbox = inbox
        self._tasks = BackgroundTasks(timeout=None)
        cleanup_commands = CleanupCommands(store, publisher, clock, cleanup, self._tasks)
        usage_commands = UsageCommands(store, users, names, quotas, clock)
        limit_commands = LimitCommands(store, names, quotas, clock)
        pause_commands = PauseCommands(store, publisher, clock, inbox, self._tasks)
        self._subcommands: Mapping[str, CommandHandler] = {
            "": self._overview,
            "cleanup": cleanup_commands.cleanup,
            "sessions": self._all_sessions,
            "usage": usage_commands.usage,
            "users": usage_commands.users,
            "audit": self._audit_log,
            "limits": limit_commands.limits,
            "pause": pause_commands.pause,
            "resume": pause_commands.resume,
            "drain": pause_commands.drain,
        }

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {COMMAND_NAME: self.admin}

    async def close(self) -> None:
        """Cancel the background tasks and give them time to report that. Raises nothing."""
        await self._tasks.close(grace=0, cancel_timeout=_CANCEL_SECONDS)

    async def admin(self, ctx: CommandContext) -> CommandResult:
        subcommand, _, rest = ctx.args.strip().partition(" ")
        subcommand = subcommand.casefold()
        handler = self._subcommands.get(subcommand)
        if handler is None:
            return text_result(admin_texts.UNKNOWN.format(word=_clip_word(subcommand)))
        if subcommand in _WITHOUT_ARGS and rest.strip():
            return text_result(admin_texts.TAKES_NO_ARGS.format(word=subcommand))
        return await handler(replace(ctx, args=rest.strip()))

    async def _overview(self, ctx: CommandContext) -> CommandResult:  # noqa: ARG002 # the signature of a handler
        paused = self._inbox.paused
        pause_or_resume = (admin_texts.RESUME, "resume") if paused else (admin_texts.PAUSE, "pause")
        subcommands = (
            (admin_texts.SESSIONS, "sessions"),
            (admin_texts.USERS, "users"),
            (admin_texts.USAGE, "usage"),
            (admin_texts.LIMITS, "limits"),
            (admin_texts.AUDIT, "audit"),
            (admin_texts.CLEANUP, "cleanup"),
            pause_or_resume,
        )
        state = admin_texts.ON_HOLD if paused else admin_texts.TAKEN
        card = Card(
            title=admin_texts.TITLE,
            text=admin_texts.ACTIVITY.format(
                running=format_count(self._inbox.running_count), state=state
            ),
            buttons=tuple(
                Button(label=label, command_name=COMMAND_NAME, args=subcommand)
                for label, subcommand in subcommands
            ),
            small_print=admin_texts.OVERVIEW,
        )
        return CommandResult(card=card)

    async def _all_sessions(self, ctx: CommandContext) -> CommandResult:
        return await self._list_sessions(replace(ctx, args=f"all {ctx.args}".strip()))

    async def _audit_log(self, ctx: CommandContext) -> CommandResult:
        requested_page = parse_page(ctx.args) if ctx.args else 1
        if requested_page is None:
            return text_result(admin_texts.AUDIT_HOW)
        _, total = await self._store.list_audit_entries(0, 1)
        if not total:
            return text_result(admin_texts.AUDIT_NONE)
        pages = Pages(total=total, per_page=PAGE_SIZE)
        page = pages.nearest(requested_page)
        entries, _ = await self._store.list_audit_entries(pages.offset(page), PAGE_SIZE)
        names = await self._names.names_of(
            {entry.actor for entry in entries if _is_user_id(entry.actor)}
        )
        items = [
            CardItem(
                text=f"{names.get(entry.actor, entry.actor or admin_texts.SYSTEM_ACTOR)}: "
                f"{one_line(f'{entry.action} {entry.target}')}",
                detail=" · ".join(filter(None, (format_time(entry.at), one_line(entry.detail)))),
            )
            for entry in entries
        ]
        card = Card(
            title=admin_texts.AUDIT_TITLE,
            text=admin_texts.AUDIT_TITLE,
            items=tuple(items),
            buttons=page_buttons(
                COMMAND_NAME,
                pages,
                page,
                (admin_texts.NEWER, admin_texts.OLDER),
                lambda n: f"audit {n}",
            ),
            small_print=pages.label(page, admin_texts.PAGE),
        )
        return CommandResult(card=card)


def _is_user_id(actor: str) -> bool:
    return re.fullmatch(r"[UW][A-Z0-9]+", actor, re.ASCII) is not None


def _clip_word(word: str) -> str:
    return truncate(one_line(word).replace("`", "'"), _MAX_WORD_CHARS)
