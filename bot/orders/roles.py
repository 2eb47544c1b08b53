"""The order `role`: which roles there are, and beginning a session of one in this thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bot.cards import Card, Line, Outcome, Press, told
from bot.choosing import Choosing
from bot.orders import words_choices as say
from bot.orders.desk import Asked, Handler
from bot.orders.model_list import LONGEST_OPTION
from bot.orders.told import clipped, many
from bot.orders.verbs import TAKING_PART
from bot.ports import Store
from bot.records import SessionRecord

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
            return Outcome(card=await self._roles(asked, say.ROLES))
        if self._choosing.role(name) is None:
            shown = clipped(asked.words.strip(), LONGEST_OPTION)
            return Outcome(card=await self._roles(asked, say.NO_SUCH_ROLE.format(name=shown)))
        if asked.place is None:
            return told(say.ROLE_OF_NO_THREAD.format(role=name))
        if asked.thread is None:
            return told(say.ROLE_UNKNOWN_THREAD.format(role=name))
        there = await self._store.current(asked.place, name)
        if there is not None:
            return told(_said(say.ROLE_THERE, there), public=True)
        begun = await self._store.begin_anew(asked.place, name, asked.person.user, told=False)
        return told(_said(say.ROLE_BEGUN, begun), public=True)

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
            sentence = say.ROLES_MORE.format(sentence=sentence, names=", ".join(more))
        return Card(
            title=say.ROLES_TITLE,
            text=sentence,
            lines=tuple(
                self._line(name, sessions.get(name), may_begin=may_begin) for name in shown
            ),
            small=say.ROLES_HINT.format(role=names[0]),
        )

    def _line(self, name: str, session: SessionRecord | None, *, may_begin: bool) -> Line:
        facts = []
        role = self._choosing.role(name)
        if role is not None and role.model:
            facts.append(say.ROLE_MODEL.format(model=role.model))
        if role is not None and role.tools:
            facts.append(say.ROLE_READS)
        if session is not None:
            turns = many(session.turns, "turn")
            facts.append(say.ROLE_HERE.format(handle=session.handle, turns=turns))
        elif may_begin:
            facts.append(say.ROLE_NOT_HERE)
        begin = Press(label=say.ROLE_BEGIN, verb="role", words=name)
        return Line(
            text=name,
            detail=", ".join(facts),
            presses=(begin,) if may_begin and session is None else (),
        )


def _said(sentence: str, session: SessionRecord) -> str:
    turns = many(session.turns, "turn")
    return sentence.format(role=session.role, handle=session.handle, turns=turns)
