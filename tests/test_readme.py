"""Tests that the settings, states and commands in the README are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from bot.commands.registry import COMMANDS
from bot.config.settings import SETTINGS
from bot.domain.turns import TurnState

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def settings_table() -> str:
    rows = ["| setting | default | needed | meaning |", "| --- | --- | --- | --- |"]
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else ""
        rows.append(
            f"| `{setting.name}` | {default} | {setting.required_when} | {setting.description} |"
        )
    return "\n".join(rows)


def commands_table() -> str:
    rows = ["| command | what it does |", "| --- | --- |"]
    for command in COMMANDS.values():
        if command.in_help:
            written = f"{command.name} {command.usage}".strip().replace("|", r"\|")
            also = ", ".join(f"`{alias}`" for alias in command.aliases)
            rows.append(
                f"| `{written}`{f' (also {also})' if also else ''} | {command.description} |"
            )
    return "\n".join(rows)


def between(begin: str, end: str) -> str:
    found = re.search(f"{re.escape(begin)}[^\n]*\n(.*?){re.escape(end)}", README, re.DOTALL)
    assert found, f"README has no part between {begin} and {end}"
    return found[1].strip()


def test_the_settings_table_is_the_one_in_the_code() -> None:
    assert between("<!-- settings:", "<!-- /settings -->") == settings_table()


def test_the_table_of_commands_is_the_one_in_the_code() -> None:
    assert between("<!-- commands:", "<!-- /commands -->") == commands_table()


def test_the_diagram_has_every_state_of_a_turn_and_no_other() -> None:
    graph = between("```mermaid", "```")
    in_diagram = set(re.findall(r"--> (\w+)", graph)) | set(re.findall(r"(\w+) -->", graph))
    assert in_diagram == {state.value for state in TurnState}


def test_a_final_state_is_never_left_again() -> None:
    graph = between("```mermaid", "```")
    left = set(re.findall(r"^\s*(\w+) -->", graph, re.MULTILINE))
    assert left == {state.value for state in TurnState if not state.final}


def test_every_make_target_that_the_readme_names_exists() -> None:
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"make ([a-z]+(?:-[a-z]+)*)\b(?=[`\s])", README))
    assert named
    assert named <= targets


def test_every_file_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert links
    root = Path(__file__).parent.parent
    assert [link for link in links if not (root / link).exists()] == []
