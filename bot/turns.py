"""One turn: from a message whose time has come to its one visible outcome.

    hold the thread's session → send the prompt → pass the stream to the reply → put the answer on
    record → show the last of it → end the turn

The only place that decides what people are told when a turn does not end in an answer.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from contextlib import aclosing
from dataclasses import dataclass

from bot.answer import Answer
from bot.errors import AGENT_SENTENCES, AgentError, AgentFault, SlackError, StoreError
from bot.logs import about
from bot.model import (
    AnswerStopped,
    Ending,
    Message,
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
from bot.sessions import Sessions

log = logging.getLogger(__name__)

# What people are told ---------------------------------------------------------------------------

NO_QUESTION = "You called me, but there is no question in your message. What can I do for you?"
ONLY_EMOJI = "I can only see emoji in your message. Please ask me in words."
TOO_LONG = (
    "Your message has {length:,} characters and I take up to {limit:,}. "
    "Please shorten it, or send it in pieces."
)
OUTSIDER = (
    "Sorry, I only answer people of this workspace. Please ask one of them to put your question."
)
STOPPED = "Stopped."
LOST = "I was restarted while I was working on this, and the answer is lost. Please ask again."


@dataclass(slots=True)
class _Asking:
    """A turn that is being answered, for whoever wants to stop it."""

    session: AgentSession | None = None
    stop_wanted: bool = False


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
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._workspace = workspace
        self._clock = clock
        self._max_message_chars = max_message_chars
        self._asking: dict[ThreadKey, _Asking] = {}

    async def take(self, turn: Turn) -> None:
        """Bring a claimed turn to its end. Raises `StoreError` when the end cannot be recorded."""
        with about(turn):
            started = self._clock.monotonic()
            log.info("turn begins: %s by %s", turn.message.trigger, turn.message.user)
            thread = await self._thread(turn.message)
            if turn.message.trigger is Trigger.FOLLOW_UP and len(thread.people) > 1:
                await self._store.finish(turn, TurnState.WITHDRAWN)
                log.info("turn ends: people talk to each other")
                return
            refusal = self._refusal(turn.message)
            if refusal:
                await self._tell(turn, thread, Ending(state=TurnState.REFUSED, note=refusal))
            else:
                await self._answer(turn, thread)
            log.info("turn took %.3f s", self._clock.monotonic() - started)

    async def settle(self, turn: Turn) -> None:
        """Bring a turn to its end that a restart found running.

        What is on record is shown. A turn that had not come to its prompt waits again. For the
        others the thread is told: the runtime may have taken the prompt, and nobody knows what
        became of it.
        """
        with about(turn):
            if turn.ending is None and not turn.prompted:
                log.info("turn was cut short before its prompt; it waits again")
                await self._store.hand_back(turn)
                return
            ending = turn.ending or Ending(state=TurnState.LOST, note=LOST)
            log.warning("turn was cut short; it is settled as %s", ending.state)
            await self._tell(turn, await self._thread(turn.message), ending)

    async def stop(self, thread: ThreadKey, by: str) -> None:
        """Stop the thread's running answer, if there is one; what is shown stays."""
        asking = self._asking.get(thread)
        if asking is None:
            log.info("nothing to stop in thread %s for %s", thread, by)
            return
        log.info("%s stops the answer in thread %s", by, thread)
        asking.stop_wanted = True
        if asking.session is not None:
            await asking.session.stop()

    async def _thread(self, message: Message) -> Thread:
        """The turn's thread, with everybody in it: asked of Slack once, where the bot was called
        into the middle of a thread."""
        thread = await self._store.thread(message.thread)
        if thread is None:
            raise StoreError(f"thread {message.thread} of an accepted message is not on record")
        if thread.people_known:
            return thread
        try:
            people = await self._workspace.people_in(message.thread)
        except SlackError as error:
            log.warning("who takes part in the thread could not be found out: %s", error)
            return thread
        await self._store.note_people(message.thread, people)
        return await self._store.thread(message.thread) or thread

    def _refusal(self, message: Message) -> str:
        """The sentence for a message that is not answered; empty when it is."""
        if message.external:
            return OUTSIDER
        if not message.text:
            return NO_QUESTION
        if len(message.text) > self._max_message_chars:
            return TOO_LONG.format(length=len(message.text), limit=self._max_message_chars)
        if only_emoji(message.text):
            return ONLY_EMOJI
        return ""

    async def _tell(self, turn: Turn, thread: Thread, ending: Ending) -> None:
        """End a turn that the model is not asked for."""
        earlier = await self._store.parts(turn)
        if not await self._store.record(turn, ending):
            return
        async with self._workspace.reply_to(turn, thread.people, earlier) as reply:
            await self._close(turn, reply, ending)

    async def _answer(self, turn: Turn, thread: Thread) -> None:
        """Ask the session, and show what it says while it says it."""
        earlier = await self._store.parts(turn) if turn.epoch > 1 else ()
        asking = self._asking[turn.message.thread] = _Asking()
        try:
            async with self._workspace.reply_to(turn, thread.people, earlier) as reply:
                ending = await self._ask(turn, thread, reply, asking)
                if ending is None:
                    log.info("turn gives way to an earlier message")
                elif await self._store.record(turn, ending):
                    await self._close(turn, reply, ending)
                else:
                    log.warning("turn was taken over; nothing more is shown from here")
        finally:
            del self._asking[turn.message.thread]

    async def _ask(
        self, turn: Turn, thread: Thread, reply: Reply, asking: _Asking
    ) -> Ending | None:
        """How the model's answer ends; None when an earlier message of the thread came in."""
        answer = Answer()
        try:
            async with self._sessions.held(thread) as session:
                asking.session = session
                if asking.stop_wanted:
                    return Ending(state=TurnState.STOPPED, note=STOPPED)
                if not await self._store.begin(turn):
                    return None
                stopped = await _follow(session, turn.message.text, answer, reply)
        except AgentError as error:
            log.warning("the model did not answer: %s", error, exc_info=error.__cause__)
            return Ending(state=TurnState.FAILED, answer=answer.text, note=error.sentence)
        finally:
            asking.session = None
        if stopped:
            return Ending(state=TurnState.STOPPED, answer=answer.text, note=STOPPED)
        if not answer.text.strip():
            return Ending(state=TurnState.FAILED, note=AGENT_SENTENCES[AgentFault.EMPTY])
        return Ending(state=TurnState.DONE, answer=answer.text)

    async def _close(self, turn: Turn, reply: Reply, ending: Ending) -> None:
        """Show the end and record it, in this order: a restart between the two shows it again
        over what stands there, never beside it."""
        state = ending.state
        try:
            await reply.finish(ending.answer, ending.note)
        except SlackError:
            log.exception("the thread could not be told how the turn ended")
            state = TurnState.FAILED
        await self._store.finish(turn, state)
        log.info("turn ends: %s, %d characters", state, len(ending.answer))


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


_EMOJI_NAME = re.compile(r":[a-z0-9_+'-]+(?:::skin-tone-[2-6])?:", re.IGNORECASE)


def only_emoji(text: str) -> bool:
    """Whether there is nothing but emoji, as `:names:` or as characters, in a message."""
    rest, names = _EMOJI_NAME.subn("", text)
    drawn = [character for character in rest if not character.isspace()]
    symbols = all(unicodedata.category(c) in ("So", "Sk", "Cf", "Mn", "Me") for c in drawn)
    return symbols and bool(names or drawn)
