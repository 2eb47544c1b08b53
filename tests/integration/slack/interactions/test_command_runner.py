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
from bot.domain.cards import Card, Choose, Foot, Line, Outcome, Press, told
from bot.domain.commands import Form, Order
from bot.domain.messages import ThreadKey
from bot.errors import BotError, StoreError
from bot.slack import manifest
from bot.slack import texts as slack_texts
from bot.slack.cards.render import draw_foot
from bot.slack.interactions.command_runner import AT_ONCE_EACH, OrderCounter
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    EVE,
    GENERAL,
    SECRET,
    TEAM,
    Json,
    eventually,
    sandbox_from_outside,
)
from tests.emulator_client import ordering
from tests.fakes import QuickClock
from tests.integration.slack.gateway_fixtures import Hearing, hearing
from tests.integration.slack.interactions.command_runner import DONE

SECRETLY = Outcome(card=Card(text="For you <alone>"))
OPENLY = Outcome(card=Card(text="For <everybody>"), public=True)


@pytest.fixture(params=["socket", "http"])
async def bot(request: pytest.FixtureRequest) -> AsyncIterator[Hearing]:
    async with (
        sandbox_from_outside() as outside,
        hearing(outside, request.param, QuickClock()) as bot,
    ):
        yield bot


async def command(bot: Hearing, text: str, person: str = ALICE, channel: str = GENERAL) -> None:
    await bot.outside.do(
        "chat.command", person, channel=channel, command=manifest.COMMAND, text=text
    )


async def whispers(bot: Hearing, count: int = 1, user: str = "UALICE") -> list[Json]:
    """What only this person was shown, once there is so much of it."""

    async def look() -> list[Json]:
        seen = await bot.outside.ephemeral(user)
        return seen if len(seen) >= count else []

    return await eventually(look, f"{user} is told something")


async def replies(bot: Hearing, root: str, count: int = 1) -> list[Json]:
    """What the bot has said in a thread, once there is so much of it."""

    async def look() -> list[Json]:
        said = await bot.outside.replies(GENERAL, root)
        ours = [message for message in said if message.get("bot_id") and message["ts"] != root]
        return ours if len(ours) >= count else []

    return await eventually(look, f"the bot has said {count} things in the thread")


async def finished(bot: Hearing, count: int = 1) -> None:
    await bot.desk.until(lambda desk: len(desk.finished) >= count)


async def press(
    bot: Hearing, message: Json, verb: str, said: str | None = None, person: str = ALICE
) -> None:
    action, value = ordering(message["blocks"], verb, said)
    await bot.outside.do(
        "blocks.actions",
        person,
        channel=message.get("channel", GENERAL),
        message_ts=message["ts"],
        action_id=action,
        value=value,
    )


async def a_thread(bot: Hearing) -> ThreadKey:
    root = await bot.outside.say(ALICE, GENERAL, "a question")
    return ThreadKey(team=TEAM, channel=GENERAL, root_ts=root)


def by_message(thread: ThreadKey, ts: str, key: str = "Ev1") -> Order:
    return Order(
        key=key,
        verb="status",
        words="",
        by="UALICE",
        form=Form.MESSAGE,
        team=TEAM,
        channel=GENERAL,
        thread=thread,
        ts=ts,
    )


# By a message


async def test_what_everybody_may_know_is_told_in_the_thread(bot: Hearing) -> None:
    thread = await a_thread(bot)
    ts = await bot.outside.say(ALICE, GENERAL, "!status", thread_ts=thread.root_ts)
    bot.desk.outcomes["status"] = OPENLY
    order = by_message(thread, ts)
    bot.orders.start(order)
    await finished(bot)
    (reply,) = await replies(bot, thread.root_ts)
    assert reply["text"] == "For &lt;everybody&gt;"
    assert bot.desk.finished == [order]
    assert await bot.outside.ephemeral("UALICE") == []


async def test_what_is_for_one_person_is_told_to_them_alone_in_the_thread(bot: Hearing) -> None:
    thread = await a_thread(bot)
    ts = await bot.outside.say(ALICE, GENERAL, "!status", thread_ts=thread.root_ts)
    bot.desk.outcomes["status"] = SECRETLY
    bot.orders.start(by_message(thread, ts))
    (seen,) = await whispers(bot)
    assert (seen["text"], seen["thread_ts"]) == ("For you &lt;alone&gt;", thread.root_ts)
    assert len(await bot.outside.replies(GENERAL, thread.root_ts)) == 2


async def test_beside_a_message_that_starts_a_thread_it_is_told_in_the_channel(
    bot: Hearing,
) -> None:
    """Slack shows such a thing in a thread only once that has an answer."""
    thread = await a_thread(bot)
    bot.orders.start(by_message(thread, thread.root_ts))
    (seen,) = await whispers(bot)
    assert (seen["text"], seen["thread_ts"]) == (DONE, None)


@pytest.mark.parametrize("kind", ["429", "500", "drop_before", "drop_after"])
async def test_trouble_with_slack_is_waited_out_and_nothing_stands_there_twice(
    bot: Hearing, kind: str
) -> None:
    thread = await a_thread(bot)
    await bot.outside.control("faults", {"method": "chat.postMessage", "times": 2, "kind": kind})
    bot.desk.outcomes["status"] = OPENLY
    bot.orders.start(by_message(thread, thread.root_ts))
    await finished(bot)
    assert len(await replies(bot, thread.root_ts)) == 1


async def test_what_cannot_be_told_is_given_up_and_done_with(bot: Hearing) -> None:
    thread = await a_thread(bot)
    fault = {"method": "chat.postMessage", "times": 1, "kind": "error", "error": "is_archived"}
    await bot.outside.control("faults", fault)
    bot.desk.outcomes["status"] = OPENLY
    bot.orders.start(by_message(thread, thread.root_ts))
    await finished(bot)
    assert len(await bot.outside.replies(GENERAL, thread.root_ts)) == 1


async def test_an_order_of_before_a_restart_is_answered_where_it_was_given(bot: Hearing) -> None:
    thread = await a_thread(bot)
    bot.orders.tell_later(by_message(thread, thread.root_ts), SECRETLY)
    await finished(bot)
    at_home = replace(by_message(thread, ""), form=Form.HOME, channel="", thread=None)
    bot.orders.tell_later(at_home, SECRETLY)
    await finished(bot, 2)
    assert bot.desk.carried == []
    in_channel, in_person = await whispers(bot, 2)
    assert (in_channel["channel"], in_person["channel"][0]) == (GENERAL, "D")


async def test_an_order_that_takes_too_long_is_given_up_and_said_so(bot: Hearing) -> None:
    thread = await a_thread(bot)
    bot.desk.gate.clear()
    hasty = OrderCounter(bot.desk, bot.slack.board, QuickClock(), carry_seconds=0.01)
    hasty.start(by_message(thread, thread.root_ts))
    (seen,) = await whispers(bot)
    assert seen["text"] == texts.TOOK_TOO_LONG
    await finished(bot)
    await hasty.close()


async def test_one_person_has_so_many_orders_under_way_at_once_and_others_go_on(
    bot: Hearing,
) -> None:
    thread = await a_thread(bot)
    bot.desk.gate.clear()
    keys = [f"Ev{number}" for number in range(AT_ONCE_EACH)]
    assert all(bot.orders.start(by_message(thread, "", key)) for key in keys)
    assert not bot.orders.start(by_message(thread, "", "one too many"))
    (seen,) = await whispers(bot)
    assert seen["text"] == texts.TOO_MANY
    assert bot.orders.start(replace(by_message(thread, "", "of another"), by="UBOB"))
    await command(bot, "status")
    assert [each["text"] for each in await whispers(bot, 2)] == [texts.TOO_MANY] * 2
    assert all(order.form is not Form.COMMAND for order in bot.desk.taken), "it is not on record"
    bot.desk.gate.set()
    await finished(bot, AT_ONCE_EACH + 2)
    assert len(bot.desk.carried) == AT_ONCE_EACH + 1
    assert bot.orders.start(by_message(thread, "", "later"))
    await finished(bot, AT_ONCE_EACH + 3)


async def test_at_the_end_orders_have_a_moment_and_what_is_not_done_stays_on_record(
    bot: Hearing,
) -> None:
    thread = await a_thread(bot)
    counter = OrderCounter(bot.desk, bot.slack.board, QuickClock())
    counter.start(by_message(thread, thread.root_ts))
    await counter.close()
    assert len(bot.desk.finished) == 1


# By the slash command


async def test_a_command_that_orders_is_no_question(bot: Hearing) -> None:
    bot.desk.outcomes["sessions"] = Outcome(
        card=Card(text="Two", lines=(Line(text="One"), Line(text="Other")))
    )
    await command(bot, "list all 2")
    (card,) = await whispers(bot)
    assert card["text"] == "Two"
    assert [block["type"] for block in card["blocks"]] == ["section"] * 3
    (order,) = bot.desk.taken
    assert (order.verb, order.words, order.form) == ("sessions", "all 2", Form.COMMAND)
    assert (order.by, order.team, order.channel) == ("UALICE", TEAM, GENERAL)
    assert (order.thread, order.turn, order.ts) == (None, None, "")
    await finished(bot)
    assert bot.ears.heard == []
    assert await bot.outside.messages(GENERAL) == []


async def test_a_command_is_told_to_who_gave_it_also_where_the_bot_is_not(bot: Hearing) -> None:
    bot.desk.outcomes["usage"] = OPENLY
    await command(bot, "usage", channel=SECRET)
    (card,) = await whispers(bot)
    assert (card["text"], card["channel"]) == ("For &lt;everybody&gt;", SECRET)


async def test_a_command_that_takes_longer_is_told_later(bot: Hearing) -> None:
    bot.desk.gate.clear()
    await command(bot, "sessions")
    assert await bot.outside.ephemeral("UALICE") == []
    bot.desk.gate.set()
    (card,) = await whispers(bot)
    assert card["text"] == DONE
    await finished(bot)


async def test_a_command_that_cannot_be_recorded_is_not_carried_out(bot: Hearing) -> None:
    bot.desk.failing = 1
    await command(bot, "sessions")
    (card,) = await whispers(bot)
    assert card["text"] == StoreError.sentence
    assert bot.desk.carried == []


@pytest.mark.parametrize("text", ["stop", "rewind", "resume s3"])
async def test_a_command_that_needs_a_thread_says_where_to_write_it(
    bot: Hearing, text: str
) -> None:
    await command(bot, text)
    (card,) = await whispers(bot)
    assert card["text"] == texts.ONLY_IN_THREADS.format(verb=text.partition(" ")[0])
    assert bot.desk.taken == []
    assert await bot.outside.messages(GENERAL) == []


async def test_a_command_that_slack_brings_twice_counts_once(bot: Hearing) -> None:
    given = by_message(await a_thread(bot), "")
    order = replace(given, key="1.2.abc", form=Form.COMMAND, thread=None)
    assert await bot.orders.command(order, "") is not None
    assert await bot.orders.command(order, "") is None
    assert len(bot.desk.carried) == 1


async def test_a_late_answer_whose_address_fails_is_given_otherwise(bot: Hearing) -> None:
    given = by_message(await a_thread(bot), "")
    bot.desk.gate.clear()
    order = replace(given, key="1.2.abc", form=Form.COMMAND, thread=None)
    assert await bot.orders.command(order, "nowhere") is None
    bot.desk.gate.set()
    (seen,) = await whispers(bot)
    assert (seen["text"], seen["channel"]) == (DONE, GENERAL)


async def test_an_order_that_gets_on_record_too_late_is_done_with_and_not_carried_out(
    bot: Hearing,
) -> None:
    """Who gave it was told that it could not be taken."""
    bot.desk.book.clear()
    await command(bot, "sessions")
    (seen,) = await whispers(bot)
    assert seen["text"] == StoreError.sentence
    bot.desk.book.set()
    await bot.desk.until(lambda desk: bool(desk.finished))
    assert (len(bot.desk.taken), bot.desk.carried) == (1, [])
    assert len(await whispers(bot)) == 1


async def test_words_that_only_look_like_an_order_are_a_question(bot: Hearing) -> None:
    await command(bot, "model a database for me")
    await bot.ears.until(lambda ears: bool(ears.messages))
    assert bot.desk.taken == []


async def test_people_of_other_workspaces_reach_the_desk_which_refuses_them(bot: Hearing) -> None:
    await command(bot, "sessions", person=EVE)
    assert [order.by for order in bot.desk.taken] == ["UEVE"]


# By buttons, menus and lists


async def test_a_button_orders_what_it_says_about_the_thread_that_it_stands_in(
    bot: Hearing,
) -> None:
    thread = await a_thread(bot)
    press_ = Press(label="Reset", verb="reset", words="s12", turn=7)
    await bot.slack.board.show(thread, Card(text="Hello", presses=(press_,)))
    (card,) = await replies(bot, thread.root_ts)
    bot.desk.outcomes["reset"] = OPENLY
    await press(bot, card, "reset", person=BOB)
    await finished(bot)
    (order,) = bot.desk.taken
    assert (order.verb, order.words, order.turn) == ("reset", "s12", 7)
    assert (order.by, order.form, order.team) == ("UBOB", Form.BUTTON, TEAM)
    assert (order.channel, order.thread) == (GENERAL, thread)
    assert order.key
    assert [each["text"] for each in await replies(bot, thread.root_ts, 2)] == [
        "Hello",
        "For &lt;everybody&gt;",
    ]
    assert await bot.outside.ephemeral("UBOB") == []


async def test_what_a_button_tells_one_person_alone_stands_beside_it(bot: Hearing) -> None:
    thread = await a_thread(bot)
    await bot.slack.board.show(
        thread, Card(text="Hello", presses=(Press(label="Status", verb="status"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    await press(bot, card, "status")
    (seen,) = await whispers(bot)
    assert (seen["text"], seen["thread_ts"]) == (DONE, thread.root_ts)
    (still,) = await replies(bot, thread.root_ts)
    assert still["text"] == "Hello"


async def test_the_menu_under_a_reply_orders_about_its_turn(bot: Hearing) -> None:
    thread = await a_thread(bot)
    foot = Foot(menu=(Press(label="Status", verb="status", turn=41),))
    ts = await bot.outside.say(
        BOT, GENERAL, "an answer", thread_ts=thread.root_ts, blocks=draw_foot(foot, thread)
    )
    (reply,) = await replies(bot, thread.root_ts)
    await press(bot, reply, "status")
    await finished(bot)
    (order,) = bot.desk.taken
    assert (order.verb, order.turn, order.thread, order.ts) == ("status", 41, thread, "")
    assert reply["ts"] == ts


async def test_a_choice_in_a_list_is_an_order(bot: Hearing) -> None:
    thread = await a_thread(bot)
    choose = Choose(label="Model", verb="model", words="", options=(("Good", "gpt-5"),))
    card = Card(text="Models", lines=(Line(text="This thread", choose=choose),))
    await bot.slack.board.show(thread, card)
    (shown,) = await replies(bot, thread.root_ts)
    await press(bot, shown, "model", "gpt-5")
    await finished(bot)
    assert [(order.verb, order.words) for order in bot.desk.taken] == [("model", "gpt-5")]


async def test_a_card_that_begins_a_thread_has_buttons_about_that_thread(bot: Hearing) -> None:
    ts = await bot.slack.board.begin(
        GENERAL, Card(text="A fork", presses=(Press(label="Status", verb="status"),))
    )
    (card,) = await bot.outside.messages(GENERAL)
    await press(bot, card, "status")
    await finished(bot)
    thread = bot.desk.taken[0].thread
    assert thread == ThreadKey(team=TEAM, channel=GENERAL, root_ts=ts)


async def test_paging_turns_the_page_in_place_and_another_order_does_not(bot: Hearing) -> None:
    def page(number: int) -> Outcome:
        older = Press(label="Older", verb="sessions", words=str(number + 1))
        delete = Press(label="Delete", verb="delete", words="s1")
        return Outcome(card=Card(text=f"Page {number}", presses=(older, delete)))

    bot.desk.outcomes["sessions"] = page(1)
    await command(bot, "sessions")
    (card,) = await whispers(bot)
    bot.desk.outcomes["sessions"] = page(2)
    await press(bot, card, "sessions")
    await finished(bot, 2)
    (turned,) = await whispers(bot)
    assert (turned["text"], turned["ts"]) == ("Page 2", card["ts"])
    await press(bot, turned, "delete")
    assert [seen["text"] for seen in await whispers(bot, 2)] == ["Page 2", DONE]


async def test_a_double_click_counts_once(bot: Hearing) -> None:
    """Each click has an id of its own at Slack: what is being done already is not done again."""
    thread = await a_thread(bot)
    await bot.slack.board.show(
        thread, Card(text="Hello", presses=(Press(label="Reset", verb="reset"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    bot.desk.gate.clear()
    await asyncio.gather(*(press(bot, card, "reset") for _ in range(3)))
    bot.desk.gate.set()
    await finished(bot)
    assert len(bot.desk.carried) == 1
    await press(bot, card, "reset")
    await finished(bot, 2)


async def test_a_press_that_cannot_be_recorded_is_not_carried_out_and_may_be_repeated(
    bot: Hearing,
) -> None:
    thread = await a_thread(bot)
    await bot.slack.board.show(
        thread, Card(text="Hello", presses=(Press(label="Reset", verb="reset"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    bot.desk.failing = 1
    await press(bot, card, "reset")
    (seen,) = await whispers(bot)
    assert seen["text"] == StoreError.sentence
    assert bot.desk.carried == []
    await press(bot, card, "reset")
    await finished(bot)


@pytest.mark.parametrize("value", ["", "reset", '{"v":7}', '{"v":"reset","t":"soon"}'])
async def test_a_button_whose_value_makes_no_sense_says_so(bot: Hearing, value: str) -> None:
    button = {
        "type": "button",
        "action_id": "order:reset:0",
        "text": {"type": "plain_text", "text": "Go"},
        "value": value,
    }
    block = {"type": "actions", "elements": [button]}
    ts = await bot.outside.say(BOT, GENERAL, "press", blocks=[block])
    await bot.outside.do(
        "blocks.actions", ALICE, channel=GENERAL, message_ts=ts, action_id="order:reset:0"
    )
    (seen,) = await whispers(bot)
    assert seen["text"] == slack_texts.OLD_BUTTON
    assert bot.desk.taken == []


async def test_where_slacks_answer_address_fails_the_person_is_told_otherwise(
    bot: Hearing,
) -> None:
    thread = await a_thread(bot)
    await bot.slack.board.show(
        thread, Card(text="Hello", presses=(Press(label="Status", verb="status"),))
    )
    (card,) = await replies(bot, thread.root_ts)
    bot.desk.gate.clear()
    await press(bot, card, "status")
    await bot.outside.advance(1_801)  # the address has had its time
    bot.desk.gate.set()
    (seen,) = await whispers(bot)
    assert (seen["text"], seen["thread_ts"]) == (DONE, thread.root_ts)


# On the Home tab


async def home(bot: Hearing, count: int = 1) -> Json:
    """The Home tab as it was published last, once it was so many times."""

    async def look() -> list[Json]:
        published = await bot.outside.calls("views.publish")
        return published if len(published) >= count else []

    published = await eventually(look, f"the Home tab is published {count} times")
    return dict(published[-1]["answer"]["view"])


async def test_the_home_tab_shows_the_cards_of_who_opens_it(bot: Hearing) -> None:
    thread = await a_thread(bot)
    bot.desk.cards = [Card(title="Yours", text="One", lines=(Line(text="a", link=thread),))]
    await bot.outside.do("apps.home.open", ALICE)
    view = await home(bot)
    assert bot.desk.visitors == ["UALICE"]
    assert [block["type"] for block in view["blocks"]] == ["header", "section", "section"]
    assert f"p{thread.root_ts.replace('.', '')}|a>" in json.dumps(view)


async def test_an_order_on_the_home_tab_is_told_on_top_of_it(bot: Hearing) -> None:
    choose = Choose(label="Model", verb="set", words="model", options=(("Good", "gpt-5"),))
    bot.desk.cards = [
        Card(
            title="Yours",
            text="One",
            lines=(Line(text="Model", choose=choose),),
            presses=(Press(label="Delete", verb="delete", words="s1"),),
        )
    ]
    await bot.outside.do("apps.home.open", ALICE)
    view = await home(bot)
    for number, (verb, said) in enumerate([("delete", "s1"), ("set", "model gpt-5")]):
        action, value = ordering(view["blocks"], verb, said)
        await bot.outside.do(
            "blocks.actions", ALICE, view_id=view["id"], action_id=action, value=value
        )
        await finished(bot, number + 1)
        order = bot.desk.taken[-1]
        assert (order.verb, order.words) == (verb, said)
        assert (order.form, order.channel, order.thread) == (Form.HOME, "", None)
        view = await home(bot, number + 2)
        first = view["blocks"][0]
        assert first["text"]["text"] == DONE
        assert "Yours" in json.dumps(view)


async def test_an_old_button_of_the_home_tab_says_so_on_top_of_it(bot: Hearing) -> None:
    button = {
        "type": "button",
        "action_id": "order:reset:0",
        "text": {"type": "plain_text", "text": "Go"},
        "value": "from last year",
    }
    page = {"type": "home", "blocks": [{"type": "actions", "elements": [button]}]}
    view = (await bot.outside.do("views.publish", BOT, user_id="UALICE", view=page))["view"]
    await bot.outside.do("blocks.actions", ALICE, view_id=view["id"], action_id="order:reset:0")
    assert (await home(bot, 2))["blocks"][0]["text"]["text"] == slack_texts.OLD_BUTTON


async def test_a_home_tab_that_cannot_be_made_says_so(bot: Hearing) -> None:
    for number, error in enumerate([StoreError("the disk is full"), RuntimeError("odd")]):
        bot.desk.homeless = error
        await bot.outside.do("apps.home.open", ALICE)
        page = await home(bot, number + 1)
        sentence = error.sentence if isinstance(error, BotError) else BotError.sentence
        assert [block["text"]["text"] for block in page["blocks"]] == [sentence]


async def test_the_help_has_the_button_that_asks_wherever_it_is_told(bot: Hearing) -> None:
    thread = await a_thread(bot)
    bot.desk.outcomes["help"] = told("I can do much.")
    bot.orders.start(replace(by_message(thread, thread.root_ts), verb="help"))
    (seen,) = await whispers(bot)
    assert manifest.ASK_BUTTON in json.dumps(seen["blocks"])
