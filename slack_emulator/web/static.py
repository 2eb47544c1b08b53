"""Serves the page's files from the package, with a policy that allows no other script."""

from __future__ import annotations

import mimetypes
from importlib import resources
from typing import Final
from urllib.parse import quote

from aiohttp import web

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_CONTENT_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}


def routes() -> list[web.RouteDef]:
    """The routes of the page."""
    return [
        web.get("/", _index),
        web.get("/page/{name}", _file),
        web.get(r"/archives/{channel:[A-Z0-9]+}/p{ts:\d{7,18}}", _open_permalink),
    ]


async def _index(request: web.Request) -> web.Response:
    del request
    return _page_response("index.html")


async def _open_permalink(request: web.Request) -> web.Response:
    """Open a permalink in a new window: the page with that thread open."""
    channel, ts = request.match_info["channel"], request.match_info["ts"]
    thread = request.query.get("thread_ts", f"{ts[:-6]}.{ts[-6:]}")
    where = f"/#//{channel}/{quote(thread, safe='.')}"
    return web.Response(status=302, headers={"Location": where})


async def _file(request: web.Request) -> web.Response:
    return _page_response(request.match_info["name"])


def _page_response(name: str) -> web.Response:
    folder = resources.files("slack_emulator.web") / "page"
    known = {one.name for one in folder.iterdir() if one.is_file()} if folder.is_dir() else set()
    if name not in known:
        return web.Response(status=404, text="There is no such page.\n")
    suffix = name[name.rfind(".") :]
    kind = _CONTENT_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return web.Response(
        body=(folder / name).read_bytes(),
        headers={
            "Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind,
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        },
    )
