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
_HISTORY_PAGE_SIZE: Final = 20
"""So many of the turns that a session remembers are looked at in one go, the newest first."""
_MAX_SESSION_CHANGES: Final = 3
"""So often a turn follows what becomes of its session while it waits for it."""


@dataclass(slots=True, kw_only=True)
class _TurnRun:
    """One turn on its way to its answer."""

    turn: Turn
    reply: Reply
    active_prompts: ActivePrompts
    usage_meter: UsageMeter
    buffer: AnswerBuffer = field(default_factory=AnswerBuffer)
    started: bool = False
    """Whether its prompt is on its way, so that it gives way to nobody any more."""
    is_retry: bool = False
    """Whether it is asked once more, after its engine died."""

    def make_result(self, state: TurnState, note: str = "") -> TurnResult:
        """How it ends, with what was said and spent up to here."""
        return TurnResult(
            state=state, answer=self.buffer.text, note=note, usage=self.usage_meter.total_usage
        )


class TurnResponder:
    """Asks the sessions of turns."""

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
        """The turn's answer can be stopped while inside."""
        underway = ActivePrompts()
        self._active[turn.message.thread] = (turn.message, underway)
        try:
            yield underway
        finally:
            del self._active[turn.message.thread]

    def active_message(self, thread: ThreadKey) -> Message | None:
        """What is being answered in a thread, if anything is."""
        found = self._active.get(thread)
        return None if found is None else found[0]

    async def stop_response(self, message: Message) -> bool:
        """Stop the answer to a message, if it is running still; whether it was. Not that of the
        next one, which may have begun meanwhile."""
        running, underway = self._active.get(message.thread, (None, None))
        if underway is None or running != message:
            return False
        await underway.stop_all()
        return True

    async def reply_actions(self, turn: Turn, result: TurnResult) -> ReplyActions | None:
        """What can be done with the answer; with a comparison, as it is on record."""
        if not turn.message.options.compare_models:
            return actions_for(turn, result)
        if result.state not in (TurnState.DONE, TurnState.STOPPED):
            return None
        try:
            return await self._comparison_runner.vote_actions(turn)
        except StoreError as error:
            log.warning("a comparison is shown without its votes: %s", error)
            return None

    async def respond(
        self, turn: Turn, reply: Reply, active_prompts: ActivePrompts
    ) -> TurnResult | None:
        """Ask for a turn's answer and show it as it grows: how it ends. None when an earlier
        message of the thread came in, and the turn has to give way. Raises `StoreError`."""
        record = await self._store.ensure_session(turn)
        asking = _TurnRun(
            turn=turn,
            reply=reply,
            active_prompts=active_prompts,
            usage_meter=UsageMeter(self._clock),
        )
        try:
            if turn.message.options.compare_models:
                return await self._compare(turn, record, active_prompts)
            async with time_limit(self._clock, self._turn_seconds):
                stopped = await self._ask_with_retry(asking, record)
        except AgentError as error:
            log.warning("the model did not answer: %s", error, exc_info=error.__cause__)
            return asking.make_result(TurnState.FAILED, error.user_message)
        except TimeoutError:
            log.warning("the turn took more than %g s and was ended", self._turn_seconds)
            return asking.make_result(
                TurnState.FAILED, AGENT_ERROR_MESSAGES[AgentErrorKind.TIMED_OUT]
            )
        if stopped is None:
            return None
        if stopped:
            return asking.make_result(TurnState.STOPPED, STOPPED)
        if not asking.buffer.text.strip():
            note = AGENT_ERROR_MESSAGES[AgentErrorKind.EMPTY]
            return TurnResult(
                state=TurnState.FAILED, note=note, usage=asking.usage_meter.total_usage
            )
        return asking.make_result(TurnState.DONE)

    async def _ask_with_retry(self, run: _TurnRun, record: SessionRecord) -> bool | None:
        """Ask, and once more where the engine died under it; else like `_ask_session`."""
        try:
            return await self._ask_session(run, record)
        except AgentError as error:
            if error.kind is not AgentErrorKind.RUNTIME:
                raise
            if run.active_prompts.stop_requested:
                return True
            log.warning("the engine failed under the turn, which is asked once more: %s", error)
        run.is_retry = True
        run.buffer.discard_all()
        run.reply.replace("")
        return await self._ask_session(run, await self._store.ensure_session(run.turn))

    async def _ask_session(self, run: _TurnRun, record: SessionRecord) -> bool | None:
        """Ask the thread's session; whether it was stopped. None when the turn has to give way."""
        message = run.turn.message
        for _ in range(_MAX_SESSION_CHANGES):
            chosen = await self._model_selector.select(
                record, record.thread, turn_model=message.options.model
            )
            log.debug("model %r: %s", chosen.config.model, chosen.rule)
            async with (
                self._prepare_prompt(run.turn, record) as prompt,
                self._pool.acquire(record.id, chosen.config) as session,
            ):
                held = await self._store.session_by_number(record.number)
                if held is not None and held.thread == message.thread:
                    return await self._ask_acquired(run, held, session, prompt)
            # It was deleted, or taken up in another thread, while the turn waited for it.
            record = await self._store.ensure_session(run.turn)
        raise AgentError(AgentErrorKind.BUSY, f"session {record.id} does not stay in its thread")

    def _prepare_prompt(
        self, turn: Turn, record: SessionRecord
    ) -> AbstractAsyncContextManager[PromptFactory]:
        """The prompt of a turn, put together at once where its session has to be opened first."""
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
        """Ask a session that nobody else has meanwhile."""
        turn, underway = run.turn, run.active_prompts

        async def taken(event: str) -> None:
            try:
                await self._store.append_history(turn, record.number, event)
            except StoreError as error:
                # The answer counts for more than that one can go back to before it.
                log.warning("the prompt's place in the history is not on record: %s", error)
            self._prompt_builder.mark_prompt_accepted(turn, record)

        again = turn.message.options.retry_of
        if session.is_new and record.has_turns:
            log.warning("the memory of session %s is gone", record.id)
            record = await self._store.clear_history(record.number) or record
        elif session.resumed:
            record = await self._reconcile(record, session)
        if again:
            # What is forgotten does not come back: not before it is sure to be asked anew.
            if not await self._ensure_started(run):
                return None
            if underway.stop_requested:
                return True
            record = await self._truncate_from_turn(again, record, session)
        if turn.epoch > 1 or run.is_retry:
            record = await self._truncate_from_turn(turn.id, record, session)
        text = await build_prompt(record)
        with underway.track(session):
            if not await self._ensure_started(run):
                return None
            if underway.stop_requested:
                return True
            return await stream_answer(
                session, text, run.buffer, run.usage_meter, on_prompt_accepted=taken, sink=run.reply
            )

    async def _ensure_started(self, run: _TurnRun) -> bool:
        """Whether the prompt may be sent; not where an earlier message of the thread came in."""
        if not run.started:
            run.started = await self._store.mark_prompted(run.turn)
        return run.started

    async def _truncate_from_turn(
        self, turn_id: int, record: SessionRecord, session: AgentSession
    ) -> SessionRecord:
        """Cut the session's history to before a turn that is to be asked anew: because somebody
        wants another answer, or because a death came between its prompt and its answer. Done
        again after a restart it changes nothing more: the runtime goes first, then the record."""
        before = await self._first_history_entry(turn_id, record)
        if before is not None:
            await session.truncate_from(before.event_id)
            forgotten = await self._store.truncate_history(record.number, before.turn)
            log.info("session %s forgets %d turns to answer one anew", record.id, len(forgotten))
            record = await self._store.session_by_number(record.number) or record
        await self._truncate_unrecorded(record, session, (await session.prompt_ids()).unanswered)
        return record

    async def _reconcile(self, record: SessionRecord, session: AgentSession) -> SessionRecord:
        """Bring a session's history, and what is on record of it, together again: a bot may have
        died before a prompt was on record, a runtime before a turn was in the history, which it
        writes a moment later. Where the answer alone was lost the prompt goes, too: the model would
        answer it once more. The runtime goes first, then the record."""
        kept = await session.prompt_ids()
        unlike = await self._mismatched_history(record, kept)
        half = [turn.event_id for turn in unlike if turn.event_id in kept.all]
        if half:
            await session.truncate_from(half[0])
        else:
            await self._truncate_unrecorded(record, session, kept.unanswered)
        if not unlike:
            return record
        lost = await self._store.truncate_history(record.number, unlike[0].turn)
        log.warning("session %s has lost %d turns with what died", record.id, len(lost))
        return await self._store.session_by_number(record.number) or record

    async def _mismatched_history(
        self, record: SessionRecord, prompts: PromptIds
    ) -> Sequence[HistoryEntry]:
        """What is last on record and not, or not whole, in the history; oldest first."""
        end = record.turn_count
        unlike: list[HistoryEntry] = []
        while end > 0:
            start = max(0, end - _HISTORY_PAGE_SIZE)
            page = await self._store.list_history(record.number, start, end - start)
            for turn in reversed(page.entries):
                answered = turn.event_id not in prompts.unanswered
                if turn.event_id in prompts.all and (answered or turn.state is not TurnState.DONE):
                    return unlike[::-1]
                unlike.append(turn)
            end = start
        return unlike[::-1]

    async def _truncate_unrecorded(
        self, record: SessionRecord, session: AgentSession, unanswered: Sequence[str]
    ) -> None:
        """Cut what the history has after all that is on record and never answered: a prompt that
        was taken just before a death, and that would be sent twice."""
        if not unanswered:
            return
        last = (
            await self._store.list_history(record.number, max(0, record.turn_count - 1), 1)
        ).entries
        recorded = bool(last) and last[-1].event_id in unanswered
        left = unanswered[unanswered.index(last[-1].event_id) + 1 :] if recorded else unanswered
        if left:
            await session.truncate_from(left[0])
            log.info("session %s forgets a prompt that is not on record", record.id)

    async def _first_history_entry(
        self, turn_id: int, record: SessionRecord
    ) -> HistoryEntry | None:
        """The earliest that a session remembers of a turn and of those that it was to answer anew:
        where a restart came between forgetting and asking, the one before may still be there."""
        first = None
        for _ in range(_MAX_RETRY_CHAIN):
            first = await self._store.history_entry(record.number, turn_id) or first
            asked = await self._store.turn_by_id(turn_id)
            if asked is None or not asked.message.options.retry_of:
                break
            turn_id = asked.message.options.retry_of
        return first

    async def _compare(
        self, turn: Turn, record: SessionRecord, active_prompts: ActivePrompts
    ) -> TurnResult | None:
        """Ask copies of the session with several models."""
        prompt = await self._prompt_builder.build(turn, record)
        if not await self._store.mark_prompted(turn):
            return None
        if active_prompts.stop_requested:
            return TurnResult(state=TurnState.STOPPED, note=STOPPED)
        return await self._comparison_runner.run_comparison(turn, record, prompt, active_prompts)
