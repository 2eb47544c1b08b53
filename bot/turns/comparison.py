"""Comparing models: copies of a session are asked the same, each with another model, all at once.

Their order is shuffled and their names are left out, so that people judge the answers. Each copy
stays until one is gone on with: that one becomes the thread's session, the others are deleted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bot.clock import time_limit
from bot.domain.cards import Foot
from bot.domain.comparisons import Candidate
from bot.domain.sessions import Origin, SessionRecord
from bot.domain.turns import Ending, Turn, TurnState
from bot.domain.usage import Spent
from bot.errors import AGENT_SENTENCES, AgentError, AgentFault, BotError
from bot.ports import Agent, Clock, Store
from bot.sessions.model_selection import Choosing
from bot.sessions.pool import Sessions
from bot.turns.answer_stream import Answer, Cost, Underway, follow
from bot.turns.reply_actions import ballot

log = logging.getLogger(__name__)

LABELS: Final = "ABCD"
MOST: Final = len(LABELS)
"""So many models can be compared at once."""

# What people are told ---------------------------------------------------------------------------

HEADING: Final = "**{label}**"
NAMED_HEADING: Final = "**{label}** · {model} · {seconds:.1f} s · {tokens:,} tokens"
STOPPED: Final = "Stopped."
NO_ANSWER: Final = "_No answer: {sentence}_"

# ------------------------------------------------------------------------------------------------

_BETWEEN: Final = "\n\n---\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """What one copy said."""

    candidate: Candidate
    text: str
    stopped: bool = False


class Comparing:
    """Asks several models the same."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        sessions: Sessions,
        choosing: Choosing,
        clock: Clock,
        *,
        turn_seconds: float,
    ) -> None:
        """`turn_seconds` is how long each model may take."""
        self._store = store
        self._agent = agent
        self._sessions = sessions
        self._choosing = choosing
        self._clock = clock
        self._turn_seconds = turn_seconds

    async def compared(
        self, turn: Turn, source: SessionRecord, prompt: str, underway: Underway
    ) -> Ending:
        """How a turn ends that compares; what came of it is on record. Raises `StoreError`, and
        `AgentError` when the session cannot be copied."""
        models = list(turn.message.wish.compare[:MOST])
        random.SystemRandom().shuffle(models)
        copies = [await self._copied(source, model) for model in models]
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._asked(turn, label, copy, prompt, underway))
                for label, copy in zip(LABELS, copies, strict=False)
            ]
        answers = [task.result() for task in asked]
        candidates = [each.candidate for each in answers]
        await self._store.note_comparison(turn, source.number, candidates)
        return _ending(turn, answers)

    async def foot(self, turn: Turn) -> Foot | None:
        """What stands under a comparison: nothing where no model answered. Raises `StoreError`."""
        comparison = await self._store.comparison(turn.id)
        if comparison is None or all(each.failed for each in comparison.candidates):
            return None
        return ballot(turn, comparison.candidates, named=comparison.open)

    async def _copied(self, source: SessionRecord, model: str) -> SessionRecord:
        """A copy of the session on record; of one that was never asked, a new one."""
        copy = ""
        if source.asked:
            try:
                copy = await self._agent.fork(source.id)
            except AgentError as error:
                if error.fault is not AgentFault.NO_SESSION:
                    raise
                log.warning("the memory of session %s is gone: its copies begin anew", source.id)
        return await self._store.add_session(
            source,
            session_id=copy,
            origin=Origin.COMPARISON,
            thread=source.thread,
            owner=source.owner,
            title=source.title,
            model=model,
        )

    async def _asked(
        self, turn: Turn, label: str, copy: SessionRecord, prompt: str, underway: Underway
    ) -> _Answered:
        """Ask one copy. Trouble with it is its own: the others go on."""
        answer, cost = Answer(), Cost(self._clock)

        async def taken(event: str) -> None:
            await self._store.remember(turn, copy.number, event)

        failed, stopped = "", False
        try:
            chosen = await self._choosing.chosen(copy, copy.thread)
            async with (
                self._sessions.held(copy.id, chosen.setup) as session,
                time_limit(self._clock, self._turn_seconds),
            ):
                with underway.of(session):
                    stopped = underway.stop_wanted or await follow(
                        session, prompt, answer, cost, taken=taken
                    )
            if not stopped and not answer.text.strip():
                failed = AGENT_SENTENCES[AgentFault.EMPTY]
        except BotError as error:
            log.warning("model %s did not answer in a comparison: %s", copy.model, error)
            failed = error.sentence
        except TimeoutError:
            log.warning("model %s took too long in a comparison", copy.model)
            failed = AGENT_SENTENCES[AgentFault.ENDLESS]
        spent = replace(cost.spent, model=copy.model)
        candidate = Candidate(
            label=label, session=copy.number, spent=spent, answer=answer.text, failed=failed
        )
        return _Answered(candidate=candidate, text=answer.text, stopped=stopped)


def _ending(turn: Turn, answers: Sequence[_Answered]) -> Ending:
    spent = Spent(
        input_tokens=sum(each.candidate.spent.input_tokens for each in answers),
        output_tokens=sum(each.candidate.spent.output_tokens for each in answers),
        seconds=max(each.candidate.spent.seconds for each in answers),
    )
    shown = _BETWEEN.join(_shown(each, named=turn.message.wish.open) for each in answers)
    if any(each.stopped for each in answers):
        return Ending(state=TurnState.STOPPED, answer=shown, note=STOPPED, spent=spent)
    if all(each.candidate.failed for each in answers):
        note = answers[0].candidate.failed
        return Ending(state=TurnState.FAILED, note=note, spent=spent)
    return Ending(state=TurnState.DONE, answer=shown, spent=spent)


def _shown(answered: _Answered, *, named: bool) -> str:
    candidate = answered.candidate
    heading = HEADING.format(label=candidate.label)
    if named:
        heading = NAMED_HEADING.format(
            label=candidate.label,
            model=candidate.spent.model,
            seconds=candidate.spent.seconds,
            tokens=candidate.spent.input_tokens + candidate.spent.output_tokens,
        )
    text = answered.text
    if candidate.failed:
        text = NO_ANSWER.format(sentence=candidate.failed)
    return f"{heading}\n\n{text}" if text else heading
