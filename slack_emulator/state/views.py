"""Manages modals and Home tabs: opens, stacks, updates, submits and closes them.

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
from slack_emulator.state.changes import ViewChanged
from slack_emulator.state.entities import APP_ID, BOT_ID, TEAM_ID, ApiError, Json
from slack_emulator.state.workspace import Workspace

MAX_STACK: Final = 3
MAX_TITLE: Final = 24
MAX_METADATA: Final = 3_000


@dataclass(slots=True)
class _ViewStack:
    """One user's stack of modals, the top one last."""

    views: list[Json] = field(default_factory=list)


class Views:
    """The app's views of all users."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._view_numbers = itertools.count(1)
        self._stacks: dict[str, _ViewStack] = {}
        self.homes: dict[str, Json] = {}
        self._home_waiters: dict[str, list[asyncio.Future[None]]] = {}

    def reset(self) -> None:
        """Close all views."""
        self._stacks.clear()
        self.homes.clear()

    def stack_of(self, user: str) -> list[Json]:
        """A user's stack of modals, the top one last; may be empty."""
        return list(self._stacks.get(user, _ViewStack()).views)

    def open_modal(self, user: str, view: Json) -> Json:
        """Open a modal; it replaces the open ones."""
        made = self._new_view(validate_view(view, "modal"))
        self._close_all(user)
        made["root_view_id"] = made["id"]
        self._stacks.setdefault(user, _ViewStack()).views.append(made)
        self._workspace.notify(ViewChanged("view_opened", user, made))
        return made

    def push_modal(self, user: str, view: Json) -> Json:
        """Push a modal onto the stack. Raises ApiError: `push_limit_reached` or `not_found`."""
        stack = self._stacks.get(user, _ViewStack()).views
        if not stack:
            raise ApiError("not_found")
        if len(stack) >= MAX_STACK:
            raise ApiError("push_limit_reached")
        made = self._new_view(validate_view(view, "modal"))
        made |= {"root_view_id": stack[0]["id"], "previous_view_id": stack[-1]["id"]}
        stack.append(made)
        self._workspace.notify(ViewChanged("view_opened", user, made))
        return made

    def update_view(self, view: Json, view_id: str, external_id: str, expected_hash: str) -> Json:
        """Replace an open view. Raises ApiError: `not_found` or `hash_conflict`."""
        for user, opened in self._stacks.items():
            for place, before in enumerate(opened.views):
                if view_id == before["id"] or (
                    external_id and external_id == before["external_id"]
                ):
                    _check_hash(before, expected_hash)
                    after = self._updated_view(before, validate_view(view, "modal"))
                    opened.views[place] = after
                    self._workspace.notify(ViewChanged("view_updated", user, after))
                    return after
        for user, before in self.homes.items():
            if view_id == before["id"]:
                return self.publish_home(user, view, expected_hash)
        raise ApiError("not_found")

    def publish_home(self, user: str, view: Json, expected_hash: str) -> Json:
        """Publish a user's Home tab."""
        shown = validate_view(view, "home")
        before = self.homes.get(user)
        if before is None:
            made = self._new_view(shown)
            made["root_view_id"] = made["id"]
        else:
            _check_hash(before, expected_hash)
            made = self._updated_view(before, shown)
        self.homes[user] = made
        self._workspace.notify(ViewChanged("home", user, made))
        for published in self._home_waiters.pop(user, []):
            if not published.done():
                published.set_result(None)
        return made

    def next_home_published(self, user: str) -> asyncio.Future[None]:
        """A future that is done when the app next publishes this user's Home tab."""
        published: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = [one for one in self._home_waiters.get(user, []) if not one.done()]
        self._home_waiters[user] = [*waiting, published]
        return published

    def find_view(self, view_id: str, user: str) -> Json:
        """A user's open modal, or their Home tab. Raises ApiError (`not_found`)."""
        home = self.homes.get(user)
        for view in [*self.stack_of(user), *([home] if home else [])]:
            if view["id"] == view_id:
                return view
        raise ApiError("not_found")

    def top_modal(self, view_id: str, user: str) -> Json:
        """A user's open modal, which must be the top one. Raises ApiError."""
        stack = self.stack_of(user)
        if not stack or stack[-1]["id"] != view_id:
            raise ApiError("not_found")
        return stack[-1]

    def close_modal(self, user: str, view_id: str) -> None:
        """Remove a modal, and those above it, from the stack."""
        stack = self._stacks.get(user, _ViewStack()).views
        while any(view["id"] == view_id for view in stack):
            closed = stack.pop()
            self._workspace.notify(ViewChanged("view_closed", user, closed))

    def close_all(self, user: str) -> list[Json]:
        """Close all modals of a user. Returns those that were open, the top one first."""
        return self._close_all(user)

    def _close_all(self, user: str) -> list[Json]:
        stack = self._stacks.get(user, _ViewStack()).views
        closed: list[Json] = []
        while stack:
            closed.append(stack.pop())
            self._workspace.notify(ViewChanged("view_closed", user, closed[-1]))
        return closed

    def _new_view(self, view: Json) -> Json:
        return view | {
            "id": f"V0{next(self._view_numbers):08d}",
            "team_id": TEAM_ID,
            "app_id": APP_ID,
            "app_installed_team_id": TEAM_ID,
            "bot_id": BOT_ID,
            "hash": _new_hash(),
            "state": {"values": {}},
            "root_view_id": None,
            "previous_view_id": None,
        }

    def _updated_view(self, before: Json, view: Json) -> Json:
        kept = ("id", "team_id", "app_id", "app_installed_team_id", "bot_id")
        same = {name: before[name] for name in (*kept, "root_view_id", "previous_view_id")}
        return view | same | {"hash": _new_hash(), "state": {"values": {}}}


def _new_hash() -> str:
    return f"{secrets.randbelow(10**10)}.{secrets.token_hex(4)}"


def _check_hash(before: Json, expected_hash: str) -> None:
    if expected_hash and expected_hash != before["hash"]:
        raise ApiError("hash_conflict")


def validate_view(view: Json, kind: str) -> Json:
    """A view with all of its keys. Raises ApiError (`invalid_arguments`) with the reason."""
    if view.get("type") != kind:
        raise _invalid_view_error(f"the view must be of type {kind}", "/view/type")
    blocks = view.get("blocks")
    if not isinstance(blocks, list) or not all(isinstance(one, dict) for one in blocks):
        raise _invalid_view_error("missing required field: blocks", "/view/blocks")
    metadata = view.get("private_metadata", "")
    if not isinstance(metadata, str) or len(metadata) > MAX_METADATA:
        raise _invalid_view_error(
            f"must be less than {MAX_METADATA + 1} characters", "/view/private_metadata"
        )
    try:
        whole = block_kit.validate_blocks(blocks, block_kit.MAX_VIEW_BLOCKS)
    except ApiError as error:
        raise ApiError("invalid_arguments", **error.extra) from None
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
            shown[name] = _plain_text(view.get(name), name, needed=needed)
    return shown


def _plain_text(value: object, name: str, *, needed: bool) -> Json | None:
    if value is None and not needed:
        return None
    match value:
        case {"type": "plain_text", "text": str(text)} if 0 < len(text) <= MAX_TITLE:
            return {"type": "plain_text", "text": text, "emoji": True}
        case _:
            raise _invalid_view_error(
                f"must be plain_text of 1 to {MAX_TITLE} characters", f"/view/{name}"
            )


def _invalid_view_error(reason: str, pointer: str) -> ApiError:
    return ApiError(
        "invalid_arguments",
        response_metadata={"messages": [f"[ERROR] {reason} [json-pointer:{pointer}]"]},
    )
