"""The model of the bench: the scripted model in a process of its own, the same for everybody.

A prompt says which way of answering is wanted, and a mark by which its answer is known:
`quick m17` is answered by text that begins with "m17".

    instant   one piece, at once
    quick     one piece, 20 ms after it was asked
    steady    the mark 20 ms after it was asked, then 99 pieces, 50 a second
    long      2,000 words, 100 a second, in 50 pieces a second
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from typing import Final

from tests.scripted_model import Answer, ModelRequest, ScriptedModel

FIRST_TOKEN_SECONDS: Final = 0.02
STEADY_PIECES: Final = 100
PIECE_SECONDS: Final = 0.02
LONG_WORDS: Final = 2_000
LONG_WORDS_PER_PIECE: Final = 2
READY: Final = "bench model at "

_ASKED = re.compile(r"\b(instant|quick|steady|long) (m\d+)\b")


def steady_text(mark: str) -> str:
    """What `steady` says, whole."""
    return "".join(_steady(mark))


def long_text(mark: str) -> str:
    """What `long` says, whole."""
    return "".join(_long(mark))


def mark_of(prompt: str) -> str:
    """The mark of the last question in a prompt. `ValueError` where there is none."""
    found = _ASKED.findall(prompt)
    if not found:
        raise ValueError(f"{prompt[-80:]!r} asks for nothing that the bench's model knows")
    return str(found[-1][1])


def _steady(mark: str) -> list[str]:
    return [f"{mark} ", *(f"piece-{number} " for number in range(2, STEADY_PIECES)), f"{mark}-end"]


def _long(mark: str) -> list[str]:
    words = [mark, *(f"word-{number}" for number in range(2, LONG_WORDS)), f"{mark}-end"]
    size = LONG_WORDS_PER_PIECE
    return [" ".join(words[at : at + size]) + " " for at in range(0, len(words), size)]


def _pieces(of: Callable[[str], list[str]]) -> Callable[[ModelRequest], list[str]]:
    return lambda request: of(mark_of(request.prompt))


def script(model: ScriptedModel) -> None:
    """Teach a model these ways of answering."""
    at_once = _pieces(lambda mark: [f"{mark} {mark}-end"])
    model.when("instant m", Answer(chunks=at_once))
    model.when("quick m", Answer(chunks=at_once, first_delay=FIRST_TOKEN_SECONDS))
    for way, pieces in (("steady", _steady), ("long", _long)):
        answer = Answer(
            chunks=_pieces(pieces), first_delay=FIRST_TOKEN_SECONDS, chunk_delay=PIECE_SECONDS
        )
        model.when(f"{way} m", answer)


async def _serve() -> None:
    async with ScriptedModel(keep_requests=False) as model:
        script(model)
        sys.stdout.write(f"{READY}{model.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
