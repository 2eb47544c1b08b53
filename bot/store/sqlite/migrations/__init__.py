"""The migrations from each schema of the database to the next, one module each.

A released migration is never changed; later changes get the next number.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

Statement = str | Callable[[sqlite3.Connection], None]
"""One statement, or a function for what SQL alone cannot do; it begins and ends no transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from a schema to the next."""

    number: int
    purpose: str
    statements: tuple[Statement, ...]
