"""Who somebody is to the bot, and what they are to a session: the words of every permission."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class UserKind(StrEnum):
    """How somebody belongs to the workspace."""

    MEMBER = "member"
    GUEST = "guest"
    """A member of some channels only (Slack: `is_restricted`, `is_ultra_restricted`)."""
    EXTERNAL = "external"
    """Of another workspace (Slack Connect)."""
    BOT = "bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody, as Slack knows them."""

    id: str
    team: str
    """Their own workspace."""
    name: str
    """What people call them; as they typed it, so never to be trusted as markup."""
    kind: UserKind = UserKind.MEMBER
    is_workspace_admin: bool = False
    """Whether they are an admin or an owner of the workspace."""
    is_cached: bool = False
    """Whether Slack said so a while ago, and was not asked just now, or did not answer. That is
    enough for a member's rights, and for no more."""


class AdminStatus(StrEnum):
    """Whether somebody is in charge of the bot just now."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unsure"
    """They may be, and Slack does not tell: then they have no such right."""


class AccessRole(StrEnum):
    """What somebody is to a session, or to the bot where no session is meant."""

    ADMIN = "admin"
    """One of those in charge of the bot."""
    OWNER = "owner"
    """Began the session, or the thread where there is no session."""
    PARTICIPANT = "participant"
    """Has written in the session's thread."""
    MEMBER = "member"
    """Sees the place that the session belongs to."""
    NO_ACCESS = "stranger"
    """Does not see that place."""
    ADMIN_UNKNOWN = "unsure"
    """May be in charge of the bot, which Slack does not tell just now."""
    GUEST = "guest"
    EXTERNAL = "external"
    USER_NOT_ALLOWED = "unlisted"
    """Not one of those whom alone the bot answers."""
    CHANNEL_NOT_ALLOWED = "elsewhere"
    """In a place that is none of those in which alone the bot answers."""
