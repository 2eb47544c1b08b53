"""A question by command or modal that meets trouble: it is asked once, or its asker is told."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import aiohttp
import pytest

from bot.access import texts as access_texts
from bot.clock import SystemClock
from bot.domain.commands import OpenQuestion
from bot.domain.messages import Message
from bot.domain.turns import Accepted, Turn
from bot.errors import StoreError
from bot.ports import Clock, QuestionStore, Store
from bot.slack import texts as slack_texts
from bot.slack.gateway import adapters
from bot.slack.identity import who_are_we
from bot.slack.interactions.ask import Asking, Question
from bot.slack.interactions.payloads import Person, Place
from bot.slack.interactions.question_outbox import OLD_SECONDS, Book, NotPut, Questions
from bot.store import open_store
from bot.store.sqlite.data_dir import DATABASE
from bot.tasks import Background
from tests.conformance.http_client import (
    ALICE,
    BOB,
    DEV,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
    eventually,
    sandbox_from_outside,
)
from tests.integration.slack.gateway_fixtures import web_client
from tests.integration.slack.receiver import WithoutLimits

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
        async with asyncio.timeout(30):
            await self._something.wait()
        return self.heard


class Looking(SystemClock):
    """What is kept of questions, and the clock, for a test that has to know when it is looked for
    those on their way."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.begun = asyncio.Event()
        self.through = asyncio.Event()

    async def note_question(self, question: OpenQuestion) -> bool:
        return await self._store.note_question(question)

    async def drop_question(self, event_id: str) -> None:
        await self._store.drop_question(event_id)

    async def open_questions(self) -> Sequence[OpenQuestion]:
        self.begun.set()
        return await self._store.open_questions()

    async def sleep(self, seconds: float) -> None:
        self.through.set()
        await super().sleep(seconds)


@asynccontextmanager
async def asking(
    outside: Outside,
    store: Store,
    record: Record | None = None,
    *,
    seconds: float = 60.0,
    limit: int = 500,
    kept: QuestionStore | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[tuple[Asking, Background, Questions]]:
    """One life of the part that asks, on the sandbox; each question is cut off after `seconds`."""
    background, clock = Background(limit=limit, seconds=seconds), clock or SystemClock()
    async with aiohttp.ClientSession() as session:
        client = web_client(outside, session)
        us = await who_are_we(client.web)
        book = Book(store=kept or store, clock=clock)
        gate = WithoutLimits(adapters(client, us, clock).people)
        questions = Questions(client, us, record or store.accept, book, gate)
        yield Asking(us, questions, book, background, gate), background, questions
        await background.close(grace=0.1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path, clock=SystemClock(), per_user=9) as store:
        yield store


def question(channel: str = GENERAL, key: str = "V01", root_ts: str = "") -> Question:
    return Question(
        key=key,
        person=Person(user="UALICE", team=TEAM),
        place=Place(channel=channel, root_ts=root_ts),
        text="what is Python?",
    )


async def trouble(outside: Outside, method: str, kind: str, **more: object) -> None:
    await outside.control("faults", {"method": method, "times": 1, "kind": kind} | more)


async def unwanted(message: Message) -> Accepted:
    raise AssertionError(f"{message.ts} is not to be recorded")


async def the_one_asked(outside: Outside, store: Store, channel: str = GENERAL) -> Turn:
    """The turn of the one question that stands in the channel, once there is one."""

    async def asked() -> bool:
        return bool(await store.waiting())

    await eventually(asked, "the question has a turn", patience=20)
    [turn] = await store.waiting()
    assert await store.open_questions() == ()
    assert [one["ts"] for one in await outside.messages(channel)] == [turn.message.ts]
    return turn


async def test_a_question_is_posted_once_and_has_a_turn(outside: Outside, store: Store) -> None:
    async with asking(outside, store) as (asked, _, _):
        assert await asked.ask(question(), Late().tell) == ""
        turn = await the_one_asked(outside, store)
    assert turn.message.text == "what is Python?"
    assert turn.message.starts_thread


async def test_a_question_that_cannot_be_recorded_is_not_posted(
    outside: Outside, store: Store, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON open_questions "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    async with asking(outside, store, unwanted) as (asked, _, _):
        assert await asked.ask(question(), Late().tell) == StoreError.sentence
    assert await outside.messages(GENERAL) == []


async def test_a_question_recorded_after_its_asker_was_told_no_is_left_alone(
    outside: Outside, store: Store, tmp_path: Path
) -> None:
    """The database was locked for longer than Slack waits, and then took it all the same."""
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as database:
        async with asking(outside, store, unwanted) as (asked, background, _):
            database.execute("BEGIN IMMEDIATE")
            assert await asked.ask(question(), Late().tell) == StoreError.sentence
            database.execute("ROLLBACK")
            await background.close(grace=10)
            assert await store.open_questions() == ()
    assert await outside.messages(GENERAL) == []


async def test_a_question_that_is_left_alone_is_not_taken_up_just_then_either(
    outside: Outside, store: Store, tmp_path: Path
) -> None:
    """It is looked for what is on its way in the moment in which it gets on record."""
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as database:
        looking = Looking(store)
        async with asking(outside, store, unwanted, kept=looking, clock=looking) as life:
            asked, background, questions = life
            database.execute("BEGIN IMMEDIATE")
            assert await asked.ask(question(), Late().tell) == StoreError.sentence
            async with questions.taken_up(), asyncio.timeout(20):
                await looking.begun.wait()  # behind the record, which waits for the lock
                database.execute("ROLLBACK")
                await looking.through.wait()
            await background.close(grace=10)
            assert await store.open_questions() == ()
    assert await outside.messages(GENERAL) == []


@pytest.mark.parametrize("kind", ["500", "garbage", "drop_before", "drop_after"])
async def test_trouble_while_it_is_posted_costs_nothing_and_posts_nothing_twice(
    outside: Outside, store: Store, kind: str
) -> None:
    await trouble(outside, "chat.postMessage", kind)
    late = Late()
    async with asking(outside, store) as (asked, _, _):
        assert await asked.ask(question(), late.tell) == ""
        await the_one_asked(outside, store)
    assert late.heard == []


async def test_a_bot_that_dies_before_it_has_posted_posts_at_the_next_start(
    outside: Outside, store: Store
) -> None:
    await trouble(outside, "chat.postMessage", "slow", seconds=3)
    async with asking(outside, store, unwanted) as (asked, _, _):
        assert await asked.ask(question(), Late().tell) == ""
    assert len(await store.open_questions()) == 1
    async with asking(outside, store) as (_, _, questions), questions.taken_up():
        await the_one_asked(outside, store)


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_bot_that_dies_after_it_has_posted_finds_it_again(
    outside: Outside, store: Store, in_thread: bool
) -> None:
    """In a channel and in a thread; among other messages that it posted."""
    root = ""
    if in_thread:
        root = (await outside.do("chat.postMessage", ALICE, channel=GENERAL, text="hm"))["ts"]
    died = asyncio.Event()

    async def dies(message: Message) -> Accepted:
        died.set()
        await asyncio.Event().wait()
        raise AssertionError(message)

    async with asking(outside, store, dies) as (asked, _, _):
        assert await asked.ask(question(root_ts=root), Late().tell) == ""
        async with asyncio.timeout(30):
            await died.wait()
    async with asking(outside, store) as (asked, _, questions):
        assert await asked.ask(question(key="V02", root_ts=root), Late().tell) == ""

        async def both() -> bool:
            return len(await store.waiting()) == 2

        async with questions.taken_up():
            await eventually(both, "both questions have turns", patience=20)
    turns = {turn.message.event_id: turn.message for turn in await store.waiting()}
    posted = await outside.replies(GENERAL, root) if root else await outside.messages(GENERAL)
    said = [one["ts"] for one in posted if one.get("bot_id")]
    assert sorted(said) == sorted(message.ts for message in turns.values())
    assert turns["command-V01"].ts < turns["command-V02"].ts
    assert {message.thread.root_ts for message in turns.values()} == ({root} if root else {*said})


async def test_a_question_that_cannot_become_a_message_yet_is_told_so_and_asked_later(
    outside: Outside, store: Store
) -> None:
    """Its asker is never told that it is not taken."""

    async def refuses(message: Message) -> Accepted:
        raise StoreError(f"the disk is full: {message.ts}")

    late = Late()
    async with asking(outside, store, refuses) as (asked, _, _):
        assert await asked.ask(question(), late.tell) == ""
        assert await late.until_told() == [slack_texts.ASKED_SOON]
    async with asking(outside, store) as (_, _, questions), questions.taken_up():
        await the_one_asked(outside, store)


async def test_a_question_recorded_though_its_record_came_too_late_is_asked_once(
    outside: Outside, store: Store
) -> None:
    async def too_late(message: Message) -> Accepted:
        await store.accept(message)
        raise StoreError("too late")

    async with asking(outside, store, too_late) as (asked, _, questions):
        assert await asked.ask(question(), Late().tell) == ""

        async def accepted() -> bool:
            return bool(await store.waiting())

        await eventually(accepted, "it has a turn")
        async with questions.taken_up():
            await the_one_asked(outside, store)


async def test_a_question_that_nobody_expects_to_be_answered_any_more_is_let_go(
    outside: Outside, store: Store
) -> None:
    """Its asker is told, alone."""
    old = OpenQuestion(
        event_id="command-V00",
        team=TEAM,
        channel=GENERAL,
        root_ts="",
        user="UALICE",
        user_team=TEAM,
        text="what was Python?",
        shown="what was Python?",
        asked=SystemClock().now() - OLD_SECONDS - 60,
    )
    await store.note_question(old)
    async with asking(outside, store, unwanted) as (_, _, questions), questions.taken_up():

        async def let_go() -> bool:
            return await store.open_questions() == ()

        await eventually(let_go, "it is let go")
    assert [told["text"] for told in await outside.ephemeral("UALICE")] == [
        slack_texts.ASKED_LONG_AGO
    ]
    assert await outside.messages(GENERAL) == []


async def test_a_modal_sent_again_after_a_restart_is_asked_once(
    outside: Outside, store: Store
) -> None:
    for _ in range(2):
        async with asking(outside, store) as (asked, _, _):
            assert await asked.ask(question(DEV), Late().tell) == ""
            await the_one_asked(outside, store, DEV)


async def test_a_refused_question_may_be_sent_again(outside: Outside, store: Store) -> None:
    async with asking(outside, store, unwanted) as (asked, _, _):
        not_here = slack_texts.NOT_HERE.format(name="threadpilot")
        for _ in range(2):
            assert await asked.ask(question(SECRET), Late().tell) == not_here
    assert await store.open_questions() == ()


async def test_a_question_of_somebody_who_was_taken_out_meanwhile_is_not_taken_up(
    outside: Outside, store: Store
) -> None:
    """The bot died before it had posted it; what it has posted is answered (see above)."""
    await outside.do("conversations.invite", ALICE, channel=SECRET, users="U0PILOT")
    await trouble(outside, "chat.postMessage", "slow", seconds=3)
    async with asking(outside, store, unwanted) as (asked, _, _):
        assert await asked.ask(question(SECRET), Late().tell) == ""
    assert len(await store.open_questions()) == 1
    await outside.do("conversations.leave", ALICE, channel=SECRET)
    async with asking(outside, store, unwanted) as (_, _, questions), questions.taken_up():

        async def let_go() -> bool:
            return await store.open_questions() == ()

        await eventually(let_go, "it is let go", patience=20)
    assert await outside.messages(SECRET, BOB) == []


@pytest.mark.parametrize("method", ["users.info", "conversations.info"])
async def test_while_it_is_not_known_who_may_ask_where_nothing_is_asked(
    outside: Outside, store: Store, method: str
) -> None:
    """They are told so; a question that was on record before stays there for later."""
    fault = {"method": method, "times": 99, "kind": "500"}
    await outside.control("faults", fault)
    late = Late()
    async with asking(outside, store, unwanted) as (asked, _, _):
        told = await asked.ask(question(), late.tell) or (await late.until_told())[0]
    assert told == access_texts.UNKNOWN
    assert await store.open_questions() == ()
    kept = an_open_question()
    await store.note_question(kept)
    async with asking(outside, store, unwanted) as (_, _, questions):
        assert await questions.put(kept, anew=False) is False
    assert await store.open_questions() == (kept,)
    assert await outside.messages(GENERAL) == []


def an_open_question() -> OpenQuestion:
    return OpenQuestion(
        event_id="command-V09",
        team=TEAM,
        channel=GENERAL,
        root_ts="",
        user="UALICE",
        user_team=TEAM,
        text="what is Python?",
        shown="what is Python?",
        asked=SystemClock().now(),
    )


async def test_what_keeps_it_from_being_posted_is_told_late_when_it_comes_late(
    outside: Outside, store: Store
) -> None:
    await trouble(outside, "chat.postMessage", "slow", seconds=2)
    late = Late()
    async with asking(outside, store, unwanted) as (asked, _, _):
        assert await asked.ask(question(SECRET), late.tell) == ""
        assert await late.until_told() == [slack_texts.NOT_HERE.format(name="threadpilot")]


async def test_what_keeps_it_from_being_posted_is_told_also_in_the_last_moment(
    outside: Outside, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes out in the same turn of the loop as the time is up."""

    async def refuse(_: OpenQuestion) -> bool:
        time.sleep(1.6)  # noqa: ASYNC251 # the loop is busy until the time is up
        await asyncio.sleep(0)
        raise NotPut("is_archived")

    late = Late()
    async with asking(outside, store, unwanted) as (asked, _, questions):
        monkeypatch.setattr(questions, "put", refuse)
        assert [await asked.ask(question(), late.tell), *late.heard] == [slack_texts.READ_ONLY]


async def test_more_questions_than_fit_are_asked_when_there_is_less_to_do(
    outside: Outside, store: Store
) -> None:
    async with asking(outside, store, limit=0) as (asked, _, questions):
        assert await asked.ask(question(), Late().tell) == ""
        assert await outside.messages(GENERAL, ALICE) == []
        async with questions.taken_up():
            await the_one_asked(outside, store)
