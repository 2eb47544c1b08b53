"""Measures something at once: a row that does not meet its goal."""

from __future__ import annotations

from bench.comparison import Row
from bench.ground import Ground
from tests.bench.row_fixtures import row


async def rows(_: Ground) -> list[Row]:
    return [row("too slow", 3.0)]
