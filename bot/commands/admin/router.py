"""The order `admin`: what those in charge have me do. The desk has seen that they are.

Its first word says what is meant; each of these is a module of its own beside this one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bot.access.quotas import Limits
from bot.commands.admin.cleanup import CleanupOrders
from bot.commands.admin.limits import LimitOrders
from bot.commands.admin.pause import Pausing, PausingOrders
from bot.commands.admin.usage import UsageOrders
from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import Pages, clipped, count, one_line, page_in, pager, when
from bot.commands.texts import admin as admin_texts
from bot.commands.user_names import Names
from bot.domain.cards import Card, Line, Outcome, Press, told
from bot.ports import Board, Clock, People, Store
from bot.sessions.cleanup import Cleanup
from bot.tasks import Errands

VERB: Final = "admin"
PAGE_SIZE: Final = 8
_LONGEST_WORD: Final = 40
_ALONE: Final = frozenset({"pause", "resume", "drain"})
"""Nothing goes after these: `admin resume s12` may be meant for one session, and concerns all."""


class Admin:
    """Carries out what those in charge order. To be closed at the end, before the store is."""

    def __init__(
        self,
        store: Store,
        people: People,
        board: Board,
        clock: Clock,
        cleanup: Cleanup,
        limits: Limits,
        pausing: Pausing,
        *,
        listing: Handler,
    ) -> None:
        """`listing` is the handler of `sessions`, which lists everybody's for those in charge."""
        names = Names(people)
        self._store = store
        self._names = names
        self._listing = listing
        self._pausing = pausing
        self._errands = Errands()
        cleaning = CleanupOrders(store, board, clock, cleanup, self._errands)
        numbers = UsageOrders(store, people, names, limits, clock)
        bounds = LimitOrders(store, names, limits, clock)
        halts = PausingOrders(store, board, clock, pausing, self._errands)
        self._topics: Mapping[str, Handler] = {
            "": self._overview,
            "cleanup": cleaning.cleanup,
            "sessions": self._sessions,
            "usage": numbers.usage,
            "users": numbers.users,
            "audit": self._audit,
            "limits": bounds.limits,
            "pause": halts.pause,
            "resume": halts.resume,
            "drain": halts.drain,
        }

    def handlers(self) -> Mapping[str, Handler]:
        return {VERB: self.admin}

    async def close(self) -> None:
        """End what was begun and still goes on. Bounded; raises nothing."""
        await self._errands.close()

    async def admin(self, asked: Asked) -> Outcome:
        topic, _, rest = asked.words.strip().partition(" ")
        topic = topic.casefold()
        handler = self._topics.get(topic)
        if handler is None:
            return told(admin_texts.UNKNOWN.format(word=_short(topic)))
        if topic in _ALONE and rest.strip():
            return told(admin_texts.GOES_ALONE.format(word=topic))
        return await handler(replace(asked, words=rest.strip()))

    async def _overview(self, asked: Asked) -> Outcome:  # noqa: ARG002 # it is a handler
        paused = self._pausing.paused
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
        state = admin_texts.HELD if paused else admin_texts.TAKEN
        card = Card(
            title=admin_texts.TITLE,
            text=admin_texts.NOW.format(running=count(self._pausing.busy), state=state),
            presses=tuple(Press(label=label, verb=VERB, words=topic) for label, topic in presses),
            small=admin_texts.OVERVIEW,
        )
        return Outcome(card=card)

    async def _sessions(self, asked: Asked) -> Outcome:
        return await self._listing(replace(asked, words=f"all {asked.words}".strip()))

    async def _audit(self, asked: Asked) -> Outcome:
        wished = page_in(asked.words) if asked.words else 1
        if wished is None:
            return told(admin_texts.AUDIT_HOW)
        _, total = await self._store.audited(0, 1)
        if not total:
            return told(admin_texts.AUDIT_NONE)
        pages = Pages(total=total, per_page=PAGE_SIZE)
        page = pages.nearest(wished)
        entries, _ = await self._store.audited(pages.offset(page), PAGE_SIZE)
        people = await self._names.of({entry.by for entry in entries if _is_person(entry.by)})
        lines = [
            Line(
                text=f"{people.get(entry.by, entry.by or admin_texts.BY_ITSELF)}: "
                f"{one_line(f'{entry.act} {entry.target}')}",
                detail=" · ".join(filter(None, (when(entry.at), one_line(entry.detail)))),
            )
            for entry in entries
        ]
        card = Card(
            title=admin_texts.AUDIT_TITLE,
            text=admin_texts.AUDIT_TITLE,
            lines=tuple(lines),
            presses=pager(
                VERB, pages, page, (admin_texts.NEWER, admin_texts.OLDER), lambda n: f"audit {n}"
            ),
            small=pages.said(page, admin_texts.PAGE),
        )
        return Outcome(card=card)


def _is_person(by: str) -> bool:
    return re.fullmatch(r"[UW][A-Z0-9]+", by, re.ASCII) is not None


def _short(word: str) -> str:
    return clipped(one_line(word).replace("`", "'"), _LONGEST_WORD)
