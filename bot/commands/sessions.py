"""The order `sessions`: somebody's sessions, or everybody's for those in charge, page by page.

A session of a place that the person does not see just now shows neither its title nor its thread.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from bot.access.policy import seen_of
from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import (
    Pages,
    age,
    count,
    how_it_goes,
    many,
    page_in,
    pager,
    size,
    titled,
)
from bot.commands.session_state import answering, model_of, state_of
from bot.commands.texts import sessions as session_texts
from bot.commands.user_names import Names
from bot.domain.cards import Card, Line, Outcome, Press, told
from bot.domain.sessions import SessionFilter, SessionRecord
from bot.ports import Clock, People, Store

PAGE_SIZE: Final = 8
_ALL: Final = re.compile(r"all\b *", re.IGNORECASE)


class Listing:
    """Lists sessions."""

    def __init__(self, store: Store, people: People, names: Names, clock: Clock) -> None:
        self._store = store
        self._people = people
        self._names = names
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"sessions": self.sessions}

    async def sessions(self, asked: Asked) -> Outcome:
        everybody = _ALL.match(asked.words)
        rest = asked.words[everybody.end() :] if everybody else asked.words
        wished = page_in(rest) if rest else 1
        if wished is None:
            return told(how_it_goes("sessions"))
        # One's own are what one can go on with; everybody's are all that there is.
        wanted = SessionFilter() if everybody else mine(asked.person.user)
        total = (await self._store.totals(wanted)).count
        pages = Pages(total=total, per_page=PAGE_SIZE)
        page = pages.nearest(wished)
        found = await self._store.sessions(wanted, pages.offset(page), PAGE_SIZE)
        if not found.sessions:
            return told(session_texts.NONE_AT_ALL if everybody else session_texts.NONE_OF_MINE)
        lines = await self._lines(asked, found.sessions, owners=bool(everybody))
        first = pages.offset(page) + 1
        return Outcome(
            card=Card(
                title=session_texts.ALL_TITLE if everybody else session_texts.MINE_TITLE,
                text=session_texts.LISTED.format(
                    first=count(first), last=count(first + len(lines) - 1), total=count(total)
                ),
                lines=lines,
                presses=pager(
                    "sessions",
                    pages,
                    page,
                    (session_texts.NEWER, session_texts.OLDER),
                    lambda page: f"all {page}" if everybody else str(page),
                ),
                small=pages.said(page, session_texts.PAGE),
            )
        )

    async def _lines(
        self, asked: Asked, sessions: Sequence[SessionRecord], *, owners: bool
    ) -> tuple[Line, ...]:
        channels = {session.thread.channel for session in sessions}
        seen = await seen_of(self._people, asked.person.user, channels)
        running = {each.number for each in sessions if await answering(self._store, each)}
        names = await self._names.of({session.owner for session in sessions} if owners else ())
        return tuple(
            self._line(
                session,
                seen=session.thread.channel in seen,
                running=session.number in running,
                owner=names.get(session.owner, ""),
                in_charge=asked.in_charge,
            )
            for session in sessions
        )

    def _line(
        self, session: SessionRecord, *, seen: bool, running: bool, owner: str, in_charge: bool
    ) -> Line:
        details = [
            session.handle,
            *([session_texts.OWNED_BY.format(name=owner)] if owner else []),
            *([model] if (model := model_of(session)) else []),
            many(session.turns, "turn"),
            age(self._clock.now() - session.used),
            *([size(session.size)] if session.size else []),
            state_of(session, running=running),
        ]
        return Line(
            text=titled(session) if seen else f"{session.handle} {session_texts.ELSEWHERE}",
            detail=" · ".join(details),
            link=session.thread if seen else None,
            presses=presses_for(session, seen=seen, in_charge=in_charge),
        )


def mine(user: str) -> SessionFilter:
    """The sessions that somebody is told are theirs: without the copies that comparisons make."""
    return SessionFilter(owner=user, copies=False)


def presses_for(session: SessionRecord, *, seen: bool, in_charge: bool) -> tuple[Press, ...]:
    """The buttons of a session that its owner, or somebody in charge, is shown in a list."""
    reset = Press(
        label=session_texts.RESET,
        verb="reset",
        words=session.handle,
        confirm=session_texts.RESET_CONFIRM.format(handle=session.handle),
    )
    delete = Press(
        label=session_texts.DELETE,
        verb="delete",
        words=session.handle,
        style="danger",
        confirm=session_texts.DELETE_CONFIRM.format(handle=session.handle),
    )
    return (
        *([reset] if seen and session.current else []),
        *([delete] if seen or in_charge else []),
    )
