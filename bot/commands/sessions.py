"""Executes `sessions`: lists the user's sessions, or all sessions for admins, page by page.

A session in a channel that the user does not see shows neither its title nor its thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from bot.access.policy import visible_channels
from bot.commands.dispatcher import CommandContext, CommandGroup, CommandHandler
from bot.commands.formatting import (
    Pages,
    display_title,
    format_age,
    format_count,
    format_size,
    page_buttons,
    parse_page,
    pluralize,
    usage_hint,
)
from bot.commands.session_state import is_answering, model_of, state_of
from bot.commands.texts import sessions as session_texts
from bot.commands.user_names import UserNames
from bot.domain.cards import Button, Card, CardItem, CommandResult, text_result
from bot.domain.sessions import SessionFilter, SessionRecord
from bot.ports import Clock, Store, UserDirectory

PAGE_SIZE: Final = 8
"""Number of sessions on a page."""
_ALL: Final = re.compile(r"all\b *", re.IGNORECASE)


class SessionsCommand(CommandGroup):
    """Handles `sessions`."""

    def __init__(self, store: Store, users: UserDirectory, names: UserNames, clock: Clock) -> None:
        self._store = store
        self._users = users
        self._names = names
        self._clock = clock

    def handlers(self) -> Mapping[str, CommandHandler]:
        return {"sessions": self.sessions}

    async def sessions(self, ctx: CommandContext) -> CommandResult:
        show_all = _ALL.match(ctx.args)
        rest = ctx.args[show_all.end() :] if show_all else ctx.args
        requested_page = parse_page(rest) if rest else 1
        if requested_page is None:
            return text_result(usage_hint("sessions"))
        # A user's own list leaves out comparison copies; the list of all sessions has them.
        session_filter = SessionFilter() if show_all else own_sessions(ctx.user.id)
        total = (await self._store.session_totals(session_filter)).count
        pages = Pages(total=total, per_page=PAGE_SIZE)
        page = pages.nearest(requested_page)
        session_page = await self._store.list_sessions(
            session_filter, pages.offset(page), PAGE_SIZE
        )
        if not session_page.sessions:
            return text_result(
                session_texts.NONE_AT_ALL if show_all else session_texts.NONE_OF_MINE
            )
        items = await self._items(ctx, session_page.sessions, show_owners=bool(show_all))
        first = pages.offset(page) + 1
        return CommandResult(
            card=Card(
                title=session_texts.ALL_TITLE if show_all else session_texts.MINE_TITLE,
                text=session_texts.LISTED.format(
                    first=format_count(first),
                    last=format_count(first + len(items) - 1),
                    total=format_count(total),
                ),
                items=items,
                buttons=page_buttons(
                    "sessions",
                    pages,
                    page,
                    (session_texts.NEWER, session_texts.OLDER),
                    lambda page: f"all {page}" if show_all else str(page),
                ),
                small_print=pages.label(page, session_texts.PAGE),
            )
        )

    async def _items(
        self, ctx: CommandContext, sessions: Sequence[SessionRecord], *, show_owners: bool
    ) -> tuple[CardItem, ...]:
        channels = {session.thread.channel for session in sessions}
        visible = await visible_channels(self._users, ctx.user.id, channels)
        running = {one.number for one in sessions if await is_answering(self._store, one)}
        names = await self._names.names_of(
            {session.owner for session in sessions} if show_owners else ()
        )
        return tuple(
            self._item(
                session,
                visible=session.thread.channel in visible,
                running=session.number in running,
                owner=names.get(session.owner, ""),
                is_admin=ctx.is_admin,
            )
            for session in sessions
        )

    def _item(
        self, session: SessionRecord, *, visible: bool, running: bool, owner: str, is_admin: bool
    ) -> CardItem:
        details = [
            session.handle,
            *([session_texts.OWNED_BY.format(name=owner)] if owner else []),
            *([model] if (model := model_of(session)) else []),
            pluralize(session.turn_count, "turn"),
            format_age(self._clock.now() - session.last_used_at),
            *([format_size(session.size)] if session.size else []),
            state_of(session, running=running),
        ]
        return CardItem(
            text=display_title(session)
            if visible
            else f"{session.handle} {session_texts.ELSEWHERE}",
            detail=" · ".join(details),
            link=session.thread if visible else None,
            buttons=session_buttons(session, visible=visible, is_admin=is_admin),
        )


def own_sessions(user: str) -> SessionFilter:
    """The filter for a user's own sessions, without the copies made for comparisons."""
    return SessionFilter(owner=user, comparison_copies=False)


def session_buttons(session: SessionRecord, *, visible: bool, is_admin: bool) -> tuple[Button, ...]:
    """The buttons of a session in a list, for its owner or an admin."""
    reset = Button(
        label=session_texts.RESET,
        command_name="reset",
        args=session.handle,
        confirm=session_texts.RESET_CONFIRM.format(handle=session.handle),
    )
    delete = Button(
        label=session_texts.DELETE,
        command_name="delete",
        args=session.handle,
        style="danger",
        confirm=session_texts.DELETE_CONFIRM.format(handle=session.handle),
    )
    return (
        *([reset] if visible and session.current else []),
        *([delete] if visible or is_admin else []),
    )
