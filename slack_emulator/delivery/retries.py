"""Getting payloads to the app, by the way that it chose, again and again where Slack would.

Events are redelivered at once, after a minute and after five (docs.slack.dev/apis/events-api,
"Error handling"); commands, buttons and forms are sent once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Final

from slack_emulator.app_config import AppSettings
from slack_emulator.delivery.http import HttpEvents
from slack_emulator.delivery.receipt import Kind, Receipt
from slack_emulator.delivery.socket_mode import SocketMode
from slack_emulator.faults import EVENTS, Faults
from slack_emulator.state.clock import SandboxClock
from slack_emulator.state.entities import Json

RETRY_AFTER_SECONDS: Final = (0.0, 60.0, 300.0)
"""Counted from the first failure."""
HELD_SECONDS: Final = 1.0
"""How long an event waits for the next one to overtake it."""
MAX_OPEN: Final = 5_000
"""Deliveries under way; beyond that events are lost, as they are when Slack limits them."""

log = logging.getLogger(__name__)


class Delivery:
    """The sandbox's way to the app."""

    def __init__(
        self,
        clock: SandboxClock,
        sockets: SocketMode,
        http: HttpEvents,
        faults: Faults,
        settings: Callable[[], AppSettings],
    ) -> None:
        self._clock = clock
        self._sockets = sockets
        self._http = http
        self._faults = faults
        self._settings = settings
        self._open: set[asyncio.Task[None]] = set()
        self._held: Json | None = None

    def event(self, payload: Json) -> None:
        """Send an event, now or after the next one, once, twice or never, as the faults say."""
        if self._faults.meet(EVENTS, ("lose",)):
            return  # as where the app was away for longer than Slack goes on trying
        if self._held is None and self._faults.meet(EVENTS, ("reorder",)):
            self._held = payload
            self._start(self._release(payload))
            return
        held, self._held = self._held, None
        twice = self._faults.meet(EVENTS, ("duplicate",))
        unheard = self._faults.meet(EVENTS, ("redeliver",)) is not None
        self._start(self._deliver(payload, unheard=unheard))
        if twice:
            self._start(self._deliver(payload, unheard=False))
        if held is not None:
            self._start(self._deliver(held, unheard=False))

    async def _release(self, payload: Json) -> None:
        """What is held back for the next event comes late, but it comes."""
        await asyncio.sleep(HELD_SECONDS)
        if self._held is payload:
            self._held = None
            await self._deliver(payload, unheard=False)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        if len(self._open) >= MAX_OPEN:
            work.close()
            log.warning("An event is lost: too many wait for the app.")
            return
        task = asyncio.create_task(work)
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _deliver(self, payload: Json, *, unheard: bool) -> None:
        receipt = await self._once(Kind.EVENT, payload, 0, "")
        if unheard:
            receipt = Receipt(ok=False, reason="timeout")
        began = self._clock.now()
        for attempt, after in enumerate(RETRY_AFTER_SECONDS, start=1):
            if receipt.ok or receipt.give_up:
                return
            await self._clock.sleep(began + after - self._clock.now())
            receipt = await self._once(Kind.EVENT, payload, attempt, receipt.reason)

    async def interactive(self, kind: Kind, payload: Json) -> Receipt:
        """Send a command, a press, a form or a shortcut: once, and the person waits for it."""
        return await self._once(kind, payload, 0, "")

    async def _once(self, kind: Kind, payload: Json, attempt: int, reason: str) -> Receipt:
        settings = self._settings()
        url = settings.request_url
        if kind is not Kind.EVENT and url is not None:
            url = settings.interactivity_url or url
        if url is None:
            return await self._sockets.deliver(kind, payload, attempt, reason)
        return await self._http.deliver(url, kind, payload, attempt, reason)

    async def forget(self) -> None:
        """Give up what is under way."""
        self._held = None
        going = list(self._open)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
