"""What was said while the bot heard nothing: it is read from Slack, and taken in as if it came now.

Slack brings what it could not deliver only a few times, within about five minutes, and what was
said without a line to the bot not at all. So after a gap the conversations that the bot is in are
read from the gap's beginning on: their channels' messages, and the answers in threads that have
any. What had been heard all the same is known by its channel and `ts`, and changes nothing.

What cannot be found: a first mention deep in a thread whose own beginning is neither among the
newest messages of its channel nor known to the bot.
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
"""How much is read after one gap; those first in which people spoke with the bot last. Of threads
in which they did, so many, and as many others."""

CALLS_PER_MINUTE: Final = 30.0
"""conversations.history and .replies may be called about 50 times (Tier 3), and others do, too."""
BURST_CALLS: Final = 20.0

CALL_MAX_WAIT_SECONDS: Final = 90.0
"""How long a call waits where there are too many: Slack wants to be left alone for a minute at most
as a rule, and who gives up a page begins its channel anew."""

MAX_CONSECUTIVE_FAILURES: Final = 3
"""After so many places that could not be read for trouble that may pass the rest is left for later:
it would meet the same."""

MAX_TRIES: Final = 3
"""So often a single thread is tried to be read while Slack's trouble may pass."""
RETRY_SECONDS: Final = 10.0

_CHANNEL_TYPE_ERRORS: Final = frozenset({"missing_scope", "no_permission"})
"""Refusals of the token that are meant for a kind of place: another one may still be read, and
nothing is to be hoped for here. With any other refusal nothing can be read by anybody, until
somebody gives the bot a good token."""

_ACTIVE_THREAD_SECONDS: Final = 7 * 86_400.0
"""How long before the gap a thread may have rested to be looked into though its root is not seen
any more."""
_ROOT_LOOKBACK_SECONDS: Final = 86_400.0
"""How long before the gap channel messages are looked at for whether they were answered in it."""

Json = dict[str, object]
Item = Mapping[str, object]

DeliverMissed = Callable[[Json], Awaitable[AcceptResult | None]]
"""`bot.slack.receiver.EventReceiver.deliver_missed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A channel, or direct messages, that the bot is in. `kind` is Slack's `channel_type`."""

    id: str
    channel_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadTarget:
    """Something to be read: a conversation's own messages, or a thread of it."""

    conversation: Conversation
    thread: ThreadKey | None = None


@dataclass(slots=True)
class BackfillProgress:
    """How much of a gap has been read. What has been is not read again with the rest."""

    threads_by_target: dict[_ReadTarget, Sequence[ThreadKey]] = field(default_factory=dict)
    """The places that were read, and of each the threads in which something was said."""
    unreadable: set[_ReadTarget] = field(default_factory=set)
    """Those that cannot be read, now or later."""
    failures: Counter[_ReadTarget] = field(default_factory=Counter)
    """How often a place could not be read for trouble that may pass."""
    checked_threads: set[ThreadKey] = field(default_factory=set)
    """Known threads whose root was seen, and so whether anything was said in them."""
    message_count: int = 0
    accepted_count: int = 0


@dataclass(slots=True, kw_only=True)
class BackfillReport:
    """What came of it."""

    read_count: int = 0
    """Channels and threads that were read."""
    message_count: int = 0
    """Messages that had been said in the gap, ours not counted."""
    accepted_count: int = 0
    """Those that were new, and to be answered or done."""
    unread_count: int = 0
    """Channels and threads that could not be read."""
    retryable_count: int = 0
    """What could not be read or found out for trouble that may pass."""


@dataclass(slots=True, kw_only=True)
class _BackfillRun:
    """One look at what was said after a `ts`."""

    after: str
    progress: BackfillProgress
    known_threads: Collection[ThreadKey] = ()
    """Threads in which people speak with the bot."""
    report: BackfillReport = field(default_factory=BackfillReport)
    consecutive_failures: int = 0
    """How many places could not be read, one after another, for trouble that may pass."""

    def final_report(self) -> BackfillReport:
        """What came of it and of those before it."""
        self.report.message_count, self.report.accepted_count = (
            self.progress.message_count,
            self.progress.accepted_count,
        )
        return self.report


class Backfill:
    """Reads what was missed."""

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
        """Take in what was said since then (seconds since the epoch), but for what `progress` has
        already, which is kept up to date.

        Raises `BotError` where it could not even be begun; what cannot be read is counted.
        """
        known = dict.fromkeys(
            await self._store.active_threads(
                self._identity.team, start - _ACTIVE_THREAD_SECONDS, MAX_THREADS
            )
        )
        look = _BackfillRun(
            after=f"{start:.6f}", progress=progress or BackfillProgress(), known_threads=known
        )
        conversations = await self._list_conversations(known, look.report)
        places = [_ReadTarget(conversation=each) for each in conversations]
        answered = dict.fromkeys(await self._read_all(places, look))
        kinds = {each.id: each for each in conversations}
        # Those with the bot first: in a busy workspace most of the others are nothing to it.
        known_here = [key for key in known if key.channel in kinds]
        settled = look.progress.checked_threads
        ours = [key for key in known_here if key in answered or key not in settled]
        others = [key for key in answered if key not in known]
        look.report.unread_count += max(0, len(others) - MAX_THREADS)
        threads = [*ours, *others[:MAX_THREADS]]
        places = [_ReadTarget(conversation=kinds[key.channel], thread=key) for key in threads]
        await self._read_all(places, look)
        return look.final_report()

    async def read_thread(self, key: ThreadKey, after: str) -> BackfillReport:
        """Take in what was said in one thread after a `ts`; what cannot be read after a few tries
        is counted."""
        place = _ReadTarget(conversation=Conversation(id=key.channel), thread=key)
        progress, tries = BackfillProgress(), 1
        while True:
            look = _BackfillRun(after=after, progress=progress)
            await self._read_all([place], look)
            if not look.report.retryable_count or tries == MAX_TRIES:
                return look.final_report()
            tries += 1
            await self._clock.sleep(RETRY_SECONDS)

    async def _list_conversations(
        self, known: Iterable[ThreadKey], report: BackfillReport
    ) -> Sequence[Conversation]:
        """What the bot is in, where people spoke with it last first; where Slack does not tell,
        what it knows itself."""
        here = {key.channel: Conversation(id=key.channel) for key in known}
        try:
            found = await self._fetch_conversations()
        except SlackError as error:
            log.warning("which channels the bot is in could not be found out: %s", error)
            report.retryable_count += _is_retryable(error)
            return list(here.values())[:MAX_CHANNELS]
        first = [found[channel] for channel in here if channel in found]
        others = [each for channel, each in found.items() if channel not in here]
        if len(found) > MAX_CHANNELS:
            log.warning("only %d of %d channels are looked through", MAX_CHANNELS, len(found))
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
        """Read all of them that were not read yet, those first that failed least often; the threads
        among their messages in which something was said."""
        answered: list[ThreadKey] = []
        progress, caught = run.progress, run.report
        for place in sorted(targets, key=lambda each: progress.failures[each]):
            if place not in progress.threads_by_target and place not in progress.unreadable:
                await self._try_read(place, run)
            if place in progress.threads_by_target:
                caught.read_count += 1
                answered += progress.threads_by_target[place]
                continue
            caught.unread_count += 1
            caught.retryable_count += place not in progress.unreadable
        return answered

    async def _try_read(self, target: _ReadTarget, run: _BackfillRun) -> None:
        """Read one place, if there is any use in it."""
        if run.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            return
        progress = run.progress
        try:
            progress.threads_by_target[target] = await self._read_target(target, run)
        except (BotError, TimeoutError) as error:
            if not _is_retryable(error):
                progress.unreadable.add(target)
                log.warning("what was said in %s could not be read: %s", _describe(target), error)
                return
            progress.failures[target] += 1
            run.consecutive_failures += 1
            log.info("what was said in %s cannot be read yet: %s", _describe(target), error)
        except Exception:
            # Of this place alone, as far as is known: the others are read all the same.
            progress.failures[target] += 1
            log.exception("what was said in %s could not be read", _describe(target))
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
        answered: list[ThreadKey] = []
        for message in await self._read_channel(target.conversation, run.after):
            taken = await self._deliver_message(target.conversation, message, run)
            ts, last = _ts(message), message.get("latest_reply")
            key = ThreadKey(team=self._identity.team, channel=target.conversation.id, root_ts=ts)
            if taken or key in run.known_threads:
                run.progress.checked_threads.add(key)
            if isinstance(last, str) and TS_PATTERN.fullmatch(last) and _is_later(last, run.after):
                answered.append(key)
        return answered

    async def _read_channel(self, conversation: Conversation, after: str) -> Sequence[Item]:
        """A conversation's own messages, oldest first: those of the gap, and before them at least
        a page of those that may have been answered in it."""
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
        """Take one message in, if it was said in the gap; whether it was new and for the bot."""
        if not _is_later(_ts(message), run.after) or message.get("user") == self._identity.user:
            return False
        run.progress.message_count += 1
        accepted = await self._deliver(message_event(message, conversation, self._identity))
        taken = accepted is not None and accepted.status in (
            AcceptStatus.SCHEDULED,
            AcceptStatus.COMMAND,
            AcceptStatus.QUEUE_FULL,
        )
        run.progress.accepted_count += taken
        return taken

    async def _wait_for_call(self) -> None:
        """Wait until one more call may be made."""
        now = self._clock.monotonic()
        earned = (now - self._refilled_at) * CALLS_PER_MINUTE / 60.0
        self._available_calls = min(self._available_calls + earned, BURST_CALLS) - 1.0
        self._refilled_at = now
        if self._available_calls < 0.0:
            await self._clock.sleep(-self._available_calls * 60.0 / CALLS_PER_MINUTE)


def message_event(message: Item, conversation: Conversation, identity: BotIdentity) -> Json:
    """A message that was read as the event with which Slack would have told of it."""
    event = {**message, "type": "message", "channel": conversation.id}
    if conversation.channel_type:
        event["channel_type"] = conversation.channel_type
    if event.get("thread_ts") == event.get("ts"):
        event.pop("thread_ts", None)  # an event is told when nobody has answered yet
    for name in ("user_team", "source_team", "team"):
        # In an Enterprise organization its id stands here for those who are at home. An event says
        # which id that is; what is read does not, and a workspace's begins with T.
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
    """What an event of the channel has as its `channel_type`."""
    if channel.get("is_im") is True:
        return "im"
    if channel.get("is_mpim") is True:
        return "mpim"
    return "group" if channel.get("is_private") is True else "channel"


def _is_retryable(error: Exception) -> bool:
    """Whether the same place may be read later."""
    if isinstance(error, SlackError):
        return error.transient or error.code in TOKEN_ERROR_CODES - _CHANNEL_TYPE_ERRORS
    return isinstance(error, StoreError | TimeoutError)


def _describe(target: _ReadTarget) -> str:
    return f"thread {target.thread}" if target.thread else f"channel {target.conversation.id}"


def _ts(message: Item) -> str:
    ts = message.get("ts")
    return ts if isinstance(ts, str) and TS_PATTERN.fullmatch(ts) else ""


def _is_later(ts: str, after: str) -> bool:
    return bool(ts) and ts_position(ts) > ts_position(after)
