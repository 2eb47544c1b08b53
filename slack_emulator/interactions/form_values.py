"""Converts choices and inputs of users to the shape in which Slack sends them.

docs.slack.dev/reference/interaction-payloads: block_actions and view_submission.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from slack_emulator.state import block_validation as block_kit
from slack_emulator.state.entities import ApiError, Json

REQUIRED_TEXT: Final = "Please complete this required field."

_STATELESS_TYPES: Final = frozenset(
    {"button", "workflow_button", "icon_button", "feedback_buttons", "image", "overflow"}
)
_VALUE_KEYS: Final = {
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
    "rich_text_input": "rich_text_value",
}
_SINGLE_OPTION_TYPES: Final = frozenset(
    {"static_select", "external_select", "overflow", "radio_buttons"}
)
_MULTI_OPTION_TYPES: Final = frozenset(
    {"multi_static_select", "multi_external_select", "checkboxes"}
)


def action_payload(element: Json, value: object) -> Json:
    """The element's part of a payload for the chosen `value`; its own value if `value` is None."""
    kind = str(element["type"])
    if kind in _SINGLE_OPTION_TYPES:
        return {"type": kind, "selected_option": _find_option(element, value)}
    if kind in _MULTI_OPTION_TYPES:
        values = value if isinstance(value, list) else [value] if value is not None else []
        options = [_find_option(element, one) for one in values]
        return {"type": kind, "selected_options": options}
    if kind in _VALUE_KEYS:
        return {"type": kind, _VALUE_KEYS[kind]: value}
    if kind == "feedback_buttons":
        return {"type": kind, "value": value, "text": _feedback_text(element, value)}
    if kind in ("button", "workflow_button", "icon_button"):
        payload: Json = {"type": kind, "text": element.get("text")}
        own = element.get("value")
        if own is not None or value is not None:
            payload["value"] = own if own is not None else value
        if "style" in element:
            payload["style"] = element["style"]
        return payload
    return {"type": kind, "value": value}


def _find_option(element: Json, value: object) -> Json:
    """The option with this value, or given as a whole. Raises ApiError (`invalid_option`)."""
    if isinstance(value, dict):
        return value
    options = element.get("options")
    groups = element.get("option_groups")
    offered: list[object] = list(options) if isinstance(options, list) else []
    for group in groups if isinstance(groups, list) else []:
        if isinstance(group, dict) and isinstance(group.get("options"), list):
            offered += group["options"]
    for option in offered:
        if isinstance(option, dict) and option.get("value") == value:
            return option
    if element["type"] == "external_select":
        return {"text": {"type": "plain_text", "text": str(value)}, "value": value}
    raise ApiError("invalid_option")


def _feedback_text(element: Json, value: object) -> object:
    for name in ("positive_button", "negative_button"):
        button = element.get(name)
        if isinstance(button, dict) and button.get("value") == value:
            return button.get("text")
    raise ApiError("invalid_option")


def build_view_state(blocks: Sequence[Json], submitted: Mapping[str, object]) -> Json:
    """The `state.values` of a view: the submitted values, and the initial values of the other
    inputs.

    `submitted` is `{"values": {block_id: {action_id: {"value": ...}}}}`, or only its inside, or the
    same with bare values. Raises ApiError (`invalid_state`) for unknown blocks.
    """
    inside = submitted.get("values", submitted)
    if not isinstance(inside, dict):
        raise ApiError("invalid_state")
    values: dict[str, Json] = {}
    for block_id, element in block_kit.iter_elements(blocks):
        action_id = str(element.get("action_id", ""))
        if element["type"] in _STATELESS_TYPES:
            continue
        block = inside.get(block_id, {})
        if not isinstance(block, dict):
            raise ApiError("invalid_state")
        values.setdefault(block_id, {})[action_id] = _element_state(element, block.get(action_id))
    if unknown := set(inside) - set(values):
        raise ApiError("invalid_state", unknown_blocks=sorted(str(one) for one in unknown))
    return {"values": {**values}}


def _element_state(element: Json, submitted: object) -> Json:
    kind = str(element["type"])
    if isinstance(submitted, dict) and (
        "type" in submitted or "value" in submitted or len(submitted) == 1
    ):
        state: Json = {**submitted, "type": kind}
        wanted = (
            "selected_option" if kind in _SINGLE_OPTION_TYPES else _VALUE_KEYS.get(kind, "value")
        )
        if wanted != "value" and wanted not in state and "value" in state:
            return action_payload(element, state["value"])
        return state
    if submitted is not None:
        return action_payload(element, submitted)
    for initial, key in (
        ("initial_value", "value"),
        ("initial_option", "selected_option"),
        ("initial_options", "selected_options"),
    ):
        if initial in element:
            return {"type": kind, key: element[initial]}
    if kind in _SINGLE_OPTION_TYPES:
        return {"type": kind, "selected_option": None}
    if kind in _MULTI_OPTION_TYPES:
        return {"type": kind, "selected_options": []}
    key = _VALUE_KEYS.get(kind, "value")
    return {"type": kind, key: element.get(key.replace("selected_", "initial_"))}


def find_missing_inputs(blocks: Sequence[Json], state: Json) -> Json:
    """The required inputs that are empty, with the message that Slack's client shows under them."""
    values = state["values"]
    errors: Json = {}
    for block in blocks:
        if block.get("type") != "input" or block.get("optional") is True:
            continue
        block_id = str(block["block_id"])
        given = values.get(block_id, {}) if isinstance(values, dict) else {}
        for one in given.values():
            content = [value for key, value in one.items() if key != "type"]
            if not any(value not in (None, "", []) for value in content):
                errors[block_id] = REQUIRED_TEXT
    return errors
