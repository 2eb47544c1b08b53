"""Defines the changes of the workspace, from which events for the app and the page are made."""

from __future__ import annotations

from dataclasses import dataclass

from slack_emulator.state.entities import (
    Channel,
    Ephemeral,
    Json,
    Message,
    SuggestedPrompts,
    ThreadStatus,
)


@dataclass(frozen=True, slots=True)
class MessagePosted:
    """A message was posted."""

    message: Message


@dataclass(frozen=True, slots=True)
class MessageChanged:
    """A message was changed; `silent` if only the counts of its thread changed."""

    before: Message
    after: Message
    silent: bool = False


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """A message was deleted; `tombstone` replaces it if it had replies."""

    before: Message
    tombstone: Message | None = None


@dataclass(frozen=True, slots=True)
class StreamUpdated:
    """A stream grew or ended."""

    before: Message
    after: Message
    delta: str


@dataclass(frozen=True, slots=True)
class StatusSet:
    """The status under a thread changed."""

    status: ThreadStatus
    previous_title: str | None = None
    """The old title if the session was renamed. Only the app renames sessions."""


@dataclass(frozen=True, slots=True)
class PromptsSet:
    """The app suggested prompts."""

    prompts: SuggestedPrompts


@dataclass(frozen=True, slots=True)
class ReactionChanged:
    """A reaction was added or removed."""

    message: Message
    name: str
    user: str
    added: bool


@dataclass(frozen=True, slots=True)
class EphemeralPosted:
    """A message was shown to one user only."""

    ephemeral: Ephemeral


@dataclass(frozen=True, slots=True)
class ViewChanged:
    """A user's modal was opened, updated or closed, or their Home tab was published."""

    event: str
    """`view_opened`, `view_updated`, `view_closed` or `home`."""
    user: str
    view: Json


@dataclass(frozen=True, slots=True)
class MembershipChanged:
    """A user joined or left a channel."""

    channel: Channel
    user: str
    joined: bool
    inviter: str | None = None


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A user pressed the native Stop button."""

    channel: str
    thread_ts: str
    user: str
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HomeOpened:
    """A user opened the app's Home or Messages tab."""

    user: str
    channel: str
    tab: str
    view: Json | None


@dataclass(frozen=True, slots=True)
class Reset:
    """The workspace returned to its initial state."""


Change = (
    MessagePosted
    | MessageChanged
    | MessageDeleted
    | StreamUpdated
    | StatusSet
    | PromptsSet
    | ReactionChanged
    | EphemeralPosted
    | ViewChanged
    | MembershipChanged
    | StopRequested
    | HomeOpened
    | Reset
)
