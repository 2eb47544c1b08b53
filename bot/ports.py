"""What the story (inbox, turns, sessions) asks of the world: time, a store, an agent, Slack.

Each port is a handful of verbs, and each verb's promise stands here, where those who implement it
look. Implementations raise `BotError`s only; cancellation passes through everything untouched.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from bot.model import (
    Accepted,
    AgentEvent,
    Ending,
    Message,
    Part,
    Thread,
    ThreadKey,
    Turn,
    TurnState,
)


class Clock(Protocol):
    """Time, handed in so that tests can move it."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; for measuring."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class InboxStore(Protocol):
    """The truth about turns. Every write is on disk (committed, fsynced) when the call returns."""

    async def accept(self, message: Message) -> Accepted:
        """Record a message once and, where it is the bot's business, a waiting turn: one
        transaction.

        Unique by `event_id` and by `(team, channel, ts)`; a repeat changes nothing.
        A MENTION, DIRECT or COMMAND always makes a turn and makes its author part of the thread.
        A FOLLOW_UP makes a turn when the thread is known (has had a turn) and its author is the
        only person in it. FOLLOW_UP and ASIDE in a known thread make their author part of it.
        Everything else is OVERHEARD. More than the store's bound of waiting turns, in a thread or
        in all, is FULL: recorded as a refused turn.
        """
        ...

    async def claim(self) -> Turn | None:
        """Take the next turn that may run, as RUNNING with its epoch raised, or None.

        Of each thread the open turn with the lowest `ts`, and only while no other of that thread
        runs; no more than the store's bound per user at once; oldest accepted first.
        """
        ...

    async def begin(self, turn: Turn) -> bool:
        """Called right before the prompt is sent. False when a turn of the thread with a lower
        `ts` came in meanwhile: this turn has to be handed back then, as soon as nothing of it
        is going on any more. False also when the epoch is old."""
        ...

    async def hand_back(self, turn: Turn) -> bool:
        """Make a RUNNING turn WAITING again; False when the epoch is old."""
        ...

    async def show_waiting(self, turn: Turn) -> bool:
        """Note that the person is being shown that the message waits; False when it no longer
        does."""
        ...

    async def record(self, turn: Turn, ending: Ending) -> bool:
        """Store how the turn ends, before the last of it is posted; False when the epoch is
        old."""
        ...

    async def finish(self, turn: Turn, state: TurnState) -> bool:
        """End a turn; False when the epoch is old, and then the caller must not show anything."""
        ...

    async def recover(self) -> Sequence[Turn]:
        """For the start: claim anew (epoch raised) every turn that was RUNNING, oldest first."""
        ...

    async def find(self, team: str, channel: str, ts: str) -> Turn | None:
        """The turn of a message, or None."""
        ...

    async def running(self, thread: ThreadKey) -> Turn | None:
        """The thread's running turn, or None."""
        ...

    async def reword(self, turn: Turn, text: str) -> bool:
        """Replace the text of a WAITING turn; False when it no longer waits."""
        ...

    async def withdraw(self, turn: Turn) -> bool:
        """End a WAITING turn as WITHDRAWN; False when it no longer waits."""
        ...


class ThreadStore(Protocol):
    """What is known of threads and of the messages of replies."""

    async def thread(self, key: ThreadKey) -> Thread | None:
        """A known thread (one that has had a turn), or None."""
        ...

    async def note_people(self, key: ThreadKey, people: frozenset[str]) -> None:
        """Add people to a thread, and note that its earlier messages have been looked at."""
        ...

    async def note_part(self, turn: Turn, part: Part) -> None:
        """Keep where a part of a reply stands; replaces what was kept under the same number.
        On disk when the call returns."""
        ...

    async def parts(self, turn: Turn) -> Sequence[Part]:
        """The kept parts of a turn's reply, by number."""
        ...


class Store(InboxStore, ThreadStore, Protocol):
    """The whole database."""

    async def check(self) -> None:
        """Raise `StoreError` unless a message could be recorded just now."""
        ...


class AgentSession(Protocol):
    """One live session of the runtime. One prompt at a time: the caller sees to it."""

    @property
    def id(self) -> str: ...

    @property
    def alive(self) -> bool:
        """False once the runtime behind it has gone; it must then be opened anew."""
        ...

    def ask(self, prompt: str) -> AsyncGenerator[AgentEvent, None]:
        """Send a prompt and follow the answer to its end.

        Ends normally when the session is idle again, with `AnswerStopped` last when stopped.
        Raises `AgentError` for every other end: among them silence (no event for the configured
        time: the answer is aborted first) and a runtime that died (noticed within 2 s).
        A consumer that stops reading must `aclose()` the iterator; that aborts the answer and
        returns within 5 s whatever the runtime does. Cancellation does the same.
        """
        ...

    async def stop(self) -> None:
        """Abort the running answer, if there is one; `ask` then ends with `AnswerStopped`.
        Returns within 5 s whatever the runtime does. Safe when idle."""
        ...

    async def close(self) -> None:
        """Let go of the session; its memory stays on disk. Bounded, never raises."""
        ...


class Agent(Protocol):
    """The Copilot runtime."""

    async def open(self, session_id: str) -> AgentSession:
        """Resume the session or, only when the runtime says that there is none, create it.

        Starts the runtime when it is not running. Raises `AgentError`; bounded to 60 s.
        """
        ...


class Reply(Protocol):
    """A turn's answer as the thread sees it, in one or more messages. One writer: the turn.

    `append` and `replace` return at once: the text goes out at Slack's pace; `finish` waits for
    Slack for 120 s at most. Trouble with Slack on the way changes how the text is delivered, never
    the text.
    """

    def append(self, text: str) -> None:
        """The model said more."""
        ...

    def replace(self, text: str) -> None:
        """The whole answer up to here is `text`, whatever was appended before."""
        ...

    async def finish(self, text: str, note: str = "") -> None:
        """Show the whole answer `text`, then `note` (a sentence of the bot's own, set apart),
        and close. When it returns, the thread shows exactly that.

        Raises `SlackError`: with `passing` True when Slack could not be had in that time, and then
        some, all or none of the answer stands in the thread; another `reply_to` of the same turn,
        with the parts kept, may finish it, and nothing then stands there twice. With `passing`
        False Slack would not have it by any way of delivery.
        """
        ...


class Workspace(Protocol):
    """What the story asks of Slack."""

    def reply_to(
        self, turn: Turn, people: frozenset[str], earlier: Sequence[Part] = ()
    ) -> AbstractAsyncContextManager[Reply]:
        """A reply in the turn's thread, delivered to fit those who take part.

        While it is open the thread shows that the bot works (native status with Stop button).
        `earlier` are the parts that a turn cut short had put out: they are taken over, edited and
        closed, so that nothing stands in the thread twice. The same holds for what an unfinished
        reply of this turn put out unnoted. Leaving closes whatever is open and
        takes the status back; bounded to 30 s, and never raises for Slack's sake.
        """
        ...

    async def people_in(self, thread: ThreadKey) -> frozenset[str]:
        """Those who have written in the thread (persons only), from Slack; bounded to the first
        1,000 messages, for Slack tells the oldest first, and to 10 s."""
        ...

    async def mark_waiting(self, message: Message) -> None:
        """Show on the message that it waits. Never raises for Slack's sake."""
        ...

    async def unmark_waiting(self, message: Message) -> None:
        """Take that back; fine when it was never shown."""
        ...

    async def whisper(self, message: Message, sentence: str) -> None:
        """Tell the author alone, where the message stands. Never raises for Slack's sake."""
        ...
