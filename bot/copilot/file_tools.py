"""The tools by which a session reads in one folder: the model calls them, the bot's own reader
(`bot.copilot.file_reader`) carries them out.

The runtime has tools of the same names, which look at a path and open it afterwards: a link that is
put there in between leads them out. These stand in their place. What they find goes to the model,
and into the session's history, without the bot's secrets.
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
"""Of one result: a model reads about 12,000 tokens of it."""
MAX_LINE_CHARS: Final = 2_000
MAX_CONCURRENT_READERS: Final = 2
"""So many readers of a session work at once; what else it wants to have read waits."""
_READER_TIMEOUT_SECONDS: Final = file_reader.TIMEOUT_SECONDS + 5.0
"""The reader ends by itself before."""

FAILED: Final = "This took too long or could not be done. Ask for less, or go on without it."
"""What the model is told; people do not see it."""

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
    """The tools of these names, which read in the folder, an absolute path without links."""

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
            # The reader cannot leave the folder: there is nothing to ask for.
            skip_permission=True,
        )
        for name in names
    ]


async def _call_reader(folder: str, tool: str, arguments: object) -> str:
    """What the reader says to what may be called with anything. Bounded; raises nothing."""
    known = _ARGUMENTS.get(tool, {})
    if not isinstance(arguments, dict) or not arguments.keys() <= known.keys():
        return file_reader.WRONG.format(why=f"it takes {', '.join(known)}")
    call = json.dumps({"folder": folder, "tool": tool, "arguments": arguments}).encode()
    try:
        status, output = await _run_reader(call)
    except (OSError, TimeoutError) as error:
        log.warning("nothing could be read for the model: %r", error)
        return FAILED
    if status != 0:
        log.info("a reader ended with status %d", status)
        return FAILED
    return output.decode("utf-8", "replace")


async def _run_reader(call: bytes) -> tuple[int, bytes]:
    """How the reader ends, and what it says. Raises `OSError` and `TimeoutError`."""
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
    """As much as a model is told at once."""
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
