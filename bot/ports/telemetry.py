"""What the story tells whoever looks at the bot from outside: metrics and traces.

Nothing here waits, raises or changes what is done. Blocks time what is done inside them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from bot.domain.agent_events import TokensUsed
from bot.domain.turns import AcceptResult, Turn, TurnState


class TurnStep(StrEnum):
    """A step of a turn that is timed by itself."""

    RESUME = "resume"
    """A session's memory is read from disk."""
    CREATE = "create"
    """A session is made."""
    PROMPT = "prompt"
    """The runtime takes the prompt."""


@dataclass(slots=True)
class Observation:
    """What became of what is being watched: said by whoever does it, one of a few words."""

    outcome: str = "given_up"


class Telemetry(Protocol):
    """Is told what happens."""

    def observe_delivery(self) -> AbstractContextManager[Observation]:
        """Something that Slack brought is taken inside, and then acknowledged or not: `taken` or
        `refused`."""
        ...

    def record_message(self, result: AcceptResult) -> None:
        """A message is on record, or was already."""
        ...

    def observe_turn(self, turn: Turn) -> AbstractContextManager[None]:
        """A claimed turn runs inside, and in the tasks that are begun inside."""
        ...

    def record_reply_posted(self, turn: Turn) -> None:
        """A message of the turn's reply stands in the thread; the first one counts."""
        ...

    def record_turn_ended(self, turn: Turn, state: TurnState) -> None:
        """It is on record that the turn has ended."""
        ...

    def observe_step(self, step: TurnStep) -> AbstractContextManager[None]:
        """A step of the turn that runs."""
        ...

    def observe_api_call(self, method: str) -> AbstractContextManager[Observation]:
        """One call of a method of Slack's Web API, tried once: `ok`, `ratelimited`, `refused`
        (Slack says no), `failed` (Slack is in trouble), `unreachable`, else given up."""
        ...

    def record_tokens(self, tokens: TokensUsed) -> None:
        """What one model call cost."""
        ...

    def observe_commit(self) -> AbstractContextManager[Observation]:
        """What is written together goes to disk inside: `ok` or `failed`."""
        ...

    def record_connections(self, count: int) -> None:
        """So many lines to Slack by Socket Mode are up."""
        ...

    def record_runtime_restart(self) -> None:
        """The runtime has been started again: it was gone, or was told to."""
        ...


class NullTelemetry:
    """`Telemetry` where nobody looks."""

    def observe_delivery(self) -> AbstractContextManager[Observation]:
        return nullcontext(Observation())

    def record_message(self, result: AcceptResult) -> None: ...

    def observe_turn(self, turn: Turn) -> AbstractContextManager[None]:
        del turn
        return nullcontext()

    def record_reply_posted(self, turn: Turn) -> None: ...

    def record_turn_ended(self, turn: Turn, state: TurnState) -> None: ...

    def observe_step(self, step: TurnStep) -> AbstractContextManager[None]:
        del step
        return nullcontext()

    def observe_api_call(self, method: str) -> AbstractContextManager[Observation]:
        del method
        return nullcontext(Observation())

    def record_tokens(self, tokens: TokensUsed) -> None: ...

    def observe_commit(self) -> AbstractContextManager[Observation]:
        return nullcontext(Observation())

    def record_connections(self, count: int) -> None: ...

    def record_runtime_restart(self) -> None: ...


NULL_TELEMETRY: Final = NullTelemetry()
"""What parts have that were made without anybody who looks."""
