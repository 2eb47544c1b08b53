"""files.*: the three-step upload, and what was uploaded.

docs.slack.dev/messaging/working-with-files: ask for an address, send the content there, complete.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from slack_emulator.api.methods.chat import thread_of
from slack_emulator.api.methods.request import Asked, Method
from slack_emulator.backend import Slack
from slack_emulator.state.entities import File, Json, Message, Refused
from slack_emulator.state.serializers import file_json
from slack_emulator.state.text import as_typed

MAX_BYTES: Final = 10_000_000


async def upload_url(slack: Slack, asked: Asked) -> Json:
    """Where a file's content is to be sent."""
    length = asked.arguments.number("length", 0, 0, MAX_BYTES + 1)
    if length < 1:
        raise Refused("missing_argument")
    if length > MAX_BYTES:
        raise Refused("file_upload_size_restricted")
    name = asked.arguments.required("filename")
    file = File(
        id=f"F0{slack.workspace.next_ts().replace('.', '')}",
        name=name.replace("/", "_"),
        title=name,
        user=asked.user.id,
        created=int(slack.clock.now()),
        length=length,
    )
    slack.workspace.keep_file(file)
    return {"upload_url": f"{slack.workspace.url}/upload/v1/{file.id}", "file_id": file.id}


async def complete(slack: Slack, asked: Asked) -> Json:
    """Share uploaded files, in a channel if one is named."""
    wanted = asked.arguments.objects("files", "invalid_arguments")
    if not wanted:
        raise Refused("invalid_arguments")
    files: list[File] = []
    for one in wanted:
        file = slack.workspace.files.get(str(one.get("id")))
        if file is None or file.user != asked.user.id or not file.content:
            raise Refused("file_not_found")
        files.append(replace(file, title=str(one.get("title") or file.name)))
    channels = asked.arguments.names("channels") or asked.arguments.names("channel_id")
    for channel_id in channels[:1]:
        channel = slack.workspace.joined_channel(channel_id, asked.user.id)
        files = [replace(file, channel=channel.id) for file in files]
        for file in files:
            slack.workspace.keep_file(file)
        _share(slack, asked, channel.id, files)
    for file in files:
        slack.workspace.keep_file(file)
    return {"files": [file_json(file, slack.workspace.url) for file in files]}


def _share(slack: Slack, asked: Asked, channel_id: str, files: list[File]) -> None:
    root = thread_of(slack, asked, channel_id)
    comment = asked.arguments.text("initial_comment")
    if not asked.by_app:
        comment = as_typed(comment, slack.workspace.user_ids())
    slack.workspace.post(
        Message(
            channel=channel_id,
            ts=slack.workspace.next_ts(),
            user=asked.user.id,
            team=asked.user.team_id,
            text=comment,
            thread_ts=root.ts if root else None,
            parent_user=root.user if root else None,
            subtype="file_share",
            from_app=asked.by_app,
            files=tuple(file.id for file in files),
        )
    )


def _visible(slack: Slack, asked: Asked) -> File:
    file = slack.workspace.files.get(asked.arguments.required("file"))
    if file is None or not may_read(slack, asked.user.id, file):
        raise Refused("file_not_found")
    return file


def may_read(slack: Slack, user_id: str, file: File) -> bool:
    """Its owner, and who is in the channel in which it is shared."""
    if file.user == user_id:
        return True
    channel = slack.workspace.channels.get(file.channel or "")
    return channel is not None and user_id in channel.members


async def info(slack: Slack, asked: Asked) -> Json:
    """What is known of a file."""
    return {"file": file_json(_visible(slack, asked), slack.workspace.url)}


async def delete(slack: Slack, asked: Asked) -> Json:
    """Take one's own file away."""
    file = _visible(slack, asked)
    if file.user != asked.user.id:
        raise Refused("cant_delete_file")
    del slack.workspace.files[file.id]
    return {}


METHODS: Final[dict[str, Method]] = {
    "files.completeUploadExternal": complete,
    "files.delete": delete,
    "files.getUploadURLExternal": upload_url,
    "files.info": info,
}
