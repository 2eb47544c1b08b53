"""A question asked by command, button or shortcut: it is put into the channel, then answered.

The question stands in the thread for everybody to read, posted by the bot in the asker's name;
from there on it is a message like any other. Whatever goes wrong, the asker gets one sentence.

Slack never repeats a command or a modal, so it is told that one has arrived when the question is
posted and recorded, as long as that takes no more than 1.5 s: until then a bot that dies leaves
Slack to tell the asker. What remains: a bot that dies later than that, with the question still on
its way, loses it without a word, and one that dies between posting and recording leaves a question
in the channel that nobody answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import BotError, SlackError
from bot.model import Acceptance, Accepted, Message, ThreadKey, Trigger
from bot.slack import words
from bot.slack.background import Background
from bot.slack.blocks import MAX_QUESTION, question_message
from bot.slack.calls import bounded, called
from bot.slack.events import Identity
from bot.slack.interactions import Person, Place

log = logging.getLogger(__name__)

_PROMPT_SECONDS: Final = 1.5
"""How long Slack is kept waiting for the outcome; it gives up after 3 s."""

_GATE_SECONDS: Final = 1.0
"""For whether somebody is answered at all, before that."""

# Together less than what Background lets a piece of work take.
_POST_SECONDS: Final = 30.0
_RECORD_SECONDS: Final = 5.0
_RECORD_TRIES: Final = 2
_MEND_SECONDS: Final = 5.0
_LATE_SECONDS: Final = 10.0

_LAST_WORD_SECONDS: Final = 4.0
"""For one that is cut off at the end: less than Background waits for it to end."""

_REMEMBERED: Final = 1_000

_NOT_HERE = frozenset({"not_in_channel", "channel_not_found"})
_TOO_MANY = frozenset({"ratelimited", "rate_limited"})
_READ_ONLY = frozenset(
    {
        "is_archived",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_locked",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What somebody asks, and where. `key` is Slack's id of the asking, the same if repeated."""

    key: str
    person: Person
    place: Place
    text: str


class Gate(Protocol):
    """Who is answered at all."""

    async def closed_to(self, user: str, *, external: bool) -> str:
        """The sentence why somebody is not answered; empty when they are. `external`: whether
        Slack says that they are of another workspace. Raises `StoreError`."""
        ...


class Asking:
    """Puts questions into channels and into the inbox."""

    def __init__(
        self,
        client: AsyncWebClient,
        us: Identity,
        on_message: Callable[[Message], Awaitable[Accepted]],
        background: Background,
        gate: Gate,
    ) -> None:
        self._client = client
        self._us = us
        self._on_message = on_message
        self._background = background
        self._gate = gate
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def closed_to(self, person: Person) -> str:
        """The sentence why somebody is not answered, or empty; within a second."""
        closed = self._gate.closed_to(person.user, external=person.team != self._us.team)
        try:
            return await bounded(closed, _GATE_SECONDS)
        except BotError as error:
            log.warning("whether somebody is answered could not be found out: %s", error)
            return error.sentence

    async def ask(self, question: Question, late: Callable[[str], Awaitable[None]]) -> str:
        """Ask, and answer within 2.5 s: empty, or the sentence why not.

        What comes out later than that is told through `late`. The same question sent twice (a
        double click) is asked once.
        """
        refusal = await self.closed_to(question.person) or _refusal(question.text)
        if refusal or self._repeated(question.key):
            return refusal
        outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        work = self._work(question, outcome, late)
        if self._background.start("asking a question", work) is None:
            self._seen.pop(question.key, None)
            return words.BUSY
        try:
            return await asyncio.wait_for(outcome, _PROMPT_SECONDS)
        except TimeoutError:
            return ""

    async def _work(
        self,
        question: Question,
        outcome: asyncio.Future[str],
        late: Callable[[str], Awaitable[None]],
    ) -> None:
        """Ask, and see that the asker hears of it, also when this is cut off."""
        sentence, patience = words.WENT_WRONG, _LAST_WORD_SECONDS
        try:
            sentence, patience = await self._put(question), _LATE_SECONDS
        finally:
            if sentence:
                self._seen.pop(question.key, None)  # the same modal may be sent again
            if not outcome.done():
                outcome.set_result(sentence)
            elif sentence:
                async with asyncio.timeout(patience):
                    await late(sentence)

    async def _put(self, question: Question) -> str:
        """Post the question and hand it to the inbox. Empty, or the sentence why not."""
        place = question.place
        try:
            posted = await self._post(
                question_message(question.person.user, question.text, place.quoted),
                place.channel,
                place.root_ts,
                _POST_SECONDS,
            )
        except SlackError as error:
            log.warning("a question could not be posted: %s", error)
            return self._why(error)
        thread = ThreadKey(
            team=self._us.team, channel=place.channel, root_ts=place.root_ts or posted
        )
        message = Message(
            event_id=f"command-{question.key}",
            thread=thread,
            ts=posted,
            user=question.person.user,
            user_team=question.person.team,
            text=_prompt(question),
            trigger=Trigger.COMMAND,
            direct=place.channel.startswith("D"),
        )
        return await self._record(message)

    async def _record(self, message: Message) -> str:
        """Hand a posted question to the inbox. Empty, or what to tell the asker alone."""
        for again in range(_RECORD_TRIES):
            try:
                async with asyncio.timeout(_RECORD_SECONDS):
                    accepted = await self._on_message(message)
            except Exception:
                log.exception("a posted question could not be recorded: thread %s", message.thread)
                continue
            # At the second try it may be the first that was recorded after all.
            if accepted.acceptance is Acceptance.REPEATED and not again:
                await self._take_back(message)
            return ""
        return await self._not_taken(message)

    async def _take_back(self, message: Message) -> None:
        """A modal sent again whose question was asked before a restart: once is enough."""
        try:
            await called(
                self._client.chat_delete(channel=message.thread.channel, ts=message.ts),
                _MEND_SECONDS,
            )
        except SlackError as error:
            log.warning("a question that stands there twice could not be taken back: %s", error)

    async def _not_taken(self, message: Message) -> str:
        """Say so under the question; where that cannot be, it is for the asker's eyes. Empty, or
        what to tell the asker."""
        thread = message.thread
        try:
            await self._post(words.NOT_TAKEN, thread.channel, thread.root_ts, _MEND_SECONDS)
        except SlackError as error:
            log.warning("nobody in the thread could be told of it: %s", error)
            return words.NOT_TAKEN
        return ""

    async def _post(self, text: str, channel: str, root_ts: str, seconds: float) -> str:
        """Post in the bot's name, nothing in it live; the message's `ts`. Raises `SlackError`."""
        answer = await called(
            self._client.chat_postMessage(
                channel=channel,
                text=text,
                thread_ts=root_ts or None,
                parse="none",
                link_names=False,
                unfurl_links=False,
                unfurl_media=False,
            ),
            seconds,
        )
        ts = answer.get("ts")
        if not isinstance(ts, str):
            raise SlackError("no_ts", "chat.postMessage answered without a ts")
        return ts

    def _why(self, error: SlackError) -> str:
        if error.code in _NOT_HERE:
            return words.NOT_HERE.format(name=self._us.name)
        if error.code in _READ_ONLY:
            return words.READ_ONLY
        return words.BUSY if error.code in _TOO_MANY else error.sentence

    def _repeated(self, key: str) -> bool:
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return False


def _refusal(text: str) -> str:
    """The sentence why a text is not to be asked, or empty."""
    if not text:
        return words.NO_QUESTION
    if len(text) > MAX_QUESTION:
        return words.TOO_LONG.format(length=len(text), limit=MAX_QUESTION)
    return ""


def _prompt(question: Question) -> str:
    """The question as the model gets it; a quoted message goes along as data on one line."""
    place = question.place
    if not place.quoted:
        return question.text
    data = {"author": place.author, "text": place.quoted, "complete": not place.clipped}
    quoted = json.dumps(data, ensure_ascii=False)
    return words.ABOUT_A_MESSAGE.format(question=question.text, quoted=quoted)
