"""Tests load: bounded memory, acknowledged in time, in order, fair, and nothing lost.

Small in the ordinary run; with `CHAOS=full` the size that the docs promise.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import pytest

from bot.domain.turns import TurnState
from tests.chaos.database_reader import Row
from tests.chaos.generator import expected_answer
from tests.chaos.load_fixtures import LoadFixture, Question, event, load_fixture
from tests.chaos.oracle import OPEN, same
from tests.emulator_client import DEV, GENERAL, PEOPLE, Json
from tests.scripted_model import Answer

FULL: Final = os.environ.get("CHAOS") == "full"
SECONDS: Final = 240.0
"""Maximum wait of a load test in seconds."""
ACKNOWLEDGED_SECONDS: Final = 3.0
"""Timeout of Slack in seconds: it treats events acknowledged later as lost."""
MB: Final = 1 << 20

pytestmark = pytest.mark.timeout(600 if FULL else 120)


@asynccontextmanager
async def within(bot_mb: int, crowd: LoadFixture) -> AsyncIterator[None]:
    """Check that the bot's memory grows by at most `bot_mb` MB while inside."""
    before, most = crowd.bot.memory(), 0

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, crowd.bot.memory())
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    grown = (most - before) / MB
    print(f"memory of the bot: {before / MB:.0f} MB and at most {grown:.0f} MB more")
    assert grown <= bot_mb, f"the bot grew by {grown:.0f} MB"


async def questions_in_threads(crowd: LoadFixture, count: int, first: int = 0) -> list[Question]:
    """Have Alice ask in `count` threads of two channels."""
    channels = (GENERAL, DEV)
    return [
        await crowd.ask(first + number, "alice", channels[number % 2]) for number in range(count)
    ]


def whole(questions: list[Question]) -> list[str]:
    """The model's answer to each question."""
    return [expected_answer(question.text) for question in questions]


async def all_show(crowd: LoadFixture, questions: list[Question]) -> None:
    """Check that each thread shows the model's answer to its question once.

    On the fast clock a stream may expire, and the answer continue in a second message.
    """
    for one in questions:
        texts = await crowd.shown(one)
        assert same(texts, expected_answer(one.text)), f"{one.text!r} shows {texts}"


async def test_a_burst_of_events_is_acknowledged_in_time_and_nothing_of_it_is_lost(
    tmp_path: Path,
) -> None:
    """Questions, each delivered twice as Slack does with mentions, among messages that users write
    to each other in the same threads."""
    asking, events = (30, 10_000) if FULL else (6, 400)
    limit = {"MAX_TURNS_PER_USER": "20"}
    async with load_fixture(tmp_path, "http", **limit) as crowd, within(150 if FULL else 60, crowd):
        await crowd.slack.app(subscriptions=[])  # this test delivers the events itself
        questions = await questions_in_threads(crowd, asking)
        burst = the_burst(questions, events)
        began = time.monotonic()
        acknowledgements = await crowd.deliver(burst)
        took, latest = time.monotonic() - began, max(acknowledgements.seconds)
        print(f"{len(burst)} events in {took:.1f} s, the latest acknowledged after {latest:.2f} s")
        assert set(acknowledgements.statuses) == {200}
        assert latest < ACKNOWLEDGED_SECONDS
        on_record = crowd.records.received_messages()
        assert {(e["event"]["channel"], e["event"]["ts"]) for e in burst} <= on_record
        rows = await crowd.until_settled(questions, SECONDS)
        assert {row.state for row in rows} == {TurnState.DONE}
        assert len(crowd.records.turns()) == asking, "messages between users are not questions"
        await all_show(crowd, questions)


def the_burst(questions: list[Question], count: int) -> list[Json]:
    """`count` mixed events, always in the same order."""
    burst: list[Json] = []
    for one in questions:
        text = f"@threadpilot {one.text}"
        burst.append(event("app_mention", one.channel, "alice", one.ts, text))
        burst.append(event("message", one.channel, "alice", one.ts, text))
    chance = Random(0)  # noqa: S311  # an order, no secret
    for number in range(count - len(burst)):
        place = chance.choice(questions)
        seconds, _, micros = place.ts.partition(".")
        ts = f"{int(seconds) + 1 + number // 900}.{(int(micros) + number) % 1_000_000:06d}"
        who = chance.choice(("bob", "carol"))
        text = f"<@{PEOPLE['alice']}> I think so, too, for the reason number {number}"
        burst.append(event("message", place.channel, who, ts, text, place.root_ts))
    chance.shuffle(burst)
    return burst


async def test_a_burst_of_messages_over_socket_mode_is_on_record_in_time(tmp_path: Path) -> None:
    """The messages come as fast as users can post them; recorded events are acknowledged at
    once."""
    asking, events = (20, 2_000) if FULL else (4, 200)
    async with load_fixture(tmp_path, MAX_TURNS_PER_USER="20") as crowd, within(150, crowd):
        questions = await questions_in_threads(crowd, asking)
        left = iter(range(events))

        async def talk(person: str) -> None:
            for number in left:
                place = questions[number % asking]
                text = f"<@{PEOPLE['alice']}> I think so, too, number {number}"
                await crowd.slack.say(person, place.channel, text, thread_ts=place.root_ts)

        await asyncio.gather(*(talk(person) for person in ("bob", "carol") * 8))
        rows = await crowd.until_settled(questions, SECONDS)
        assert {row.state for row in rows} == {TurnState.DONE}
        late = await crowd.until(
            lambda _: all_received(crowd, events + asking), 60, "all are on record"
        )
        latest = max(late)
        print(f"{events} messages, the latest on record after {latest:.2f} s")
        assert latest < ACKNOWLEDGED_SECONDS
        await all_show(crowd, questions)


def all_received(crowd: LoadFixture, count: int) -> list[float] | None:
    """Seconds from each message's `ts` until it was on record, or None until all are."""
    seconds = crowd.records.seconds_until_received()
    return seconds if len(seconds) >= count else None


async def test_the_messages_that_wait_in_one_thread_are_answered_in_their_order(
    tmp_path: Path,
) -> None:
    waiting = 500 if FULL else 20
    async with load_fixture(tmp_path) as crowd, within(100, crowd):
        crowd.model.when(
            "t00m000v0", Answer(expected_answer("Tell me about t00m000v0 in 3 lines"), hold_after=1)
        )
        first = await crowd.ask(0, "alice", GENERAL)
        await crowd.model.reached(within=60)
        more = [
            await crowd.ask(number, "alice", GENERAL, root_ts=first.ts)
            for number in range(1, waiting + 1)
        ]
        await crowd.until(lambda rows: len(rows) == waiting + 1, 60, "all of them wait")
        crowd.model.release()
        rows = await crowd.until_settled([first, *more], SECONDS)
        assert {row.state for row in rows} == {TurnState.DONE}
        assert await crowd.shown(first) == whole([first, *more])


async def test_very_many_turns_run_at_once_and_every_one_is_answered(tmp_path: Path) -> None:
    """No thread waits for another one. Answers that Slack's limits do not allow to stream in so
    many threads at once are posted whole."""
    count = 200 if FULL else 10
    more = {"MAX_TURNS": str(count), "MAX_SESSIONS": str(count), "MAX_TURNS_PER_USER": str(count)}
    async with load_fixture(tmp_path, **more) as crowd, within(200 if FULL else 60, crowd):
        crowd.model.default = Answer(crowd.model.default.text, hold_after=1)
        questions = await questions_in_threads(crowd, count)
        await crowd.model.reached(count, within=SECONDS)
        rows = crowd.records.turns()
        assert [row.state for row in rows] == [TurnState.RUNNING] * count
        for one in questions[:10]:  # Slack allows some twenty streams a minute: these are live
            first_words = expected_answer(one.text)[:8]  # the piece after which the model holds
            await crowd.slack.until_shown(one.channel, one.ts, first_words, SECONDS)
        began = time.monotonic()
        crowd.model.release()
        await crowd.until_settled(questions, SECONDS)
        print(f"{count} turns at once, all answered {time.monotonic() - began:.1f} s later")
        await all_show(crowd, questions)


async def test_one_user_with_very_many_questions_does_not_keep_others_waiting(
    tmp_path: Path,
) -> None:
    """Alice asks in very many threads, and Bob and Carol ask after her."""
    much, little = (60, 10) if FULL else (18, 3)
    per_user = 5 if FULL else 3
    limits = {"MAX_TURNS_PER_USER": str(per_user), "MAX_TURNS": str(3 * per_user)}
    async with load_fixture(tmp_path, **limits) as crowd:
        crowd.model.default = Answer(crowd.model.default.text, hold_after=1)
        questions = await questions_in_threads(crowd, much)
        for number in range(2 * little):
            person = ("bob", "carol")[number % 2]
            questions.append(await crowd.ask(much + number, person, GENERAL))
        await crowd.model.reached(3 * per_user, within=60)
        rows = await crowd.until(
            lambda rows: rows if len(rows) == len(questions) else None, 60, "all are on record"
        )
        for person in ("alice", "bob", "carol"):
            assert running(rows, person) == min(per_user, count_of(rows, person))
        crowd.model.default = Answer(crowd.model.default.text)
        crowd.model.release()
        await crowd.until_settled(questions, SECONDS)
        ends = crowd.records.ends()
        before = [user for user in ends if user == PEOPLE["alice"]]
        last_of_others = max(at for at, user in enumerate(ends) if user != PEOPLE["alice"])
        while_others_waited = ends[:last_of_others].count(PEOPLE["alice"])
        print(f"of {len(before)} answers to one, {while_others_waited} before the others' last")
        assert while_others_waited < len(before) * 2 / 3
        await all_show(crowd, questions)


def running(rows: list[Row], person: str) -> int:
    return sum(row.state == TurnState.RUNNING and row.user == PEOPLE[person] for row in rows)


def count_of(rows: list[Row], person: str) -> int:
    return sum(row.user == PEOPLE[person] and row.state in OPEN for row in rows)


async def test_an_endless_answer_keeps_the_bot_small_and_responsive(tmp_path: Path) -> None:
    """The thread shows the beginning of 5 MB; other users are answered at the same time."""
    size = (5 if FULL else 1) * MB
    text = "\n".join(f"Line {n:07} of an endless answer." for n in range(size // 33))
    async with load_fixture(tmp_path) as crowd, within(200 if FULL else 120, crowd):
        crowd.model.when("everything", Answer(text))
        endless = await crowd.slack.say("alice", GENERAL, "@threadpilot tell me everything")
        await crowd.slack.until_shown(GENERAL, endless, "Line 0000000", 60)
        others = [await crowd.ask(number, "bob", DEV) for number in range(5)]
        await crowd.until_settled([*others, Question(GENERAL, endless, endless, "")], SECONDS)
        assert max(crowd.records.seconds_until_received()) < ACKNOWLEDGED_SECONDS
        await all_show(crowd, others)
        shown = await crowd.slack.bot_texts(GENERAL, endless)
        assert text.startswith(shown[0].rstrip("\n"))
        assert len(shown) < 50, "hundreds of messages are too many for readers and for Slack"
