"""What stands under the replies of turns: what can be done with an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.domain.cards import Foot, Press
from bot.domain.comparisons import Candidate
from bot.domain.turns import Ending, Turn, TurnState

AGAIN: Final = "Ask again"
FORK: Final = "Fork from here"
REWIND: Final = "Go back"
REWIND_SURE: Final = "I forget this answer and all that came later. The messages stay."
STATUS: Final = "Status of this session"
HISTORY: Final = "What was asked"
EXPORT: Final = "Transcript for me"
VOTE: Final = "{label} is better"
REVEAL: Final = "Show the models"
KEEP: Final = "Go on with {label}"
KEEP_SURE: Final = (
    "This thread goes on with answer {label}; the other answers' copies of it are deleted."
)


def foot_of(turn: Turn, ending: Ending) -> Foot | None:
    """What stands under the reply of a turn that ends so; None where nothing can be done."""

    def press(label: str, verb: str, confirm: str = "") -> Press:
        return Press(label=label, verb=verb, turn=turn.id, confirm=confirm)

    if ending.state in (TurnState.REFUSED, TurnState.WITHDRAWN):
        return None
    again = press(AGAIN, "retry")
    about = (press(STATUS, "status"), press(HISTORY, "history"), press(EXPORT, "export"))
    if ending.state in (TurnState.DONE, TurnState.STOPPED) and ending.answer:
        rewind = press(REWIND, "rewind", REWIND_SURE)
        return Foot(presses=(again, press(FORK, "fork")), menu=(rewind, *about))
    return Foot(presses=(again,), menu=about)


def ballot(turn: Turn, candidates: Sequence[Candidate], *, named: bool) -> Foot:
    """What stands under a comparison: the votes, and either the names or going on with one."""
    answered = [each.label for each in candidates if not each.failed]
    votes = tuple(
        Press(label=VOTE.format(label=label), verb="vote", words=label, turn=turn.id)
        for label in answered
    )
    if named:
        return Foot(presses=votes, menu=keeps(turn.id, answered))
    return Foot(presses=(*votes, Press(label=REVEAL, verb="reveal", turn=turn.id)))


def keeps(turn: int, labels: Sequence[str]) -> tuple[Press, ...]:
    """A button for each answer that can be gone on with."""
    return tuple(
        Press(
            label=KEEP.format(label=label),
            verb="keep",
            words=label,
            turn=turn,
            confirm=KEEP_SURE.format(label=label),
        )
        for label in labels
    )
