"""Implements views.open, views.push, views.update and views.publish."""

from __future__ import annotations

from typing import Final

from slack_emulator.api.methods.request import ApiRequest, Method
from slack_emulator.backend import SlackBackend
from slack_emulator.state.entities import ApiError, Json
from slack_emulator.state.views import validate_view


def _parse_view(request: ApiRequest) -> Json:
    view = request.arguments.json_object("view", "invalid_arguments")
    if not view:
        raise ApiError("invalid_arguments")
    return view


async def open_modal(slack: SlackBackend, request: ApiRequest) -> Json:
    """Open a modal for the user of the trigger."""
    view = validate_view(_parse_view(request), "modal")
    trigger = slack.triggers.use_trigger(_trigger_id(request))
    return {"view": slack.views.open_modal(trigger.user, view)}


async def push(slack: SlackBackend, request: ApiRequest) -> Json:
    """Push a modal onto the one in which the user acted."""
    view = validate_view(_parse_view(request), "modal")
    trigger = slack.triggers.use_trigger(_trigger_id(request))
    return {"view": slack.views.push_modal(trigger.user, view)}


def _trigger_id(request: ApiRequest) -> str:
    """The trigger id, or `interactivity_pointer`, which newer apps may send instead. Raises
    ApiError with Slack's own words if neither is given."""
    arguments = request.arguments
    return arguments.text("trigger_id") or arguments.required_text("interactivity_pointer")


async def update(slack: SlackBackend, request: ApiRequest) -> Json:
    """Replace an open view."""
    arguments = request.arguments
    view_id, external_id = arguments.text("view_id"), arguments.text("external_id")
    if not view_id and not external_id:
        raise ApiError("invalid_arguments")
    view = slack.views.update_view(
        _parse_view(request), view_id, external_id, arguments.text("hash")
    )
    return {"view": view}


async def publish(slack: SlackBackend, request: ApiRequest) -> Json:
    """Publish a user's Home tab."""
    user = slack.workspace.user(request.arguments.required_text("user_id"))
    if user.is_bot:
        raise ApiError("user_not_found")
    view = slack.views.publish_home(user.id, _parse_view(request), request.arguments.text("hash"))
    return {"view": view}


METHODS: Final[dict[str, Method]] = {
    "views.open": open_modal,
    "views.publish": publish,
    "views.push": push,
    "views.update": update,
}
