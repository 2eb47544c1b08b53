"""Defines users and the roles that permissions depend on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UserKind(StrEnum):
    """How a user belongs to the workspace."""

    MEMBER = "member"
    GUEST = "guest"
    """A member of some channels only (Slack: `is_restricted`, `is_ultra_restricted`)."""
    EXTERNAL = "external"
    """A member of another workspace (Slack Connect)."""
    BOT = "bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user, as Slack describes them."""

    id: str
    team: str
    """The user's own workspace."""
    name: str
    """The display name, as the user typed it. Never trust it as markup."""
    kind: UserKind = UserKind.MEMBER
    is_workspace_admin: bool = False
    """True for an admin or an owner of the workspace."""
    is_cached: bool = False
    """True if the data is from an earlier call, because no new call was made or it failed. That is
    enough for a member's permissions, but not for more."""


class AdminStatus(StrEnum):
    """Whether a user is a bot admin at this moment."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unsure"
    """The user may be an admin, but Slack does not say: they do not get an admin's permissions."""


class AccessRole(StrEnum):
    """What a user is to a session, or to the bot where no session is meant."""

    ADMIN = "admin"
    """A bot admin."""
    OWNER = "owner"
    """The user who began the session, or the thread if there is no session."""
    PARTICIPANT = "participant"
    """A user who has written in the session's thread."""
    MEMBER = "member"
    """A user who can see the session's channel."""
    NO_ACCESS = "stranger"
    """A user who cannot see that channel."""
    ADMIN_UNKNOWN = "unsure"
    """A user who may be a bot admin, which Slack does not say at this moment."""
    GUEST = "guest"
    EXTERNAL = "external"
    USER_NOT_ALLOWED = "unlisted"
    """A user who is not among those whom the bot may answer."""
    CHANNEL_NOT_ALLOWED = "elsewhere"
    """A user in a channel that is not among those where the bot may answer."""
