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
from bot.domain.turns import Acceptance, Accepted, Turn, TurnState
from bot.errors import BotError, StoreError
from bot.ports import UNWATCHED, Clock, Store, Watch, Workspace
from bot.sessions.roles import spoken_to
from bot.tasks import either
from bot.turns.indicator_cleanup import statuses_of
from bot.turns.queue_notices import WaitingSigns
from bot.turns.runner import RETRY_FIRST_SECONDS, RETRY_MOST_SECONDS, Handler, RunningTurns

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

LOOK_SECONDS = 30.0
"""How often it is looked for waiting turns that nobody has told of, for refused ones whose authors
were not told, and for what is still shown in Slack and should not be."""
UNTOLD_SECONDS = 3600.0
"""For so long after their message people are told that it was not taken."""
DISPATCH_SECONDS = 6.0
"""How long a claim that is under way at the end may take: as long as a locked database is waited
for."""
SIGNS_SECONDS = 2.0
MOST_UNTAKEN = 1_000
"""Messages that could not be recorded, of which it is remembered that their authors know it."""


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
        watch: Watch = UNWATCHED,
    ) -> None:
        """`on_waiting` is told of each turn that has to wait for another one to end."""
        self._store = store
        self._clock = clock
        self._max_turns = max_turns
        self._drain_seconds = drain_seconds
        self._on_waiting = on_waiting
        self._paused = False
        self._going_on = asyncio.Event()
        self._signs = WaitingSigns(store, workspace, clock)
        self._statuses = statuses_of(store, workspace, clock)
        self._accepted: dict[int, Turn] = {}  # not handed out yet, nor shown as waiting
        self._unsettled: list[Turn] = []  # what a restart found half-way
        self._claiming = False
        self._more_wait = True  # as far as is known
        self._untaken: dict[tuple[str, str], None] = {}
        self._telling: set[int] = set()  # turns whose authors are being told that they are refused
        self._look_at = float("-inf")
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._running = RunningTurns(
            *(store, clock, handler, self._signs),
            on_change=self._place_is_free,
            on_waiting=self._wait,
            watch=watch,
        )

    @property
    def busy(self) -> int:
        """How many turns run."""
        return self._running.busy

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

    def look_again(self) -> None:
        """Turns may be claimed that could not be until now: what they waited for is done."""
        self._more_wait = True
        self._woken.set()

    async def until_idle(self, seconds: float) -> bool:
        """Wait until no turn runs, or until it goes on, `seconds` at most; whether none runs."""
        self._going_on.clear()
        if self.busy:
            waits = (self._running.until_none(), self._going_on.wait(), self._clock.sleep(seconds))
            await either(*waits)
        return not self.busy

    # Messages come in

    async def accept(self, message: Message) -> Accepted:
        """Take a message in: on disk when this returns.

        Raises `StoreError`: then it is not, and Slack must not be told that it arrived.
        """
        if message.trigger not in (Trigger.ASIDE, Trigger.BOT):
            self._woken.set()  # at once: its turn may be claimed in the commit that records it
        try:
            accepted = await self._store.accept(message)
        except BaseException as error:
            self._woken.set()  # it may be on record all the same, for who gave up waiting as well
            if isinstance(error, StoreError):
                self._tell_untaken(message)
            raise
        # What people say to each other is nobody's news, and a line costs as much as recording it.
        level, what = logging.DEBUG if accepted.turn is None else logging.INFO, accepted.acceptance
        log.log(level, "message %s of thread %s: %s", message.ts, message.thread, what)
        if accepted.acceptance is Acceptance.FULL and accepted.turn is not None:
            self._tell_full(accepted.turn)
        elif accepted.acceptance is Acceptance.SCHEDULED and accepted.turn is not None:
            if not self._running.has(accepted.turn.id):
                self._wait(accepted.turn)
            if self._paused:
                self._signs.whisper(message, PAUSED)
        return accepted

    def _tell_untaken(self, message: Message) -> None:
        """Tell who called the bot that it cannot take the message, once, however often Slack brings
        it again."""
        called = message.trigger in (Trigger.MENTION, Trigger.DIRECT)
        place = (message.thread.channel, message.ts)  # not its event: a mention comes as two
        if not called or place in self._untaken:
            return
        if self._signs.whisper(message, NOT_TAKEN) is None:
            return
        if len(self._untaken) >= MOST_UNTAKEN:
            del self._untaken[next(iter(self._untaken))]
        self._untaken[place] = None

    def _tell_full(self, turn: Turn) -> None:
        """Tell somebody whose message was not taken, and note that they were told."""
        if turn.id in self._telling:
            return
        told = partial(self._store.note_told, turn, FULL)
        task = self._signs.whisper(turn.message, FULL, then=told)
        if task is not None:
            self._telling.add(turn.id)
            task.add_done_callback(lambda _: self._telling.discard(turn.id))

    async def _catch_up(self) -> None:
        """Do what could not be done when it should have been: because the bot was restarted, Slack
        was in trouble, or there was too much at once. Some were not told yet that their messages
        were not taken, and something may be shown that is over.

        Raises `StoreError`.
        """
        if self._clock.monotonic() < self._look_at:
            return
        self._look_at = self._clock.monotonic() + LOOK_SECONDS
        self._signs.look()
        self._statuses.look()
        for turn in await self._store.untold(self._clock.now() - UNTOLD_SECONDS):
            self._tell_full(turn)

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
        self._running.opening()
        self._unsettled, self._more_wait = list(await self._store.recover()), True
        dispatcher = asyncio.create_task(self._dispatch())
        try:
            yield
        finally:
            self._closing.set()
            self._running.closing()
            self._woken.set()
            await _ended(dispatcher, DISPATCH_SECONDS)
            await self._running.drain(self._drain_seconds)
            await self._statuses.close()
            await self._signs.close(SIGNS_SECONDS)

    async def _dispatch(self) -> None:
        """Hand out turns until closing; whatever fails, it goes on."""
        pause = RETRY_FIRST_SECONDS
        while not self._closing.is_set():
            self._woken.clear()
            try:
                await self._catch_up()
                again = await self._hand_out()
                pause = RETRY_FIRST_SECONDS
            except Exception as error:
                trouble = None if isinstance(error, BotError) else error
                log.warning(
                    "no turn can be claimed, again in %g s: %s", pause, error, exc_info=trouble
                )
                await either(self._closing.wait(), self._clock.sleep(pause))
                pause = min(2 * pause, RETRY_MOST_SECONDS)
                continue
            if not again:
                await either(self._woken.wait(), self._clock.sleep(LOOK_SECONDS))

    async def _hand_out(self) -> bool:
        """Begin one turn, and tell whether another one may begin at once. Where none may begin, all
        that wait are shown so."""
        seen = list(self._accepted)
        if self.busy < self._max_turns:
            if self._unsettled:
                self._begin(self._unsettled.pop(0), settle=True)
                return True
            turn = None if self._paused else await self._claim()
            if turn is not None:
                self._begin(turn, settle=False)
                return self._more_wait or bool(self._accepted)
        for number in seen:
            waiting = self._accepted.pop(number, None)
            if waiting is not None:
                self._more_wait = True
                self._signs.show(waiting)
                if self._on_waiting is not None:
                    self._on_waiting(waiting)
        return bool(self._accepted)  # came in while a claim was under way

    async def _claim(self) -> Turn | None:
        """The next turn that may run."""
        self._claiming = True
        try:
            claimed = await self._store.claim()
        finally:
            self._claiming = False
        self._more_wait = claimed.waiting > 0
        return claimed.turn

    def _begin(self, turn: Turn, *, settle: bool) -> None:
        self._accepted.pop(turn.id, None)
        self._signs.take_back(turn)
        self._running.begin(turn, settle=settle)

    def _wait(self, turn: Turn) -> None:
        """A turn waits that may be claimed; a claim that is under way is looked after by itself."""
        self._accepted[turn.id] = turn
        if not self._claiming:
            self._woken.set()

    def _place_is_free(self) -> None:
        if self._unsettled or self._accepted or self._more_wait:
            self._woken.set()


async def _ended(task: asyncio.Task[None], seconds: float) -> None:
    """Wait until a task ends, which is cut short after `seconds`."""
    _, late = await asyncio.wait({task}, timeout=seconds)
    if late:
        log.warning("given up at the end: claiming turns")
        task.cancel()
        await asyncio.wait({task}, timeout=seconds)
