"""A question on the terminal, which Ctrl-C ends at once."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress
from typing import Final

_STDIN: Final = 0
_LONGEST: Final = 1_000
_YES: Final = ("y", "yes")


async def agreed(question: str) -> bool:
    """Whether the person at the terminal says yes; no answer is none."""
    print(question, end=" ", flush=True)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def given(text: str) -> None:
        if not answer.done():
            answer.set_result(text)

    def wait() -> None:
        # Not `input`: a thread that waits in there cannot be left behind when the program ends.
        text = b""
        with suppress(OSError):
            text = os.read(_STDIN, _LONGEST)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(given, text.decode("utf-8", "replace"))

    threading.Thread(target=wait, daemon=True, name="question").start()
    said = await answer
    if not said:
        print(file=sys.stderr)
    return said.strip().casefold() in _YES
