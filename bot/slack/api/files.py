"""Uploads files to Slack in its three steps: get a URL, send the content, share the file.

Only the last step shows anything to users (docs.slack.dev/messaging/working-with-files).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import aiohttp

from bot.slack.api.calls import CallContext, SlackCallError
from bot.slack.api.client import SlackClient

_MAX_WAIT_SECONDS: Final = 20.0
_CALL_SECONDS: Final = 20.0
_TRANSFER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUpload:
    """A text file and its destination. Slack refuses an empty file, so that one gets a line end."""

    name: str
    content: str
    channel: str
    root_ts: str = ""
    """The thread, or an empty string for none."""
    comment: str = ""


async def upload_file(client: SlackClient, context: CallContext, file: FileUpload) -> None:
    """Share a file. Raises `SlackCallError`; its `maybe_done` refers to the sharing."""
    content = (file.content or "\n").encode("utf-8", "replace")
    try:
        response = await client.call(
            client.web.files_getUploadURLExternal,
            context,
            max_wait=_MAX_WAIT_SECONDS,
            seconds=_CALL_SECONDS,
            filename=file.name,
            length=len(content),
        )
    except SlackCallError as error:
        raise _as_not_shared(error) from error
    match response:
        case {"upload_url": str(url), "file_id": str(file_id)}:
            await _post_content(url, content)
        case _:
            raise SlackCallError("not_json", "no upload URL in the response")
    await client.call(
        client.web.files_completeUploadExternal,
        context,
        max_wait=_MAX_WAIT_SECONDS,
        seconds=_CALL_SECONDS,
        files=[{"id": file_id, "title": file.name}],
        channel_id=file.channel,
        thread_ts=file.root_ts or None,
        initial_comment=file.comment or None,
    )


async def _post_content(url: str, content: bytes) -> None:
    try:
        async with (
            asyncio.timeout(_TRANSFER_SECONDS),
            aiohttp.ClientSession() as http,
            http.post(url, data=BytesIO(content)) as response,
        ):
            status = response.status
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise SlackCallError("unreachable", type(error).__name__) from error
    if status != 200:
        raise SlackCallError("unreachable" if status >= 500 else f"http_{status}", "file upload")


def _as_not_shared(error: SlackCallError) -> SlackCallError:
    """An error of a step before the sharing: the file was certainly not shared."""
    code = "unreachable" if error.maybe_done else error.code
    return SlackCallError(code, str(error), retry_after=error.retry_after)
