"""Tests that the manifest has exactly the scopes and events that the code uses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from slack_bolt.async_app import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.slack import manifest as app_manifest
from bot.slack import texts as slack_texts
from bot.slack.events.parser import IgnoredEvent, parse_event
from bot.slack.receiver import EventReceiver
from bot.tasks import BackgroundTasks
from tests.integration.slack.receiver import IDENTITY, RecordingReceiver, event_receiver_for

ROOT = Path(__file__).parent.parent
SCHEMA = ROOT / "tests" / "data" / "slack-manifest-schema.json"

# Slack's schema takes any string for these, so the names themselves are checked here.
_EVENTS = """
    agent_session_stopped agent_session_title_changed app_context_changed app_home_opened
    app_mention app_uninstalled channel_archive channel_created channel_deleted
    channel_history_changed channel_id_changed channel_left channel_rename channel_shared
    channel_unarchive channel_unshared dnd_updated email_domain_changed emoji_changed
    file_change file_created file_deleted file_public file_shared file_unshared
    function_executed group_archive group_deleted group_left group_rename group_unarchive
    im_history_changed invite_requested link_shared member_joined_channel member_left_channel
    message message.app_home message.channels message.groups message.im message.mpim
    message_metadata_deleted message_metadata_posted message_metadata_updated pin_added
    pin_removed reaction_added reaction_removed shared_channel_invite_accepted
    shared_channel_invite_approved shared_channel_invite_declined shared_channel_invite_received
    subteam_created subteam_members_changed subteam_updated team_access_granted
    team_access_revoked team_domain_change team_join team_rename tokens_revoked user_change
    user_huddle_changed user_profile_changed
"""
KNOWN_EVENTS = frozenset(_EVENTS.split())
_SCOPES = """
    app_mentions:read assistant:write bookmarks:read bookmarks:write calls:read calls:write
    canvases:read canvases:write channels:history channels:join channels:manage channels:read
    chat:write chat:write.customize chat:write.public commands conversations.connect:read
    conversations.connect:write dnd:read emoji:read files:read files:write groups:history
    groups:read groups:write im:history im:read im:write incoming-webhook links:read links:write
    lists:read lists:write metadata.message:read mpim:history mpim:read mpim:write pins:read
    pins:write reactions:read reactions:write remote_files:read remote_files:share
    remote_files:write team:read usergroups:read usergroups:write users.profile:read users:read
    users:read.email users:write
"""
KNOWN_SCOPES = frozenset(_SCOPES.split())


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "manifest.yml").read_text())
    return loaded


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text())
    return loaded


def test_slack_would_take_the_manifest(manifest: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(schema()).validate(manifest)


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (["display_information", "name"], "x" * 36),
        (["features", "shortcuts", 0, "name"], "x" * 25),
        (["features", "agent_view", "suggested_prompts"], [{"title": "a", "message": "b"}] * 5),
        (["settings", "socket_mode"], True),
    ],
)
def test_the_schema_at_hand_still_finds_faults(
    manifest: dict[str, Any], where: list[str | int], what: object
) -> None:
    """The copy was cut to what is used here; it must not have lost its teeth."""
    spoiled: Any = json.loads(json.dumps(manifest))
    inner = spoiled
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = what
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema()).validate(spoiled)


def test_it_is_an_agent_app_of_the_new_kind(manifest: dict[str, Any]) -> None:
    """The older `assistant_view` cannot be had any more, and both at once are refused."""
    assert "agent_view" in manifest["features"]
    assert "assistant_view" not in manifest["features"]


def test_scopes_are_those_of_the_table_and_exist(manifest: dict[str, Any]) -> None:
    scopes = manifest["oauth_config"]["scopes"]
    assert set(scopes) == {"bot"}
    assert scopes["bot"] == sorted(app_manifest.SCOPES)
    assert set(app_manifest.SCOPES) <= KNOWN_SCOPES


def test_events_are_those_of_the_table_and_exist(manifest: dict[str, Any]) -> None:
    assert manifest["settings"]["event_subscriptions"]["bot_events"] == sorted(
        app_manifest.BOT_EVENTS
    )
    assert set(app_manifest.BOT_EVENTS) <= KNOWN_EVENTS


def test_each_kind_of_event_has_the_scope_that_slack_asks_for() -> None:
    """docs.slack.dev/reference/events: without its scope an event is never sent."""
    needs = {
        "app_mention": "app_mentions:read",
        "message.channels": "channels:history",
        "message.groups": "groups:history",
        "message.im": "im:history",
        "message.mpim": "mpim:history",
    }
    for event, scope in needs.items():
        assert (event in app_manifest.BOT_EVENTS) == (scope in app_manifest.SCOPES)


def test_the_command_and_the_shortcut_are_those_of_the_code(manifest: dict[str, Any]) -> None:
    features = manifest["features"]
    assert [command["command"] for command in features["slash_commands"]] == [
        app_manifest.SLASH_COMMAND
    ]
    assert features["shortcuts"] == [
        {
            "type": "message",
            "name": slack_texts.ABOUT_SHORTCUT,
            "callback_id": app_manifest.ASK_ABOUT_MESSAGE,
            "description": slack_texts.ABOUT_DESCRIPTION,
        }
    ]


def test_the_suggested_prompts_are_those_of_the_code(manifest: dict[str, Any]) -> None:
    prompts = manifest["features"]["agent_view"]["suggested_prompts"]
    assert [(prompt["title"], prompt["message"]) for prompt in prompts] == list(slack_texts.PROMPTS)


def test_both_tabs_are_there_and_people_can_write(manifest: dict[str, Any]) -> None:
    assert manifest["features"]["app_home"] == {
        "home_tab_enabled": True,
        "messages_tab_enabled": True,
        "messages_tab_read_only_enabled": False,
    }


def test_socket_mode_is_on_and_nothing_points_to_an_address(manifest: dict[str, Any]) -> None:
    settings = manifest["settings"]
    assert settings["socket_mode_enabled"] is True
    assert settings["interactivity"] == {"is_enabled": True}
    assert "request_url" not in settings["event_subscriptions"]
    assert settings["token_rotation_enabled"] is False


def test_the_bot_listens_for_exactly_these_events() -> None:
    """Events of any other type would be ignored."""
    subscribed = {name for name in _types(KNOWN_EVENTS) if not _is_ignored(name)}
    assert subscribed == _types(app_manifest.BOT_EVENTS)


def _types(names: Iterable[str]) -> set[str]:
    """What they carry as their `type`: `message.im` and its like are `message`."""
    return {name.partition(".")[0] for name in names}


def _is_ignored(name: str) -> bool:
    payload = {"type": "event_callback", "team_id": IDENTITY.team, "event": {"type": name}}
    return parse_event(payload, IDENTITY) == IgnoredEvent(reason=f"event type {name!r}")


async def test_bolt_listens_for_the_command_and_the_shortcut() -> None:
    intake = event_receiver_for(RecordingReceiver(), BackgroundTasks())
    named: dict[str, object] = {"command": app_manifest.SLASH_COMMAND, "text": ""}
    assert await _matches(intake, named) == 2
    assert await _matches(intake, {**named, "command": "/other"}) == 1
    kind, chosen = "message_action", app_manifest.ASK_ABOUT_MESSAGE
    assert await _matches(intake, {"type": kind, "callback_id": chosen}) == 1
    assert await _matches(intake, {"type": kind, "callback_id": "other"}) == 0


async def _matches(intake: EventReceiver, body: dict[str, object]) -> int:
    """How many of the real Bolt app's listeners would take this; a catch-all is one of them."""
    request = AsyncBoltRequest(mode="socket_mode", body=body)
    answer = BoltResponse(status=200, body="")
    listeners = intake.app._async_listeners  # noqa: SLF001 - Bolt has no public list of them
    return sum([await one.async_matches(req=request, resp=answer) for one in listeners])
