"""That the bot works on an answer, shown in the thread while it does: with Slack's Stop button
where Slack has agent sessions, in words where it has not.

Trouble with the status never is the answer's trouble.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

from slack_sdk.web.async_client import AsyncWebClient

from bot.model import ThreadKey
from bot.ports import Clock
from bot.slack.calls import CallError, Calls
from bot.slack.pace import set_or_past

log = logging.getLogger(__name__)

THINKING: Final = "is thinking…"

WORDS_LAST: Final = 90.0
"""Seconds after which the words are set again; Slack takes them away after 120
(docs.slack.dev/reference/methods/assistant.threads.setStatus)."""

_SECONDS: Final = 8.0
# agents.sessions.setStatus: the workspace or the app has no agent sessions.
_NO_SESSIONS: Final = frozenset(
    {
        *("feature_disabled", "unknown_method", "not_authorized", "missing_scope"),
        *("not_allowed_token_type", "access_denied", "no_permission"),
    }
)


@dataclass(slots=True)
class _Place:
    """A thread's status: who owns it, one writer at a time."""

    owner: Showing | None = None
    users: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Statuses:
    """The statuses of all threads."""

    def __init__(self, client: AsyncWebClient, calls: Calls, clock: Clock) -> None:
        self._client = client
        self._calls = calls
        self.clock = clock
        self._places: dict[ThreadKey, _Place] = {}
        self._native = True

    def show(self, thread: ThreadKey) -> Showing:
        """Begin to show that the bot works, without waiting for Slack."""
        place = self._places.setdefault(thread, _Place())
        place.users += 1
        place.owner = showing = Showing(self, thread)
        return showing

    async def put(self, showing: Showing, *, busy: bool) -> bool:
        """Set the thread's status if it is still the caller's to set; whether by agent session."""
        place = self._places[showing.thread]
        async with place.lock:
            if place.owner is not showing:
                return True
            if self._native and await self._set_session(showing.thread, busy=busy):
                return True
            await self._set_words(showing.thread, THINKING if busy else "")
            return False

    def forget(self, showing: Showing) -> None:
        """The caller sets nothing any more."""
        place = self._places[showing.thread]
        place.users -= 1
        if place.owner is showing:
            place.owner = None
        if place.users == 0:
            del self._places[showing.thread]

    async def _set_session(self, thread: ThreadKey, *, busy: bool) -> bool:
        """False where the words have to do."""
        try:
            await self._calls(
                self._client.agents_sessions_setStatus,
                patience=0.0,
                seconds=_SECONDS,
                channel_id=thread.channel,
                thread_ts=thread.root_ts,
                status="processing" if busy else "active",
            )
        except CallError as error:
            if error.code in _NO_SESSIONS:
                log.warning("no agent sessions here (%s): no Stop button", error)
                self._native = False
                return False
            log.warning("the status could not be set: %s", error)
        return True

    async def _set_words(self, thread: ThreadKey, words: str) -> None:
        try:
            await self._calls(
                self._client.assistant_threads_setStatus,
                patience=0.0,
                seconds=_SECONDS,
                channel_id=thread.channel,
                thread_ts=thread.root_ts,
                status=words,
            )
        except CallError as error:
            log.warning("the status could not be set: %s", error)


class Showing:
    """The status of one reply's thread while the reply is written."""

    def __init__(self, statuses: Statuses, thread: ThreadKey) -> None:
        self.thread = thread
        self._statuses = statuses
        self._again = asyncio.Event()
        self._ended = False
        self._keeper = asyncio.create_task(self._keep(), name=f"status of {thread}")

    def renew(self) -> None:
        """Slack has taken the status back (a stream that stops does that): show it again."""
        self._again.set()

    async def end(self) -> None:
        """Take the status back. Bounded to about 8 s; never raises for Slack's sake."""
        self._ended = True
        self._again.set()
        try:
            await asyncio.wait({self._keeper}, timeout=_SECONDS + 1)
        finally:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._statuses.forget(self)

    async def _keep(self) -> None:
        while True:
            self._again.clear()
            ended = self._ended
            native = await self._statuses.put(self, busy=not ended)
            if ended:
                return
            await set_or_past(self._again, self._statuses.clock, None if native else WORDS_LAST)
