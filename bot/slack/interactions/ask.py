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
from bot.domain.commands import OpenQuestion
from bot.errors import BotError, SlackError, StoreError
from bot.slack import texts
from bot.slack.api.calls import bounded
from bot.slack.formatting.mrkdwn import escaped
from bot.slack.identity import Identity
from bot.slack.interactions.payloads import Person, Place
from bot.slack.interactions.question_outbox import Book, Gate, NotPut, Questions, why
from bot.tasks import Background
from bot.turns.prompt import as_line

log = logging.getLogger(__name__)

_PROMPT_SECONDS: Final = 1.5
"""How long Slack is kept waiting for the outcome; it gives up after 3 s."""
_RECORD_SECONDS: Final = 1.2
"""Of these, for the record: what is not there by then is not taken."""

_GATE_SECONDS: Final = 1.5
"""For whether somebody may ask in a place, before a form is opened for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asks, and where. `key` is Slack's id of the asking, the same if repeated."""

    key: str
    person: Person
    place: Place
    text: str


class Asking:
    """Takes questions, and has them put into channels."""

    def __init__(
        self, us: Identity, questions: Questions, book: Book, background: Background, gate: Gate
    ) -> None:
        self._us = us
        self._questions = questions
        self._book = book
        self._background = background
        self._gate = gate

    async def closed_to(self, person: Person, channel: str) -> str:
        """The sentence why no form is opened for somebody by which they would ask in a channel, or
        empty; within 1.5 s. What they send is looked at again by `Questions`."""
        external = person.team != self._us.team
        closed = self._gate.closed_to(person.user, channel, external=external)
        try:
            return await bounded(closed, _GATE_SECONDS)
        except BotError as error:
            log.warning("whether somebody may ask could not be found out: %s", error)
            return access_texts.UNKNOWN if isinstance(error, SlackError) else error.sentence

    async def ask(self, question: Question, late: Callable[[str], Awaitable[None]]) -> str:
        """Ask, and answer within 1.5 s: empty, and then the question is on record, or the sentence
        why not.

        What comes out later than that is told through `late`. The same question sent twice (a
        double click, a modal sent again after a restart) is asked once.
        """
        refusal = _refusal(question.text)
        if refusal:
            return refusal
        until = asyncio.get_running_loop().time() + _PROMPT_SECONDS
        recorded = self._record(question)
        noted = await self._noted(recorded)
        if noted is not True:
            return noted or ""
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        work = self._work(recorded, outcome, late)
        if self._seen_to("asking a question", recorded, work) is None:
            return ""  # on record: it is taken up when there is less to do
        try:
            async with asyncio.timeout_at(until):
                return await outcome
        except TimeoutError:
            # In the last moment it may have come out all the same, and then nobody else tells it.
            return outcome.result() if outcome.done() and not outcome.cancelled() else ""

    def _seen_to(
        self, name: str, question: OpenQuestion, work: Coroutine[object, object, None]
    ) -> asyncio.Task[None] | None:
        """`Background.start` for work on a question that nobody else may take up meanwhile."""
        task = self._background.start(name, work)
        if task is not None:
            self._questions.leave(question.event_id)
            task.add_done_callback(lambda _: self._questions.take_back(question.event_id))
        return task

    async def _noted(self, question: OpenQuestion) -> bool | str:
        """Whether the question is new on record, or the sentence why it is not there."""
        noting = asyncio.ensure_future(self._book.store.note_question(question))
        self._questions.leave(question.event_id)
        try:
            async with asyncio.timeout(_RECORD_SECONDS):
                return await asyncio.shield(noting)
        except TimeoutError:
            log.warning("a question could not be recorded in time")
            self._seen_to("leaving a question alone", question, self._left(question, noting))
            return StoreError.sentence
        except BotError as error:
            log.warning("a question could not be recorded: %s", error)
            return error.sentence
        finally:
            self._questions.take_back(question.event_id)

    async def _left(self, question: OpenQuestion, noting: asyncio.Future[bool]) -> None:
        """A question of which it was told that it is not taken is not asked either, also when it
        gets on record after all."""
        if await noting:
            await self._book.store.drop_question(question.event_id)

    async def _work(
        self,
        question: OpenQuestion,
        outcome: asyncio.Future[str],
        late: Callable[[str], Awaitable[None]],
    ) -> None:
        """Put the question where it belongs. Cut off on the way it is taken up again, and nobody
        needs to be told."""
        try:
            if await self._questions.put(question):
                return
            sentence = texts.ASKED_SOON
        except NotPut as error:
            sentence = why(error, self._us.name)
            if not outcome.done():
                outcome.set_result(sentence)
                return
        finally:
            if not outcome.done():
                outcome.set_result("")
        await late(sentence)

    def _record(self, question: Question) -> OpenQuestion:
        place, redact = question.place, self._book.redact
        return OpenQuestion(
            event_id=f"command-{question.key}",
            team=self._us.team,
            channel=place.channel,
            root_ts=place.root_ts,
            user=question.person.user,
            user_team=question.person.team,
            text=redact(_prompt(question)),
            shown=redact(question_message(question.person.user, question.text, place.quoted)),
            asked=self._book.clock.now(),
        )


def _refusal(text: str) -> str:
    """The sentence why a text is not to be asked, or empty."""
    if not text:
        return texts.NO_QUESTION
    if len(text) > MAX_QUESTION:
        return texts.TOO_LONG.format(length=len(text), limit=MAX_QUESTION)
    return ""


def _prompt(question: Question) -> str:
    """The question as the model gets it; a quoted message goes along as data on one line."""
    place = question.place
    if not place.quoted:
        return question.text
    data = {"author": place.author, "text": place.quoted, "complete": not place.clipped}
    return texts.ABOUT_A_MESSAGE.format(question=question.text, quoted=as_line(data))


MAX_QUESTION: Final = 3_000
"""The most that a modal's input takes; the slash command takes the same."""


_EXCERPT: Final = 120


def question_message(asker: str, question: str, about: str = "") -> str:
    """The message by which a question stands in the channel: the question itself cannot ping.

    `asker` is a user id; `about` is the message that the question is about, if it is.
    """
    asked = "\n".join(f"> {line}" for line in escaped(question).splitlines())
    if not about:
        return texts.ASKED.format(asker=f"<@{asker}>", question=asked)
    first = " ".join(about.split())
    excerpt = escaped(first if len(first) <= _EXCERPT else first[:_EXCERPT] + "…")
    return texts.ASKED_ABOUT.format(asker=f"<@{asker}>", excerpt=excerpt, question=asked)
