"""One turn: from a message whose time has come to its one visible outcome.

    hold the thread's session → send the prompt → pass the stream to the reply → put the ending on
    record → show the last of it → close the reply → end the turn

The turn ends last: until then the thread is held, so that its next turn cannot begin while this
one's reply is still being closed. Once the ending is on record it is shown, now or after any
trouble; before, the thread is told that there was trouble.
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

# What people are told ---------------------------------------------------------------------------

LOST = "I was restarted while I was working on this, and the answer is lost. Please ask again."
FOR_OTHERS = (
    "Several people write in this thread, so I can't tell whether your message was for me. "
    "Mention me, and I'll answer."
)
UNSURE = (
    "I can't find out just now who takes part in this thread, so I don't know whether your message "
    "was for me. Mention me, and I'll answer."
)

# ------------------------------------------------------------------------------------------------

PARTICIPANTS_TRIES = 3
PARTICIPANTS_PAUSE_SECONDS = 1.0
"""Doubled with each try."""
RECORD_TRIES = 8
RECORD_PAUSE_SECONDS = 0.1
"""Doubled with each try: the database gets about 25 s in all to come back."""


class TurnProcessor:
    """Runs the turns that the inbox hands out."""

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
        """Bring a claimed turn to its end; whether that is on record for certain.

        Raises `BotError` when the end could not be shown or recorded, though it may be later: the
        turn is then left as it is, for `settle`.
        """
        with log_context(turn):
            started = self._clock.monotonic()
            log.info("turn begins: %s by %s", turn.message.trigger, turn.message.user)
            thread = await self._load_thread(turn.message)
            sentence = await self._rejection_text(turn.message)
            if not thread.participants_known:
                thread = await self._with_participants(thread)
                if turn.message.trigger is Trigger.FOLLOW_UP and len(thread.participants) > 1:
                    return await self._end_unaddressed(turn)
                if turn.message.trigger is Trigger.FOLLOW_UP and not thread.participants_known:
                    sentence = UNSURE
            if sentence:
                refused = TurnResult(state=TurnState.REFUSED, note=sentence)
                ended = await self._end_without_answer(turn, thread, refused)
            else:
                ended = await self._answer(turn, thread)
            log.debug("turn took %.3f s", self._clock.monotonic() - started)
            return ended

    async def finish_interrupted(self, turn: Turn) -> bool:
        """Bring a turn to its end that was cut short, by a restart or by trouble.

        What is on record is shown. A turn that had not come to its prompt waits again. For the
        others the thread is told: the runtime may have taken the prompt, and nobody knows what
        became of it. Raises `BotError` like `take`.
        """
        with log_context(turn):
            if turn.result is None and not turn.prompted:
                log.info("turn was cut short before its prompt; it waits again")
                await self._store.requeue(turn)
                return False
            ending = turn.result or TurnResult(state=TurnState.LOST, note=LOST)
            log.warning("turn was cut short; it is settled as %s", ending.state)
            return await self._end_without_answer(
                turn, await self._load_thread(turn.message), ending
            )

    async def stop_answer(self, thread: ThreadKey, requested_by: str) -> bool:
        """Stop the thread's running answer; what is shown stays. Whether there was one. Raises
        `NotAllowed` where `by` may not stop it, `StoreError`."""
        asked = self._responder.active_message(thread)
        if asked is not None:
            await self._admission.authorize_stop(requested_by, asked)
        stopped = asked is not None and await self._responder.stop_response(asked)
        log.info("%s stops the answer in thread %s: %s", requested_by, thread, stopped)
        return stopped

    async def _rejection_text(self, message: Message) -> str:
        """The sentence why a message is not answered; empty when it is."""
        return await self._admission.refusal_for(message) or invalid_message_text(
            message, max_chars=self._max_message_chars
        )

    async def _load_thread(self, message: Message) -> Thread:
        """The thread of an accepted message."""
        thread = await self._store.thread_by_key(message.thread)
        if thread is None:
            raise StoreError(f"thread {message.thread} of an accepted message is not on record")
        return thread

    async def _with_participants(self, thread: Thread) -> Thread:
        """A thread that the bot was called into the middle of, with everybody in it: asked of
        Slack, and asked again through passing trouble. As it was where that is in vain."""
        pause = PARTICIPANTS_PAUSE_SECONDS
        for tries_left in reversed(range(PARTICIPANTS_TRIES)):
            try:
                people = await self._workspace.fetch_participants(thread.key)
            except SlackError as error:
                log.warning("who takes part in the thread could not be found out: %s", error)
                if not (error.transient and tries_left):
                    return thread
            else:
                await self._store.add_participants(thread.key, people)
                return replace(
                    thread, participants=thread.participants | people, participants_known=True
                )
            await self._clock.sleep(pause)
            pause *= 2
        return thread

    async def _end_unaddressed(self, turn: Turn) -> bool:
        """End the turn of a message that people may have meant for each other."""
        await self._workspace.post_notice(turn.message, FOR_OTHERS)
        ended = await self._store.finish_turn(turn, TurnState.WITHDRAWN)
        log.info("turn ends: the message may have been for others")
        return ended

    async def _end_without_answer(self, turn: Turn, thread: Thread, result: TurnResult) -> bool:
        """End a turn that the model is not asked for."""
        earlier = await self._store.reply_parts(turn)
        async with self._workspace.open_reply(turn, thread.participants, earlier) as reply:
            state = await self._record_and_show(turn, reply, result)
        return await self._finish(turn, state, reply)

    async def _answer(self, turn: Turn, thread: Thread) -> bool:
        """Ask the session, and show what it says while it says it."""
        earlier: Sequence[ReplyPart] = await self._store.reply_parts(turn) if turn.epoch > 1 else ()
        with self._responder.stoppable(turn) as underway:
            async with self._workspace.open_reply(turn, thread.participants, earlier) as reply:
                ending = await self._responder.respond(turn, reply, underway)
                state = None if ending is None else await self._record_and_show(turn, reply, ending)
        if ending is None:
            log.info("turn gives way to an earlier message")
            await self._store.requeue(turn)
            return False
        return await self._finish(turn, state, reply)

    async def _record_and_show(
        self, turn: Turn, reply: Reply, result: TurnResult
    ) -> TurnState | None:
        """Record the ending and show it, in this order: a restart between the two shows it again
        over what stands there, never beside it.

        The state to end the turn in; None when that is not this claim's to do. Raises `SlackError`
        when it may be shown later.
        """
        try:
            if not await self._record_result(turn, result):
                log.warning("turn was taken over; nothing more is shown from here")
                return None
            state: TurnState | None = result.state
        except StoreError:
            log.exception("an ending is shown that could not be put on record")
            state = None
        try:
            await reply.finish(
                result.answer, result.note, await self._responder.reply_actions(turn, result)
            )
        except SlackError as error:
            if error.transient:
                raise
            log.exception("the thread could not be told how the turn ended")
            await self._workspace.post_notice(turn.message, BotError.user_message)
            return state and TurnState.FAILED
        return state

    async def _record_result(self, turn: Turn, result: TurnResult) -> bool:
        """Put the ending on record. Raises `StoreError` when the database does not come back."""
        pause = RECORD_PAUSE_SECONDS
        for _ in range(RECORD_TRIES):
            try:
                return await self._store.record_result(turn, result)
            except StoreError as error:
                log.warning("the ending is not on record yet: %s", error)
            await self._clock.sleep(pause)
            pause *= 2
        return await self._store.record_result(turn, result)

    async def _finish(self, turn: Turn, state: TurnState | None, reply: Reply) -> bool:
        """End a turn whose reply has been left."""
        if state is None:
            return False
        ended = await self._store.finish_turn(turn, state, status_uncleared=reply.status_uncleared)
        log.info("turn ends: %s", state)
        return ended
