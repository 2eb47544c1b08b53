"""Thread history has the newest messages with names and labels, and never markup."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.domain.messages import ThreadKey
from bot.domain.users import UserKind
from bot.errors import SlackError
from bot.ports import ThreadExcerpt
from bot.slack.api.calls import ApiCaller
from bot.slack.api.client import SlackClient, make_client
from bot.slack.gateway import build_adapters
from bot.slack.thread_history import SlackThreadHistory, message_text
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    EVE,
    GENERAL,
    TEAM,
    Outside,
    emulator_over_http,
)
from tests.fakes import QuickClock
from tests.integration.slack.receiver import IDENTITY

END = "9999999999.000000"


@dataclass
class ThreadFixture:
    outside: Outside
    thread_history: SlackThreadHistory
    root: str = ""

    async def say(self, token: str, text: str, **more: object) -> str:
        return await self.outside.say(token, GENERAL, text, thread_ts=self.root, **more)

    async def excerpt(self, after: str = "", before: str = END, most: int = 50) -> ThreadExcerpt:
        thread = ThreadKey(team=TEAM, channel=GENERAL, root_ts=self.root)
        return await self.thread_history.fetch_excerpt(
            thread, after=after, before=before, max_messages=most
        )


@pytest.fixture
async def thread() -> AsyncIterator[ThreadFixture]:
    async with emulator_over_http() as outside, aiohttp.ClientSession() as session:
        web = make_client(BOT, f"{outside.url}/api/", session)
        client = SlackClient(web, ApiCaller(QuickClock()))
        room = ThreadFixture(outside, build_adapters(client, IDENTITY, QuickClock()).thread_history)
        room.root = await outside.say(ALICE, GENERAL, "shall we <https://example.com|ship> & go?")
        yield room


async def test_everybody_comes_with_name_and_label_and_readable_words(
    thread: ThreadFixture,
) -> None:
    await thread.say(BOB, "@carol says a < b, @threadpilot")
    await thread.say(EVE, "hello from outside")
    await thread.say(BOT, "I am the bot")
    earlier = await thread.excerpt()
    assert earlier.root is not None
    assert (earlier.root.name, earlier.root.kind) == ("alice", UserKind.MEMBER)
    assert earlier.root.text == "shall we ship (https://example.com) & go?"
    messages = [
        (message.user, message.name, message.kind, message.is_own) for message in earlier.newest
    ]
    assert messages == [
        ("UBOB", "bob", UserKind.MEMBER, False),
        ("UEVE", "eve", UserKind.EXTERNAL, False),
        ("U0PILOT", "threadpilot", UserKind.BOT, True),
    ]
    assert earlier.newest[0].text == "@UCAROL says a < b, @threadpilot"
    assert earlier.omitted_count == 0


async def test_the_newest_are_kept_and_the_others_counted(thread: ThreadFixture) -> None:
    for number in range(6):
        await thread.say(BOB, f"message {number}")
    earlier = await thread.excerpt(most=2)
    assert [message.text for message in earlier.newest] == ["message 4", "message 5"]
    assert earlier.omitted_count == 4
    assert earlier.root is not None


async def test_a_stretch_is_open_at_both_ends_and_the_root_may_lie_before_it(
    thread: ThreadFixture,
) -> None:
    marks = [await thread.say(BOB, f"message {number}") for number in range(5)]
    earlier = await thread.excerpt(after=marks[1], before=marks[4])
    assert [message.text for message in earlier.newest] == ["message 2", "message 3"]
    assert earlier.root is None
    before_all = await thread.excerpt(before=thread.root)
    assert (before_all.root, list(before_all.newest)) == (None, [])


async def test_a_long_thread_is_read_page_by_page(thread: ThreadFixture) -> None:
    for number in range(230):
        await thread.say(BOB, f"message {number}")
    earlier = await thread.excerpt(most=3)
    assert [message.text for message in earlier.newest][-1] == "message 229"
    assert earlier.omitted_count == 227
    assert len(await thread.outside.calls("conversations.replies")) == 2


async def test_the_whole_of_a_long_reply_is_read_also_where_its_plain_text_is_cut(
    thread: ThreadFixture,
) -> None:
    blocks = [
        {"type": "markdown", "text": "the **whole** answer"},
        {"type": "context", "elements": [{"type": "plain_text", "text": "small print"}]},
    ]
    await thread.say(BOT, "the…", blocks=blocks)
    (message,) = (await thread.excerpt()).newest
    assert message.text == "the **whole** answer"
    assert message_text({"text": "plain", "blocks": [{"type": "section"}]}) == "plain"


async def test_a_user_who_cannot_be_looked_up_is_shown_by_id(thread: ThreadFixture) -> None:
    await thread.say(EVE, "hello")
    fault = {"method": "users.info", "times": 9, "kind": "500"}
    await thread.outside.control("faults", fault)
    earlier = await thread.excerpt()
    assert earlier.root is not None
    assert [earlier.root.name, earlier.newest[0].name] == ["UALICE", "UEVE"]
    assert earlier.newest[0].kind is UserKind.EXTERNAL


async def test_a_message_without_an_author_is_left_out(thread: ThreadFixture) -> None:
    await thread.say(BOB, "a reply")
    await thread.outside.act("chat.delete", ALICE, channel=GENERAL, ts=thread.root)
    earlier = await thread.excerpt()
    assert earlier.root is None
    assert [message.text for message in earlier.newest] == ["a reply"]


async def test_another_bots_messages_go_by_its_name(thread: ThreadFixture) -> None:
    """The emulator has one bot; this is a message of another one as Slack shows it."""
    message = {
        "ts": "1790000000.000200",
        "subtype": "bot_message",
        "bot_id": "B0OTHER",
        "username": "deployer",
        "text": "deployed &lt;v2&gt;",
    }
    parsed = thread.thread_history._parse_message(message)  # noqa: SLF001
    assert parsed is not None
    assert (parsed.user, parsed.name, parsed.kind) == ("B0OTHER", "deployer", UserKind.BOT)
    assert (parsed.text, parsed.is_own) == ("deployed <v2>", False)


async def test_a_thread_that_cannot_be_read_is_an_error_of_slack(thread: ThreadFixture) -> None:
    fault = {"method": "conversations.replies", "times": 1, "kind": "error", "error": "not_in_it"}
    await thread.outside.control("faults", fault)
    with pytest.raises(SlackError):
        await thread.excerpt()
