"""Asks questions on the terminal."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from contextlib import suppress
from typing import Final

_STDIN: Final = 0
_MAX_ANSWER_BYTES: Final = 1_000
"""Maximum length of an answer, in bytes."""
_YES: Final = ("y", "yes")


async def confirm(question: str) -> bool:
    """True if the user at the terminal answers yes. An empty answer means no."""
    print(question, end=" ", flush=True)
    loop = asyncio.get_running_loop()
    received: asyncio.Future[str] = loop.create_future()

    def set_answer(text: str) -> None:
        if not received.done():
            received.set_result(text)

    def read_answer() -> None:
        # Not `input`: a thread that waits in it would keep the program from ending.
        text = b""
        with suppress(OSError):
            text = os.read(_STDIN, _MAX_ANSWER_BYTES)
        with suppress(RuntimeError):  # the loop has ended since
            loop.call_soon_threadsafe(set_answer, text.decode("utf-8", "replace"))

    threading.Thread(target=read_answer, daemon=True, name="question").start()
    answer = await received
    if not answer:
        print(file=sys.stderr)
    return answer.strip().casefold() in _YES
