"""The models as people choose from them: named in a sentence, as buttons, or as a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bot.commands.formatting import clipped
from bot.commands.texts import models as model_texts
from bot.domain.cards import Choose, Line, Press

MOST_TOLD: Final = 30
"""Models that are told by name."""
MOST_BUTTONS: Final = 5
"""Up to so many models have a button each; more are a list."""
LONGEST_OPTION: Final = 75
"""Characters on a button or in a list, as Slack has it."""
MOST_OPTIONS: Final = 100
"""Things in a list, as Slack has it."""


def listable(models: Sequence[str]) -> list[str]:
    """The models whose names fit a list and can be typed as one word."""
    return [name for name in models if len(name) <= LONGEST_OPTION and name.split() == [name]]


def model_line(offered: Sequence[str], shown: str, *, suffix: str, may_choose: bool) -> Line:
    """The models that there are, to choose one of where the person may.

    `shown` is the one that counts now; `suffix` is what `model <name>` is followed by.
    """
    if not offered:
        return Line(text=model_texts.NO_MODELS)
    text = model_texts.MODELS_ARE.format(models=enumerated(offered))
    names = listable(offered)[:MOST_OPTIONS]
    if not may_choose or not names:
        return Line(text=text)
    if len(names) <= MOST_BUTTONS:
        presses = (_use(name, suffix) for name in names if name != shown)
        return Line(text=text, presses=tuple(presses))
    choose = Choose(
        label=model_texts.USE_LABEL,
        verb="model",
        words="",
        options=tuple((name, f"{name}{suffix}") for name in names),
        chosen=f"{shown}{suffix}" if shown in names else "",
    )
    return Line(text=text, choose=choose)


def _use(name: str, suffix: str) -> Press:
    label = clipped(model_texts.USE.format(model=name), LONGEST_OPTION)
    return Press(label=label, verb="model", words=f"{name}{suffix}")


def enumerated(models: Sequence[str]) -> str:
    """The names of models, as many as fit a sentence."""
    names = ", ".join(clipped(name, LONGEST_OPTION) for name in models[:MOST_TOLD])
    more = len(models) - MOST_TOLD
    return model_texts.MODELS_MORE.format(models=names, more=more) if more > 0 else names
