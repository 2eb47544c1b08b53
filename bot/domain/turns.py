"""Defines turns: their states, their results, and the parts of their replies."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bot.domain.messages import Message
from bot.domain.usage import TokenUsage


class TurnState(StrEnum):
    """The state of a turn: waiting → running → one of the others, which are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    """The answer is in the thread."""
    STOPPED = "stopped"
    """A user stopped it; the text shown so far stays."""
    FAILED = "failed"
    """It could not be answered; a notice in the thread says why."""
    LOST = "lost"
    """A restart interrupted it with no result recorded; the thread has a notice."""
    REFUSED = "refused"
    """It may not be answered (empty, too long, an external user); the thread has a notice."""
    WITHDRAWN = "withdrawn"
    """The user deleted the message before it was answered, or it was not for the bot."""

    @property
    def final(self) -> bool:
        return self not in (TurnState.WAITING, TurnState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult:
    """How a turn ends: its final state, and what the thread shows."""

    state: TurnState
    answer: str = ""
    """The whole text of the model."""
    note: str = ""
    """A notice of the bot itself, separate from the answer."""
    usage: TokenUsage | None = None
    """The cost, or None if the model was not prompted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One accepted message and the progress of its answer."""

    id: int
    message: Message
    state: TurnState
    epoch: int
    """Raised by each claim; a write with an older epoch changes nothing."""
    may_be_marked_waiting: bool = False
    """True if the message may be marked as waiting."""
    prompted: bool = False
    """True if its prompt may have been sent under an earlier claim."""
    result: TurnResult | None = None
    """The result, once it is recorded."""
    accepted_at: float = field(default=0.0, compare=False)
    """When its message was recorded, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """The result of a claim."""

    turn: Turn | None = None
    """The claimed turn, RUNNING, or None if none is runnable."""
    queue_length: int = 0
    """Number of turns that still wait, runnable or not."""


class AcceptStatus(StrEnum):
    """What the inbox did with a message."""

    SCHEDULED = "scheduled"
    """It is recorded as a turn."""
    DUPLICATE = "repeated"
    """It was recorded before: Slack delivers twice, and redelivers."""
    OVERHEARD = "overheard"
    """It is recorded, but not meant for the bot."""
    QUEUE_FULL = "full"
    """It is recorded as refused: too many messages wait already."""
    ALREADY_RETRIED = "taken"
    """It asked for a retry, and another retry of the same turn exists."""
    COMMAND = "order"
    """It is a command and not a question for the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptResult:
    """The result of accepting a message."""

    status: AcceptStatus
    turn: Turn | None = None
    """Present for SCHEDULED and QUEUE_FULL."""
    turns_ahead: int = 0
    """Number of open turns of the same thread before this one."""
    out_of_order: bool = False
    """True if the message made its thread known, and later messages of users there were received
    before it. They must be accepted again. Also set for a DUPLICATE until that is done."""


class Delivery(StrEnum):
    """How an answer is delivered."""

    STREAM = "stream"
    """A native Slack stream: live, but only for its one recipient."""
    EDITS = "edits"
    """A posted message that is edited at intervals: the same for all viewers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyPart:
    """One Slack message of a reply; long answers have several, counted from 0."""

    number: int
    ts: str
    delivery: Delivery
    closed: bool = False
    """True if its stream was stopped (an edited part is always closed)."""
