"""Truncated texts end with an ellipsis and keep to their length."""

from __future__ import annotations

from bot.domain.text import truncate


def test_a_long_text_is_truncated_with_an_ellipsis() -> None:
    assert truncate("12345", 5) == "12345"
    assert truncate("1234 56", 6) == "1234…"
    assert len(truncate("x" * 1_000, 10)) == 10
