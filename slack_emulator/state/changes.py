"""What can happen in the workspace; the app's events and the page's feed are made from these."""

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
    """A message was written."""

    message: Message


@dataclass(frozen=True, slots=True)
class MessageChanged:
    """A message reads otherwise than before; `silent` if only its thread's counts changed."""

    before: Message
    after: Message
    silent: bool = False


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """A message is gone, or only its empty place is left (`tombstone`)."""

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
    """The line under a thread changed."""

    status: ThreadStatus
    previous_title: str | None = None
    """The old title where the session was renamed, which only the app does."""


@dataclass(frozen=True, slots=True)
class PromptsSet:
    """The app suggests questions."""

    prompts: SuggestedPrompts


@dataclass(frozen=True, slots=True)
class ReactionChanged:
    """A reaction was added or taken back."""

    message: Message
    name: str
    user: str
    added: bool


@dataclass(frozen=True, slots=True)
class EphemeralPosted:
    """One person sees something that nobody else does."""

    ephemeral: Ephemeral


@dataclass(frozen=True, slots=True)
class ViewChanged:
    """A person's modal was opened, changed or closed, or their Home tab was published."""

    event: str
    """`view_opened`, `view_updated`, `view_closed` or `home`."""
    user: str
    view: Json


@dataclass(frozen=True, slots=True)
class MembershipChanged:
    """Somebody came into a channel, or left it."""

    channel: Channel
    user: str
    joined: bool
    inviter: str | None = None


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A person pressed the native Stop button."""

    channel: str
    thread_ts: str
    user: str
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HomeOpened:
    """A person opened the app's Home or Messages tab."""

    user: str
    channel: str
    tab: str
    view: Json | None


@dataclass(frozen=True, slots=True)
class Reset:
    """The workspace was put back to how it began."""


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
