"""Tests that every test that SECURITY.md names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def threats() -> list[list[str]]:
    """The rows of the table of threats: threat, defence, tests."""
    begin = SECURITY.index("| threat | defence | test |")
    lines = SECURITY[begin:].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def defined_in(path: Path) -> set[str]:
    """The names of all that a file defines, in a class or not."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_threat_has_a_defence_and_a_test() -> None:
    rows = threats()
    assert len(rows) > 25
    for row in rows:
        assert len(row) == 3, row
        assert all(row), row
        named = re.findall(r"`([^`]+::[^`]+)`", row[2])
        assert named, f"no test for: {row[0]}"


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", SECURITY)
    assert len(named) > 50
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (ROOT / file).is_file() or name not in defined_in(ROOT / file)
    ]
    assert missing == []


def test_a_file_that_is_named_exists() -> None:
    for file in re.findall(r"`((?:tests|bot|scripts)/[\w/]+\.py)`", SECURITY):
        assert (ROOT / file).is_file(), file
    assert (ROOT / "constraints.txt").is_file()
