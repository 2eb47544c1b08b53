"""A question asked by command, button or shortcut: it is put into the channel, then answered.

The question stands in the thread for everybody to read, posted by the bot in the asker's name;
from there on it is a message like any other. Whatever goes wrong, the asker gets one sentence.

Slack never repeats a command or a modal, so it is told that one has arrived when the question is on
record; what keeps it from being posted within 1.5 s from the beginning is told in the same answer,
and else later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from bot.access import texts as access_texts
from bot.domain.commands import PendingQuestion
from bot.errors import BotError, SlackError, StoreError
from bot.slack import texts
from bot.slack.api.calls import with_timeout
from bot.slack.formatting.mrkdwn import escape
from bot.slack.identity import BotIdentity
from bot.slack.interactions.payloads import Actor, QuestionTarget
from bot.slack.interactions.question_outbox import (
    OutboxConfig,
    PostRejected,
    QuestionAdmission,
    QuestionOutbox,
    failure_text,
)
from bot.tasks import BackgroundTasks
from bot.turns.prompt import encode_json

log = logging.getLogger(__name__)

_ACK_SECONDS: Final = 1.5
"""How long Slack is kept waiting for the outcome; it gives up after 3 s."""
_RECORD_SECONDS: Final = 1.2
"""Of these, for the record: what is not there by then is not taken."""

_ADMISSION_SECONDS: Final = 1.5
"""For whether somebody may ask in a place, before a form is opened for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asks, and where. `key` is Slack's id of the asking, the same if repeated."""

    key: str
    actor: Actor
    target: QuestionTarget
    text: str


class QuestionService:
    """Takes questions, and has them put into channels."""

    def __init__(
        self,
        identity: BotIdentity,
        outbox: QuestionOutbox,
        config: OutboxConfig,
        background_tasks: BackgroundTasks,
        admission: QuestionAdmission,
    ) -> None:
        self._identity = identity
        self._outbox = outbox
        self._config = config
        self._background_tasks = background_tasks
        self._admission = admission

    async def denial_for(self, actor: Actor, channel: str) -> str:
        """The sentence why no form is opened for somebody by which they would ask in a channel, or
        empty; within 1.5 s. What they send is looked at again by `QuestionOutbox`."""
        external = actor.team != self._identity.team
        closed = self._admission.denial_for(actor.user, channel, external=external)
        try:
            return await with_timeout(closed, _ADMISSION_SECONDS)
        except BotError as error:
            log.warning("whether somebody may ask could not be found out: %s", error)
            return (
                access_texts.UNKNOWN_USER if isinstance(error, SlackError) else error.user_message
            )

    async def submit(
        self, question: Question, notify_later: Callable[[str], Awaitable[None]]
    ) -> str:
        """Ask, and answer within 1.5 s: empty, and then the question is on record, or the sentence
        why not.

        What comes out later than that is told through `late`. The same question sent twice (a
        double click, a modal sent again after a restart) is asked once.
        """
        refusal = _validation_error(question.text)
        if refusal:
            return refusal
        until = asyncio.get_running_loop().time() + _ACK_SECONDS
        recorded = self._pending_question(question)
        noted = await self._save(recorded)
        if noted is not True:
            return noted or ""
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        work = self._post_and_report(recorded, outcome, notify_later)
        if self._start_task("asking a question", recorded, work) is None:
            return ""  # on record: it is taken up when there is less to do
        try:
            async with asyncio.timeout_at(until):
                return await outcome
        except TimeoutError:
            # In the last moment it may have come out all the same, and then nobody else tells it.
            return outcome.result() if outcome.done() and not outcome.cancelled() else ""

    def _start_task(
        self, name: str, question: PendingQuestion, work: Coroutine[object, object, None]
    ) -> asyncio.Task[None] | None:
        """`BackgroundTasks.spawn` for work on a question that nobody else may take up meanwhile."""
        task = self._background_tasks.spawn(name, work)
        if task is not None:
            self._outbox.reserve(question.event_id)
            task.add_done_callback(lambda _: self._outbox.release(question.event_id))
        return task

    async def _save(self, question: PendingQuestion) -> bool | str:
        """Whether the question is new on record, or the sentence why it is not there."""
        noting = asyncio.ensure_future(self._config.store.save_question(question))
        self._outbox.reserve(question.event_id)
        try:
            async with asyncio.timeout(_RECORD_SECONDS):
                return await asyncio.shield(noting)
        except TimeoutError:
            log.warning("a question could not be recorded in time")
            self._start_task(
                "leaving a question alone", question, self._discard_if_saved(question, noting)
            )
            return StoreError.user_message
        except BotError as error:
            log.warning("a question could not be recorded: %s", error)
            return error.user_message
        finally:
            self._outbox.release(question.event_id)

    async def _discard_if_saved(
        self, question: PendingQuestion, saving: asyncio.Future[bool]
    ) -> None:
        """A question of which it was told that it is not taken is not asked either, also when it
        gets on record after all."""
        if await saving:
            await self._config.store.delete_question(question.event_id)

    async def _post_and_report(
        self,
        question: PendingQuestion,
        outcome: asyncio.Future[str],
        notify_later: Callable[[str], Awaitable[None]],
    ) -> None:
        """Put the question where it belongs. Cut off on the way it is taken up again, and nobody
        needs to be told."""
        try:
            if await self._outbox.post_question(question):
                return
            sentence = texts.QUESTION_DELAYED
        except PostRejected as error:
            sentence = failure_text(error, self._identity.name)
            if not outcome.done():
                outcome.set_result(sentence)
                return
        finally:
            if not outcome.done():
                outcome.set_result("")
        await notify_later(sentence)

    def _pending_question(self, question: Question) -> PendingQuestion:
        place, redact = question.target, self._config.redact
        return PendingQuestion(
            event_id=f"command-{question.key}",
            team=self._identity.team,
            channel=place.channel,
            root_ts=place.root_ts,
            user=question.actor.user,
            user_team=question.actor.team,
            text=redact(_prompt_text(question)),
            mrkdwn=redact(question_message(question.actor.user, question.text, place.quoted)),
            created_at=self._config.clock.now(),
        )


def _validation_error(text: str) -> str:
    """The sentence why a text is not to be asked, or empty."""
    if not text:
        return texts.NO_QUESTION
    if len(text) > MAX_QUESTION_CHARS:
        return texts.TOO_LONG.format(length=len(text), limit=MAX_QUESTION_CHARS)
    return ""


def _prompt_text(question: Question) -> str:
    """The question as the model gets it; a quoted message goes along as data on one line."""
    place = question.target
    if not place.quoted:
        return question.text
    data = {"author": place.author, "text": place.quoted, "complete": not place.clipped}
    return texts.PROMPT_ABOUT_MESSAGE.format(question=question.text, quoted=encode_json(data))


MAX_QUESTION_CHARS: Final = 3_000
"""The most that a modal's input takes; the slash command takes the same."""


_MAX_EXCERPT_CHARS: Final = 120


def question_message(asker: str, question: str, quoted: str = "") -> str:
    """The message by which a question stands in the channel: the question itself cannot ping.

    `asker` is a user id; `about` is the message that the question is about, if it is.
    """
    asked = "\n".join(f"> {line}" for line in escape(question).splitlines())
    if not quoted:
        return texts.QUESTION_MESSAGE.format(asker=f"<@{asker}>", question=asked)
    first = " ".join(quoted.split())
    excerpt = escape(
        first if len(first) <= _MAX_EXCERPT_CHARS else first[:_MAX_EXCERPT_CHARS] + "…"
    )
    return texts.QUESTION_ABOUT_MESSAGE.format(asker=f"<@{asker}>", excerpt=excerpt, question=asked)
