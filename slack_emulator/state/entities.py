"""Defines the entities of a Slack workspace as frozen dataclasses, and the API error.

Entities never change. `slack_emulator.state.workspace` stores the current ones and replaces them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

Json = dict[str, object]
"""A JSON object, received or sent."""

TEAM_ID: Final = "T0SANDBOX"
OUTSIDE_TEAM_ID: Final = "T0OUTSIDE"
TEAM_DOMAIN: Final = "sandbox"
APP_ID: Final = "A0PILOT"
BOT_ID: Final = "B0PILOT"
BOT_USER_ID: Final = "U0PILOT"
BOT_NAME: Final = "threadpilot"

BOT_TOKEN: Final = "xoxb-sandbox"  # noqa: S105 - fixed and public, for the emulator only
APP_TOKEN: Final = "xapp-sandbox"  # noqa: S105 - the same
SIGNING_SECRET: Final = "sandbox-signing-secret"  # noqa: S105 - the same
VERIFICATION_TOKEN: Final = "sandbox-verification"  # noqa: S105 - Slack's old one, in all payloads


class ApiError(Exception):
    """An error response with `ok: false` and this Slack code; `extra` is added to the response."""

    def __init__(self, code: str, **extra: object) -> None:
        self.code = code
        self.extra = extra
        super().__init__(code)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A human user, the app's bot, or another app's bot."""

    id: str
    name: str
    real_name: str
    team_id: str = TEAM_ID
    token: str = ""
    is_admin: bool = False
    is_owner: bool = False
    is_guest: bool = False
    """True for a guest, who sees only their own channels (Slack: `is_restricted`)."""
    is_bot: bool = False
    bot_id: str = ""
    """The bot id of a bot user, which has a user id too."""
    app_id: str = ""

    @property
    def is_stranger(self) -> bool:
        """True if the user belongs to another workspace (Slack Connect)."""
        return self.team_id != TEAM_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class UserGroup:
    """A user group, which a message can mention."""

    id: str
    handle: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel, or a direct message between two users (`is_im`)."""

    id: str
    name: str
    members: frozenset[str]
    created: int
    topic: str = ""
    is_private: bool = False
    is_im: bool = False

    @property
    def type(self) -> str:
        """Slack's `channel_type` in events."""
        if self.is_im:
            return "im"
        return "group" if self.is_private else "channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The current version of one message."""

    channel: str
    ts: str
    user: str
    text: str
    team: str = TEAM_ID
    thread_ts: str | None = None
    """The root's ts for a reply; None for roots and for messages without a thread."""
    parent_user: str | None = None
    subtype: str | None = None
    from_app: bool = False
    blocks: tuple[Json, ...] = ()
    attachments: tuple[Json, ...] = ()
    metadata: Json | None = None
    edited_by: str | None = None
    edited_ts: str | None = None
    reactions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    stream_state: str | None = None
    """A `StreamState` if the message is or was a stream, else None."""
    task_display_mode: str | None = None
    username: str | None = None
    icon_emoji: str | None = None
    client_msg_id: str | None = None

    @property
    def root_ts(self) -> str:
        """The ts of the thread of the message, or of the thread that it would start."""
        return self.thread_ts or self.ts


class StreamState(StrEnum):
    """The state of a streamed message."""

    STREAMING = "streaming"
    STOPPED = "stopped"
    STOPPED_BY_USER = "stopped_by_user"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An uploaded file; without content until it is uploaded."""

    id: str
    name: str
    title: str
    user: str
    created: int
    length: int
    content: bytes = b""
    channel: str | None = None
    """The channel in which it was shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ephemeral:
    """A message that one user sees, and that is stored nowhere else."""

    channel: str
    ts: str
    user: str
    text: str
    thread_ts: str | None = None
    blocks: tuple[Json, ...] = ()
    deleted: bool = False

    def as_json(self) -> Json:
        return {
            "type": "message",
            "is_ephemeral": True,
            "channel": self.channel,
            "ts": self.ts,
            "thread_ts": self.thread_ts,
            "user": self.user,
            "bot_id": BOT_ID,
            "text": self.text,
            "blocks": list(self.blocks),
            "deleted": self.deleted,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadStatus:
    """The status under a thread: the free text, and the agent session's own status."""

    channel: str
    thread_ts: str
    status: str = ""
    loading_messages: tuple[str, ...] = ()
    expires_at: float | None = None
    """Time at which the free text expires, in seconds since the epoch."""
    session_status: str | None = None
    title: str = ""

    def as_json(self) -> Json:
        return {
            "channel": self.channel,
            "thread_ts": self.thread_ts,
            "status": self.status,
            "loading_messages": list(self.loading_messages),
            "session": self.session_status,
            "title": self.title,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedPrompts:
    """The prompts that the app suggests."""

    channel: str
    thread_ts: str | None
    title: str
    prompts: tuple[Json, ...]

    def as_json(self) -> Json:
        return {
            "channel": self.channel,
            "thread_ts": self.thread_ts,
            "title": self.title,
            "prompts": list(self.prompts),
        }
