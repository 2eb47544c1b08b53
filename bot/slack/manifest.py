"""Lists every event, permission and name that Threadpilot uses in Slack.

`manifest.yml` declares them to Slack, `bot.slack` handles them and `threadpilot doctor` checks
them. Tests keep all of them equal to these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

BOT_EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "app_mention": "a user mentions the bot",
        "message.channels": "follow-ups, edits and deletions in public channels",
        "message.groups": "the same in private channels",
        "message.im": "direct messages with the bot",
        "message.mpim": "group direct messages that the bot is in",
        "app_home_opened": "a user opens the Home or Messages tab",
        "agent_session_stopped": "a user presses Stop",
    }
)
"""Every event that the bot subscribes to, by its name in the manifest, with the reason."""

SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "app_mentions:read": "receive mentions",
        "assistant:write": "be an agent: suggested prompts",
        "channels:history": "receive and read the messages of public channels it is in",
        "channels:read": "check who is in a public channel before showing its sessions to a user; "
        "list the channels it is in, to fetch missed messages",
        "chat:write": "answer, stream, show the status and the Stop button",
        "commands": "the slash command and the message shortcut",
        "files:write": "upload a transcript, or an answer too long for a thread, as a file",
        "groups:history": "receive and read the messages of private channels it is in",
        "groups:read": "the same as channels:read for private channels it is in",
        "im:history": "receive direct messages",
        "im:read": "the same as channels:read for direct messages with it",
        "im:write": "open direct messages with a user, to send a file there",
        "mpim:history": "receive group direct messages that it is in",
        "mpim:read": "the same as channels:read for group direct messages that it is in",
        "reactions:write": "mark a queued message",
        "usergroups:read": "find the bot's admins by a user group (ADMIN_GROUP)",
        "users:read": "read names; distinguish guests, admins and users of other workspaces",
    }
)
"""Every permission that the bot token needs, with the reason."""

SLASH_COMMAND: Final = "/copilot"
"""The slash command: it starts a new thread from anywhere in a channel."""

ASK_ABOUT_MESSAGE: Final = "ask_about_message"
"""The message shortcut's callback id."""

ASK_BUTTON: Final = "ask_question"
"""The action id of the help card's button."""

HELP_ACTIONS_BLOCK: Final = "help_actions"
"""The block id of the help card's button."""

ASK_MODAL: Final = "ask_question_modal"
"""The callback id of the modal that asks a question in a channel."""

ABOUT_MODAL: Final = "ask_about_message_modal"
"""The callback id of the modal that asks about a message."""

QUESTION_BLOCK: Final = "question"
"""The block id of both modals' input."""

QUESTION_INPUT: Final = "question_text"
"""The action id of both modals' input."""
