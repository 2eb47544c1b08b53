"""Compares models: sends a prompt to copies of a session, each with another model, in parallel.

The order of the models is shuffled and their names are hidden, so that users judge the answers. The
copies stay until one is kept: it becomes the thread's session, and the others are deleted.
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
"""Maximum number of models in a comparison."""

# Texts for users --------------------------------------------------------------------------------

HEADING: Final = "**{label}**"
NAMED_HEADING: Final = "**{label}** · {model} · {seconds:.1f} s · {tokens:,} tokens"
STOPPED: Final = "Stopped."
NO_ANSWER: Final = "_No answer: {reason}_"

# ------------------------------------------------------------------------------------------------

_ANSWER_SEPARATOR: Final = "\n\n---\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModelAnswer:
    """The answer of one copy."""

    candidate: Candidate
    text: str
    stopped: bool = False


class ComparisonRunner:
    """Runs turns that compare several models."""

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
        """`turn_seconds` is the timeout of each model."""
        self._store = store
        self._agent = agent
        self._pool = pool
        self._model_selector = model_selector
        self._clock = clock
        self._turn_seconds = turn_seconds

    async def run_comparison(
        self, turn: Turn, source: SessionRecord, prompt: str, active_prompts: ActivePrompts
    ) -> TurnResult:
        """Compare the models of a turn and save the comparison. Returns the result of the turn.
        Raises `StoreError`, and `AgentError` if the session cannot be copied."""
        models = list(turn.message.options.compare_models[:MAX_MODELS])
        random.SystemRandom().shuffle(models)
        copies = [await self._copy_session(source, model) for model in models]
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._ask_copy(turn, label, copy, prompt, active_prompts))
                for label, copy in zip(LABELS, copies, strict=False)
            ]
        answers = [task.result() for task in tasks]
        candidates = [each.candidate for each in answers]
        await self._store.save_comparison(turn, source.number, candidates)
        return _combined_result(turn, answers)

    async def vote_actions(self, turn: Turn) -> ReplyActions | None:
        """The actions under a comparison; None if no model answered. Raises `StoreError`."""
        comparison = await self._store.comparison_of_turn(turn.id)
        if comparison is None or all(each.error for each in comparison.candidates):
            return None
        return vote_actions(turn, comparison.candidates, models_revealed=comparison.show_names)

    async def _copy_session(self, source: SessionRecord, model: str) -> SessionRecord:
        """A recorded copy of the session; a new session if the source has no turns."""
        copy_id = ""
        if source.has_turns:
            try:
                copy_id = await self._agent.fork_session(source.id)
            except AgentError as error:
                if error.kind is not AgentErrorKind.NO_SESSION:
                    raise
                log.warning("session history lost, its copies start empty: session=%s", source.id)
        return await self._store.add_session(
            source,
            session_id=copy_id,
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
        """Ask one copy. Its failure does not affect the others."""
        buffer, usage_meter = AnswerBuffer(), UsageMeter(self._clock)

        async def on_accepted(event_id: str) -> None:
            await self._store.append_history(turn, copy.number, event_id)

        error_text, stopped = "", False
        try:
            selection = await self._model_selector.select(copy, copy.thread)
            async with (
                self._pool.acquire(copy.id, selection.config) as session,
                time_limit(self._clock, self._turn_seconds),
            ):
                with active_prompts.track(session):
                    stopped = active_prompts.stop_requested or await stream_answer(
                        session, prompt, buffer, usage_meter, on_prompt_accepted=on_accepted
                    )
            if not stopped and not buffer.text.strip():
                error_text = AGENT_ERROR_MESSAGES[AgentErrorKind.EMPTY]
        except BotError as error:
            log.warning("comparison answer failed: model=%s reason=%s", copy.model, error)
            error_text = error.user_message
        except TimeoutError:
            log.warning("comparison answer timed out: model=%s", copy.model)
            error_text = AGENT_ERROR_MESSAGES[AgentErrorKind.TIMED_OUT]
        usage = replace(usage_meter.total_usage, model=copy.model)
        candidate = Candidate(
            label=label, session=copy.number, usage=usage, answer=buffer.text, error=error_text
        )
        return _ModelAnswer(candidate=candidate, text=buffer.text, stopped=stopped)


def _combined_result(turn: Turn, answers: Sequence[_ModelAnswer]) -> TurnResult:
    usage = TokenUsage(
        input_tokens=sum(each.candidate.usage.input_tokens for each in answers),
        output_tokens=sum(each.candidate.usage.output_tokens for each in answers),
        seconds=max(each.candidate.usage.seconds for each in answers),
    )
    text = _ANSWER_SEPARATOR.join(
        _format_answer(each, show_model=turn.message.options.show_names) for each in answers
    )
    if any(each.stopped for each in answers):
        return TurnResult(state=TurnState.STOPPED, answer=text, note=STOPPED, usage=usage)
    if all(each.candidate.error for each in answers):
        note = answers[0].candidate.error
        return TurnResult(state=TurnState.FAILED, note=note, usage=usage)
    return TurnResult(state=TurnState.DONE, answer=text, usage=usage)


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
        text = NO_ANSWER.format(reason=candidate.error)
    return f"{heading}\n\n{text}" if text else heading
