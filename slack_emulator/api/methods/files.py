"""Implements files.*: the upload in three steps, and the uploaded files.

docs.slack.dev/messaging/working-with-files: request a URL, send the content there, complete.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from slack_emulator.api.methods.chat import thread_root_of
from slack_emulator.api.methods.request import ApiRequest, Method
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import ApiError, File, Json, Message
from slack_emulator.state.serializers import file_json
from slack_emulator.state.text import encode_typed_text

MAX_BYTES: Final = 10_000_000


async def get_upload_url(slack: SlackBackend, request: ApiRequest) -> Json:
    """The URL that accepts a file's content."""
    length = request.arguments.integer("length", 0, 0, MAX_BYTES + 1)
    if length < 1:
        raise ApiError("missing_argument")
    if length > MAX_BYTES:
        raise ApiError("file_upload_size_restricted")
    name = request.arguments.required_text("filename")
    file = File(
        id=f"F0{slack.workspace.next_ts().replace('.', '')}",
        name=name.replace("/", "_"),
        title=name,
        user=request.user.id,
        created=int(slack.clock.now()),
        length=length,
    )
    slack.workspace.store_file(file)
    return {"upload_url": f"{slack.workspace.url}/upload/v1/{file.id}", "file_id": file.id}


async def complete_upload(slack: SlackBackend, request: ApiRequest) -> Json:
    """Share uploaded files, in a channel if one is given."""
    wanted = request.arguments.json_objects("files", "invalid_arguments")
    if not wanted:
        raise ApiError("invalid_arguments")
    files: list[File] = []
    for one in wanted:
        file = slack.workspace.files.get(str(one.get("id")))
        if file is None or file.user != request.user.id or not file.content:
            raise ApiError("file_not_found")
        files.append(replace(file, title=str(one.get("title") or file.name)))
    channels = request.arguments.string_list("channels") or request.arguments.string_list(
        "channel_id"
    )
    for channel_id in channels[:1]:
        channel = slack.workspace.joined_channel(channel_id, request.user.id)
        files = [replace(file, channel=channel.id) for file in files]
        for file in files:
            slack.workspace.store_file(file)
        _post_files(slack, request, channel.id, files)
    for file in files:
        slack.workspace.store_file(file)
    return {"files": [file_json(file, slack.workspace.url) for file in files]}


def _post_files(
    slack: SlackBackend, request: ApiRequest, channel_id: str, files: list[File]
) -> None:
    root = thread_root_of(slack, request, channel_id)
    comment = request.arguments.text("initial_comment")
    if not request.from_app:
        comment = encode_typed_text(comment, slack.workspace.user_ids_by_name())
    slack.workspace.post_message(
        Message(
            channel=channel_id,
            ts=slack.workspace.next_ts(),
            user=request.user.id,
            team=request.user.team_id,
            text=comment,
            thread_ts=root.ts if root else None,
            parent_user=root.user if root else None,
            subtype="file_share",
            from_app=request.from_app,
            files=tuple(file.id for file in files),
        )
    )


def _visible_file(slack: SlackBackend, request: ApiRequest) -> File:
    file = slack.workspace.files.get(request.arguments.required_text("file"))
    if file is None or not can_read(slack, request.user.id, file):
        raise ApiError("file_not_found")
    return file


def can_read(slack: SlackBackend, user_id: str, file: File) -> bool:
    """True for the owner of the file, and for members of the channel in which it is shared."""
    if file.user == user_id:
        return True
    channel = slack.workspace.channels.get(file.channel or "")
    return channel is not None and user_id in channel.members


async def info(slack: SlackBackend, request: ApiRequest) -> Json:
    """The metadata of a file."""
    return {"file": file_json(_visible_file(slack, request), slack.workspace.url)}


async def delete(slack: SlackBackend, request: ApiRequest) -> Json:
    """Delete the caller's own file."""
    file = _visible_file(slack, request)
    if file.user != request.user.id:
        raise ApiError("cant_delete_file")
    del slack.workspace.files[file.id]
    return {}


METHODS: Final[dict[str, Method]] = {
    "files.completeUploadExternal": complete_upload,
    "files.delete": delete,
    "files.getUploadURLExternal": get_upload_url,
    "files.info": info,
}
