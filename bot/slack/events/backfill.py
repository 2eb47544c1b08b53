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

from bot.domain.messages import TS, ThreadKey, ts_position
from bot.domain.turns import Acceptance, Accepted
from bot.errors import BotError, SlackError, StoreError
from bot.ports import Clock, HearingStore
from bot.slack.api.auth_errors import REFUSED
from bot.slack.api.client import Client
from bot.slack.identity import Identity

log = logging.getLogger(__name__)

MOST_CHANNELS: Final = 200
MOST_THREADS: Final = 200
"""How much is read after one gap; those first in which people spoke with the bot last. Of threads
in which they did, so many, and as many others."""

CALLS_A_MINUTE: Final = 30.0
"""conversations.history and .replies may be called about 50 times (Tier 3), and others do, too."""
CALLS_AT_ONCE: Final = 20.0

CALL_PATIENCE: Final = 90.0
"""How long a call waits where there are too many: Slack wants to be left alone for a minute at most
as a rule, and who gives up a page begins its channel anew."""

MOST_IN_A_ROW: Final = 3
"""After so many places that could not be read for trouble that may pass the rest is left for later:
it would meet the same."""

TRIES: Final = 3
"""So often a single thread is tried to be read while Slack's trouble may pass."""
TRY_AGAIN_SECONDS: Final = 10.0

_OF_A_PLACE: Final = frozenset({"missing_scope", "no_permission"})
"""Refusals of the token that are meant for a kind of place: another one may still be read, and
nothing is to be hoped for here. With any other refusal nothing can be read by anybody, until
somebody gives the bot a good token."""

_ACTIVE_SECONDS: Final = 7 * 86_400.0
"""How long before the gap a thread may have rested to be looked into though its root is not seen
any more."""
_ROOTS_SECONDS: Final = 86_400.0
"""How long before the gap channel messages are looked at for whether they were answered in it."""

Json = dict[str, object]
Item = Mapping[str, object]

Take = Callable[[Json], Awaitable[Accepted | None]]
"""`bot.slack.receiver.Intake.missed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A channel, or direct messages, that the bot is in. `kind` is Slack's `channel_type`."""

    id: str
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Something to be read: a conversation's own messages, or a thread of it."""

    conversation: Conversation
    thread: ThreadKey | None = None


@dataclass(slots=True)
class Progress:
    """How much of a gap has been read. What has been is not read again with the rest."""

    answered: dict[_Place, Sequence[ThreadKey]] = field(default_factory=dict)
    """The places that were read, and of each the threads in which something was said."""
    refused: set[_Place] = field(default_factory=set)
    """Those that cannot be read, now or later."""
    failures: Counter[_Place] = field(default_factory=Counter)
    """How often a place could not be read for trouble that may pass."""
    settled: set[ThreadKey] = field(default_factory=set)
    """Known threads whose root was seen, and so whether anything was said in them."""
    messages: int = 0
    taken: int = 0


@dataclass(slots=True, kw_only=True)
class CaughtUp:
    """What came of it."""

    places: int = 0
    """Channels and threads that were read."""
    messages: int = 0
    """Messages that had been said in the gap, ours not counted."""
    taken: int = 0
    """Those that were new, and to be answered or done."""
    unread: int = 0
    """Channels and threads that could not be read."""
    for_later: int = 0
    """What could not be read or found out for trouble that may pass."""


@dataclass(slots=True, kw_only=True)
class _Look:
    """One look at what was said after a `ts`."""

    after: str
    progress: Progress
    known: Collection[ThreadKey] = ()
    """Threads in which people speak with the bot."""
    caught: CaughtUp = field(default_factory=CaughtUp)
    in_a_row: int = 0
    """How many places could not be read, one after another, for trouble that may pass."""

    def ended(self) -> CaughtUp:
        """What came of it and of those before it."""
        self.caught.messages, self.caught.taken = self.progress.messages, self.progress.taken
        return self.caught


class CatchingUp:
    """Reads what was missed."""

    def __init__(
        self, client: Client, us: Identity, store: HearingStore, clock: Clock, take: Take
    ) -> None:
        self._client = client
        self._us = us
        self._store = store
        self._clock = clock
        self._take = take
        self._credit = CALLS_AT_ONCE
        self._counted = clock.monotonic()

    async def since(self, began: float, progress: Progress | None = None) -> CaughtUp:
        """Take in what was said since then (seconds since the epoch), but for what `progress` has
        already, which is kept up to date.

        Raises `BotError` where it could not even be begun; what cannot be read is counted.
        """
        known = dict.fromkeys(
            await self._store.threads_heard(self._us.team, began - _ACTIVE_SECONDS, MOST_THREADS)
        )
        look = _Look(after=f"{began:.6f}", progress=progress or Progress(), known=known)
        conversations = await self._conversations(known, look.caught)
        places = [_Place(conversation=each) for each in conversations]
        answered = dict.fromkeys(await self._read_all(places, look))
        kinds = {each.id: each for each in conversations}
        # Those with the bot first: in a busy workspace most of the others are nothing to it.
        known_here = [key for key in known if key.channel in kinds]
        settled = look.progress.settled
        ours = [key for key in known_here if key in answered or key not in settled]
        others = [key for key in answered if key not in known]
        look.caught.unread += max(0, len(others) - MOST_THREADS)
        threads = [*ours, *others[:MOST_THREADS]]
        places = [_Place(conversation=kinds[key.channel], thread=key) for key in threads]
        await self._read_all(places, look)
        return look.ended()

    async def thread(self, key: ThreadKey, after: str) -> CaughtUp:
        """Take in what was said in one thread after a `ts`; what cannot be read after a few tries
        is counted."""
        place = _Place(conversation=Conversation(id=key.channel), thread=key)
        progress, tries = Progress(), 1
        while True:
            look = _Look(after=after, progress=progress)
            await self._read_all([place], look)
            if not look.caught.for_later or tries == TRIES:
                return look.ended()
            tries += 1
            await self._clock.sleep(TRY_AGAIN_SECONDS)

    async def _conversations(
        self, known: Iterable[ThreadKey], caught: CaughtUp
    ) -> Sequence[Conversation]:
        """What the bot is in, where people spoke with it last first; where Slack does not tell,
        what it knows itself."""
        here = {key.channel: Conversation(id=key.channel) for key in known}
        try:
            found = await self._of_slack()
        except SlackError as error:
            log.warning("which channels the bot is in could not be found out: %s", error)
            caught.for_later += _passes(error)
            return list(here.values())[:MOST_CHANNELS]
        first = [found[channel] for channel in here if channel in found]
        others = [each for channel, each in found.items() if channel not in here]
        if len(found) > MOST_CHANNELS:
            log.warning("only %d of %d channels are looked through", MOST_CHANNELS, len(found))
            caught.unread += len(found) - MOST_CHANNELS
        return [*first, *others][:MOST_CHANNELS]

    async def _of_slack(self) -> dict[str, Conversation]:
        found: dict[str, Conversation] = {}
        await self._pace()
        async with aclosing(self._client.conversations()) as pages:
            async for page in pages:
                for each in page:
                    if isinstance(name := each.get("id"), str):
                        found[name] = Conversation(id=name, kind=_kind(each))
        return found

    # Reading ----------------------------------------------------------------------------------

    async def _read_all(self, places: Iterable[_Place], look: _Look) -> Sequence[ThreadKey]:
        """Read all of them that were not read yet, those first that failed least often; the threads
        among their messages in which something was said."""
        answered: list[ThreadKey] = []
        progress, caught = look.progress, look.caught
        for place in sorted(places, key=lambda each: progress.failures[each]):
            if place not in progress.answered and place not in progress.refused:
                await self._try(place, look)
            if place in progress.answered:
                caught.places += 1
                answered += progress.answered[place]
                continue
            caught.unread += 1
            caught.for_later += place not in progress.refused
        return answered

    async def _try(self, place: _Place, look: _Look) -> None:
        """Read one place, if there is any use in it."""
        if look.in_a_row >= MOST_IN_A_ROW:
            return
        progress = look.progress
        try:
            progress.answered[place] = await self._read(place, look)
        except (BotError, TimeoutError) as error:
            if not _passes(error):
                progress.refused.add(place)
                log.warning("what was said in %s could not be read: %s", _name(place), error)
                return
            progress.failures[place] += 1
            look.in_a_row += 1
            log.info("what was said in %s cannot be read yet: %s", _name(place), error)
        except Exception:
            # Of this place alone, as far as is known: the others are read all the same.
            progress.failures[place] += 1
            log.exception("what was said in %s could not be read", _name(place))
        else:
            look.in_a_row = 0

    async def _read(self, place: _Place, look: _Look) -> Sequence[ThreadKey]:
        if place.thread is not None:
            await self._pace()
            replies = self._client.replies(place.thread, oldest=look.after, patience=CALL_PATIENCE)
            async with aclosing(replies) as messages:
                async for message in messages:
                    if _ts(message) != place.thread.root_ts:
                        await self._taken(place.conversation, message, look)
            return ()
        answered: list[ThreadKey] = []
        for message in await self._history(place.conversation, look.after):
            taken = await self._taken(place.conversation, message, look)
            ts, last = _ts(message), message.get("latest_reply")
            key = ThreadKey(team=self._us.team, channel=place.conversation.id, root_ts=ts)
            if taken or key in look.known:
                look.progress.settled.add(key)
            if isinstance(last, str) and TS.fullmatch(last) and _later(last, look.after):
                answered.append(key)
        return answered

    async def _history(self, conversation: Conversation, after: str) -> Sequence[Item]:
        """A conversation's own messages, oldest first: those of the gap, and before them at least
        a page of those that may have been answered in it."""
        oldest = f"{max(float(after) - _ROOTS_SECONDS, 0.0):.6f}"
        found: list[Item] = []
        await self._pace()
        history = self._client.history(conversation.id, oldest, patience=CALL_PATIENCE)
        async with aclosing(history) as pages:
            async for page in pages:
                found += [message for message in page if _ts(message)]
                if not found or not _later(_ts(found[-1]), after):
                    break
                await self._pace()
        return found[::-1]

    async def _taken(self, conversation: Conversation, message: Item, look: _Look) -> bool:
        """Take one message in, if it was said in the gap; whether it was new and for the bot."""
        if not _later(_ts(message), look.after) or message.get("user") == self._us.user:
            return False
        look.progress.messages += 1
        accepted = await self._take(event_of(message, conversation, self._us))
        taken = accepted is not None and accepted.acceptance in (
            Acceptance.SCHEDULED,
            Acceptance.ORDER,
            Acceptance.FULL,
        )
        look.progress.taken += taken
        return taken

    async def _pace(self) -> None:
        """Wait until one more call may be made."""
        now = self._clock.monotonic()
        earned = (now - self._counted) * CALLS_A_MINUTE / 60.0
        self._credit = min(self._credit + earned, CALLS_AT_ONCE) - 1.0
        self._counted = now
        if self._credit < 0.0:
            await self._clock.sleep(-self._credit * 60.0 / CALLS_A_MINUTE)


def event_of(message: Item, conversation: Conversation, us: Identity) -> Json:
    """A message that was read as the event with which Slack would have told of it."""
    event = {**message, "type": "message", "channel": conversation.id}
    if conversation.kind:
        event["channel_type"] = conversation.kind
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
        "team_id": us.team,
        "authorizations": [{"team_id": us.team}],
        "event": event,
    }


def _kind(channel: Item) -> str:
    """What an event of the channel has as its `channel_type`."""
    if channel.get("is_im") is True:
        return "im"
    if channel.get("is_mpim") is True:
        return "mpim"
    return "group" if channel.get("is_private") is True else "channel"


def _passes(error: Exception) -> bool:
    """Whether the same place may be read later."""
    if isinstance(error, SlackError):
        return error.passing or error.code in REFUSED - _OF_A_PLACE
    return isinstance(error, StoreError | TimeoutError)


def _name(place: _Place) -> str:
    return f"thread {place.thread}" if place.thread else f"channel {place.conversation.id}"


def _ts(message: Item) -> str:
    ts = message.get("ts")
    return ts if isinstance(ts, str) and TS.fullmatch(ts) else ""


def _later(ts: str, after: str) -> bool:
    return bool(ts) and ts_position(ts) > ts_position(after)
