"""Comparisons of models: the answers to one question, and how models do in many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.messages import ThreadKey
from bot.domain.usage import TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One model's answer in a comparison."""

    label: str
    """A, B, …: the order is shuffled."""
    session: int
    """The number of the session that gave it; 0 once that is gone."""
    usage: TokenUsage
    answer: str = ""
    """What it said."""
    error: str = ""
    """The sentence why there is no answer."""
    votes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One question put to several models."""

    turn: int
    session: int
    """The session that was copied for it."""
    thread: ThreadKey
    user: str
    show_names: bool
    """Whether names were shown from the start."""
    revealed: bool
    kept_label: str
    """The label of the answer that was kept; "" while there is none."""
    candidates: Sequence[Candidate]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScore:
    """How a model does in the comparisons of a channel."""

    model: str
    comparison_count: int
    votes: int
    kept_count: int
