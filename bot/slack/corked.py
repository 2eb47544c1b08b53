"""Acknowledgements that go out at one moment leave in one piece.

One commit of the inbox lets many deliveries be acknowledged at once. Each frame alone would wake
whoever reads at the other end, and cost more than all else that is done to write it (measured). So
the system holds back what a connection is given within one round of the loop, and sends it at the
round's end: in order as before, and the moment it is given it is the system's, as before.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final

from aiohttp import ClientWebSocketResponse

_CORK: Final[int | None] = getattr(socket, "TCP_CORK", None)
"""Linux has it (tcp(7)), and lets go by itself after 200 ms; elsewhere every frame goes alone."""


class Corked:
    """Holds back what goes into connections, for a round of the loop at most."""

    def __init__(self) -> None:
        self._held: ClientWebSocketResponse | None = None

    def hold(self, connection: ClientWebSocketResponse | None) -> None:
        """Have what is written to this connection from now on go out together, soon."""
        if connection is None or connection is self._held:
            return
        self._held = connection
        _set(connection, held=True)
        asyncio.get_running_loop().call_soon(self._let_go, connection)

    def _let_go(self, connection: ClientWebSocketResponse) -> None:
        if self._held is connection:
            self._held = None
        _set(connection, held=False)


def _set(connection: ClientWebSocketResponse, *, held: bool) -> None:
    """Nothing where the connection is gone, or is none of TCP: then there is nothing to hold."""
    wire = connection.get_extra_info("socket")
    if _CORK is not None and wire is not None:
        with suppress(OSError, ValueError):  # uvloop's has the number -1 when it is closed
            wire.setsockopt(socket.IPPROTO_TCP, _CORK, held)
