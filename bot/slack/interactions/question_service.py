"""Takes questions asked by command, button or shortcut, and has them posted and answered.

The bot posts the question in the channel in the asker's name; from then on it is a message like any
other. On any failure the asker gets one sentence.

Slack never repeats a command or a modal, so it is acknowledged when the question is recorded. A
reason that prevents the post within 1.5 s is in the same response; a later one is sent separately.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from bot.access import texts as access_texts
from bot.access.admission import AdmissionCheck
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
    QuestionOutbox,
    failure_text,
)
from bot.tasks import BackgroundTasks
from bot.turns.prompt import encode_json

log = logging.getLogger(__name__)

_ACK_SECONDS: Final = 1.5
"""Timeout in seconds of the response to Slack, which waits for 3 s."""
_RECORD_SECONDS: Final = 1.2
"""Timeout in seconds, within `_ACK_SECONDS`, of recording: a later question is not accepted."""

_ADMISSION_SECONDS: Final = 1.5
"""Timeout in seconds of the admission check before a modal is opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question and its target. `key` is Slack's id of the interaction, the same if repeated."""

    key: str
    actor: Actor
    target: QuestionTarget
    text: str


class QuestionService:
    """Records questions and has them posted into channels."""

    def __init__(
        self,
        identity: BotIdentity,
        outbox: QuestionOutbox,
        config: OutboxConfig,
        background_tasks: BackgroundTasks,
        admission: AdmissionCheck,
    ) -> None:
        self._identity = identity
        self._outbox = outbox
        self._config = config
        self._background_tasks = background_tasks
        self._admission = admission

    async def denial_for(self, actor: Actor, channel: str) -> str:
        """The refusal text why the actor may not ask in the channel, or an empty string; within
        1.5 s. `QuestionOutbox` checks the question itself again."""
        external = actor.team != self._identity.team
        check = self._admission.denial_for(actor.user, channel, external=external)
        try:
            return await with_timeout(check, _ADMISSION_SECONDS)
        except BotError as error:
            log.warning("admission check failed: user=%s reason=%s", actor.user, error)
            return (
                access_texts.UNKNOWN_USER if isinstance(error, SlackError) else error.user_message
            )

    async def submit(
        self, question: Question, notify_later: Callable[[str], Awaitable[None]]
    ) -> str:
        """Submit the question within 1.5 s. The refusal text, or an empty string: then it is
        recorded.

        A later failure is passed to `notify_later`. The same question sent twice (a double click,
        a modal sent again after a restart) is asked once.
        """
        refusal = _validation_error(question.text)
        if refusal:
            return refusal
        deadline = asyncio.get_running_loop().time() + _ACK_SECONDS
        pending = self._pending_question(question)
        saved = await self._save(pending)
        if saved is not True:
            return saved or ""
        result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        work = self._post_and_report(pending, result, notify_later)
        if self._start_task("asking a question", pending, work) is None:
            return ""  # recorded: it is posted when there is less load
        try:
            async with asyncio.timeout_at(deadline):
                return await result
        except TimeoutError:
            # The result may have arrived at the last moment, and then it is only returned here.
            return result.result() if result.done() and not result.cancelled() else ""

    def _start_task(
        self, name: str, question: PendingQuestion, work: Coroutine[object, object, None]
    ) -> asyncio.Task[None] | None:
        """`BackgroundTasks.spawn` for work on a question, which is reserved until the work ends."""
        task = self._background_tasks.spawn(name, work)
        if task is not None:
            self._outbox.reserve(question.event_id)
            task.add_done_callback(lambda _: self._outbox.release(question.event_id))
        return task

    async def _save(self, question: PendingQuestion) -> bool | str:
        """True if the question is newly recorded, False if it was before; else the error text."""
        saving = asyncio.ensure_future(self._config.store.save_question(question))
        self._outbox.reserve(question.event_id)
        try:
            async with asyncio.timeout(_RECORD_SECONDS):
                return await asyncio.shield(saving)
        except TimeoutError:
            log.warning("question not recorded in time: id=%s", question.event_id)
            self._start_task(
                "discarding a question", question, self._discard_if_saved(question, saving)
            )
            return StoreError.user_message
        except BotError as error:
            log.warning("question not recorded: id=%s reason=%s", question.event_id, error)
            return error.user_message
        finally:
            self._outbox.release(question.event_id)

    async def _discard_if_saved(
        self, question: PendingQuestion, saving: asyncio.Future[bool]
    ) -> None:
        """Delete a question that was refused but is recorded after all, so it is not asked."""
        if await saving:
            await self._config.store.delete_question(question.event_id)

    async def _post_and_report(
        self,
        question: PendingQuestion,
        result: asyncio.Future[str],
        notify_later: Callable[[str], Awaitable[None]],
    ) -> None:
        """Post the question and report a failure. If this is interrupted, the outbox resumes the
        question, and no report is needed."""
        try:
            if await self._outbox.post_question(question):
                return
            text = texts.QUESTION_DELAYED
        except PostRejected as error:
            text = failure_text(error, self._identity.name)
            if not result.done():
                result.set_result(text)
                return
        finally:
            if not result.done():
                result.set_result("")
        await notify_later(text)

    def _pending_question(self, question: Question) -> PendingQuestion:
        target, redact = question.target, self._config.redact
        return PendingQuestion(
            event_id=f"command-{question.key}",
            team=self._identity.team,
            channel=target.channel,
            root_ts=target.root_ts,
            user=question.actor.user,
            user_team=question.actor.team,
            text=redact(_prompt_text(question)),
            mrkdwn=redact(question_message(question.actor.user, question.text, target.quoted)),
            created_at=self._config.clock.now(),
        )


def _validation_error(text: str) -> str:
    """The refusal text for a question's text, or an empty string."""
    if not text:
        return texts.NO_QUESTION
    if len(text) > MAX_QUESTION_CHARS:
        return texts.TOO_LONG.format(length=len(text), limit=MAX_QUESTION_CHARS)
    return ""


def _prompt_text(question: Question) -> str:
    """The prompt for the model; a quoted message is added as data on one line."""
    target = question.target
    if not target.quoted:
        return question.text
    data = {"author": target.author, "text": target.quoted, "complete": not target.clipped}
    return texts.PROMPT_ABOUT_MESSAGE.format(question=question.text, quoted=encode_json(data))


MAX_QUESTION_CHARS: Final = 3_000
"""Maximum number of characters of a modal's input, and of the slash command."""


_MAX_EXCERPT_CHARS: Final = 120


def question_message(asker: str, question: str, quoted: str = "") -> str:
    """The mrkdwn of the message that posts a question; the question's text cannot mention users.

    `asker` is a user id; `quoted` is the message that the question is about, or empty.
    """
    blockquote = "\n".join(f"> {line}" for line in escape(question).splitlines())
    if not quoted:
        return texts.QUESTION_MESSAGE.format(asker=f"<@{asker}>", question=blockquote)
    one_line = " ".join(quoted.split())
    excerpt = escape(
        one_line if len(one_line) <= _MAX_EXCERPT_CHARS else one_line[:_MAX_EXCERPT_CHARS] + "…"
    )
    return texts.QUESTION_ABOUT_MESSAGE.format(
        asker=f"<@{asker}>", excerpt=excerpt, question=blockquote
    )
