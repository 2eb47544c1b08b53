"""Accepts messages and dispatches their turns: each once, in order, none lost over a restart.

enqueue  → the message is committed before it is acknowledged to Slack
dispatch → turns that a restart interrupted are finished; waiting turns start, one at a time per
           thread, at most `max_turns` in parallel
leaving  → no new turn starts; running turns get some time to end, the rest wait for the next start
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from bot.domain.messages import Message, ThreadKey, Trigger
from bot.domain.turns import AcceptResult, AcceptStatus, Turn, TurnState
from bot.errors import BotError, StoreError
from bot.ports import NULL_TELEMETRY, Clock, Store, Telemetry, Workspace
from bot.sessions.roles import split_role_prefix
from bot.tasks import first_completed, wait_for_event
from bot.turns.indicator_cleanup import create_status_cleanup
from bot.turns.queue_notices import QueueNotices
from bot.turns.runner import RETRY_INITIAL_SECONDS, RETRY_MAX_SECONDS, TurnHandler, TurnRunner

log = logging.getLogger(__name__)

# Texts for users --------------------------------------------------------------------------------

PAUSED = "An admin has paused me. Your message is queued and I'll reply when I'm back."
QUEUE_CLEARED = "The queue of this thread was cleared. Your message won't be answered."
FULL = "Too many messages are queued right now. Please try again later."
NOT_SAVED = (
    "Sorry, I can't save your message right now. Slack sends it to me again within minutes, and "
    "I'll reply then. If I haven't replied in 10 minutes, please send it again."
)
EDIT_APPLIED = "I've seen your edit and will reply to the new text."
EDIT_TOO_LATE = (
    "I'd already started on the original. Send the edited text as a new message if you want a "
    "reply to it."
)
EDIT_OF_COMMAND = (
    "An edit doesn't change a command. Delete the message while it's queued, and send the command "
    "again."
)
DELETED_IN_TIME = "You deleted your message before I started on it, so I won't reply."
DELETED_TOO_LATE = (
    "You deleted your message, but I'd already started on it. "
    "Press Stop if you no longer need the reply."
)

# ------------------------------------------------------------------------------------------------

POLL_SECONDS = 30.0
"""Interval, in seconds, of the checks for missed work: waiting turns without a wake-up, refused
ones whose authors got no notice, and stale indicators in Slack."""
REJECTION_NOTICE_SECONDS = 3600.0
"""Maximum age, in seconds, of a refused message whose author still gets a notice."""
DISPATCH_STOP_SECONDS = 6.0
"""Timeout, in seconds, of a running claim at the end: as long as the wait for a locked database."""
NOTICES_CLOSE_SECONDS = 2.0
"""Timeout for running notices at the end, in seconds."""
MAX_UNRECORDED = 1_000
"""Maximum number of unrecorded messages whose notices are remembered."""


class Inbox:
    """Accepts messages and dispatches their turns."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        workspace: Workspace,
        handler: TurnHandler,
        *,
        max_turns: int,
        drain_seconds: float = 20.0,
        on_waiting: Callable[[Turn], None] | None = None,
        telemetry: Telemetry = NULL_TELEMETRY,
    ) -> None:
        """`on_waiting` is called with each turn that has to wait for another one to end.
        `max_turns` is the maximum number of running turns, `drain_seconds` their time to end on
        leaving."""
        self._store = store
        self._clock = clock
        self._max_turns = max_turns
        self._drain_seconds = drain_seconds
        self._on_waiting = on_waiting
        self._paused = False
        self._resumed = asyncio.Event()
        self._notices = QueueNotices(store, workspace, clock)
        self._status_cleanup = create_status_cleanup(store, workspace, clock)
        self._undispatched: dict[int, Turn] = {}  # not dispatched, no indicator yet
        self._interrupted: list[Turn] = []  # turns that a restart interrupted
        self._claiming = False
        self._may_have_waiting = True  # as of the last claim
        self._unrecorded: dict[tuple[str, str], None] = {}
        self._notifying: set[int] = set()  # refused turns whose notices are being sent
        self._next_poll_at = float("-inf")
        self._wakeup = asyncio.Event()
        self._closing = asyncio.Event()
        self._runner = TurnRunner(
            *(store, clock, handler, self._notices),
            on_slot_free=self._on_slot_free,
            on_waiting=self._add_waiting,
            telemetry=telemetry,
        )

    @property
    def running_count(self) -> int:
        """The number of running turns."""
        return self._runner.busy_slots

    @property
    def paused(self) -> bool:
        """True while no new turns start."""
        return self._paused

    def pause_turns(self) -> None:
        """Start no new turns: messages are accepted and queued. Running turns continue."""
        self._paused = True

    def resume_turns(self) -> None:
        """Start turns again."""
        self._paused = False
        self._resumed.set()
        self._wakeup.set()

    def wake(self) -> None:
        """Check for turns that can be claimed now, because what they waited for is done."""
        self._may_have_waiting = True
        self._wakeup.set()

    async def wait_until_idle(self, timeout: float) -> bool:
        """Wait until no turn runs or turns are resumed, at most `timeout` seconds. True if no turn
        runs."""
        self._resumed.clear()
        if self.running_count:
            waits = (
                self._runner.wait_until_empty(),
                self._resumed.wait(),
                self._clock.sleep(timeout),
            )
            await first_completed(*waits)
        return not self.running_count

    # Accepting messages

    async def enqueue(self, message: Message) -> AcceptResult:
        """Accept a message; it is committed when this returns.

        Raises `StoreError`: then it is not committed and must not be acknowledged to Slack.
        """
        if message.trigger not in (Trigger.OVERHEARD, Trigger.BOT):
            self._wakeup.set()  # early: the commit that records the message may claim its turn
        try:
            accepted = await self._store.accept_message(message)
        except BaseException as error:
            self._wakeup.set()  # the message may be recorded even if the caller was cancelled
            if isinstance(error, StoreError):
                self._notify_unrecorded(message)
            raise
        # Other messages are logged at DEBUG only: a log line costs as much as the insert.
        level, status = logging.DEBUG if accepted.turn is None else logging.INFO, accepted.status
        log.log(
            level, "message accepted: thread=%s ts=%s status=%s", message.thread, message.ts, status
        )
        if accepted.status is AcceptStatus.QUEUE_FULL and accepted.turn is not None:
            self._notify_queue_full(accepted.turn)
        elif accepted.status is AcceptStatus.SCHEDULED and accepted.turn is not None:
            if not self._runner.is_running(accepted.turn.id):
                self._add_waiting(accepted.turn)
            if self._paused:
                self._notices.notify_author(message, PAUSED)
        return accepted

    def _notify_unrecorded(self, message: Message) -> None:
        """Notify the author that the message cannot be saved, once, however often Slack resends
        it. Only messages to the bot count."""
        addressed = message.trigger in (Trigger.MENTION, Trigger.DIRECT)
        key = (
            message.thread.channel,
            message.ts,
        )  # a mention comes as two events
        if not addressed or key in self._unrecorded:
            return
        if self._notices.notify_author(message, NOT_SAVED) is None:
            return
        if len(self._unrecorded) >= MAX_UNRECORDED:
            del self._unrecorded[next(iter(self._unrecorded))]
        self._unrecorded[key] = None

    def _notify_queue_full(self, turn: Turn) -> None:
        """Notify the author of a refused message, and record the notice."""
        if turn.id in self._notifying:
            return
        on_sent = partial(self._store.mark_notified, turn, FULL)
        task = self._notices.notify_author(turn.message, FULL, on_sent=on_sent)
        if task is not None:
            self._notifying.add(turn.id)
            task.add_done_callback(lambda _: self._notifying.discard(turn.id))

    async def _run_overdue_work(self) -> None:
        """Do work that was missed because of a restart, a failure of Slack or too much load: send
        notices of refused messages, and remove stale indicators.

        Raises `StoreError`.
        """
        if self._clock.monotonic() < self._next_poll_at:
            return
        self._next_poll_at = self._clock.monotonic() + POLL_SECONDS
        self._notices.trigger_cleanup()
        self._status_cleanup.trigger()
        for turn in await self._store.unnotified(self._clock.now() - REJECTION_NOTICE_SECONDS):
            self._notify_queue_full(turn)

    async def handle_edit(self, team: str, channel: str, ts: str, text: str) -> bool:
        """Apply the edit of a message; `text` is the new text, in the form of `Message.text`.

        True if the message has a turn; its author then gets a notice of the effect. Raises
        `StoreError`.
        """
        turn = await self._store.turn_by_ts(team, channel, ts)
        if turn is None:
            return False
        options = turn.message.options
        if options.compare_models or options.retry_of:
            self._notices.notify_author(turn.message, EDIT_OF_COMMAND)
            return True
        if options.role:
            role, rest = split_role_prefix(text)
            text = rest if role == options.role else text
        if turn.state is TurnState.WITHDRAWN or turn.message.text == text:
            return True
        updated = await self._store.update_text(turn, text)
        log.info("message edited: ts=%s in_time=%s", ts, updated)
        self._notices.notify_author(turn.message, EDIT_APPLIED if updated else EDIT_TOO_LATE)
        return True

    async def handle_deletion(self, team: str, channel: str, ts: str) -> None:
        """Withdraw the turn of a deleted message. Raises `StoreError`."""
        turn = await self._store.turn_by_ts(team, channel, ts)
        if turn is None or turn.state.final:
            return
        withdrawn = await self._store.withdraw(turn)
        log.info("message deleted: ts=%s in_time=%s", ts, withdrawn)
        if withdrawn:
            self._undispatched.pop(turn.id, None)
            self._notices.clear_indicator(turn)
            self._wakeup.set()
        self._notices.notify_author(
            turn.message, DELETED_IN_TIME if withdrawn else DELETED_TOO_LATE
        )

    async def drop_waiting(self, thread: ThreadKey, requested_by: str = "") -> int:
        """Withdraw the waiting turns of a thread and notify their authors once, except the user
        `requested_by`. Returns the number of withdrawn turns. Raises `StoreError`."""
        dropped, notified = 0, {requested_by}
        for turn in await self._store.waiting_turns(thread):
            if await self._store.withdraw(turn):
                dropped += 1
                self._undispatched.pop(turn.id, None)
                self._notices.clear_indicator(turn)
                if turn.message.user not in notified:
                    notified.add(turn.message.user)
                    self._notices.notify_author(turn.message, QUEUE_CLEARED)
        log.info("queue cleared: thread=%s turns=%d", thread, dropped)
        return dropped

    # Dispatching turns

    @asynccontextmanager
    async def dispatch_turns(self) -> AsyncIterator[None]:
        """Dispatch turns while inside. Raises `StoreError` if the interrupted turns cannot be read.
        Leaving takes at most the drain time and some seconds to close replies."""
        self._closing.clear()
        self._runner.enable_retries()
        self._interrupted, self._may_have_waiting = list(await self._store.recover()), True
        dispatcher = asyncio.create_task(self._dispatch_loop())
        try:
            yield
        finally:
            self._closing.set()
            self._runner.disable_retries()
            self._wakeup.set()
            await _wait_or_cancel(dispatcher, DISPATCH_STOP_SECONDS)
            await self._runner.drain(self._drain_seconds)
            await self._status_cleanup.close()
            await self._notices.close(NOTICES_CLOSE_SECONDS)

    async def _dispatch_loop(self) -> None:
        """Dispatch turns until closing; a failure does not end the loop."""
        pause = RETRY_INITIAL_SECONDS
        while not self._closing.is_set():
            self._wakeup.clear()
            try:
                await self._run_overdue_work()
                more = await self._dispatch_next()
                pause = RETRY_INITIAL_SECONDS
            except Exception as error:
                unexpected = None if isinstance(error, BotError) else error
                log.warning(
                    "claim failed: retry_in=%g reason=%s", pause, error, exc_info=unexpected
                )
                await wait_for_event(self._closing, self._clock, pause)
                pause = min(2 * pause, RETRY_MAX_SECONDS)
                continue
            if not more:
                await wait_for_event(self._wakeup, self._clock, POLL_SECONDS)

    async def _dispatch_next(self) -> bool:
        """Start one turn. True if another one may start at once. If none can start, the waiting
        turns get their indicators."""
        turn_ids = list(self._undispatched)
        if self.running_count < self._max_turns:
            if self._interrupted:
                self._start_turn(self._interrupted.pop(0), interrupted=True)
                return True
            turn = None if self._paused else await self._claim()
            if turn is not None:
                self._start_turn(turn, interrupted=False)
                return self._may_have_waiting or bool(self._undispatched)
        for turn_id in turn_ids:
            waiting = self._undispatched.pop(turn_id, None)
            if waiting is not None:
                self._may_have_waiting = True
                self._notices.schedule_indicator(waiting)
                if self._on_waiting is not None:
                    self._on_waiting(waiting)
        return bool(self._undispatched)  # accepted during the claim

    async def _claim(self) -> Turn | None:
        """The next turn that may run, or None."""
        self._claiming = True
        try:
            claimed = await self._store.claim()
        finally:
            self._claiming = False
        self._may_have_waiting = claimed.queue_length > 0
        return claimed.turn

    def _start_turn(self, turn: Turn, *, interrupted: bool) -> None:
        self._undispatched.pop(turn.id, None)
        self._notices.clear_indicator(turn)
        self._runner.start_turn(turn, interrupted=interrupted)

    def _add_waiting(self, turn: Turn) -> None:
        """Add a waiting turn. A running claim needs no wake-up: the loop checks again after it."""
        self._undispatched[turn.id] = turn
        if not self._claiming:
            self._wakeup.set()

    def _on_slot_free(self) -> None:
        if self._interrupted or self._undispatched or self._may_have_waiting:
            self._wakeup.set()


async def _wait_or_cancel(task: asyncio.Task[None], timeout: float) -> None:
    """Wait until a task ends; cancel it after `timeout` seconds."""
    _, late = await asyncio.wait({task}, timeout=timeout)
    if late:
        log.warning("claim cancelled on close")
        task.cancel()
        await asyncio.wait({task}, timeout=timeout)
