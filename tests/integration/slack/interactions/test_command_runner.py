"""Commands by message, slash command, button, menu, list and Home tab run once each.

Their results go to the right users. All tests use a whole gateway on a whole emulator; the
dispatcher records its commands.
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
    bot: GatewayFixture, text: str, user: str = ALICE, channel: str = GENERAL
) -> None:
    await bot.outside.act(
        "chat.command", user, channel=channel, command=manifest.SLASH_COMMAND, text=text
    )


async def ephemeral_messages(
    bot: GatewayFixture, count: int = 1, user: str = "UALICE"
) -> list[Json]:
    """The ephemeral messages to this user, once there are `count`."""

    async def look() -> list[Json]:
        seen = await bot.outside.ephemeral(user)
        return seen if len(seen) >= count else []

    return await wait_until(look, f"an ephemeral message to {user}")


async def replies(bot: GatewayFixture, root: str, count: int = 1) -> list[Json]:
    """The bot's messages in a thread, once there are `count`."""

    async def look() -> list[Json]:
        posted = await bot.outside.replies(GENERAL, root)
        ours = [message for message in posted if message.get("bot_id") and message["ts"] != root]
        return ours if len(ours) >= count else []

    return await wait_until(look, f"{count} messages of the bot in the thread")


async def finished(bot: GatewayFixture, count: int = 1) -> None:
    await bot.dispatcher.wait_until(lambda dispatcher: len(dispatcher.done) >= count)


async def press(
    bot: GatewayFixture,
    message: Json,
    command_name: str,
    args: str | None = None,
    user: str = ALICE,
) -> None:
    action, value = command_buttons(message["blocks"], command_name, args)
    await bot.outside.act(
        "blocks.actions",
        user,
        channel=message.get("channel", GENERAL),
        message_ts=message["ts"],
        action_id=action,
        value=value,
    )


async def start_thread(bot: GatewayFixture) -> ThreadKey:
    root = await bot.outside.say(ALICE, GENERAL, "a question")
    return ThreadKey(team=TEAM, channel=GENERAL, root_ts=root)


def message_command(thread: ThreadKey, ts: str, key: str = "Ev1") -> Command:
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


async def test_a_public_result_is_posted_in_the_thread(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    ts = await bot.outside.say(ALICE, GENERAL, "!status", thread_ts=thread.root_ts)
    bot.dispatcher.results["status"] = PUBLICLY
    recorded = message_command(thread, ts)
    bot.command_runner.start_command(recorded)
    await finished(bot)
    (reply,) = await replies(bot, thread.root_ts)
    assert reply["text"] == "For &lt;everybody&gt;"
    assert bot.dispatcher.done == [recorded]
    assert await bot.outside.ephemeral("UALICE") == []


async def test_a_private_result_is_posted_in_the_thread_for_its_user_alone(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    ts = await bot.outside.say(ALICE, GENERAL, "!status", thread_ts=thread.root_ts)
    bot.dispatcher.results["status"] = EPHEMERALLY
    bot.command_runner.start_command(message_command(thread, ts))
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["thread_ts"]) == ("For you &lt;alone&gt;", thread.root_ts)
    assert len(await bot.outside.replies(GENERAL, thread.root_ts)) == 2


async def test_beside_a_message_that_starts_a_thread_it_is_posted_in_the_channel(
    bot: GatewayFixture,
) -> None:
    """Slack shows ephemeral messages in a thread only if it has replies."""
    thread = await start_thread(bot)
    bot.command_runner.start_command(message_command(thread, thread.root_ts))
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["thread_ts"]) == (DONE, None)


@pytest.mark.parametrize("kind", ["429", "500", "drop_before", "drop_after"])
async def test_transient_errors_of_slack_are_retried_and_nothing_is_posted_twice(
    bot: GatewayFixture, kind: str
) -> None:
    thread = await start_thread(bot)
    await bot.outside.control("faults", {"method": "chat.postMessage", "times": 2, "kind": kind})
    bot.dispatcher.results["status"] = PUBLICLY
    bot.command_runner.start_command(message_command(thread, thread.root_ts))
    await finished(bot)
    assert len(await replies(bot, thread.root_ts)) == 1


async def test_a_result_that_cannot_be_delivered_is_dropped_and_the_command_is_done(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    fault = {"method": "chat.postMessage", "times": 1, "kind": "error", "error": "is_archived"}
    await bot.outside.control("faults", fault)
    bot.dispatcher.results["status"] = PUBLICLY
    bot.command_runner.start_command(message_command(thread, thread.root_ts))
    await finished(bot)
    assert len(await bot.outside.replies(GENERAL, thread.root_ts)) == 1


async def test_a_command_of_before_a_restart_is_answered_where_it_was_given(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    bot.command_runner.deliver_later(message_command(thread, thread.root_ts), EPHEMERALLY)
    await finished(bot)
    at_home = replace(
        message_command(thread, ""), source=CommandSource.HOME_TAB, channel="", thread=None
    )
    bot.command_runner.deliver_later(at_home, EPHEMERALLY)
    await finished(bot, 2)
    assert bot.dispatcher.executed == []
    in_channel, in_dm = await ephemeral_messages(bot, 2)
    assert (in_channel["channel"], in_dm["channel"][0]) == (GENERAL, "D")


async def test_a_command_that_takes_too_long_is_cancelled_and_reported(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    bot.dispatcher.can_execute.clear()
    hasty = CommandRunner(bot.dispatcher, bot.slack.publisher, QuickClock(), timeout_seconds=0.01)
    hasty.start_command(message_command(thread, thread.root_ts))
    (seen,) = await ephemeral_messages(bot)
    assert seen["text"] == texts.TOOK_TOO_LONG
    await finished(bot)
    await hasty.close()


async def test_the_running_commands_of_one_user_are_limited_and_others_go_on(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    bot.dispatcher.can_execute.clear()
    keys = [f"Ev{number}" for number in range(MAX_RUNNING_PER_USER)]
    assert all(bot.command_runner.start_command(message_command(thread, "", key)) for key in keys)
    assert not bot.command_runner.start_command(message_command(thread, "", "one too many"))
    (seen,) = await ephemeral_messages(bot)
    assert seen["text"] == texts.TOO_MANY
    assert bot.command_runner.start_command(
        replace(message_command(thread, "", "of another"), user="UBOB")
    )
    await command(bot, "status")
    assert [each["text"] for each in await ephemeral_messages(bot, 2)] == [texts.TOO_MANY] * 2
    assert all(
        recorded.source is not CommandSource.SLASH_COMMAND for recorded in bot.dispatcher.recorded
    ), "it is not on record"
    bot.dispatcher.can_execute.set()
    await finished(bot, MAX_RUNNING_PER_USER + 2)
    assert len(bot.dispatcher.executed) == MAX_RUNNING_PER_USER + 1
    assert bot.command_runner.start_command(message_command(thread, "", "later"))
    await finished(bot, MAX_RUNNING_PER_USER + 3)


async def test_at_the_end_commands_have_a_moment_and_what_is_not_done_stays_on_record(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    counter = CommandRunner(bot.dispatcher, bot.slack.publisher, QuickClock())
    counter.start_command(message_command(thread, thread.root_ts))
    await counter.close()
    assert len(bot.dispatcher.done) == 1


# By the slash command


async def test_a_slash_command_with_a_command_name_is_not_a_question(bot: GatewayFixture) -> None:
    bot.dispatcher.results["sessions"] = CommandResult(
        card=Card(text="Two", items=(CardItem(text="One"), CardItem(text="Other")))
    )
    await command(bot, "list all 2")
    (card,) = await ephemeral_messages(bot)
    assert card["text"] == "Two"
    assert [block["type"] for block in card["blocks"]] == ["section"] * 3
    (recorded,) = bot.dispatcher.recorded
    assert (recorded.name, recorded.args, recorded.source) == (
        "sessions",
        "all 2",
        CommandSource.SLASH_COMMAND,
    )
    assert (recorded.user, recorded.team, recorded.channel) == ("UALICE", TEAM, GENERAL)
    assert (recorded.thread, recorded.turn, recorded.ts) == (None, None, "")
    await finished(bot)
    assert bot.receiver.events == []
    assert await bot.outside.messages(GENERAL) == []


async def test_a_slash_command_is_answered_also_where_the_bot_is_not_a_member(
    bot: GatewayFixture,
) -> None:
    bot.dispatcher.results["usage"] = PUBLICLY
    await command(bot, "usage", channel=SECRET)
    (card,) = await ephemeral_messages(bot)
    assert (card["text"], card["channel"]) == ("For &lt;everybody&gt;", SECRET)


async def test_a_slash_command_that_takes_longer_is_answered_later(bot: GatewayFixture) -> None:
    bot.dispatcher.can_execute.clear()
    await command(bot, "sessions")
    assert await bot.outside.ephemeral("UALICE") == []
    bot.dispatcher.can_execute.set()
    (card,) = await ephemeral_messages(bot)
    assert card["text"] == DONE
    await finished(bot)


async def test_a_command_that_cannot_be_recorded_does_not_run(bot: GatewayFixture) -> None:
    bot.dispatcher.failing = 1
    await command(bot, "sessions")
    (card,) = await ephemeral_messages(bot)
    assert card["text"] == StoreError.user_message
    assert bot.dispatcher.executed == []


@pytest.mark.parametrize("text", ["stop", "rewind", "resume s3"])
async def test_a_command_that_needs_a_thread_says_where_to_write_it(
    bot: GatewayFixture, text: str
) -> None:
    await command(bot, text)
    (card,) = await ephemeral_messages(bot)
    assert card["text"] == texts.ONLY_IN_THREADS.format(command=text.partition(" ")[0])
    assert bot.dispatcher.recorded == []
    assert await bot.outside.messages(GENERAL) == []


async def test_a_command_that_slack_sends_twice_runs_once(bot: GatewayFixture) -> None:
    given = message_command(await start_thread(bot), "")
    recorded = replace(given, key="1.2.abc", source=CommandSource.SLASH_COMMAND, thread=None)
    assert await bot.command_runner.run_slash_command(recorded, "") is not None
    assert await bot.command_runner.run_slash_command(recorded, "") is None
    assert len(bot.dispatcher.executed) == 1


async def test_a_late_result_whose_response_url_fails_is_sent_otherwise(
    bot: GatewayFixture,
) -> None:
    given = message_command(await start_thread(bot), "")
    bot.dispatcher.can_execute.clear()
    recorded = replace(given, key="1.2.abc", source=CommandSource.SLASH_COMMAND, thread=None)
    assert await bot.command_runner.run_slash_command(recorded, "nowhere") is None
    bot.dispatcher.can_execute.set()
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["channel"]) == (DONE, GENERAL)


async def test_a_command_that_gets_on_record_too_late_is_done_with_and_not_carried_out(
    bot: GatewayFixture,
) -> None:
    """Its user got a refusal."""
    bot.dispatcher.can_record.clear()
    await command(bot, "sessions")
    (seen,) = await ephemeral_messages(bot)
    assert seen["text"] == StoreError.user_message
    bot.dispatcher.can_record.set()
    await bot.dispatcher.wait_until(lambda dispatcher: bool(dispatcher.done))
    assert (len(bot.dispatcher.recorded), bot.dispatcher.executed) == (1, [])
    assert len(await ephemeral_messages(bot)) == 1


async def test_a_text_that_only_looks_like_a_command_is_a_question(bot: GatewayFixture) -> None:
    await command(bot, "model a database for me")
    await bot.receiver.wait_until(lambda receiver: bool(receiver.messages))
    assert bot.dispatcher.recorded == []


async def test_users_of_other_workspaces_reach_the_dispatcher_which_refuses_them(
    bot: GatewayFixture,
) -> None:
    await command(bot, "sessions", user=EVE)
    assert [recorded.user for recorded in bot.dispatcher.recorded] == ["UEVE"]


# By buttons, menus and lists


async def test_a_button_runs_its_command_for_the_thread_of_its_message(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    press_ = Button(label="Reset", command_name="reset", args="s12", turn=7)
    await bot.slack.publisher.post(thread, Card(text="Hello", buttons=(press_,)))
    (card,) = await replies(bot, thread.root_ts)
    bot.dispatcher.results["reset"] = PUBLICLY
    await press(bot, card, "reset", user=BOB)
    await finished(bot)
    (recorded,) = bot.dispatcher.recorded
    assert (recorded.name, recorded.args, recorded.turn) == ("reset", "s12", 7)
    assert (recorded.user, recorded.source, recorded.team) == ("UBOB", CommandSource.BUTTON, TEAM)
    assert (recorded.channel, recorded.thread) == (GENERAL, thread)
    assert recorded.key
    assert [each["text"] for each in await replies(bot, thread.root_ts, 2)] == [
        "Hello",
        "For &lt;everybody&gt;",
    ]
    assert await bot.outside.ephemeral("UBOB") == []


async def test_a_private_result_of_a_button_is_shown_beside_it(bot: GatewayFixture) -> None:
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
    actions = ReplyActions(menu=(Button(label="Status", command_name="status", turn=41),))
    ts = await bot.outside.say(
        BOT, GENERAL, "an answer", thread_ts=thread.root_ts, blocks=render_actions(actions, thread)
    )
    (reply,) = await replies(bot, thread.root_ts)
    await press(bot, reply, "status")
    await finished(bot)
    (recorded,) = bot.dispatcher.recorded
    assert (recorded.name, recorded.turn, recorded.thread, recorded.ts) == (
        "status",
        41,
        thread,
        "",
    )
    assert reply["ts"] == ts


async def test_a_selection_in_a_list_is_a_command(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    choose = Select(label="Model", command_name="model", args="", options=(("Good", "gpt-5"),))
    card = Card(text="Models", items=(CardItem(text="This thread", select=choose),))
    await bot.slack.publisher.post(thread, card)
    (shown,) = await replies(bot, thread.root_ts)
    await press(bot, shown, "model", "gpt-5")
    await finished(bot)
    assert [(recorded.name, recorded.args) for recorded in bot.dispatcher.recorded] == [
        ("model", "gpt-5")
    ]


async def test_a_card_that_begins_a_thread_has_buttons_about_that_thread(
    bot: GatewayFixture,
) -> None:
    ts = await bot.slack.publisher.post_to_channel(
        GENERAL, Card(text="A fork", buttons=(Button(label="Status", command_name="status"),))
    )
    (card,) = await bot.outside.messages(GENERAL)
    await press(bot, card, "status")
    await finished(bot)
    thread = bot.dispatcher.recorded[0].thread
    assert thread == ThreadKey(team=TEAM, channel=GENERAL, root_ts=ts)


async def test_paging_turns_the_page_in_place_and_another_command_does_not(
    bot: GatewayFixture,
) -> None:
    def page(number: int) -> CommandResult:
        older = Button(label="Older", command_name="sessions", args=str(number + 1))
        delete = Button(label="Delete", command_name="delete", args="s1")
        return CommandResult(card=Card(text=f"Page {number}", buttons=(older, delete)))

    bot.dispatcher.results["sessions"] = page(1)
    await command(bot, "sessions")
    (card,) = await ephemeral_messages(bot)
    bot.dispatcher.results["sessions"] = page(2)
    await press(bot, card, "sessions")
    await finished(bot, 2)
    (turned,) = await ephemeral_messages(bot)
    assert (turned["text"], turned["ts"]) == ("Page 2", card["ts"])
    await press(bot, turned, "delete")
    assert [seen["text"] for seen in await ephemeral_messages(bot, 2)] == ["Page 2", DONE]


async def test_a_double_click_runs_once(bot: GatewayFixture) -> None:
    """Slack gives each click an id of its own: a command that runs already does not run again."""
    thread = await start_thread(bot)
    await bot.slack.publisher.post(
        thread, Card(text="Hello", buttons=(Button(label="Reset", command_name="reset"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    bot.dispatcher.can_execute.clear()
    await asyncio.gather(*(press(bot, card, "reset") for _ in range(3)))
    bot.dispatcher.can_execute.set()
    await finished(bot)
    assert len(bot.dispatcher.executed) == 1
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
    assert bot.dispatcher.executed == []
    await press(bot, card, "reset")
    await finished(bot)


@pytest.mark.parametrize("value", ["", "reset", '{"v":7}', '{"v":"reset","t":"soon"}'])
async def test_a_button_with_a_malformed_value_is_reported(bot: GatewayFixture, value: str) -> None:
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
    assert bot.dispatcher.recorded == []


async def test_where_slacks_response_url_fails_the_user_is_notified_otherwise(
    bot: GatewayFixture,
) -> None:
    thread = await start_thread(bot)
    await bot.slack.publisher.post(
        thread, Card(text="Hello", buttons=(Button(label="Status", command_name="status"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    bot.dispatcher.can_execute.clear()
    await press(bot, card, "status")
    await bot.outside.advance(1_801)  # the response URL has expired
    bot.dispatcher.can_execute.set()
    (seen,) = await ephemeral_messages(bot)
    assert (seen["text"], seen["thread_ts"]) == (DONE, thread.root_ts)


# On the Home tab


async def home(bot: GatewayFixture, count: int = 1) -> Json:
    """The last published Home tab, once it was published `count` times."""

    async def look() -> list[Json]:
        published = await bot.outside.calls("views.publish")
        return published if len(published) >= count else []

    published = await wait_until(look, f"the Home tab is published {count} times")
    return dict(published[-1]["answer"]["view"])


async def test_the_home_tab_shows_the_cards_of_its_user(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    bot.dispatcher.cards = [
        Card(title="Yours", text="One", items=(CardItem(text="a", link=thread),))
    ]
    await bot.outside.act("apps.home.open", ALICE)
    view = await home(bot)
    assert bot.dispatcher.home_users == ["UALICE"]
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
    for number, (command_name, args) in enumerate([("delete", "s1"), ("set", "model gpt-5")]):
        action, value = command_buttons(view["blocks"], command_name, args)
        await bot.outside.act(
            "blocks.actions", ALICE, view_id=view["id"], action_id=action, value=value
        )
        await finished(bot, number + 1)
        recorded = bot.dispatcher.recorded[-1]
        assert (recorded.name, recorded.args) == (command_name, args)
        assert (recorded.source, recorded.channel, recorded.thread) == (
            CommandSource.HOME_TAB,
            "",
            None,
        )
        view = await home(bot, number + 2)
        first = view["blocks"][0]
        assert first["text"]["text"] == DONE
        assert "Yours" in json.dumps(view)


async def test_an_old_button_of_the_home_tab_is_reported_on_top_of_it(bot: GatewayFixture) -> None:
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


async def test_a_home_tab_that_cannot_be_loaded_shows_an_error(bot: GatewayFixture) -> None:
    for number, error in enumerate([StoreError("the disk is full"), RuntimeError("odd")]):
        bot.dispatcher.home_error = error
        await bot.outside.act("apps.home.open", ALICE)
        page = await home(bot, number + 1)
        sentence = error.user_message if isinstance(error, BotError) else BotError.user_message
        assert [block["text"]["text"] for block in page["blocks"]] == [sentence]


async def test_the_help_has_the_question_button_wherever_it_is_shown(bot: GatewayFixture) -> None:
    thread = await start_thread(bot)
    bot.dispatcher.results["help"] = text_result("I can do much.")
    bot.command_runner.start_command(replace(message_command(thread, thread.root_ts), name="help"))
    (seen,) = await ephemeral_messages(bot)
    assert manifest.ASK_BUTTON in json.dumps(seen["blocks"])
