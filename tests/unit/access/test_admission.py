"""Which messages count as empty. (The scenarios cover the other refusals.)"""

from __future__ import annotations

import pytest

from bot.access.admission import is_only_emoji

CODE = ["```", "``", "`:tada:`", "```\n:tada:\n```", "^", "¨ ´", "\u200d", "\ufe0f \u0301"]
"""Symbols, and characters that only modify one."""


@pytest.mark.parametrize("text", [":tada:", ":+1::skin-tone-3: :wave:", "🎉", "👩‍💻 👍🏽", "❤️"])
def test_emoji_alone_are_no_question(text: str) -> None:
    assert is_only_emoji(text)


@pytest.mark.parametrize(
    "text", ["?", "a :tada:", "10:30:15", "1 + 1", "…", "好", "™ what?", "", *CODE]
)
def test_words_signs_and_figures_are_something_to_answer(text: str) -> None:
    assert not is_only_emoji(text)
