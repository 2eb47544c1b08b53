"""That the bot works on an answer, shown in the thread while it does: with Slack's Stop button
where Slack has agent sessions, in words where it has not.

Trouble with the status never is the answer's trouble.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from bot.model import ThreadKey
from bot.ports import Clock
from bot.slack.budget import Urgency
from bot.slack.calls import CallError, Cause, next_try
from bot.slack.client import Client
from bot.slack.waits import set_or_past

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


@dataclass(slots=True)
class _Place:
    """A thread's status: who owns it, one writer at a time."""

    owner: Showing | None = None
    users: int = 0
    native: bool = True
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Statuses:
    """The statuses of all threads."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self.clock = clock
        self._places: dict[ThreadKey, _Place] = {}
        self._native = True

    def show(self, thread: ThreadKey) -> Showing:
        """Begin to show that the bot works, without waiting for Slack."""
        place = self._places.setdefault(thread, _Place())
        place.users += 1
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
            if self._native and place.native:
                try:
                    await self._set_session(showing.thread, busy=busy)
                except CallError as error:
                    self._do_without(place, error)
                else:
                    return None
            await self._set_words(showing.thread, THINKING if busy else "")
            return WORDS_LAST if busy else None

    def forget(self, showing: Showing) -> None:
        """The caller sets nothing any more."""
        place = self._places[showing.thread]
        place.users -= 1
        if place.owner is showing:
            place.owner = None
        if place.users == 0:
            del self._places[showing.thread]

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

    async def _set_session(self, thread: ThreadKey, *, busy: bool) -> None:
        await self._client.calls(
            self._client.web.agents_sessions_setStatus,
            Cause(urgency=Urgency.SPARE if busy else Urgency.USUAL),
            patience=_SECONDS,
            seconds=_SECONDS,
            channel_id=thread.channel,
            thread_ts=thread.root_ts,
            status="processing" if busy else "active",
        )

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

    async def end(self, within: float) -> None:
        """Take the status back, unless that is done. Never raises for Slack's sake.

        Waits out what may pass, `within` seconds in all; there is time for one try in any case.
        """
        try:
            if self._begun and not (self._taken_back and self.stands):
                await self._take_back(max(within, _SECONDS))
        finally:
            self._keeper.cancel()
            await asyncio.wait({self._keeper}, timeout=_CANCEL_SECONDS)
            self._statuses.forget(self)

    async def _take_back(self, within: float) -> None:
        self._end_by = self._statuses.clock.monotonic() + within
        self._again.set()
        await asyncio.wait({self._keeper}, timeout=within)
        if not self._keeper.done():
            log.warning("the status was left behind: Slack did not answer in time")

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
        log.warning("the status could not be set: %s", error)
        pause = next_try(error, tries)
        too_late = self._end_by is not None and self._statuses.clock.monotonic() + pause > (
            self._end_by
        )
        return pause if error.passing and not too_late else None
