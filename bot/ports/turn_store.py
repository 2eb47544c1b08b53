"""Defines the store's interface for messages, turns, threads and commands.

Every write is on disk (committed, fsynced) when its call returns. Every method raises `StoreError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.commands import Command, PendingQuestion, ThreadHold
from bot.domain.messages import Message, Thread, ThreadKey
from bot.domain.turns import AcceptResult, ClaimResult, ReplyPart, Turn, TurnResult, TurnState


class InboxStore(Protocol):
    """Store of messages and turns. It decides what a turn's state is."""

    async def accept_message(self, message: Message) -> AcceptResult:
        """Record a message once and, if the bot is to answer it, a waiting turn, in one
        transaction.

        Messages are unique by `event_id` and by `(team, channel, ts)`; a repeat changes nothing.

        MENTION, COMMAND and REPLY_ACTION always make a turn, and their author becomes a participant
        of the thread.

        BOT_MENTION makes a turn, too, but its author does not become a participant. Beyond
        `MAX_CONSECUTIVE_BOT_TURNS` of them (`count_consecutive_bot_turns`) only one more makes a
        turn: it carries the notice.

        DIRECT makes a turn unless the thread is quiet (a `Preference` of `PreferenceKind.QUIET` for
        it).

        FOLLOW_UP makes a turn if the thread is known (has had a turn), is not quiet, and its author
        is the only participant. FOLLOW_UP and OVERHEARD in a known thread make their author a
        participant.

        BOT is recorded and changes nothing else. All other messages have the status OVERHEARD.

        Slack may deliver a FOLLOW_UP or OVERHEARD before an older message that makes its thread
        known. It is evaluated again when it is accepted again; `AcceptResult.out_of_order` says
        that there are such messages.

        When too many turns wait, in the thread or in all, the result is QUEUE_FULL, and a refused
        turn is recorded. A retry (`MessageOptions.retry_of`) is ALREADY_RETRIED, and makes no turn,
        if another turn retries the same one: of two concurrent retries one succeeds.
        """
        ...

    async def claim(self) -> ClaimResult:
        """Claim the next runnable turn: it is RUNNING, with its epoch raised. The result also has
        the number of turns that still wait.

        The oldest accepted turn that fulfils all of these is next: it has the lowest `ts` of the
        open turns of its thread, and no turn of the thread runs. Its user has fewer running turns
        than the limit of the store; those whose result is recorded do not count. No command holds
        it (`CommandStore.accept_command`).
        """
        ...

    async def mark_prompted(self, turn: Turn) -> bool:
        """Mark a turn as prompted, right before the prompt is sent.

        False if the epoch is old. False also if a turn of the thread with a lower `ts`, or a
        command that holds it, arrived after the claim. The caller then requeues this turn as soon
        as none of its work runs any more.
        """
        ...

    async def requeue(self, turn: Turn) -> bool:
        """Make a RUNNING turn WAITING again, and list it in
        `IndicatorStore.stale_status_indicators`. False if the epoch is old."""
        ...

    async def record_result(self, turn: Turn, result: TurnResult) -> bool:
        """Store the result of a turn, before the last of it is posted. False if the epoch is
        old."""
        ...

    async def finish_turn(
        self, turn: Turn, state: TurnState, *, may_show_status: bool = False
    ) -> bool:
        """End a turn: add its usage to the sums of its session, and close the parts of its reply.

        `may_show_status` says that its thread may still show a status
        (`IndicatorStore.stale_status_indicators`). False if the epoch is old; the caller must then
        not show anything.
        """
        ...

    async def recover(self) -> Sequence[Turn]:
        """Claim every RUNNING turn again after a start, with its epoch raised. The turns, oldest
        first. They are listed in `IndicatorStore.stale_status_indicators`."""
        ...

    async def turn_by_ts(self, team: str, channel: str, ts: str) -> Turn | None:
        """The turn of a message, or None."""
        ...

    async def turn_by_id(self, number: int) -> Turn | None:
        """The turn with this id, or None."""
        ...

    async def running_turn(self, thread: ThreadKey) -> Turn | None:
        """The running turn of a thread, or None."""
        ...

    async def latest_retry(self, turn: int) -> Turn | None:
        """The newest retry of a turn (`MessageOptions.retry_of`), or None. A retry that never began
        (REFUSED, WITHDRAWN) does not count."""
        ...

    async def running_turns(self, user: str = "") -> Sequence[Turn]:
        """All running turns, or those of one user, the longest running first; 100 at most."""
        ...

    async def waiting_turns(self, thread: ThreadKey | None = None) -> Sequence[Turn]:
        """The waiting turns of a thread, or of all threads, in order; 1,000 at most."""
        ...

    async def queue_length(self) -> int:
        """The number of waiting turns in all."""
        ...

    async def unnotified(self, since: float) -> Sequence[Turn]:
        """Turns that `accept_message` refused (QUEUE_FULL) since a time and whose authors were not
        notified (`mark_notified`); the oldest 100."""
        ...

    async def mark_notified(self, turn: Turn, notice: str) -> None:
        """Record that the author of a refused turn was notified, and with which notice."""
        ...

    async def update_text(self, turn: Turn, text: str) -> bool:
        """Replace the text of a WAITING turn. False if it no longer waits."""
        ...

    async def withdraw(self, turn: Turn) -> bool:
        """End a WAITING turn as WITHDRAWN. False if it no longer waits."""
        ...


class ThreadStore(Protocol):
    """Store of threads, their participants, and the messages of replies."""

    async def thread_by_key(self, key: ThreadKey) -> Thread | None:
        """A known thread (one that has had a turn), or None."""
        ...

    async def add_participants(self, key: ThreadKey, users: frozenset[str]) -> None:
        """Add participants to a thread, and mark the authors of its earlier messages as known."""
        ...

    async def save_part(self, turn: Turn, part: ReplyPart) -> None:
        """Save where a reply part was posted; replaces the part with the same number. On disk when
        the call returns."""
        ...

    async def reply_parts(self, turn: Turn) -> Sequence[ReplyPart]:
        """The saved parts of a turn's reply, by number."""
        ...

    async def has_unseen_messages(
        self, thread: ThreadKey, after: str, before: str, session: int
    ) -> bool:
        """True if users wrote recorded messages (`InboxStore.accept_message`) between two `ts`,
        both excluded, that were no commands and are no part of the history of this session."""
        ...

    async def count_consecutive_bot_turns(self, message: Message) -> int:
        """The number of turns that bots requested in a message's thread before it, since a user
        wrote there."""
        ...

    async def add_thread(self, key: ThreadKey, users: frozenset[str]) -> None:
        """Record a thread that the bot itself began, with its participants. Does nothing if the
        thread is known."""
        ...


class CommandStore(Protocol):
    """Store of commands, from receipt to completion."""

    async def accept_command(self, command: Command, hold: ThreadHold | None = None) -> bool:
        """Record a command. False if it was recorded before.

        Commands are unique by key. By channel and `ts` they are also unique together with the
        messages of `InboxStore.accept_message`, because Slack delivers a mention twice. With
        `hold`, turns of its threads with a higher position are not claimed and not prompted until
        the hold is released or expires.
        """
        ...

    async def release_hold(self, key: str) -> None:
        """Release the hold of a command that ran: no turn waits for it any more."""
        ...

    async def renew_holds(self, expires_at: float) -> Mapping[str, ThreadHold]:
        """Extend the holds of unfinished commands after a start, up to `expires_at`.

        The holds by command key. A hold is deleted if its thread has gone on without the command.
        """
        ...

    async def finish_command(self, key: str) -> None:
        """Mark a command as finished: it ran, and its user has the result. Its hold is released."""
        ...

    async def unfinished_commands(self) -> Sequence[Command]:
        """Commands that did not run or whose result was not delivered, for a start; the oldest 400.
        Each stays unfinished until `finish_command`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A period without missed events, in seconds since the epoch."""

    since: float
    until: float


class CheckpointStore(Protocol):
    """Store of the checkpoint, the time up to which no event was missed. Raises `StoreError`."""

    async def load_checkpoint(self) -> Checkpoint | None:
        """The period in which every event was received, or None if none was saved."""
        ...

    async def save_checkpoint(self, until: float) -> None:
        """Save that every event up to a time was received. The first call also begins the period.

        The last saved time counts, even if the clock was set back: a time in the future would hide
        events that are missed until then.
        """
        ...

    async def active_threads(
        self, team: str, since: float, max_threads: int
    ) -> Sequence[ThreadKey]:
        """The known threads (those that have had a turn) with messages received since a time, the
        most recent first; `max_threads` at most."""
        ...


class PendingQuestionStore(Protocol):
    """Store of questions asked by command, until each is a message."""

    async def save_question(self, question: PendingQuestion) -> bool:
        """Save a question. False if it is saved already, or has become a message since."""
        ...

    async def delete_question(self, event_id: str) -> None:
        """Delete a question: it has become a message, or never will."""
        ...

    async def pending_questions(self) -> Sequence[PendingQuestion]:
        """The questions that have not become a message; the oldest 400. The others are deleted."""
        ...


class IndicatorStore(Protocol):
    """Store of indicators that Slack may still show. Raises `StoreError`."""

    async def add_waiting_indicator(self, turn: Turn) -> bool:
        """Record, before Slack is called, that a message is marked as waiting.

        False if the turn no longer waits, or if 200 messages may be marked already: more could not
        be cleared soon.
        """
        ...

    async def remove_waiting_indicator(self, turn: Turn) -> None:
        """Record, after Slack is called, that a message is not marked as waiting."""
        ...

    async def stale_waiting_indicators(self, after: int) -> Sequence[Turn]:
        """Turns that no longer wait but whose messages may still be marked, with a higher id than
        `after`; the 100 oldest."""
        ...

    async def remove_status_indicator(self, turn: Turn) -> None:
        """Record, after Slack is called, that a thread shows no status for a turn."""
        ...

    async def stale_status_indicators(self, after: int) -> Sequence[Turn]:
        """Turns whose threads may show a status that no reply will clear, with a higher id than
        `after`; the 100 oldest."""
        ...
