"""Serves the bench's model: the scripted model in its own process, the same for all sides.

A prompt names the way of answering and a mark that identifies the answer: `quick m17` is answered
by text that begins with "m17".

    instant   one piece, at once
    quick     one piece, 20 ms after the request
    steady    the mark 20 ms after the request, then 99 pieces, 50 a second
    long      2,000 words, 100 a second, in 50 pieces a second
    coarse    the same words as fast, in 10 pieces a second

Its argument is the name of a file. It writes the time of each request there: a line such as
"m17 4021.734", by `time.perf_counter`, which is the same for all processes of a machine.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bot.cli import run
from tests.scripted_model import Answer, ModelRequest, ScriptedModel

FIRST_TOKEN_SECONDS: Final = 0.02
STEADY_PIECES: Final = 100
PIECE_SECONDS: Final = 0.02
LONG_WORDS: Final = 2_000
LONG_WORDS_PER_PIECE: Final = 2
COARSE_PIECE_SECONDS: Final = 0.1
COARSE_WORDS_PER_PIECE: Final = 10
READY: Final = "bench model at "

_PROMPT = re.compile(r"\b(instant|quick|steady|long|coarse) (m\d+)\b")


def steady_text(mark: str) -> str:
    """The whole answer of `steady`."""
    return "".join(_steady(mark))


def long_text(mark: str) -> str:
    """The whole answer of `long` and `coarse`."""
    return "".join(_long(mark))


def mark_of(prompt: str) -> str:
    """The mark of the last question in a prompt. Raises `ValueError` if there is none."""
    found = _PROMPT.findall(prompt)
    if not found:
        raise ValueError(f"{prompt[-80:]!r} asks for nothing that the bench's model knows")
    return str(found[-1][1])


def _steady(mark: str) -> list[str]:
    return [f"{mark} ", *(f"piece-{number} " for number in range(2, STEADY_PIECES)), f"{mark}-end"]


def _long(mark: str, size: int = LONG_WORDS_PER_PIECE) -> list[str]:
    words = [mark, *(f"word-{number}" for number in range(2, LONG_WORDS)), f"{mark}-end"]
    return [" ".join(words[at : at + size]) + " " for at in range(0, len(words), size)]


def _coarse(mark: str) -> list[str]:
    return _long(mark, COARSE_WORDS_PER_PIECE)


def request_times(file: Path) -> dict[str, float]:
    """The time of the first request for each answer, by its mark."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {mark: float(at) for mark, at in reversed([line.split() for line in lines])}


def _ignore(_: str) -> None:
    """Ignore the mark of a request."""


def script(model: ScriptedModel, note: Callable[[str], None] = _ignore) -> None:
    """Set up the model's ways of answering; `note` is called with the mark of each request."""

    def noted(of: Callable[[str], list[str]]) -> Callable[[ModelRequest], list[str]]:
        def pieces(request: ModelRequest) -> list[str]:
            mark = mark_of(request.prompt)
            note(mark)
            return of(mark)

        return pieces

    at_once = noted(lambda mark: [f"{mark} {mark}-end"])
    model.when("instant m", Answer(chunks=at_once))
    model.when("quick m", Answer(chunks=at_once, first_delay=FIRST_TOKEN_SECONDS))
    for way, pieces, delay in (
        ("steady", _steady, PIECE_SECONDS),
        ("long", _long, PIECE_SECONDS),
        ("coarse", _coarse, COARSE_PIECE_SECONDS),
    ):
        answer = Answer(chunks=noted(pieces), first_delay=FIRST_TOKEN_SECONDS, chunk_delay=delay)
        model.when(f"{way} m", answer)


async def _serve(file: Path) -> None:
    with file.open("w", encoding="utf-8", buffering=1) as log:

        def note(mark: str) -> None:
            log.write(f"{mark} {time.perf_counter()}\n")

        async with ScriptedModel(keep_requests=False) as model:
            script(model, note)
            sys.stdout.write(f"{READY}{model.url}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    run.run(_serve(Path(sys.argv[1])))
