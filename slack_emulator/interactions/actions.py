"""Sends interactions of users to the app: commands, buttons, modals and shortcuts.

Payloads: docs.slack.dev/reference/interaction-payloads. Each is sent once. If the app does not
acknowledge within 3 seconds, the user sees `operation_timeout`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from slack_emulator.backend import SlackBackend
from slack_emulator.delivery.receipt import PayloadKind, Receipt
from slack_emulator.delivery.socket_mode import NO_CONNECTION
from slack_emulator.interactions import form_values, responses
from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import (
    APP_ID,
    BOT_ID,
    TEAM_DOMAIN,
    TEAM_ID,
    VERIFICATION_TOKEN,
    ApiError,
    Channel,
    Ephemeral,
    Json,
    Message,
    User,
)
from slack_emulator.state.serializers import message_json
from slack_emulator.state.triggers import ResponseUrl

DIRECT_MESSAGE: Final = "directmessage"
"""Slack's `channel_name` of a direct message."""


async def send_slash_command(
    slack: SlackBackend, user: User, channel: Channel, name: str, text: str
) -> Json:
    """Send a slash command; returns when the app has acknowledged it."""
    path = slack.triggers.create_response_path(user.id, channel.id)
    payload: Json = {
        "token": VERIFICATION_TOKEN,
        "team_id": TEAM_ID,
        "team_domain": TEAM_DOMAIN,
        "channel_id": channel.id,
        "channel_name": DIRECT_MESSAGE if channel.is_im else channel.name,
        "user_id": user.id,
        "user_name": user.name,
        "command": name,
        "text": text,
        "api_app_id": APP_ID,
        "is_enterprise_install": "false",
        "response_url": slack.workspace.url + path,
        "trigger_id": slack.triggers.create_trigger(user.id),
    }
    receipt = await _deliver(slack, PayloadKind.COMMAND, payload)
    if responses.has_content(receipt.body):
        place = ResponseUrl(user.id, channel.id, slack.clock.now())
        responses.apply_response(slack.workspace, place, receipt.body)
    return {"response": receipt.body}


async def send_block_action(
    slack: SlackBackend,
    user: User,
    container: Message | Ephemeral | Json,
    interaction: Mapping[str, object],
) -> Json:
    """Use a button or another element of a message, an ephemeral message or a view."""
    blocks = container["blocks"] if isinstance(container, dict) else container.blocks
    shown = list(blocks) if isinstance(blocks, list | tuple) else []
    block_id, element = _find_element(
        shown, str(interaction["action_id"]), str(interaction["block_id"])
    )
    action: Json = {
        "action_id": element.get("action_id"),
        "block_id": block_id,
        "action_ts": slack.workspace.next_ts(),
    } | form_values.action_payload(element, interaction["value"])
    payload: Json = _base_payload(slack, user, "block_actions") | {"actions": [action]}
    if isinstance(container, dict):
        payload["trigger_id"] = slack.triggers.create_trigger(user.id, str(container["id"]))
        payload |= {
            "container": {"type": "view", "view_id": container["id"]},
            "view": container,
        }
    else:
        payload |= _message_fields(slack, user, container)
    receipt = await _deliver(slack, PayloadKind.INTERACTIVE, payload)
    return {"response": receipt.body}


def _message_fields(slack: SlackBackend, user: User, message: Message | Ephemeral) -> Json:
    ephemeral = isinstance(message, Ephemeral)
    path = slack.triggers.create_response_path(
        user.id, message.channel, message.ts, message.thread_ts, ephemeral=ephemeral
    )
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": ephemeral,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    context: Json = {
        "container": container,
        "channel": _channel_json(slack.workspace.channels[message.channel]),
        "response_url": slack.workspace.url + path,
        "state": {"values": {}},
    }
    if isinstance(message, Message):
        context["message"] = message_json(slack.workspace, message)
    return context


def _find_element(blocks: list[Json], action_id: str, block_id: str) -> tuple[str, Json]:
    """The element with these ids. Raises ApiError (`action_not_found`)."""
    for found, element in block_kit.iter_elements(blocks):
        if element.get("action_id") == action_id and block_id in ("", found):
            return found, element
    raise ApiError("action_not_found")


async def send_message_shortcut(
    slack: SlackBackend, user: User, message: Message, callback_id: str
) -> Json:
    """Run a message shortcut."""
    path = slack.triggers.create_response_path(user.id, message.channel, None, message.thread_ts)
    payload = _base_payload(slack, user, "message_action") | {
        "callback_id": callback_id,
        "action_ts": slack.workspace.next_ts(),
        "message_ts": message.ts,
        "message": message_json(slack.workspace, message),
        "channel": _channel_json(slack.workspace.channels[message.channel]),
        "response_url": slack.workspace.url + path,
    }
    receipt = await _deliver(slack, PayloadKind.INTERACTIVE, payload)
    return {"response": receipt.body}


async def send_global_shortcut(slack: SlackBackend, user: User, callback_id: str) -> Json:
    """Run a global shortcut, which belongs to no message."""
    payload = _base_payload(slack, user, "shortcut") | {
        "callback_id": callback_id,
        "action_ts": slack.workspace.next_ts(),
    }
    receipt = await _deliver(slack, PayloadKind.INTERACTIVE, payload)
    return {"response": receipt.body}


async def submit_view(
    slack: SlackBackend, user: User, view: Json, submitted: Mapping[str, object]
) -> Json:
    """Submit a modal, and apply the app's response to the user's stack of modals."""
    blocks = view["blocks"] if isinstance(view["blocks"], list) else []
    state = form_values.build_view_state(blocks, submitted)
    if errors := form_values.find_missing_inputs(blocks, state):
        return {"response_action": "errors", "errors": errors}
    view["state"] = state
    payload = _base_payload(slack, user, "view_submission") | {"view": view, "response_urls": []}
    payload["trigger_id"] = slack.triggers.create_trigger(user.id, str(view["id"]))
    receipt = await _deliver(slack, PayloadKind.INTERACTIVE, payload)
    body = receipt.body if isinstance(receipt.body, dict) else {}
    return _apply_response(slack, user, view, body)


def _apply_response(
    slack: SlackBackend, user: User, view: Json, body: Mapping[str, object]
) -> Json:
    action, shown = body.get("response_action"), body.get("view")
    match action:
        case None:
            slack.views.close_modal(user.id, str(view["id"]))
        case "clear":
            slack.views.close_all(user.id)
        case "update" if isinstance(shown, dict):
            after = slack.views.update_view(shown, str(view["id"]), "", "")
            return {"response_action": action, "view": after}
        case "push" if isinstance(shown, dict):
            return {"response_action": action, "view": slack.views.push_modal(user.id, shown)}
        case "errors":
            return {"response_action": action, "errors": _checked_errors(view, body.get("errors"))}
        case _:
            raise ApiError("invalid_response_action")
    return {"response_action": action or "close"}


def _checked_errors(view: Json, errors: object) -> Json:
    """The errors for inputs of the view. Raises ApiError for other blocks: that is the app's
    mistake."""
    blocks = view["blocks"] if isinstance(view["blocks"], list) else []
    inputs = {block["block_id"] for block in blocks if block.get("type") == "input"}
    if not isinstance(errors, dict) or not errors or not set(errors) <= inputs:
        raise ApiError("invalid_response_action")
    return errors


async def close_view(slack: SlackBackend, user: User, view: Json) -> Json:
    """Close a modal; the app gets `view_closed` if it asked for it."""
    slack.views.close_modal(user.id, str(view["id"]))
    if view.get("clear_on_close"):
        slack.views.close_all(user.id)
    if view.get("notify_on_close"):
        payload = _base_payload(slack, user, "view_closed") | {"view": view, "is_cleared": False}
        payload.pop("trigger_id")
        await slack.delivery.send_interaction(PayloadKind.INTERACTIVE, payload)
    return {}


def _base_payload(slack: SlackBackend, user: User, kind: str) -> Json:
    return {
        "type": kind,
        "token": VERIFICATION_TOKEN,
        "api_app_id": APP_ID,
        "bot_id": BOT_ID,
        "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
        "enterprise": None,
        "is_enterprise_install": False,
        "user": {
            "id": user.id,
            "name": user.name,
            "username": user.name,
            "team_id": user.team_id,
        },
        "trigger_id": slack.triggers.create_trigger(user.id),
    }


def _channel_json(channel: Channel) -> Json:
    return {"id": channel.id, "name": DIRECT_MESSAGE if channel.is_im else channel.name}


async def _deliver(slack: SlackBackend, kind: PayloadKind, payload: Json) -> Receipt:
    """Send and wait. Raises ApiError with the error that the user would see."""
    receipt = await slack.delivery.send_interaction(kind, payload)
    if receipt.ok:
        return receipt
    if receipt.reason in ("timeout", "http_timeout"):
        raise ApiError("operation_timeout")
    if receipt.reason == NO_CONNECTION:
        raise ApiError("dispatch_failed")
    raise ApiError("dispatch_failed", reason=receipt.reason)
