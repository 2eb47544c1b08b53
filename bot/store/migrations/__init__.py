"""The steps from each schema of the database to the next, one module a step.

A step that has once been released is never changed; what comes later gets the next number.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from a schema to the next."""

    number: int
    purpose: str
    statements: tuple[str, ...]
