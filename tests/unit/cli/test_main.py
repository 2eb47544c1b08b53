"""Subcommands of `threadpilot`: their names, and the old names that go on working."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import slack_emulator.__main__
from bot.cli.main import main


def test_the_help_lists_the_emulator_with_its_old_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "emulator (sandbox)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["emulator", "sandbox"])
def test_both_names_start_the_emulator(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Sequence[str]] = []

    def record(argv: Sequence[str]) -> int:
        calls.append(argv)
        return 3

    monkeypatch.setattr(slack_emulator.__main__, "main", record)
    assert main([name, "--port", "0"]) == 3
    assert calls == [["--port", "0"]]
