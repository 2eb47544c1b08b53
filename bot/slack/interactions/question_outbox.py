"""Puts questions asked by command into their channels, and from there into the inbox.

What Slack does not let people do, nobody does for them: a question is put where its asker may ask
at that moment. What a form brings back of its place is where it was opened, and may be forged.

A question is on record before anybody is told that it has arrived, and until it is a message with
a turn of its own. A bot that dies on the way takes it up at its next start: what it has posted it
finds again by the metadata, and posts nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from bot.access import texts as access_texts
from bot.domain.commands import OpenQuestion
from bot.domain.messages import Message, ThreadKey, Trigger
from bot.domain.turns import Accepted
from bot.errors import BotError, SlackError, StoreError
from bot.ports import Clock, QuestionStore
from bot.slack import texts
from bot.slack.api.calls import CallError, Cause, bounded
from bot.slack.api.client import Client
from bot.slack.api.ephemeral import post_aside
from bot.slack.api.rate_limiter import Urgency
from bot.slack.identity import Identity

log = logging.getLogger(__name__)

EVENT_TYPE: Final = "threadpilot_question"
"""The metadata's name on the message by which a question stands in its channel."""

LOOK_SECONDS: Final = 30.0
"""How often it is looked for questions that are still on their way."""
OLD_SECONDS: Final = 3_600.0
"""So long after it was asked nobody expects the answer any more."""

# Together less than what Background lets a piece of work take.
_GATE_SECONDS: Final = 3.0
_POST_SECONDS: Final = 20.0
_PATIENCE: Final = 3.0
_RECORD_SECONDS: Final = 5.0
_TRIES: Final = 2
_ONE_SECONDS: Final = 50.0
"""How long one question may take that is taken up again."""
_END_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Where questions are kept that are on their way."""

    store: QuestionStore
    clock: Clock
    redact: Callable[[str], str] = str
    """Takes out of people's words what may be kept nowhere."""


class NotPut(SlackError):
    """A question is not to be in its channel, by Slack's word or by ours: it is not asked."""

    def __init__(self, code: str, sentence: str = SlackError.sentence) -> None:
        super().__init__(code)
        self.sentence = sentence


class Gate(Protocol):
    """Who may ask where."""

    async def closed_to(self, user: str, channel: str, *, external: bool) -> str:
        """The sentence why nothing is asked in a channel for somebody just now; empty when it is.
        `external`: whether Slack says that they are of another workspace. Raises `SlackError`
        while it cannot be found out, `StoreError`."""
        ...


class _Closed(CallError):
    """Somebody may not ask there, or that is not known just now: surely nothing was posted."""

    def __init__(self, sentence: str, *, passing: bool = False) -> None:
        super().__init__("not_let_in")
        self.sentence = sentence
        self.passing = passing


class Questions:
    """Brings recorded questions on their way."""

    def __init__(
        self,
        client: Client,
        us: Identity,
        on_message: Callable[[Message], Awaitable[Accepted]],
        book: Book,
        gate: Gate,
    ) -> None:
        self._client = client
        self._gate = gate
        self._us = us
        self._on_message = on_message
        self._book = book
        self._under_way: set[str] = set()
        self._others: list[str] = []

    def leave(self, event_id: str) -> None:
        """Whoever has a question recorded sees to it: it is not taken up, until `take_back`."""
        self._others.append(event_id)

    def take_back(self, event_id: str) -> None:
        """Nobody else sees to it any more: if it is on record still, it is taken up."""
        self._others.remove(event_id)

    async def put(self, question: OpenQuestion, *, anew: bool = True) -> bool:
        """Post a recorded question and hand it to the inbox; whether it has become a message by
        then. If not, it stays on record and is tried again.

        `anew`: surely nothing was posted of it yet. Raises `NotPut`, and then it is not on record
        any more; `StoreError` when it is, but should not be.
        """
        if question.event_id in self._under_way:
            return False
        self._under_way.add(question.event_id)
        try:
            return await self._put(question, anew=anew)
        finally:
            self._under_way.discard(question.event_id)

    @asynccontextmanager
    async def taken_up(self) -> AsyncIterator[None]:
        """While inside, what is left on record is taken up: at once, and again and again."""
        task = asyncio.create_task(self._take_up(), name="questions on their way")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=_END_SECONDS)

    async def _put(self, question: OpenQuestion, *, anew: bool) -> bool:
        try:
            ts = await self._standing(question, anew=anew)
        except CallError as error:
            if error.maybe_done or (error.passing and not anew):
                log.warning("a question could not be posted yet: %s", error)
                return False
            log.warning("a question could not be posted: %s", error)
            await self._book.store.drop_question(question.event_id)
            raise NotPut(error.code, error.sentence) from error
        root = question.root_ts or ts
        message = Message(
            event_id=question.event_id,
            thread=ThreadKey(team=question.team, channel=question.channel, root_ts=root),
            ts=ts,
            user=question.user,
            user_team=question.user_team,
            text=question.text,
            trigger=Trigger.COMMAND,
            direct=question.channel.startswith("D"),
        )
        if not await self._handed_over(message):
            return False
        try:
            await self._book.store.drop_question(question.event_id)
        except StoreError as error:
            log.info("a question that was asked is still on record: %s", error)
        return True

    async def _handed_over(self, message: Message) -> bool:
        for _ in range(_TRIES):
            try:
                async with asyncio.timeout(_RECORD_SECONDS):
                    await self._on_message(message)
            except (BotError, TimeoutError) as error:
                log.warning("a posted question could not be recorded yet: %s", error)
            else:
                return True
        return False

    async def _standing(self, question: OpenQuestion, *, anew: bool) -> str:
        """The `ts` of the message by which the question stands in its channel. Raises
        `CallError`: with `maybe_done` where it may stand there all the same."""
        let_in = False
        for tries_left in reversed(range(_TRIES)):
            if not anew and (found := await self._found(question)):
                return found
            if not let_in:
                await self._let_in(question)
                let_in = True
            try:
                return await self._posted(question)
            except CallError as error:
                # What Slack is slow with it may do a moment after it was looked for.
                if not error.maybe_done or error.code == "timeout" or not tries_left:
                    raise
                log.warning("a question may not have been posted: %s", error)
                anew = False
        raise CallError("timeout", "the question", maybe_done=True)

    async def _let_in(self, question: OpenQuestion) -> None:
        """See to it that who asks may ask there at this moment. Raises `_Closed`, `StoreError`."""
        external = question.user_team != self._us.team
        closed = self._gate.closed_to(question.user, question.channel, external=external)
        try:
            sentence = await bounded(closed, _GATE_SECONDS)
        except SlackError as error:
            log.warning("whether somebody may ask could not be found out: %s", error)
            raise _Closed(access_texts.UNKNOWN, passing=error.passing) from error
        if sentence:
            raise _Closed(sentence)

    async def _found(self, question: OpenQuestion) -> str:
        """The `ts` of a message that was posted for the question; "" where there is none. Raises
        `CallError` with `maybe_done`: nobody knows then."""
        # Slack's clock and ours may differ.
        oldest = f"{max(0.0, question.asked - OLD_SECONDS):.6f}"
        try:
            if question.root_ts:
                thread = ThreadKey(
                    team=question.team, channel=question.channel, root_ts=question.root_ts
                )
                async for message in self._client.replies(thread, oldest=oldest):
                    if self._is_it(message, question):
                        return str(message["ts"])
                return ""
            async for page in self._client.history(question.channel, oldest):
                for message in page:
                    if self._is_it(message, question):
                        return str(message["ts"])
        except CallError as error:
            raise CallError(error.code, "whether it stands there", maybe_done=True) from error
        return ""

    def _is_it(self, message: Mapping[str, object], question: OpenQuestion) -> bool:
        metadata = message.get("metadata")
        if message.get("bot_id") != self._us.bot or not isinstance(metadata, dict):
            return False
        return metadata.get("event_type") == EVENT_TYPE and metadata.get("event_payload") == {
            "question": question.event_id
        }

    async def _posted(self, question: OpenQuestion) -> str:
        """Post it in the bot's name, nothing in it live; the message's `ts`. Raises `CallError`."""
        answer = await self._client.calls(
            self._client.web.chat_postMessage,
            Cause(urgency=Urgency.FIRST),
            patience=_PATIENCE,
            seconds=_POST_SECONDS,
            channel=question.channel,
            text=question.shown,
            thread_ts=question.root_ts or None,
            parse="none",
            link_names=False,
            unfurl_links=False,
            unfurl_media=False,
            metadata={
                "event_type": EVENT_TYPE,
                "event_payload": {"question": question.event_id},
            },
        )
        ts = answer.get("ts")
        if not isinstance(ts, str):
            raise CallError("no_ts", "chat.postMessage answered without a ts", maybe_done=True)
        return ts

    async def _take_up(self) -> None:
        while True:
            try:
                found = await self._book.store.open_questions()
                # Before the first is taken up, for that takes its time: what others see to may
                # have come to its end by then.
                for question in [each for each in found if each.event_id not in self._others]:
                    await self._take_up_one(question)
            except StoreError as error:
                log.warning("what was asked by command could not be read: %s", error)
            await self._book.clock.sleep(LOOK_SECONDS)

    async def _take_up_one(self, question: OpenQuestion) -> None:
        if question.event_id in self._under_way:
            return
        try:
            async with asyncio.timeout(_ONE_SECONDS):
                await self._on_its_way(question)
        except (BotError, TimeoutError) as error:
            log.warning("what was asked by command could not be taken up: %s", error)
        except Exception:
            log.exception("what was asked by command could not be taken up")

    async def _on_its_way(self, question: OpenQuestion) -> None:
        if self._book.clock.now() - question.asked > OLD_SECONDS:
            log.warning("a question asked by %s is too old to be asked now", question.user)
            await self._tell(question, texts.ASKED_LONG_AGO)
            await self._book.store.drop_question(question.event_id)
            return
        log.info("a question asked by %s is taken up", question.user)
        try:
            await self.put(question, anew=False)
        except NotPut as error:
            await self._tell(question, why(error, self._us.name))

    async def _tell(self, question: OpenQuestion, sentence: str) -> None:
        try:
            await post_aside(
                self._client, question.channel, question.user, sentence, question.root_ts
            )
        except SlackError as error:
            log.warning("who asked a question could not be told: %s", error)


_NOT_HERE: Final = frozenset({"not_in_channel", "channel_not_found"})
_TOO_MANY: Final = frozenset({"ratelimited", "rate_limited"})
_READ_ONLY: Final = frozenset(
    {
        "is_archived",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_locked",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
    }
)


def why(error: SlackError, name: str) -> str:
    """What the asker is told of a question that was not put; `name` is the bot's."""
    if error.code in _NOT_HERE:
        return texts.NOT_HERE.format(name=name)
    if error.code in _READ_ONLY:
        return texts.READ_ONLY
    return texts.BUSY if error.code in _TOO_MANY else error.sentence
