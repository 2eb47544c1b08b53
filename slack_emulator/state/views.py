"""Modals and Home tabs: opened, stacked, updated, filled in and closed.

docs.slack.dev/surfaces/modals: three on a stack, 100 blocks, private_metadata of 3,000 characters,
`hash` against races.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from dataclasses import dataclass, field
from typing import Final

from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.changes import ViewShown
from slack_emulator.state.entities import APP_ID, BOT_ID, TEAM_ID, Json, Refused
from slack_emulator.state.workspace import Workspace

MAX_STACK: Final = 3
MAX_TITLE: Final = 24
MAX_METADATA: Final = 3_000


@dataclass(slots=True)
class _Open:
    """One person's stack of modals, the top one last."""

    stack: list[Json] = field(default_factory=list)


class Views:
    """Every person's views of the app."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._numbers = itertools.count(1)
        self._open: dict[str, _Open] = {}
        self.homes: dict[str, Json] = {}
        self._awaited: dict[str, list[asyncio.Future[None]]] = {}

    def forget(self) -> None:
        """No views are open."""
        self._open.clear()
        self.homes.clear()

    def open_for(self, user: str) -> list[Json]:
        """A person's stack of modals, the top one last."""
        return list(self._open.get(user, _Open()).stack)

    def open(self, user: str, view: Json) -> Json:
        """Open a modal; what was open before is gone."""
        made = self._made(checked_view(view, "modal"))
        self._close_all(user)
        made["root_view_id"] = made["id"]
        self._open.setdefault(user, _Open()).stack.append(made)
        self._workspace.tell(ViewShown("view_opened", user, made))
        return made

    def push(self, user: str, view: Json) -> Json:
        """Put a modal on top. Refused with `push_limit_reached` or `not_found`."""
        stack = self._open.get(user, _Open()).stack
        if not stack:
            raise Refused("not_found")
        if len(stack) >= MAX_STACK:
            raise Refused("push_limit_reached")
        made = self._made(checked_view(view, "modal"))
        made |= {"root_view_id": stack[0]["id"], "previous_view_id": stack[-1]["id"]}
        stack.append(made)
        self._workspace.tell(ViewShown("view_opened", user, made))
        return made

    def update(self, view: Json, view_id: str, external_id: str, known_hash: str) -> Json:
        """Replace an open view. Refused with `not_found` or `hash_conflict`."""
        for user, opened in self._open.items():
            for place, before in enumerate(opened.stack):
                if view_id == before["id"] or (
                    external_id and external_id == before["external_id"]
                ):
                    _same_hash(before, known_hash)
                    after = self._again(before, checked_view(view, "modal"))
                    opened.stack[place] = after
                    self._workspace.tell(ViewShown("view_updated", user, after))
                    return after
        for user, before in self.homes.items():
            if view_id == before["id"]:
                return self.publish(user, view, known_hash)
        raise Refused("not_found")

    def publish(self, user: str, view: Json, known_hash: str) -> Json:
        """Set a person's Home tab."""
        shown = checked_view(view, "home")
        before = self.homes.get(user)
        if before is None:
            made = self._made(shown)
            made["root_view_id"] = made["id"]
        else:
            _same_hash(before, known_hash)
            made = self._again(before, shown)
        self.homes[user] = made
        self._workspace.tell(ViewShown("home", user, made))
        for published in self._awaited.pop(user, []):
            if not published.done():
                published.set_result(None)
        return made

    def next_home(self, user: str) -> asyncio.Future[None]:
        """Done when the app publishes this person's Home tab the next time."""
        published: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = [one for one in self._awaited.get(user, []) if not one.done()]
        self._awaited[user] = [*waiting, published]
        return published

    def find(self, view_id: str, user: str) -> Json:
        """A person's open modal, or their Home tab. Refused with `not_found`."""
        home = self.homes.get(user)
        for view in [*self.open_for(user), *([home] if home else [])]:
            if view["id"] == view_id:
                return view
        raise Refused("not_found")

    def top(self, view_id: str, user: str) -> Json:
        """A person's open modal, which must be the one on top."""
        stack = self.open_for(user)
        if not stack or stack[-1]["id"] != view_id:
            raise Refused("not_found")
        return stack[-1]

    def close(self, user: str, view_id: str) -> None:
        """Take a modal and what lies on it off the stack."""
        stack = self._open.get(user, _Open()).stack
        while any(view["id"] == view_id for view in stack):
            closed = stack.pop()
            self._workspace.tell(ViewShown("view_closed", user, closed))

    def clear(self, user: str) -> list[Json]:
        """Close all of a person's modals; those that were open, the top one first."""
        return self._close_all(user)

    def _close_all(self, user: str) -> list[Json]:
        stack = self._open.get(user, _Open()).stack
        closed: list[Json] = []
        while stack:
            closed.append(stack.pop())
            self._workspace.tell(ViewShown("view_closed", user, closed[-1]))
        return closed

    def _made(self, view: Json) -> Json:
        return view | {
            "id": f"V0{next(self._numbers):08d}",
            "team_id": TEAM_ID,
            "app_id": APP_ID,
            "app_installed_team_id": TEAM_ID,
            "bot_id": BOT_ID,
            "hash": _new_hash(),
            "state": {"values": {}},
            "root_view_id": None,
            "previous_view_id": None,
        }

    def _again(self, before: Json, view: Json) -> Json:
        kept = ("id", "team_id", "app_id", "app_installed_team_id", "bot_id")
        same = {name: before[name] for name in (*kept, "root_view_id", "previous_view_id")}
        return view | same | {"hash": _new_hash(), "state": {"values": {}}}


def _new_hash() -> str:
    return f"{secrets.randbelow(10**10)}.{secrets.token_hex(4)}"


def _same_hash(before: Json, known_hash: str) -> None:
    if known_hash and known_hash != before["hash"]:
        raise Refused("hash_conflict")


def checked_view(view: Json, kind: str) -> Json:
    """A view with all of its keys. Refused with `invalid_arguments`, naming what is wrong."""
    if view.get("type") != kind:
        raise _wrong(f"the view must be of type {kind}", "/view/type")
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not all(isinstance(one, dict) for one in blocks):
        raise _wrong("missing required field: blocks", "/view/blocks")
    metadata = view.get("private_metadata", "")
    if not isinstance(metadata, str) or len(metadata) > MAX_METADATA:
        raise _wrong(f"must be less than {MAX_METADATA + 1} characters", "/view/private_metadata")
    try:
        whole = block_kit.checked(blocks, block_kit.MAX_VIEW_BLOCKS)
    except Refused as wrong:
        raise Refused("invalid_arguments", **wrong.more) from None
    shown: Json = {
        "type": kind,
        "callback_id": view.get("callback_id", ""),
        "external_id": view.get("external_id", ""),
        "private_metadata": metadata,
        "blocks": list(whole),
        "clear_on_close": bool(view.get("clear_on_close", False)),
        "notify_on_close": bool(view.get("notify_on_close", False)),
        "title": {"type": "plain_text", "text": "View Title", "emoji": True},
        "close": None,
        "submit": None,
    }
    if kind == "modal":
        shown["submit_disabled"] = bool(view.get("submit_disabled", False))
        has_input = any(block.get("type") == "input" for block in whole)
        for name, needed in (("title", True), ("submit", has_input), ("close", False)):
            shown[name] = _plain(view.get(name), name, needed=needed)
    return shown


def _plain(value: object, name: str, *, needed: bool) -> Json | None:
    if value is None and not needed:
        return None
    match value:
        case {"type": "plain_text", "text": str(text)} if 0 < len(text) <= MAX_TITLE:
            return {"type": "plain_text", "text": text, "emoji": True}
        case _:
            raise _wrong(f"must be plain_text of 1 to {MAX_TITLE} characters", f"/view/{name}")


def _wrong(why: str, where: str) -> Refused:
    return Refused(
        "invalid_arguments",
        response_metadata={"messages": [f"[ERROR] {why} [json-pointer:{where}]"]},
    )
