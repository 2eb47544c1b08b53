"""Orders that change which session a thread goes on with: `reset`, `resume`; and `delete`.

Sessions stay in the channel they belong to: nothing of one place may be told in another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from bot.commands import texts
from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import age, how_it_goes, many, size, titled
from bot.commands.session_state import answering, being_answered, blind, waits_behind
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Card, Line, Outcome, Press, told
from bot.domain.messages import ThreadKey
from bot.domain.sessions import SessionFilter, SessionRecord
from bot.domain.turns import Turn
from bot.errors import SlackError
from bot.ports import Board, Clock, Store

log = logging.getLogger(__name__)

OFFERED: Final = 5
"""Earlier sessions that are offered where none is named."""
_LOOKED_AT: Final = 20


class Deleting(Protocol):
    """The runtime, as far as it deletes."""

    async def delete(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        """As `bot.ports.Agent` promises."""
        ...


class Pool(Protocol):
    """The live sessions."""

    def reserved(self, session_ids: Iterable[str]) -> AbstractAsyncContextManager[frozenset[str]]:
        """As `bot.sessions.pool.Sessions.reserved`."""
        ...

    async def let_go(self, session_ids: Iterable[str]) -> None:
        """Close those that are live and idle."""
        ...


class Switching:
    """Gives threads other sessions."""

    def __init__(
        self, store: Store, board: Board, agent: Deleting, pool: Pool, clock: Clock
    ) -> None:
        self._store = store
        self._board = board
        self._agent = agent
        self._pool = pool
        self._clock = clock

    def handlers(self) -> Mapping[str, Handler]:
        return {"reset": self.reset, "resume": self.resume, "delete": self.delete}

    # A fresh one

    async def reset(self, asked: Asked) -> Outcome:
        session = asked.session
        if asked.words:
            return told(how_it_goes("reset"))
        if session is None:
            missing = texts.ONLY_IN_THREADS.format(verb="reset")
            return told(missing if asked.place is None else session_texts.NO_SESSION)
        if not session.current:
            return told(session_texts.RESET_SET_ASIDE.format(handle=session.handle))
        runs = await answering(self._store, session, asked.position)
        if not session.asked and not runs:
            return told(session_texts.RESET_FRESH)
        if session.owner != asked.person.user:
            await self._store.audit(
                asked.person.user, "reset", session.handle, f"of {session.owner}"
            )
        # It stays its owner's, also where somebody in charge gave the order.
        upto = asked.order.ts
        await self._store.begin_anew(session.thread, session.role, session.owner, upto=upto)
        await self._pool.let_go([session.id])
        done = session_texts.RESET_DONE_ROLE if session.role else session_texts.RESET_DONE
        sentences = [done.format(handle=session.handle, role=session.role)]
        if runs:
            sentences.append(session_texts.RESET_RUNNING.format(handle=session.handle))
        sentence = " ".join(sentences)
        if session.thread == asked.place:
            return told(sentence, public=True)
        await self._tell(session.thread, sentence)
        return told(session_texts.RESET_ELSEWHERE.format(handle=session.handle))

    # An earlier one

    async def resume(self, asked: Asked) -> Outcome:
        place, session = asked.place, asked.session
        if place is None:
            return told(texts.ONLY_IN_THREADS.format(verb="resume"))
        if asked.words:
            return told(session_texts.RESUME_NO_HANDLE)
        if not asked.named or session is None:
            return await self._offer(asked, place)
        present = await self._store.current(place, session.role)
        refusal = _why_not(asked, place, session, present)
        if refusal:
            return told(refusal)
        # The one that comes is opened anew: what it is opened with may differ here.
        async with self._pool.reserved([session.id]) as reserved:
            refusal = await self._in_use(asked, session, reserved)
            if refusal:
                return told(refusal)
            await self._audit_resume(asked, session, present)
            if asked.thread is None:
                await self._store.make_thread(place, frozenset({asked.person.user}))
            if await self._store.take_up(session.number, place) is None:
                return told(texts.NO_SUCH_SESSION)
        if present is not None:
            await self._pool.let_go([present.id])
        if session.current and session.thread != place:
            await self._tell(
                session.thread, session_texts.RESUME_MOVED.format(handle=session.handle)
            )
        return told(_resumed(session, present), public=True)

    async def _audit_resume(
        self, asked: Asked, session: SessionRecord, present: SessionRecord | None
    ) -> None:
        """Put on record that somebody takes up, or puts aside, what is somebody else's."""
        user, detail = asked.person.user, []
        if session.owner != user:
            detail.append(f"of {session.owner}")
        if present is not None and present.owner != user:
            detail.append(f"in place of {present.handle} of {present.owner}")
        if detail:
            await self._store.audit(user, "resume", session.handle, ", ".join(detail))

    async def _offer(self, asked: Asked, place: ThreadKey) -> Outcome:
        """Earlier sessions of this thread, then the person's own in this channel."""
        user = asked.person.user
        here = SessionFilter(thread=place, set_aside=True)
        around = SessionFilter(owner=user, channel=place.channel)
        found: dict[int, SessionRecord] = {}
        for wanted in (here, around):
            for session in (await self._store.sessions(wanted, 0, _LOOKED_AT)).sessions:
                theirs = session.owner == user or asked.in_charge
                here_now = session.current and session.thread == place
                if theirs and not here_now and not blind(session):
                    found.setdefault(session.number, session)
        if not found:
            return told(session_texts.RESUME_NONE)
        lines = tuple(self._line(session) for session in list(found.values())[:OFFERED])
        return Outcome(
            card=Card(
                title=session_texts.RESUME_TITLE, text=session_texts.RESUME_WHICH, lines=lines
            )
        )

    def _line(self, session: SessionRecord) -> Line:
        role = [session.role] if session.role else []
        used = age(self._clock.now() - session.used)
        return Line(
            text=titled(session),
            detail=" · ".join((session.handle, *role, many(session.turns, "turn"), used)),
            link=session.thread,
            presses=(Press(label=session_texts.RESUME, verb="resume", words=session.handle),),
        )

    # None at all

    async def delete(self, asked: Asked) -> Outcome:
        session = asked.session
        if session is None or not asked.named:
            return told(texts.NO_SUCH_SESSION)
        async with self._pool.reserved([session.id]) as reserved:
            refusal = await self._in_use(asked, session, reserved)
            if refusal:
                return told(refusal)
            freed = await deleted(
                self._store, self._agent, session, by=asked.person.user, act="delete"
            )
        if session.current:
            await self._tell(session.thread, session_texts.DELETED_HERE)
        return told(session_texts.DELETED.format(handle=session.handle, size=size(freed)))

    # All of them

    async def _in_use(self, asked: Asked, session: SessionRecord, reserved: frozenset[str]) -> str:
        """The sentence why a session cannot be taken away; "" where it can. To be asked while it is
        reserved: a turn that is begun after this one looked does not get it before it has gone."""
        if await self._store.session(session.number) is None:
            return texts.NO_SUCH_SESSION
        running = await being_answered(self._store, session.thread, asked.position)
        if session.id not in reserved or (running is not None and _asks(running, session)):
            return session_texts.BUSY.format(handle=session.handle)
        if session.current:
            waiting = await self._store.waiting(session.thread)
            earlier = (turn for turn in waiting if not waits_behind(turn, asked.position))
            if any(_asks(turn, session) for turn in earlier):
                return session_texts.AWAITED.format(handle=session.handle)
        return ""

    async def _tell(self, thread: ThreadKey, sentence: str) -> None:
        """Tell a thread what became of its session. It is done all the same where it cannot be
        told: the channel may be gone."""
        try:
            await self._board.show(thread, Card(text=sentence))
        except SlackError as error:
            log.info("thread %s cannot be told of its session: %s", thread, error)


async def deleted(
    store: Store, agent: Deleting, session: SessionRecord, *, by: str, act: str
) -> int:
    """Delete a session that nobody uses for good; the bytes freed. Raises `AgentError`,
    `StoreError`.

    It is on record first, that it cannot happen that it is done and nobody can tell by whom; then
    the runtime's: killed in between, the record is left and it can be said again.
    """
    turns = many(session.turns, "turn")
    await store.audit(by, act, session.handle, f"of {session.owner}, {turns}")
    freed = (await agent.delete([session.id])).get(session.id, 0)
    await store.drop([session.number])
    return freed


def _asks(turn: Turn, session: SessionRecord) -> bool:
    """Whether a turn of a session's thread is, or will be, asked of it. A comparison asks copies,
    of which nobody knows before its end which are its own."""
    if blind(session):
        return bool(turn.message.wish.compare)
    return session.current and turn.message.wish.role == session.role


def _why_not(
    asked: Asked, place: ThreadKey, session: SessionRecord, present: SessionRecord | None
) -> str:
    """The sentence why a session cannot be taken up in a thread, whatever it does just now; ""
    where it can."""
    user = asked.person.user
    if session.thread == place and session.current:
        return session_texts.RESUME_PRESENT.format(handle=session.handle)
    if blind(session):
        return session_texts.RESUME_COPY.format(handle=session.handle)
    if (session.thread.team, session.thread.channel) != (place.team, place.channel):
        return session_texts.RESUME_OTHER_CHANNEL.format(handle=session.handle)
    if present is not None and present.owner != user and not asked.in_charge:
        return session_texts.RESUME_NOT_YOURS
    if asked.thread is None and asked.order.ts != place.root_ts:
        return session_texts.RESUME_TOO_EARLY
    return ""


def _resumed(session: SessionRecord, present: SessionRecord | None) -> str:
    done = session_texts.RESUME_DONE_NAMED if session.title else session_texts.RESUME_DONE
    turns = many(session.turns, "turn")
    sentence = done.format(handle=session.handle, title=titled(session), turns=turns)
    if present is None:
        return sentence
    return sentence + session_texts.RESUME_BEFORE.format(handle=present.handle)
