"""views.open, views.push, views.update, views.publish."""

from __future__ import annotations

from typing import Final

from slack_emulator.api.methods.request import Asked, Method
from slack_emulator.backend import Slack
from slack_emulator.state.entities import Json, Refused
from slack_emulator.state.views import checked_view


def _view(asked: Asked) -> Json:
    view = asked.arguments.object("view", "invalid_arguments")
    if not view:
        raise Refused("invalid_arguments")
    return view


async def open_modal(slack: Slack, asked: Asked) -> Json:
    """Open a modal for the person whose trigger it is."""
    view = checked_view(_view(asked), "modal")
    trigger = slack.triggers.pull(_trigger_id(asked))
    return {"view": slack.views.open(trigger.user, view)}


async def push(slack: Slack, asked: Asked) -> Json:
    """Put a modal on top of the one in which the person acted."""
    view = checked_view(_view(asked), "modal")
    trigger = slack.triggers.pull(_trigger_id(asked))
    return {"view": slack.views.push(trigger.user, view)}


def _trigger_id(asked: Asked) -> str:
    """Newer apps may name it interactivity_pointer; Slack's own words for it otherwise."""
    arguments = asked.arguments
    return arguments.text("trigger_id") or arguments.required("interactivity_pointer")


async def update(slack: Slack, asked: Asked) -> Json:
    """Replace an open view."""
    arguments = asked.arguments
    view_id, external_id = arguments.text("view_id"), arguments.text("external_id")
    if not view_id and not external_id:
        raise Refused("invalid_arguments")
    view = slack.views.update(_view(asked), view_id, external_id, arguments.text("hash"))
    return {"view": view}


async def publish(slack: Slack, asked: Asked) -> Json:
    """Set a person's Home tab."""
    user = slack.workspace.user(asked.arguments.required("user_id"))
    if user.is_bot:
        raise Refused("user_not_found")
    view = slack.views.publish(user.id, _view(asked), asked.arguments.text("hash"))
    return {"view": view}


METHODS: Final[dict[str, Method]] = {
    "views.open": open_modal,
    "views.publish": publish,
    "views.push": push,
    "views.update": update,
}
