"""Provides the tools by which a session reads files in one folder.

The model calls them, and the bot's own reader (`bot.copilot.file_reader`) runs them. They replace
tools of the runtime with the same names. Those check a path and open it afterwards, so a link that
is created in between leads out of the folder. Results go to the model, and into the session's
history, without the bot's secrets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from copilot import Tool, ToolInvocation, ToolResult

from bot.clock import SYSTEM_CLOCK, time_limit
from bot.copilot import file_reader
from bot.redaction import SecretRedactor

log = logging.getLogger(__name__)

MAX_RESULT_CHARS: Final = 50_000
"""Maximum length of one result, in characters: about 12,000 tokens."""
MAX_LINE_CHARS: Final = 2_000
"""Maximum length of one line of a result, in characters."""
MAX_CONCURRENT_READERS: Final = 2
"""Maximum number of readers that one session runs at once. Further calls wait."""
_READER_TIMEOUT_SECONDS: Final = file_reader.TIMEOUT_SECONDS + 5.0
"""Timeout for a reader, in seconds. The reader normally ends itself before."""

FAILED: Final = "This took too long or could not be done. Ask for less, or go on without it."
"""The result of a failed call, for the model. Users do not see it."""

_READER_COMMAND: Final = (sys.executable, "-I", "-S", str(Path(file_reader.__file__).resolve()))

_PATH: Final = {"type": "string", "description": "Relative to the folder that you may read."}
_GLOB: Final = {
    "type": "string",
    "description": "Such as *.md (in any folder), docs/**/*.md or *.{py,toml}.",
}
_DESCRIPTIONS: Final = {
    "view": "Shows a text file with its lines numbered, or the names in a folder.",
    "grep": "Searches text files with a regular expression, line by line. Hidden files are left "
    "out.",
    "glob": "Lists the files whose path fits a pattern. Hidden files are left out.",
}
_ARGUMENTS: Final[dict[str, dict[str, object]]] = {
    "view": {
        "path": _PATH,
        "view_range": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "The first and the last line that are wanted; -1 for the end.",
        },
    },
    "grep": {
        "pattern": {"type": "string", "description": "As Python's re takes it."},
        "path": _PATH,
        "glob": _GLOB,
        "ignore_case": {"type": "boolean"},
        "output_mode": {
            "type": "string",
            "enum": ["content", "files_with_matches", "count"],
            "description": "Matching lines (without it), names of files, or counts.",
        },
    },
    "glob": {"pattern": _GLOB, "path": _PATH},
}
_REQUIRED_ARGUMENTS: Final = {"view": ["path"], "grep": ["pattern"], "glob": ["pattern"]}


def reading_tools(names: Sequence[str], folder: str, redact: SecretRedactor) -> list[Tool]:
    """The tools with these names, for a folder that is given as an absolute path without links."""

    readers = asyncio.Semaphore(MAX_CONCURRENT_READERS)

    async def carry_out(invocation: ToolInvocation) -> ToolResult:
        async with readers:
            found = await _call_reader(folder, invocation.tool_name, invocation.arguments)
        return ToolResult(text_result_for_llm=_truncate_result(redact(found)))

    return [
        Tool(
            name=name,
            description=_DESCRIPTIONS[name],
            parameters={
                "type": "object",
                "properties": _ARGUMENTS[name],
                "required": _REQUIRED_ARGUMENTS[name],
                "additionalProperties": False,
            },
            handler=carry_out,
            overrides_built_in_tool=True,
            # The reader cannot leave the folder, so no permission is needed.
            skip_permission=True,
        )
        for name in names
    ]


async def _call_reader(folder: str, tool: str, arguments: object) -> str:
    """The reader's result for any call, also an invalid one. Bounded; raises nothing."""
    known = _ARGUMENTS.get(tool, {})
    if not isinstance(arguments, dict) or not arguments.keys() <= known.keys():
        return file_reader.WRONG.format(why=f"it takes {', '.join(known)}")
    call = json.dumps({"folder": folder, "tool": tool, "arguments": arguments}).encode()
    try:
        status, output = await _run_reader(call)
    except (OSError, TimeoutError) as error:
        log.warning("file reader failed: error=%r", error)
        return FAILED
    if status != 0:
        log.info("file reader failed: status=%d", status)
        return FAILED
    return output.decode("utf-8", "replace")


async def _run_reader(call: bytes) -> tuple[int, bytes]:
    """The reader's exit status and its output. Raises `OSError` and `TimeoutError`."""
    process = await asyncio.create_subprocess_exec(
        *_READER_COMMAND,
        env={},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with time_limit(SYSTEM_CLOCK, _READER_TIMEOUT_SECONDS):
            output, _ = await process.communicate(call)
    finally:
        if process.returncode is None:
            process.kill()
    return await process.wait(), output


def _truncate_result(text: str) -> str:
    """The text, with long lines and the whole cut to what a model gets at once."""
    lines = [
        line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]}…"
        for line in text.split("\n")
    ]
    joined = "\n".join(lines)
    return (
        joined
        if len(joined) <= MAX_RESULT_CHARS
        else f"{joined[:MAX_RESULT_CHARS]}\n{file_reader.CUT}"
    )
