"""Serializes the workspace's entities to Slack's own objects.

Keys are as in docs.slack.dev/reference/objects: only those that a client needs, and none that Slack
lacks. The one exception is `streaming`, which the emulator's page reads.
"""

from __future__ import annotations

from typing import Final

from slack_emulator.state.entities import TEAM_ID, Channel, File, Json, Message, StreamState, User
from slack_emulator.state.workspace import Workspace

_STREAMING_STATES: Final[dict[str, str]] = {
    StreamState.STREAMING: "in_progress",
    StreamState.STOPPED: "completed",
    StreamState.STOPPED_BY_USER: "completed",
    StreamState.EXPIRED: "errored",
}
"""Slack's own values (@slack/types 3.2.0, GenericMessageEvent)."""


def user_json(user: User) -> Json:
    """A user object as in users.info."""
    shown: Json = {
        "id": user.id,
        "team_id": user.team_id,
        "name": user.name,
        "real_name": user.real_name,
        "deleted": False,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "is_admin": user.is_admin,
        "is_owner": user.is_owner,
        "is_primary_owner": user.is_owner,
        "is_restricted": user.is_guest,
        "is_ultra_restricted": False,
        "tz": "Etc/UTC",
        "tz_offset": 0,
        "updated": 0,
        "profile": {
            "real_name": user.real_name,
            "real_name_normalized": user.real_name,
            "display_name": user.name,
            "display_name_normalized": user.name,
            "team": user.team_id,
        },
    }
    if user.is_stranger:
        shown["is_stranger"] = True
    if user.is_bot:
        shown["profile"] = {
            "real_name": user.real_name,
            "display_name": user.name,
            "team": user.team_id,
            "bot_id": user.bot_id,
            "api_app_id": user.app_id,
        }
    return shown


def channel_json(workspace: Workspace, channel: Channel, viewer: str) -> Json:
    """A conversation object as `viewer` sees it."""
    if channel.is_im:
        return {
            "id": channel.id,
            "created": channel.created,
            "is_im": True,
            "is_channel": False,
            "is_group": False,
            "is_mpim": False,
            "is_archived": False,
            "user": im_partner(channel, viewer),
            "is_user_deleted": False,
            "is_open": True,
            "priority": 0,
        }
    shared = is_shared(workspace, channel)
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "created": channel.created,
        "creator": "UALICE",
        "is_channel": True,
        "is_group": False,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_archived": False,
        "is_general": channel.name == "general",
        "is_shared": shared,
        "is_ext_shared": shared,
        "is_org_shared": False,
        "is_member": viewer in channel.members,
        "num_members": len(channel.members),
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "previous_names": [],
    }


def im_partner(channel: Channel, viewer: str) -> str:
    """The id of the other user of a direct message."""
    others = sorted(channel.members - {viewer})
    return others[0] if others else viewer


def is_shared(workspace: Workspace, channel: Channel) -> bool:
    """True if users of another workspace are members (Slack Connect)."""
    return any(workspace.users[user].is_stranger for user in channel.members)


def message_json(workspace: Workspace, message: Message, *, metadata: bool = False) -> Json:
    """A message object as in history, replies and events."""
    shown: Json = {
        "type": "message",
        "user": message.user,
        "ts": message.ts,
        "text": message.text,
        "team": message.team,
    }
    if message.subtype:
        shown["subtype"] = message.subtype
    if message.client_msg_id:
        shown["client_msg_id"] = message.client_msg_id
    author = workspace.users.get(message.user)
    if author is not None and author.is_bot:
        shown |= {"bot_id": author.bot_id, "app_id": author.app_id}
        shown["bot_profile"] = bot_profile(author)
    if message.from_app:
        if message.username:
            shown["username"] = message.username
        if message.icon_emoji:
            shown["icons"] = {"emoji": message.icon_emoji}
    if message.blocks:
        shown["blocks"] = list(message.blocks)
    if message.attachments:
        shown["attachments"] = list(message.attachments)
    if message.metadata is not None and metadata:
        shown["metadata"] = message.metadata
    if message.edited_ts:
        shown["edited"] = {"user": message.edited_by, "ts": message.edited_ts}
    if message.reactions:
        shown["reactions"] = [
            {"name": name, "users": list(users), "count": len(users)}
            for name, users in message.reactions.items()
        ]
    if message.files:
        files = [workspace.files[one] for one in message.files if one in workspace.files]
        shown["files"] = [file_json(file, workspace.url) for file in files]
    if message.stream_state:
        shown["streaming_state"] = _STREAMING_STATES[message.stream_state]
        shown["streaming"] = {
            "state": message.stream_state,
            "task_display_mode": message.task_display_mode or "timeline",
        }
    return shown | _thread_fields(workspace, message)


def _thread_fields(workspace: Workspace, message: Message) -> Json:
    if message.thread_ts:
        fields: Json = {"thread_ts": message.thread_ts}
        if message.parent_user:
            fields["parent_user_id"] = message.parent_user
        return fields
    replies = workspace.replies(message.channel, message.ts)
    if not replies:
        return {}
    users = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": users[:5],
        "reply_users_count": len(users),
        "latest_reply": replies[-1].ts,
        "is_locked": False,
        "subscribed": False,
    }


def bot_profile(bot: User) -> Json:
    """The profile that Slack adds to every message of a bot."""
    return {
        "id": bot.bot_id,
        "app_id": bot.app_id,
        "user_id": bot.id,
        "name": bot.name,
        "deleted": False,
        "updated": 0,
        "team_id": TEAM_ID,
        "icons": {},
    }


def file_json(file: File, url: str) -> Json:
    """A file object; `url` is the emulator's own address."""
    kind = file.name.rpartition(".")[2] if "." in file.name else "text"
    return {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title,
        "mimetype": "text/plain" if kind in ("txt", "text", "md") else "application/octet-stream",
        "filetype": kind,
        "pretty_type": kind.upper(),
        "user": file.user,
        "user_team": TEAM_ID,
        "size": file.length,
        "mode": "hosted",
        "is_external": False,
        "is_public": False,
        "url_private": f"{url}/files-pri/{TEAM_ID}-{file.id}/{file.name}",
        "url_private_download": f"{url}/files-pri/{TEAM_ID}-{file.id}/download/{file.name}",
        "permalink": f"{url}/files/{file.user}/{file.id}/{file.name}",
        "channels": [file.channel] if file.channel else [],
    }
