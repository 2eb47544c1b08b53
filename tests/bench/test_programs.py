"""Tests the processes that the bench starts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.programs import ProgramError, running

_SPEAKS = "import sys; print(sys.argv[1], file=sys.stderr); sys.stdin.read()"


async def test_the_log_of_an_earlier_process_is_not_read_as_the_next_ones(tmp_path: Path) -> None:
    """The bot starts several times with the same folder and log."""
    log = tmp_path / "log"
    async with running(sys.executable, "-c", _SPEAKS, "ready", log=log) as first:
        await first.until_it_says("ready")
    async with running(sys.executable, "-c", "", log=log) as second:
        with pytest.raises(ProgramError, match="it ended with 0"):
            await second.until_it_says("ready")
        assert second.log_tail() == ""
    assert log.read_text() == "ready\n"
