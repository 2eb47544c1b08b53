"""Posts recorded questions into their channels and delivers them to the inbox.

The bot posts a question only where its asker may ask at that moment: the target in a modal's
metadata is where the modal was opened, and it may be forged.

A question is recorded before it is acknowledged, and until it is a message with a turn. After a
crash the next start resumes it. A question that was posted is found by its metadata, so it is not
posted twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bot.access import texts as access_texts
from bot.access.admission import AdmissionCheck
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
"""Event type in the metadata of a posted question."""

CHECK_SECONDS: Final = 30.0
"""Interval in seconds between looks for pending questions."""
MAX_AGE_SECONDS: Final = 3_600.0
"""Maximum age in seconds of a pending question: later the asker no longer expects an answer."""

# Together less than the timeout of `BackgroundTasks`.
_ADMISSION_SECONDS: Final = 3.0
_POST_SECONDS: Final = 20.0
_MAX_WAIT_SECONDS: Final = 3.0
_RECORD_SECONDS: Final = 5.0
_MAX_TRIES: Final = 2
_RESUME_SECONDS: Final = 50.0
"""Timeout in seconds for a question that is resumed."""
_CLOSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxConfig:
    """The dependencies of the outbox."""

    store: PendingQuestionStore
    clock: Clock
    redact: Callable[[str], str] = str
    """Removes secrets from the text of a question."""


class PostRejected(SlackError):
    """Slack or the admission check refuses the post; the question is not asked."""

    def __init__(self, code: str, user_message: str = SlackError.user_message) -> None:
        super().__init__(code)
        self.user_message = user_message


class _QuestionDenied(SlackCallError):
    """The asker may not ask there, or the check failed; nothing was posted."""

    def __init__(self, user_message: str, *, transient: bool = False) -> None:
        super().__init__("not_let_in")
        self.user_message = user_message
        self.transient = transient


class QuestionOutbox:
    """Posts recorded questions and hands them to the inbox."""

    def __init__(
        self,
        client: SlackClient,
        identity: BotIdentity,
        on_message: Callable[[Message], Awaitable[AcceptResult]],
        config: OutboxConfig,
        admission: AdmissionCheck,
    ) -> None:
        self._client = client
        self._admission = admission
        self._identity = identity
        self._on_message = on_message
        self._config = config
        self._posting: set[str] = set()
        self._reserved: list[str] = []

    def reserve(self, event_id: str) -> None:
        """Mark a question as handled by the caller: it is not resumed until `release`."""
        self._reserved.append(event_id)

    def release(self, event_id: str) -> None:
        """End the caller's handling: if the question is still recorded, it is resumed."""
        self._reserved.remove(event_id)

    async def post_question(self, question: PendingQuestion, *, unposted: bool = True) -> bool:
        """Post a recorded question and hand it to the inbox. True if it is accepted there;
        otherwise it stays recorded and is tried again.

        `unposted` is True if it surely was not posted yet. Raises `PostRejected` after deleting the
        record, or `StoreError` if the record could not be deleted.
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
        """Resume recorded questions inside the context: at once, then regularly."""
        task = asyncio.create_task(self._resume_pending(), name="question outbox")
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
                log.warning("question not posted yet: id=%s reason=%s", question.event_id, error)
                return False
            log.warning("question not posted: id=%s reason=%s", question.event_id, error)
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
            trigger=Trigger.POSTED_QUESTION,
            direct=question.channel.startswith("D"),
        )
        if not await self._deliver(message):
            return False
        try:
            await self._config.store.delete_question(question.event_id)
        except StoreError as error:
            log.info(
                "posted question not deleted from the outbox: id=%s reason=%s",
                *(question.event_id, error),
            )
        return True

    async def _deliver(self, message: Message) -> bool:
        for _ in range(_MAX_TRIES):
            try:
                async with asyncio.timeout(_RECORD_SECONDS):
                    await self._on_message(message)
            except (BotError, TimeoutError) as error:
                log.warning(
                    "posted question not recorded yet: id=%s reason=%s", message.event_id, error
                )
            else:
                return True
        return False

    async def _ensure_posted(self, question: PendingQuestion, *, unposted: bool) -> str:
        """The `ts` of the posted question. Raises `SlackCallError`, with `maybe_done` if it may be
        posted nevertheless."""
        admitted = False
        for tries_left in reversed(range(_MAX_TRIES)):
            if not unposted and (found := await self._find_posted(question)):
                return found
            if not admitted:
                await self._check_admission(question)
                admitted = True
            try:
                return await self._post(question)
            except SlackCallError as error:
                # After a timeout Slack may still post it a moment after the search.
                if not error.maybe_done or error.code == "timeout" or not tries_left:
                    raise
                log.warning("question may not be posted: id=%s reason=%s", question.event_id, error)
                unposted = False
        raise SlackCallError("timeout", "the question", maybe_done=True)

    async def _check_admission(self, question: PendingQuestion) -> None:
        """Check that the asker may ask there at this moment. Raises `_QuestionDenied` or
        `StoreError`."""
        external = question.user_team != self._identity.team
        check = self._admission.denial_for(question.user, question.channel, external=external)
        try:
            refusal = await with_timeout(check, _ADMISSION_SECONDS)
        except SlackError as error:
            log.warning("admission check failed: user=%s reason=%s", question.user, error)
            raise _QuestionDenied(access_texts.UNKNOWN_USER, transient=error.transient) from error
        if refusal:
            raise _QuestionDenied(refusal)

    async def _find_posted(self, question: PendingQuestion) -> str:
        """The `ts` of the message posted for the question, or an empty string. Raises
        `SlackCallError` with `maybe_done`, as the state is then unknown."""
        # The clocks of Slack and the bot may differ.
        oldest = f"{max(0.0, question.created_at - MAX_AGE_SECONDS):.6f}"
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
            raise SlackCallError(
                error.code, "search for the posted question failed", maybe_done=True
            ) from error

    async def _post(self, question: PendingQuestion) -> str:
        """Post the question as the bot, without mentions or previews. Returns the message's `ts`.
        Raises `SlackCallError`."""
        response = await self._client.call(
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
        ts = response.get("ts")
        if not isinstance(ts, str):
            raise SlackCallError("no_ts", "chat.postMessage answered without a ts", maybe_done=True)
        return ts

    async def _resume_pending(self) -> None:
        while True:
            try:
                found = await self._config.store.pending_questions()
                # All are selected first, as resuming takes time: a question reserved now may be
                # released, and done, by then.
                for question in [each for each in found if each.event_id not in self._reserved]:
                    await self._resume_one(question)
            except StoreError as error:
                log.warning("pending questions not read: reason=%s", error)
            await self._config.clock.sleep(CHECK_SECONDS)

    async def _resume_one(self, question: PendingQuestion) -> None:
        if question.event_id in self._posting:
            return
        try:
            async with asyncio.timeout(_RESUME_SECONDS):
                await self._resume(question)
        except (BotError, TimeoutError) as error:
            log.warning("question not resumed: id=%s reason=%s", question.event_id, error)
        except Exception:
            log.exception("question not resumed: id=%s", question.event_id)

    async def _resume(self, question: PendingQuestion) -> None:
        if self._config.clock.now() - question.created_at > MAX_AGE_SECONDS:
            log.warning("question expired: id=%s user=%s", question.event_id, question.user)
            await self._notify_asker(question, texts.QUESTION_EXPIRED)
            await self._config.store.delete_question(question.event_id)
            return
        log.info("question resumed: id=%s user=%s", question.event_id, question.user)
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
            log.warning("asker not notified: id=%s reason=%s", question.event_id, error)


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
    """The text for the asker of a question that was not posted; `bot_name` is the bot's name."""
    if error.code in _NOT_IN_CHANNEL_ERRORS:
        return texts.NOT_IN_CHANNEL.format(name=bot_name)
    if error.code in _READ_ONLY_ERRORS:
        return texts.READ_ONLY
    return texts.BUSY if error.code in _RATE_LIMIT_ERRORS else error.user_message
