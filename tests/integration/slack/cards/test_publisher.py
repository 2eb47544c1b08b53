"""What the bot shows and gives people, as they find it in a real sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.domain.cards import Card, Line, Press
from bot.domain.messages import ThreadKey
from bot.errors import SlackError
from bot.slack.api.calls import Calls
from bot.slack.api.client import Client, make_client
from bot.slack.cards.publisher import SlackBoard
from bot.slack.gateway import adapters
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    GENERAL,
    SECRET,
    TEAM,
    Json,
    Outside,
    sandbox_from_outside,
)
from tests.fakes import QuickClock
from tests.integration.slack.receiver import US

CARD = Card(
    text="Look: <!channel> https://example.com @here", presses=(Press(label="A", verb="a"),)
)


@dataclass
class Hall:
    outside: Outside
    board: SlackBoard
    http: aiohttp.ClientSession
    thread: ThreadKey

    async def said(self) -> list[Json]:
        return (await self.outside.replies(GENERAL, self.thread.root_ts))[1:]


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    async with sandbox_from_outside() as outside, aiohttp.ClientSession() as session:
        web = make_client(BOT, f"{outside.url}/api/", session)
        client = Client(web, Calls(QuickClock()))
        root = await outside.say(ALICE, GENERAL, "a question")
        thread = ThreadKey(team=TEAM, channel=GENERAL, root_ts=root)
        yield Hall(outside, adapters(client, US, QuickClock()).board, session, thread)


async def test_a_card_in_a_thread_pings_nobody_and_unfurls_nothing(hall: Hall) -> None:
    ts = await hall.board.show(hall.thread, CARD)
    (said,) = await hall.said()
    assert said["ts"] == ts
    assert said["text"] == "Look: &lt;!channel&gt; https://example.com @here"
    assert said["blocks"][0]["text"]["verbatim"] is True
    (call,) = await hall.outside.calls("chat.postMessage")
    asked = {name: str(value).lower() for name, value in call["arguments"].items()}
    assert asked["parse"] == "none"
    for name in ("unfurl_links", "unfurl_media", "link_names"):
        assert asked[name] in ("false", "0")


async def test_a_card_can_be_changed_and_loses_its_buttons_when_they_are_taken(hall: Hall) -> None:
    ts = await hall.board.show(hall.thread, CARD)
    await hall.board.redraw(GENERAL, ts, Card(text="Over."))
    (said,) = await hall.said()
    assert (said["text"], len(said["blocks"])) == ("Over.", 1)


async def test_a_card_may_begin_a_thread(hall: Hall) -> None:
    ts = await hall.board.begin(GENERAL, CARD)
    newest = (await hall.outside.messages(GENERAL))[0]
    assert newest["ts"] == ts
    assert "thread_ts" not in newest


async def test_one_person_alone_is_told(hall: Hall) -> None:
    await hall.board.show(hall.thread, Card(text="An answer"))
    await hall.board.tell("UBOB", GENERAL, hall.thread.root_ts, Card(text="Psst"))
    await hall.board.tell("UBOB", GENERAL, "", Card(text="Here"))
    seen = await hall.outside.ephemeral("UBOB")
    assert [(one["text"], one["thread_ts"]) for one in seen] == [
        ("Psst", hall.thread.root_ts),
        ("Here", None),
    ]


async def test_telling_never_is_an_error_and_showing_is(hall: Hall) -> None:
    await hall.board.tell("UBOB", SECRET, "", Card(text="Psst"))
    nowhere = ThreadKey(team=TEAM, channel=SECRET, root_ts=hall.thread.root_ts)
    with pytest.raises(SlackError):
        await hall.board.show(nowhere, CARD)


async def test_a_file_reaches_one_person_alone_as_it_is(hall: Hall) -> None:
    content = "# Transcript\n\n<!channel> ```é\ud800```\n"
    await hall.board.upload("UBOB", "session-s1.md", content, "Here <it> is")
    direct = await hall.board.direct("UBOB")
    (message,) = await hall.outside.messages(direct, BOB)
    assert message["text"] == "Here &lt;it&gt; is"
    (file,) = message["files"]
    assert (file["name"], file["title"]) == ("session-s1.md", "session-s1.md")
    headers = {"Authorization": f"Bearer {BOB}"}
    async with hall.http.get(file["url_private"], headers=headers) as answer:
        assert await answer.text() == content.replace("\ud800", "?")


async def test_an_empty_file_is_given_all_the_same(hall: Hall) -> None:
    await hall.board.upload("UBOB", "empty.md", "", "Empty")
    direct = await hall.board.direct("UBOB")
    assert len(await hall.outside.messages(direct, BOB)) == 1


async def test_an_upload_that_slack_refuses_is_an_error(hall: Hall) -> None:
    fault = {"method": "files.completeUploadExternal", "times": 1, "kind": "500"}
    await hall.outside.control("faults", fault)
    with pytest.raises(SlackError):
        await hall.board.upload("UBOB", "a.md", "content", "")


async def test_a_thread_gets_its_title_where_slack_has_sessions(hall: Hall) -> None:
    await hall.board.entitle(hall.thread, "Ship\nit " + "x" * 400)
    (call,) = await hall.outside.calls("agents.sessions.rename")
    assert call["answer"]["ok"] is True
    assert call["arguments"]["title"].startswith("Ship it xxx")
    await hall.outside.control("app", {"agent_sessions": False})
    await hall.board.entitle(hall.thread, "Ship it")


async def test_links_are_asked_for_once_and_done_without_where_there_are_none(hall: Hall) -> None:
    unseen = ThreadKey(team=TEAM, channel=SECRET, root_ts=hall.thread.root_ts)
    card = Card(text="Yours", lines=(Line(text="a", link=hall.thread), Line(text="b", link=unseen)))
    for _ in range(2):
        await hall.board.show(hall.thread, card)
    asked = await hall.outside.calls("chat.getPermalink")
    assert [call["arguments"]["channel"] for call in asked].count(GENERAL) == 1
    first, second = (await hall.said())[0]["blocks"][1:]
    assert first["text"]["text"].endswith("|a>")
    assert second["text"]["text"] == "b"
