"""What the story tells whoever looks at the bot from outside: metrics and traces.

Nothing here waits, raises or changes what is done. Blocks time what is done inside them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from bot.domain.agent_events import TokensUsed
from bot.domain.turns import Accepted, Turn, TurnState


class Step(StrEnum):
    """A step of a turn that is timed by itself."""

    RESUME = "resume"
    """A session's memory is read from disk."""
    CREATE = "create"
    """A session is made."""
    PROMPT = "prompt"
    """The runtime takes the prompt."""


@dataclass(slots=True)
class Outcome:
    """What became of what is being watched: said by whoever does it, one of a few words."""

    said: str = "given_up"


class Watch(Protocol):
    """Is told what happens."""

    def delivery(self) -> AbstractContextManager[Outcome]:
        """Something that Slack brought is taken inside, and then acknowledged or not: `taken` or
        `refused`."""
        ...

    def accepted(self, accepted: Accepted) -> None:
        """A message is on record, or was already."""
        ...

    def running(self, turn: Turn) -> AbstractContextManager[None]:
        """A claimed turn runs inside, and in the tasks that are begun inside."""
        ...

    def shown(self, turn: Turn) -> None:
        """A message of the turn's reply stands in the thread; the first one counts."""
        ...

    def ended(self, turn: Turn, state: TurnState) -> None:
        """It is on record that the turn has ended."""
        ...

    def step(self, step: Step) -> AbstractContextManager[None]:
        """A step of the turn that runs."""
        ...

    def calling(self, method: str) -> AbstractContextManager[Outcome]:
        """One call of a method of Slack's Web API, tried once: `ok`, `ratelimited`, `refused`
        (Slack says no), `failed` (Slack is in trouble), `unreachable`, else given up."""
        ...

    def used(self, used: TokensUsed) -> None:
        """What one model call cost."""
        ...

    def committing(self) -> AbstractContextManager[Outcome]:
        """What is written together goes to disk inside: `ok` or `failed`."""
        ...

    def lines(self, up: int) -> None:
        """So many lines to Slack by Socket Mode are up."""
        ...

    def runtime_restarted(self) -> None:
        """The runtime has been started again: it was gone, or was told to."""
        ...


class Unwatched:
    """`Watch` where nobody looks."""

    def delivery(self) -> AbstractContextManager[Outcome]:
        return nullcontext(Outcome())

    def accepted(self, accepted: Accepted) -> None: ...

    def running(self, turn: Turn) -> AbstractContextManager[None]:
        del turn
        return nullcontext()

    def shown(self, turn: Turn) -> None: ...

    def ended(self, turn: Turn, state: TurnState) -> None: ...

    def step(self, step: Step) -> AbstractContextManager[None]:
        del step
        return nullcontext()

    def calling(self, method: str) -> AbstractContextManager[Outcome]:
        del method
        return nullcontext(Outcome())

    def used(self, used: TokensUsed) -> None: ...

    def committing(self) -> AbstractContextManager[Outcome]:
        return nullcontext(Outcome())

    def lines(self, up: int) -> None: ...

    def runtime_restarted(self) -> None: ...


UNWATCHED: Final = Unwatched()
"""What parts have that were made without anybody who looks."""
