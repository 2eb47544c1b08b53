"""Reads request bodies with a limit on the memory that all of them take together.

The sender is verified only when the whole body is read, so any client can send one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

FREE_BYTES_PER_BODY: Final = 64 << 10
"""Size in bytes that each body may have outside the shared limit. Nearly all bodies from Slack are
smaller, so large ones of other senders do not block them."""


class RequestBodyLimitExceeded(Exception):
    """The bodies in memory together exceed the limit."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A body in memory."""

    raw: bytes
    reserved_bytes: int
    """Size in bytes that it takes of the shared limit."""


class RequestBodies:
    """The bodies in memory and their limits."""

    def __init__(self, max_bytes: int, max_total_bytes: int) -> None:
        """`max_bytes` is the limit of one body; `max_total_bytes` that of all together, beyond
        `FREE_BYTES_PER_BODY` of each."""
        self._max_bytes = max_bytes
        self._available_bytes = max_total_bytes

    async def read_body(self, request: web.Request) -> RequestBody:
        """The body of a request. It counts towards the limit until `release`.

        Raises `RequestBodyLimitExceeded`, `web.HTTPRequestEntityTooLarge`, and the errors of
        reading: `web.RequestPayloadError`, `ConnectionError`.
        """
        chunks: list[bytes] = []
        length = reserved = 0
        self._check_length(request.content_length or 0)
        try:
            async for chunk in request.content.iter_any():
                chunks.append(chunk)
                length += len(chunk)
                self._check_length(length)
                reserved += self._reserve(max(0, length - FREE_BYTES_PER_BODY) - reserved)
        except BaseException:
            self._available_bytes += reserved
            raise
        return RequestBody(b"".join(chunks), reserved)

    def release(self, body: RequestBody) -> None:
        """Free the memory that the body takes of the limit."""
        self._available_bytes += body.reserved_bytes

    def _reserve(self, byte_count: int) -> int:
        if byte_count > self._available_bytes:
            raise RequestBodyLimitExceeded
        self._available_bytes -= byte_count
        return byte_count

    def _check_length(self, length: int) -> None:
        if length > self._max_bytes:
            raise web.HTTPRequestEntityTooLarge(max_size=self._max_bytes, actual_size=length)
