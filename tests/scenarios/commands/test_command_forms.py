"""Tests every command about threads and sessions from every source that the registry allows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping

import pytest

from bot.commands import texts
from bot.commands.registry import COMMANDS
from bot.commands.texts import sessions as session_texts
from bot.domain.commands import CommandSource
from tests.emulator_client import DEV, GENERAL, Json
from tests.scenarios.conftest import Bots, ScenarioClient, text_of

EXAMPLES: Mapping[str, tuple[str, str]] = {
    "help": ("", session_texts.HELP_TITLE),
    "sessions": ("", session_texts.MINE_TITLE),
    "status": ("s1", "Owner: bob"),
    "history": ("s1", "You said: one"),
    "export": ("json s1", "is in our direct messages"),
    "usage": ("day by me", "1 turn"),
    "title": ("Plans", "s1 is now called “Plans”."),
    "quiet": ("", "silent in this thread"),
    "join": ("", session_texts.JOINED),
    "stop": ("", session_texts.NOTHING_RUNS),
    "ask": ("by the way", "You said: by the way"),
    "reset": ("s1", "Fresh start"),
    "resume": ("s1", "Resumed s1"),
    "delete": ("s1", "s1 is deleted permanently"),
}
"""The arguments of each command and a part of its result.

The order works for the owner of s1, in its thread of one question.
"""
OTHER_COMMANDS = {
    "model",
    "compare",
    "fork",
    "retry",
    "rewind",
    "role",
    "admin",
    "vote",
    "reveal",
    "keep",
}


def command_button(command_name: str, args: str) -> list[Json]:
    """A button for a command that the bot did not make: not every command has a button of the
    bot's."""
    text = {"type": "plain_text", "text": "Press me"}
    value = json.dumps({"v": command_name, "w": args})
    button = {"type": "button", "action_id": "order:any:0", "text": text, "value": value}
    return [{"type": "actions", "elements": [button]}]


async def run_command(
    slack: ScenarioClient, ts: str, giving: Awaitable[object], expected: str
) -> None:
    """Give a command as Bob, and wait until he or the thread is shown this text."""
    notices, replies = len(await slack.ephemeral("bob")), len(await slack.bot_messages(GENERAL, ts))
    await giving

    async def shows() -> bool:
        shown = (await slack.ephemeral("bob"))[notices:]
        shown += (await slack.bot_messages(GENERAL, ts))[replies:]
        return any(expected in text_of(each) for each in shown)

    await slack.wait_for(shows, why=f"the result has {expected!r}")


def test_every_command_that_is_not_about_models_or_branches_is_among_these() -> None:
    assert set(COMMANDS) == {*EXAMPLES, *OTHER_COMMANDS, "set"}


async def test_by_a_message_with_the_mark(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    for name, (args, expected) in EXAMPLES.items():
        text = f"!{name} {args}".strip()
        if CommandSource.MESSAGE not in COMMANDS[name].sources:
            expected = f"You said: {text}"
        await run_command(slack, ts, slack.say("bob", GENERAL, text, thread_ts=ts), expected)


async def test_by_a_mention(bots: Bots, slack: ScenarioClient) -> None:
    """For commands with free text, a colon separates the command from a question."""
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    for name, (args, expected) in EXAMPLES.items():
        colon = ":" if COMMANDS[name].takes_free_text else ""
        text = f"{name}{colon} {args}".strip()
        if CommandSource.MESSAGE not in COMMANDS[name].sources:
            expected = f"You said: {text}"
        giving = slack.say("bob", GENERAL, f"@threadpilot {text}", thread_ts=ts)
        await run_command(slack, ts, giving, expected)


async def test_in_ones_direct_messages_without_a_mention(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    await slack.start_thread("bob", "one")
    direct = await slack.dm("bob")
    ts = await slack.say("bob", direct, "hello")
    await slack.wait_until_answered(direct, ts, person="bob")
    for name in ("help", "sessions", "status", "history", "export", "usage"):
        args, expected = EXAMPLES[name]
        giving = slack.say("bob", direct, f"{name} {args}".strip(), thread_ts=ts)
        card = await slack.ephemeral_after("bob", giving)
        assert expected.replace("1 turn", "2 turns") in text_of(card), name


@pytest.mark.usefixtures("transport")
async def test_by_the_command(bots: Bots, slack: ScenarioClient) -> None:
    """A command for threads only is refused, and a name for buttons only is a question."""
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    for name, (args, expected) in EXAMPLES.items():
        if name == "delete":
            continue
        if CommandSource.SLASH_COMMAND not in COMMANDS[name].sources:
            expected = texts.ONLY_IN_THREADS.format(command=name)
        giving = slack.command("bob", GENERAL, "/copilot", f"{name} {args}".strip())
        await run_command(slack, ts, giving, expected)
    await slack.command("bob", GENERAL, "/copilot", "delete s1")

    async def posted() -> bool:
        return any("delete s1" in message["text"] for message in await slack.history(GENERAL))

    await slack.wait_for(posted, why="the question is put to the channel")


@pytest.mark.usefixtures("transport")
async def test_by_a_button(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    for name, (args, expected) in EXAMPLES.items():
        posted = await slack.as_app(
            "chat.postMessage",
            channel=GENERAL,
            thread_ts=ts,
            text="A button",
            blocks=command_button(name, args),
        )
        if CommandSource.BUTTON not in COMMANDS[name].sources:
            expected = texts.OLD_BUTTON
        giving = slack.press("bob", GENERAL, posted["ts"], "order:any:0")
        await run_command(slack, ts, giving, expected)


@pytest.mark.usefixtures("transport")
async def test_on_the_home_tab(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    await slack.start_thread("bob", "one")
    for name, (args, expected) in EXAMPLES.items():
        page = {"type": "home", "blocks": command_button(name, args)}
        view = (await slack.as_app("views.publish", user_id="UBOB", view=page))["view"]
        await slack.press_command_at_home("bob", view, name)
        if CommandSource.HOME_TAB not in COMMANDS[name].sources:
            expected = texts.OLD_BUTTON
        await slack.wait_for_home_tab_text("bob", expected)


async def test_the_home_tab_leads_to_all_of_ones_sessions_and_what_can_be_done_with_them(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    await slack.home("bob")
    page = await slack.wait_for_home_tab_text("bob", "one")
    await slack.press_command_at_home("bob", page, "help")
    page = await slack.wait_for_home_tab_text("bob", session_texts.HELP_TITLE)
    await slack.press_command_at_home("bob", page, "sessions")
    page = await slack.wait_for_home_tab_text("bob", "1 to 1 of 1")
    await slack.press_command_at_home("bob", page, "reset", "s1")
    page = await slack.wait_for_home_tab_text(
        "bob", session_texts.RESET_ELSEWHERE.format(handle="s1")
    )
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    await slack.press_command_at_home("bob", page, "delete", "s1")
    page = await slack.wait_for_home_tab_text("bob", "s1 is deleted permanently")
    assert "s1 ·" not in text_of(page)


async def test_cards_have_buttons_that_lead_on(bots: Bots, slack: ScenarioClient) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    card = await slack.ephemeral_after("bob", slack.say("bob", GENERAL, "!help", thread_ts=ts))
    assert "`!stop [queue]`" in text_of(card)
    shown = await slack.ephemeral_after(
        "bob", slack.press_command("bob", GENERAL, card, "sessions")
    )
    assert session_texts.MINE_TITLE in text_of(shown)
    card = await slack.ephemeral_after("bob", slack.press_command("bob", GENERAL, card, "status"))
    assert "Owner: bob" in text_of(card)
    for name in ("history", "export"):
        result = await slack.ephemeral_after(
            "bob", slack.press_command("bob", GENERAL, card, name, "s1")
        )
        assert EXAMPLES[name][1] in text_of(result)
    await slack.press_command("bob", GENERAL, card, "reset", "s1")
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    result = await slack.ephemeral_after(
        "bob", slack.press_command("bob", GENERAL, card, "delete", "s1")
    )
    assert "s1 is deleted permanently" in text_of(result)


async def test_the_menu_under_a_reply_is_about_its_session(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    for name in ("status", "history", "export"):
        button = await slack.reply_action(GENERAL, ts, name)
        card = await slack.ephemeral_after("bob", slack.press_reply_action("bob", GENERAL, button))
        assert EXAMPLES[name][1] in text_of(card), name
        assert card["thread_ts"] == ts
    [(name, _)] = await slack.files_of("bob")
    assert name == "threadpilot-s1.md"


async def test_two_entries_of_a_menu_chosen_one_right_after_the_other_are_two_commands(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    ts = await slack.start_thread("bob", "one")
    buttons = [
        await slack.reply_action(GENERAL, ts, name) for name in ("export", "status", "history")
    ]
    await asyncio.gather(*(slack.press_reply_action("bob", GENERAL, button) for button in buttons))
    await slack.wait_for_ephemeral("bob", 3)
    text = "\n".join(text_of(each) for each in await slack.ephemeral("bob"))
    for name in ("export", "status", "history"):
        assert EXAMPLES[name][1] in text, name


async def test_a_command_in_a_message_that_begins_no_thread_yet_is_answered_beside_it(
    bots: Bots, slack: ScenarioClient
) -> None:
    await bots.start()
    await slack.start_thread("bob", "one")
    card = await slack.ephemeral_after("bob", slack.say("bob", DEV, "@threadpilot sessions"))
    assert session_texts.MINE_TITLE in text_of(card)
    assert not card.get("thread_ts"), "without a thread, Slack would not show the card"
