"""The order `admin`: what those in charge have me do. The desk has seen that they are.

Its first word says what is meant; each of these is a module of its own beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bot.access.quotas import QuotaPolicy
from bot.commands.admin.cleanup import CleanupCommands
from bot.commands.admin.limits import LimitCommands
from bot.commands.admin.pause import PausingCommands, TurnPauser
from bot.commands.admin.usage import UsageCommands
from bot.commands.dispatcher import CommandContext, CommandHandler
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
from bot.tasks import NamedTasks

COMMAND_NAME: Final = "admin"
PAGE_SIZE: Final = 8
_MAX_WORD_CHARS: Final = 40
_WITHOUT_ARGS: Final = frozenset({"pause", "resume", "drain"})
"""Nothing goes after these: `admin resume s12` may be meant for one session, and concerns all."""


class AdminRouter:
    """Carries out what those in charge order. To be closed at the end, before the store is."""

    def __init__(
        self,
        store: Store,
        users: UserDirectory,
        publisher: CardPublisher,
        clock: Clock,
        cleanup: Cleanup,
        quotas: QuotaPolicy,
        inbox: TurnPauser,
        *,
        list_sessions: CommandHandler,
    ) -> None:
        """`listing` is the handler of `sessions`, which lists everybody's for those in charge."""
        names = UserNames(users)
        self._store = store
        self._names = names
        self._list_sessions = list_sessions
        self._inbox = inbox
        self._tasks = NamedTasks()
        cleaning = CleanupCommands(store, publisher, clock, cleanup, self._tasks)
        numbers = UsageCommands(store, users, names, quotas, clock)
        bounds = LimitCommands(store, names, quotas, clock)
        halts = PausingCommands(store, publisher, clock, inbox, self._tasks)
        self._subcommands: Mapping[str, CommandHandler] = {
            "": self._overview,
            "cleanup": cleaning.cleanup,
            "sessions": self._all_sessions,
            "usage": numbers.usage,
            "users": numbers.users,
            "audit": self._audit_log,
            "limits": bounds.limits,
            "pause": halts.pause,
            "resume": halts.resume,
            "drain": halts.drain,
        }

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {COMMAND_NAME: self.admin}

    async def close(self) -> None:
        """End what was begun and still goes on. Bounded; raises nothing."""
        await self._tasks.close()

    async def admin(self, ctx: CommandContext) -> CommandResult:
        topic, _, rest = ctx.args.strip().partition(" ")
        topic = topic.casefold()
        handler = self._subcommands.get(topic)
        if handler is None:
            return text_result(admin_texts.UNKNOWN.format(word=_clip_word(topic)))
        if topic in _WITHOUT_ARGS and rest.strip():
            return text_result(admin_texts.TAKES_NO_ARGS.format(word=topic))
        return await handler(replace(ctx, args=rest.strip()))

    async def _overview(self, ctx: CommandContext) -> CommandResult:  # noqa: ARG002 # it is a handler
        paused = self._inbox.paused
        halt = (admin_texts.RESUME, "resume") if paused else (admin_texts.PAUSE, "pause")
        presses = (
            (admin_texts.SESSIONS, "sessions"),
            (admin_texts.USERS, "users"),
            (admin_texts.USAGE, "usage"),
            (admin_texts.LIMITS, "limits"),
            (admin_texts.AUDIT, "audit"),
            (admin_texts.CLEANUP, "cleanup"),
            halt,
        )
        state = admin_texts.ON_HOLD if paused else admin_texts.TAKEN
        card = Card(
            title=admin_texts.TITLE,
            text=admin_texts.ACTIVITY.format(
                running=format_count(self._inbox.running_count), state=state
            ),
            buttons=tuple(
                Button(label=label, command_name=COMMAND_NAME, args=topic)
                for label, topic in presses
            ),
            small_print=admin_texts.OVERVIEW,
        )
        return CommandResult(card=card)

    async def _all_sessions(self, ctx: CommandContext) -> CommandResult:
        return await self._list_sessions(replace(ctx, args=f"all {ctx.args}".strip()))

    async def _audit_log(self, ctx: CommandContext) -> CommandResult:
        wished = parse_page(ctx.args) if ctx.args else 1
        if wished is None:
            return text_result(admin_texts.AUDIT_HOW)
        _, total = await self._store.list_audit_entries(0, 1)
        if not total:
            return text_result(admin_texts.AUDIT_NONE)
        pages = Pages(total=total, per_page=PAGE_SIZE)
        page = pages.nearest(wished)
        entries, _ = await self._store.list_audit_entries(pages.offset(page), PAGE_SIZE)
        people = await self._names.names_of(
            {entry.actor for entry in entries if _is_user_id(entry.actor)}
        )
        lines = [
            CardItem(
                text=f"{people.get(entry.actor, entry.actor or admin_texts.SYSTEM_ACTOR)}: "
                f"{one_line(f'{entry.action} {entry.target}')}",
                detail=" · ".join(filter(None, (format_time(entry.at), one_line(entry.detail)))),
            )
            for entry in entries
        ]
        card = Card(
            title=admin_texts.AUDIT_TITLE,
            text=admin_texts.AUDIT_TITLE,
            items=tuple(lines),
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
