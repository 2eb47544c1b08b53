"""Every order about threads and sessions, in every form that the table of verbs has for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping

import pytest

from bot.commands import texts
from bot.commands.registry import VERBS
from bot.commands.texts import sessions as session_texts
from bot.domain.commands import Form
from tests.emulator_client import DEV, GENERAL, Json
from tests.scenarios.conftest import Bots, Scene, words_of

ORDERS: Mapping[str, tuple[str, str]] = {
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
    "reset": ("s1", "goes on with a fresh session"),
    "resume": ("s1", "This thread goes on with s1"),
    "delete": ("s1", "s1 is gone for good"),
}
"""What is said after each verb, and words of what comes of it; to be given one after the other by
the owner of s1, in its thread of one question."""
OTHERS = {"model", "compare", "fork", "retry", "rewind", "role", "admin", "vote", "reveal", "keep"}


def a_button(verb: str, said: str) -> list[Json]:
    """A button that orders something, drawn by nobody: not every order has one of the bot's."""
    text = {"type": "plain_text", "text": "Press me"}
    value = json.dumps({"v": verb, "w": said})
    button = {"type": "button", "action_id": "order:any:0", "text": text, "value": value}
    return [{"type": "actions", "elements": [button]}]


async def ordered(slack: Scene, ts: str, giving: Awaitable[object], expected: str) -> None:
    """Give an order as bob, and wait until he or the thread is told this."""
    whispers, said = len(await slack.ephemeral("bob")), len(await slack.bot_messages(GENERAL, ts))
    await giving

    async def told() -> bool:
        shown = (await slack.ephemeral("bob"))[whispers:]
        shown += (await slack.bot_messages(GENERAL, ts))[said:]
        return any(expected in words_of(each) for each in shown)

    await slack.wait_for(told, why=f"what is told has {expected!r}")


def test_every_order_that_is_not_about_models_or_branches_is_among_these() -> None:
    assert set(VERBS) == {*ORDERS, *OTHERS, "set"}


async def test_by_a_message_with_the_mark(bots: Bots, slack: Scene) -> None:
    await bots.start()
    ts = await slack.a_thread("bob", "one")
    for verb, (said, expected) in ORDERS.items():
        order = f"!{verb} {said}".strip()
        if Form.MESSAGE not in VERBS[verb].forms:
            expected = f"You said: {order}"
        await ordered(slack, ts, slack.say("bob", GENERAL, order, thread_ts=ts), expected)


async def test_by_a_mention(bots: Bots, slack: Scene) -> None:
    """Where free words follow, a colon tells the order from a question."""
    await bots.start()
    ts = await slack.a_thread("bob", "one")
    for verb, (said, expected) in ORDERS.items():
        colon = ":" if VERBS[verb].spoken else ""
        order = f"{verb}{colon} {said}".strip()
        if Form.MESSAGE not in VERBS[verb].forms:
            expected = f"You said: {order}"
        giving = slack.say("bob", GENERAL, f"@threadpilot {order}", thread_ts=ts)
        await ordered(slack, ts, giving, expected)


async def test_in_ones_direct_messages_without_a_mention(bots: Bots, slack: Scene) -> None:
    await bots.start()
    await slack.a_thread("bob", "one")
    direct = await slack.dm("bob")
    ts = await slack.say("bob", direct, "hello")
    await slack.until_answered(direct, ts, person="bob")
    for verb in ("help", "sessions", "status", "history", "export", "usage"):
        said, expected = ORDERS[verb]
        giving = slack.say("bob", direct, f"{verb} {said}".strip(), thread_ts=ts)
        card = await slack.told_by("bob", giving)
        assert expected.replace("1 turn", "2 turns") in words_of(card), verb


@pytest.mark.usefixtures("door")
async def test_by_the_command(bots: Bots, slack: Scene) -> None:
    """What goes in threads only is told so; what only buttons say is a question."""
    await bots.start()
    ts = await slack.a_thread("bob", "one")
    for verb, (said, expected) in ORDERS.items():
        if verb == "delete":
            continue
        if Form.COMMAND not in VERBS[verb].forms:
            expected = texts.ONLY_IN_THREADS.format(verb=verb)
        giving = slack.command("bob", GENERAL, "/copilot", f"{verb} {said}".strip())
        await ordered(slack, ts, giving, expected)
    await slack.command("bob", GENERAL, "/copilot", "delete s1")

    async def asked() -> bool:
        return any("delete s1" in message["text"] for message in await slack.history(GENERAL))

    await slack.wait_for(asked, why="the question is put to the channel")


@pytest.mark.usefixtures("door")
async def test_by_a_button(bots: Bots, slack: Scene) -> None:
    await bots.start()
    ts = await slack.a_thread("bob", "one")
    for verb, (said, expected) in ORDERS.items():
        posted = await slack.as_app(
            "chat.postMessage",
            channel=GENERAL,
            thread_ts=ts,
            text="A button",
            blocks=a_button(verb, said),
        )
        if Form.BUTTON not in VERBS[verb].forms:
            expected = texts.NO_LONGER
        giving = slack.press("bob", GENERAL, posted["ts"], "order:any:0")
        await ordered(slack, ts, giving, expected)


@pytest.mark.usefixtures("door")
async def test_on_the_home_tab(bots: Bots, slack: Scene) -> None:
    await bots.start()
    await slack.a_thread("bob", "one")
    for verb, (said, expected) in ORDERS.items():
        page = {"type": "home", "blocks": a_button(verb, said)}
        view = (await slack.as_app("views.publish", user_id="UBOB", view=page))["view"]
        await slack.order_at_home("bob", view, verb)
        if Form.HOME not in VERBS[verb].forms:
            expected = texts.NO_LONGER
        await slack.until_on_page("bob", expected)


async def test_the_home_tab_leads_to_all_of_ones_sessions_and_what_can_be_done_with_them(
    bots: Bots, slack: Scene
) -> None:
    await bots.start()
    ts = await slack.a_thread("bob", "one")
    await slack.home("bob")
    page = await slack.until_on_page("bob", "one")
    await slack.order_at_home("bob", page, "help")
    page = await slack.until_on_page("bob", session_texts.HELP_TITLE)
    await slack.order_at_home("bob", page, "sessions")
    page = await slack.until_on_page("bob", "1 to 1 of 1")
    await slack.order_at_home("bob", page, "reset", "s1")
    page = await slack.until_on_page("bob", session_texts.RESET_ELSEWHERE.format(handle="s1"))
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    await slack.order_at_home("bob", page, "delete", "s1")
    page = await slack.until_on_page("bob", "s1 is gone for good")
    assert "s1 ·" not in words_of(page)


async def test_cards_have_buttons_that_lead_on(bots: Bots, slack: Scene) -> None:
    await bots.start()
    ts = await slack.a_thread("bob", "one")
    card = await slack.told_by("bob", slack.say("bob", GENERAL, "!help", thread_ts=ts))
    assert "`!stop [queue]`" in words_of(card)
    shown = await slack.told_by("bob", slack.order("bob", GENERAL, card, "sessions"))
    assert session_texts.MINE_TITLE in words_of(shown)
    card = await slack.told_by("bob", slack.order("bob", GENERAL, card, "status"))
    assert "Owner: bob" in words_of(card)
    for verb in ("history", "export"):
        told = await slack.told_by("bob", slack.order("bob", GENERAL, card, verb, "s1"))
        assert ORDERS[verb][1] in words_of(told)
    await slack.order("bob", GENERAL, card, "reset", "s1")
    await slack.until_shown(GENERAL, ts, session_texts.RESET_DONE.format(handle="s1"))
    told = await slack.told_by("bob", slack.order("bob", GENERAL, card, "delete", "s1"))
    assert "s1 is gone for good" in words_of(told)


async def test_the_menu_under_a_reply_is_about_its_session(bots: Bots, slack: Scene) -> None:
    await bots.start()
    ts = await slack.a_thread("bob", "one")
    for verb in ("status", "history", "export"):
        foot = await slack.foot_of(GENERAL, ts, verb)
        card = await slack.told_by("bob", slack.press_foot("bob", GENERAL, foot))
        assert ORDERS[verb][1] in words_of(card), verb
        assert card["thread_ts"] == ts
    [(name, _)] = await slack.files_of("bob")
    assert name == "threadpilot-s1.md"


async def test_two_entries_of_a_menu_chosen_one_right_after_the_other_are_two_orders(
    bots: Bots, slack: Scene
) -> None:
    await bots.start()
    ts = await slack.a_thread("bob", "one")
    feet = [await slack.foot_of(GENERAL, ts, verb) for verb in ("export", "status", "history")]
    await asyncio.gather(*(slack.press_foot("bob", GENERAL, foot) for foot in feet))
    await slack.until_whispered("bob", 3)
    told = "\n".join(words_of(each) for each in await slack.ephemeral("bob"))
    for verb in ("export", "status", "history"):
        assert ORDERS[verb][1] in told, verb


async def test_an_order_in_a_message_that_begins_no_thread_yet_is_told_beside_it(
    bots: Bots, slack: Scene
) -> None:
    await bots.start()
    await slack.a_thread("bob", "one")
    card = await slack.told_by("bob", slack.say("bob", DEV, "@threadpilot sessions"))
    assert session_texts.MINE_TITLE in words_of(card)
    assert not card.get("thread_ts"), "where there is no thread Slack would show nothing in it"
