"""Commands, buttons, forms, shortcuts and the Home tab, driven by plain HTTP from outside."""

from __future__ import annotations

import asyncio

from tests.conformance.http_client import ALICE, BOB, BOT, CAROL, GENERAL, TEAM, Json, Outside
from tests.conformance.socket_client import Socket


async def test_a_slash_command_is_refused_in_a_thread(outside: Outside) -> None:
    ts = await outside.say(ALICE, GENERAL, "a root")
    body = await outside.call(
        "chat.command", ALICE, channel=GENERAL, command="/copilot", text="x", thread_ts=ts
    )
    assert body["ok"] is False


async def test_a_command_waits_for_the_acknowledgement(outside: Outside, socket: Socket) -> None:
    call = asyncio.create_task(
        outside.call("chat.command", ALICE, channel=GENERAL, command="/copilot", text="help me")
    )
    frame = await socket.envelope("slash_commands")
    command = frame["payload"]
    assert command["command"] == "/copilot"
    assert command["text"] == "help me"
    assert command["user_id"] == await outside.id_of(ALICE)
    assert (command["channel_id"], command["channel_name"]) == (GENERAL, "general")
    assert command["team_id"] == TEAM
    assert "thread_ts" not in command
    assert not call.done(), "the answer comes when the app has acknowledged"
    await socket.ack(frame, {"text": "at your service"})
    assert (await call)["ok"] is True
    seen = await outside.ephemeral(await outside.id_of(ALICE))
    assert [one["text"] for one in seen] == ["at your service"]


async def test_a_button_payload_names_the_user_and_the_place(
    outside: Outside, socket: Socket
) -> None:
    button = {
        "type": "button",
        "action_id": "yes",
        "value": "1",
        "text": {"type": "plain_text", "text": "Yes"},
    }
    blocks = [{"type": "actions", "block_id": "b1", "elements": [button]}]
    ts = (await outside.act("chat.postMessage", BOT, channel=GENERAL, text="?", blocks=blocks))[
        "ts"
    ]
    pressed = asyncio.create_task(
        outside.call(
            "blocks.actions",
            CAROL,
            channel=GENERAL,
            message_ts=ts,
            action_id="yes",
            block_id="b1",
            value="1",
        )
    )
    frame = await socket.envelope("interactive")
    await socket.ack(frame)
    assert (await pressed)["ok"] is True
    body = frame["payload"]
    assert body["type"] == "block_actions"
    assert body["user"]["id"] == await outside.id_of(CAROL)
    assert body["channel"]["id"] == GENERAL
    assert body["message"]["ts"] == body["container"]["message_ts"] == ts
    assert body["container"]["type"] == "message"
    (action,) = body["actions"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("yes", "b1", "1")
    assert action["type"] == "button"
    assert body["response_url"]
    assert body["trigger_id"]


async def test_a_button_that_is_not_there_cannot_be_pressed(outside: Outside) -> None:
    ts = await outside.say(ALICE, GENERAL, "no buttons here")
    body = await outside.call(
        "blocks.actions", BOB, channel=GENERAL, message_ts=ts, action_id="yes", block_id="b"
    )
    assert body["ok"] is False


async def test_a_form_is_opened_once_by_its_trigger_and_sent(
    outside: Outside, socket: Socket
) -> None:
    command = asyncio.create_task(
        outside.call("chat.command", BOB, channel=GENERAL, command="/form", text="")
    )
    frame = await socket.envelope("slash_commands")
    view: Json = {
        "type": "modal",
        "callback_id": "cb",
        "private_metadata": "kept",
        "title": {"type": "plain_text", "text": "A form"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "block_id": "b",
                "label": {"type": "plain_text", "text": "Words"},
                "element": {"type": "plain_text_input", "action_id": "a"},
            }
        ],
    }
    trigger = frame["payload"]["trigger_id"]
    opened = await outside.act("views.open", BOT, trigger_id=trigger, view=view)
    again = await outside.refused("views.open", BOT, trigger_id=trigger, view=view)
    assert again == "exchanged_trigger_id"
    await socket.ack(frame)
    await command
    view_id = opened["view"]["id"]
    state = {"values": {"b": {"a": {"type": "plain_text_input", "value": "hello"}}}}
    assert (await outside.call("views.submit", CAROL, view_id=view_id, state=state))["ok"] is False
    sent = asyncio.create_task(outside.call("views.submit", BOB, view_id=view_id, state=state))
    frame = await socket.envelope("interactive")
    body = frame["payload"]
    assert body["type"] == "view_submission"
    assert body["view"]["callback_id"] == "cb"
    assert body["view"]["private_metadata"] == "kept"
    assert body["view"]["state"]["values"]["b"]["a"]["value"] == "hello"
    await socket.ack(frame)
    assert (await sent)["ok"] is True


async def test_a_trigger_is_too_old_after_three_seconds(outside: Outside, socket: Socket) -> None:
    command = asyncio.create_task(
        outside.call("chat.command", BOB, channel=GENERAL, command="/form", text="")
    )
    frame = await socket.envelope("slash_commands")
    await socket.ack(frame)
    await command
    await outside.advance(3.5)
    view = {
        "type": "modal",
        "title": {"type": "plain_text", "text": "A form"},
        "blocks": [{"type": "divider"}],
    }
    trigger = frame["payload"]["trigger_id"]
    refused = await outside.refused("views.open", BOT, trigger_id=trigger, view=view)
    assert refused == "expired_trigger_id"


async def test_opening_home_sends_an_event(outside: Outside, socket: Socket) -> None:
    await outside.act("apps.home.open", CAROL)
    event = (await socket.event("app_home_opened"))["payload"]["event"]
    assert event["tab"] == "home"
    assert event["user"] == await outside.id_of(CAROL)
    assert event["channel"].startswith("D")
    view = {"type": "home", "blocks": [{"type": "divider"}]}
    await outside.act("views.publish", BOT, user_id=event["user"], view=view)
    seen = (await outside.act("apps.home.open", CAROL))["view"]
    assert seen["blocks"][0]["type"] == "divider"
