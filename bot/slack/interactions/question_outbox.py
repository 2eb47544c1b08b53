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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from bot.access import texts as access_texts
from bot.domain.commands import PendingQuestion
from bot.domain.messages import Message, ThreadKey, Trigger
from bot.domain.turns import AcceptResult
from bot.errors import BotError, SlackError, StoreError
from bot.ports import Clock, PendingQuestionStore
from bot.slack import texts
from bot.slack.api.calls import CallContext, SlackCallError, with_timeout
from bot.slack.api.client import SlackClient
from bot.slack.api.ephemeral import post_ephemeral
from bot.slack.api.post_search import find_post
from bot.slack.api.rate_limiter import Priority
from bot.slack.identity import BotIdentity

log = logging.getLogger(__name__)

METADATA_EVENT_TYPE: Final = "threadpilot_question"
"""The metadata's name on the message by which a question stands in its channel."""

CHECK_SECONDS: Final = 30.0
"""How often it is looked for questions that are still on their way."""
MAX_AGE_SECONDS: Final = 3_600.0
"""So long after it was asked nobody expects the answer any more."""

# Together less than what Background lets a piece of work take.
_ADMISSION_SECONDS: Final = 3.0
_POST_SECONDS: Final = 20.0
_MAX_WAIT_SECONDS: Final = 3.0
_RECORD_SECONDS: Final = 5.0
_MAX_TRIES: Final = 2
_RESUME_SECONDS: Final = 50.0
"""How long one question may take that is taken up again."""
_CLOSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxConfig:
    """Where questions are kept that are on their way."""

    store: PendingQuestionStore
    clock: Clock
    redact: Callable[[str], str] = str
    """Takes out of people's words what may be kept nowhere."""


class PostRejected(SlackError):
    """A question is not to be in its channel, by Slack's word or by ours: it is not asked."""

    def __init__(self, code: str, user_message: str = SlackError.user_message) -> None:
        super().__init__(code)
        self.user_message = user_message


class QuestionAdmission(Protocol):
    """Who may ask where."""

    async def denial_for(self, user_id: str, channel: str, *, external: bool) -> str:
        """The sentence why nothing is asked in a channel for somebody just now; empty when it is.
        `external`: whether Slack says that they are of another workspace. Raises `SlackError`
        while it cannot be found out, `StoreError`."""
        ...


class _QuestionDenied(SlackCallError):
    """Somebody may not ask there, or that is not known just now: surely nothing was posted."""

    def __init__(self, user_message: str, *, transient: bool = False) -> None:
        super().__init__("not_let_in")
        self.user_message = user_message
        self.transient = transient


class QuestionOutbox:
    """Brings recorded questions on their way."""

    def __init__(
        self,
        client: SlackClient,
        identity: BotIdentity,
        on_message: Callable[[Message], Awaitable[AcceptResult]],
        config: OutboxConfig,
        admission: QuestionAdmission,
    ) -> None:
        self._client = client
        self._admission = admission
        self._identity = identity
        self._on_message = on_message
        self._config = config
        self._posting: set[str] = set()
        self._reserved: list[str] = []

    def reserve(self, event_id: str) -> None:
        """Whoever has a question recorded sees to it: it is not taken up, until
        `subtract_usage`."""
        self._reserved.append(event_id)

    def release(self, event_id: str) -> None:
        """Nobody else sees to it any more: if it is on record still, it is taken up."""
        self._reserved.remove(event_id)

    async def post_question(self, question: PendingQuestion, *, unposted: bool = True) -> bool:
        """Post a recorded question and hand it to the inbox; whether it has become a message by
        then. If not, it stays on record and is tried again.

        `anew`: surely nothing was posted of it yet. Raises `PostRejected`, and then it is not on
        record any more; `StoreError` when it is, but should not be.
        """
        if question.event_id in self._posting:
            return False
        self._posting.add(question.event_id)
        try:
            return await self._post_and_deliver(question, unposted=unposted)
        finally:
            self._posting.discard(question.event_id)

    @asynccontextmanager
    async def resuming(self) -> AsyncIterator[None]:
        """While inside, what is left on record is taken up: at once, and again and again."""
        task = asyncio.create_task(self._resume_pending(), name="questions on their way")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task}, timeout=_CLOSE_SECONDS)

    async def _post_and_deliver(self, question: PendingQuestion, *, unposted: bool) -> bool:
        try:
            ts = await self._ensure_posted(question, unposted=unposted)
        except SlackCallError as error:
            if error.maybe_done or (error.transient and not unposted):
                log.warning("a question could not be posted yet: %s", error)
                return False
            log.warning("a question could not be posted: %s", error)
            await self._config.store.delete_question(question.event_id)
            raise PostRejected(error.code, error.user_message) from error
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
        if not await self._deliver(message):
            return False
        try:
            await self._config.store.delete_question(question.event_id)
        except StoreError as error:
            log.info("a question that was asked is still on record: %s", error)
        return True

    async def _deliver(self, message: Message) -> bool:
        for _ in range(_MAX_TRIES):
            try:
                async with asyncio.timeout(_RECORD_SECONDS):
                    await self._on_message(message)
            except (BotError, TimeoutError) as error:
                log.warning("a posted question could not be recorded yet: %s", error)
            else:
                return True
        return False

    async def _ensure_posted(self, question: PendingQuestion, *, unposted: bool) -> str:
        """The `ts` of the message by which the question stands in its channel. Raises
        `SlackCallError`: with `maybe_done` where it may stand there all the same."""
        let_in = False
        for tries_left in reversed(range(_MAX_TRIES)):
            if not unposted and (found := await self._find_posted(question)):
                return found
            if not let_in:
                await self._check_admission(question)
                let_in = True
            try:
                return await self._post(question)
            except SlackCallError as error:
                # What Slack is slow with it may do a moment after it was looked for.
                if not error.maybe_done or error.code == "timeout" or not tries_left:
                    raise
                log.warning("a question may not have been posted: %s", error)
                unposted = False
        raise SlackCallError("timeout", "the question", maybe_done=True)

    async def _check_admission(self, question: PendingQuestion) -> None:
        """See to it that who asks may ask there at this moment. Raises `_Closed`, `StoreError`."""
        external = question.user_team != self._identity.team
        closed = self._admission.denial_for(question.user, question.channel, external=external)
        try:
            sentence = await with_timeout(closed, _ADMISSION_SECONDS)
        except SlackError as error:
            log.warning("whether somebody may ask could not be found out: %s", error)
            raise _QuestionDenied(access_texts.UNKNOWN_USER, transient=error.transient) from error
        if sentence:
            raise _QuestionDenied(sentence)

    async def _find_posted(self, question: PendingQuestion) -> str:
        """The `ts` of a message that was posted for the question; "" where there is none. Raises
        `SlackCallError` with `maybe_done`: nobody knows then."""
        # Slack's clock and ours may differ.
        oldest = f"{max(0.0, question.asked_at - MAX_AGE_SECONDS):.6f}"
        try:
            if question.root_ts:
                thread = ThreadKey(
                    team=question.team, channel=question.channel, root_ts=question.root_ts
                )
                messages = self._client.replies(thread, oldest=oldest)
            else:
                pages = self._client.history(question.channel, oldest)
                messages = (message async for page in pages for message in page)
            payload = {"question": question.event_id}
            return await find_post(
                messages, METADATA_EVENT_TYPE, payload, bot_id=self._identity.bot
            )
        except SlackCallError as error:
            raise SlackCallError(error.code, "whether it stands there", maybe_done=True) from error

    async def _post(self, question: PendingQuestion) -> str:
        """Post it in the bot's name, nothing in it live; the message's `ts`. Raises
        `SlackCallError`."""
        answer = await self._client.call(
            self._client.web.chat_postMessage,
            CallContext(priority=Priority.HIGH),
            max_wait=_MAX_WAIT_SECONDS,
            seconds=_POST_SECONDS,
            channel=question.channel,
            text=question.mrkdwn,
            thread_ts=question.root_ts or None,
            parse="none",
            link_names=False,
            unfurl_links=False,
            unfurl_media=False,
            metadata={
                "event_type": METADATA_EVENT_TYPE,
                "event_payload": {"question": question.event_id},
            },
        )
        ts = answer.get("ts")
        if not isinstance(ts, str):
            raise SlackCallError("no_ts", "chat.postMessage answered without a ts", maybe_done=True)
        return ts

    async def _resume_pending(self) -> None:
        while True:
            try:
                found = await self._config.store.pending_questions()
                # Before the first is taken up, for that takes its time: what others see to may
                # have come to its end by then.
                for question in [each for each in found if each.event_id not in self._reserved]:
                    await self._resume_one(question)
            except StoreError as error:
                log.warning("what was asked by command could not be read: %s", error)
            await self._config.clock.sleep(CHECK_SECONDS)

    async def _resume_one(self, question: PendingQuestion) -> None:
        if question.event_id in self._posting:
            return
        try:
            async with asyncio.timeout(_RESUME_SECONDS):
                await self._resume(question)
        except (BotError, TimeoutError) as error:
            log.warning("what was asked by command could not be taken up: %s", error)
        except Exception:
            log.exception("what was asked by command could not be taken up")

    async def _resume(self, question: PendingQuestion) -> None:
        if self._config.clock.now() - question.asked_at > MAX_AGE_SECONDS:
            log.warning("a question asked by %s is too old to be asked now", question.user)
            await self._notify_asker(question, texts.QUESTION_EXPIRED)
            await self._config.store.delete_question(question.event_id)
            return
        log.info("a question asked by %s is taken up", question.user)
        try:
            await self.post_question(question, unposted=False)
        except PostRejected as error:
            await self._notify_asker(question, failure_text(error, self._identity.name))

    async def _notify_asker(self, question: PendingQuestion, text: str) -> None:
        try:
            await post_ephemeral(
                self._client, question.channel, question.user, question.root_ts, text=text
            )
        except SlackError as error:
            log.warning("who asked a question could not be told: %s", error)


_NOT_IN_CHANNEL_ERRORS: Final = frozenset({"not_in_channel", "channel_not_found"})
_RATE_LIMIT_ERRORS: Final = frozenset({"ratelimited", "rate_limited"})
_READ_ONLY_ERRORS: Final = frozenset(
    {
        "is_archived",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_locked",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
    }
)


def failure_text(error: SlackError, bot_name: str) -> str:
    """What the asker is told of a question that was not put; `name` is the bot's."""
    if error.code in _NOT_IN_CHANNEL_ERRORS:
        return texts.NOT_IN_CHANNEL.format(name=bot_name)
    if error.code in _READ_ONLY_ERRORS:
        return texts.READ_ONLY
    return texts.BUSY if error.code in _RATE_LIMIT_ERRORS else error.user_message
