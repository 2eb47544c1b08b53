"""The bodies of requests, read so that all of them together take a bounded part of the memory.

Who has sent a body is known when all of it is here, so anybody may send them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

FREE: Final = 64 << 10
"""Bytes that each body has for itself; nearly all that Slack sends are smaller, so that large ones
of others do not keep them out."""


class NoRoom(Exception):
    """Too many large bodies are here at once."""


@dataclass(frozen=True, slots=True)
class Body:
    """One that is here."""

    raw: bytes
    taken: int
    """Bytes of the room for all of them that it has."""


class Bodies:
    """Those that are here."""

    def __init__(self, longest: int, together: int) -> None:
        """`longest`: bytes of a body; `together`: of all of them, beyond what each has for
        itself."""
        self._longest = longest
        self._left = together

    async def read(self, request: web.Request) -> Body:
        """The body of a request, which has its room until `leave`.

        Raises `NoRoom`, `web.HTTPRequestEntityTooLarge`, and what reading raises:
        `web.RequestPayloadError`, `ConnectionError`.
        """
        pieces: list[bytes] = []
        length = taken = 0
        self._check(request.content_length or 0)
        try:
            async for piece in request.content.iter_any():
                pieces.append(piece)
                length += len(piece)
                self._check(length)
                taken += self._take(max(0, length - FREE) - taken)
        except BaseException:
            self._left += taken
            raise
        return Body(b"".join(pieces), taken)

    def leave(self, body: Body) -> None:
        """It is not needed any more."""
        self._left += body.taken

    def _take(self, more: int) -> int:
        if more > self._left:
            raise NoRoom
        self._left -= more
        return more

    def _check(self, length: int) -> None:
        if length > self._longest:
            raise web.HTTPRequestEntityTooLarge(max_size=self._longest, actual_size=length)
