"""Serves file contents: the upload URL, and the private download with a token."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from slack_emulator.api.methods.files import MAX_BYTES, can_read
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import BOT_TOKEN, BOT_USER_ID


class Uploads:
    """The two routes for file contents."""

    def __init__(self, slack: SlackBackend) -> None:
        self._slack = slack

    def routes(self) -> list[web.RouteDef]:
        """The routes of these handlers."""
        return [
            web.post("/upload/v1/{file}", self.receive),
            web.get("/files-pri/{file}/{name}", self.download),
            web.get("/files-pri/{file}/download/{name}", self.download),
        ]

    async def receive(self, request: web.Request) -> web.Response:
        """Receive a file's content once, plain or as the only part of a form."""
        file = self._slack.workspace.files.get(request.match_info["file"])
        if file is None or file.content:
            return web.Response(status=404, text="No upload is expected at this URL.\n")
        content = await _read_content(request)
        if not 0 < len(content) <= MAX_BYTES:
            return web.Response(status=400, text="The file is empty or too large.\n")
        self._slack.workspace.store_file(replace(file, content=content, length=len(content)))
        return web.Response(text=f"OK - {len(content)}")

    async def download(self, request: web.Request) -> web.Response:
        """Send a file's content to a user with access; redirect others to the page, as at Slack."""
        file_id = request.match_info["file"].partition("-")[2]
        file = self._slack.workspace.files.get(file_id)
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        caller = self._slack.workspace.user_by_token(token)
        user = BOT_USER_ID if token == BOT_TOKEN else caller.id if caller else ""
        if kind.lower() != "bearer" or file is None or not can_read(self._slack, user, file):
            raise web.HTTPFound("/")
        return web.Response(
            body=file.content,
            content_type="application/octet-stream",
            headers={"X-Content-Type-Options": "nosniff"},
        )


async def _read_content(request: web.Request) -> bytes:
    if request.content_type != "multipart/form-data":
        return await request.read()
    form = await request.post()
    for value in form.values():
        if isinstance(value, web.FileField):
            return value.file.read()
        return value.encode() if isinstance(value, str) else bytes(value)
    return b""
