"""Responds to turns: acquires the session, sends the prompt and streams the answer to the reply.

If the runtime dies during a turn, its prompt is sent once more. The shown text is retracted, and
the prompt is removed from the session's history, which may have kept it. Tools only read, so that
this repeats no side effect. Comparisons are not repeated: the answers would not have had equal
conditions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from bot.clock import time_limit
from bot.domain.cards import ReplyActions
from bot.domain.messages import Message, ThreadKey
from bot.domain.sessions import HistoryEntry, SessionRecord
from bot.domain.turns import Turn, TurnResult, TurnState
from bot.errors import AGENT_ERROR_MESSAGES, AgentError, AgentErrorKind, StoreError
from bot.ports import AgentSession, Clock, PromptIds, Reply, Store
from bot.sessions.model_selection import ModelSelector
from bot.sessions.pool import SessionPool
from bot.turns.answer_stream import ActivePrompts, AnswerBuffer, UsageMeter, stream_answer
from bot.turns.comparison import STOPPED, ComparisonRunner
from bot.turns.prompt import PromptBuilder, PromptFactory
from bot.turns.reply_actions import actions_for

log = logging.getLogger(__name__)

_MAX_RETRY_CHAIN: Final = 100
"""Maximum number of retries of one message that are followed back."""
_HISTORY_PAGE_SIZE: Final = 20
"""Number of history entries read together, newest first."""
_MAX_SESSION_CHANGES: Final = 3
"""Maximum number of session changes that a waiting turn follows."""


@dataclass(slots=True, kw_only=True)
class _TurnRun:
    """The state of one running turn."""

    turn: Turn
    reply: Reply
    active_prompts: ActivePrompts
    usage_meter: UsageMeter
    buffer: AnswerBuffer = field(default_factory=AnswerBuffer)
    started: bool = False
    """True once the prompt may be sent; the turn is then no longer requeued for an earlier one."""
    is_second_attempt: bool = False
    """True while the prompt is sent once more, after the runtime died."""

    def make_result(self, state: TurnState, note: str = "") -> TurnResult:
        """The result, with the answer and the usage up to now."""
        return TurnResult(
            state=state, answer=self.buffer.text, note=note, usage=self.usage_meter.total_usage
        )


class TurnResponder:
    """Responds to turns with their sessions."""

    def __init__(
        self,
        store: Store,
        pool: SessionPool,
        clock: Clock,
        *,
        model_selector: ModelSelector,
        prompt_builder: PromptBuilder,
        comparison_runner: ComparisonRunner,
        turn_seconds: float,
    ) -> None:
        self._store = store
        self._pool = pool
        self._clock = clock
        self._model_selector = model_selector
        self._prompt_builder = prompt_builder
        self._comparison_runner = comparison_runner
        self._turn_seconds = turn_seconds
        self._active: dict[ThreadKey, tuple[Message, ActivePrompts]] = {}

    @contextmanager
    def stoppable(self, turn: Turn) -> Iterator[ActivePrompts]:
        """Make the answer of a turn stoppable while inside."""
        active_prompts = ActivePrompts()
        self._active[turn.message.thread] = (turn.message, active_prompts)
        try:
            yield active_prompts
        finally:
            del self._active[turn.message.thread]

    def active_message(self, thread: ThreadKey) -> Message | None:
        """The message that is being answered in a thread; None if there is none."""
        active = self._active.get(thread)
        return None if active is None else active[0]

    async def stop_response(self, message: Message) -> bool:
        """Stop the answer to a message. True if it was still running. The answer to a later
        message is not stopped."""
        running, active_prompts = self._active.get(message.thread, (None, None))
        if active_prompts is None or running != message:
            return False
        await active_prompts.stop_all()
        return True

    async def reply_actions(self, turn: Turn, result: TurnResult) -> ReplyActions | None:
        """The actions under the reply; None if there are none. Those of a comparison come from its
        record."""
        if not turn.message.options.compare_models:
            return actions_for(turn, result)
        if result.state not in (TurnState.DONE, TurnState.STOPPED):
            return None
        try:
            return await self._comparison_runner.vote_actions(turn)
        except StoreError as error:
            log.warning("comparison shown without votes: reason=%s", error)
            return None

    async def respond(
        self, turn: Turn, reply: Reply, active_prompts: ActivePrompts
    ) -> TurnResult | None:
        """Stream the answer of a turn to its reply and return the result. None if an earlier
        message of the thread arrived, and the turn has to be requeued. Raises `StoreError`."""
        record = await self._store.ensure_session(turn)
        run = _TurnRun(
            turn=turn,
            reply=reply,
            active_prompts=active_prompts,
            usage_meter=UsageMeter(self._clock),
        )
        try:
            if turn.message.options.compare_models:
                return await self._compare(turn, record, active_prompts)
            async with time_limit(self._clock, self._turn_seconds):
                stopped = await self._ask_with_retry(run, record)
        except AgentError as error:
            log.warning("answer failed: reason=%s", error, exc_info=error.__cause__)
            return run.make_result(TurnState.FAILED, error.user_message)
        except TimeoutError:
            log.warning("answer timed out: seconds=%g", self._turn_seconds)
            return run.make_result(TurnState.FAILED, AGENT_ERROR_MESSAGES[AgentErrorKind.TIMED_OUT])
        if stopped is None:
            return None
        if stopped:
            return run.make_result(TurnState.STOPPED, STOPPED)
        if not run.buffer.text.strip():
            note = AGENT_ERROR_MESSAGES[AgentErrorKind.EMPTY]
            return TurnResult(state=TurnState.FAILED, note=note, usage=run.usage_meter.total_usage)
        return run.make_result(TurnState.DONE)

    async def _ask_with_retry(self, run: _TurnRun, record: SessionRecord) -> bool | None:
        """Like `_ask_session`, with one retry if the runtime dies."""
        try:
            return await self._ask_session(run, record)
        except AgentError as error:
            if error.kind is not AgentErrorKind.RUNTIME:
                raise
            if run.active_prompts.stop_requested:
                return True
            log.warning("runtime failed during the turn, retrying: reason=%s", error)
        run.is_second_attempt = True
        run.buffer.discard_all()
        run.reply.replace("")
        return await self._ask_session(run, await self._store.ensure_session(run.turn))

    async def _ask_session(self, run: _TurnRun, record: SessionRecord) -> bool | None:
        """Ask the thread's session. True if it was stopped; None if the turn has to be requeued."""
        message = run.turn.message
        for _ in range(_MAX_SESSION_CHANGES):
            selection = await self._model_selector.select(
                record, record.thread, turn_model=message.options.model
            )
            log.debug("model selected: model=%r rule=%s", selection.config.model, selection.rule)
            async with (
                self._prepare_prompt(run.turn, record) as prompt,
                self._pool.acquire(record.id, selection.config) as session,
            ):
                current = await self._store.session_by_number(record.number)
                if current is not None and current.thread == message.thread:
                    return await self._ask_acquired(run, current, session, prompt)
            # It was deleted, or attached to another thread, while the turn waited for it.
            record = await self._store.ensure_session(run.turn)
        raise AgentError(AgentErrorKind.BUSY, f"session {record.id} does not stay in its thread")

    def _prepare_prompt(
        self, turn: Turn, record: SessionRecord
    ) -> AbstractAsyncContextManager[PromptFactory]:
        """The prompt of a turn; built in parallel if the session has to be opened first."""
        if self._pool.is_open(record.id):
            return nullcontext(partial(self._prompt_builder.build, turn))
        return self._prompt_builder.prebuild(turn, record)

    async def _ask_acquired(
        self,
        run: _TurnRun,
        record: SessionRecord,
        session: AgentSession,
        build_prompt: PromptFactory,
    ) -> bool | None:
        """Ask a session that this turn uses exclusively."""
        turn, active_prompts = run.turn, run.active_prompts

        async def on_accepted(event_id: str) -> None:
            try:
                await self._store.append_history(turn, record.number, event_id)
            except StoreError as error:
                # The answer matters more than a later rewind to before it.
                log.warning("history entry not recorded: reason=%s", error)
            self._prompt_builder.mark_prompt_accepted(turn, record)

        retried_id = turn.message.options.retry_of
        if session.is_new and record.has_turns:
            log.warning("session history lost: session=%s", record.id)
            record = await self._store.clear_history(record.number) or record
        elif session.resumed:
            record = await self._reconcile(record, session)
        if retried_id:
            # Truncated history is lost: truncate only when the prompt is sure to be sent.
            if not await self._ensure_started(run):
                return None
            if active_prompts.stop_requested:
                return True
            record = await self._truncate_from_turn(retried_id, record, session)
        if turn.epoch > 1 or run.is_second_attempt:
            record = await self._truncate_from_turn(turn.id, record, session)
        prompt = await build_prompt(record)
        with active_prompts.track(session):
            if not await self._ensure_started(run):
                return None
            if active_prompts.stop_requested:
                return True
            return await stream_answer(
                session,
                prompt,
                run.buffer,
                run.usage_meter,
                on_prompt_accepted=on_accepted,
                sink=run.reply,
            )

    async def _ensure_started(self, run: _TurnRun) -> bool:
        """True if the prompt may be sent; False if an earlier message of the thread arrived."""
        if not run.started:
            run.started = await self._store.mark_prompted(run.turn)
        return run.started

    async def _truncate_from_turn(
        self, turn_id: int, record: SessionRecord, session: AgentSession
    ) -> SessionRecord:
        """Truncate the session's history from a turn that is to be repeated: for a retry, or after
        a death between its prompt and its answer. It is idempotent over a restart: the runtime is
        truncated first, then the record."""
        entry = await self._first_history_entry(turn_id, record)
        if entry is not None:
            await session.truncate_from(entry.event_id)
            removed = await self._store.truncate_history(record.number, entry.turn)
            log.info("history truncated for a retry: session=%s turns=%d", record.id, len(removed))
            record = await self._store.session_by_number(record.number) or record
        await self._truncate_unrecorded(record, session, (await session.prompt_ids()).unanswered)
        return record

    async def _reconcile(self, record: SessionRecord, session: AgentSession) -> SessionRecord:
        """Reconcile a session's history with its record. The bot may have died before it recorded
        a prompt; the runtime may have died before it wrote a turn, which it does a moment later. A
        prompt whose answer was lost is removed too, or the model would answer it once more. The
        runtime is truncated first, then the record."""
        kept = await session.prompt_ids()
        mismatched = await self._mismatched_history(record, kept)
        partial_ids = [turn.event_id for turn in mismatched if turn.event_id in kept.all]
        if partial_ids:
            await session.truncate_from(partial_ids[0])
        else:
            await self._truncate_unrecorded(record, session, kept.unanswered)
        if not mismatched:
            return record
        removed = await self._store.truncate_history(record.number, mismatched[0].turn)
        log.warning("history lost in a crash: session=%s turns=%d", record.id, len(removed))
        return await self._store.session_by_number(record.number) or record

    async def _mismatched_history(
        self, record: SessionRecord, prompts: PromptIds
    ) -> Sequence[HistoryEntry]:
        """The last recorded entries that are missing or incomplete in the history; oldest first."""
        end = record.turn_count
        mismatched: list[HistoryEntry] = []
        while end > 0:
            start = max(0, end - _HISTORY_PAGE_SIZE)
            page = await self._store.list_history(record.number, start, end - start)
            for turn in reversed(page.entries):
                answered = turn.event_id not in prompts.unanswered
                if turn.event_id in prompts.all and (answered or turn.state is not TurnState.DONE):
                    return mismatched[::-1]
                mismatched.append(turn)
            end = start
        return mismatched[::-1]

    async def _truncate_unrecorded(
        self, record: SessionRecord, session: AgentSession, unanswered: Sequence[str]
    ) -> None:
        """Remove an unanswered prompt at the end of the history that is not recorded. It was
        accepted just before a death, and would be sent twice."""
        if not unanswered:
            return
        last = (
            await self._store.list_history(record.number, max(0, record.turn_count - 1), 1)
        ).entries
        recorded = bool(last) and last[-1].event_id in unanswered
        left = unanswered[unanswered.index(last[-1].event_id) + 1 :] if recorded else unanswered
        if left:
            await session.truncate_from(left[0])
            log.info("unrecorded prompt removed from the history: session=%s", record.id)

    async def _first_history_entry(
        self, turn_id: int, record: SessionRecord
    ) -> HistoryEntry | None:
        """The earliest history entry of a turn and of the turns that it retries; None if there is
        none. After a restart in the middle of a retry, the retried turn may still be there."""
        first = None
        for _ in range(_MAX_RETRY_CHAIN):
            first = await self._store.history_entry(record.number, turn_id) or first
            turn = await self._store.turn_by_id(turn_id)
            if turn is None or not turn.message.options.retry_of:
                break
            turn_id = turn.message.options.retry_of
        return first

    async def _compare(
        self, turn: Turn, record: SessionRecord, active_prompts: ActivePrompts
    ) -> TurnResult | None:
        """Ask copies of the session with several models. None if the turn has to be requeued."""
        prompt = await self._prompt_builder.build(turn, record)
        if not await self._store.mark_prompted(turn):
            return None
        if active_prompts.stop_requested:
            return TurnResult(state=TurnState.STOPPED, note=STOPPED)
        return await self._comparison_runner.run_comparison(turn, record, prompt, active_prompts)
