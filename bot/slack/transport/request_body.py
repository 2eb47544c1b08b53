"""The bodies of requests, read so that all of them together take a bounded part of the memory.

Who has sent a body is known when all of it is here, so anybody may send them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

FREE_BYTES_PER_BODY: Final = 64 << 10
"""Bytes that each body has for itself; nearly all that Slack sends are smaller, so that large ones
of others do not keep them out."""


class RequestBodyLimitExceeded(Exception):
    """Too many large bodies are here at once."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """One that is here."""

    raw: bytes
    reserved_bytes: int
    """Bytes of the room for all of them that it has."""


class RequestBodies:
    """Those that are here."""

    def __init__(self, max_bytes: int, max_total_bytes: int) -> None:
        """`longest`: bytes of a body; `together`: of all of them, beyond what each has for
        itself."""
        self._max_bytes = max_bytes
        self._available_bytes = max_total_bytes

    async def read_body(self, request: web.Request) -> RequestBody:
        """The body of a request, which has its room until `leave`.

        Raises `RequestBodyLimitExceeded`, `web.HTTPRequestEntityTooLarge`, and what reading raises:
        `web.RequestPayloadError`, `ConnectionError`.
        """
        pieces: list[bytes] = []
        length = taken = 0
        self._check_length(request.content_length or 0)
        try:
            async for piece in request.content.iter_any():
                pieces.append(piece)
                length += len(piece)
                self._check_length(length)
                taken += self._reserve(max(0, length - FREE_BYTES_PER_BODY) - taken)
        except BaseException:
            self._available_bytes += taken
            raise
        return RequestBody(b"".join(pieces), taken)

    def release(self, body: RequestBody) -> None:
        """It is not needed any more."""
        self._available_bytes += body.reserved_bytes

    def _reserve(self, byte_count: int) -> int:
        if byte_count > self._available_bytes:
            raise RequestBodyLimitExceeded
        self._available_bytes -= byte_count
        return byte_count

    def _check_length(self, length: int) -> None:
        if length > self._max_bytes:
            raise web.HTTPRequestEntityTooLarge(max_size=self._max_bytes, actual_size=length)
