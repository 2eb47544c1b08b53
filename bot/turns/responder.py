"""How a turn is answered: which session is asked what, with which model, and how that ends.

When the engine dies under it, a turn is asked once more by itself: what was said up to there is
taken back, and the prompt, which the session's history may have kept, is cut out before it is sent
again. Tools only read, so that nothing is done twice by that. Comparisons are not asked again: each
answer would be held against others that had it easier.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bot.clock import time_limit
from bot.domain.cards import Foot
from bot.domain.messages import Message, ThreadKey
from bot.domain.sessions import Remembered, SessionRecord
from bot.domain.turns import Ending, Turn, TurnState
from bot.errors import AGENT_SENTENCES, AgentError, AgentFault, StoreError
from bot.ports import AgentSession, Clock, Prompts, Reply, Store
from bot.sessions.model_selection import Choosing
from bot.sessions.pool import Sessions
from bot.turns.answer_stream import Answer, Cost, Underway, follow
from bot.turns.comparison import STOPPED, Comparing
from bot.turns.prompt import Prompt, Quoting
from bot.turns.reply_actions import foot_of

log = logging.getLogger(__name__)

_MOST_AGAINS: Final = 100
_LOOK_BACK: Final = 20
"""So many of the turns that a session remembers are looked at in one go, the newest first."""
_MOST_MOVES: Final = 3
"""So often a turn follows what becomes of its session while it waits for it."""


@dataclass(slots=True, kw_only=True)
class _Asking:
    """One turn on its way to its answer."""

    turn: Turn
    reply: Reply
    underway: Underway
    cost: Cost
    answer: Answer = field(default_factory=Answer)
    begun: bool = False
    """Whether its prompt is on its way, so that it gives way to nobody any more."""
    again: bool = False
    """Whether it is asked once more, after its engine died."""

    def ending(self, state: TurnState, note: str = "") -> Ending:
        """How it ends, with what was said and spent up to here."""
        return Ending(state=state, answer=self.answer.text, note=note, spent=self.cost.spent)


class Answering:
    """Asks the sessions of turns."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        clock: Clock,
        *,
        choosing: Choosing,
        quoting: Quoting,
        comparing: Comparing,
        turn_seconds: float,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._choosing = choosing
        self._quoting = quoting
        self._comparing = comparing
        self._turn_seconds = turn_seconds
        self._underway: dict[ThreadKey, tuple[Message, Underway]] = {}

    @contextmanager
    def under_way(self, turn: Turn) -> Iterator[Underway]:
        """The turn's answer can be stopped while inside."""
        underway = Underway()
        self._underway[turn.message.thread] = (turn.message, underway)
        try:
            yield underway
        finally:
            del self._underway[turn.message.thread]

    def asked_in(self, thread: ThreadKey) -> Message | None:
        """What is being answered in a thread, if anything is."""
        found = self._underway.get(thread)
        return None if found is None else found[0]

    async def stop(self, asked: Message) -> bool:
        """Stop the answer to a message, if it is running still; whether it was. Not that of the
        next one, which may have begun meanwhile."""
        running, underway = self._underway.get(asked.thread, (None, None))
        if underway is None or running != asked:
            return False
        await underway.stop()
        return True

    async def foot(self, turn: Turn, ending: Ending) -> Foot | None:
        """What can be done with the answer; with a comparison, as it is on record."""
        if not turn.message.wish.compare:
            return foot_of(turn, ending)
        if ending.state not in (TurnState.DONE, TurnState.STOPPED):
            return None
        try:
            return await self._comparing.foot(turn)
        except StoreError as error:
            log.warning("a comparison is shown without its votes: %s", error)
            return None

    async def answer(self, turn: Turn, reply: Reply, underway: Underway) -> Ending | None:
        """Ask for a turn's answer and show it as it grows: how it ends. None when an earlier
        message of the thread came in, and the turn has to give way. Raises `StoreError`."""
        record = await self._store.session_for(turn)
        asking = _Asking(turn=turn, reply=reply, underway=underway, cost=Cost(self._clock))
        try:
            if turn.message.wish.compare:
                return await self._compare(turn, record, underway)
            async with time_limit(self._clock, self._turn_seconds):
                stopped = await self._ask_over_a_death(asking, record)
        except AgentError as error:
            log.warning("the model did not answer: %s", error, exc_info=error.__cause__)
            return asking.ending(TurnState.FAILED, error.sentence)
        except TimeoutError:
            log.warning("the turn took more than %g s and was ended", self._turn_seconds)
            return asking.ending(TurnState.FAILED, AGENT_SENTENCES[AgentFault.ENDLESS])
        if stopped is None:
            return None
        if stopped:
            return asking.ending(TurnState.STOPPED, STOPPED)
        if not asking.answer.text.strip():
            note = AGENT_SENTENCES[AgentFault.EMPTY]
            return Ending(state=TurnState.FAILED, note=note, spent=asking.cost.spent)
        return asking.ending(TurnState.DONE)

    async def _ask_over_a_death(self, asking: _Asking, record: SessionRecord) -> bool | None:
        """Ask, and once more where the engine died under it; else like `_ask_session`."""
        try:
            return await self._ask_session(asking, record)
        except AgentError as error:
            if error.fault is not AgentFault.RUNTIME:
                raise
            if asking.underway.stop_wanted:
                return True
            log.warning("the engine failed under the turn, which is asked once more: %s", error)
        asking.again = True
        asking.answer.take_all_back()
        asking.reply.replace("")
        return await self._ask_session(asking, await self._store.session_for(asking.turn))

    async def _ask_session(self, asking: _Asking, record: SessionRecord) -> bool | None:
        """Ask the thread's session; whether it was stopped. None when the turn has to give way."""
        message = asking.turn.message
        for _ in range(_MOST_MOVES):
            chosen = await self._choosing.chosen(record, record.thread, wish=message.wish.model)
            log.debug("model %r: %s", chosen.setup.model, chosen.rule)
            async with (
                self._prompting(asking.turn, record) as prompt,
                self._sessions.held(record.id, chosen.setup) as session,
            ):
                held = await self._store.session(record.number)
                if held is not None and held.thread == message.thread:
                    return await self._ask_held(asking, held, session, prompt)
            # It was deleted, or taken up in another thread, while the turn waited for it.
            record = await self._store.session_for(asking.turn)
        raise AgentError(AgentFault.BUSY, f"session {record.id} does not stay in its thread")

    def _prompting(self, turn: Turn, record: SessionRecord) -> AbstractAsyncContextManager[Prompt]:
        """The prompt of a turn, put together at once where its session has to be opened first."""
        if self._sessions.has(record.id):
            return nullcontext(partial(self._quoting.prompt, turn))
        return self._quoting.prompting(turn, record)

    async def _ask_held(
        self, asking: _Asking, record: SessionRecord, session: AgentSession, prompt: Prompt
    ) -> bool | None:
        """Ask a session that nobody else has meanwhile."""
        turn, underway = asking.turn, asking.underway

        async def taken(event: str) -> None:
            try:
                await self._store.remember(turn, record.number, event)
            except StoreError as error:
                # The answer counts for more than that one can go back to before it.
                log.warning("the prompt's place in the history is not on record: %s", error)
            self._quoting.told(turn, record)

        again = turn.message.wish.again
        if session.blank and record.asked:
            log.warning("the memory of session %s is gone", record.id)
            record = await self._store.lose(record.number) or record
        elif session.as_found:
            record = await self._agreed(record, session)
        if again:
            # What is forgotten does not come back: not before it is sure to be asked anew.
            if not await self._begun(asking):
                return None
            if underway.stop_wanted:
                return True
            record = await self._forgotten(again, record, session)
        if turn.epoch > 1 or asking.again:
            record = await self._forgotten(turn.id, record, session)
        text = await prompt(record)
        with underway.of(session):
            if not await self._begun(asking):
                return None
            if underway.stop_wanted:
                return True
            return await follow(
                session, text, asking.answer, asking.cost, taken=taken, showing=asking.reply
            )

    async def _begun(self, asking: _Asking) -> bool:
        """Whether the prompt may be sent; not where an earlier message of the thread came in."""
        if not asking.begun:
            asking.begun = await self._store.begin(asking.turn)
        return asking.begun

    async def _forgotten(
        self, turn: int, record: SessionRecord, session: AgentSession
    ) -> SessionRecord:
        """Cut the session's history to before a turn that is to be asked anew: because somebody
        wants another answer, or because a death came between its prompt and its answer. Done
        again after a restart it changes nothing more: the runtime goes first, then the record."""
        before = await self._first_remembered(turn, record)
        if before is not None:
            await session.forget_from(before.event)
            forgotten = await self._store.forget(record.number, before.turn)
            log.info("session %s forgets %d turns to answer one anew", record.id, len(forgotten))
            record = await self._store.session(record.number) or record
        await self._cut_unrecorded(record, session, (await session.prompts()).unanswered)
        return record

    async def _agreed(self, record: SessionRecord, session: AgentSession) -> SessionRecord:
        """Bring a session's history, and what is on record of it, together again: a bot may have
        died before a prompt was on record, a runtime before a turn was in the history, which it
        writes a moment later. Where the answer alone was lost the prompt goes, too: the model would
        answer it once more. The runtime goes first, then the record."""
        kept = await session.prompts()
        unlike = await self._unlike(record, kept)
        half = [turn.event for turn in unlike if turn.event in kept.all]
        if half:
            await session.forget_from(half[0])
        else:
            await self._cut_unrecorded(record, session, kept.unanswered)
        if not unlike:
            return record
        lost = await self._store.forget(record.number, unlike[0].turn)
        log.warning("session %s has lost %d turns with what died", record.id, len(lost))
        return await self._store.session(record.number) or record

    async def _unlike(self, record: SessionRecord, kept: Prompts) -> Sequence[Remembered]:
        """What is last on record and not, or not whole, in the history; oldest first."""
        end = record.turns
        unlike: list[Remembered] = []
        while end > 0:
            start = max(0, end - _LOOK_BACK)
            page = await self._store.remembered(record.number, start, end - start)
            for turn in reversed(page.turns):
                answered = turn.event not in kept.unanswered
                if turn.event in kept.all and (answered or turn.state is not TurnState.DONE):
                    return unlike[::-1]
                unlike.append(turn)
            end = start
        return unlike[::-1]

    async def _cut_unrecorded(
        self, record: SessionRecord, session: AgentSession, unanswered: Sequence[str]
    ) -> None:
        """Cut what the history has after all that is on record and never answered: a prompt that
        was taken just before a death, and that would be sent twice."""
        if not unanswered:
            return
        last = (await self._store.remembered(record.number, max(0, record.turns - 1), 1)).turns
        recorded = bool(last) and last[-1].event in unanswered
        left = unanswered[unanswered.index(last[-1].event) + 1 :] if recorded else unanswered
        if left:
            await session.forget_from(left[0])
            log.info("session %s forgets a prompt that is not on record", record.id)

    async def _first_remembered(self, turn: int, record: SessionRecord) -> Remembered | None:
        """The earliest that a session remembers of a turn and of those that it was to answer anew:
        where a restart came between forgetting and asking, the one before may still be there."""
        first = None
        for _ in range(_MOST_AGAINS):
            first = await self._store.recall(record.number, turn) or first
            asked = await self._store.turn(turn)
            if asked is None or not asked.message.wish.again:
                break
            turn = asked.message.wish.again
        return first

    async def _compare(
        self, turn: Turn, record: SessionRecord, underway: Underway
    ) -> Ending | None:
        """Ask copies of the session with several models."""
        prompt = await self._quoting.prompt(turn, record)
        if not await self._store.begin(turn):
            return None
        if underway.stop_wanted:
            return Ending(state=TurnState.STOPPED, note=STOPPED)
        return await self._comparing.compared(turn, record, prompt, underway)
