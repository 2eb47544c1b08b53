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
from bot.domain.cards import ReplyActions
from bot.domain.comparisons import Candidate
from bot.domain.sessions import SessionOrigin, SessionRecord
from bot.domain.turns import Turn, TurnResult, TurnState
from bot.domain.usage import TokenUsage
from bot.errors import AGENT_ERROR_MESSAGES, AgentError, AgentErrorKind, BotError
from bot.ports import Agent, Clock, Store
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool
from bot.turns.answer_stream import ActivePrompts, AnswerBuffer, UsageMeter, stream_answer
from bot.turns.reply_actions import vote_actions

log = logging.getLogger(__name__)

LABELS: Final = "ABCD"
MAX_MODELS: Final = len(LABELS)
"""So many models can be compared at once."""

# What people are told ---------------------------------------------------------------------------

HEADING: Final = "**{label}**"
NAMED_HEADING: Final = "**{label}** · {model} · {seconds:.1f} s · {tokens:,} tokens"
STOPPED: Final = "Stopped."
NO_ANSWER: Final = "_No answer: {sentence}_"

# ------------------------------------------------------------------------------------------------

_ANSWER_SEPARATOR: Final = "\n\n---\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModelAnswer:
    """What one copy said."""

    candidate: Candidate
    text: str
    stopped: bool = False


class ComparisonRunner:
    """Asks several models the same."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        pool: SessionPool,
        model_selector: ModelSelector,
        clock: Clock,
        *,
        turn_seconds: float,
    ) -> None:
        """`turn_seconds` is how long each model may take."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._model_selector = model_selector
        self._clock = clock
        self._turn_seconds = turn_seconds

    async def run_comparison(
        self, turn: Turn, source: SessionRecord, prompt: str, active_prompts: ActivePrompts
    ) -> TurnResult:
        """How a turn ends that compares; what came of it is on record. Raises `StoreError`, and
        `AgentError` when the session cannot be copied."""
        models = list(turn.message.options.compare_models[:MAX_MODELS])
        random.SystemRandom().shuffle(models)
        copies = [await self._copy_session(source, model) for model in models]
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._ask_copy(turn, label, copy, prompt, active_prompts))
                for label, copy in zip(LABELS, copies, strict=False)
            ]
        answers = [task.result() for task in asked]
        candidates = [each.candidate for each in answers]
        await self._store.save_comparison(turn, source.number, candidates)
        return _combined_result(turn, answers)

    async def vote_actions(self, turn: Turn) -> ReplyActions | None:
        """What stands under a comparison: nothing where no model answered. Raises `StoreError`."""
        comparison = await self._store.comparison_of_turn(turn.id)
        if comparison is None or all(each.error for each in comparison.candidates):
            return None
        return vote_actions(turn, comparison.candidates, models_revealed=comparison.show_names)

    async def _copy_session(self, source: SessionRecord, model: str) -> SessionRecord:
        """A copy of the session on record; of one that was never asked, a new one."""
        copy = ""
        if source.has_turns:
            try:
                copy = await self._agent.fork_session(source.id)
            except AgentError as error:
                if error.kind is not AgentErrorKind.NO_SESSION:
                    raise
                log.warning("the memory of session %s is gone: its copies begin anew", source.id)
        return await self._store.add_session(
            source,
            session_id=copy,
            origin=SessionOrigin.COMPARISON,
            thread=source.thread,
            owner=source.owner,
            title=source.title,
            model=model,
        )

    async def _ask_copy(
        self,
        turn: Turn,
        label: str,
        copy: SessionRecord,
        prompt: str,
        active_prompts: ActivePrompts,
    ) -> _ModelAnswer:
        """Ask one copy. Trouble with it is its own: the others go on."""
        answer, cost = AnswerBuffer(), UsageMeter(self._clock)

        async def taken(event: str) -> None:
            await self._store.append_history(turn, copy.number, event)

        failed, stopped = "", False
        try:
            chosen = await self._model_selector.select(copy, copy.thread)
            async with (
                self._pool.acquire(copy.id, chosen.config) as session,
                time_limit(self._clock, self._turn_seconds),
            ):
                with active_prompts.track(session):
                    stopped = active_prompts.stop_requested or await stream_answer(
                        session, prompt, answer, cost, on_prompt_accepted=taken
                    )
            if not stopped and not answer.text.strip():
                failed = AGENT_ERROR_MESSAGES[AgentErrorKind.EMPTY]
        except BotError as error:
            log.warning("model %s did not answer in a comparison: %s", copy.model, error)
            failed = error.user_message
        except TimeoutError:
            log.warning("model %s took too long in a comparison", copy.model)
            failed = AGENT_ERROR_MESSAGES[AgentErrorKind.TIMED_OUT]
        spent = replace(cost.total_usage, model=copy.model)
        candidate = Candidate(
            label=label, session=copy.number, usage=spent, answer=answer.text, error=failed
        )
        return _ModelAnswer(candidate=candidate, text=answer.text, stopped=stopped)


def _combined_result(turn: Turn, answers: Sequence[_ModelAnswer]) -> TurnResult:
    spent = TokenUsage(
        input_tokens=sum(each.candidate.usage.input_tokens for each in answers),
        output_tokens=sum(each.candidate.usage.output_tokens for each in answers),
        seconds=max(each.candidate.usage.seconds for each in answers),
    )
    shown = _ANSWER_SEPARATOR.join(
        _format_answer(each, show_model=turn.message.options.show_names) for each in answers
    )
    if any(each.stopped for each in answers):
        return TurnResult(state=TurnState.STOPPED, answer=shown, note=STOPPED, usage=spent)
    if all(each.candidate.error for each in answers):
        note = answers[0].candidate.error
        return TurnResult(state=TurnState.FAILED, note=note, usage=spent)
    return TurnResult(state=TurnState.DONE, answer=shown, usage=spent)


def _format_answer(answer: _ModelAnswer, *, show_model: bool) -> str:
    candidate = answer.candidate
    heading = HEADING.format(label=candidate.label)
    if show_model:
        heading = NAMED_HEADING.format(
            label=candidate.label,
            model=candidate.usage.model,
            seconds=candidate.usage.seconds,
            tokens=candidate.usage.input_tokens + candidate.usage.output_tokens,
        )
    text = answer.text
    if candidate.error:
        text = NO_ANSWER.format(sentence=candidate.error)
    return f"{heading}\n\n{text}" if text else heading
