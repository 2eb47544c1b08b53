"""Tests the model's file tools: they read all of one folder, and nothing else."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from copilot import ToolInvocation, ToolResult

from bot.copilot import file_reader, file_tools
from bot.copilot.file_tools import FAILED, MAX_LINE_CHARS, MAX_RESULT_CHARS, reading_tools
from bot.copilot.permissions import READING_TOOLS
from bot.redaction import REPLACEMENT, SecretRedactor

SECRET = "xoxb-1-of-ours-canary"
TRIES = 2_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files and links. Some links lead out of it."""
    inside = tmp_path / "given"
    (inside / "docs" / "deep").mkdir(parents=True)
    (inside / "notes.md").write_text("first\nsecond needle\nthird\n")
    (inside / "docs" / "deep" / "more.py").write_text("# a Needle\n")
    (inside / ".hidden").write_text("needle")
    (inside / "picture").write_bytes(b"\x89PNG\0needle")
    (tmp_path / "given-too").mkdir()
    (tmp_path / "given-too" / "secret.md").write_text("a needle outside")
    (inside / "out").symlink_to(tmp_path / "given-too")
    (inside / "out.md").symlink_to(tmp_path / "given-too" / "secret.md")
    (inside / "back").symlink_to("notes.md")
    (inside / "loop").symlink_to("loop")
    os.mkfifo(inside / "pipe")
    return inside


async def result_of(folder: Path, tool: str, /, **arguments: object) -> str:
    """The result that the model gets for a call."""
    [made] = reading_tools([tool], str(folder), SecretRedactor([SECRET]))
    assert made.handler is not None
    found = made.handler(ToolInvocation(tool_name=tool, arguments=arguments))
    result = await found if inspect.isawaitable(found) else found
    assert isinstance(result, ToolResult)
    return result.text_result_for_llm


@pytest.mark.parametrize("path", ["notes.md", "{}/notes.md", "docs/../notes.md", "back", "./back"])
async def test_a_file_is_shown_with_its_lines_numbered(folder: Path, path: str) -> None:
    """Whichever way its path is written, and by a link that stays in the folder."""
    shown = await result_of(folder, "view", path=path.format(folder))
    assert shown == "1. first\n2. second needle\n3. third"


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [([2, 2], "2. second needle"), ([2, -1], "2. second needle\n3. third"), ([9, 12], "")],
)
async def test_lines_can_be_asked_for(folder: Path, wanted: list[int], shown: str) -> None:
    result = await result_of(folder, "view", path="notes.md", view_range=wanted)
    assert result == (shown or file_reader.NOTHING)


async def test_a_folder_is_shown_by_the_names_in_it(folder: Path) -> None:
    result = await result_of(folder, "view", path=".")
    assert {"notes.md", "docs/", "out"} <= set(result.splitlines())


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"pattern": "needle"}, "notes.md:2: second needle"),
        ({"pattern": "needle", "path": "notes.md"}, "notes.md:2: second needle"),
        ({"pattern": "n..dle", "output_mode": "files_with_matches"}, "notes.md"),
        (
            {"pattern": "needle", "ignore_case": True, "output_mode": "count"},
            "docs/deep/more.py: 1\nnotes.md: 1",
        ),
        ({"pattern": "Needle", "glob": "docs/**/*.py"}, "docs/deep/more.py:1: # a Needle"),
        ({"pattern": "Needle", "path": "docs"}, "docs/deep/more.py:1: # a Needle"),
        ({"pattern": "nowhere"}, file_reader.NOTHING),
    ],
)
async def test_files_are_searched(folder: Path, arguments: dict[str, object], found: str) -> None:
    """Not what is hidden, is no text, or is a link."""
    assert await result_of(folder, "grep", **arguments) == found


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.md", "notes.md"),
        ("*.{md,py}", "docs/deep/more.py\nnotes.md"),
        ("**/*.py", "docs/deep/more.py"),
        ("docs/*.py", file_reader.NOTHING),
        ("note[r-t].m?", "notes.md"),
        ("note[!s].md", file_reader.NOTHING),
        ("../given-too/*", file_reader.NOTHING),
        ("out/*", file_reader.NOTHING),
    ],
)
async def test_files_are_listed_by_their_path(folder: Path, pattern: str, found: str) -> None:
    assert await result_of(folder, "glob", pattern=pattern) == found


@pytest.mark.parametrize("tool", READING_TOOLS)
@pytest.mark.parametrize(
    "path",
    ["..", "../given-too", "out", "out/secret.md", "out.md", "/etc/passwd", "/", "../given/../x"],
)
async def test_what_lies_outside_is_not_read(folder: Path, tool: str, path: str) -> None:
    """However the way there is written, and by no link."""
    pattern = {} if tool == "view" else {"pattern": ".*"}
    assert await result_of(folder, tool, path=path, **pattern) == file_reader.OUTSIDE


@pytest.mark.parametrize("path", ["loop", "loop/x", "pipe", "not-there", "notes.md/x"])
async def test_what_is_not_there_or_cannot_be_read_is_said(folder: Path, path: str) -> None:
    assert await result_of(folder, "view", path=path) == file_reader.NOT_THERE


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("view", {}),
        ("view", {"path": 3}),
        ("view", {"path": "a\0b"}),
        ("view", {"path": "notes.md", "view_range": "all"}),
        ("view", {"path": "notes.md", "follow": True}),
        ("glob", {"pattern": "{"}),
        ("grep", {"pattern": "("}),
        ("grep", {"pattern": "(" * 5_000}),
    ],
)
async def test_a_wrong_call_is_answered(
    folder: Path, tool: str, arguments: dict[str, object]
) -> None:
    assert "cannot be called" in await result_of(folder, tool, **arguments) or (
        "no regular expression" in await result_of(folder, tool, **arguments)
    )


async def test_a_pattern_that_takes_for_ever_is_given_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the reader itself, so that none is left behind by a bot that dies."""
    (folder / "as.txt").write_text("a" * 60 + "b")
    short = folder.parent / "reader.py"
    source = inspect.getsource(file_reader)
    short.write_text(
        source.replace(f"SECONDS: Final = {file_reader.TIMEOUT_SECONDS}", "SECONDS: Final = 1")
    )
    monkeypatch.setattr(
        file_tools,
        "_READER_COMMAND",
        (*file_tools._READER_COMMAND[:-1], str(short)),  # noqa: SLF001
    )
    assert await result_of(folder, "grep", pattern="(a|aa)+$") == FAILED


async def test_a_result_is_bounded_and_no_secret_is_cut_in_two_by_that(folder: Path) -> None:
    lines = ["x" * (MAX_LINE_CHARS - 8) + SECRET, *["y" * 100] * (MAX_RESULT_CHARS // 50)]
    (folder / "long.md").write_text("\n".join(lines))
    result = await result_of(folder, "view", path="long.md")
    assert len(result) <= MAX_RESULT_CHARS + 100
    assert result.endswith(file_reader.CUT)
    assert "xoxb" not in result
    (folder / "long.md").write_text(SECRET)
    assert await result_of(folder, "view", path="long.md") == f"1. {REPLACEMENT}"


_CHANGING = """
import os, sys
one, other, kept = sys.argv[1:]
while True:
    for _ in range(1000):
        os.rename(one, kept)
        os.rename(other, one)
        os.rename(kept, other)
    if os.getppid() == 1:
        break
"""


@contextmanager
def changing_places(one: Path, other: Path) -> Iterator[None]:
    """While inside, two paths change places again and again, so that one of them is there, or the
    other one, or for a moment none."""
    kept = one.with_name(".kept")
    changing = subprocess.Popen([sys.executable, "-c", _CHANGING, one, other, kept])
    try:
        yield
    finally:
        changing.kill()
        changing.wait()


@pytest.mark.parametrize("tool", READING_TOOLS)
@pytest.mark.parametrize("path", ["it", "it/secret.md"])
def test_a_link_that_is_put_there_while_it_is_looked_at_leads_nowhere(
    folder: Path, path: str, tool: str
) -> None:
    """In place of a file, and of a folder in its path, in many tries."""
    outside = folder.parent / "given-too"
    if path == "it":
        (folder / "it").write_text("inside")
        (folder / "link").symlink_to(outside / "secret.md")
    else:
        (folder / "it").mkdir()
        (folder / "it" / "secret.md").write_text("inside")
        (folder / "link").symlink_to(outside)
    arguments: dict[str, object] = {"path": path if tool != "glob" else "it"}
    if tool != "view":
        arguments["pattern"] = "."
    call = file_reader.ToolCall(str(folder), tool, arguments)
    results = []
    with changing_places(folder / "it", folder / "link"):
        for _ in range(TRIES):
            try:
                results.append(file_reader.run_tool(call))
            except file_reader.ToolError as refusal:
                results.append(str(refusal))
    assert not [each for each in results if "outside" in each]
    assert file_reader.OUTSIDE in results, "the link was there at times"
    assert len(set(results)) > 1, "and at others it was not"
