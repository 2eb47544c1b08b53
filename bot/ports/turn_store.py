"""What the story asks of the database about messages, turns, threads and replies.

Every write is on disk (committed, fsynced) when its call returns. Everything raises `StoreError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.commands import Hold, OpenQuestion, Order
from bot.domain.messages import Message, Thread, ThreadKey
from bot.domain.turns import Accepted, Claimed, Ending, Part, Turn, TurnState


class InboxStore(Protocol):
    """The truth about turns."""

    async def accept(self, message: Message) -> Accepted:
        """Record a message once and, where it is the bot's business, a waiting turn: one
        transaction.

        Unique by `event_id` and by `(team, channel, ts)`; a repeat changes nothing.
        A MENTION, COMMAND or MENU always makes a turn and makes its author part of the thread.
        A BOT_MENTION makes a turn, too, but its author takes no part, and beyond `BOTS_IN_A_ROW`
        of them (`bots_before`) only one more, for the sentence that says so.
        So does a DIRECT, unless the thread is quiet (a `Choice` of `Topic.QUIET` for it).
        A FOLLOW_UP makes a turn when the thread is known (has had a turn) and not quiet, and its
        author is the only person in it. FOLLOW_UP and ASIDE in a known thread make their author
        part of it. A BOT is recorded as heard and changes nothing else.
        Everything else is OVERHEARD. A FOLLOW_UP or ASIDE that was heard before the message that
        made its thread known, and was written after that one, is judged once more when it comes
        again; `overtaken` says that there are such. More than the store's bound of waiting turns,
        in a thread or in all, is FULL: recorded as a refused turn. One that is to answer a turn
        anew (`Wish.again`) is TAKEN, and makes none, where another turn does that already: of two
        who want it at once one gets it.
        """
        ...

    async def claim(self) -> Claimed:
        """Take the next turn that may run, as RUNNING with its epoch raised; and tell how many
        wait still.

        Of each thread the open turn with the lowest `ts`, and only while no other of that thread
        runs; no more than the store's bound per user at once, those not counted whose ending is on
        record, and none that an order holds (`OrderStore.accept_order`); oldest accepted first.
        """
        ...

    async def begin(self, turn: Turn) -> bool:
        """Called right before the prompt is sent. False when a turn of the thread with a lower
        `ts`, or an order that holds it, came in meanwhile: this turn has to be handed back then, as
        soon as nothing of it is going on any more. False also when the epoch is old."""
        ...

    async def hand_back(self, turn: Turn) -> bool:
        """Make a RUNNING turn WAITING again, and one of `SignStore.statuses_left`; False when the
        epoch is old."""
        ...

    async def record(self, turn: Turn, ending: Ending) -> bool:
        """Store how the turn ends, before the last of it is posted; False when the epoch is
        old."""
        ...

    async def finish(self, turn: Turn, state: TurnState, *, status_left: bool = False) -> bool:
        """End a turn: add what its ending spent to its session's sums, and keep the parts of its
        reply as closed. False when the epoch is old, and then the caller must not show anything.

        `status_left`: its thread may show still that the bot works (`SignStore.statuses_left`).
        """
        ...

    async def recover(self) -> Sequence[Turn]:
        """For the start: claim anew (epoch raised) every turn that was RUNNING, oldest first. They
        are among `SignStore.statuses_left`."""
        ...

    async def find(self, team: str, channel: str, ts: str) -> Turn | None:
        """The turn of a message, or None."""
        ...

    async def turn(self, number: int) -> Turn | None:
        """The turn with this id, or None."""
        ...

    async def running(self, thread: ThreadKey) -> Turn | None:
        """The thread's running turn, or None."""
        ...

    async def answered_anew(self, turn: int) -> Turn | None:
        """The newest turn that was made to answer this one anew (`Wish.again`), or None; not one
        that never began (REFUSED, WITHDRAWN)."""
        ...

    async def all_running(self, user: str = "") -> Sequence[Turn]:
        """All running turns, or those of one person; the longest running first, 100 at most."""
        ...

    async def waiting(self, thread: ThreadKey | None = None) -> Sequence[Turn]:
        """The waiting turns of a thread, or of all, in order; 1,000 at most."""
        ...

    async def queue_length(self) -> int:
        """How many turns wait, in all."""
        ...

    async def untold(self, since: float) -> Sequence[Turn]:
        """Those refused by `accept` (FULL) since a time of whom it was not noted (`note_told`)
        that their author was told; the oldest 100."""
        ...

    async def note_told(self, turn: Turn, sentence: str) -> None:
        """Note that the author of such a turn was told."""
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

    async def heard_between(self, thread: ThreadKey, after: str, before: str, session: int) -> bool:
        """Whether people wrote messages in a thread after one `ts` and before another that are on
        record (`accept`), that were no orders, and that this session was not asked."""
        ...

    async def bots_before(self, message: Message) -> int:
        """How many turns bots asked for in a message's thread before it since a person wrote
        there."""
        ...

    async def make_thread(self, key: ThreadKey, people: frozenset[str]) -> None:
        """Make a thread known that the bot itself began, with these people in it; nothing where it
        is known already."""
        ...


class OrderStore(Protocol):
    """Orders, from being given to being carried out."""

    async def accept_order(self, order: Order, hold: Hold | None = None) -> bool:
        """Record an order; False when it was recorded before. Unique by key, and by channel and
        `ts` together with the messages of `InboxStore.accept` (Slack delivers a mention twice).
        With `hold`, the turns of some threads with a higher position are not claimed, and not
        begun, until it is released, or the time in it has come."""
        ...

    async def release_order(self, key: str) -> None:
        """An order was carried out: nothing waits for it any more."""
        ...

    async def renew_holds(self, until: float) -> Mapping[str, Hold]:
        """For the start: the orders, by key, that were not carried out and that turns wait for, and
        do so until then. Not those without which their thread has gone on."""
        ...

    async def finish_order(self, key: str) -> None:
        """An order was carried out, and who gave it was told; nothing waits for it any more."""
        ...

    async def unfinished_orders(self) -> Sequence[Order]:
        """For the start: what was not carried out, or nobody was told; the oldest 400. Each
        stays unfinished until `finish_order`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A stretch of time in which everything was heard, in seconds since the epoch."""

    since: float
    until: float


class HearingStore(Protocol):
    """Remembers, over restarts, until when everything was heard. Everything raises `StoreError`."""

    async def heard(self) -> Heard | None:
        """From when until when everything that was said has been heard; None where nothing ever
        was."""
        ...

    async def note_heard(self, until: float) -> None:
        """Note that everything said up to then has been heard, the first time also that nothing
        before was. What was noted last counts, also where the clock was put back meanwhile: a note
        of a time that has not come would hide what is missed until then."""
        ...

    async def threads_heard(self, team: str, since: float, most: int) -> Sequence[ThreadKey]:
        """The known threads (those that have had a turn) in which messages were heard since then,
        the last one heard first; `most` at most."""
        ...


class QuestionStore(Protocol):
    """Questions asked by command, from being asked to being a message."""

    async def note_question(self, question: OpenQuestion) -> bool:
        """Keep a question; False when it is kept already, or has become a message since."""
        ...

    async def drop_question(self, event_id: str) -> None:
        """Forget a question: it has become a message, or never will."""
        ...

    async def open_questions(self) -> Sequence[OpenQuestion]:
        """What was asked and has not become a message; the oldest 400. Those that have are
        forgotten."""
        ...


class SignStore(Protocol):
    """What may still be shown in Slack. Everything raises `StoreError`."""

    async def show_waiting(self, turn: Turn) -> bool:
        """Note that the person is being shown that the message waits; False when it no longer
        does, or when 200 messages may be marked so already: more could not be taken back soon.
        Said before Slack is."""
        ...

    async def note_unmarked(self, turn: Turn) -> None:
        """Note that a message is not marked as waiting, or no longer. Said after Slack is."""
        ...

    async def marks_left(self, after: int) -> Sequence[Turn]:
        """Turns that wait no longer and whose messages may still be marked as waiting, with a
        higher id than `after`: the 100 oldest."""
        ...

    async def note_status_back(self, turn: Turn) -> None:
        """Note that a turn's thread does not show work on its account. Said after Slack is."""
        ...

    async def statuses_left(self, after: int) -> Sequence[Turn]:
        """Turns whose threads may show that the bot works, and whose replies do not take that back
        any more, with a higher id than `after`: the 100 oldest."""
        ...
