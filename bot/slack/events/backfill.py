"""Fetches messages that were posted while the bot was disconnected, and delivers them.

Slack retries a failed delivery only a few times, within about five minutes. It does not deliver
at all what was posted without a connection. So after a gap the bot's conversations are read from
the start of the gap: the messages of channels, and the replies in threads. A message that was
received before is known by its channel and `ts`, and changes nothing.

One case is not found: a first mention deep in a thread that the bot does not know and whose root is
not among the newest messages of its channel.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from bot.domain.messages import TS_PATTERN, ThreadKey, ts_position
from bot.domain.turns import AcceptResult, AcceptStatus
from bot.errors import BotError, SlackError, StoreError
from bot.ports import CheckpointStore, Clock
from bot.slack.api.auth_errors import TOKEN_ERROR_CODES
from bot.slack.api.client import SlackClient
from bot.slack.identity import BotIdentity

log = logging.getLogger(__name__)

MAX_CHANNELS: Final = 200
MAX_THREADS: Final = 200
"""Maximum number of channels and threads read after one gap, the most recently active first. For
threads the limit counts twice: once for those with the bot and once for others."""

CALLS_PER_MINUTE: Final = 30.0
"""Number of calls a minute. Slack allows about 50 to conversations.history and .replies (Tier 3),
and other parts of the bot call them, too."""
BURST_CALLS: Final = 20.0

CALL_MAX_WAIT_SECONDS: Final = 90.0
"""Maximum wait in seconds for a rate-limited call. Slack asks for a minute at most as a rule, and a
page that fails makes its channel start from the first page again."""

MAX_CONSECUTIVE_FAILURES: Final = 3
"""Number of consecutive targets with transient errors after which the rest is left for later: it
would fail the same way."""

MAX_TRIES: Final = 3
"""Number of tries to read a single thread after transient errors."""
RETRY_SECONDS: Final = 10.0

_CHANNEL_TYPE_ERRORS: Final = frozenset({"missing_scope", "no_permission"})
"""Token errors that concern one type of channel: other types may still be read, and a retry does
not help. With any other token error nothing can be read until an operator sets a good token."""

_ACTIVE_THREAD_SECONDS: Final = 7 * 86_400.0
"""Time in seconds before the gap within which a thread must have been active to be read although
its root was not seen."""
_ROOT_LOOKBACK_SECONDS: Final = 86_400.0
"""Time in seconds before the gap for which channel messages are checked for replies in the gap."""

Json = dict[str, object]
Item = Mapping[str, object]

DeliverMissed = Callable[[Json], Awaitable[AcceptResult | None]]
"""`bot.slack.receiver.EventReceiver.deliver_missed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A channel, or direct messages, that the bot is in, with Slack's `channel_type`."""

    id: str
    channel_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadTarget:
    """One target to read: the messages of a conversation, or a thread in it."""

    conversation: Conversation
    thread: ThreadKey | None = None


@dataclass(slots=True)
class BackfillProgress:
    """How much of a gap has been read; a retry reads only the rest."""

    threads_by_target: dict[_ReadTarget, Sequence[ThreadKey]] = field(default_factory=dict)
    """The targets that were read, each with its threads that have new replies."""
    unreadable: set[_ReadTarget] = field(default_factory=set)
    """The targets that can never be read."""
    failures: Counter[_ReadTarget] = field(default_factory=Counter)
    """Number of transient failures of each target."""
    checked_threads: set[ThreadKey] = field(default_factory=set)
    """Known threads whose root was seen, which shows whether they have new replies."""
    message_count: int = 0
    accepted_count: int = 0


@dataclass(slots=True, kw_only=True)
class BackfillReport:
    """The result of reading a gap or a thread."""

    read_count: int = 0
    """Number of channels and threads that were read."""
    message_count: int = 0
    """Number of messages in the gap, without the bot's own."""
    accepted_count: int = 0
    """Number of new messages that start a turn or a command."""
    unread_count: int = 0
    """Number of channels and threads that could not be read."""
    retryable_count: int = 0
    """Number of transient failures."""


@dataclass(slots=True, kw_only=True)
class _BackfillRun:
    """One pass over the messages after a `ts`."""

    after: str
    progress: BackfillProgress
    known_threads: Collection[ThreadKey] = ()
    """Recently active threads with the bot."""
    report: BackfillReport = field(default_factory=BackfillReport)
    consecutive_failures: int = 0
    """Number of consecutive targets with transient failures."""

    def final_report(self) -> BackfillReport:
        """The report of this pass with the counts of all passes."""
        self.report.message_count, self.report.accepted_count = (
            self.progress.message_count,
            self.progress.accepted_count,
        )
        return self.report


class Backfill:
    """Reads missed messages."""

    def __init__(
        self,
        client: SlackClient,
        identity: BotIdentity,
        store: CheckpointStore,
        clock: Clock,
        deliver: DeliverMissed,
    ) -> None:
        self._client = client
        self._identity = identity
        self._store = store
        self._clock = clock
        self._deliver = deliver
        self._available_calls = BURST_CALLS
        self._refilled_at = clock.monotonic()

    async def read_since(
        self, start: float, progress: BackfillProgress | None = None
    ) -> BackfillReport:
        """Deliver all messages since `start` (seconds since the epoch). Targets in `progress` are
        skipped, and it is updated.

        Raises `BotError` if the reading cannot start; targets that cannot be read are counted.
        """
        known_threads = dict.fromkeys(
            await self._store.active_threads(
                self._identity.team, start - _ACTIVE_THREAD_SECONDS, MAX_THREADS
            )
        )
        run = _BackfillRun(
            after=f"{start:.6f}",
            progress=progress or BackfillProgress(),
            known_threads=known_threads,
        )
        conversations = await self._list_conversations(known_threads, run.report)
        targets = [_ReadTarget(conversation=each) for each in conversations]
        replied = dict.fromkeys(await self._read_all(targets, run))
        by_id = {each.id: each for each in conversations}
        # Threads with the bot first: in a busy workspace most others do not concern it.
        readable = [key for key in known_threads if key.channel in by_id]
        checked = run.progress.checked_threads
        with_bot = [key for key in readable if key in replied or key not in checked]
        others = [key for key in replied if key not in known_threads]
        run.report.unread_count += max(0, len(others) - MAX_THREADS)
        threads = [*with_bot, *others[:MAX_THREADS]]
        targets = [_ReadTarget(conversation=by_id[key.channel], thread=key) for key in threads]
        await self._read_all(targets, run)
        return run.final_report()

    async def read_thread(self, key: ThreadKey, after: str) -> BackfillReport:
        """Deliver the messages of one thread after a `ts`. The report counts the thread if it
        cannot be read after `MAX_TRIES` tries."""
        target = _ReadTarget(conversation=Conversation(id=key.channel), thread=key)
        progress, tries = BackfillProgress(), 1
        while True:
            run = _BackfillRun(after=after, progress=progress)
            await self._read_all([target], run)
            if not run.report.retryable_count or tries == MAX_TRIES:
                return run.final_report()
            tries += 1
            await self._clock.sleep(RETRY_SECONDS)

    async def _list_conversations(
        self, known_threads: Iterable[ThreadKey], report: BackfillReport
    ) -> Sequence[Conversation]:
        """The bot's conversations, the most recently active first. If Slack does not list them,
        only those of `known_threads`."""
        known_channels = {key.channel: Conversation(id=key.channel) for key in known_threads}
        try:
            found = await self._fetch_conversations()
        except SlackError as error:
            log.warning("channels of the bot not listed: reason=%s", error)
            report.retryable_count += _is_retryable(error)
            return list(known_channels.values())[:MAX_CHANNELS]
        first = [found[channel] for channel in known_channels if channel in found]
        others = [each for channel, each in found.items() if channel not in known_channels]
        if len(found) > MAX_CHANNELS:
            log.warning(
                "too many channels, reading only the first: limit=%d channels=%d",
                MAX_CHANNELS,
                len(found),
            )
            report.unread_count += len(found) - MAX_CHANNELS
        return [*first, *others][:MAX_CHANNELS]

    async def _fetch_conversations(self) -> dict[str, Conversation]:
        found: dict[str, Conversation] = {}
        await self._wait_for_call()
        async with aclosing(self._client.conversations()) as pages:
            async for page in pages:
                for each in page:
                    if isinstance(name := each.get("id"), str):
                        found[name] = Conversation(id=name, channel_type=_channel_type(each))
        return found

    # Reading ----------------------------------------------------------------------------------

    async def _read_all(
        self, targets: Iterable[_ReadTarget], run: _BackfillRun
    ) -> Sequence[ThreadKey]:
        """Read the targets that were not read yet, those with the fewest failures first. Returns
        their threads that have new replies."""
        replied: list[ThreadKey] = []
        progress, report = run.progress, run.report
        for target in sorted(targets, key=lambda each: progress.failures[each]):
            if target not in progress.threads_by_target and target not in progress.unreadable:
                await self._try_read(target, run)
            if target in progress.threads_by_target:
                report.read_count += 1
                replied += progress.threads_by_target[target]
                continue
            report.unread_count += 1
            report.retryable_count += target not in progress.unreadable
        return replied

    async def _try_read(self, target: _ReadTarget, run: _BackfillRun) -> None:
        """Read one target, unless too many before it failed."""
        if run.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            return
        progress = run.progress
        try:
            progress.threads_by_target[target] = await self._read_target(target, run)
        except (BotError, TimeoutError) as error:
            if not _is_retryable(error):
                progress.unreadable.add(target)
                log.warning(
                    "missed messages cannot be read: %s reason=%s", _describe(target), error
                )
                return
            progress.failures[target] += 1
            run.consecutive_failures += 1
            log.info("missed messages not read yet: %s reason=%s", _describe(target), error)
        except Exception:
            # As far as is known only this target fails: the others are read.
            progress.failures[target] += 1
            log.exception("missed messages not read: %s", _describe(target))
        else:
            run.consecutive_failures = 0

    async def _read_target(self, target: _ReadTarget, run: _BackfillRun) -> Sequence[ThreadKey]:
        if target.thread is not None:
            await self._wait_for_call()
            replies = self._client.replies(
                target.thread, oldest=run.after, max_wait=CALL_MAX_WAIT_SECONDS
            )
            async with aclosing(replies) as messages:
                async for message in messages:
                    if _ts(message) != target.thread.root_ts:
                        await self._deliver_message(target.conversation, message, run)
            return ()
        replied: list[ThreadKey] = []
        for message in await self._read_channel(target.conversation, run.after):
            is_new = await self._deliver_message(target.conversation, message, run)
            ts, last_reply = _ts(message), message.get("latest_reply")
            key = ThreadKey(team=self._identity.team, channel=target.conversation.id, root_ts=ts)
            if is_new or key in run.known_threads:
                run.progress.checked_threads.add(key)
            if (
                isinstance(last_reply, str)
                and TS_PATTERN.fullmatch(last_reply)
                and _is_later(last_reply, run.after)
            ):
                replied.append(key)
        return replied

    async def _read_channel(self, conversation: Conversation, after: str) -> Sequence[Item]:
        """The messages of a conversation, oldest first: those of the gap, and at least a page
        before them that may have replies in the gap."""
        oldest = f"{max(float(after) - _ROOT_LOOKBACK_SECONDS, 0.0):.6f}"
        found: list[Item] = []
        await self._wait_for_call()
        history = self._client.history(conversation.id, oldest, max_wait=CALL_MAX_WAIT_SECONDS)
        async with aclosing(history) as pages:
            async for page in pages:
                found += [message for message in page if _ts(message)]
                if not found or not _is_later(_ts(found[-1]), after):
                    break
                await self._wait_for_call()
        return found[::-1]

    async def _deliver_message(
        self, conversation: Conversation, message: Item, run: _BackfillRun
    ) -> bool:
        """Deliver a message if it is in the gap. True if it is new and for the bot."""
        if not _is_later(_ts(message), run.after) or message.get("user") == self._identity.user:
            return False
        run.progress.message_count += 1
        result = await self._deliver(message_event(message, conversation, self._identity))
        is_new = result is not None and result.status in (
            AcceptStatus.SCHEDULED,
            AcceptStatus.COMMAND,
            AcceptStatus.QUEUE_FULL,
        )
        run.progress.accepted_count += is_new
        return is_new

    async def _wait_for_call(self) -> None:
        """Wait until the rate allows one more call."""
        now = self._clock.monotonic()
        earned = (now - self._refilled_at) * CALLS_PER_MINUTE / 60.0
        self._available_calls = min(self._available_calls + earned, BURST_CALLS) - 1.0
        self._refilled_at = now
        if self._available_calls < 0.0:
            await self._clock.sleep(-self._available_calls * 60.0 / CALLS_PER_MINUTE)


def message_event(message: Item, conversation: Conversation, identity: BotIdentity) -> Json:
    """The event that Slack would have sent for a message."""
    event = {**message, "type": "message", "channel": conversation.id}
    if conversation.channel_type:
        event["channel_type"] = conversation.channel_type
    if event.get("thread_ts") == event.get("ts"):
        event.pop("thread_ts", None)  # an event is sent before there are replies
    for name in ("user_team", "source_team", "team"):
        # In an Enterprise organization this is its id for its own users. An event names that id; a
        # fetched message does not, but ids of workspaces begin with T.
        if str(event.get(name)).startswith("E"):
            del event[name]
    return {
        "type": "event_callback",
        "event_id": f"missed-{conversation.id}-{_ts(message)}",
        "team_id": identity.team,
        "authorizations": [{"team_id": identity.team}],
        "event": event,
    }


def _channel_type(channel: Item) -> str:
    """The `channel_type` of an event in the channel."""
    if channel.get("is_im") is True:
        return "im"
    if channel.get("is_mpim") is True:
        return "mpim"
    return "group" if channel.get("is_private") is True else "channel"


def _is_retryable(error: Exception) -> bool:
    """True if the same target may be read later."""
    if isinstance(error, SlackError):
        return error.transient or error.code in TOKEN_ERROR_CODES - _CHANNEL_TYPE_ERRORS
    return isinstance(error, StoreError | TimeoutError)


def _describe(target: _ReadTarget) -> str:
    return f"thread={target.thread}" if target.thread else f"channel={target.conversation.id}"


def _ts(message: Item) -> str:
    ts = message.get("ts")
    return ts if isinstance(ts, str) and TS_PATTERN.fullmatch(ts) else ""


def _is_later(ts: str, after: str) -> bool:
    return bool(ts) and ts_position(ts) > ts_position(after)
