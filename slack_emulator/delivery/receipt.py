"""Defines the result of one delivery to the app, for both transports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ACK_SECONDS = 3.0
"""Timeout of Slack for the app's acknowledgement, in seconds. It is the same for events, commands,
buttons, modals and shortcuts."""


class PayloadKind(StrEnum):
    """The types of Socket Mode's envelopes."""

    EVENT = "events_api"
    COMMAND = "slash_commands"
    INTERACTIVE = "interactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The result of a delivery: acknowledged or not, and the response."""

    ok: bool
    reason: str = ""
    """Slack's word for the failure: http_timeout, http_error, connection_failed..."""
    body: object = None
    """The response's JSON, or its plain text."""
    no_retry: bool = False
    """True if the app asked for no redelivery."""
