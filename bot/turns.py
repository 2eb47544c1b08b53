"""One turn: from a message whose time has come to its one visible outcome.

    hold the thread's session → send the prompt → pass the stream to the reply → put the ending on
    record → show the last of it → close the reply → end the turn

The turn ends last: until then the thread is held, so that its next turn cannot begin while this
one's reply is still being closed. Once the ending is on record it is shown, now or after any
trouble; before, the thread is told that there was trouble.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from bot.answer import Answer
from bot.errors import AGENT_SENTENCES, AgentError, AgentFault, BotError, SlackError, StoreError
from bot.logs import about
from bot.model import (
    AnswerStopped,
    Ending,
    Message,
    Part,
    TextAdded,
    TextSettled,
    TextTakenBack,
    Thread,
    ThreadKey,
    TokensUsed,
    Trigger,
    Turn,
    TurnState,
)
from bot.ports import AgentSession, Clock, Reply, Store, Workspace
from bot.refusals import refusal
from bot.sessions import Sessions

log = logging.getLogger(__name__)

# What people are told ---------------------------------------------------------------------------

STOPPED = "Stopped."
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

PEOPLE_TRIES = 3
PEOPLE_PAUSE_SECONDS = 1.0
"""Doubled with each try."""
RECORD_TRIES = 8
RECORD_PAUSE_SECONDS = 0.1
"""Doubled with each try: the database gets about 25 s in all to come back."""


@dataclass(slots=True)
class _Asking:
    """A turn that is being answered, for whoever wants to stop it."""

    session: AgentSession | None = None
    stop_wanted: bool = False

    async def stop(self) -> None:
        self.stop_wanted = True
        if self.session is not None:
            await self.session.stop()


class Turns:
    """Runs the turns that the inbox hands out."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        workspace: Workspace,
        clock: Clock,
        *,
        max_message_chars: int,
        turn_seconds: float,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._workspace = workspace
        self._clock = clock
        self._max_message_chars = max_message_chars
        self._turn_seconds = turn_seconds
        self._asking: dict[ThreadKey, _Asking] = {}

    async def take(self, turn: Turn) -> None:
        """Bring a claimed turn to its end.

        Raises `BotError` when the end could not be shown or recorded, though it may be later: the
        turn is then left as it is, for `settle`.
        """
        with about(turn):
            started = self._clock.monotonic()
            log.info("turn begins: %s by %s", turn.message.trigger, turn.message.user)
            thread = await self._on_record(turn.message)
            sentence = refusal(turn.message, max_chars=self._max_message_chars)
            if not thread.people_known:
                thread = await self._with_people(thread)
                if turn.message.trigger is Trigger.FOLLOW_UP and len(thread.people) > 1:
                    await self._leave_to_others(turn)
                    return
                if turn.message.trigger is Trigger.FOLLOW_UP and not thread.people_known:
                    sentence = UNSURE
            if sentence:
                await self._tell(turn, thread, Ending(state=TurnState.REFUSED, note=sentence))
            else:
                await self._answer(turn, thread)
            log.info("turn took %.3f s", self._clock.monotonic() - started)

    async def settle(self, turn: Turn) -> None:
        """Bring a turn to its end that was cut short, by a restart or by trouble.

        What is on record is shown. A turn that had not come to its prompt waits again. For the
        others the thread is told: the runtime may have taken the prompt, and nobody knows what
        became of it. Raises `BotError` like `take`.
        """
        with about(turn):
            if turn.ending is None and not turn.prompted:
                log.info("turn was cut short before its prompt; it waits again")
                await self._store.hand_back(turn)
                return
            ending = turn.ending or Ending(state=TurnState.LOST, note=LOST)
            log.warning("turn was cut short; it is settled as %s", ending.state)
            await self._tell(turn, await self._on_record(turn.message), ending)

    async def stop(self, thread: ThreadKey, by: str) -> None:
        """Stop the thread's running answer, if there is one; what is shown stays. Whoever sees the
        Stop button may press it."""
        asking = self._asking.get(thread)
        if asking is None:
            log.info("nothing to stop in thread %s for %s", thread, by)
            return
        log.info("%s stops the answer in thread %s", by, thread)
        await asking.stop()

    async def _on_record(self, message: Message) -> Thread:
        """The thread of an accepted message."""
        thread = await self._store.thread(message.thread)
        if thread is None:
            raise StoreError(f"thread {message.thread} of an accepted message is not on record")
        return thread

    async def _with_people(self, thread: Thread) -> Thread:
        """A thread that the bot was called into the middle of, with everybody in it: asked of
        Slack, and asked again through passing trouble. As it was where that is in vain."""
        pause = PEOPLE_PAUSE_SECONDS
        for tries_left in reversed(range(PEOPLE_TRIES)):
            try:
                people = await self._workspace.people_in(thread.key)
            except SlackError as error:
                log.warning("who takes part in the thread could not be found out: %s", error)
                if not (error.passing and tries_left):
                    return thread
            else:
                await self._store.note_people(thread.key, people)
                return replace(thread, people=thread.people | people, people_known=True)
            await self._clock.sleep(pause)
            pause *= 2
        return thread

    async def _leave_to_others(self, turn: Turn) -> None:
        """End the turn of a message that people may have meant for each other."""
        await self._workspace.whisper(turn.message, FOR_OTHERS)
        await self._store.finish(turn, TurnState.WITHDRAWN)
        log.info("turn ends: the message may have been for others")

    async def _tell(self, turn: Turn, thread: Thread, ending: Ending) -> None:
        """End a turn that the model is not asked for."""
        earlier = await self._store.parts(turn)
        async with self._workspace.reply_to(turn, thread.people, earlier) as reply:
            state = await self._show(turn, reply, ending)
        await self._finish(turn, state)

    async def _answer(self, turn: Turn, thread: Thread) -> None:
        """Ask the session, and show what it says while it says it."""
        earlier: Sequence[Part] = await self._store.parts(turn) if turn.epoch > 1 else ()
        asking = self._asking[turn.message.thread] = _Asking()
        try:
            async with self._workspace.reply_to(turn, thread.people, earlier) as reply:
                ending = await self._ask(turn, thread, reply, asking)
                state = None if ending is None else await self._show(turn, reply, ending)
        finally:
            del self._asking[turn.message.thread]
        if ending is None:
            log.info("turn gives way to an earlier message")
            await self._store.hand_back(turn)
        else:
            await self._finish(turn, state)

    async def _ask(
        self, turn: Turn, thread: Thread, reply: Reply, asking: _Asking
    ) -> Ending | None:
        """How the model's answer ends; None when an earlier message of the thread came in."""
        answer = Answer()
        try:
            async with self._sessions.held(thread) as session:
                asking.session = session
                if not await self._store.begin(turn):
                    return None
                if asking.stop_wanted:
                    return Ending(state=TurnState.STOPPED, note=STOPPED)
                async with asyncio.timeout(self._turn_seconds):
                    stopped = await _follow(session, turn.message.text, answer, reply)
        except AgentError as error:
            log.warning("the model did not answer: %s", error, exc_info=error.__cause__)
            return Ending(state=TurnState.FAILED, answer=answer.text, note=error.sentence)
        except TimeoutError:
            log.warning("the turn took more than %g s and was ended", self._turn_seconds)
            note = AGENT_SENTENCES[AgentFault.ENDLESS]
            return Ending(state=TurnState.FAILED, answer=answer.text, note=note)
        finally:
            asking.session = None
        if stopped:
            return Ending(state=TurnState.STOPPED, answer=answer.text, note=STOPPED)
        if not answer.text.strip():
            return Ending(state=TurnState.FAILED, note=AGENT_SENTENCES[AgentFault.EMPTY])
        return Ending(state=TurnState.DONE, answer=answer.text)

    async def _show(self, turn: Turn, reply: Reply, ending: Ending) -> TurnState | None:
        """Record the ending and show it, in this order: a restart between the two shows it again
        over what stands there, never beside it.

        The state to end the turn in; None when that is not this claim's to do. Raises `SlackError`
        when it may be shown later.
        """
        try:
            if not await self._recorded(turn, ending):
                log.warning("turn was taken over; nothing more is shown from here")
                return None
            state: TurnState | None = ending.state
        except StoreError:
            log.exception("an ending is shown that could not be put on record")
            state = None
        try:
            await reply.finish(ending.answer, ending.note)
        except SlackError as error:
            if error.passing:
                raise
            log.exception("the thread could not be told how the turn ended")
            await self._workspace.whisper(turn.message, BotError.sentence)
            return state and TurnState.FAILED
        return state

    async def _recorded(self, turn: Turn, ending: Ending) -> bool:
        """Put the ending on record. Raises `StoreError` when the database does not come back."""
        pause = RECORD_PAUSE_SECONDS
        for _ in range(RECORD_TRIES):
            try:
                return await self._store.record(turn, ending)
            except StoreError as error:
                log.warning("the ending is not on record yet: %s", error)
            await self._clock.sleep(pause)
            pause *= 2
        return await self._store.record(turn, ending)

    async def _finish(self, turn: Turn, state: TurnState | None) -> None:
        if state is not None:
            await self._store.finish(turn, state)
            log.info("turn ends: %s", state)


async def _follow(session: AgentSession, prompt: str, answer: Answer, reply: Reply) -> bool:
    """Pass a session's answer on to the reply as it comes; whether it was stopped."""
    stopped = False
    async with aclosing(session.ask(prompt)) as events:
        async for event in events:
            match event:
                case TextAdded(text=text):
                    reply.append(answer.add(text))
                case TextTakenBack():
                    if answer.take_back():
                        reply.replace(answer.text)
                case TextSettled(text=text):
                    if answer.settle(text):
                        reply.replace(answer.text)
                case TokensUsed(model=model, input_tokens=taken, output_tokens=given):
                    log.info("model %s took %d tokens and gave %d", model, taken, given)
                case AnswerStopped():
                    stopped = True
    return stopped
