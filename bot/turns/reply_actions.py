"""What stands under the replies of turns: what can be done with an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.domain.cards import Button, ReplyActions
from bot.domain.comparisons import Candidate
from bot.domain.turns import Turn, TurnResult, TurnState

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


def actions_for(turn: Turn, result: TurnResult) -> ReplyActions | None:
    """What stands under the reply of a turn that ends so; None where nothing can be done."""

    def press(label: str, verb: str, confirm: str = "") -> Button:
        return Button(label=label, command_name=verb, turn=turn.id, confirm=confirm)

    if result.state in (TurnState.REFUSED, TurnState.WITHDRAWN):
        return None
    again = press(AGAIN, "retry")
    about = (press(STATUS, "status"), press(HISTORY, "history"), press(EXPORT, "export"))
    if result.state in (TurnState.DONE, TurnState.STOPPED) and result.answer:
        rewind = press(REWIND, "rewind", REWIND_SURE)
        return ReplyActions(buttons=(again, press(FORK, "fork")), menu=(rewind, *about))
    return ReplyActions(buttons=(again,), menu=about)


def vote_actions(
    turn: Turn, candidates: Sequence[Candidate], *, models_revealed: bool
) -> ReplyActions:
    """What stands under a comparison: the votes, and either the names or going on with one."""
    answered = [each.label for each in candidates if not each.error]
    votes = tuple(
        Button(label=VOTE.format(label=label), command_name="vote", args=label, turn=turn.id)
        for label in answered
    )
    if models_revealed:
        return ReplyActions(buttons=votes, menu=keep_buttons(turn.id, answered))
    return ReplyActions(buttons=(*votes, Button(label=REVEAL, command_name="reveal", turn=turn.id)))


def keep_buttons(turn_id: int, labels: Sequence[str]) -> tuple[Button, ...]:
    """A button for each answer that can be gone on with."""
    return tuple(
        Button(
            label=KEEP.format(label=label),
            command_name="keep",
            args=label,
            turn=turn_id,
            confirm=KEEP_SURE.format(label=label),
        )
        for label in labels
    )
