"""Shows in a thread that the bot is working, with Slack's Stop button if possible.

Where Slack has no agent sessions, the status is a text without a button.

An error with the status never affects the answer. A text disappears by itself after a while; an
agent session's status stays until it is cleared. So a status is set only if a call for clearing it
is left among those that Slack allows in a minute. If it cannot be cleared all the same, the turn's
end reports that, so that it is saved and done later (`ThreadStatuses.clear_status`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Final

from bot.domain.messages import ThreadKey
from bot.ports import Clock
from bot.slack.api.calls import RATE_LIMITED, CallContext, SlackCallError, retry_delay
from bot.slack.api.client import SlackClient
from bot.slack.api.late_calls import LateCalls
from bot.slack.api.rate_limiter import Priority
from bot.tasks import wait_for_event

log = logging.getLogger(__name__)

THINKING: Final = "is thinking…"

TEXT_RENEW_SECONDS: Final = 90.0
"""Interval in seconds at which the text is set again; Slack removes it after 120
(docs.slack.dev/reference/methods/assistant.threads.setStatus)."""

START_DELAY_SECONDS: Final = 0.03
"""Delay in seconds of the status. It lets the prompt go first, which would otherwise wait a
millisecond for its call (measured). An answer that is over by then needs no status."""
_CALL_SECONDS: Final = 8.0
"""Timeout in seconds of a call."""
_CANCEL_SECONDS: Final = 1.0
# agents.sessions.setStatus: the workspace, or the app in all of it, has no agent sessions.
_UNSUPPORTED_IN_WORKSPACE: Final = frozenset(
    {"feature_disabled", "unknown_method", "missing_scope", "not_allowed_token_type"}
)
# Codes about one channel or thread, which say nothing about the others.
_UNSUPPORTED_IN_THREAD: Final = frozenset({"not_authorized", "access_denied", "no_permission"})
# No thread is left that could show a status.
_THREAD_GONE_CODES: Final = frozenset(
    {"channel_not_found", "thread_not_found", "invalid_thread_ts"}
)

_SET_STATUS_METHOD: Final = "agents.sessions.setStatus"
_RATE_LIMIT_RETRY_SECONDS: Final = 2.0
"""Delay in seconds before the next check for calls that are not reserved."""


@dataclass(slots=True)
class _ThreadStatus:
    """A thread's status: its owner, and one writer at a time."""

    owner: StatusHandle | None = None
    ref_count: int = 0
    supports_sessions: bool = True
    has_session_status: bool = False
    """Whether its agent session may show a status. Then a call is reserved for clearing it."""
    has_text_status: bool = False
    """Whether it may show a text."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ThreadStatuses:
    """The statuses of all threads."""

    def __init__(self, client: SlackClient, clock: Clock) -> None:
        self._client = client
        self.clock = clock
        self._statuses: dict[ThreadKey, _ThreadStatus] = {}
        self._uncleared: set[ThreadKey] = set()
        """Threads without an entry whose agent session may show a status. A call is reserved for
        each, so there are never more of them than Slack allows calls."""
        self._late_calls = LateCalls(clock)
        self._supports_sessions = True

    def open_status(self, thread: ThreadKey, *, resumed: bool = False) -> StatusHandle:
        """Start to show that the bot is working, without waiting for Slack. `resumed`: an earlier
        run of the turn may have set a status, which only this handle clears."""
        status = self._acquire(thread)
        status.has_session_status = status.has_session_status or resumed
        status.owner = handle = StatusHandle(self, thread)
        return handle

    async def update_status(self, handle: StatusHandle, *, busy: bool) -> float | None:
        """Set the thread's status if the handle still owns it.

        Returns the seconds after which it has to be set again, or None if it stays. Raises
        `SlackCallError`.
        """
        status = self._statuses.get(handle.thread)
        if status is None:
            return None
        async with status.lock:
            if status.owner is not handle:
                return None
            if (
                self._supports_sessions
                and status.supports_sessions
                and (busy or status.has_session_status)
            ):
                try:
                    await self._set_session_status(handle.thread, status, busy=busy)
                except SlackCallError as error:
                    self._fall_back_to_text(status, error)
                else:
                    return None
            if not busy and not status.has_text_status:
                return None
            status.has_text_status = True
            await self._set_text_status(handle.thread, THINKING if busy else "")
            status.has_text_status = busy
            return TEXT_RENEW_SECONDS if busy else None

    async def clear_status(self, thread: ThreadKey) -> bool:
        """`Workspace.clear_status`. Raises `SlackCallError`."""
        if thread in self._statuses or not self._late_calls.is_expired(thread):
            return False
        if not self._supports_sessions:
            self._uncleared.discard(thread)
            return True
        status = self._acquire(thread)
        status.has_session_status = True
        try:
            async with status.lock:
                await self._clear_session_status(thread, status)
        finally:
            self._release(thread, status)
        return True

    async def _clear_session_status(self, thread: ThreadKey, status: _ThreadStatus) -> None:
        active_count = sum(
            each.has_session_status and each.owner is not None for each in self._statuses.values()
        )
        if self._client.call.rate_limiter.optional_tokens(_SET_STATUS_METHOD) <= active_count:
            raise SlackCallError(
                RATE_LIMITED, "calls reserved for replies", retry_after=_RATE_LIMIT_RETRY_SECONDS
            )
        try:
            await self._set_session_status(thread, status, busy=False, max_wait=0.0)
        except SlackCallError as error:
            if error.transient:
                raise
            status.has_session_status = False
            if (
                error.code
                not in _UNSUPPORTED_IN_WORKSPACE | _UNSUPPORTED_IN_THREAD | _THREAD_GONE_CODES
            ):
                raise
            log.warning("status not cleared: reason=%s", error)

    def may_be_shown(self, handle: StatusHandle) -> bool:
        """True if the thread may show a status of this handle, or of an earlier one."""
        status = self._statuses[handle.thread]
        return status.owner is handle and (status.has_session_status or status.has_text_status)

    def mark_cleared(self, handle: StatusHandle) -> None:
        """Record that Slack has cleared the status."""
        status = self._statuses[handle.thread]
        if status.owner is handle:
            status.has_session_status = False

    def release(self, handle: StatusHandle) -> bool:
        """Give up the handle. Returns True if the thread certainly shows no status of it, or only
        one that disappears by itself."""
        thread = handle.thread
        status = self._statuses[thread]
        is_owner = status.owner is handle
        if is_owner:
            status.owner = None
        is_cleared = not is_owner or not (
            status.has_session_status or self._late_calls.is_pending(thread)
        )
        self._release(thread, status)
        return is_cleared

    def _acquire(self, thread: ThreadKey) -> _ThreadStatus:
        status = self._statuses.get(thread)
        if status is None:
            status = self._statuses[thread] = _ThreadStatus(
                has_session_status=thread in self._uncleared
            )
            self._uncleared.discard(thread)
        status.ref_count += 1
        return status

    def _release(self, thread: ThreadKey, status: _ThreadStatus) -> None:
        status.ref_count -= 1
        if status.ref_count:
            return
        del self._statuses[thread]
        if status.has_session_status or self._late_calls.is_pending(thread):
            self._uncleared.add(thread)

    def _reserve_clear_call(self, status: _ThreadStatus) -> None:
        """Make sure that a call for clearing the status is left, in addition to those for all.
        Raises `SlackCallError`."""
        reserved = len(self._uncleared) + sum(
            each.has_session_status for each in self._statuses.values()
        )
        needed = reserved + (not status.has_session_status)
        if (
            self._client.call.rate_limiter.optional_tokens(_SET_STATUS_METHOD) <= needed
        ):  # one more is for the call itself
            raise SlackCallError(
                RATE_LIMITED,
                "calls reserved for other threads",
                retry_after=_RATE_LIMIT_RETRY_SECONDS,
            )

    def _fall_back_to_text(self, status: _ThreadStatus, error: SlackCallError) -> None:
        """Use texts if there are no agent sessions; raise any other error."""
        if error.code in _UNSUPPORTED_IN_WORKSPACE:
            log.warning("no agent sessions in this workspace, no Stop button: reason=%s", error)
            self._supports_sessions = False
        elif error.code in _UNSUPPORTED_IN_THREAD:
            log.warning("no agent session in this thread, no Stop button: reason=%s", error)
            status.supports_sessions = False
        else:
            raise error
        status.has_session_status = False

    async def _set_session_status(
        self,
        thread: ThreadKey,
        status: _ThreadStatus,
        *,
        busy: bool,
        max_wait: float = _CALL_SECONDS,
    ) -> None:
        if busy:
            self._reserve_clear_call(status)
        was_set, status.has_session_status = status.has_session_status, True
        try:
            with self._late_calls.track(thread) if busy else nullcontext():
                await self._client.call(
                    self._client.web.agents_sessions_setStatus,
                    CallContext(priority=Priority.OPTIONAL if busy else Priority.NORMAL),
                    max_wait=max_wait,
                    seconds=_CALL_SECONDS,
                    channel_id=thread.channel,
                    thread_ts=thread.root_ts,
                    status="processing" if busy else "active",
                )
        except SlackCallError as error:
            if busy and not error.maybe_done:
                status.has_session_status = was_set
            raise
        status.has_session_status = busy

    async def _set_text_status(self, thread: ThreadKey, text: str) -> None:
        await self._client.call(
            self._client.web.assistant_threads_setStatus,
            CallContext(priority=Priority.OPTIONAL if text else Priority.NORMAL),
            max_wait=_CALL_SECONDS,
            seconds=_CALL_SECONDS,
            channel_id=thread.channel,
            thread_ts=thread.root_ts,
            status=text,
        )


class StatusHandle:
    """The status of one thread while its reply is written."""

    def __init__(self, statuses: ThreadStatuses, thread: ThreadKey) -> None:
        self.thread = thread
        self._statuses = statuses
        self._wake = asyncio.Event()
        self._clear_deadline: float | None = None
        self._is_set = False
        self._is_cleared = False
        self._started = False
        self._task = asyncio.create_task(self._run(), name=f"status of {thread}")

    def renew(self) -> None:
        """Show the status again: a stream that stops makes Slack clear it."""
        self._is_cleared = False
        self._wake.set()

    @property
    def is_confirmed(self) -> bool:
        """True if the agent session certainly shows the status, and no change is pending."""
        return self._is_set and not self._wake.is_set()

    def mark_cleared(self) -> None:
        """Record that Slack cleared the status with the end of the answer.

        Call it only if `is_confirmed` is true before and after the stream stops: a pending change
        may come later.
        """
        self._is_cleared = True

    async def clear(self, timeout: float) -> bool:
        """Clear the status, if necessary. Returns True if it is certainly gone. Raises no
        `SlackError`.

        Retries after transient errors, for `timeout` seconds in all; there is time for one try in
        any case.
        """
        try:
            if self._is_cleared and self.is_confirmed:
                self._statuses.mark_cleared(self)
            elif self._started or self._statuses.may_be_shown(self):
                await self._clear_and_wait(max(timeout, _CALL_SECONDS))
        finally:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CANCEL_SECONDS)
            is_cleared = self._statuses.release(self)
        return is_cleared

    async def _clear_and_wait(self, timeout: float) -> None:
        self._clear_deadline = self._statuses.clock.monotonic() + timeout
        self._wake.set()
        await asyncio.wait({self._task}, timeout=timeout)
        if not self._task.done():
            log.warning("status not cleared in time: cleared later")

    async def _run(self) -> None:
        attempts = 0
        await asyncio.sleep(START_DELAY_SECONDS)
        self._started = True
        while True:
            self._wake.clear()
            self._is_set = False
            deadline = self._clear_deadline
            try:
                pause, attempts = await self._statuses.update_status(self, busy=deadline is None), 0
                self._is_set = pause is None  # a text would have to be set again
            except SlackCallError as error:
                pause, attempts = self._retry_pause(error, attempts), attempts + 1
            if deadline is not None and pause is None:
                return
            await wait_for_event(self._wake, self._statuses.clock, pause)

    def _retry_pause(self, error: SlackCallError, attempts: int) -> float | None:
        """Seconds until the next try; None if there is none."""
        level = logging.INFO if error.code == RATE_LIMITED else logging.WARNING
        log.log(level, "status not set: reason=%s", error)
        pause = retry_delay(error, attempts)
        too_late = self._clear_deadline is not None and self._statuses.clock.monotonic() + pause > (
            self._clear_deadline
        )
        return pause if error.transient and not too_late else None
