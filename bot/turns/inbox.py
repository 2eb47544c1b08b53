"""The inbox: every message once, in order, and none lost over a restart.

accept  → recorded and committed before Slack is told that it arrived
running → what a restart found half-way is settled; waiting turns are handed out, one at a time
          per thread, at most `max_turns` at once
leaving → nothing new; running turns get a while to end, the rest wait for the next start
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

# What people are told ---------------------------------------------------------------------------

PAUSED = (
    "I'm paused by the people in charge of me. Your message waits, and I'll answer it when I go on."
)
DROPPED = "Somebody in this thread dropped the messages that were waiting, yours among them."
FULL = "Sorry, too many messages are waiting for me just now. Please ask again later."
NOT_TAKEN = (
    "Sorry, I can't take your message down just now. Slack brings it to me again within minutes, "
    "and then I'll answer it. If I haven't in ten minutes, please ask again."
)
EDIT_TAKEN = "I've seen your edit and will answer the new text."
EDIT_TOO_LATE = (
    "Your edit came after I had begun with your message. Please ask again to get the new text "
    "answered."
)
EDIT_OF_COMMAND = (
    "Your edit doesn't change what you had me do. Delete the message while it waits, and write it "
    "anew."
)
DELETED_IN_TIME = "You deleted your message before I got to it, so I won't answer it."
DELETED_TOO_LATE = (
    "You deleted your message when I was answering it already. "
    "Press Stop if you no longer need the answer."
)

# ------------------------------------------------------------------------------------------------

POLL_SECONDS = 30.0
"""How often it is looked for waiting turns that nobody has told of, for refused ones whose authors
were not told, and for what is still shown in Slack and should not be."""
REJECTION_NOTICE_SECONDS = 3600.0
"""For so long after their message people are told that it was not taken."""
DISPATCH_STOP_SECONDS = 6.0
"""How long a claim that is under way at the end may take: as long as a locked database is waited
for."""
NOTICES_CLOSE_SECONDS = 2.0
MAX_UNRECORDED = 1_000
"""Messages that could not be recorded, of which it is remembered that their authors know it."""


class Inbox:
    """Takes messages in and hands turns out."""

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
        """`on_waiting` is told of each turn that has to wait for another one to end."""
        self._store = store
        self._clock = clock
        self._max_turns = max_turns
        self._drain_seconds = drain_seconds
        self._on_waiting = on_waiting
        self._paused = False
        self._resumed = asyncio.Event()
        self._notices = QueueNotices(store, workspace, clock)
        self._status_cleanup = create_status_cleanup(store, workspace, clock)
        self._undispatched: dict[int, Turn] = {}  # not handed out yet, nor shown as waiting
        self._interrupted: list[Turn] = []  # what a restart found half-way
        self._claiming = False
        self._may_have_waiting = True  # as far as is known
        self._unrecorded: dict[tuple[str, str], None] = {}
        self._notifying: set[int] = (
            set()
        )  # turns whose authors are being told that they are refused
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
        """How many turns run."""
        return self._runner.busy_slots

    @property
    def paused(self) -> bool:
        """Whether no new turns are handed out."""
        return self._paused

    def pause_turns(self) -> None:
        """Hand out no new turns: messages are taken, and wait. What runs goes on to its end."""
        self._paused = True

    def resume_turns(self) -> None:
        """Hand out turns again."""
        self._paused = False
        self._resumed.set()
        self._wakeup.set()

    def wake(self) -> None:
        """Turns may be claimed that could not be until now: what they waited for is done."""
        self._may_have_waiting = True
        self._wakeup.set()

    async def wait_until_idle(self, timeout: float) -> bool:
        """Wait until no turn runs, or until it goes on, `seconds` at most; whether none runs."""
        self._resumed.clear()
        if self.running_count:
            waits = (
                self._runner.wait_until_empty(),
                self._resumed.wait(),
                self._clock.sleep(timeout),
            )
            await first_completed(*waits)
        return not self.running_count

    # Messages come in

    async def enqueue(self, message: Message) -> AcceptResult:
        """Take a message in: on disk when this returns.

        Raises `StoreError`: then it is not, and Slack must not be told that it arrived.
        """
        if message.trigger not in (Trigger.OVERHEARD, Trigger.BOT):
            self._wakeup.set()  # at once: its turn may be claimed in the commit that records it
        try:
            accepted = await self._store.accept_message(message)
        except BaseException as error:
            self._wakeup.set()  # it may be on record all the same, for who gave up waiting as well
            if isinstance(error, StoreError):
                self._notify_unrecorded(message)
            raise
        # What people say to each other is nobody's news, and a line costs as much as recording it.
        level, what = logging.DEBUG if accepted.turn is None else logging.INFO, accepted.status
        log.log(level, "message %s of thread %s: %s", message.ts, message.thread, what)
        if accepted.status is AcceptStatus.QUEUE_FULL and accepted.turn is not None:
            self._notify_queue_full(accepted.turn)
        elif accepted.status is AcceptStatus.SCHEDULED and accepted.turn is not None:
            if not self._runner.is_running(accepted.turn.id):
                self._add_waiting(accepted.turn)
            if self._paused:
                self._notices.notify_author(message, PAUSED)
        return accepted

    def _notify_unrecorded(self, message: Message) -> None:
        """Tell who called the bot that it cannot take the message, once, however often Slack brings
        it again."""
        called = message.trigger in (Trigger.MENTION, Trigger.DIRECT)
        place = (message.thread.channel, message.ts)  # not its event: a mention comes as two
        if not called or place in self._unrecorded:
            return
        if self._notices.notify_author(message, NOT_TAKEN) is None:
            return
        if len(self._unrecorded) >= MAX_UNRECORDED:
            del self._unrecorded[next(iter(self._unrecorded))]
        self._unrecorded[place] = None

    def _notify_queue_full(self, turn: Turn) -> None:
        """Tell somebody whose message was not taken, and note that they were told."""
        if turn.id in self._notifying:
            return
        told = partial(self._store.mark_notified, turn, FULL)
        task = self._notices.notify_author(turn.message, FULL, on_sent=told)
        if task is not None:
            self._notifying.add(turn.id)
            task.add_done_callback(lambda _: self._notifying.discard(turn.id))

    async def _run_overdue_work(self) -> None:
        """Do what could not be done when it should have been: because the bot was restarted, Slack
        was in trouble, or there was too much at once. Some were not told yet that their messages
        were not taken, and something may be shown that is over.

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
        """A person changed their message; `text` is the new one, readable like `Message.text`.

        Whether the message has a turn, so that its author has been told what comes of the edit.
        Raises `StoreError`.
        """
        turn = await self._store.turn_by_ts(team, channel, ts)
        if turn is None:
            return False
        wish = turn.message.options
        if wish.compare_models or wish.retry_of:
            self._notices.notify_author(turn.message, EDIT_OF_COMMAND)
            return True
        if wish.role:
            role, asked = split_role_prefix(text)
            text = asked if role == wish.role else text
        if turn.state is TurnState.WITHDRAWN or turn.message.text == text:
            return True
        taken = await self._store.update_text(turn, text)
        log.info("message %s was edited: %s", ts, "taken" if taken else "too late")
        self._notices.notify_author(turn.message, EDIT_TAKEN if taken else EDIT_TOO_LATE)
        return True

    async def handle_deletion(self, team: str, channel: str, ts: str) -> None:
        """A person deleted their message. Raises `StoreError`."""
        turn = await self._store.turn_by_ts(team, channel, ts)
        if turn is None or turn.state.final:
            return
        withdrawn = await self._store.withdraw(turn)
        log.info("message %s was deleted: %s", ts, "in time" if withdrawn else "too late")
        if withdrawn:
            self._undispatched.pop(turn.id, None)
            self._notices.clear_indicator(turn)
            self._wakeup.set()
        self._notices.notify_author(
            turn.message, DELETED_IN_TIME if withdrawn else DELETED_TOO_LATE
        )

    async def drop_waiting(self, thread: ThreadKey, requested_by: str = "") -> int:
        """Drop the turns of a thread that wait, and tell their authors, each once; `by` did it and
        is not told. How many there were. Raises `StoreError`."""
        dropped, told = 0, {requested_by}
        for turn in await self._store.waiting_turns(thread):
            if await self._store.withdraw(turn):
                dropped += 1
                self._undispatched.pop(turn.id, None)
                self._notices.clear_indicator(turn)
                if turn.message.user not in told:
                    told.add(turn.message.user)
                    self._notices.notify_author(turn.message, DROPPED)
        log.info("%d waiting turns of thread %s were dropped", dropped, thread)
        return dropped

    # Turns go out

    @asynccontextmanager
    async def dispatch_turns(self) -> AsyncIterator[None]:
        """Hand out turns while inside. Raises `StoreError` when what a restart left cannot be
        read; leaving takes at most the time to drain, and then some to close replies."""
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
        """Hand out turns until closing; whatever fails, it goes on."""
        pause = RETRY_INITIAL_SECONDS
        while not self._closing.is_set():
            self._wakeup.clear()
            try:
                await self._run_overdue_work()
                again = await self._dispatch_next()
                pause = RETRY_INITIAL_SECONDS
            except Exception as error:
                trouble = None if isinstance(error, BotError) else error
                log.warning(
                    "no turn can be claimed, again in %g s: %s", pause, error, exc_info=trouble
                )
                await wait_for_event(self._closing, self._clock, pause)
                pause = min(2 * pause, RETRY_MAX_SECONDS)
                continue
            if not again:
                await wait_for_event(self._wakeup, self._clock, POLL_SECONDS)

    async def _dispatch_next(self) -> bool:
        """Begin one turn, and tell whether another one may begin at once. Where none may begin, all
        that wait are shown so."""
        seen = list(self._undispatched)
        if self.running_count < self._max_turns:
            if self._interrupted:
                self._start_turn(self._interrupted.pop(0), interrupted=True)
                return True
            turn = None if self._paused else await self._claim()
            if turn is not None:
                self._start_turn(turn, interrupted=False)
                return self._may_have_waiting or bool(self._undispatched)
        for number in seen:
            waiting = self._undispatched.pop(number, None)
            if waiting is not None:
                self._may_have_waiting = True
                self._notices.schedule_indicator(waiting)
                if self._on_waiting is not None:
                    self._on_waiting(waiting)
        return bool(self._undispatched)  # came in while a claim was under way

    async def _claim(self) -> Turn | None:
        """The next turn that may run."""
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
        """A turn waits that may be claimed; a claim that is under way is looked after by itself."""
        self._undispatched[turn.id] = turn
        if not self._claiming:
            self._wakeup.set()

    def _on_slot_free(self) -> None:
        if self._interrupted or self._undispatched or self._may_have_waiting:
            self._wakeup.set()


async def _wait_or_cancel(task: asyncio.Task[None], timeout: float) -> None:
    """Wait until a task ends, which is cut short after `seconds`."""
    _, late = await asyncio.wait({task}, timeout=timeout)
    if late:
        log.warning("given up at the end: claiming turns")
        task.cancel()
        await asyncio.wait({task}, timeout=timeout)
