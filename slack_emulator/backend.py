"""Everything that the Web API's methods and the people's hands work on, in one place."""

from __future__ import annotations

from slack_emulator.app_config import AppSettings
from slack_emulator.call_log import Journal
from slack_emulator.delivery.events import Events
from slack_emulator.delivery.http import HttpEvents
from slack_emulator.delivery.retries import Delivery
from slack_emulator.delivery.socket_mode import SocketMode
from slack_emulator.faults import Faults
from slack_emulator.rate_limits import Tiers
from slack_emulator.state.clock import BaseClock, Later, SandboxClock
from slack_emulator.state.streams import Streams
from slack_emulator.state.triggers import Triggers
from slack_emulator.state.views import Views
from slack_emulator.state.workspace import Workspace


class Slack:
    """The parts of the sandbox behind its doors."""

    def __init__(self, clock: BaseClock | None = None, notice: str = "") -> None:
        self.notice = notice
        self.clock = SandboxClock(clock)
        self.settings = AppSettings()
        self.faults = Faults()
        self.journal = Journal()
        self.tiers = Tiers(self.clock)
        self.later = Later(self.clock)
        self.workspace = Workspace(self.clock)
        self.streams = Streams(self.workspace)
        self.views = Views(self.workspace)
        self.triggers = Triggers(self.clock)
        self.sockets = SocketMode(self.clock, self.faults)
        self.http = HttpEvents(self.clock)
        self.delivery = Delivery(
            self.clock, self.sockets, self.http, self.faults, lambda: self.settings
        )
        self.events = Events(self.workspace, lambda: self.settings, self.delivery.event)

    async def reset(self) -> None:
        """Everything as it was at the start: messages, members, faults, calls, the app's settings.

        Connections of the app stay open.
        """
        self.settings = AppSettings()
        self.faults.clear()
        await self.delivery.forget()
        await self.later.forget()
        self.tiers.clear()
        self.triggers.forget()
        self.views.forget()
        self.workspace.empty()
        self.journal.clear()

    async def close(self) -> None:
        """End everything that is under way."""
        await self.delivery.forget()
        await self.later.forget()
        await self.streams.close()
        await self.sockets.close()
        await self.http.close()
