"""Reads files of one folder for a model, as a separate program that cannot leave the folder.

    echo '{"folder": …, "tool": …, "arguments": {…}}' | python -I -S file_reader.py

Each part of a path is opened by name in the parent folder that is already open, without following
links (`O_NOFOLLOW`). So there is no moment between check and use: a file that is replaced by a link
in between is refused. It is a separate program because a model's pattern or a disk may take without
end: the program ends itself after `TIMEOUT_SECONDS`. It uses the standard library only. On Windows
files cannot be opened in this way, so every call fails.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TextIO

TIMEOUT_SECONDS: Final = 15
"""Timeout of the program, in seconds."""
MAX_CHARS: Final = 1_000_000
"""Maximum length of a result, in characters. The caller shows less, but it removes secrets before
it cuts."""
MAX_FILES: Final = 20_000
"""Maximum number of files in a search."""
MAX_DEPTH: Final = 40
"""Maximum number of nested folders in a search."""
_MAX_MEMORY_BYTES: Final = 512 * 1024 * 1024
_MAX_FILE_BYTES: Final = 20_000_000
"""Maximum number of bytes that are read of one file."""
_BINARY_PROBE_BYTES: Final = 8_192
"""Size of the part of a file that is checked for binary data, in bytes."""

if sys.platform != "win32":
    import resource

    _NOFOLLOW_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW
    _WALK_FLAGS: Final = getattr(os, "O_PATH", 0) | os.O_DIRECTORY | _NOFOLLOW_FLAGS
    _FOLDER_FLAGS: Final = os.O_DIRECTORY | _NOFOLLOW_FLAGS
    _FILE_FLAGS: Final = os.O_NONBLOCK | _NOFOLLOW_FLAGS

OUTSIDE: Final = "You may only read in the folder that you were given. Go on without this."
NOT_THERE: Final = "There is no such file or folder, or it cannot be read."
NO_TEXT: Final = "This is no text file."
NOTHING: Final = "Nothing was found."
CUT: Final = "(There is more; ask for less at once.)"
NO_PATTERN: Final = "This is no regular expression that Python knows: {error}."
WRONG: Final = "The tool cannot be called like this: {why}."


class ToolError(Exception):
    """A call that is refused. The text gives the model the reason."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool by the model."""

    folder: str
    """An absolute path without links."""
    tool: str
    arguments: dict[str, object]

    def text_argument(self, name: str, default: str | None = None) -> str:
        """An argument that has to be a string. Raises `ToolError` if it is not."""
        value = self.arguments.get(name, default)
        if not isinstance(value, str) or "\0" in value:
            raise ToolError(WRONG.format(why=f"{name} has to be a text"))
        return value


def main() -> None:
    """Answer the one call on standard input."""
    if sys.platform == "win32":
        sys.exit(1)
    signal.alarm(TIMEOUT_SECONDS)
    with suppress(OSError, ValueError):  # the system may not have this limit
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    request = json.load(sys.stdin)
    call = ToolCall(request["folder"], request["tool"], request["arguments"])
    try:
        result = run_tool(call)
    except ToolError as refusal:
        result = str(refusal)
    except RecursionError:
        result = WRONG.format(why="the pattern is too deep")
    sys.stdout.buffer.write(result.encode("utf-8", "replace"))


def run_tool(call: ToolCall) -> str:
    """The result for the model. Raises `ToolError`."""
    tools: dict[str, Callable[[ToolCall], Iterator[str]]] = {
        "view": view,
        "grep": grep,
        "glob": glob,
    }
    return _join_up_to_limit(tools[call.tool](call)) or NOTHING


# The tools ---------------------------------------------------------------------------------------


def view(call: ToolCall) -> Iterator[str]:
    """The numbered lines of a file, or the names in a folder."""
    _, opened = _open_within(call, call.text_argument("path"))
    with opened:
        if opened.is_folder:
            yield from sorted(_list_entries(opened.descriptor))
            return
        first, last = _line_range(call.arguments.get("view_range"))
        for number, line in enumerate(opened.read_lines(), start=1):
            if last is not None and number > last:
                break
            if number >= first:
                yield f"{number}. {line}"


def grep(call: ToolCall) -> Iterator[str]:
    """The matches of a regular expression, as lines, counts or names of files."""
    try:
        pattern = re.compile(
            call.text_argument("pattern"), re.IGNORECASE if call.arguments.get("ignore_case") else 0
        )
    except (re.error, OverflowError) as error:
        raise ToolError(NO_PATTERN.format(error=error)) from error
    mode = call.text_argument("output_mode", "content")
    for name, opened in _walk_files(
        call, call.text_argument("path", "."), call.text_argument("glob", "")
    ):
        found = _matching_lines(opened, pattern)
        if mode == "content":
            yield from (f"{name}:{number}: {line}" for number, line in found)
        elif mode == "count":
            count = sum(1 for _ in found)
            if count:
                yield f"{name}: {count}"
        elif next(found, None) is not None:
            yield name


def glob(call: ToolCall) -> Iterator[str]:
    """The files whose path matches a pattern."""
    for name, _ in _walk_files(
        call, call.text_argument("path", "."), call.text_argument("pattern")
    ):
        yield name


# The files ---------------------------------------------------------------------------------------


class OpenPath:
    """An open file or folder; a context manager."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(os.fstat(self.descriptor).st_mode)

    def read_lines(self) -> Iterator[str]:
        """The lines of a text file without line ends. Raises `ToolError` for other files."""
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            raise ToolError(NO_TEXT)
        if b"\0" in os.pread(self.descriptor, _BINARY_PROBE_BYTES, 0):
            raise ToolError(NO_TEXT)
        left = _MAX_FILE_BYTES
        with self._open_text() as file:
            while left > 0 and (line := file.readline(left)):
                left -= len(line)
                yield line.rstrip("\r\n")

    def _open_text(self) -> TextIO:
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        return open(self.descriptor, encoding="utf-8", errors="replace", closefd=False)


def _open_within(call: ToolCall, path: str) -> tuple[str, OpenPath]:
    """Open a path within the call's folder. Links are allowed while they stay in the folder.

    Resolves the links first, and then opens the path without links. Returns the path relative to
    the folder, and the open file or folder. Raises `ToolError`.
    """
    try:
        real = os.path.realpath(Path(call.folder, path))
        within = os.path.relpath(real, call.folder)
        if within.split("/")[0] == "..":
            raise ToolError(OUTSIDE)
        return within, OpenPath(_open_without_links(real))
    except OSError as error:  # also when a link disappears while it is resolved
        raise ToolError(NOT_THERE) from error


def _open_without_links(path: str) -> int:
    """A descriptor of the file or folder at an absolute path. No part of it may be a link."""
    names = [part for part in path.split("/") if part]
    at = os.open("/", _WALK_FLAGS)
    try:
        for name in names[:-1]:
            below = os.open(name, _WALK_FLAGS, dir_fd=at)
            os.close(at)
            at = below
        return _open_at(names[-1], at) if names else os.open(".", _FOLDER_FLAGS, dir_fd=at)
    finally:
        os.close(at)


def _open_at(name: str, folder: int) -> int:
    """Open a file, or a folder to list it. Raises `OSError` for pipes and devices."""
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode):
        return os.open(name, _FOLDER_FLAGS, dir_fd=folder)
    if stat.S_ISREG(mode):
        return os.open(name, _FILE_FLAGS, dir_fd=folder)
    raise OSError("neither a file nor a folder")


def _list_entries(folder: int) -> list[str]:
    """The names in an open folder. Names of folders end with a slash."""
    with os.scandir(folder) as found:
        return [
            f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
            for entry in found
        ]


def _walk_files(call: ToolCall, path: str, pattern: str) -> Iterator[tuple[str, OpenPath]]:
    """The files at and below a path that match a pattern, without hidden files and links.

    Yields the path relative to the call's folder, and the open file.
    """
    fits = _path_matcher(pattern)
    within, opened = _open_within(call, path)
    with opened:
        if not opened.is_folder:
            yield within, opened
            return
        left = MAX_FILES
        begin = "" if within == "." else within
        for name, below in _walk_below(opened.descriptor, begin, MAX_DEPTH):
            with below:
                left -= 1
                if left < 0:
                    return
                if fits(name):
                    yield name, below


def _walk_below(folder: int, path: str, depth: int) -> Iterator[tuple[str, OpenPath]]:
    for entry in sorted(_list_entries(folder)):
        if entry.startswith(".") or not depth:
            continue
        name = f"{path}/{entry}" if path else entry
        try:
            below = OpenPath(_open_at(entry.rstrip("/"), folder))
        except OSError:
            continue  # a link, or deleted since
        if below.is_folder:
            with below:
                yield from _walk_below(below.descriptor, name.rstrip("/"), depth - 1)
        else:
            yield name, below


def _matching_lines(file: OpenPath, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    try:
        for number, line in enumerate(file.read_lines(), start=1):
            if pattern.search(line):
                yield number, line
    except ToolError:
        return


# Parsing and formatting --------------------------------------------------------------------------


def _line_range(value: object) -> tuple[int, int | None]:
    match value:
        case None:
            return 1, None
        case [int(first), int(last)]:
            return first, None if last < 0 else last
    raise ToolError(WRONG.format(why="view_range has to be two numbers, the second -1 for the end"))


def _path_matcher(glob_pattern: str) -> Callable[[str], bool]:
    """A function that returns True if a path matches the pattern.

    `*` and `?` match within a name, `**` matches across folders, `{a,b}` matches `a` or `b`. A
    pattern without a slash is matched against the name only. An empty pattern matches every path.
    """
    if not glob_pattern:
        return lambda _: True
    parts = re.findall(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|[{},]|[^*?\[{},]+|\[", glob_pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
    written, braces = "", 0
    for part in parts:
        braces += {"{": 1, "}": -1}.get(part, 0)
        if part == ",":
            written += "|" if braces else ","
        elif part.startswith("[") and len(part) > 1:
            inner = re.sub(r"([\\\[&~|])", r"\\\1", part[1:-1])
            written += f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
        else:
            written += known.get(part) or re.escape(part)
    try:
        pattern = re.compile(written, re.DOTALL)
    except re.error as error:
        raise ToolError(WRONG.format(why="the pattern of paths is none")) from error
    if "/" in glob_pattern:
        return lambda path: bool(pattern.fullmatch(path))
    return lambda path: bool(pattern.fullmatch(path.rpartition("/")[2]))


def _join_up_to_limit(lines: Iterator[str]) -> str:
    """The lines as one text, cut at `MAX_CHARS`, or an empty string."""
    kept: list[str] = []
    left = MAX_CHARS
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            return "\n".join([*kept, line[: MAX_CHARS // 2], CUT])
        kept.append(line)
    return "\n".join(kept)


if __name__ == "__main__":
    main()
