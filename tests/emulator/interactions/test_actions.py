"""Commands, buttons, modals and shortcuts reach the app, and its responses reach the user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.emulator.delivery.test_events import App, connected
from tests.emulator_client import BOT_TOKEN, GENERAL, EmulatorClient, Json, Refusal


def form(**more: object) -> Json:
    return {
        "type": "modal",
        "callback_id": "ask",
        "title": {"type": "plain_text", "text": "Ask"},
        "submit": {"type": "plain_text", "text": "Send"},
        "blocks": [
            {
                "type": "input",
                "block_id": "question",
                "label": {"type": "plain_text", "text": "Your question"},
                "element": {"type": "plain_text_input", "action_id": "text"},
            }
        ],
    } | more


PLAIN_FORM = form(blocks=[{"type": "divider"}], submit=None)

MENU: list[Json] = [
    {
        "type": "actions",
        "block_id": "row",
        "elements": [
            {
                "type": "button",
                "action_id": "go",
                "value": "42",
                "text": {"type": "plain_text", "text": "Go"},
            },
            {
                "type": "static_select",
                "action_id": "pick",
                "options": [{"text": {"type": "plain_text", "text": "Red"}, "value": "red"}],
            },
        ],
    }
]


@asynccontextmanager
async def answering(client: EmulatorClient, payload: Json | None = None) -> AsyncIterator[App]:
    """An app that acknowledges everything with this payload."""
    async with connected(client) as app:
        app.payload = payload
        yield app


async def opened(client: EmulatorClient, app: App, view: Json, person: str = "alice") -> Json:
    """A modal that the app opened after this user's command."""
    before = len(app.received)
    await client.command(person, GENERAL, "/ask")
    trigger = app.received[before]["payload"]["trigger_id"]
    answer = await client.as_app("views.open", trigger_id=trigger, view=view)
    made: Json = answer["view"]
    return made


async def test_a_command_is_answered_to_its_sender(client: EmulatorClient) -> None:
    async with answering(client, {"text": "Only for you"}) as app:
        await client.command("alice", GENERAL, "/ask", "why?")
        (envelope,) = await app.envelopes(1)
    payload = envelope["payload"]
    assert envelope["type"] == "slash_commands"
    assert envelope["accepts_response_payload"] is True
    assert (payload["command"], payload["text"], payload["user_id"]) == ("/ask", "why?", "UALICE")
    assert "thread_ts" not in payload
    assert [one["text"] for one in await client.ephemeral("alice")] == ["Only for you"]
    assert await client.history(GENERAL) == []


async def test_a_command_may_be_answered_in_the_channel(client: EmulatorClient) -> None:
    async with answering(client, {"text": "For all", "response_type": "in_channel"}):
        await client.command("alice", GENERAL, "/ask")
    assert [message["text"] for message in await client.history(GENERAL)] == ["For all"]


async def test_a_command_is_not_for_threads(client: EmulatorClient) -> None:
    root = await client.say("alice", GENERAL, "question")
    async with answering(client) as app:
        refused = await client.ask(
            "xoxp-alice", "chat.command", channel=GENERAL, command="/ask", thread_ts=root
        )
        assert refused["error"] == "command_not_supported_in_threads"
        assert [one["type"] for one in app.received] == ["events_api"] * len(app.received)


@pytest.mark.parametrize("command", ["ask", "/", "/Ask me", "/" + "x" * 40])
async def test_what_is_no_command_is_refused(client: EmulatorClient, command: str) -> None:
    refused = await client.ask("xoxp-alice", "chat.command", channel=GENERAL, command=command)
    assert refused["error"] == "invalid_command"


async def test_only_known_commands_and_shortcuts_where_they_are_known(
    client: EmulatorClient,
) -> None:
    await client.app(commands=[{"command": "/ask"}], shortcuts=[{"callback_id": "about"}])
    ts = await client.say("alice", GENERAL, "hello")
    with pytest.raises(Refusal, match="invalid_command"):
        await client.command("alice", GENERAL, "/sing")
    with pytest.raises(Refusal, match="invalid_callback_id"):
        await client.shortcut("alice", "sing", GENERAL, ts)


async def test_silence_is_a_timeout_and_absence_a_failure(client: EmulatorClient) -> None:
    with pytest.raises(Refusal, match="dispatch_failed"):
        await client.command("alice", GENERAL, "/ask")
    async with connected(client) as app:
        app.answers = False
        asking = asyncio.create_task(client.command("alice", GENERAL, "/ask"))
        await app.envelopes(1)
        await client.advance(3)
        with pytest.raises(Refusal, match="operation_timeout"):
            await asking
        assert len(await app.envelopes(1)) == 1


async def test_a_button_payload_names_the_user_and_the_message(client: EmulatorClient) -> None:
    posted = await client.as_app("chat.postMessage", channel=GENERAL, text="menu", blocks=MENU)
    async with answering(client) as app:
        await client.press("bob", GENERAL, posted["ts"], "go")
        await client.press("bob", GENERAL, posted["ts"], "pick", block_id="row", value="red")
        pressed, picked = [one["payload"] for one in await app.envelopes(2)]
        for wrong, code in (("none", "action_not_found"), ("pick", "invalid_option")):
            with pytest.raises(Refusal, match=code):
                await client.press("bob", GENERAL, posted["ts"], wrong, value="blue")
    assert (pressed["type"], pressed["user"]["id"]) == ("block_actions", "UBOB")
    assert pressed["container"]["message_ts"] == pressed["message"]["ts"] == posted["ts"]
    assert pressed["actions"][0]["value"] == "42"
    assert picked["actions"][0]["selected_option"]["value"] == "red"


async def test_a_response_url_answers_five_times_for_half_an_hour(client: EmulatorClient) -> None:
    posted = await client.as_app("chat.postMessage", channel=GENERAL, text="menu", blocks=MENU)
    async with answering(client) as app:
        await client.press("bob", GENERAL, posted["ts"], "go")
        url = (await app.envelopes(1))[0]["payload"]["response_url"]
        await client.press("bob", GENERAL, posted["ts"], "go")
        late = [one for one in app.received if one["type"] == "interactive"][1]["payload"]

    async def respond(body: object, address: str = url) -> int:
        async with client.http.post(address, json=body) as answer:
            return answer.status

    assert await respond({"text": "psst"}) == 200
    assert [one["text"] for one in await client.ephemeral("bob")] == ["psst"]
    assert await respond({"text": "chosen", "replace_original": True}) == 200
    assert [message["text"] for message in await client.history(GENERAL)] == ["chosen"]
    assert (
        await respond({"text": "x", "thread_ts": "1.000001", "response_type": "in_channel"}) == 400
    )
    assert await respond({}) == 400
    assert await respond({"delete_original": True}) == 200
    assert await client.history(GENERAL) == []
    assert await respond({"text": "once more"}) == 404
    await client.advance(1_801)
    assert await respond({"text": "late"}, late["response_url"]) == 404
    async with client.http.post(f"{client.url}/response/none", data="{") as answer:
        assert answer.status == 400


async def test_an_ephemeral_buttons_answer_replaces_it(client: EmulatorClient) -> None:
    shown = await client.as_app(
        "chat.postEphemeral", channel=GENERAL, user="UBOB", text="menu", blocks=MENU
    )
    async with answering(client) as app:
        await client.press("bob", GENERAL, shown["message_ts"], "go")
        payload = (await app.envelopes(1))[0]["payload"]
        refused = await client.ask(
            "xoxp-carol",
            "blocks.actions",
            channel=GENERAL,
            message_ts=shown["message_ts"],
            action_id="go",
        )
        assert refused["error"] == "message_not_found"
    assert payload["container"]["is_ephemeral"] is True
    body = {"text": "done", "replace_original": True}
    async with client.http.post(payload["response_url"], json=body) as answer:
        assert answer.status == 200
    assert [one["text"] for one in await client.ephemeral("bob")] == ["done"]
    async with client.http.post(payload["response_url"], json={"delete_original": True}) as answer:
        assert answer.status == 200
    assert await client.ephemeral("bob") == []


async def test_a_trigger_opens_one_view_soon(client: EmulatorClient) -> None:
    async with answering(client) as app:
        await opened(client, app, form())
        used = app.received[0]["payload"]["trigger_id"]
        await client.command("alice", GENERAL, "/ask")
        late = app.received[1]["payload"]["trigger_id"]
    await client.advance(3)
    for trigger, code in (
        (used, "exchanged_trigger_id"),
        (late, "expired_trigger_id"),
        ("1.2.3", "invalid_trigger_id"),
    ):
        refused = await client.ask(BOT_TOKEN, "views.open", trigger_id=trigger, view=form())
        assert refused["error"] == code


async def test_a_form_is_submitted_once_and_by_its_user(client: EmulatorClient) -> None:
    async with answering(client) as app:
        view = await opened(client, app, form())
        for person in ("bob", "alice"):
            state: Json = {
                "view_id": view["id"],
                "state": {"values": {"question": {"text": "why"}}},
            }
            answer = await client.ask(f"xoxp-{person}", "views.submit", **state)
            assert answer["ok"] is (person == "alice")
        sent = next(one for one in app.received if one["type"] == "interactive")["payload"]
        assert sent["type"] == "view_submission"
        assert sent["view"]["state"]["values"]["question"]["text"] == {
            "type": "plain_text_input",
            "value": "why",
        }
        with pytest.raises(Refusal, match="not_found"):
            await client.submit("alice", view["id"], {"question": {"text": "again"}})


async def test_a_required_field_must_be_filled_in(client: EmulatorClient) -> None:
    """Slack's client shows that itself: the app receives nothing."""
    async with answering(client) as app:
        view = await opened(client, app, form())
        answer = await client.submit("alice", view["id"], {})
        assert answer["errors"] == {"question": "Please complete this required field."}
        assert all(one["type"] != "interactive" for one in app.received)
        with pytest.raises(Refusal, match="invalid_state"):
            await client.submit("alice", view["id"], {"song": {"text": "la"}})


async def test_the_apps_answers_to_a_form_are_done(client: EmulatorClient) -> None:
    """Errors keep the modal, update replaces it, push stacks, clear closes all."""
    async with answering(client) as app:
        view = await opened(client, app, form())
        filled = {"question": {"text": "why"}}
        app.payload = {"response_action": "errors", "errors": {"question": "No."}}
        assert (await client.submit("alice", view["id"], filled))["errors"] == {"question": "No."}
        app.payload = {"response_action": "errors", "errors": {"song": "No."}}
        with pytest.raises(Refusal, match="invalid_response_action"):
            await client.submit("alice", view["id"], filled)
        app.payload = {"response_action": "update", "view": form(callback_id="second")}
        updated = (await client.submit("alice", view["id"], filled))["view"]
        assert (updated["id"], updated["callback_id"]) == (view["id"], "second")
        app.payload = {"response_action": "push", "view": PLAIN_FORM}
        pushed = (await client.submit("alice", view["id"], filled))["view"]
        assert pushed["previous_view_id"] == view["id"]
        app.payload = {"response_action": "clear"}
        await client.submit("alice", pushed["id"], {})
        with pytest.raises(Refusal, match="not_found"):
            await client.submit("alice", view["id"], filled)


async def test_an_app_may_subscribe_to_closed_forms(client: EmulatorClient) -> None:
    async with answering(client) as app:
        view = await opened(client, app, form(notify_on_close=True))
        await client.close_view("alice", view["id"])
        last = app.received[-1]["payload"]
    assert (last["type"], last["view"]["id"]) == ("view_closed", view["id"])


async def test_an_open_view_can_be_updated_by_its_ids(client: EmulatorClient) -> None:
    async with answering(client) as app:
        view = await opened(client, app, form(external_id="mine"))
    after = await client.as_app("views.update", view_id=view["id"], hash=view["hash"], view=form())
    assert after["view"]["hash"] != view["hash"]
    for wrong, code in (
        ({"view_id": view["id"], "hash": view["hash"]}, "hash_conflict"),
        ({"view_id": "V0NONE"}, "not_found"),
        ({}, "invalid_arguments"),
    ):
        refused = await client.ask(BOT_TOKEN, "views.update", view=form(), **wrong)
        assert refused["error"] == code


@pytest.mark.parametrize(
    "view",
    [
        {},
        {"type": "song"},
        form(type="home"),
        form(title={"type": "plain_text", "text": "x" * 25}),
        form(title=None),
        form(submit=None),
        form(blocks="none"),
        form(blocks=[{"type": "song"}]),
        form(blocks=[{"type": "divider"}] * 101),
        form(private_metadata="x" * 3_001),
    ],
)
async def test_a_broken_view_is_refused(client: EmulatorClient, view: Json) -> None:
    refused = await client.ask(BOT_TOKEN, "views.open", trigger_id="1", view=view)
    assert refused["error"] == "invalid_arguments"


async def test_a_message_shortcut_brings_the_message_along(client: EmulatorClient) -> None:
    root = await client.say("alice", GENERAL, "question")
    ts = await client.say("bob", GENERAL, "answer", thread_ts=root)
    async with answering(client) as app:
        await client.shortcut("alice", "about", GENERAL, ts)
        payload = (await app.envelopes(1))[0]["payload"]
    assert (payload["type"], payload["callback_id"]) == ("message_action", "about")
    assert payload["message"]["text"] == "answer"
    assert payload["message"]["thread_ts"] == root
    with pytest.raises(Refusal, match="message_not_found"):
        await client.shortcut("alice", "about", GENERAL, "1.000001")


async def test_the_home_tab_is_there_when_the_app_has_published_it(client: EmulatorClient) -> None:
    home: Json = {"type": "home", "blocks": [{"type": "divider"}]}
    async with answering(client) as app:
        opening = asyncio.create_task(client.home("alice"))
        (event,) = await app.events(1)
        assert (event["type"], event["tab"], event["user"]) == ("app_home_opened", "home", "UALICE")
        await client.as_app("views.publish", user_id="UALICE", view=home)
        shown = await opening
    assert shown is not None
    assert shown["blocks"][0]["type"] == "divider"
    assert await client.home("bob", tab="messages") is None


async def test_a_button_in_a_view_opens_another_one(client: EmulatorClient) -> None:
    """By its own trigger, on top of the view of the button, three at most."""
    row = form(blocks=MENU, submit=None)
    async with answering(client) as app:
        view = await opened(client, app, row)
        for depth in (2, 3, 4):
            await client.call("alice", "blocks.actions", view_id=view["id"], action_id="go")
            payload = app.received[-1]["payload"]
            assert payload["container"] == {"type": "view", "view_id": view["id"]}
            answer = await client.ask(
                BOT_TOKEN, "views.push", trigger_id=payload["trigger_id"], view=row
            )
            if depth == 4:
                assert answer["error"] == "push_limit_reached"
            else:
                view = answer["view"]


async def test_a_global_shortcut_is_about_no_message(client: EmulatorClient) -> None:
    async with answering(client) as app:
        await client.call("alice", "shortcuts.run", callback_id="ask")
        payload = (await app.envelopes(1))[0]["payload"]
        refused = await client.ask(
            "xoxp-alice", "shortcuts.run", callback_id="ask", channel=GENERAL
        )
    assert (payload["type"], "message" in payload) == ("shortcut", False)
    assert refused["error"] == "invalid_arguments"


async def test_an_app_cannot_perform_user_actions(client: EmulatorClient) -> None:
    refused = await client.ask(BOT_TOKEN, "chat.command", channel=GENERAL, command="/ask")
    assert refused["error"] == "not_allowed_token_type"
