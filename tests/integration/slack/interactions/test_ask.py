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
from bot.domain.commands import PendingQuestion
from bot.domain.messages import Message
from bot.domain.turns import AcceptResult, Turn
from bot.errors import StoreError
from bot.ports import Clock, PendingQuestionStore, Store
from bot.slack import texts as slack_texts
from bot.slack.gateway import build_adapters
from bot.slack.identity import fetch_identity
from bot.slack.interactions.ask import Question, QuestionService
from bot.slack.interactions.payloads import Actor, QuestionTarget
from bot.slack.interactions.question_outbox import (
    MAX_AGE_SECONDS,
    OutboxConfig,
    PostRejected,
    QuestionOutbox,
)
from bot.store import open_store
from bot.store.sqlite.data_dir import DATABASE_NAME
from bot.tasks import BackgroundTasks
from tests.conformance.http_client import (
    ALICE,
    BOB,
    DEV,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
    emulator_over_http,
    wait_until,
)
from tests.integration.slack.gateway_fixtures import web_client
from tests.integration.slack.receiver import AllowAllAdmission

Record = Callable[[Message], Awaitable[AcceptResult]]


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with emulator_over_http() as outside:
        yield outside


class LateReplies:
    """The asker, who hears what comes out after Slack was answered."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._something = asyncio.Event()

    async def respond(self, sentence: str) -> None:
        self.heard.append(sentence)
        self._something.set()

    async def wait_for_response(self) -> list[str]:
        async with asyncio.timeout(30):
            await self._something.wait()
        return self.heard


class PollingClock(SystemClock):
    """What is kept of questions, and the clock, for a test that has to know when it is looked for
    those on their way."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.begun = asyncio.Event()
        self.through = asyncio.Event()

    async def save_question(self, question: PendingQuestion) -> bool:
        return await self._store.save_question(question)

    async def delete_question(self, event_id: str) -> None:
        await self._store.delete_question(event_id)

    async def pending_questions(self) -> Sequence[PendingQuestion]:
        self.begun.set()
        return await self._store.pending_questions()

    async def sleep(self, seconds: float) -> None:
        self.through.set()
        await super().sleep(seconds)


@asynccontextmanager
async def question_service(
    outside: Outside,
    store: Store,
    record: Record | None = None,
    *,
    seconds: float = 60.0,
    limit: int = 500,
    kept: PendingQuestionStore | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[tuple[QuestionService, BackgroundTasks, QuestionOutbox]]:
    """One life of the part that asks, on the sandbox; each question is cut off after `seconds`."""
    background, clock = BackgroundTasks(limit=limit, seconds=seconds), clock or SystemClock()
    async with aiohttp.ClientSession() as session:
        client = web_client(outside, session)
        us = await fetch_identity(client.web)
        book = OutboxConfig(store=kept or store, clock=clock)
        gate = AllowAllAdmission(build_adapters(client, us, clock).users)
        questions = QuestionOutbox(client, us, record or store.accept_message, book, gate)
        yield QuestionService(us, questions, book, background, gate), background, questions
        await background.close(grace=0.1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path, clock=SystemClock(), max_running_per_user=9) as store:
        yield store


def question(channel: str = GENERAL, key: str = "V01", root_ts: str = "") -> Question:
    return Question(
        key=key,
        actor=Actor(user="UALICE", team=TEAM),
        target=QuestionTarget(channel=channel, root_ts=root_ts),
        text="what is Python?",
    )


async def trouble(outside: Outside, method: str, kind: str, **more: object) -> None:
    await outside.control("faults", {"method": method, "times": 1, "kind": kind} | more)


async def unwanted(message: Message) -> AcceptResult:
    raise AssertionError(f"{message.ts} is not to be recorded")


async def the_one_asked(outside: Outside, store: Store, channel: str = GENERAL) -> Turn:
    """The turn of the one question that stands in the channel, once there is one."""

    async def asked() -> bool:
        return bool(await store.waiting_turns())

    await wait_until(asked, "the question has a turn", max_wait=20)
    [turn] = await store.waiting_turns()
    assert await store.pending_questions() == ()
    assert [one["ts"] for one in await outside.messages(channel)] == [turn.message.ts]
    return turn


async def test_a_question_is_posted_once_and_has_a_turn(outside: Outside, store: Store) -> None:
    async with question_service(outside, store) as (asked, _, _):
        assert await asked.submit(question(), LateReplies().respond) == ""
        turn = await the_one_asked(outside, store)
    assert turn.message.text == "what is Python?"
    assert turn.message.starts_thread


async def test_a_question_that_cannot_be_recorded_is_not_posted(
    outside: Outside, store: Store, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON open_questions "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    async with question_service(outside, store, unwanted) as (asked, _, _):
        assert await asked.submit(question(), LateReplies().respond) == StoreError.user_message
    assert await outside.messages(GENERAL) == []


async def test_a_question_recorded_after_its_asker_was_refused_is_left_alone(
    outside: Outside, store: Store, tmp_path: Path
) -> None:
    """The database was locked for longer than Slack waits, and then took it all the same."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        async with question_service(outside, store, unwanted) as (asked, background, _):
            database.execute("BEGIN IMMEDIATE")
            assert await asked.submit(question(), LateReplies().respond) == StoreError.user_message
            database.execute("ROLLBACK")
            await background.close(grace=10)
            assert await store.pending_questions() == ()
    assert await outside.messages(GENERAL) == []


async def test_a_question_that_is_left_alone_is_not_taken_up_just_then_either(
    outside: Outside, store: Store, tmp_path: Path
) -> None:
    """It is looked for what is on its way in the moment in which it gets on record."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        looking = PollingClock(store)
        async with question_service(outside, store, unwanted, kept=looking, clock=looking) as life:
            asked, background, questions = life
            database.execute("BEGIN IMMEDIATE")
            assert await asked.submit(question(), LateReplies().respond) == StoreError.user_message
            async with questions.resuming(), asyncio.timeout(20):
                await looking.begun.wait()  # behind the record, which waits for the lock
                database.execute("ROLLBACK")
                await looking.through.wait()
            await background.close(grace=10)
            assert await store.pending_questions() == ()
    assert await outside.messages(GENERAL) == []


@pytest.mark.parametrize("kind", ["500", "garbage", "drop_before", "drop_after"])
async def test_trouble_while_it_is_posted_costs_nothing_and_posts_nothing_twice(
    outside: Outside, store: Store, kind: str
) -> None:
    await trouble(outside, "chat.postMessage", kind)
    late = LateReplies()
    async with question_service(outside, store) as (asked, _, _):
        assert await asked.submit(question(), late.respond) == ""
        await the_one_asked(outside, store)
    assert late.heard == []


async def test_a_bot_that_dies_before_it_has_posted_posts_at_the_next_start(
    outside: Outside, store: Store
) -> None:
    await trouble(outside, "chat.postMessage", "slow", seconds=3)
    async with question_service(outside, store, unwanted) as (asked, _, _):
        assert await asked.submit(question(), LateReplies().respond) == ""
    assert len(await store.pending_questions()) == 1
    async with question_service(outside, store) as (_, _, questions), questions.resuming():
        await the_one_asked(outside, store)


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_bot_that_dies_after_it_has_posted_finds_it_again(
    outside: Outside, store: Store, in_thread: bool
) -> None:
    """In a channel and in a thread; among other messages that it posted."""
    root = ""
    if in_thread:
        root = (await outside.act("chat.postMessage", ALICE, channel=GENERAL, text="hm"))["ts"]
    died = asyncio.Event()

    async def dies(message: Message) -> AcceptResult:
        died.set()
        await asyncio.Event().wait()
        raise AssertionError(message)

    async with question_service(outside, store, dies) as (asked, _, _):
        assert await asked.submit(question(root_ts=root), LateReplies().respond) == ""
        async with asyncio.timeout(30):
            await died.wait()
    async with question_service(outside, store) as (asked, _, questions):
        assert await asked.submit(question(key="V02", root_ts=root), LateReplies().respond) == ""

        async def both() -> bool:
            return len(await store.waiting_turns()) == 2

        async with questions.resuming():
            await wait_until(both, "both questions have turns", max_wait=20)
    turns = {turn.message.event_id: turn.message for turn in await store.waiting_turns()}
    posted = await outside.replies(GENERAL, root) if root else await outside.messages(GENERAL)
    said = [one["ts"] for one in posted if one.get("bot_id")]
    assert sorted(said) == sorted(message.ts for message in turns.values())
    assert turns["command-V01"].ts < turns["command-V02"].ts
    assert {message.thread.root_ts for message in turns.values()} == ({root} if root else {*said})


async def test_a_question_that_cannot_become_a_message_yet_is_acknowledged_and_asked_later(
    outside: Outside, store: Store
) -> None:
    """Its asker is never told that it is not taken."""

    async def refuses(message: Message) -> AcceptResult:
        raise StoreError(f"the disk is full: {message.ts}")

    late = LateReplies()
    async with question_service(outside, store, refuses) as (asked, _, _):
        assert await asked.submit(question(), late.respond) == ""
        assert await late.wait_for_response() == [slack_texts.QUESTION_DELAYED]
    async with question_service(outside, store) as (_, _, questions), questions.resuming():
        await the_one_asked(outside, store)


async def test_a_question_recorded_though_its_record_came_too_late_is_asked_once(
    outside: Outside, store: Store
) -> None:
    async def too_late(message: Message) -> AcceptResult:
        await store.accept_message(message)
        raise StoreError("too late")

    async with question_service(outside, store, too_late) as (asked, _, questions):
        assert await asked.submit(question(), LateReplies().respond) == ""

        async def accepted() -> bool:
            return bool(await store.waiting_turns())

        await wait_until(accepted, "it has a turn")
        async with questions.resuming():
            await the_one_asked(outside, store)


async def test_a_question_that_nobody_expects_to_be_answered_any_more_is_let_go(
    outside: Outside, store: Store
) -> None:
    """Its asker is told, alone."""
    old = PendingQuestion(
        event_id="command-V00",
        team=TEAM,
        channel=GENERAL,
        root_ts="",
        user="UALICE",
        user_team=TEAM,
        text="what was Python?",
        mrkdwn="what was Python?",
        created_at=SystemClock().now() - MAX_AGE_SECONDS - 60,
    )
    await store.save_question(old)
    async with (
        question_service(outside, store, unwanted) as (_, _, questions),
        questions.resuming(),
    ):

        async def let_go() -> bool:
            return await store.pending_questions() == ()

        await wait_until(let_go, "it is let go")
    assert [told["text"] for told in await outside.ephemeral("UALICE")] == [
        slack_texts.QUESTION_EXPIRED
    ]
    assert await outside.messages(GENERAL) == []


async def test_a_modal_sent_again_after_a_restart_is_asked_once(
    outside: Outside, store: Store
) -> None:
    for _ in range(2):
        async with question_service(outside, store) as (asked, _, _):
            assert await asked.submit(question(DEV), LateReplies().respond) == ""
            await the_one_asked(outside, store, DEV)


async def test_a_refused_question_may_be_sent_again(outside: Outside, store: Store) -> None:
    async with question_service(outside, store, unwanted) as (asked, _, _):
        not_here = slack_texts.NOT_IN_CHANNEL.format(name="threadpilot")
        for _ in range(2):
            assert await asked.submit(question(SECRET), LateReplies().respond) == not_here
    assert await store.pending_questions() == ()


async def test_a_question_of_somebody_who_was_taken_out_meanwhile_is_not_taken_up(
    outside: Outside, store: Store
) -> None:
    """The bot died before it had posted it; what it has posted is answered (see above)."""
    await outside.act("conversations.invite", ALICE, channel=SECRET, users="U0PILOT")
    await trouble(outside, "chat.postMessage", "slow", seconds=3)
    async with question_service(outside, store, unwanted) as (asked, _, _):
        assert await asked.submit(question(SECRET), LateReplies().respond) == ""
    assert len(await store.pending_questions()) == 1
    await outside.act("conversations.leave", ALICE, channel=SECRET)
    async with (
        question_service(outside, store, unwanted) as (_, _, questions),
        questions.resuming(),
    ):

        async def let_go() -> bool:
            return await store.pending_questions() == ()

        await wait_until(let_go, "it is let go", max_wait=20)
    assert await outside.messages(SECRET, BOB) == []


@pytest.mark.parametrize("method", ["users.info", "conversations.info"])
async def test_while_it_is_not_known_who_may_ask_where_nothing_is_asked(
    outside: Outside, store: Store, method: str
) -> None:
    """They are told so; a question that was on record before stays there for later."""
    fault = {"method": method, "times": 99, "kind": "500"}
    await outside.control("faults", fault)
    late = LateReplies()
    async with question_service(outside, store, unwanted) as (asked, _, _):
        told = await asked.submit(question(), late.respond) or (await late.wait_for_response())[0]
    assert told == access_texts.UNKNOWN_USER
    assert await store.pending_questions() == ()
    kept = an_open_question()
    await store.save_question(kept)
    async with question_service(outside, store, unwanted) as (_, _, questions):
        assert await questions.post_question(kept, unposted=False) is False
    assert await store.pending_questions() == (kept,)
    assert await outside.messages(GENERAL) == []


def an_open_question() -> PendingQuestion:
    return PendingQuestion(
        event_id="command-V09",
        team=TEAM,
        channel=GENERAL,
        root_ts="",
        user="UALICE",
        user_team=TEAM,
        text="what is Python?",
        mrkdwn="what is Python?",
        created_at=SystemClock().now(),
    )


async def test_what_keeps_it_from_being_posted_is_reported_late_when_it_comes_late(
    outside: Outside, store: Store
) -> None:
    await trouble(outside, "chat.postMessage", "slow", seconds=2)
    late = LateReplies()
    async with question_service(outside, store, unwanted) as (asked, _, _):
        assert await asked.submit(question(SECRET), late.respond) == ""
        assert await late.wait_for_response() == [
            slack_texts.NOT_IN_CHANNEL.format(name="threadpilot")
        ]


async def test_what_keeps_it_from_being_posted_is_reported_also_in_the_last_moment(
    outside: Outside, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes out in the same turn of the loop as the time is up."""

    async def refuse(_: PendingQuestion) -> bool:
        time.sleep(1.6)  # noqa: ASYNC251 # the loop is busy until the time is up
        await asyncio.sleep(0)
        raise PostRejected("is_archived")

    late = LateReplies()
    async with question_service(outside, store, unwanted) as (asked, _, questions):
        monkeypatch.setattr(questions, "post_question", refuse)
        assert [await asked.submit(question(), late.respond), *late.heard] == [
            slack_texts.READ_ONLY
        ]


async def test_more_questions_than_fit_are_asked_when_there_is_less_to_do(
    outside: Outside, store: Store
) -> None:
    async with question_service(outside, store, limit=0) as (asked, _, questions):
        assert await asked.submit(question(), LateReplies().respond) == ""
        assert await outside.messages(GENERAL, ALICE) == []
        async with questions.resuming():
            await the_one_asked(outside, store)
