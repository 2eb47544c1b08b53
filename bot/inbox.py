"""The inbox: every message once, in order, and none lost over a restart.

accept  → recorded and committed before Slack is told that it arrived
running → what a restart found half-way is settled; waiting turns are handed out, one at a time
          per thread, at most `max_turns` at once
leaving → nothing new; running turns get a while to end, the rest wait for the next start
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from bot.errors import BotError, StoreError
from bot.logs import about
from bot.model import Acceptance, Accepted, Message, ThreadKey, Turn, TurnState
from bot.ports import Clock, Store, Workspace
from bot.roles import spoken_to
from bot.waiting import WaitingSigns

log = logging.getLogger(__name__)

# What people are told ---------------------------------------------------------------------------

PAUSED = (
    "I'm paused by the people in charge of me. Your message waits, and I'll answer it when I go on."
)
DROPPED = "Somebody in this thread dropped the messages that were waiting, yours among them."
FULL = "Sorry, too many messages are waiting for me just now. Please ask again later."
EDIT_TAKEN = "I've seen your edit and will answer the new text."
EDIT_TOO_LATE = (
    "Your edit came after I had begun with your message. Please ask again to get the new text "
    "answered."
)
EDIT_OF_ORDER = (
    "Your edit doesn't change what you had me do. Delete the message while it waits, and write it "
    "anew."
)
DELETED_IN_TIME = "You deleted your message before I got to it, so I won't answer it."
DELETED_TOO_LATE = (
    "You deleted your message when I was answering it already. "
    "Press Stop if you no longer need the answer."
)

# ------------------------------------------------------------------------------------------------

RETRY_FIRST_SECONDS = 0.1
RETRY_MOST_SECONDS = 30.0
SETTLE_SECONDS = 3600.0
"""How long an ending on record is tried to be shown, while Slack is in trouble. Until then it holds
its thread and its person's place."""
LOOK_SECONDS = 30.0
"""How often it is looked for waiting turns that nobody has told of."""
CANCEL_SECONDS = 45.0
"""How long cancelled turns get to close their replies: Slack may take 30 s, the model 5 s."""
SIGNS_SECONDS = 5.0


class Handler(Protocol):
    """Who answers."""

    async def take(self, turn: Turn) -> None:
        """Bring a claimed turn to its end, or let it wait again."""
        ...

    async def settle(self, turn: Turn) -> None:
        """Bring a turn to its end that was cut short; shows its answer when one is on record."""
        ...


class Inbox:
    """Takes messages in and hands turns out."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        workspace: Workspace,
        handler: Handler,
        *,
        max_turns: int,
        drain_seconds: float = 20.0,
        on_waiting: Callable[[Turn], None] | None = None,
    ) -> None:
        """`on_waiting` is told of each turn that has to wait for another one to end."""
        self._store = store
        self._clock = clock
        self._handler = handler
        self._max_turns = max_turns
        self._drain_seconds = drain_seconds
        self._on_waiting = on_waiting
        self._paused = False
        self._going_on = asyncio.Event()
        self._signs = WaitingSigns(store, workspace)
        self._accepted: dict[int, Turn] = {}  # not handed out yet, nor shown as waiting
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()

    @property
    def busy(self) -> int:
        """How many turns run."""
        return len(self._tasks)

    @property
    def paused(self) -> bool:
        """Whether no new turns are handed out."""
        return self._paused

    def pause(self) -> None:
        """Hand out no new turns: messages are taken, and wait. What runs goes on to its end."""
        self._paused = True

    def go_on(self) -> None:
        """Hand out turns again."""
        self._paused = False
        self._going_on.set()
        self._woken.set()

    async def until_idle(self, seconds: float) -> bool:
        """Wait until no turn runs, or until it goes on, `seconds` at most; whether none runs."""
        self._going_on.clear()
        if self._tasks:
            waits = (self._nothing_runs(), self._going_on.wait(), self._clock.sleep(seconds))
            await _either(*waits)
        return not self._tasks

    async def _nothing_runs(self) -> None:
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    # Messages come in

    async def accept(self, message: Message) -> Accepted:
        """Take a message in: on disk when this returns.

        Raises `StoreError`: then it is not, and Slack must not be told that it arrived.
        """
        try:
            accepted = await self._store.accept(message)
        finally:
            # Whoever gives up waiting may have a message on record all the same.
            self._woken.set()
        log.info("message %s of thread %s: %s", message.ts, message.thread, accepted.acceptance)
        if accepted.acceptance is Acceptance.FULL:
            self._signs.whisper(message, FULL)
        elif accepted.acceptance is Acceptance.SCHEDULED and accepted.turn is not None:
            self._accepted[accepted.turn.id] = accepted.turn
            if self._paused:
                self._signs.whisper(message, PAUSED)
        return accepted

    async def edited(self, team: str, channel: str, ts: str, text: str) -> bool:
        """A person changed their message; `text` is the new one, readable like `Message.text`.

        Whether the message has a turn, so that its author has been told what comes of the edit.
        Raises `StoreError`.
        """
        turn = await self._store.find(team, channel, ts)
        if turn is None:
            return False
        wish = turn.message.wish
        if wish.compare or wish.again:
            self._signs.whisper(turn.message, EDIT_OF_ORDER)
            return True
        if wish.role:
            role, asked = spoken_to(text)
            text = asked if role == wish.role else text
        if turn.state is TurnState.WITHDRAWN or turn.message.text == text:
            return True
        taken = await self._store.reword(turn, text)
        log.info("message %s was edited: %s", ts, "taken" if taken else "too late")
        self._signs.whisper(turn.message, EDIT_TAKEN if taken else EDIT_TOO_LATE)
        return True

    async def deleted(self, team: str, channel: str, ts: str) -> None:
        """A person deleted their message. Raises `StoreError`."""
        turn = await self._store.find(team, channel, ts)
        if turn is None or turn.state.final:
            return
        withdrawn = await self._store.withdraw(turn)
        log.info("message %s was deleted: %s", ts, "in time" if withdrawn else "too late")
        if withdrawn:
            self._accepted.pop(turn.id, None)
            self._signs.take_back(turn)
            self._woken.set()
        self._signs.whisper(turn.message, DELETED_IN_TIME if withdrawn else DELETED_TOO_LATE)

    async def clear(self, thread: ThreadKey, by: str = "") -> int:
        """Drop the turns of a thread that wait, and tell their authors, each once; `by` did it and
        is not told. How many there were. Raises `StoreError`."""
        dropped, told = 0, {by}
        for turn in await self._store.waiting(thread):
            if await self._store.withdraw(turn):
                dropped += 1
                self._accepted.pop(turn.id, None)
                self._signs.take_back(turn)
                if turn.message.user not in told:
                    told.add(turn.message.user)
                    self._signs.whisper(turn.message, DROPPED)
        log.info("%d waiting turns of thread %s were dropped", dropped, thread)
        return dropped

    # Turns go out

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hand out turns while inside. Raises `StoreError` when what a restart left cannot be
        read; leaving takes at most the time to drain, and then some to close replies."""
        self._closing.clear()
        dispatcher = asyncio.create_task(self._dispatch(await self._store.recover()))
        try:
            yield
        finally:
            self._closing.set()
            self._woken.set()
            await dispatcher
            await self.drain(self._drain_seconds)
            await self._signs.close(SIGNS_SECONDS)

    async def drain(self, seconds: float) -> None:
        """Give running turns `seconds` to end; those that do not are cut short, and wait for the
        next start. For when no more are handed out."""
        if self._tasks:
            log.info("waiting up to %g s for %d running turns", seconds, len(self._tasks))
            await _either(asyncio.wait(set(self._tasks)), self._clock.sleep(seconds))
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, stuck = await asyncio.wait(set(self._tasks), timeout=CANCEL_SECONDS)
            for task in stuck:
                log.error("%s does not end; the next start will settle it", task.get_name())

    async def _dispatch(self, unsettled: Sequence[Turn]) -> None:
        """Hand out turns until closing; whatever fails, it goes on."""
        left, pause = list(unsettled), RETRY_FIRST_SECONDS
        while not self._closing.is_set():
            self._woken.clear()
            try:
                moved = await self._hand_out(left)
                pause = RETRY_FIRST_SECONDS
            except Exception as error:
                trouble = None if isinstance(error, BotError) else error
                log.warning(
                    "no turn can be claimed, again in %g s: %s", pause, error, exc_info=trouble
                )
                await self._pause(pause)
                pause = min(2 * pause, RETRY_MOST_SECONDS)
                continue
            if not moved:
                await _either(self._woken.wait(), self._clock.sleep(LOOK_SECONDS))

    async def _hand_out(self, unsettled: list[Turn]) -> bool:
        """Begin one turn; False when none may begin now, and then all that wait are shown so."""
        seen = list(self._accepted)
        if len(self._tasks) < self._max_turns:
            if unsettled:
                self._begin(unsettled.pop(0), settle=True)
                return True
            turn = None if self._paused else await self._store.claim()
            if turn is not None:
                self._begin(turn, settle=False)
                return True
        for number in seen:
            waiting = self._accepted.pop(number, None)
            if waiting is not None:
                self._signs.show(waiting)
                if self._on_waiting is not None:
                    self._on_waiting(waiting)
        return False

    def _begin(self, turn: Turn, *, settle: bool) -> None:
        self._accepted.pop(turn.id, None)
        self._signs.take_back(turn)
        run = self._settle(turn) if settle else self._take(turn)
        task = asyncio.create_task(run, name=f"turn {turn.id}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._woken.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("%s broke off", task.get_name(), exc_info=task.exception())

    # A turn runs

    async def _take(self, turn: Turn) -> None:
        with about(turn):
            try:
                error = await _tried(self._handler.take, turn)
            except asyncio.CancelledError:
                await self._let_wait(turn)
                raise
            await self._see_to_end(turn, error)

    async def _settle(self, turn: Turn) -> None:
        # Cut short again it stays as it is: the next start finds it as this one did.
        with about(turn):
            error = await _tried(self._handler.settle, turn)
            await self._see_to_end(turn, error)

    async def _let_wait(self, turn: Turn) -> None:
        """Leave a turn that is cut short to the next start: to be answered afresh or, with its
        answer on record, to be shown."""
        try:
            left = await self._still_running(turn)
            if left is not None and left.ending is None:
                await self._store.hand_back(left)
                log.info("turn is cut short and waits for the next start")
        except StoreError as error:
            log.warning("turn could not be handed back, the next start settles it: %s", error)

    async def _see_to_end(self, turn: Turn, error: Exception | None) -> None:
        """A turn whose handler is through must have ended, or it would block its thread for ever.

        An ending on record is shown, again and again while trouble lasts that may pass. Without
        one, or after trouble of our own, the turn ends here.
        """
        pause, until = RETRY_FIRST_SECONDS, self._clock.monotonic() + SETTLE_SECONDS
        hopeless = False
        while not self._closing.is_set():
            try:
                left = await self._still_running(turn)
                if left is None:
                    return
                if left.ending is None or hopeless or self._clock.monotonic() >= until:
                    await self._fail(left, error)
                    return
                error = await _tried(self._handler.settle, left)
                hopeless = not isinstance(error, BotError)
                if hopeless:
                    continue
            except StoreError as trouble:
                log.warning("turn cannot be ended: %s; again in %g s", trouble, pause)
            await self._pause(pause)
            pause = min(2 * pause, RETRY_MOST_SECONDS)

    async def _still_running(self, turn: Turn) -> Turn | None:
        """The turn as it is on record, if it still runs under this claim."""
        key = turn.message.thread
        left = await self._store.find(key.team, key.channel, turn.message.ts)
        if left is not None and left.state is TurnState.WAITING:
            # It gave way to an earlier message: shown as waiting, unless it is claimed at once.
            self._accepted[left.id] = left
        if left is None or left.state is not TurnState.RUNNING or left.epoch != turn.epoch:
            return None
        return left

    async def _fail(self, turn: Turn, error: Exception | None) -> None:
        log.error("turn was left open by its handler and ends as failed")
        if await self._store.finish(turn, TurnState.FAILED) and error is not None:
            sentence = error.sentence if isinstance(error, BotError) else BotError.sentence
            self._signs.whisper(turn.message, sentence)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until closing."""
        await _either(self._closing.wait(), self._clock.sleep(seconds))


async def _tried(work: Callable[[Turn], Awaitable[None]], turn: Turn) -> Exception | None:
    """Let the handler have a turn; what it could not cope with, logged."""
    try:
        await work(turn)
    except BotError as error:
        log.warning("turn could not be brought to its end: %s", error)
        return error
    except Exception as error:
        log.exception("the handler of turns failed")
        return error
    return None


async def _either(*waits: Coroutine[object, object, object]) -> None:
    """Until one of them is through; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
