"""Issues trigger ids and response URLs, which stay valid for a short time.

docs.slack.dev/interactivity/handling-user-interaction: a trigger id opens one view within 3
seconds; a response URL accepts five responses within 30 minutes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from slack_emulator.state.clock import EmulatorClock
from slack_emulator.state.entities import ApiError

TRIGGER_SECONDS: Final = 3.0
RESPONSE_SECONDS: Final = 1_800.0
RESPONSE_USES: Final = 5
MAX_ENTRIES: Final = 2_000


@dataclass(slots=True)
class Trigger:
    """A user's interaction, which allows the app to open one view."""

    user: str
    expires_at: float
    view_id: str | None = None
    """The view that was open, for views.push."""
    used: bool = False


@dataclass(slots=True)
class ResponseUrl:
    """A URL to which the app may post responses to an interaction."""

    user: str
    channel: str
    expires_at: float
    message_ts: str | None = None
    """The message of the button, which the app may replace or delete."""
    thread_ts: str | None = None
    ephemeral: bool = False
    """True if that message is ephemeral."""
    uses_remaining: int = RESPONSE_USES


class Triggers:
    """The issued trigger ids and response URLs."""

    def __init__(self, clock: EmulatorClock) -> None:
        self._clock = clock
        self._triggers: dict[str, Trigger] = {}
        self._urls: dict[str, ResponseUrl] = {}

    def create_trigger(self, user: str, view_id: str | None = None) -> str:
        """A new trigger id."""
        trigger_id = (
            f"{secrets.randbelow(10**12)}.{secrets.randbelow(10**12)}.{secrets.token_hex(8)}"
        )
        if len(self._triggers) >= MAX_ENTRIES:
            del self._triggers[next(iter(self._triggers))]
        self._triggers[trigger_id] = Trigger(user, self._clock.now() + TRIGGER_SECONDS, view_id)
        return trigger_id

    def use_trigger(self, trigger_id: str) -> Trigger:
        """Use a trigger id, once. Raises ApiError: `invalid_trigger_id`, `exchanged_trigger_id` or
        `expired_trigger_id`."""
        trigger = self._triggers.get(trigger_id)
        if trigger is None:
            raise ApiError("invalid_trigger_id")
        if trigger.used:
            raise ApiError("exchanged_trigger_id")
        if self._clock.now() >= trigger.expires_at:
            raise ApiError("expired_trigger_id")
        trigger.used = True
        return trigger

    def create_response_path(
        self,
        user: str,
        channel: str,
        message_ts: str | None = None,
        thread_ts: str | None = None,
        *,
        ephemeral: bool = False,
    ) -> str:
        """The path of a new response URL."""
        key = secrets.token_urlsafe(18)
        if len(self._urls) >= MAX_ENTRIES:
            del self._urls[next(iter(self._urls))]
        self._urls[key] = ResponseUrl(
            user,
            channel,
            self._clock.now() + RESPONSE_SECONDS,
            message_ts,
            thread_ts,
            ephemeral,
        )
        return f"/response/{key}"

    def use_response_url(self, key: str) -> ResponseUrl:
        """Use a response URL once more. Raises ApiError: `used_url` or `expired_url`."""
        url = self._urls.get(key)
        if url is None or self._clock.now() >= url.expires_at:
            raise ApiError("expired_url")
        if url.uses_remaining <= 0:
            raise ApiError("used_url")
        url.uses_remaining -= 1
        return url

    def clear(self) -> None:
        """Invalidate all trigger ids and response URLs."""
        self._triggers.clear()
        self._urls.clear()
