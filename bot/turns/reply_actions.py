"""Builds the buttons and overflow menus under the replies of turns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.domain.cards import Button, ReplyActions
from bot.domain.comparisons import Candidate
from bot.domain.turns import Turn, TurnResult, TurnState

RETRY: Final = "Retry"
FORK: Final = "Fork"
REWIND: Final = "Rewind to here"
REWIND_SURE: Final = "I'll forget this reply and everything after it. The messages stay."
STATUS: Final = "Show status"
HISTORY: Final = "Show history"
EXPORT: Final = "Export"
VOTE: Final = "Vote {label}"
REVEAL: Final = "Show models"
KEEP: Final = "Keep {label}"
KEEP_SURE: Final = (
    "This thread continues with answer {label}. The sessions of the other answers are deleted."
)


def actions_for(turn: Turn, result: TurnResult) -> ReplyActions | None:
    """The actions under the reply of a turn with this result; None if there are none."""

    def button(label: str, command_name: str, confirm: str = "") -> Button:
        return Button(label=label, command_name=command_name, turn=turn.id, confirm=confirm)

    if result.state in (TurnState.REFUSED, TurnState.WITHDRAWN):
        return None
    retry = button(RETRY, "retry")
    more = (button(STATUS, "status"), button(HISTORY, "history"), button(EXPORT, "export"))
    if result.state in (TurnState.DONE, TurnState.STOPPED) and result.answer:
        rewind = button(REWIND, "rewind", REWIND_SURE)
        return ReplyActions(buttons=(retry, button(FORK, "fork")), menu=(rewind, *more))
    return ReplyActions(buttons=(retry,), menu=more)


def vote_actions(
    turn: Turn, candidates: Sequence[Candidate], *, models_revealed: bool
) -> ReplyActions:
    """The actions under a comparison: votes, and either the reveal or the keep buttons."""
    answered = [each.label for each in candidates if not each.error]
    votes = tuple(
        Button(label=VOTE.format(label=label), command_name="vote", args=label, turn=turn.id)
        for label in answered
    )
    if models_revealed:
        return ReplyActions(buttons=votes, menu=keep_buttons(turn.id, answered))
    return ReplyActions(buttons=(*votes, Button(label=REVEAL, command_name="reveal", turn=turn.id)))


def keep_buttons(turn_id: int, labels: Sequence[str]) -> tuple[Button, ...]:
    """A button for each answer that can be kept."""
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
