"""Defines the result of one check of `threadpilot doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The result of one check of `threadpilot doctor`, for the operator."""

    ok: bool | None
    """None: cannot be determined here; the message says where to look."""
    message: str
    """What works, or what is wrong and how to fix it; never a secret."""
