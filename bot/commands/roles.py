"""The order `role`: which roles there are, and beginning a session of one in this thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import clipped, many
from bot.commands.models import LONGEST_OPTION
from bot.commands.registry import TAKING_PART
from bot.commands.texts import models as model_texts
from bot.domain.cards import Card, Line, Outcome, Press, told
from bot.domain.sessions import SessionRecord
from bot.ports import Store
from bot.sessions.model_selection import Choosing

MOST_LINES: Final = 10
"""More roles are told by their names only."""


class RoleOrders:
    """Carries out `role`."""

    def __init__(self, store: Store, choosing: Choosing) -> None:
        self._store = store
        self._choosing = choosing

    def handlers(self) -> Mapping[str, Handler]:
        return {"role": self.role}

    async def role(self, asked: Asked) -> Outcome:
        """Tell the roles, or begin this thread's session of one."""
        name = asked.words.strip().rstrip(":").casefold()
        if not name:
            return Outcome(card=await self._roles(asked, model_texts.ROLES))
        if self._choosing.role(name) is None:
            shown = clipped(asked.words.strip(), LONGEST_OPTION)
            return Outcome(
                card=await self._roles(asked, model_texts.NO_SUCH_ROLE.format(name=shown))
            )
        if asked.place is None:
            return told(model_texts.ROLE_OF_NO_THREAD.format(role=name))
        if asked.thread is None:
            return told(model_texts.ROLE_UNKNOWN_THREAD.format(role=name))
        there = await self._store.current(asked.place, name)
        if there is not None:
            return told(_said(model_texts.ROLE_THERE, there), public=True)
        begun = await self._store.begin_anew(asked.place, name, asked.person.user, told=False)
        return told(_said(model_texts.ROLE_BEGUN, begun), public=True)

    async def _roles(self, asked: Asked, sentence: str) -> Card:
        """All roles, those of the thread with their sessions."""
        there: Sequence[SessionRecord] = ()
        if asked.place is not None:
            there = await self._store.currents(asked.place)
        sessions = {session.role: session for session in there}
        names = sorted(self._choosing.roles, key=lambda name: (name not in sessions, name))
        may_begin = asked.thread is not None and bool(TAKING_PART & asked.standings)
        shown, more = names[:MOST_LINES], names[MOST_LINES:]
        if more:
            sentence = model_texts.ROLES_MORE.format(sentence=sentence, names=", ".join(more))
        return Card(
            title=model_texts.ROLES_TITLE,
            text=sentence,
            lines=tuple(
                self._line(name, sessions.get(name), may_begin=may_begin) for name in shown
            ),
            small=model_texts.ROLES_HINT.format(role=names[0]),
        )

    def _line(self, name: str, session: SessionRecord | None, *, may_begin: bool) -> Line:
        facts = []
        role = self._choosing.role(name)
        if role is not None and role.model:
            facts.append(model_texts.ROLE_MODEL.format(model=role.model))
        if role is not None and role.tools:
            facts.append(model_texts.ROLE_READS)
        if session is not None:
            turns = many(session.turns, "turn")
            facts.append(model_texts.ROLE_HERE.format(handle=session.handle, turns=turns))
        elif may_begin:
            facts.append(model_texts.ROLE_NOT_HERE)
        begin = Press(label=model_texts.ROLE_BEGIN, verb="role", words=name)
        return Line(
            text=name,
            detail=", ".join(facts),
            presses=(begin,) if may_begin and session is None else (),
        )


def _said(sentence: str, session: SessionRecord) -> str:
    turns = many(session.turns, "turn")
    return sentence.format(role=session.role, handle=session.handle, turns=turns)
