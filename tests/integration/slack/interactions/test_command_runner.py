"""Orders by message, command, button, menu, list and Home tab: taken once, told to the right ones.

Everything goes through a whole gateway and a whole sandbox; the desk writes down what it is given.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.commands import texts
from bot.domain.cards import (
    Button,
    Card,
    CardItem,
    CommandResult,
    ReplyActions,
    Select,
    text_result,
)
from bot.domain.commands import Command, CommandSource
from bot.domain.messages import ThreadKey
from bot.errors import BotError, StoreError
from bot.slack import manifest
from bot.slack import texts as slack_texts
from bot.slack.cards.render import render_actions
from bot.slack.interactions.command_runner import MAX_RUNNING_PER_USER, CommandRunner
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    EVE,
    GENERAL,
    SECRET,
    TEAM,
    Json,
    emulator_over_http,
    wait_until,
)
from tests.emulator_client import command_buttons
from tests.fakes import QuickClock
from tests.integration.slack.gateway_fixtures import GatewayFixture, gateway_fixture
from tests.integration.slack.interactions.command_runner import DONE

EPHEMERALLY = CommandResult(card=Card(text="For you <alone>"))
PUBLICLY = CommandResult(card=Card(text="For <everybody>"), public=True)


@pytest.fixture(params=["socket", "http"])
async def bot(request: pytest.FixtureRequest) -> AsyncIterator[GatewayFixture]:
    async with (
        emulator_over_http() as outside,
        gateway_fixture(outside, request.param, QuickClock()) as bot,
    ):
        yield bot


async def command(
    bot: GatewayFixture, text: str, person: str = ALICE, channel: str = GENERAL
) -> None:
    await bot.outside.act(
        "chat.command", person, channel=channel, command=manifest.SLASH_COMMAND, text=text
    )


async def ephemeral_messages(
    bot: GatewayFixture, count: int = 1, user: str = "UALICE"
) -> list[Json]:
    """What only this person was shown, once there is so much of it."""

    async def look() -> list[Json]:
        seen = await bot.outside.ephemeral(user)
        return seen if len(seen) >= count else []

    return await wait_until(look, f"{user} is told something")


async def replies(bot: GatewayFixture, root: str, count: int = 1) -> list[Json]:
    """What the bot has said in a thread, once there is so much of it."""

    async def look() -> list[Json]:
        said = await bot.outside.replies(GENERAL, root)
        ours = [message for message in said if message.get("bot_id") and message["ts"] != root]
        return ours if len(ours) >= count else []

    return await wait_until(look, f"the bot has said {count} things in the thread")


async def finished(bot: GatewayFixture, count: int = 1) -> None:
    await bot.dispatcher.wait_until(lambda desk: len(desk.finished) >= count)


async def press(
    bot: GatewayFixture,
    message: Json,
    command_name: str,
    said: str | None = None,
    person: str = ALICE,
) -> None:
    action, value = command_buttons(message["blocks"], command_name, said)
    await bot.outside.act(
        "blocks.actions",
        person,
        channel=message.get("channel", GENERAL),
        message_ts=message["ts"],
        action_id=action,
        value=value,
    )


async def start_thread(bot: GatewayFixture) -> ThreadKey:
    root = await bot.outside.say(ALICE, GENERAL, "a question")
    return ThreadKey(team=TEAM, channel=GENERAL, root_ts=root)


def by_message(thread: ThreadKey, ts: str, key: str = "Ev1") -> Command:
    return Command(
        key=key,
        name="status",
        args="",
        user="UALICE",
        source=CommandSource.MESSAGE,
        team=TEAM,
        channel=GENERAL,
        thread=thread,
        ts=ts,
    )


# By a message


async def test_what_everybody_may_know_is_posted_in_the_thread(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    ts = await bot.outside.say(ALICE, GENERAL, "!status", thread_ts=thread.root_ts)
    bot.dispatcher.outcomes["status"] = PUBLICLY
    order = by_message(thread, ts)
    bot.command_runner.start_command(order)
    await finished(bot)
    (reply,) = await replies(bot, thread.root_ts)
    assert reply["text"] == "For &lt;everybody&gt;"
    assert bot.dispatcher.finished == [order]
    assert await bot.outside.ephemeral("UALICE") == []


async def test_what_is_for_one_person_is_posted_to_them_alone_in_the_thread(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    ts = await bot.outside.say(ALICE, GENERAL, "!status", thread_ts=thread.root_ts)
    bot.dispatcher.outcomes["status"] = EPHEMERALLY
    bot.command_runner.start_command(by_message(thread, ts))
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["thread_ts"]) == ("For you &lt;alone&gt;", thread.root_ts)
    assert len(await bot.outside.replies(GENERAL, thread.root_ts)) == 2


async def test_beside_a_message_that_starts_a_thread_it_is_posted_in_the_channel(
    bot: GatewayFixture,
) -> None:
    """Slack shows such a thing in a thread only once that has an answer."""
    thread = await start_thread(bot)
    bot.command_runner.start_command(by_message(thread, thread.root_ts))
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["thread_ts"]) == (DONE, None)


@pytest.mark.parametrize("kind", ["429", "500", "drop_before", "drop_after"])
async def test_trouble_with_slack_is_waited_out_and_nothing_stands_there_twice(
    bot: GatewayFixture, kind: str
) -> None:
    thread = await start_thread(bot)
    await bot.outside.control("faults", {"method": "chat.postMessage", "times": 2, "kind": kind})
    bot.dispatcher.outcomes["status"] = PUBLICLY
    bot.command_runner.start_command(by_message(thread, thread.root_ts))
    await finished(bot)
    assert len(await replies(bot, thread.root_ts)) == 1


async def test_what_cannot_be_delivered_is_given_up_and_done_with(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    fault = {"method": "chat.postMessage", "times": 1, "kind": "error", "error": "is_archived"}
    await bot.outside.control("faults", fault)
    bot.dispatcher.outcomes["status"] = PUBLICLY
    bot.command_runner.start_command(by_message(thread, thread.root_ts))
    await finished(bot)
    assert len(await bot.outside.replies(GENERAL, thread.root_ts)) == 1


async def test_a_command_of_before_a_restart_is_answered_where_it_was_given(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    bot.command_runner.deliver_later(by_message(thread, thread.root_ts), EPHEMERALLY)
    await finished(bot)
    at_home = replace(
        by_message(thread, ""), source=CommandSource.HOME_TAB, channel="", thread=None
    )
    bot.command_runner.deliver_later(at_home, EPHEMERALLY)
    await finished(bot, 2)
    assert bot.dispatcher.carried == []
    in_channel, in_person = await ephemeral_messages(bot, 2)
    assert (in_channel["channel"], in_person["channel"][0]) == (GENERAL, "D")


async def test_a_command_that_takes_too_long_is_given_up_and_said_so(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    bot.dispatcher.gate.clear()
    hasty = CommandRunner(bot.dispatcher, bot.slack.publisher, QuickClock(), timeout_seconds=0.01)
    hasty.start_command(by_message(thread, thread.root_ts))
    (seen,) = await ephemeral_messages(bot)
    assert seen["text"] == texts.TOOK_TOO_LONG
    await finished(bot)
    await hasty.close()


async def test_one_person_has_so_many_commands_under_way_at_once_and_others_go_on(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    bot.dispatcher.gate.clear()
    keys = [f"Ev{number}" for number in range(MAX_RUNNING_PER_USER)]
    assert all(bot.command_runner.start_command(by_message(thread, "", key)) for key in keys)
    assert not bot.command_runner.start_command(by_message(thread, "", "one too many"))
    (seen,) = await ephemeral_messages(bot)
    assert seen["text"] == texts.TOO_MANY
    assert bot.command_runner.start_command(
        replace(by_message(thread, "", "of another"), user="UBOB")
    )
    await command(bot, "status")
    assert [each["text"] for each in await ephemeral_messages(bot, 2)] == [texts.TOO_MANY] * 2
    assert all(order.source is not CommandSource.SLASH_COMMAND for order in bot.dispatcher.taken), (
        "it is not on record"
    )
    bot.dispatcher.gate.set()
    await finished(bot, MAX_RUNNING_PER_USER + 2)
    assert len(bot.dispatcher.carried) == MAX_RUNNING_PER_USER + 1
    assert bot.command_runner.start_command(by_message(thread, "", "later"))
    await finished(bot, MAX_RUNNING_PER_USER + 3)


async def test_at_the_end_commands_have_a_moment_and_what_is_not_done_stays_on_record(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    counter = CommandRunner(bot.dispatcher, bot.slack.publisher, QuickClock())
    counter.start_command(by_message(thread, thread.root_ts))
    await counter.close()
    assert len(bot.dispatcher.finished) == 1


# By the slash command


async def test_a_slash_command_with_a_command_is_no_question(bot: GatewayFixture) -> None:
    bot.dispatcher.outcomes["sessions"] = CommandResult(
        card=Card(text="Two", items=(CardItem(text="One"), CardItem(text="Other")))
    )
    await command(bot, "list all 2")
    (card,) = await ephemeral_messages(bot)
    assert card["text"] == "Two"
    assert [block["type"] for block in card["blocks"]] == ["section"] * 3
    (order,) = bot.dispatcher.taken
    assert (order.name, order.args, order.source) == (
        "sessions",
        "all 2",
        CommandSource.SLASH_COMMAND,
    )
    assert (order.user, order.team, order.channel) == ("UALICE", TEAM, GENERAL)
    assert (order.thread, order.turn, order.ts) == (None, None, "")
    await finished(bot)
    assert bot.receiver.heard == []
    assert await bot.outside.messages(GENERAL) == []


async def test_a_slash_command_is_answered_to_who_gave_it_also_where_the_bot_is_not(
    bot: GatewayFixture,
) -> None:
    bot.dispatcher.outcomes["usage"] = PUBLICLY
    await command(bot, "usage", channel=SECRET)
    (card,) = await ephemeral_messages(bot)
    assert (card["text"], card["channel"]) == ("For &lt;everybody&gt;", SECRET)


async def test_a_slash_command_that_takes_longer_is_answered_later(bot: GatewayFixture) -> None:
    bot.dispatcher.gate.clear()
    await command(bot, "sessions")
    assert await bot.outside.ephemeral("UALICE") == []
    bot.dispatcher.gate.set()
    (card,) = await ephemeral_messages(bot)
    assert card["text"] == DONE
    await finished(bot)


async def test_a_command_that_cannot_be_recorded_is_not_carried_out(bot: GatewayFixture) -> None:
    bot.dispatcher.failing = 1
    await command(bot, "sessions")
    (card,) = await ephemeral_messages(bot)
    assert card["text"] == StoreError.user_message
    assert bot.dispatcher.carried == []


@pytest.mark.parametrize("text", ["stop", "rewind", "resume s3"])
async def test_a_command_that_needs_a_thread_says_where_to_write_it(
    bot: GatewayFixture, text: str
) -> None:
    await command(bot, text)
    (card,) = await ephemeral_messages(bot)
    assert card["text"] == texts.ONLY_IN_THREADS.format(command=text.partition(" ")[0])
    assert bot.dispatcher.taken == []
    assert await bot.outside.messages(GENERAL) == []


async def test_a_command_that_slack_brings_twice_counts_once(bot: GatewayFixture) -> None:
    given = by_message(await start_thread(bot), "")
    order = replace(given, key="1.2.abc", source=CommandSource.SLASH_COMMAND, thread=None)
    assert await bot.command_runner.run_slash_command(order, "") is not None
    assert await bot.command_runner.run_slash_command(order, "") is None
    assert len(bot.dispatcher.carried) == 1


async def test_a_late_answer_whose_address_fails_is_given_otherwise(bot: GatewayFixture) -> None:
    given = by_message(await start_thread(bot), "")
    bot.dispatcher.gate.clear()
    order = replace(given, key="1.2.abc", source=CommandSource.SLASH_COMMAND, thread=None)
    assert await bot.command_runner.run_slash_command(order, "nowhere") is None
    bot.dispatcher.gate.set()
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["channel"]) == (DONE, GENERAL)


async def test_a_command_that_gets_on_record_too_late_is_done_with_and_not_carried_out(
    bot: GatewayFixture,
) -> None:
    """Who gave it was told that it could not be taken."""
    bot.dispatcher.book.clear()
    await command(bot, "sessions")
    (seen,) = await ephemeral_messages(bot)
    assert seen["text"] == StoreError.user_message
    bot.dispatcher.book.set()
    await bot.dispatcher.wait_until(lambda desk: bool(desk.finished))
    assert (len(bot.dispatcher.taken), bot.dispatcher.carried) == (1, [])
    assert len(await ephemeral_messages(bot)) == 1


async def test_words_that_only_look_like_a_command_are_a_question(bot: GatewayFixture) -> None:
    await command(bot, "model a database for me")
    await bot.receiver.wait_until(lambda ears: bool(ears.messages))
    assert bot.dispatcher.taken == []


async def test_people_of_other_workspaces_reach_the_dispatcher_which_refuses_them(
    bot: GatewayFixture,
) -> None:
    await command(bot, "sessions", person=EVE)
    assert [order.user for order in bot.dispatcher.taken] == ["UEVE"]


# By buttons, menus and lists


async def test_a_button_runs_what_it_says_about_the_thread_that_it_stands_in(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    press_ = Button(label="Reset", command_name="reset", args="s12", turn=7)
    await bot.slack.publisher.post(thread, Card(text="Hello", buttons=(press_,)))
    (card,) = await replies(bot, thread.root_ts)
    bot.dispatcher.outcomes["reset"] = PUBLICLY
    await press(bot, card, "reset", person=BOB)
    await finished(bot)
    (order,) = bot.dispatcher.taken
    assert (order.name, order.args, order.turn) == ("reset", "s12", 7)
    assert (order.user, order.source, order.team) == ("UBOB", CommandSource.BUTTON, TEAM)
    assert (order.channel, order.thread) == (GENERAL, thread)
    assert order.key
    assert [each["text"] for each in await replies(bot, thread.root_ts, 2)] == [
        "Hello",
        "For &lt;everybody&gt;",
    ]
    assert await bot.outside.ephemeral("UBOB") == []


async def test_what_a_button_tells_one_person_alone_stands_beside_it(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    await bot.slack.publisher.post(
        thread, Card(text="Hello", buttons=(Button(label="Status", command_name="status"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    await press(bot, card, "status")
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["thread_ts"]) == (DONE, thread.root_ts)
    (still,) = await replies(bot, thread.root_ts)
    assert still["text"] == "Hello"


async def test_the_menu_under_a_reply_runs_commands_about_its_turn(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    foot = ReplyActions(menu=(Button(label="Status", command_name="status", turn=41),))
    ts = await bot.outside.say(
        BOT, GENERAL, "an answer", thread_ts=thread.root_ts, blocks=render_actions(foot, thread)
    )
    (reply,) = await replies(bot, thread.root_ts)
    await press(bot, reply, "status")
    await finished(bot)
    (order,) = bot.dispatcher.taken
    assert (order.name, order.turn, order.thread, order.ts) == ("status", 41, thread, "")
    assert reply["ts"] == ts


async def test_a_choice_in_a_list_is_a_command(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    choose = Select(label="Model", command_name="model", args="", options=(("Good", "gpt-5"),))
    card = Card(text="Models", items=(CardItem(text="This thread", select=choose),))
    await bot.slack.publisher.post(thread, card)
    (shown,) = await replies(bot, thread.root_ts)
    await press(bot, shown, "model", "gpt-5")
    await finished(bot)
    assert [(order.name, order.args) for order in bot.dispatcher.taken] == [("model", "gpt-5")]


async def test_a_card_that_begins_a_thread_has_buttons_about_that_thread(
    bot: GatewayFixture,
) -> None:
    ts = await bot.slack.publisher.post_to_channel(
        GENERAL, Card(text="A fork", buttons=(Button(label="Status", command_name="status"),))
    )
    (card,) = await bot.outside.messages(GENERAL)
    await press(bot, card, "status")
    await finished(bot)
    thread = bot.dispatcher.taken[0].thread
    assert thread == ThreadKey(team=TEAM, channel=GENERAL, root_ts=ts)


async def test_paging_turns_the_page_in_place_and_another_command_does_not(
    bot: GatewayFixture,
) -> None:
    def page(number: int) -> CommandResult:
        older = Button(label="Older", command_name="sessions", args=str(number + 1))
        delete = Button(label="Delete", command_name="delete", args="s1")
        return CommandResult(card=Card(text=f"Page {number}", buttons=(older, delete)))

    bot.dispatcher.outcomes["sessions"] = page(1)
    await command(bot, "sessions")
    (card,) = await ephemeral_messages(bot)
    bot.dispatcher.outcomes["sessions"] = page(2)
    await press(bot, card, "sessions")
    await finished(bot, 2)
    (turned,) = await ephemeral_messages(bot)
    assert (turned["text"], turned["ts"]) == ("Page 2", card["ts"])
    await press(bot, turned, "delete")
    assert [seen["text"] for seen in await ephemeral_messages(bot, 2)] == ["Page 2", DONE]


async def test_a_double_click_counts_once(bot: GatewayFixture) -> None:
    """Each click has an id of its own at Slack: what is being done already is not done again."""
    thread = await start_thread(bot)
    await bot.slack.publisher.post(
        thread, Card(text="Hello", buttons=(Button(label="Reset", command_name="reset"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    bot.dispatcher.gate.clear()
    await asyncio.gather(*(press(bot, card, "reset") for _ in range(3)))
    bot.dispatcher.gate.set()
    await finished(bot)
    assert len(bot.dispatcher.carried) == 1
    await press(bot, card, "reset")
    await finished(bot, 2)


async def test_a_press_that_cannot_be_recorded_is_not_carried_out_and_may_be_repeated(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    await bot.slack.publisher.post(
        thread, Card(text="Hello", buttons=(Button(label="Reset", command_name="reset"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    bot.dispatcher.failing = 1
    await press(bot, card, "reset")
    (seen,) = await ephemeral_messages(bot)
    assert seen["text"] == StoreError.user_message
    assert bot.dispatcher.carried == []
    await press(bot, card, "reset")
    await finished(bot)


@pytest.mark.parametrize("value", ["", "reset", '{"v":7}', '{"v":"reset","t":"soon"}'])
async def test_a_button_whose_value_makes_no_sense_says_so(bot: GatewayFixture, value: str) -> None:
    button = {
        "type": "button",
        "action_id": "order:reset:0",
        "text": {"type": "plain_text", "text": "Go"},
        "value": value,
    }
    block = {"type": "actions", "elements": [button]}
    ts = await bot.outside.say(BOT, GENERAL, "press", blocks=[block])
    await bot.outside.act(
        "blocks.actions", ALICE, channel=GENERAL, message_ts=ts, action_id="order:reset:0"
    )
    (seen,) = await ephemeral_messages(bot)
    assert seen["text"] == slack_texts.OLD_BUTTON
    assert bot.dispatcher.taken == []


async def test_where_slacks_response_url_fails_the_person_is_notified_otherwise(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    await bot.slack.publisher.post(
        thread, Card(text="Hello", buttons=(Button(label="Status", command_name="status"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    bot.dispatcher.gate.clear()
    await press(bot, card, "status")
    await bot.outside.advance(1_801)  # the address has had its time
    bot.dispatcher.gate.set()
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["thread_ts"]) == (DONE, thread.root_ts)


# On the Home tab


async def home(bot: GatewayFixture, count: int = 1) -> Json:
    """The Home tab as it was published last, once it was so many times."""

    async def look() -> list[Json]:
        published = await bot.outside.calls("views.publish")
        return published if len(published) >= count else []

    published = await wait_until(look, f"the Home tab is published {count} times")
    return dict(published[-1]["answer"]["view"])


async def test_the_home_tab_shows_the_cards_of_who_opens_it(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    bot.dispatcher.cards = [
        Card(title="Yours", text="One", items=(CardItem(text="a", link=thread),))
    ]
    await bot.outside.act("apps.home.open", ALICE)
    view = await home(bot)
    assert bot.dispatcher.visitors == ["UALICE"]
    assert [block["type"] for block in view["blocks"]] == ["header", "section", "section"]
    assert f"p{thread.root_ts.replace('.', '')}|a>" in json.dumps(view)


async def test_a_command_on_the_home_tab_is_answered_on_top_of_it(bot: GatewayFixture) -> None:
    choose = Select(label="Model", command_name="set", args="model", options=(("Good", "gpt-5"),))
    bot.dispatcher.cards = [
        Card(
            title="Yours",
            text="One",
            items=(CardItem(text="Model", select=choose),),
            buttons=(Button(label="Delete", command_name="delete", args="s1"),),
        )
    ]
    await bot.outside.act("apps.home.open", ALICE)
    view = await home(bot)
    for number, (verb, said) in enumerate([("delete", "s1"), ("set", "model gpt-5")]):
        action, value = command_buttons(view["blocks"], verb, said)
        await bot.outside.act(
            "blocks.actions", ALICE, view_id=view["id"], action_id=action, value=value
        )
        await finished(bot, number + 1)
        order = bot.dispatcher.taken[-1]
        assert (order.name, order.args) == (verb, said)
        assert (order.source, order.channel, order.thread) == (CommandSource.HOME_TAB, "", None)
        view = await home(bot, number + 2)
        first = view["blocks"][0]
        assert first["text"]["text"] == DONE
        assert "Yours" in json.dumps(view)


async def test_an_old_button_of_the_home_tab_says_so_on_top_of_it(bot: GatewayFixture) -> None:
    button = {
        "type": "button",
        "action_id": "order:reset:0",
        "text": {"type": "plain_text", "text": "Go"},
        "value": "from last year",
    }
    page = {"type": "home", "blocks": [{"type": "actions", "elements": [button]}]}
    view = (await bot.outside.act("views.publish", BOT, user_id="UALICE", view=page))["view"]
    await bot.outside.act("blocks.actions", ALICE, view_id=view["id"], action_id="order:reset:0")
    assert (await home(bot, 2))["blocks"][0]["text"]["text"] == slack_texts.OLD_BUTTON


async def test_a_home_tab_that_cannot_be_made_says_so(bot: GatewayFixture) -> None:
    for number, error in enumerate([StoreError("the disk is full"), RuntimeError("odd")]):
        bot.dispatcher.homeless = error
        await bot.outside.act("apps.home.open", ALICE)
        page = await home(bot, number + 1)
        sentence = error.user_message if isinstance(error, BotError) else BotError.user_message
        assert [block["text"]["text"] for block in page["blocks"]] == [sentence]


async def test_the_help_has_the_button_that_asks_wherever_it_is_shown(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    bot.dispatcher.outcomes["help"] = text_result("I can do much.")
    bot.command_runner.start_command(replace(by_message(thread, thread.root_ts), name="help"))
    (seen,) = await ephemeral_messages(bot)
    assert manifest.ASK_BUTTON in json.dumps(seen["blocks"])
