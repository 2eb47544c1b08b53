"""What came back for one payload that was sent to the app, whichever way it went."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ACK_SECONDS = 3.0
"""How long Slack waits for the app, for events, commands, buttons, forms and shortcuts alike."""


class PayloadKind(StrEnum):
    """The types of Socket Mode's envelopes."""

    EVENT = "events_api"
    COMMAND = "slash_commands"
    INTERACTIVE = "interactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Whether the app acknowledged, and what it answered."""

    ok: bool
    reason: str = ""
    """Slack's word for why not; http_timeout, http_error, connection_failed..."""
    body: object = None
    """The answer's JSON, or its plain text."""
    no_retry: bool = False
    """The app asked for no redelivery."""
