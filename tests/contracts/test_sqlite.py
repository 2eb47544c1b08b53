"""SQLite keeps the promises of a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.store import open_store
from tests.contracts.store import (
    PER_USER,
    THREAD_QUEUE,
    WHOLE_QUEUE,
    Opened,
    StoreContract,
    store,
)
from tests.fakes import HandClock

__all__ = ["store"]


class TestSqlite(StoreContract):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Opened:
        return lambda: open_store(
            tmp_path / "data",
            clock=HandClock(),
            per_user=PER_USER,
            thread_queue=THREAD_QUEUE,
            whole_queue=WHOLE_QUEUE,
        )
