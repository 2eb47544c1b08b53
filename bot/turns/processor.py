"""Processes one turn: from a claimed message to its result in Slack.

    acquire the session → send the prompt → stream the answer to the reply → record the result →
    show its rest → close the reply → end the turn

The turn ends last: until then it holds its thread, so that the next turn cannot start while this
reply is still being closed. A recorded result is shown, now or after a failure. After a failure
without one, the thread gets an error message.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from bot.access.admission import AdmissionCheck, invalid_message_text
from bot.domain.messages import Message, Thread, ThreadKey, Trigger
from bot.domain.turns import ReplyPart, Turn, TurnResult, TurnState
from bot.errors import BotError, SlackError, StoreError
from bot.logs import log_context
from bot.ports import Clock, Reply, Store, Workspace
from bot.turns.responder import TurnResponder

log = logging.getLogger(__name__)

# Texts for users --------------------------------------------------------------------------------

LOST = "I was restarted while I was working on this, and the reply is lost. Please try again."
FOR_OTHERS = (
    "Several people write in this thread, so I can't tell whether your message was for me. "
    "Mention me and I'll reply."
)
UNSURE = (
    "I can't find out right now who is in this thread, so I can't tell whether your message was "
    "for me. Mention me and I'll reply."
)

# ------------------------------------------------------------------------------------------------

PARTICIPANTS_TRIES = 3
"""Number of requests for the participants of a thread."""
PARTICIPANTS_PAUSE_SECONDS = 1.0
"""Interval before the second request, in seconds; doubled with each one."""
RECORD_RETRIES = 8
"""Number of retries to record a result."""
RECORD_PAUSE_SECONDS = 0.1
"""Interval before the first retry, in seconds; doubled with each one. The database has about 25 s
in all to come back."""


class TurnProcessor:
    """Processes the turns that the inbox dispatches."""

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        clock: Clock,
        *,
        responder: TurnResponder,
        admission: AdmissionCheck,
        max_message_chars: int,
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._clock = clock
        self._responder = responder
        self._admission = admission
        self._max_message_chars = max_message_chars

    async def process(self, turn: Turn) -> bool:
        """Process a claimed turn. True if its end is surely recorded.

        Raises `BotError` if the result could not be shown or recorded for now. The turn then stays
        as it is, for `finish_interrupted`.
        """
        with log_context(turn):
            started = self._clock.monotonic()
            log.info("turn started: trigger=%s user=%s", turn.message.trigger, turn.message.user)
            thread = await self._load_thread(turn.message)
            refusal = await self._rejection_text(turn.message)
            if not thread.participants_known:
                thread = await self._with_participants(thread)
                if turn.message.trigger is Trigger.FOLLOW_UP and len(thread.participants) > 1:
                    return await self._end_unaddressed(turn)
                if turn.message.trigger is Trigger.FOLLOW_UP and not thread.participants_known:
                    refusal = UNSURE
            if refusal:
                result = TurnResult(state=TurnState.REFUSED, note=refusal)
                ended = await self._end_without_answer(turn, thread, result)
            else:
                ended = await self._answer(turn, thread)
            log.debug("turn processed: seconds=%.3f", self._clock.monotonic() - started)
            return ended

    async def finish_interrupted(self, turn: Turn) -> bool:
        """Finish a turn that a restart or a failure interrupted.

        A recorded result is shown. A turn whose prompt was not sent is requeued. Otherwise the
        thread gets an error message: the runtime may have accepted the prompt, and its answer is
        lost. Raises `BotError` like `process`.
        """
        with log_context(turn):
            if turn.result is None and not turn.prompted:
                log.info("turn interrupted before its prompt, requeued")
                await self._store.requeue(turn)
                return False
            result = turn.result or TurnResult(state=TurnState.LOST, note=LOST)
            log.warning("turn interrupted, finished: state=%s", result.state)
            thread = await self._load_thread(turn.message)
            return await self._end_without_answer(turn, thread, result)

    async def stop_answer(self, thread: ThreadKey, requested_by: str) -> bool:
        """Stop the running answer of a thread; the shown text stays. True if there was one. Raises
        `NotAllowed` if `requested_by` lacks the permission, and `StoreError`."""
        message = self._responder.active_message(thread)
        if message is not None:
            await self._admission.authorize_stop(requested_by, message)
        stopped = message is not None and await self._responder.stop_response(message)
        log.info("answer stopped: thread=%s user=%s running=%s", thread, requested_by, stopped)
        return stopped

    async def _rejection_text(self, message: Message) -> str:
        """The reason why a message is not answered, or an empty string."""
        return await self._admission.denial_for_message(message) or invalid_message_text(
            message, max_chars=self._max_message_chars
        )

    async def _load_thread(self, message: Message) -> Thread:
        """The thread of an accepted message."""
        thread = await self._store.thread_by_key(message.thread)
        if thread is None:
            raise StoreError(f"thread {message.thread} of an accepted message is not recorded")
        return thread

    async def _with_participants(self, thread: Thread) -> Thread:
        """The thread with its participants from Slack, for a bot that joined in the middle of it.
        Transient errors are retried; the thread is unchanged if all requests fail."""
        pause = PARTICIPANTS_PAUSE_SECONDS
        for tries_left in reversed(range(PARTICIPANTS_TRIES)):
            try:
                participants = await self._workspace.fetch_participants(thread.key)
            except SlackError as error:
                log.warning("participants not fetched: reason=%s", error)
                if not (error.transient and tries_left):
                    return thread
            else:
                await self._store.add_participants(thread.key, participants)
                return replace(
                    thread,
                    participants=thread.participants | participants,
                    participants_known=True,
                )
            await self._clock.sleep(pause)
            pause *= 2
        return thread

    async def _end_unaddressed(self, turn: Turn) -> bool:
        """End the turn of a message that may not be meant for the bot."""
        await self._workspace.post_notice(turn.message, FOR_OTHERS)
        ended = await self._store.finish_turn(turn, TurnState.WITHDRAWN)
        log.info("turn ended: the message may not be for the bot")
        return ended

    async def _end_without_answer(self, turn: Turn, thread: Thread, result: TurnResult) -> bool:
        """End a turn without a prompt to the model."""
        parts = await self._store.reply_parts(turn)
        async with self._workspace.open_reply(turn, thread.participants, parts) as reply:
            state = await self._record_and_show(turn, reply, result)
        return await self._finish(turn, state, reply)

    async def _answer(self, turn: Turn, thread: Thread) -> bool:
        """Send the prompt and show the answer while it is streamed."""
        parts: Sequence[ReplyPart] = await self._store.reply_parts(turn) if turn.epoch > 1 else ()
        with self._responder.stoppable(turn) as active_prompts:
            async with self._workspace.open_reply(turn, thread.participants, parts) as reply:
                result = await self._responder.respond(turn, reply, active_prompts)
                state = None
                if result is not None:
                    state = await self._record_and_show(turn, reply, result)
        if result is None:
            log.info("turn requeued after an earlier message")
            await self._store.requeue(turn)
            return False
        return await self._finish(turn, state, reply)

    async def _record_and_show(
        self, turn: Turn, reply: Reply, result: TurnResult
    ) -> TurnState | None:
        """Record the result and show it, in this order: after a restart between the two, the result
        replaces the shown text instead of following it.

        Returns the state to end the turn with; None if this claim must not end it. Raises
        `SlackError` if the result may be shown later.
        """
        try:
            if not await self._record_result(turn, result):
                log.warning("result not shown: the turn has a newer claim")
                return None
            state: TurnState | None = result.state
        except StoreError:
            log.exception("result not recorded, but shown")
            state = None
        try:
            await reply.finish(
                result.answer, result.note, await self._responder.reply_actions(turn, result)
            )
        except SlackError as error:
            if error.transient:
                raise
            log.exception("result not shown")
            await self._workspace.post_notice(turn.message, BotError.user_message)
            return state and TurnState.FAILED
        return state

    async def _record_result(self, turn: Turn, result: TurnResult) -> bool:
        """Record the result. Raises `StoreError` if the database does not come back."""
        pause = RECORD_PAUSE_SECONDS
        for _ in range(RECORD_RETRIES):
            try:
                return await self._store.record_result(turn, result)
            except StoreError as error:
                log.warning("result not recorded yet: reason=%s", error)
            await self._clock.sleep(pause)
            pause *= 2
        return await self._store.record_result(turn, result)

    async def _finish(self, turn: Turn, state: TurnState | None, reply: Reply) -> bool:
        """End a turn whose reply is closed."""
        if state is None:
            return False
        ended = await self._store.finish_turn(turn, state, may_show_status=reply.may_show_status)
        log.info("turn ended: state=%s", state)
        return ended
