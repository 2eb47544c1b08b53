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
        "app_mention": "somebody mentions the bot",
        "message.channels": "follow-ups, edits and deletions in public channels",
        "message.groups": "the same in private channels",
        "message.im": "direct messages with the bot",
        "message.mpim": "group direct messages that the bot is in",
        "app_home_opened": "somebody opens the Home or Messages tab",
        "agent_session_stopped": "somebody presses Stop",
    }
)
"""Every event that the bot subscribes to, by its name in the manifest, with the reason."""

SCOPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "app_mentions:read": "hear mentions",
        "assistant:write": "be an agent: suggested prompts",
        "channels:history": "hear and read the threads of public channels it is in",
        "channels:read": "see who is in a public channel before telling somebody of its sessions; "
        "know which ones it is in, to look for what was missed",
        "chat:write": "answer, stream, show the status and the Stop button",
        "commands": "the slash command and the message shortcut",
        "files:write": "give a transcript, or an answer too long for a thread, as a file",
        "groups:history": "hear and read the threads of private channels it is in",
        "groups:read": "the same as channels:read for private channels it is in",
        "im:history": "hear direct messages",
        "im:read": "the same as channels:read for direct messages with it",
        "im:write": "open the direct messages with somebody, to give them a file there",
        "mpim:history": "hear group direct messages that it is in",
        "mpim:read": "the same as channels:read for group direct messages that it is in",
        "reactions:write": "mark a message that waits its turn",
        "usergroups:read": "know who is in charge by a user group (ADMIN_GROUP)",
        "users:read": "names; tell guests, admins and people of other workspaces apart",
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
