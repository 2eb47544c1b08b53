"""That the bot works on an answer, shown in the thread while it does: with Slack's Stop button
where Slack has agent sessions, in words where it has not.

Trouble with the status never is the answer's trouble. Words go by themselves after a while; an
agent session's status stands until it is taken back. So none is set without a call that is kept for
that, of those that Slack takes in a minute; and where it could not be taken back all the same, that
is said to whoever ends the turn, so that it is on record and done later (`Statuses.take_back`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from bot.domain.messages import ThreadKey
from bot.ports import Clock
from bot.slack.api.calls import TOO_MANY, CallError, Cause, next_try
from bot.slack.api.client import Client
from bot.slack.api.late_calls import LateCalls
from bot.slack.api.rate_limiter import Urgency
from bot.tasks import set_or_past

log = logging.getLogger(__name__)

THINKING: Final = "is thinking…"

WORDS_LAST: Final = 90.0
"""Seconds after which the words are set again; Slack takes them away after 120
(docs.slack.dev/reference/methods/assistant.threads.setStatus)."""

FIRST_SECONDS: Final = 0.03
"""So long the status lets the prompt go first, which would wait a millisecond for its call
(measured); of an answer that is over by then there is nothing to show."""
_SECONDS: Final = 8.0
"""No call waits longer for its answer."""
_CANCEL_SECONDS: Final = 1.0
# agents.sessions.setStatus: the workspace, or the app in all of it, has no agent sessions.
_NONE_ANYWHERE: Final = frozenset(
    {"feature_disabled", "unknown_method", "missing_scope", "not_allowed_token_type"}
)
# What may be said of one channel or thread, and does not tell about the others.
_NONE_HERE: Final = frozenset({"not_authorized", "access_denied", "no_permission"})
# There is no thread that could show it.
_NO_PLACE: Final = frozenset({"channel_not_found", "thread_not_found", "invalid_thread_ts"})

_SET: Final = "agents.sessions.setStatus"
_ROOM_SECONDS: Final = 2.0
"""Seconds after which it is looked again for calls that are not kept for something else."""


@dataclass(slots=True)
class _Place:
    """A thread's status: who owns it, one writer at a time."""

    owner: Showing | None = None
    users: int = 0
    native: bool = True
    session: bool = False
    """Whether its agent session may show work: then a call is kept for taking that back."""
    words: bool = False
    """Whether words may stand there."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Statuses:
    """The statuses of all threads."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self.clock = clock
        self._places: dict[ThreadKey, _Place] = {}
        self._left: set[ThreadKey] = set()
        """Threads whose agent session may show work, and that have no place any more. A call is
        kept for each, so that there are no more of them than Slack takes calls."""
        self._late = LateCalls(clock)
        self._native = True

    def show(self, thread: ThreadKey, *, resumed: bool = False) -> Showing:
        """Begin to show that the bot works, without waiting for Slack. `resumed`: an earlier run of
        the turn may have shown it, and nobody else takes that back."""
        place = self._enter(thread)
        place.session = place.session or resumed
        place.owner = showing = Showing(self, thread)
        return showing

    async def put(self, showing: Showing, *, busy: bool) -> float | None:
        """Set the thread's status if it is still the caller's to set.

        Seconds after which it has to be set again; None where it stays. Raises `CallError`.
        """
        place = self._places.get(showing.thread)
        if place is None:
            return None
        async with place.lock:
            if place.owner is not showing:
                return None
            if self._native and place.native and (busy or place.session):
                try:
                    await self._set_session(showing.thread, place, busy=busy)
                except CallError as error:
                    self._do_without(place, error)
                else:
                    return None
            if not busy and not place.words:
                return None
            place.words = True
            await self._set_words(showing.thread, THINKING if busy else "")
            place.words = busy
            return WORDS_LAST if busy else None

    async def take_back(self, thread: ThreadKey) -> bool:
        """`Workspace.take_status_back`. Raises `CallError`."""
        if thread in self._places or not self._late.over(thread):
            return False
        if not self._native:
            self._left.discard(thread)
            return True
        place = self._enter(thread)
        place.session = True
        try:
            async with place.lock:
                await self._take_back(thread, place)
        finally:
            self._leave(thread, place)
        return True

    async def _take_back(self, thread: ThreadKey, place: _Place) -> None:
        shown = sum(each.session and each.owner is not None for each in self._places.values())
        if self._client.calls.budget.left(_SET) <= shown:
            raise CallError(TOO_MANY, "kept for replies", retry_after=_ROOM_SECONDS)
        try:
            await self._set_session(thread, place, busy=False, patience=0.0)
        except CallError as error:
            if error.passing:
                raise
            place.session = False
            if error.code not in _NONE_ANYWHERE | _NONE_HERE | _NO_PLACE:
                raise
            log.warning("a status stays, or has gone with its thread: %s", error)

    def may_stand(self, showing: Showing) -> bool:
        """Whether the thread may show work on the caller's account, or that of one before it."""
        place = self._places[showing.thread]
        return place.owner is showing and (place.session or place.words)

    def gone(self, showing: Showing) -> None:
        """Slack has taken the status back."""
        place = self._places[showing.thread]
        if place.owner is showing:
            place.session = False

    def forget(self, showing: Showing) -> bool:
        """The caller sets nothing any more. Whether nothing stands on its account for certain, or
        what does goes by itself."""
        thread = showing.thread
        place = self._places[thread]
        mine = place.owner is showing
        if mine:
            place.owner = None
        back = not mine or not (place.session or self._late.expected(thread))
        self._leave(thread, place)
        return back

    def _enter(self, thread: ThreadKey) -> _Place:
        place = self._places.get(thread)
        if place is None:
            place = self._places[thread] = _Place(session=thread in self._left)
            self._left.discard(thread)
        place.users += 1
        return place

    def _leave(self, thread: ThreadKey, place: _Place) -> None:
        place.users -= 1
        if place.users:
            return
        del self._places[thread]
        if place.session or self._late.expected(thread):
            self._left.add(thread)

    def _keep_one_for_the_end(self, place: _Place) -> None:
        """See to it that there is a call for taking the status back, beside those for all others.
        Raises `CallError`."""
        kept = len(self._left) + sum(each.session for each in self._places.values())
        needed = kept + (not place.session)
        if self._client.calls.budget.left(_SET) <= needed:  # one more is for the call itself
            raise CallError(TOO_MANY, "kept for the ends of others", retry_after=_ROOM_SECONDS)

    def _do_without(self, place: _Place, error: CallError) -> None:
        """Go on in words, where there are no agent sessions; raise what is other trouble."""
        if error.code in _NONE_ANYWHERE:
            log.warning("no agent sessions in this workspace (%s): no Stop button", error)
            self._native = False
        elif error.code in _NONE_HERE:
            log.warning("no agent session in this thread (%s): no Stop button", error)
            place.native = False
        else:
            raise error
        place.session = False

    async def _set_session(
        self, thread: ThreadKey, place: _Place, *, busy: bool, patience: float = _SECONDS
    ) -> None:
        if busy:
            self._keep_one_for_the_end(place)
        stood, place.session = place.session, True
        try:
            with self._late.noted(thread) if busy else nullcontext():
                await self._client.calls(
                    self._client.web.agents_sessions_setStatus,
                    Cause(urgency=Urgency.SPARE if busy else Urgency.USUAL),
                    patience=patience,
                    seconds=_SECONDS,
                    channel_id=thread.channel,
                    thread_ts=thread.root_ts,
                    status="processing" if busy else "active",
                )
        except CallError as error:
            if busy and not error.maybe_done:
                place.session = stood
            raise
        place.session = busy

    async def _set_words(self, thread: ThreadKey, words: str) -> None:
        await self._client.calls(
            self._client.web.assistant_threads_setStatus,
            Cause(urgency=Urgency.SPARE if words else Urgency.USUAL),
            patience=_SECONDS,
            seconds=_SECONDS,
            channel_id=thread.channel,
            thread_ts=thread.root_ts,
            status=words,
        )


class Showing:
    """The status of one reply's thread while the reply is written."""

    def __init__(self, statuses: Statuses, thread: ThreadKey) -> None:
        self.thread = thread
        self._statuses = statuses
        self._again = asyncio.Event()
        self._end_by: float | None = None
        self._set = False
        self._taken_back = False
        self._begun = False
        self._keeper = asyncio.create_task(self._keep(), name=f"status of {thread}")

    def renew(self) -> None:
        """Slack has taken the status back (a stream that stops does that): show it again."""
        self._taken_back = False
        self._again.set()

    @property
    def stands(self) -> bool:
        """Whether it is the agent session's status for certain, and nothing is on its way."""
        return self._set and not self._again.is_set()

    def taken_back(self) -> None:
        """Slack has taken the status back with the end of the answer: so it is where it `stands`
        before and after the stream was stopped. What is still on its way may come later."""
        self._taken_back = True

    async def end(self, within: float) -> bool:
        """Take the status back, unless that is done. Whether nothing stands any more for certain.
        Never raises for Slack's sake.

        Waits out what may pass, `within` seconds in all; there is time for one try in any case.
        """
        try:
            if self._taken_back and self.stands:
                self._statuses.gone(self)
            elif self._begun or self._statuses.may_stand(self):
                await self._take_back(max(within, _SECONDS))
        finally:
            self._keeper.cancel()
            await asyncio.wait({self._keeper}, timeout=_CANCEL_SECONDS)
            back = self._statuses.forget(self)
        return back

    async def _take_back(self, within: float) -> None:
        self._end_by = self._statuses.clock.monotonic() + within
        self._again.set()
        await asyncio.wait({self._keeper}, timeout=within)
        if not self._keeper.done():
            log.warning("the status is taken back later: Slack did not answer in time")

    async def _keep(self) -> None:
        tries = 0
        await asyncio.sleep(FIRST_SECONDS)
        self._begun = True
        while True:
            self._again.clear()
            self._set = False
            end_by = self._end_by
            try:
                pause, tries = await self._statuses.put(self, busy=end_by is None), 0
                self._set = pause is None  # words would have to be set again
            except CallError as error:
                pause, tries = self._pause_after(error, tries), tries + 1
            if end_by is not None and pause is None:
                return
            await set_or_past(self._again, self._statuses.clock, pause)

    def _pause_after(self, error: CallError, tries: int) -> float | None:
        """Seconds until the next try; None where there is to be none."""
        level = logging.INFO if error.code == TOO_MANY else logging.WARNING
        log.log(level, "the status could not be set: %s", error)
        pause = next_try(error, tries)
        too_late = self._end_by is not None and self._statuses.clock.monotonic() + pause > (
            self._end_by
        )
        return pause if error.passing and not too_late else None
