"""Replayed requests run once.

An attacker sends a signed request of Slack again as it is. Slack itself sends it signed again after
a restart of the bot.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from slack_sdk.signature import SignatureVerifier

from tests.emulator_client import GENERAL, PEOPLE, SIGNING_SECRET
from tests.scenarios.conftest import Bots, ScenarioClient, question_of
from tests.scenarios.delivery.test_ask import the_questions_root
from tests.scripted_model import ScriptedModel

pytestmark = [
    pytest.mark.parametrize("transport", ["http"], indirect=True),
    pytest.mark.usefixtures("transport"),
]


class Post:
    """One form that Slack posts, more than once."""

    def __init__(self, slack: ScenarioClient, bots: Bots, form: dict[str, str]) -> None:
        self._slack = slack
        self._port = bots.env["HTTP_PORT"]
        self._body = urlencode(form).encode()

    async def __call__(self, signed_at: int) -> None:
        signature = SignatureVerifier(SIGNING_SECRET).generate_signature(
            timestamp=str(signed_at), body=self._body
        )
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Slack-Request-Timestamp": str(signed_at),
            "X-Slack-Signature": str(signature),
        }
        address = f"http://127.0.0.1:{self._port}/slack/events"
        async with self._slack.http.post(address, data=self._body, headers=headers) as answer:
            assert answer.status == 200


async def now(slack: ScenarioClient) -> int:
    async with slack.http.get(f"{slack.url}/sandbox/clock") as answer:
        return int((await answer.json())["now"])


async def again_and_again(slack: ScenarioClient, bots: Bots, post: Post) -> None:
    """As it is, signed again, and after a restart, both."""
    signed = await now(slack)
    for at in (signed, signed, signed + 1):
        await post(at)
    await slack.until_idle(bots.bot)
    await bots.close()
    await bots.start()
    for at in (signed, signed + 1, signed + 2):
        await post(at)


async def test_a_question_asked_by_a_command_is_asked_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    form = {
        "command": "/copilot",
        "text": "what is Python?",
        "user_id": PEOPLE["alice"],
        "channel_id": GENERAL,
        "team_id": "T0SANDBOX",
        "trigger_id": "1.2.question",
        "response_url": f"{slack.url}/nowhere",
    }
    await again_and_again(slack, bots, Post(slack, bots, form))
    root = await the_questions_root(slack, "what is Python?")
    assert await slack.wait_until_answered(GENERAL, root) == ["You said: what is Python?"]
    # The effect of a repeat would have come before this.
    await slack.ask_in_new_thread("bob", "the last one")
    await slack.until_idle(bots.bot)
    prompts = [question_of(request.prompt) for request in model.requests]
    assert prompts == ["what is Python?", "the last one"]
    questions = [m for m in await slack.history(GENERAL) if "what is Python?" in m["text"]]
    assert [m["ts"] for m in questions] == [root]


async def test_a_button_that_was_pressed_is_pressed_once(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "what is Rust?")
    reply_action = await slack.reply_action(GENERAL, ts, "retry")
    press = {
        "type": "block_actions",
        "team": {"id": "T0SANDBOX"},
        "user": {"id": PEOPLE["alice"], "team_id": "T0SANDBOX"},
        "channel": {"id": GENERAL},
        "trigger_id": "1.2.press",
        "response_url": f"{slack.url}/nowhere",
        "container": {
            "type": "message",
            "message_ts": reply_action.ts,
            "channel_id": GENERAL,
            "thread_ts": ts,
        },
        "message": {"ts": reply_action.ts, "thread_ts": ts},
        "actions": [
            _action(await slack.bot_messages(GENERAL, ts), reply_action.action, reply_action.value)
        ],
    }
    await again_and_again(slack, bots, Post(slack, bots, {"payload": json.dumps(press)}))
    await slack.wait_until_answered(GENERAL, ts, n=2)
    await slack.ask_in_new_thread("bob", "the last one")
    await slack.until_idle(bots.bot)
    prompts = [question_of(request.prompt) for request in model.requests]
    assert prompts == ["what is Rust?", "what is Rust?", "the last one"]


def _action(messages: list[dict[str, object]], action: str, option: str | None) -> object:
    """The action of the button, as Slack would send it."""
    if option is not None:
        return {"action_id": action, "selected_option": {"value": option}}
    for message in messages:
        blocks = message.get("blocks")
        for block in blocks if isinstance(blocks, list) else ():
            for element in block.get("elements", []):
                if element.get("action_id") == action:
                    return {"action_id": action, "value": element["value"]}
    raise AssertionError(f"there is no button {action}")
