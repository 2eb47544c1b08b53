"""Builds the parts of the emulator on which API methods and user actions work."""

from __future__ import annotations

from slack_emulator.app_config import AppConfig
from slack_emulator.call_log import CallLog
from slack_emulator.delivery.events import Events
from slack_emulator.delivery.http import HttpDelivery
from slack_emulator.delivery.retries import Delivery
from slack_emulator.delivery.socket_mode import SocketMode
from slack_emulator.faults import Faults
from slack_emulator.rate_limits import RateLimits
from slack_emulator.state.clock import BaseClock, EmulatorClock, Timers
from slack_emulator.state.streams import Streams
from slack_emulator.state.triggers import Triggers
from slack_emulator.state.views import Views
from slack_emulator.state.workspace import Workspace


class SlackBackend:
    """The state and the services of one emulated workspace."""

    def __init__(self, clock: BaseClock | None = None, notice: str = "") -> None:
        self.notice = notice
        self.clock = EmulatorClock(clock)
        self.app_config = AppConfig()
        self.faults = Faults()
        self.call_log = CallLog()
        self.rate_limits = RateLimits(self.clock)
        self.timers = Timers(self.clock)
        self.workspace = Workspace(self.clock)
        self.streams = Streams(self.workspace)
        self.views = Views(self.workspace)
        self.triggers = Triggers(self.clock)
        self.socket_mode = SocketMode(self.clock, self.faults)
        self.http_delivery = HttpDelivery(self.clock)
        self.delivery = Delivery(
            self.clock, self.socket_mode, self.http_delivery, self.faults, lambda: self.app_config
        )
        self.events = Events(self.workspace, lambda: self.app_config, self.delivery.send_event)

    async def reset(self) -> None:
        """Restore the initial state: messages, members, faults, calls and the app's configuration.

        Connections of the app stay open.
        """
        self.app_config = AppConfig()
        self.faults.clear()
        await self.delivery.cancel_all()
        await self.timers.cancel_all()
        self.rate_limits.clear()
        self.triggers.clear()
        self.views.reset()
        self.workspace.reset()
        self.call_log.clear()

    async def close(self) -> None:
        """Cancel all running work."""
        await self.delivery.cancel_all()
        await self.timers.cancel_all()
        await self.streams.close()
        await self.socket_mode.close()
        await self.http_delivery.close()
