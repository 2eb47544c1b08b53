"""Modals stack, update, show errors and close as in Slack, for every response of the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.conformance.http_client import (
    BOB,
    BOT,
    CAROL,
    GENERAL,
    Json,
    Outside,
    emulator_over_http,
)
from tests.conformance.socket_client import Socket, socket_mode


def form(title: str, **more: object) -> Json:
    """A modal with one required input and a button."""
    return {
        "type": "modal",
        "callback_id": title,
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "block_id": "b",
                "label": {"type": "plain_text", "text": "Words"},
                "element": {"type": "plain_text_input", "action_id": "a"},
            },
            {
                "type": "actions",
                "block_id": "more",
                "elements": [
                    {
                        "type": "button",
                        "action_id": "go_on",
                        "value": "1",
                        "text": {"type": "plain_text", "text": "Go on"},
                    }
                ],
            },
        ],
    } | more


STATE = {"values": {"b": {"a": {"type": "plain_text_input", "value": "words"}}}}


@dataclass(frozen=True)
class ModalDriver:
    """Bob with an open modal, and the app at its socket."""

    outside: Outside
    socket: Socket
    view_id: str

    async def respond(self, asking: asyncio.Task[Json], payload: Json | None) -> Json:
        """Let the app respond to bob's action; returns the payload that the app received."""
        frame = await self.socket.envelope("interactive")
        await self.socket.ack(frame, payload)
        await asking
        received = frame["payload"]
        assert isinstance(received, dict)
        return received

    def submit(self, view_id: str = "", **more: object) -> asyncio.Task[Json]:
        """Bob presses Send (or closes the form)."""
        arguments: Json = {"view_id": view_id or self.view_id, "state": STATE} | more
        return asyncio.create_task(self.outside.call("views.submit", BOB, **arguments))


async def trigger(outside: Outside, socket: Socket) -> str:
    """A fresh trigger of bob's, by a slash command."""
    asking = asyncio.create_task(
        outside.call("chat.command", BOB, channel=GENERAL, command="/form", text="")
    )
    frame = await socket.envelope("slash_commands")
    await socket.ack(frame)
    await asking
    return str(frame["payload"]["trigger_id"])


@pytest.fixture
async def modal_driver() -> AsyncIterator[ModalDriver]:
    async with emulator_over_http() as outside, socket_mode(outside) as socket:
        trigger_id = await trigger(outside, socket)
        opened = await outside.act(
            "views.open", BOT, trigger_id=trigger_id, view=form("first", notify_on_close=True)
        )
        yield ModalDriver(outside, socket, opened["view"]["id"])


async def test_an_opened_view_is_slacks_view_object(modal_driver: ModalDriver) -> None:
    (call,) = await modal_driver.outside.calls("views.open")
    view = call["answer"]["view"]
    assert view["type"] == "modal"
    assert view["callback_id"] == "first"
    assert view["root_view_id"] == view["id"]
    assert view["previous_view_id"] is None
    assert view["team_id"] == "T0SANDBOX"
    assert view["hash"]
    assert view["app_id"].startswith("A")


async def test_an_answer_can_change_the_form(modal_driver: ModalDriver) -> None:
    asking = modal_driver.submit()
    await modal_driver.respond(asking, {"response_action": "update", "view": form("second")})
    assert (await asking)["response_action"] == "update"
    payload = await modal_driver.respond(modal_driver.submit(), None)
    assert payload["view"]["callback_id"] == "second"


async def test_an_answer_can_push_a_form_and_closing_it_shows_the_one_below(
    modal_driver: ModalDriver,
) -> None:
    asking = modal_driver.submit()
    await modal_driver.respond(asking, {"response_action": "push", "view": form("above")})
    above = (await asking)["view"]
    assert above["previous_view_id"] == modal_driver.view_id
    assert above["root_view_id"] == modal_driver.view_id
    await modal_driver.outside.act("views.submit", BOB, view_id=above["id"], close=True)
    payload = await modal_driver.respond(modal_driver.submit(), None)
    assert payload["view"]["callback_id"] == "first"


async def test_an_answer_can_clear_the_whole_stack(modal_driver: ModalDriver) -> None:
    asking = modal_driver.submit()
    await modal_driver.respond(asking, {"response_action": "push", "view": form("above")})
    above = (await asking)["view"]["id"]
    await modal_driver.respond(modal_driver.submit(above), {"response_action": "clear"})
    for view_id in (above, modal_driver.view_id):
        assert (await modal_driver.submit(view_id))["ok"] is False


async def test_three_forms_are_the_most_that_stack(modal_driver: ModalDriver) -> None:
    asking = modal_driver.submit()
    await modal_driver.respond(asking, {"response_action": "push", "view": form("two")})
    two = (await asking)["view"]["id"]
    asking = modal_driver.submit(two)
    await modal_driver.respond(asking, {"response_action": "push", "view": form("three")})
    three = (await asking)["view"]["id"]
    asking = modal_driver.submit(three)
    await modal_driver.respond(asking, {"response_action": "push", "view": form("four")})
    assert (await asking)["ok"] is False


async def test_errors_must_be_for_inputs_of_the_form(modal_driver: ModalDriver) -> None:
    asking = modal_driver.submit()
    await modal_driver.respond(
        asking, {"response_action": "errors", "errors": {"nowhere": "Wrong."}}
    )
    assert (await asking)["ok"] is False
    asking = modal_driver.submit()
    await modal_driver.respond(asking, {"response_action": "errors", "errors": {"b": "Wrong."}})
    assert (await asking)["errors"] == {"b": "Wrong."}


async def test_an_empty_required_field_never_reaches_the_app(modal_driver: ModalDriver) -> None:
    """Slack's client says so itself."""
    empty = {"values": {"b": {"a": {"type": "plain_text_input", "value": ""}}}}
    body = await modal_driver.submit(state=empty)
    assert body["response_action"] == "errors"
    assert "b" in body["errors"]
    assert await modal_driver.socket.quiet() == []


async def test_closing_is_reported_to_an_app_that_asked_for_it(modal_driver: ModalDriver) -> None:
    payload = await modal_driver.respond(modal_driver.submit(close=True), None)
    assert payload["type"] == "view_closed"
    assert payload["view"]["id"] == modal_driver.view_id
    assert payload["is_cleared"] is False
    assert (await modal_driver.submit())["ok"] is False


async def test_a_button_in_a_form_names_the_form(modal_driver: ModalDriver) -> None:
    asking = asyncio.create_task(
        modal_driver.outside.call(
            "blocks.actions",
            BOB,
            view_id=modal_driver.view_id,
            action_id="go_on",
            block_id="more",
            value="1",
        )
    )
    payload = await modal_driver.respond(asking, None)
    assert payload["type"] == "block_actions"
    assert payload["container"] == {"type": "view", "view_id": modal_driver.view_id}
    assert payload["view"]["id"] == modal_driver.view_id
    pushed = await modal_driver.outside.act(
        "views.push", BOT, trigger_id=payload["trigger_id"], view=form("above")
    )
    assert pushed["view"]["previous_view_id"] == modal_driver.view_id


async def test_the_app_changes_a_form_unless_its_hash_is_old(
    modal_driver: ModalDriver,
) -> None:
    (call,) = await modal_driver.outside.calls("views.open")
    stale = call["answer"]["view"]["hash"]
    await modal_driver.outside.act(
        "views.update", BOT, view_id=modal_driver.view_id, view=form("new"), hash=stale
    )
    refused = await modal_driver.outside.refused(
        "views.update", BOT, view_id=modal_driver.view_id, view=form("newer"), hash=stale
    )
    assert refused == "hash_conflict"


async def test_a_user_cannot_submit_another_users_form(modal_driver: ModalDriver) -> None:
    body = await modal_driver.outside.call(
        "views.submit", CAROL, view_id=modal_driver.view_id, state=STATE
    )
    assert body["ok"] is False
    assert await modal_driver.socket.quiet() == []


@pytest.mark.parametrize(
    "view",
    [
        {},
        {"type": "modal"},
        {"type": "modal", "title": {"type": "plain_text", "text": "x" * 25}, "blocks": []},
        form("no submit", submit=None),
        form("too much", private_metadata="x" * 3_001),
        form("too many", blocks=[{"type": "divider"}] * 101),
        form("home", type="home"),
    ],
)
async def test_views_that_break_slacks_rules_are_refused(
    modal_driver: ModalDriver, view: Json
) -> None:
    trigger_id = await trigger(modal_driver.outside, modal_driver.socket)
    await modal_driver.outside.refused("views.open", BOT, trigger_id=trigger_id, view=view)
