"""What the story asks of the database about messages, turns, threads and replies.

Every write is on disk (committed, fsynced) when its call returns. Everything raises `StoreError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.commands import Command, PendingQuestion, ThreadHold
from bot.domain.messages import Message, Thread, ThreadKey
from bot.domain.turns import AcceptResult, ClaimResult, ReplyPart, Turn, TurnResult, TurnState


class InboxStore(Protocol):
    """The truth about turns."""

    async def accept_message(self, message: Message) -> AcceptResult:
        """Record a message once and, where it is the bot's business, a waiting turn: one
        transaction.

        Unique by `event_id` and by `(team, channel, ts)`; a repeat changes nothing. A MENTION,
        COMMAND or MENU always makes a turn and makes its author part of the thread. A BOT_MENTION
        makes a turn, too, but its author takes no part, and beyond `MAX_CONSECUTIVE_BOT_TURNS` of
        them (`count_consecutive_bot_turns`) only one more, for the sentence that says so. So does a
        DIRECT, unless the thread is quiet (a `Preference` of `PreferenceKind.QUIET` for it). A
        FOLLOW_UP makes a turn when the thread is known (has had a turn) and not quiet, and its
        author is the only person in it. FOLLOW_UP and ASIDE in a known thread make their author
        part of it. A BOT is recorded as heard and changes nothing else. Everything else is
        OVERHEARD. A FOLLOW_UP or ASIDE that was heard before the message that made its thread
        known, and was written after that one, is judged once more when it comes again; `overtaken`
        says that there are such. More than the store's bound of waiting turns, in a thread or in
        all, is FULL: recorded as a refused turn. One that is to answer a turn anew
        (`MessageOptions.retry_of`) is TAKEN, and makes none, where another turn does that already:
        of two who want it at once one gets it.
        """
        ...

    async def claim(self) -> ClaimResult:
        """Take the next turn that may run, as RUNNING with its epoch raised; and tell how many
        wait still.

        Of each thread the open turn with the lowest `ts`, and only while no other of that thread
        runs; no more than the store's bound per user at once, those not counted whose ending is on
        record, and none that an order holds (`CommandStore.accept_command`); oldest accepted first.
        """
        ...

    async def mark_prompted(self, turn: Turn) -> bool:
        """Called right before the prompt is sent. False when a turn of the thread with a lower
        `ts`, or an order that holds it, came in meanwhile: this turn has to be handed back then, as
        soon as nothing of it is going on any more. False also when the epoch is old."""
        ...

    async def requeue(self, turn: Turn) -> bool:
        """Make a RUNNING turn WAITING again, and one of `IndicatorStore.stale_status_indicators`;
        False when the epoch is old."""
        ...

    async def record_result(self, turn: Turn, result: TurnResult) -> bool:
        """Store how the turn ends, before the last of it is posted; False when the epoch is
        old."""
        ...

    async def finish_turn(
        self, turn: Turn, state: TurnState, *, status_uncleared: bool = False
    ) -> bool:
        """End a turn: add what its ending spent to its session's sums, and keep the parts of its
        reply as closed. False when the epoch is old, and then the caller must not show anything.

        `status_left`: its thread may show still that the bot works
        (`IndicatorStore.stale_status_indicators`).
        """
        ...

    async def recover(self) -> Sequence[Turn]:
        """For the start: claim anew (epoch raised) every turn that was RUNNING, oldest first. They
        are among `IndicatorStore.stale_status_indicators`."""
        ...

    async def turn_by_ts(self, team: str, channel: str, ts: str) -> Turn | None:
        """The turn of a message, or None."""
        ...

    async def turn_by_id(self, number: int) -> Turn | None:
        """The turn with this id, or None."""
        ...

    async def running_turn(self, thread: ThreadKey) -> Turn | None:
        """The thread's running turn, or None."""
        ...

    async def latest_retry(self, turn: int) -> Turn | None:
        """The newest turn that was made to answer this one anew (`MessageOptions.retry_of`), or
        None; not one that never began (REFUSED, WITHDRAWN)."""
        ...

    async def running_turns(self, user: str = "") -> Sequence[Turn]:
        """All running turns, or those of one person; the longest running first, 100 at most."""
        ...

    async def waiting_turns(self, thread: ThreadKey | None = None) -> Sequence[Turn]:
        """The waiting turns of a thread, or of all, in order; 1,000 at most."""
        ...

    async def queue_length(self) -> int:
        """How many turns wait, in all."""
        ...

    async def unnotified(self, since: float) -> Sequence[Turn]:
        """Those refused by `accept` (FULL) since a time of whom it was not noted (`mark_notified`)
        that their author was told; the oldest 100."""
        ...

    async def mark_notified(self, turn: Turn, notice: str) -> None:
        """Note that the author of such a turn was told."""
        ...

    async def update_text(self, turn: Turn, text: str) -> bool:
        """Replace the text of a WAITING turn; False when it no longer waits."""
        ...

    async def withdraw(self, turn: Turn) -> bool:
        """End a WAITING turn as WITHDRAWN; False when it no longer waits."""
        ...


class ThreadStore(Protocol):
    """What is known of threads and of the messages of replies."""

    async def thread_by_key(self, key: ThreadKey) -> Thread | None:
        """A known thread (one that has had a turn), or None."""
        ...

    async def add_participants(self, key: ThreadKey, users: frozenset[str]) -> None:
        """Add people to a thread, and note that its earlier messages have been looked at."""
        ...

    async def save_part(self, turn: Turn, part: ReplyPart) -> None:
        """Keep where a part of a reply stands; replaces what was kept under the same number.
        On disk when the call returns."""
        ...

    async def reply_parts(self, turn: Turn) -> Sequence[ReplyPart]:
        """The kept parts of a turn's reply, by number."""
        ...

    async def has_unseen_messages(
        self, thread: ThreadKey, after: str, before: str, session: int
    ) -> bool:
        """Whether people wrote messages in a thread after one `ts` and before another that are on
        record (`accept`), that were no orders, and that this session was not asked."""
        ...

    async def count_consecutive_bot_turns(self, message: Message) -> int:
        """How many turns bots asked for in a message's thread before it since a person wrote
        there."""
        ...

    async def add_thread(self, key: ThreadKey, users: frozenset[str]) -> None:
        """Make a thread known that the bot itself began, with these people in it; nothing where it
        is known already."""
        ...


class CommandStore(Protocol):
    """Orders, from being given to being carried out."""

    async def accept_command(self, command: Command, hold: ThreadHold | None = None) -> bool:
        """Record an order; False when it was recorded before. Unique by key, and by channel and
        `ts` together with the messages of `InboxStore.accept_message` (Slack delivers a mention
        twice). With `hold`, the turns of some threads with a higher position are not claimed, and
        not begun, until it is released, or the time in it has come."""
        ...

    async def release_hold(self, key: str) -> None:
        """An order was carried out: nothing waits for it any more."""
        ...

    async def renew_holds(self, expires_at: float) -> Mapping[str, ThreadHold]:
        """For the start: the orders, by key, that were not carried out and that turns wait for, and
        do so until then. Not those without which their thread has gone on."""
        ...

    async def finish_command(self, key: str) -> None:
        """An order was carried out, and who gave it was told; nothing waits for it any more."""
        ...

    async def unfinished_commands(self) -> Sequence[Command]:
        """For the start: what was not carried out, or nobody was told; the oldest 400. Each
        stays unfinished until `finish_command`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A stretch of time in which everything was heard, in seconds since the epoch."""

    since: float
    until: float


class CheckpointStore(Protocol):
    """Remembers, over restarts, until when everything was heard. Everything raises `StoreError`."""

    async def load_checkpoint(self) -> Checkpoint | None:
        """From when until when everything that was said has been heard; None where nothing ever
        was."""
        ...

    async def save_checkpoint(self, until: float) -> None:
        """Note that everything said up to then has been heard, the first time also that nothing
        before was. What was noted last counts, also where the clock was put back meanwhile: a note
        of a time that has not come would hide what is missed until then."""
        ...

    async def active_threads(
        self, team: str, since: float, max_threads: int
    ) -> Sequence[ThreadKey]:
        """The known threads (those that have had a turn) in which messages were heard since then,
        the last one heard first; `most` at most."""
        ...


class PendingQuestionStore(Protocol):
    """Questions asked by command, from being asked to being a message."""

    async def save_question(self, question: PendingQuestion) -> bool:
        """Keep a question; False when it is kept already, or has become a message since."""
        ...

    async def delete_question(self, event_id: str) -> None:
        """Forget a question: it has become a message, or never will."""
        ...

    async def pending_questions(self) -> Sequence[PendingQuestion]:
        """What was asked and has not become a message; the oldest 400. Those that have are
        forgotten."""
        ...


class IndicatorStore(Protocol):
    """What may still be shown in Slack. Everything raises `StoreError`."""

    async def add_waiting_indicator(self, turn: Turn) -> bool:
        """Note that the person is being shown that the message waits; False when it no longer
        does, or when 200 messages may be marked so already: more could not be taken back soon.
        Said before Slack is."""
        ...

    async def remove_waiting_indicator(self, turn: Turn) -> None:
        """Note that a message is not marked as waiting, or no longer. Said after Slack is."""
        ...

    async def stale_waiting_indicators(self, after: int) -> Sequence[Turn]:
        """Turns that wait no longer and whose messages may still be marked as waiting, with a
        higher id than `after`: the 100 oldest."""
        ...

    async def remove_status_indicator(self, turn: Turn) -> None:
        """Note that a turn's thread does not show work on its account. Said after Slack is."""
        ...

    async def stale_status_indicators(self, after: int) -> Sequence[Turn]:
        """Turns whose threads may show that the bot works, and whose replies do not take that back
        any more, with a higher id than `after`: the 100 oldest."""
        ...
