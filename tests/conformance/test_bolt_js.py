"""An app written for Slack with Bolt for JavaScript works with the emulator, unmodified.

The same promises hold for Socket Mode and for signed HTTP, where Bolt's own receiver checks every
signature.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.conformance.echo_app import EchoApp, echo_app
from tests.conformance.http_client import (
    ALICE,
    BOB,
    GENERAL,
    Json,
    Outside,
    emulator_over_http,
    wait_until,
)


@dataclass(frozen=True)
class Stage:
    """An emulator with the echo app."""

    outside: Outside
    app: EchoApp
    alice: str
    bob: str
    bot: str

    async def mention(self, text: str) -> str:
        """Alice mentions the app in #general; returns the message's ts."""
        return await self.outside.say(ALICE, GENERAL, f"<@{self.bot}> {text}")

    async def command(self, command: str, text: str, token: str = ALICE) -> Json:
        """Send a slash command in #general; returns the response."""
        return await self.outside.act(
            "chat.command", token, channel=GENERAL, command=command, text=text
        )

    async def posted(self, text: str) -> Json:
        """Wait for the app's message in #general with this text."""

        async def look() -> list[Json]:
            messages = await self.outside.messages(GENERAL)
            return [message for message in messages if message["text"] == text]

        return (await wait_until(look, f"a message {text!r} in #general"))[0]

    async def modal(self, times: int = 1) -> Json:
        """Wait until the app has opened this many modals; returns the last one as Slack gave it."""

        async def look() -> list[Json]:
            opened = await self.outside.calls("views.open")
            return opened if len(opened) >= times else []

        view = (await wait_until(look, "the app opens a modal"))[-1]["answer"]["view"]
        assert isinstance(view, dict)
        return view


@pytest.fixture(params=["socket", "http"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with (
        emulator_over_http() as outside,
        echo_app(f"{outside.url}/api/", request.param) as app,
    ):
        if request.param == "http":
            await outside.control(
                "app", {"request_url": f"http://127.0.0.1:{app.port}/slack/events"}
            )
        alice, bob, bot = [
            (await outside.act("auth.test", token))["user_id"]
            for token in (ALICE, BOB, "xoxb-sandbox")
        ]
        yield Stage(outside, app, alice, bob, bot)


def typed(text: str) -> Json:
    """The values that Slack sends for a form with this text."""
    return {"values": {"words": {"text": {"type": "plain_text_input", "value": text}}}}


async def test_a_mention_is_echoed_as_a_stream_in_its_thread(stage: Stage) -> None:
    """The app's own stream helper starts, appends and stops; the thread has one whole reply."""
    ts = await stage.mention("three small words")

    async def look() -> list[Json]:
        answers = (await stage.outside.replies(GENERAL, ts))[1:]
        return [answer for answer in answers if answer["text"].endswith("(end)")]

    answers = await wait_until(look, "the stream ends")
    assert [answer["text"] for answer in answers] == ["You said: three small words (end)"]
    assert answers[0]["user"] == stage.bot
    assert len(await stage.outside.calls("chat.startStream")) == 1
    assert len(await stage.outside.calls("chat.stopStream")) == 1
    assert all(call["answer"]["ok"] for call in await stage.outside.calls("chat.appendStream"))


async def test_the_app_sets_its_status(stage: Stage) -> None:
    """Bolt's setStatus reaches the emulator with the thread that it belongs to."""
    ts = await stage.mention("one")

    async def look() -> list[Json]:
        return await stage.outside.calls("assistant.threads.setStatus")

    status = (await wait_until(look, "the app sets its status"))[0]
    assert status["answer"]["ok"] is True
    assert status["arguments"]["thread_ts"] == ts


async def test_a_direct_message_is_answered(stage: Stage) -> None:
    opened = await stage.outside.act("conversations.open", BOB, users=stage.bot)
    channel = opened["channel"]["id"]
    ts = await stage.outside.say(BOB, channel, "hello there")

    async def look() -> list[Json]:
        return (await stage.outside.replies(channel, ts, BOB))[1:]

    answers = await wait_until(look, "an answer in the direct message")
    assert [answer["text"] for answer in answers] == [f"Hello, <@{stage.bob}>"]


async def test_a_slash_command_is_answered_for_its_sender_only(stage: Stage) -> None:
    """The acknowledgement's text is shown only to the sender of the command."""
    await stage.command("/echo", "is anybody here?")
    seen = await stage.outside.ephemeral(stage.alice)
    assert [message["text"] for message in seen] == ["You typed: is anybody here?"]
    assert await stage.outside.ephemeral(stage.bob) == []
    assert all("anybody" not in m["text"] for m in await stage.outside.messages(GENERAL))


async def test_a_command_is_answered_later_by_its_response_url(stage: Stage) -> None:
    await stage.command("/later", "news")
    await stage.posted("For everyone: news")
    seen = await stage.outside.ephemeral(stage.alice)
    assert [message["text"] for message in seen] == ["Only for you: news"]


async def test_a_button_changes_its_message(stage: Stage) -> None:
    await stage.command("/button", "quiet")
    message = await stage.posted("quiet")
    await stage.outside.act(
        "blocks.actions",
        BOB,
        channel=GENERAL,
        message_ts=message["ts"],
        action_id="louder",
        block_id="echo_actions",
        value="quiet",
    )
    changed = await stage.posted("QUIET")
    assert changed["ts"] == message["ts"]
    assert changed["blocks"][0]["text"]["text"] == "QUIET"


async def test_a_form_error_is_shown_under_the_field(stage: Stage) -> None:
    """The user sees the app's validation error, and can send the form again."""
    await stage.command("/form", "")
    view = await stage.modal()
    assert view["title"]["text"] == "Echo"
    refused = await stage.outside.call("views.submit", ALICE, view_id=view["id"], state=typed("hi"))
    assert refused["response_action"] == "errors"
    assert refused["errors"] == {"words": "Please write at least 3 letters."}
    await stage.outside.act("views.submit", ALICE, view_id=view["id"], state=typed("good day"))
    await stage.posted(f"<@{stage.alice}> sent: good day")


async def test_a_sent_form_is_closed(stage: Stage) -> None:
    await stage.command("/form", "")
    view = await stage.modal()
    await stage.outside.act("views.submit", ALICE, view_id=view["id"], state=typed("once"))
    await stage.posted(f"<@{stage.alice}> sent: once")
    await stage.outside.refused("views.submit", ALICE, view_id=view["id"], state=typed("twice"))


async def test_a_message_shortcut_opens_a_form_about_the_message(stage: Stage) -> None:
    ts = await stage.outside.say(BOB, GENERAL, "worth repeating")
    await stage.outside.act(
        "shortcuts.run", ALICE, callback_id="echo_message", channel=GENERAL, message_ts=ts
    )
    view = await stage.modal()
    assert view["blocks"][0]["element"]["initial_value"] == "worth repeating"


async def test_the_home_tab_shows_what_the_app_published(stage: Stage) -> None:
    async def look() -> str:
        opened = await stage.outside.act("apps.home.open", ALICE)
        blocks = (opened.get("view") or {}).get("blocks") or []
        return blocks[0]["text"]["text"] if blocks else ""

    assert await wait_until(look, "the Home tab is published") == "The echo app is at home."


@pytest.mark.parametrize("stage", ["socket"], indirect=True)
@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_the_app_reconnects_after_a_disconnect(stage: Stage, reason: str) -> None:
    """Bolt reconnects by a fresh ticket, after its own pause of five seconds."""
    await stage.outside.control("faults", {"socket": "disconnect", "reason": reason, "times": 1})

    async def look() -> bool:
        return len(await stage.outside.calls("apps.connections.open")) >= 2

    await wait_until(look, "the app asks for a new ticket", max_wait=30)

    async def reached() -> bool:
        arguments = {"channel": GENERAL, "command": "/echo", "text": "there?"}
        return bool((await stage.outside.call("chat.command", ALICE, **arguments))["ok"])

    await wait_until(reached, "a command reaches the app again")
    ts = await stage.mention("again")

    async def answered() -> list[Json]:
        answers = (await stage.outside.replies(GENERAL, ts))[1:]
        return [answer for answer in answers if answer["text"].endswith("(end)")]

    answers = await wait_until(answered, "the app answers again")
    assert [answer["text"] for answer in answers] == ["You said: again (end)"]
