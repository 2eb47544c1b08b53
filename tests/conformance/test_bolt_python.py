"""An app written with Bolt for Python works with the emulator, by Bolt's own helpers alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import (
    AsyncAck,
    AsyncApp,
    AsyncRespond,
    AsyncSay,
    AsyncSayStream,
    AsyncSetStatus,
)
from slack_sdk.web.async_client import AsyncWebClient

from tests.conformance.http_client import (
    ALICE,
    APP,
    BOT,
    GENERAL,
    SIGNING_SECRET,
    Json,
    Outside,
    emulator_over_http,
    wait_until,
)

FORM = {
    "type": "modal",
    "callback_id": "form",
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


def an_app(client: AsyncWebClient) -> AsyncApp:
    """The app, as its developer would write it."""
    app = AsyncApp(client=client, signing_secret=SIGNING_SECRET)

    @app.event("app_mention")
    async def mentioned(say_stream: AsyncSayStream, set_status: AsyncSetStatus) -> None:
        await set_status("is thinking...", loading_messages=["Looking", "Reading"])
        stream = await say_stream(buffer_size=1)
        for word in ("one ", "two ", "three"):
            await stream.append(markdown_text=word)
        await stream.stop()

    @app.message("ping")
    async def pinged(say: AsyncSay) -> None:
        await say("pong")

    @app.command("/form")
    async def form(ack: AsyncAck, body: Json, client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("form")
    async def sent(ack: AsyncAck, view: Json) -> None:
        if view["state"]["values"]["b"]["a"]["value"] == "good":
            await ack()
        else:
            await ack(response_action="errors", errors={"b": "Not good."})

    @app.command("/ask")
    async def ask(ack: AsyncAck, respond: AsyncRespond, command: Json) -> None:
        await ack("One moment.")
        button = {
            "type": "button",
            "action_id": "go",
            "value": "7",
            "text": {"type": "plain_text", "text": "Go"},
        }
        await respond(command["text"], blocks=[{"type": "actions", "elements": [button]}])

    @app.shortcut("look")
    async def look(ack: AsyncAck, respond: AsyncRespond, shortcut: Json) -> None:
        await ack()
        await respond(f"You looked at: {shortcut['message']['text']}")

    @app.action("go")
    async def go(ack: AsyncAck, respond: AsyncRespond, action: Json) -> None:
        await ack()
        await respond(f"Gone with {action['value']}.", replace_original=True)

    return app


async def await_ended(handler: AsyncSocketModeHandler) -> None:
    """Close the connection, and wait for the tasks that the SDK only cancels."""
    client = handler.client
    tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
    await handler.close_async()  # type: ignore[no-untyped-call]  # Bolt types it not
    for task in tasks:
        if task is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with emulator_over_http() as outside:
        app = an_app(AsyncWebClient(token=BOT, base_url=f"{outside.url}/api/"))
        handler = AsyncSocketModeHandler(app, APP)
        await handler.connect_async()  # type: ignore[no-untyped-call]  # the same
        try:
            yield outside
        finally:
            await await_ended(handler)


async def alices_id(outside: Outside) -> str:
    return str((await outside.act("auth.test", ALICE))["user_id"])


async def only_for_alice(outside: Outside, text: str) -> Json:
    """Wait until alice alone sees this text."""
    alice = await alices_id(outside)

    async def look() -> list[Json]:
        return [one for one in await outside.ephemeral(alice) if one["text"] == text]

    return (await wait_until(look, f"alice sees {text!r}"))[0]


async def test_say_stream_and_set_status_work_in_a_thread(outside: Outside) -> None:
    bot = (await outside.act("auth.test", BOT))["user_id"]
    ts = await outside.say(ALICE, GENERAL, f"<@{bot}> count")

    async def look() -> list[Json]:
        shown = (await outside.replies(GENERAL, ts))[1:]
        return [one for one in shown if one["text"] == "one two three"]

    assert len(await wait_until(look, "the stream is whole")) == 1
    (status,) = await outside.calls("assistant.threads.setStatus")
    assert status["arguments"]["status"] == "is thinking..."
    assert status["answer"]["ok"] is True


async def test_say_answers_in_the_channel(outside: Outside) -> None:
    await outside.say(ALICE, GENERAL, "ping")

    async def look() -> list[Json]:
        return [one for one in await outside.messages(GENERAL) if one["text"] == "pong"]

    assert len(await wait_until(look, "the app answers")) == 1


async def test_a_form_is_refused_and_then_taken(outside: Outside) -> None:
    await outside.act("chat.command", ALICE, channel=GENERAL, command="/form", text="")

    async def look() -> list[Json]:
        return await outside.calls("views.open")

    view = (await wait_until(look, "the form opens"))[0]["answer"]["view"]

    def typed(text: str) -> Json:
        return {"values": {"b": {"a": {"type": "plain_text_input", "value": text}}}}

    refused = await outside.call("views.submit", ALICE, view_id=view["id"], state=typed("bad"))
    assert refused["response_action"] == "errors"
    assert refused["errors"] == {"b": "Not good."}
    await outside.act("views.submit", ALICE, view_id=view["id"], state=typed("good"))


async def test_an_ephemeral_button_replaces_its_message(outside: Outside) -> None:
    """In Slack, only the response_url of its own button can change an ephemeral message."""
    await outside.act("chat.command", ALICE, channel=GENERAL, command="/ask", text="Shall we?")
    await only_for_alice(outside, "One moment.")
    question = await only_for_alice(outside, "Shall we?")
    await outside.act(
        "blocks.actions",
        ALICE,
        channel=GENERAL,
        message_ts=question["ts"],
        action_id="go",
        block_id=question["blocks"][0]["block_id"],
        value="7",
    )
    gone = await only_for_alice(outside, "Gone with 7.")
    texts = [one["text"] for one in await outside.ephemeral(await alices_id(outside))]
    assert "Shall we?" not in texts
    assert texts.count(gone["text"]) == 1


async def test_a_shortcut_answers_by_its_response_url(outside: Outside) -> None:
    ts = await outside.say(ALICE, GENERAL, "something odd")
    await outside.act("shortcuts.run", ALICE, callback_id="look", channel=GENERAL, message_ts=ts)
    await only_for_alice(outside, "You looked at: something odd")


async def test_a_command_that_the_app_does_not_know_times_out_for_the_user(
    outside: Outside,
) -> None:
    """Bolt does not acknowledge commands without a listener. The user sees the timeout at once when
    the emulator's clock has advanced past the three seconds."""
    command = asyncio.create_task(
        outside.call("chat.command", ALICE, channel=GENERAL, command="/nothing", text="")
    )

    async def moved() -> bool:
        await outside.advance(3.1)
        return command.done()

    await wait_until(moved, "the command times out")
    assert (await command)["error"] == "operation_timeout"
