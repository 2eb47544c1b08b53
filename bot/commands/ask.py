"""The order `ask`: a side question that knows what the thread said and does not enter its memory.

It is put to a copy of the session: the session itself may be answering, and no turn may have to
wait for a side question. The copy is deleted afterwards; what a `kill -9` leaves is an orphan that
the cleanup finds.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

from bot.commands.dispatcher import Asked, Handler
from bot.commands.formatting import clipped, count
from bot.commands.texts import sessions as session_texts
from bot.domain.cards import Card, Outcome, told
from bot.errors import AgentError, AgentFault, BotError
from bot.ports import AgentSession, Setup, UsageStore
from bot.sessions.model_selection import Choosing

log = logging.getLogger(__name__)

QUESTION_MOST: Final = 3_000
"""Characters of a side question; longer ones belong into the thread."""
ANSWER_MOST: Final = 11_000
_QUOTED: Final = 500
AT_ONCE: Final = 4
"""So many side questions are asked at once, in all; more wait their turn."""
_BLANK: Final = "aside-"
"""How the id of a session begins that is made for one side question and knows nothing."""
WAIT_SECONDS: Final = 30.0
"""How long a side question waits for its turn before it is told that there are too many."""
DELETE_SECONDS: Final = 10.0


class Copying(Protocol):
    """The runtime, as far as it copies and deletes."""

    async def fork(self, session_id: str, *, before: str = "", title: str = "") -> str:
        """As `bot.ports.Agent` promises."""
        ...

    async def delete(self, session_ids: Sequence[str]) -> Mapping[str, int]:
        """As `bot.ports.Agent` promises."""
        ...


class Pool(Protocol):
    """The live sessions."""

    def held(self, session_id: str, setup: Setup) -> AbstractAsyncContextManager[AgentSession]: ...

    async def let_go(self, session_ids: Sequence[str]) -> None: ...


class Limits(Protocol):
    """Who may ask how much."""

    async def refusal(self, user: str) -> str:
        """The sentence why somebody is not answered just now; "" where they are."""
        ...


class Asides:
    """Asks side questions."""

    def __init__(
        self,
        store: UsageStore,
        agent: Copying,
        pool: Pool,
        choosing: Choosing,
        limits: Limits,
        *,
        paused: Callable[[], bool],
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """`paused` tells whether no new turns are begun just now."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._choosing = choosing
        self._limits = limits
        self._paused = paused
        self._wait_seconds = wait_seconds
        self._asking: set[str] = set()
        self._places = asyncio.Semaphore(AT_ONCE)

    def handlers(self) -> Mapping[str, Handler]:
        return {"ask": self.ask}

    async def ask(self, asked: Asked) -> Outcome:
        question, user = asked.words.strip(), asked.person.user
        if not question:
            return told(session_texts.ASK_NOTHING)
        if len(question) > QUESTION_MOST:
            length = count(len(question))
            return told(session_texts.ASK_TOO_LONG.format(most=count(QUESTION_MOST), length=length))
        refusal = await self._limits.refusal(user)
        if refusal:
            return told(refusal)
        if self._paused():
            return told(session_texts.ASK_PAUSED)
        if user in self._asking:
            return told(session_texts.ASK_ONE_AT_A_TIME)
        self._asking.add(user)
        try:
            async with self._place():
                # First: what cost something must have been counted, whatever happens then.
                await self._store.note_aside(user, asked.place)
                answer = await self._answer(asked, question)
        finally:
            self._asking.discard(user)
        return _answered(asked, question, answer)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """One of the places for side questions. Raises `AgentError`: BUSY when none comes free in
        time."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError as error:
            raise AgentError(AgentFault.BUSY, "too many side questions at once") from error
        try:
            yield
        finally:
            self._places.release()

    async def _answer(self, asked: Asked, question: str) -> str:
        owner = asked.person.user
        chosen = await self._choosing.chosen(asked.session, asked.place, owner=owner)
        async with self._copy(asked) as copy, self._pool.held(copy, chosen.setup) as session:
            if session.blank and not copy.startswith(_BLANK):
                raise AgentError(AgentFault.RUNTIME, f"the copy {copy} is gone")
            answer = await session.aside(question)
        return answer.strip()

    @asynccontextmanager
    async def _copy(self, asked: Asked) -> AsyncIterator[str]:
        """The id of a session of the runtime that knows what the thread's does, for a while."""
        copy = ""
        if asked.session is not None:
            try:
                copy = await self._agent.fork(asked.session.id)
            except AgentError as error:
                if error.fault is not AgentFault.NO_SESSION:
                    raise
        copy = copy or f"{_BLANK}{uuid.uuid4()}"
        try:
            yield copy
        finally:
            await self._forget(copy)

    async def _forget(self, copy: str) -> None:
        """The answer counts also where its copy cannot be deleted: it is an orphan then."""
        try:
            async with asyncio.timeout(DELETE_SECONDS):
                await self._pool.let_go([copy])
                await self._agent.delete([copy])
        except (BotError, TimeoutError) as error:
            log.warning("the copy %s for a side question stays behind: %s", copy, error)


def _answered(asked: Asked, question: str, answer: str) -> Outcome:
    if not answer:
        return told(session_texts.ASK_EMPTY)
    in_thread = asked.place is not None
    notes = [session_texts.ASK_SMALL if in_thread else session_texts.ASK_SMALL_ALONE]
    if len(answer) > ANSWER_MOST:
        notes.insert(0, session_texts.ASK_CLIPPED)
    text = session_texts.ASK_ANSWERED.format(
        question=clipped(question, _QUOTED), answer=clipped(answer, ANSWER_MOST)
    )
    card = Card(title=session_texts.ASK_TITLE, text=text, small=" ".join(notes))
    return Outcome(card=card, public=in_thread)
