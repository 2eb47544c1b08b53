"""What was said in a thread comes with names and labels, the newest of it, and never as markup."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.domain.messages import ThreadKey
from bot.domain.users import Kind
from bot.errors import SlackError
from bot.ports import Earlier
from bot.slack.api.calls import Calls
from bot.slack.api.client import Client, make_client
from bot.slack.gateway import adapters
from bot.slack.thread_history import SlackListening, said_text
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    EVE,
    GENERAL,
    TEAM,
    Outside,
    sandbox_from_outside,
)
from tests.fakes import QuickClock
from tests.integration.slack.receiver import US

END = "9999999999.000000"


@dataclass
class Room:
    outside: Outside
    listening: SlackListening
    root: str = ""

    async def say(self, token: str, text: str, **more: object) -> str:
        return await self.outside.say(token, GENERAL, text, thread_ts=self.root, **more)

    async def earlier(self, after: str = "", before: str = END, most: int = 50) -> Earlier:
        thread = ThreadKey(team=TEAM, channel=GENERAL, root_ts=self.root)
        return await self.listening.earlier(thread, after=after, before=before, most=most)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    async with sandbox_from_outside() as outside, aiohttp.ClientSession() as session:
        web = make_client(BOT, f"{outside.url}/api/", session)
        client = Client(web, Calls(QuickClock()))
        room = Room(outside, adapters(client, US, QuickClock()).listening)
        room.root = await outside.say(ALICE, GENERAL, "shall we <https://example.com|ship> & go?")
        yield room


async def test_everybody_comes_with_name_and_label_and_readable_words(room: Room) -> None:
    await room.say(BOB, "@carol says a < b, @threadpilot")
    await room.say(EVE, "hello from outside")
    await room.say(BOT, "I am the bot")
    earlier = await room.earlier()
    assert earlier.root is not None
    assert (earlier.root.name, earlier.root.kind) == ("alice", Kind.MEMBER)
    assert earlier.root.text == "shall we ship (https://example.com) & go?"
    told = [(said.user, said.name, said.kind, said.ours) for said in earlier.newest]
    assert told == [
        ("UBOB", "bob", Kind.MEMBER, False),
        ("UEVE", "eve", Kind.EXTERNAL, False),
        ("U0PILOT", "threadpilot", Kind.BOT, True),
    ]
    assert earlier.newest[0].text == "@UCAROL says a < b, @threadpilot"
    assert earlier.left_out == 0


async def test_the_newest_are_kept_and_the_others_counted(room: Room) -> None:
    for number in range(6):
        await room.say(BOB, f"message {number}")
    earlier = await room.earlier(most=2)
    assert [said.text for said in earlier.newest] == ["message 4", "message 5"]
    assert earlier.left_out == 4
    assert earlier.root is not None


async def test_a_stretch_is_open_at_both_ends_and_the_root_may_lie_before_it(room: Room) -> None:
    marks = [await room.say(BOB, f"message {number}") for number in range(5)]
    earlier = await room.earlier(after=marks[1], before=marks[4])
    assert [said.text for said in earlier.newest] == ["message 2", "message 3"]
    assert earlier.root is None
    before_all = await room.earlier(before=room.root)
    assert (before_all.root, list(before_all.newest)) == (None, [])


async def test_a_long_thread_is_read_page_by_page(room: Room) -> None:
    for number in range(230):
        await room.say(BOB, f"message {number}")
    earlier = await room.earlier(most=3)
    assert [said.text for said in earlier.newest][-1] == "message 229"
    assert earlier.left_out == 227
    assert len(await room.outside.calls("conversations.replies")) == 2


async def test_the_whole_of_a_long_reply_is_read_also_where_its_plain_text_is_cut(
    room: Room,
) -> None:
    blocks = [
        {"type": "markdown", "text": "the **whole** answer"},
        {"type": "context", "elements": [{"type": "plain_text", "text": "small print"}]},
    ]
    await room.say(BOT, "the…", blocks=blocks)
    (said,) = (await room.earlier()).newest
    assert said.text == "the **whole** answer"
    assert said_text({"text": "plain", "blocks": [{"type": "section"}]}) == "plain"


async def test_who_cannot_be_looked_up_goes_by_their_id(room: Room) -> None:
    await room.say(EVE, "hello")
    fault = {"method": "users.info", "times": 9, "kind": "500"}
    await room.outside.control("faults", fault)
    earlier = await room.earlier()
    assert earlier.root is not None
    assert [earlier.root.name, earlier.newest[0].name] == ["UALICE", "UEVE"]
    assert earlier.newest[0].kind is Kind.EXTERNAL


async def test_what_is_no_message_of_anybody_is_left_out(room: Room) -> None:
    await room.say(BOB, "a reply")
    await room.outside.do("chat.delete", ALICE, channel=GENERAL, ts=room.root)
    earlier = await room.earlier()
    assert earlier.root is None
    assert [said.text for said in earlier.newest] == ["a reply"]


async def test_another_bots_messages_go_by_its_name(room: Room) -> None:
    """The sandbox has one bot; this is a message as Slack shows another one's."""
    message = {
        "ts": "1790000000.000200",
        "subtype": "bot_message",
        "bot_id": "B0OTHER",
        "username": "deployer",
        "text": "deployed &lt;v2&gt;",
    }
    said = room.listening._said(message)  # noqa: SLF001
    assert said is not None
    assert (said.user, said.name, said.kind) == ("B0OTHER", "deployer", Kind.BOT)
    assert (said.text, said.ours) == ("deployed <v2>", False)


async def test_a_thread_that_cannot_be_read_is_an_error_of_slack(room: Room) -> None:
    fault = {"method": "conversations.replies", "times": 1, "kind": "error", "error": "not_in_it"}
    await room.outside.control("faults", fault)
    with pytest.raises(SlackError):
        await room.earlier()
