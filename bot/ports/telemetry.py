"""Defines the interface for metrics and traces.

No method waits, raises or changes what the caller does. `observe_…` methods time the block that
they are entered for.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bot.domain.agent_events import TokensUsed
from bot.domain.turns import AcceptResult, Turn, TurnState


class TurnStep(StrEnum):
    """A step of a turn that is timed separately."""

    RESUME = "resume"
    """The runtime reads a session's history from disk."""
    CREATE = "create"
    """The runtime creates a session."""
    PROMPT = "prompt"
    """The runtime accepts the prompt."""


@dataclass(slots=True)
class Observation:
    """The outcome of an observed block. The block sets it to one of a few words."""

    outcome: str = "given_up"


class Telemetry:
    """Records what happens in the bot. The methods of this class record nothing.

    A subclass overrides the methods that it has a use for.
    """

    def observe_delivery(self) -> AbstractContextManager[Observation]:
        """Time the handling of one delivery by Slack, up to its acknowledgement.

        Outcome: `taken` or `refused`.
        """
        return nullcontext(Observation())

    def record_message(self, result: AcceptResult) -> None:
        """Record that a message is stored, or was stored before."""

    def observe_turn(self, turn: Turn) -> AbstractContextManager[None]:
        """Observe a claimed turn, including the tasks that start inside the block."""
        del turn
        return nullcontext()

    def record_reply_posted(self, turn: Turn) -> None:
        """Record that a message of the turn's reply is posted. Only the first one counts."""

    def record_turn_ended(self, turn: Turn, state: TurnState) -> None:
        """Record the final state of a turn, once it is stored."""

    def observe_step(self, step: TurnStep) -> AbstractContextManager[None]:
        """Time a step of the running turn."""
        del step
        return nullcontext()

    def observe_api_call(self, method: str) -> AbstractContextManager[Observation]:
        """Time one attempt to call a method of Slack's Web API.

        Outcome: `ok`, `ratelimited`, `refused` (Slack refuses the call), `failed` (an error of
        Slack's server), `unreachable`, or else the default of `Observation`.
        """
        del method
        return nullcontext(Observation())

    def record_tokens(self, tokens: TokensUsed) -> None:
        """Record the tokens of one model call."""

    def observe_commit(self) -> AbstractContextManager[Observation]:
        """Time one commit of the database. Outcome: `ok` or `failed`."""
        return nullcontext(Observation())

    def record_connections(self, count: int) -> None:
        """Record the number of open Socket Mode connections."""

    def record_runtime_restart(self) -> None:
        """Record that the runtime was started again, after a crash or on request."""


NULL_TELEMETRY: Final = Telemetry()
"""Records nothing: the default of parts that are made without telemetry."""
