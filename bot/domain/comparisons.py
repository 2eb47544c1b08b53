"""Defines comparisons of models, and the scores of models over many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.messages import ThreadKey
from bot.domain.usage import TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One model's answer in a comparison."""

    label: str
    """A, B, …, in random order."""
    session: int
    """The number of the session that answered; 0 once it is deleted."""
    usage: TokenUsage
    answer: str = ""
    """The text of the answer."""
    error: str = ""
    """Why there is no answer."""
    votes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The answers of several models to one question."""

    turn: int
    session: int
    """The session whose copies answer."""
    thread: ThreadKey
    user: str
    show_names: bool
    """True if the model names are shown from the start."""
    revealed: bool
    kept_label: str
    """The label of the answer that was kept, or ""."""
    candidates: Sequence[Candidate]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScore:
    """The results of a model in the comparisons of a channel."""

    model: str
    comparison_count: int
    votes: int
    kept_count: int
