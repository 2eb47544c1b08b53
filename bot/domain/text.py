"""Shortens texts."""

from __future__ import annotations


def truncate(text: str, max_chars: int) -> str:
    """At most `max_chars` characters of a text, with an ellipsis if something is left out."""
    return text if len(text) <= max_chars else f"{text[: max_chars - 1].rstrip()}…"
