"""The result of one check of `threadpilot doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What `threadpilot doctor` found out about one thing, for the person who runs the bot."""

    ok: bool | None
    """None: cannot be known from here; the sentence says where to look."""
    message: str
    """What is well, or what is wrong and how to mend it; no secret in it."""
