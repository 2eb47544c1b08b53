"""Cards and files from the bot, as users find them in a real emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.domain.cards import Button, Card, CardItem
from bot.domain.messages import ThreadKey
from bot.errors import SlackError
from bot.slack.api.calls import ApiCaller
from bot.slack.api.client import SlackClient, make_client
from bot.slack.cards.publisher import SlackCardPublisher
from bot.slack.gateway import build_adapters
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    GENERAL,
    SECRET,
    TEAM,
    Json,
    Outside,
    emulator_over_http,
)
from tests.fakes import QuickClock
from tests.integration.slack.receiver import IDENTITY

CARD = Card(
    text="Look: <!channel> https://example.com @here",
    buttons=(Button(label="A", command_name="a"),),
)


@dataclass
class PublisherFixture:
    outside: Outside
    publisher: SlackCardPublisher
    http: aiohttp.ClientSession
    thread: ThreadKey

    async def messages(self) -> list[Json]:
        return (await self.outside.replies(GENERAL, self.thread.root_ts))[1:]


@pytest.fixture
async def publishing() -> AsyncIterator[PublisherFixture]:
    async with emulator_over_http() as outside, aiohttp.ClientSession() as session:
        web = make_client(BOT, f"{outside.url}/api/", session)
        client = SlackClient(web, ApiCaller(QuickClock()))
        root = await outside.say(ALICE, GENERAL, "a question")
        thread = ThreadKey(team=TEAM, channel=GENERAL, root_ts=root)
        yield PublisherFixture(
            outside, build_adapters(client, IDENTITY, QuickClock()).publisher, session, thread
        )


async def test_a_card_in_a_thread_pings_no_user_and_unfurls_nothing(
    publishing: PublisherFixture,
) -> None:
    ts = await publishing.publisher.post(publishing.thread, CARD)
    (message,) = await publishing.messages()
    assert message["ts"] == ts
    assert message["text"] == "Look: &lt;!channel&gt; https://example.com @here"
    assert message["blocks"][0]["text"]["verbatim"] is True
    (call,) = await publishing.outside.calls("chat.postMessage")
    arguments = {name: str(value).lower() for name, value in call["arguments"].items()}
    assert arguments["parse"] == "none"
    for name in ("unfurl_links", "unfurl_media", "link_names"):
        assert arguments[name] in ("false", "0")


async def test_a_card_can_be_changed_and_loses_its_buttons_when_they_are_taken(
    publishing: PublisherFixture,
) -> None:
    ts = await publishing.publisher.post(publishing.thread, CARD)
    await publishing.publisher.update(GENERAL, ts, Card(text="Over."))
    (message,) = await publishing.messages()
    assert (message["text"], len(message["blocks"])) == ("Over.", 1)


async def test_a_card_may_begin_a_thread(publishing: PublisherFixture) -> None:
    ts = await publishing.publisher.post_to_channel(GENERAL, CARD)
    newest = (await publishing.outside.messages(GENERAL))[0]
    assert newest["ts"] == ts
    assert "thread_ts" not in newest


async def test_one_person_alone_is_notified(publishing: PublisherFixture) -> None:
    await publishing.publisher.post(publishing.thread, Card(text="An answer"))
    await publishing.publisher.post_ephemeral(
        "UBOB", GENERAL, publishing.thread.root_ts, Card(text="Psst")
    )
    await publishing.publisher.post_ephemeral("UBOB", GENERAL, "", Card(text="Here"))
    seen = await publishing.outside.ephemeral("UBOB")
    assert [(one["text"], one["thread_ts"]) for one in seen] == [
        ("Psst", publishing.thread.root_ts),
        ("Here", None),
    ]


async def test_telling_never_is_an_error_and_showing_is(publishing: PublisherFixture) -> None:
    await publishing.publisher.post_ephemeral("UBOB", SECRET, "", Card(text="Psst"))
    nowhere = ThreadKey(team=TEAM, channel=SECRET, root_ts=publishing.thread.root_ts)
    with pytest.raises(SlackError):
        await publishing.publisher.post(nowhere, CARD)


async def test_a_file_reaches_one_person_alone_as_it_is(publishing: PublisherFixture) -> None:
    content = "# Transcript\n\n<!channel> ```é\ud800```\n"
    await publishing.publisher.upload("UBOB", "session-s1.md", content, "Here <it> is")
    direct = await publishing.publisher.open_dm("UBOB")
    (message,) = await publishing.outside.messages(direct, BOB)
    assert message["text"] == "Here &lt;it&gt; is"
    (file,) = message["files"]
    assert (file["name"], file["title"]) == ("session-s1.md", "session-s1.md")
    headers = {"Authorization": f"Bearer {BOB}"}
    async with publishing.http.get(file["url_private"], headers=headers) as answer:
        assert await answer.text() == content.replace("\ud800", "?")


async def test_an_empty_file_is_given_all_the_same(publishing: PublisherFixture) -> None:
    await publishing.publisher.upload("UBOB", "empty.md", "", "Empty")
    direct = await publishing.publisher.open_dm("UBOB")
    assert len(await publishing.outside.messages(direct, BOB)) == 1


async def test_an_upload_that_slack_refuses_is_an_error(publishing: PublisherFixture) -> None:
    fault = {"method": "files.completeUploadExternal", "times": 1, "kind": "500"}
    await publishing.outside.control("faults", fault)
    with pytest.raises(SlackError):
        await publishing.publisher.upload("UBOB", "a.md", "content", "")


async def test_a_thread_gets_its_title_where_slack_has_sessions(
    publishing: PublisherFixture,
) -> None:
    await publishing.publisher.set_title(publishing.thread, "Ship\nit " + "x" * 400)
    (call,) = await publishing.outside.calls("agents.sessions.rename")
    assert call["answer"]["ok"] is True
    assert call["arguments"]["title"].startswith("Ship it xxx")
    await publishing.outside.control("app", {"agent_sessions": False})
    await publishing.publisher.set_title(publishing.thread, "Ship it")


async def test_links_are_asked_for_once_and_done_without_where_there_are_none(
    publishing: PublisherFixture,
) -> None:
    unseen = ThreadKey(team=TEAM, channel=SECRET, root_ts=publishing.thread.root_ts)
    card = Card(
        text="Yours",
        items=(CardItem(text="a", link=publishing.thread), CardItem(text="b", link=unseen)),
    )
    for _ in range(2):
        await publishing.publisher.post(publishing.thread, card)
    calls = await publishing.outside.calls("chat.getPermalink")
    assert [call["arguments"]["channel"] for call in calls].count(GENERAL) == 1
    first, second = (await publishing.messages())[0]["blocks"][1:]
    assert first["text"]["text"].endswith("|a>")
    assert second["text"]["text"] == "b"
