"""Applies the app's response to an interaction: an acknowledgement or a response URL.

docs.slack.dev/interactivity/handling-user-interaction: Only the user sees it unless `response_type`
is `in_channel`. The message of the button may be replaced or deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import BOT_USER_ID, ApiError, Ephemeral, Json, Message
from slack_emulator.state.triggers import ResponseUrl
from slack_emulator.state.workspace import Workspace


def apply_response(workspace: Workspace, url: ResponseUrl, body: object) -> None:
    """Show the response. Raises ApiError: `no_text`, `invalid_payload` or one for its blocks."""
    response = {"text": body} if isinstance(body, str) else body
    if not isinstance(response, dict):
        raise ApiError("invalid_payload")
    if response.get("delete_original") is True:
        _delete_original(workspace, url)
        return
    text, blocks = _parse_content(response)
    if response.get("replace_original") is True and url.message_ts is not None:
        _replace_original(workspace, url, text, blocks)
        return
    thread_ts = response.get("thread_ts", url.thread_ts)
    if thread_ts is not None and not isinstance(thread_ts, str):
        raise ApiError("invalid_payload")
    if response.get("response_type") == "in_channel":
        _post_in_channel(workspace, url, text, blocks, thread_ts)
    else:
        workspace.post_ephemeral(
            Ephemeral(
                channel=url.channel,
                ts=workspace.next_ts(),
                user=url.user,
                text=text,
                thread_ts=thread_ts,
                blocks=blocks,
            )
        )


def has_content(body: object) -> bool:
    """True if an acknowledgement has content to show."""
    if isinstance(body, str):
        return bool(body.strip())
    return isinstance(body, dict) and any(
        body.get(name) for name in ("text", "blocks", "attachments", "delete_original")
    )


def _parse_content(response: Mapping[str, object]) -> tuple[str, tuple[Json, ...]]:
    text, blocks = response.get("text", ""), response.get("blocks") or []
    if not isinstance(text, str) or not isinstance(blocks, list):
        raise ApiError("invalid_payload")
    if not all(isinstance(block, dict) for block in blocks):
        raise ApiError("invalid_blocks")
    if not text and not blocks and not response.get("attachments"):
        raise ApiError("no_text")
    return text, block_kit.validate_blocks(blocks)


def _post_in_channel(
    workspace: Workspace,
    url: ResponseUrl,
    text: str,
    blocks: tuple[Json, ...],
    thread_ts: str | None,
) -> None:
    root = workspace.thread_root(url.channel, thread_ts) if thread_ts else None
    workspace.post_message(
        Message(
            channel=url.channel,
            ts=workspace.next_ts(),
            user=BOT_USER_ID,
            text=text,
            blocks=blocks,
            from_app=True,
            thread_ts=root.ts if root else None,
            parent_user=root.user if root else None,
        )
    )


def _replace_original(
    workspace: Workspace, url: ResponseUrl, text: str, blocks: tuple[Json, ...]
) -> None:
    if url.message_ts is None:
        return
    if url.ephemeral:
        ephemeral = workspace.find_ephemeral(url.user, url.channel, url.message_ts)
        if ephemeral is not None:
            workspace.post_ephemeral(replace(ephemeral, text=text, blocks=blocks))
        return
    message = workspace.message(url.channel, url.message_ts)
    workspace.update_message(
        replace(
            message,
            text=text,
            blocks=blocks,
            edited_by=BOT_USER_ID,
            edited_ts=workspace.next_ts(),
        )
    )


def _delete_original(workspace: Workspace, url: ResponseUrl) -> None:
    if url.message_ts is None:
        raise ApiError("message_not_found")
    if url.ephemeral:
        ephemeral = workspace.find_ephemeral(url.user, url.channel, url.message_ts)
        if ephemeral is not None:
            workspace.post_ephemeral(replace(ephemeral, text="", blocks=(), deleted=True))
        return
    workspace.delete_message(workspace.message(url.channel, url.message_ts))
