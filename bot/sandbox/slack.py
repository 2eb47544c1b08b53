"""Everything that the Web API's methods and the people's hands work on, in one place."""

from __future__ import annotations

from bot.sandbox.app_settings import AppSettings
from bot.sandbox.clock import BaseClock, SandboxClock
from bot.sandbox.delivery import Delivery
from bot.sandbox.events import Events
from bot.sandbox.faults import Faults
from bot.sandbox.http_events import HttpEvents
from bot.sandbox.journal import Journal
from bot.sandbox.later import Later
from bot.sandbox.socket_mode import SocketMode
from bot.sandbox.streams import Streams
from bot.sandbox.tiers import Tiers
from bot.sandbox.triggers import Triggers
from bot.sandbox.views import Views
from bot.sandbox.workspace import Workspace


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
