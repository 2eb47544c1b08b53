"""The facts of a turn: its state, its result, and the parts of its reply."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.messages import Message
from bot.domain.usage import TokenUsage


class TurnState(StrEnum):
    """Where a turn stands: waiting → running → one of the others, which are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    """The answer is in the thread."""
    STOPPED = "stopped"
    """A person stopped it; what had been shown stays."""
    FAILED = "failed"
    """It could not be answered; the thread has a sentence saying why."""
    LOST = "lost"
    """A restart found it half-way with no answer on record; the thread has a sentence."""
    REFUSED = "refused"
    """Not one to answer (empty, too long, an outsider); the thread has a sentence."""
    WITHDRAWN = "withdrawn"
    """The person deleted the message before its turn came, or it turned out to be for others."""

    @property
    def final(self) -> bool:
        return self not in (TurnState.WAITING, TurnState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult:
    """How a turn ends: what the thread will show in the end, and the state that goes with it."""

    state: TurnState
    answer: str = ""
    """The whole of what the model said."""
    note: str = ""
    """A sentence of the bot's own, set apart from the answer."""
    usage: TokenUsage | None = None
    """What it cost, where the model was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One accepted message on its way to its one visible outcome."""

    id: int
    message: Message
    state: TurnState
    epoch: int
    """Raised by each claim; a write with an older epoch changes nothing."""
    may_be_marked_waiting: bool = False
    """Whether the message may be marked as waiting."""
    prompted: bool = False
    """Whether its prompt may have been sent under an earlier claim."""
    result: TurnResult | None = None
    """How it ends, once that is on record."""
    accepted_at: float = field(default=0.0, compare=False)
    """When its message was recorded, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """What a claim came to."""

    turn: Turn | None = None
    """The turn that may run, RUNNING; None where none may."""
    queue_length: int = 0
    """How many turns wait still, whether they may run or not."""


class AcceptStatus(StrEnum):
    """What became of a message at the inbox's door."""

    SCHEDULED = "scheduled"
    """It is recorded as a turn."""
    DUPLICATE = "repeated"
    """It had been recorded before: Slack delivers twice, and redelivers."""
    OVERHEARD = "overheard"
    """It is recorded, but is people talking to people."""
    QUEUE_FULL = "full"
    """It is recorded as refused: too many messages wait already."""
    ALREADY_RETRIED = "taken"
    """It was to have a turn answered anew, and another one does that already."""
    COMMAND = "order"
    """It is an order to the bot and not a question for the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptResult:
    """The inbox's answer to a message."""

    status: AcceptStatus
    turn: Turn | None = None
    """Present for SCHEDULED and FULL."""
    turns_ahead: int = 0
    """How many turns of the same thread are open before this one."""
    out_of_order: bool = False
    """It made its thread known, and people's later messages there had been heard before it: they
    are to be taken in again. Also of a REPEATED one, while they have not been."""


class Delivery(StrEnum):
    """How an answer reaches its audience."""

    STREAM = "stream"
    """A native Slack stream: live, but only for its one recipient."""
    EDITS = "edits"
    """A posted message that is edited at a pace: the same for everybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPart:
    """One Slack message of a reply; long answers have several, counted from 0."""

    number: int
    ts: str
    delivery: Delivery
    closed: bool = False
    """Whether its stream has been stopped (an edited part is always closed)."""
