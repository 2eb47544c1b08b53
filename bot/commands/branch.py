"""Orders that take a session back or branch it: go back, fork."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import clipped, one_line
from bot.commands.session_state import being_answered, blind
from bot.commands.texts import branch as branch_texts
from bot.domain.cards import Card, Line, Outcome, told
from bot.domain.messages import ThreadKey
from bot.domain.sessions import Origin, Remembered, SessionRecord
from bot.domain.turns import Turn
from bot.errors import SlackError
from bot.ports import Agent, Board, Clock, Store
from bot.sessions.model_selection import Choosing, Rule
from bot.sessions.pool import Sessions

log = logging.getLogger(__name__)

FORKS_AN_HOUR: Final = 20
"""So many forks one person may have made: each is a copy of a session, and a message to all."""
HOUR_SECONDS: Final = 3_600.0
_SHOWN_CHARS: Final = 80
_NOTED_TRIES: Final = 50
_NOTED_PAUSE_SECONDS: Final = 0.1


class Branching:
    """Carries out `rewind` and `fork`."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        sessions: Sessions,
        choosing: Choosing,
        board: Board,
        clock: Clock,
    ) -> None:
        self._store = store
        self._agent = agent
        self._sessions = sessions
        self._choosing = choosing
        self._board = board
        self._clock = clock
        self._forking: set[str] = set()
        """Who is having a fork made just now."""

    def handlers(self) -> Mapping[str, Handler]:
        """The verbs that are carried out here."""
        return {"rewind": self.rewind, "fork": self.fork}

    # Going back

    async def rewind(self, asked: Asked) -> Outcome:
        """Let a session forget a turn and all that came later, at once."""
        thread = asked.place
        if thread is None:
            return told(branch_texts.NOTHING_BEFORE)
        if await being_answered(self._store, thread, asked.position) is not None:
            return told(branch_texts.BUSY)
        found = await self._to_forget(asked, thread)
        if found is None:
            return told(
                branch_texts.OTHER_SESSION if asked.order.turn else branch_texts.NOTHING_BEFORE
            )
        session, turn = found
        chosen = await self._choosing.chosen(session, thread)
        if session.owner != asked.person.user:
            await self._store.audit(asked.person.user, "rewind", session.handle)
        async with self._sessions.held(session.id, chosen.setup) as live:
            if await being_answered(self._store, thread, asked.position) is not None:
                return told(branch_texts.BUSY)
            await live.forget_from(turn.event)
            # What is to be forgotten must not come along with the next question.
            forgotten = await self._store.forget(
                session.number, turn.turn, told=True, upto=asked.order.ts, order=asked.order.key
            )
        others = len(forgotten) - 1
        more = branch_texts.AND_ONE if others == 1 else branch_texts.AND_OTHERS.format(count=others)
        return told(
            branch_texts.REWOUND.format(
                name=asked.person.name,
                question=shown(turn.text),
                others=more if others > 0 else "",
            ),
            public=True,
        )

    async def _to_forget(
        self, asked: Asked, thread: ThreadKey
    ) -> tuple[SessionRecord, Remembered] | None:
        """The session and the turn to go back before."""
        number = asked.order.turn
        if number is None:
            last = await last_of(self._store, asked.session)
            return None if asked.session is None or last is None else (asked.session, last)
        for session in await self._store.currents(thread):
            turn = await self._store.recall(session.number, number)
            if turn is not None:
                return session, turn
        return None

    # Forking

    async def fork(self, asked: Asked) -> Outcome:
        """Copy a session into a new thread of the same channel, so many times an hour."""
        source = asked.session
        if source is None or not source.asked:
            return told(branch_texts.NOTHING_TO_FORK)
        if blind(source):
            return told(branch_texts.STILL_BLIND)
        async with self._one_of(asked.person.user) as refusal:
            return told(refusal) if refusal else await self._fork(asked, source)

    @asynccontextmanager
    async def _one_of(self, user: str) -> AsyncIterator[str]:
        """While inside, somebody's one fork is made; the sentence where they may have none now."""
        if user in self._forking:
            yield branch_texts.ONE_FORK_AT_A_TIME
            return
        self._forking.add(user)
        try:
            since = self._clock.now() - HOUR_SECONDS
            had = await self._store.forks_since(user, since)
            yield "" if had < FORKS_AN_HOUR else branch_texts.FORKS_USED_UP.format(count=had)
        finally:
            self._forking.discard(user)

    async def _fork(self, asked: Asked, source: SessionRecord) -> Outcome:
        """Copy it. The copy is put on record beside its source first, so that it is never nobody's:
        what is left of a fork that was cut short is a session that can be resumed or deleted."""
        upto, after = await self._fork_point(asked, source)
        if asked.order.turn is not None and upto is None:
            return told(branch_texts.OTHER_SESSION)
        copy = await self._copied(asked, source, after)
        try:
            thread = await self._begun(asked, source, upto)
        except SlackError:
            await self._agent.delete([copy.id])
            await self._store.drop([copy.number])
            raise
        await self._store.make_thread(thread, frozenset({asked.person.user}))
        await self._store.take_up(copy.number, thread)
        text = branch_texts.FORKED_UPTO if upto is not None else branch_texts.FORKED
        if source.role:
            text = f"{text} {_how_to_go_on(source.role)}"
        return Outcome(card=Card(text=text, link=thread), public=asked.place is not None)

    async def _copied(
        self, asked: Asked, source: SessionRecord, after: Remembered | None
    ) -> SessionRecord:
        """A copy of the session, up to a turn that it shall not know. Raises `BotError`."""
        title = branch_texts.FORK_TITLE.format(title=source.title or branch_texts.UNTITLED)[:200]
        copy = await self._agent.fork(
            source.id, before=after.event if after is not None else "", title=title
        )
        return await self._store.add_session(
            source,
            session_id=copy,
            origin=Origin.FORK,
            thread=source.thread,
            owner=asked.person.user,
            title=title,
            model=await self._model_of(source),
            before_turn=after.turn if after is not None else 0,
        )

    async def _model_of(self, source: SessionRecord) -> str:
        """The model chosen for a session or for its thread: the fork goes on with it."""
        chosen = await self._choosing.chosen(source, source.thread)
        return chosen.setup.model if chosen.rule in (Rule.SESSION, Rule.THREAD) else ""

    async def _fork_point(
        self, asked: Asked, source: SessionRecord
    ) -> tuple[Remembered | None, Remembered | None]:
        """The last turn that the fork shall know (None for all), and the first that it shall not.
        What was asked after the fork was ordered, and what is being answered just now, it does not
        know."""
        if asked.order.turn is not None:
            upto = await self._store.recall(source.number, asked.order.turn)
            if upto is not None:
                return upto, await self._store.recall_after(source.number, upto.turn)
        later = await self._store.recall_later(source.number, asked.position)
        if later is not None:
            return None, later
        running = await being_answered(self._store, source.thread)
        if running is None:
            return None, None
        return None, await self._once_noted(source, running)

    async def _once_noted(self, source: SessionRecord, running: Turn) -> Remembered | None:
        """Where a running turn's prompt stands in its session's history; None where it is not sent
        yet. Between its sending and that being on record lie some milliseconds."""
        for _ in range(_NOTED_TRIES):
            noted = await self._store.recall(source.number, running.id)
            now = await being_answered(self._store, source.thread)
            if noted is not None or now is None or now.id != running.id or not now.prompted:
                return noted
            await self._clock.sleep(_NOTED_PAUSE_SECONDS)
        return None

    async def _begun(
        self, asked: Asked, source: SessionRecord, upto: Remembered | None
    ) -> ThreadKey:
        """The thread for a fork, begun by the bot. Raises `SlackError`."""
        name = asked.person.name
        text = branch_texts.FORK_ROOT.format(name=name)
        if upto is not None:
            text = branch_texts.FORK_ROOT_UPTO.format(name=name, question=shown(upto.text))
        origin = Line(text=branch_texts.FORK_ORIGIN, link=source.thread)
        card = Card(text=text, lines=(origin,), small=_how_to_go_on(source.role))
        root = await self._board.begin(source.thread.channel, card)
        return ThreadKey(team=source.thread.team, channel=source.thread.channel, root_ts=root)


def _how_to_go_on(role: str) -> str:
    return branch_texts.FORK_HINT_ROLE.format(role=role) if role else branch_texts.FORK_HINT


async def last_of(store: Store, session: SessionRecord | None) -> Remembered | None:
    """The turn that a session was asked last. Raises `StoreError`."""
    if session is None:
        return None
    total = (await store.remembered(session.number, 0, 1)).total
    page = await store.remembered(session.number, max(total - 1, 0), 1)
    return page.turns[0] if page.turns else None


def shown(text: str) -> str:
    """A text as it is named in a sentence: its beginning, on one line."""
    return clipped(one_line(text), _SHOWN_CHARS)
