"""Checks that the SQLite store keeps the promises of a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.store import open_store
from tests.contracts.store import StoreContract
from tests.contracts.store_fixtures import PER_USER, THREAD_QUEUE, WHOLE_QUEUE, Opened, clock, store
from tests.fakes import ManualClock

__all__ = ["clock", "store"]


class TestSqlite(StoreContract):
    @pytest.fixture
    def opened(self, tmp_path: Path, clock: ManualClock) -> Opened:
        return lambda: open_store(
            tmp_path / "data",
            clock=clock,
            max_running_per_user=PER_USER,
            max_waiting_per_thread=THREAD_QUEUE,
            max_waiting=WHOLE_QUEUE,
        )
