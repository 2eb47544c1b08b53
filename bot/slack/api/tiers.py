"""How many calls of each method Slack takes: every method that the bot calls while it runs.

Tiers: slackapi/java-slack-sdk metadata/web-api/rate_limit_tiers.json; figures ("20+", "50+", "100+"
per minute, of one app in one workspace): docs.slack.dev/apis/web-api/rate-limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

_SPARE_SHARE: Final = 0.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """At most `calls` in any `seconds`."""

    calls: int
    seconds: float = 60.0
    per_channel: bool = False
    """Whether Slack counts each channel by itself."""

    @property
    def spare(self) -> int:
        """How many of them may be calls that can be left out; the others are kept for those that
        cannot."""
        return int(self.calls * _SPARE_SHARE)

    def times(self, more: int) -> Rule:
        """The same where Slack takes so many times as much (SLACK_LIMITS)."""
        return replace(self, calls=self.calls * more)


_TIER_2: Final = Rule(calls=20)
_TIER_3: Final = Rule(calls=50)
_TIER_4: Final = Rule(calls=100)
_PLENTY: Final = Rule(calls=600)

RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "agents.sessions.rename": _TIER_3,
        "agents.sessions.setStatus": _TIER_3,
        "assistant.threads.setStatus": Rule(calls=60, per_channel=True),
        "assistant.threads.setSuggestedPrompts": _TIER_3,
        "auth.test": _PLENTY,
        "chat.appendStream": _TIER_4,
        "chat.delete": _TIER_3,
        "chat.getPermalink": _PLENTY,
        "chat.postEphemeral": _TIER_4,
        # One a second, with short bursts. So no minute has more than 60, and none is waited for
        # long after a burst.
        "chat.postMessage": Rule(calls=10, seconds=10.0, per_channel=True),
        "chat.startStream": _TIER_2,
        "chat.stopStream": _TIER_2,
        "chat.update": _TIER_3,
        "conversations.history": _TIER_3,
        "conversations.info": _TIER_3,
        "conversations.members": _TIER_4,
        "conversations.open": _TIER_3,
        "conversations.replies": _TIER_3,
        "files.completeUploadExternal": _TIER_4,
        "files.getUploadURLExternal": _TIER_4,
        "reactions.add": _TIER_3,
        "reactions.remove": _TIER_2,  # fewer than are added: what is marked waits for its end
        "usergroups.users.list": _TIER_2,
        "users.conversations": _TIER_2,
        "users.info": _TIER_4,
        "views.open": _TIER_4,
        "views.publish": _TIER_4,
    }
)
