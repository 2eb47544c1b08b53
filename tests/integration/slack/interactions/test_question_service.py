"""A question by command or modal that meets errors: it is asked once, or its asker is notified."""

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
from bot.slack.interactions.payloads import Actor, QuestionTarget
from bot.slack.interactions.question_outbox import (
    MAX_AGE_SECONDS,
    OutboxConfig,
    PostRejected,
    QuestionOutbox,
)
from bot.slack.interactions.question_service import Question, QuestionService
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
    """The texts that the asker gets after the acknowledgement."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._something = asyncio.Event()

    async def respond(self, sentence: str) -> None:
        self.texts.append(sentence)
        self._something.set()

    async def wait_for_response(self) -> list[str]:
        async with asyncio.timeout(30):
            await self._something.wait()
        return self.texts


class PollingClock(SystemClock):
    """The pending questions and the clock, for a test that needs the time of each look for
    pending questions."""

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
    """One lifetime of the service on the emulator; each question times out after `seconds`."""
    background, clock = BackgroundTasks(limit=limit, timeout=seconds), clock or SystemClock()
    async with aiohttp.ClientSession() as session:
        client = web_client(outside, session)
        identity = await fetch_identity(client.web)
        outbox_config = OutboxConfig(store=kept or store, clock=clock)
        admission = AllowAllAdmission(build_adapters(client, identity, clock).users)
        outbox = QuestionOutbox(
            client, identity, record or store.accept_message, outbox_config, admission
        )
        yield (
            QuestionService(identity, outbox, outbox_config, background, admission),
            background,
            outbox,
        )
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


async def single_turn(outside: Outside, store: Store, channel: str = GENERAL) -> Turn:
    """The turn of the only question in the channel, once there is one."""

    async def has_turn() -> bool:
        return bool(await store.waiting_turns())

    await wait_until(has_turn, "the question has a turn", max_wait=20)
    [turn] = await store.waiting_turns()
    assert await store.pending_questions() == ()
    assert [one["ts"] for one in await outside.messages(channel)] == [turn.message.ts]
    return turn


async def test_a_question_is_posted_once_and_has_a_turn(outside: Outside, store: Store) -> None:
    async with question_service(outside, store) as (service, _, _):
        assert await service.submit(question(), LateReplies().respond) == ""
        turn = await single_turn(outside, store)
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
    async with question_service(outside, store, unwanted) as (service, _, _):
        assert await service.submit(question(), LateReplies().respond) == StoreError.user_message
    assert await outside.messages(GENERAL) == []


async def test_a_question_recorded_after_its_asker_was_refused_is_left_alone(
    outside: Outside, store: Store, tmp_path: Path
) -> None:
    """The database was locked for longer than Slack waits, and recorded the question after that."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        async with question_service(outside, store, unwanted) as (service, background, _):
            database.execute("BEGIN IMMEDIATE")
            assert (
                await service.submit(question(), LateReplies().respond) == StoreError.user_message
            )
            database.execute("ROLLBACK")
            await background.close(grace=10)
            assert await store.pending_questions() == ()
    assert await outside.messages(GENERAL) == []


async def test_a_discarded_question_is_not_resumed_at_the_same_moment(
    outside: Outside, store: Store, tmp_path: Path
) -> None:
    """The look for pending questions happens just when the question is recorded."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as database:
        looking = PollingClock(store)
        async with question_service(outside, store, unwanted, kept=looking, clock=looking) as life:
            service, background, outbox = life
            database.execute("BEGIN IMMEDIATE")
            assert (
                await service.submit(question(), LateReplies().respond) == StoreError.user_message
            )
            async with outbox.resuming(), asyncio.timeout(20):
                await looking.begun.wait()  # after the write, which waits for the lock
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
    async with question_service(outside, store) as (service, _, _):
        assert await service.submit(question(), late.respond) == ""
        await single_turn(outside, store)
    assert late.texts == []


async def test_a_bot_that_dies_before_it_has_posted_posts_at_the_next_start(
    outside: Outside, store: Store
) -> None:
    await trouble(outside, "chat.postMessage", "slow", seconds=3)
    async with question_service(outside, store, unwanted) as (service, _, _):
        assert await service.submit(question(), LateReplies().respond) == ""
    assert len(await store.pending_questions()) == 1
    async with question_service(outside, store) as (_, _, outbox), outbox.resuming():
        await single_turn(outside, store)


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_bot_that_dies_after_it_has_posted_finds_it_again(
    outside: Outside, store: Store, in_thread: bool
) -> None:
    """In a channel and in a thread, among other posts of the bot."""
    root = ""
    if in_thread:
        root = (await outside.act("chat.postMessage", ALICE, channel=GENERAL, text="hm"))["ts"]
    died = asyncio.Event()

    async def dies(message: Message) -> AcceptResult:
        died.set()
        await asyncio.Event().wait()
        raise AssertionError(message)

    async with question_service(outside, store, dies) as (service, _, _):
        assert await service.submit(question(root_ts=root), LateReplies().respond) == ""
        async with asyncio.timeout(30):
            await died.wait()
    async with question_service(outside, store) as (service, _, outbox):
        assert await service.submit(question(key="V02", root_ts=root), LateReplies().respond) == ""

        async def both() -> bool:
            return len(await store.waiting_turns()) == 2

        async with outbox.resuming():
            await wait_until(both, "both questions have turns", max_wait=20)
    turns = {turn.message.event_id: turn.message for turn in await store.waiting_turns()}
    posted = await outside.replies(GENERAL, root) if root else await outside.messages(GENERAL)
    posted_ts = [one["ts"] for one in posted if one.get("bot_id")]
    assert sorted(posted_ts) == sorted(message.ts for message in turns.values())
    assert turns["command-V01"].ts < turns["command-V02"].ts
    assert {message.thread.root_ts for message in turns.values()} == (
        {root} if root else {*posted_ts}
    )


async def test_a_question_that_cannot_become_a_message_yet_is_acknowledged_and_asked_later(
    outside: Outside, store: Store
) -> None:
    """Its asker does not get a refusal."""

    async def refuses(message: Message) -> AcceptResult:
        raise StoreError(f"the disk is full: {message.ts}")

    late = LateReplies()
    async with question_service(outside, store, refuses) as (service, _, _):
        assert await service.submit(question(), late.respond) == ""
        assert await late.wait_for_response() == [slack_texts.QUESTION_DELAYED]
    async with question_service(outside, store) as (_, _, outbox), outbox.resuming():
        await single_turn(outside, store)


async def test_a_question_recorded_though_its_record_came_too_late_is_asked_once(
    outside: Outside, store: Store
) -> None:
    async def too_late(message: Message) -> AcceptResult:
        await store.accept_message(message)
        raise StoreError("too late")

    async with question_service(outside, store, too_late) as (service, _, outbox):
        assert await service.submit(question(), LateReplies().respond) == ""

        async def accepted() -> bool:
            return bool(await store.waiting_turns())

        await wait_until(accepted, "it has a turn")
        async with outbox.resuming():
            await single_turn(outside, store)


async def test_an_expired_question_is_dropped(outside: Outside, store: Store) -> None:
    """Its asker alone is notified."""
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
        question_service(outside, store, unwanted) as (_, _, outbox),
        outbox.resuming(),
    ):

        async def let_go() -> bool:
            return await store.pending_questions() == ()

        await wait_until(let_go, "it is let go")
    assert [message["text"] for message in await outside.ephemeral("UALICE")] == [
        slack_texts.QUESTION_EXPIRED
    ]
    assert await outside.messages(GENERAL) == []


async def test_a_modal_sent_again_after_a_restart_is_asked_once(
    outside: Outside, store: Store
) -> None:
    for _ in range(2):
        async with question_service(outside, store) as (service, _, _):
            assert await service.submit(question(DEV), LateReplies().respond) == ""
            await single_turn(outside, store, DEV)


async def test_a_refused_question_may_be_sent_again(outside: Outside, store: Store) -> None:
    async with question_service(outside, store, unwanted) as (service, _, _):
        not_here = slack_texts.NOT_IN_CHANNEL.format(name="threadpilot")
        for _ in range(2):
            assert await service.submit(question(SECRET), LateReplies().respond) == not_here
    assert await store.pending_questions() == ()


async def test_a_question_of_a_user_who_left_the_channel_is_not_resumed(
    outside: Outside, store: Store
) -> None:
    """The bot crashed before the post; a posted question is answered (see above)."""
    await outside.act("conversations.invite", ALICE, channel=SECRET, users="U0PILOT")
    await trouble(outside, "chat.postMessage", "slow", seconds=3)
    async with question_service(outside, store, unwanted) as (service, _, _):
        assert await service.submit(question(SECRET), LateReplies().respond) == ""
    assert len(await store.pending_questions()) == 1
    await outside.act("conversations.leave", ALICE, channel=SECRET)
    async with (
        question_service(outside, store, unwanted) as (_, _, outbox),
        outbox.resuming(),
    ):

        async def let_go() -> bool:
            return await store.pending_questions() == ()

        await wait_until(let_go, "it is let go", max_wait=20)
    assert await outside.messages(SECRET, BOB) == []


@pytest.mark.parametrize("method", ["users.info", "conversations.info"])
async def test_while_the_admission_check_fails_nothing_is_asked(
    outside: Outside, store: Store, method: str
) -> None:
    """The asker is notified; a question recorded before stays there for later."""
    fault = {"method": method, "times": 99, "kind": "500"}
    await outside.control("faults", fault)
    late = LateReplies()
    async with question_service(outside, store, unwanted) as (service, _, _):
        text = await service.submit(question(), late.respond) or (await late.wait_for_response())[0]
    assert text == access_texts.UNKNOWN_USER
    assert await store.pending_questions() == ()
    kept = an_open_question()
    await store.save_question(kept)
    async with question_service(outside, store, unwanted) as (_, _, outbox):
        assert await outbox.post_question(kept, unposted=False) is False
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
    async with question_service(outside, store, unwanted) as (service, _, _):
        assert await service.submit(question(SECRET), late.respond) == ""
        assert await late.wait_for_response() == [
            slack_texts.NOT_IN_CHANNEL.format(name="threadpilot")
        ]


async def test_what_keeps_it_from_being_posted_is_reported_also_in_the_last_moment(
    outside: Outside, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result arrives in the same iteration of the loop as the timeout."""

    async def refuse(_: PendingQuestion) -> bool:
        time.sleep(1.6)  # noqa: ASYNC251 # the loop is busy until the time is up
        await asyncio.sleep(0)
        raise PostRejected("is_archived")

    late = LateReplies()
    async with question_service(outside, store, unwanted) as (service, _, outbox):
        monkeypatch.setattr(outbox, "post_question", refuse)
        assert [await service.submit(question(), late.respond), *late.texts] == [
            slack_texts.READ_ONLY
        ]


async def test_more_questions_than_fit_are_asked_when_there_is_less_to_do(
    outside: Outside, store: Store
) -> None:
    async with question_service(outside, store, limit=0) as (service, _, outbox):
        assert await service.submit(question(), LateReplies().respond) == ""
        assert await outside.messages(GENERAL, ALICE) == []
        async with outbox.resuming():
            await single_turn(outside, store)
