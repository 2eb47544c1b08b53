"""Links in the model's text, as they reach Slack: live, complete, and in all other places."""

from __future__ import annotations

import json

import pytest

from tests.emulator_client import GENERAL
from tests.scenarios.conftest import Bots, ScenarioClient
from tests.scripted_model import Answer, ScriptedModel

DISGUISED = "[https://bank.example](https://evil.example/x)"
ESCAPED = "[https://bank.example]\u2060(https://evil.example/x)"
VERIFIED = "[the docs](https://docs.example/x)"
SCRIPT = "[press me](javascript:alert(1))"


@pytest.mark.parametrize("users", [1, 2])
async def test_a_disguised_link_is_text_while_it_streams_and_afterwards(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel, users: int
) -> None:
    """Letter by letter, by a stream and by edits: no state of the message has the link in it, not
    even for a moment."""
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "hello")
    if users == 2:
        await slack.say("bob", GENERAL, "I am here, too", thread_ts=ts)
    text = f"See {DISGUISED}, {VERIFIED} and {SCRIPT}."
    model.when("links", Answer(chunks=[*text], chunk_delay=0.01))
    await slack.say("alice", GENERAL, "@threadpilot links, please", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, f"{ESCAPED}, {VERIFIED} and [press me]\u2060(javascript")
    sent = "".join(
        json.dumps(call["arguments"], ensure_ascii=False) for call in await slack.calls()
    )
    assert DISGUISED not in sent
    assert "](javascript" not in sent
    assert VERIFIED in "".join(await slack.bot_texts(GENERAL, ts))


async def test_nothing_that_the_bot_posts_unfurls(
    bots: Bots, slack: ScenarioClient, model: ScriptedModel
) -> None:
    """Answers, cards, questions of commands: Slack fetches no address for a preview, so no word of
    a thread leaks in one."""
    model.default = Answer("Look at https://evil.example/?q=secret and @channel.")
    await bots.start()
    ts = await slack.ask_in_new_thread("alice", "a link")
    await slack.say("bob", GENERAL, "@threadpilot another", thread_ts=ts)
    await slack.wait_until_answered(GENERAL, ts, n=2)
    await slack.command("alice", GENERAL, "/copilot", "what is https://evil.example?")
    await slack.say("alice", GENERAL, "!ask and https://evil.example?", thread_ts=ts)
    await slack.until_shown(GENERAL, ts, "and https://evil.example?")
    posted = await slack.calls("chat.postMessage")
    assert len(posted) >= 3
    for call in posted:
        for name in ("unfurl_links", "unfurl_media"):
            assert call["arguments"][name] in (False, "false", "0", 0), call["arguments"]
