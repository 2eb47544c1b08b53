"""A question by command or modal that meets trouble: somebody is told, and it is asked once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import SystemClock
from bot.errors import StoreError
from bot.model import Accepted, Message
from bot.slack import words
from bot.slack.adapters import adapters
from bot.slack.asking import Asking, Question
from bot.slack.background import Background
from bot.slack.gateway import who_are_we
from bot.slack.interactions import Person, Place
from bot.store import open_store
from tests.conformance.outside import (
    ALICE,
    DEV,
    GENERAL,
    SECRET,
    TEAM,
    Json,
    Outside,
    sandbox_from_outside,
)
from tests.slack.ears import WithoutLimits
from tests.slack.hearing import web_client

Record = Callable[[Message], Awaitable[Accepted]]


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with sandbox_from_outside() as outside:
        yield outside


class Late:
    """The asker, who hears what comes out after Slack was answered."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._something = asyncio.Event()

    async def tell(self, sentence: str) -> None:
        self.heard.append(sentence)
        self._something.set()

    async def until_told(self) -> list[str]:
        async with asyncio.timeout(10):
            await self._something.wait()
        return self.heard


@asynccontextmanager
async def asking(
    outside: Outside, record: Record, seconds: float = 60.0
) -> AsyncIterator[tuple[Asking, Background]]:
    """Asking on the sandbox; each question is cut off after `seconds`."""
    background = Background(seconds=seconds)
    async with aiohttp.ClientSession() as session:
        client = web_client(outside, session)
        yield await asking_by(client, record, background), background
        await background.close()


async def asking_by(client: AsyncWebClient, record: Record, background: Background) -> Asking:
    us = await who_are_we(client)
    gate = WithoutLimits(adapters(client, us, SystemClock()).people)
    return Asking(client, us, record, background, gate)


def question(channel: str = GENERAL, key: str = "V01") -> Question:
    return Question(
        key=key,
        person=Person(user="UALICE", team=TEAM),
        place=Place(channel=channel),
        text="what is Python?",
    )


async def slow_posts(outside: Outside, seconds: float) -> None:
    fault = {"method": "chat.postMessage", "times": 1, "kind": "slow", "seconds": seconds}
    await outside.control("faults", fault)


async def unwanted(message: Message) -> Accepted:
    raise AssertionError(f"{message.ts} is not to be recorded")


async def test_a_question_that_is_cut_off_at_once_gets_its_sentence_in_the_answer(
    outside: Outside,
) -> None:
    await slow_posts(outside, 3)
    late = Late()
    async with asking(outside, unwanted, seconds=0.2) as (asked, _):
        assert await asked.ask(question(), late.tell) == words.WENT_WRONG
    assert late.heard == []


async def test_a_question_that_is_cut_off_later_gets_its_sentence_later(outside: Outside) -> None:
    await slow_posts(outside, 3)
    late = Late()
    async with asking(outside, unwanted, seconds=1.7) as (asked, _):
        assert await asked.ask(question(), late.tell) == ""
        assert await late.until_told() == [words.WENT_WRONG]


async def test_a_bot_that_is_ended_tells_those_whose_question_is_still_on_its_way(
    outside: Outside,
) -> None:
    await slow_posts(outside, 3)
    late = Late()
    async with asking(outside, unwanted) as (asked, background):
        assert await asked.ask(question(), late.tell) == ""
        await background.close(grace=0.1)
        assert late.heard == [words.WENT_WRONG]


async def test_an_asker_who_cannot_be_told_keeps_nobody_else_from_asking(outside: Outside) -> None:
    await slow_posts(outside, 3)
    recorded: list[Message] = []

    async def record(message: Message) -> Accepted:
        recorded.append(message)
        raise StoreError("the disk is full")

    async def deaf(sentence: str) -> None:
        raise OSError(sentence)

    async with asking(outside, record) as (asked, background):
        assert await asked.ask(question(), deaf) == ""
        await background.close(grace=0.1)
        assert await asked.ask(question(key="V02"), deaf) == ""
    assert {message.event_id for message in recorded} == {"command-V02"}


async def test_when_nothing_can_be_recorded_nor_posted_the_asker_is_told(outside: Outside) -> None:
    """The question stands in the channel, and its thread cannot say what became of it."""

    async def record(message: Message) -> Accepted:
        fault = {"method": "chat.postMessage", "times": 1, "kind": "500"}
        if not tried:
            await outside.control("faults", fault)
        tried.append(message)
        raise StoreError("the disk is full")

    tried: list[Message] = []
    late = Late()
    async with asking(outside, record) as (asked, _):
        assert await asked.ask(question(), late.tell) == words.NOT_TAKEN
    assert len(tried) == 2
    assert len({message.event_id for message in tried}) == 1


async def test_a_modal_sent_again_after_a_restart_is_asked_once(
    outside: Outside, tmp_path: Path
) -> None:
    """The bot was ended after it had recorded the question and before it told Slack so."""
    async with open_store(tmp_path, clock=SystemClock(), per_user=2) as store:
        for _ in range(2):  # what is remembered in the process is gone
            async with asking(outside, store.accept) as (asked, _):
                assert await asked.ask(question(DEV), Late().tell) == ""
        turn = await store.claim()
        assert turn is not None
        assert await store.claim() is None
    assert [one["ts"] for one in await outside.messages(DEV)] == [turn.message.ts]


async def test_a_question_recorded_at_the_second_try_stays(
    outside: Outside, tmp_path: Path
) -> None:
    """The first try went wrong only after the message was on disk."""
    async with open_store(tmp_path, clock=SystemClock(), per_user=2) as store:

        async def record(message: Message) -> Accepted:
            tried.append(message)
            accepted = await store.accept(message)
            if len(tried) == 1:
                raise StoreError("too late")
            return accepted

        tried: list[Message] = []
        async with asking(outside, record) as (asked, _):
            assert await asked.ask(question(), Late().tell) == ""
        turn = await store.claim()
    posted: list[Json] = await outside.messages(GENERAL)
    assert turn is not None
    assert [one["ts"] for one in posted] == [turn.message.ts]
    assert len(tried) == 2


async def test_a_refused_question_may_be_sent_again(outside: Outside) -> None:
    async with asking(outside, unwanted) as (asked, _):
        not_here = words.NOT_HERE.format(name="threadpilot")
        for _ in range(2):
            assert await asked.ask(question(SECRET), Late().tell) == not_here


async def test_more_questions_than_fit_are_told_so(outside: Outside) -> None:
    async with aiohttp.ClientSession() as session:
        client = web_client(outside, session)
        full = Background(limit=0)
        asked = await asking_by(client, unwanted, full)
        assert await asked.ask(question(), Late().tell) == words.BUSY
    assert await outside.messages(GENERAL, ALICE) == []
