"""Delivers payloads to the app over its transport, and retries where Slack would.

Events are redelivered at once, after a minute and after five (docs.slack.dev/apis/events-api,
"Error handling"). Commands, buttons and modals are sent once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Final

from slack_emulator.app_config import AppConfig
from slack_emulator.delivery.http import HttpDelivery
from slack_emulator.delivery.receipt import PayloadKind, Receipt
from slack_emulator.delivery.socket_mode import SocketMode
from slack_emulator.faults import EVENTS, Faults
from slack_emulator.state.clock import EmulatorClock
from slack_emulator.state.entities import Json

RETRY_DELAYS_SECONDS: Final = (0.0, 60.0, 300.0)
"""Delays of the retries in seconds, counted from the first failure."""
REORDER_SECONDS: Final = 1.0
"""Maximum seconds that an event is held back until the next one overtakes it."""
MAX_DELIVERIES: Final = 5_000
"""Maximum number of running deliveries. Further events are lost, as they are when Slack limits
them."""

log = logging.getLogger(__name__)


class Delivery:
    """The delivery of events and interactions to the app."""

    def __init__(
        self,
        clock: EmulatorClock,
        socket_mode: SocketMode,
        http: HttpDelivery,
        faults: Faults,
        app_config: Callable[[], AppConfig],
    ) -> None:
        self._clock = clock
        self._socket_mode = socket_mode
        self._http = http
        self._faults = faults
        self._app_config = app_config
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_event: Json | None = None

    def send_event(self, payload: Json) -> None:
        """Send an event now or after the next one, and once, twice or never, as the faults say."""
        if self._faults.consume(EVENTS, ("lose",)):
            return  # as if the app was away for longer than Slack retries
        if self._held_event is None and self._faults.consume(EVENTS, ("reorder",)):
            self._held_event = payload
            self._start_task(self._release_held(payload))
            return
        held, self._held_event = self._held_event, None
        twice = self._faults.consume(EVENTS, ("duplicate",))
        unheard = self._faults.consume(EVENTS, ("redeliver",)) is not None
        self._start_task(self._deliver_with_retries(payload, ack_lost=unheard))
        if twice:
            self._start_task(self._deliver_with_retries(payload, ack_lost=False))
        if held is not None:
            self._start_task(self._deliver_with_retries(held, ack_lost=False))

    async def _release_held(self, payload: Json) -> None:
        """Deliver the event that is held back, even if no other event overtakes it."""
        await asyncio.sleep(REORDER_SECONDS)
        if self._held_event is payload:
            self._held_event = None
            await self._deliver_with_retries(payload, ack_lost=False)

    def _start_task(self, work: Coroutine[object, object, None]) -> None:
        if len(self._tasks) >= MAX_DELIVERIES:
            work.close()
            log.warning("event dropped: too many deliveries are running")
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_with_retries(self, payload: Json, *, ack_lost: bool) -> None:
        receipt = await self._deliver_once(PayloadKind.EVENT, payload, 0, "")
        if ack_lost:
            receipt = Receipt(ok=False, reason="timeout")
        began = self._clock.now()
        for attempt, after in enumerate(RETRY_DELAYS_SECONDS, start=1):
            if receipt.ok or receipt.no_retry:
                return
            await self._clock.sleep(began + after - self._clock.now())
            receipt = await self._deliver_once(PayloadKind.EVENT, payload, attempt, receipt.reason)

    async def send_interaction(self, kind: PayloadKind, payload: Json) -> Receipt:
        """Send a command, a button press, a modal or a shortcut once, and wait for the
        acknowledgement."""
        return await self._deliver_once(kind, payload, 0, "")

    async def _deliver_once(
        self, kind: PayloadKind, payload: Json, attempt: int, reason: str
    ) -> Receipt:
        settings = self._app_config()
        url = settings.request_url
        if kind is not PayloadKind.EVENT and url is not None:
            url = settings.interactivity_url or url
        if url is None:
            return await self._socket_mode.deliver(kind, payload, attempt, reason)
        return await self._http.deliver(url, kind, payload, attempt, reason)

    async def cancel_all(self) -> None:
        """Cancel all running deliveries."""
        self._held_event = None
        going = list(self._tasks)
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
