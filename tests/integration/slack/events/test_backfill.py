"""What was missed is read from Slack at a gentle pace, as far back as it goes, and no further."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.domain.messages import TS, Message, ThreadKey, Trigger
from bot.domain.turns import Accepted
from bot.ports import Clock, HearingStore, Store
from bot.slack.api import client
from bot.slack.api.calls import Calls
from bot.slack.api.client import Client, make_client
from bot.slack.events import backfill
from bot.slack.events.backfill import (
    CALLS_AT_ONCE,
    MOST_IN_A_ROW,
    CatchingUp,
    Conversation,
    Json,
    Progress,
    event_of,
)
from bot.slack.events.parser import read_event
from bot.store import open_store
from tests.conformance.http_client import (
    ALICE,
    BOB,
    BOT,
    DEV,
    GENERAL,
    SECRET,
    TEAM,
    Outside,
    eventually,
    sandbox_from_outside,
)
from tests.fakes import HandClock, QuickClock
from tests.integration.slack.receiver import US

DAY = 86_400.0


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with sandbox_from_outside() as outside:
        yield outside


@pytest.fixture
def clock() -> HandClock:
    return HandClock(now=time.time())  # as the sandbox's does


@pytest.fixture
async def store(tmp_path: Path, clock: HandClock) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "data", clock=clock, per_user=2) as store:
        yield store


class Reading:
    """Reads the sandbox, and takes what was missed into the real database."""

    def __init__(
        self, outside: Outside, session: aiohttp.ClientSession, store: Store, clock: HandClock
    ) -> None:
        self.taken: list[Message] = []
        self.stumbles_over = ""
        self._store = store
        self._web = make_client(BOT, f"{outside.url}/api/", session)
        self.catching_up = self.with_clock(clock)

    def with_clock(self, clock: Clock) -> CatchingUp:
        reads = Client(self._web, Calls(clock))
        return CatchingUp(reads, US, _heard_of(self._store), clock, self._take)

    async def _take(self, body: Json) -> Accepted | None:
        fact = read_event(body, US)
        if not isinstance(fact, Message):
            return None
        if self.stumbles_over and self.stumbles_over in fact.text:
            raise KeyError(fact.text)
        self.taken.append(fact)
        return await self._store.accept(fact)


def _heard_of(store: Store) -> HearingStore:
    return store


@pytest.fixture
async def reading(outside: Outside, store: Store, clock: HandClock) -> AsyncIterator[Reading]:
    async with aiohttp.ClientSession() as session:
        yield Reading(outside, session, store, clock)


async def now(outside: Outside) -> float:
    return float((await outside.control("clock"))["now"])


async def known_threads(outside: Outside, store: Store, count: int) -> list[ThreadKey]:
    """Threads that the bot knows, begun by Alice."""
    keys = []
    for number in range(count):
        ts = await outside.say(ALICE, GENERAL, f"thread {number}")
        key = ThreadKey(team=TEAM, channel=GENERAL, root_ts=ts)
        await store.accept(
            Message(
                event_id=f"Ev{number}",
                thread=key,
                ts=ts,
                user="UALICE",
                user_team=TEAM,
                text="hello",
                trigger=Trigger.MENTION,
            )
        )
        keys.append(key)
    return keys


async def test_it_reads_what_was_said_since_then_and_nothing_before(
    outside: Outside, reading: Reading
) -> None:
    await outside.say(ALICE, GENERAL, "<@U0PILOT> before")
    await outside.say(ALICE, SECRET, "<@U0PILOT> where the bot is not")
    await outside.advance(10)
    began = await now(outside) - 5
    ts = await outside.say(ALICE, DEV, "<@U0PILOT> after")
    await outside.say(BOB, DEV, "<@U0PILOT> in its thread", thread_ts=ts)
    await outside.say(BOB, DEV, "not for the bot")
    caught = await reading.catching_up.since(began)
    assert [(one.text, one.trigger) for one in reading.taken] == [
        ("after", Trigger.MENTION),
        ("in its thread", Trigger.MENTION),
    ]
    assert (caught.messages, caught.taken, caught.unread) == (3, 2, 0)
    again = await reading.catching_up.since(began)
    assert (again.messages, again.taken) == (3, 0)


async def test_a_thread_that_rested_for_days_is_looked_into(
    outside: Outside, store: Store, reading: Reading
) -> None:
    """Its root is too old to be seen in the channel."""
    (key,) = await known_threads(outside, store, 1)
    await outside.advance(3 * DAY)
    began = await now(outside) - 5
    await outside.say(ALICE, GENERAL, "and now?", thread_ts=key.root_ts)
    await reading.catching_up.since(began)
    assert [(one.text, one.thread) for one in reading.taken] == [("and now?", key)]


async def test_a_thread_in_which_nothing_was_said_costs_no_call(
    outside: Outside, store: Store, reading: Reading
) -> None:
    """Slack tells with its root when it was last answered."""
    keys = await known_threads(outside, store, 5)
    await outside.advance(10)
    began = await now(outside) - 5
    await outside.say(ALICE, GENERAL, "one more", thread_ts=keys[3].root_ts)
    await reading.catching_up.since(began)
    read = [call["arguments"]["ts"] for call in await outside.calls("conversations.replies")]
    assert read == [keys[3].root_ts]


@pytest.mark.parametrize(
    ("kind", "for_later"), [("500", True), ("drop_before", True), ("error", False)]
)
@pytest.mark.parametrize("method", ["conversations.history", "users.conversations"])
async def test_what_slack_does_not_give_for_passing_trouble_is_left_for_later(
    outside: Outside, store: Store, reading: Reading, method: str, kind: str, for_later: bool
) -> None:
    await known_threads(outside, store, 1)
    began = await now(outside) - 5
    fault = {"method": method, "kind": kind, "times": 99, "error": "missing_scope"}
    await outside.control("faults", fault)
    reading.catching_up = reading.with_clock(QuickClock())
    assert bool((await reading.catching_up.since(began)).for_later) is for_later
    async with outside.http.delete(f"{outside.url}/sandbox/faults") as cleared:
        assert cleared.status == 200
    assert (await reading.catching_up.since(began)).for_later == 0


@pytest.mark.parametrize(
    ("code", "for_later"),
    [
        ("not_in_channel", False),
        ("channel_not_found", False),
        ("missing_scope", False),
        ("token_revoked", True),
        ("account_inactive", True),
    ],
)
async def test_a_place_that_may_never_be_read_is_told_once_and_a_refused_token_is_waited_for(
    outside: Outside,
    reading: Reading,
    caplog: pytest.LogCaptureFixture,
    code: str,
    for_later: bool,
) -> None:
    began = await now(outside) - 5
    await outside.say(ALICE, DEV, "<@U0PILOT> elsewhere")
    fault = {"method": "conversations.history", "kind": "error", "times": 1, "error": code}
    await outside.control("faults", fault)
    progress = Progress()
    caught = await reading.catching_up.since(began, progress)
    assert (caught.unread, caught.for_later) == (1, int(for_later))
    again = await reading.catching_up.since(began, progress)
    assert (again.unread, again.for_later) == (int(not for_later), 0)
    told = [line for line in caplog.messages if "could not be read" in line and code in line]
    assert len(told) == int(not for_later)


async def test_only_what_could_not_be_read_is_read_again(
    outside: Outside, reading: Reading
) -> None:
    began = await now(outside) - 5
    ts = await outside.say(ALICE, GENERAL, "<@U0PILOT> one")
    await outside.say(ALICE, GENERAL, "and more", thread_ts=ts)
    await outside.say(BOB, DEV, "<@U0PILOT> two")
    fault = {"method": "conversations.history", "kind": "500", "times": 1}
    await outside.control("faults", fault)
    progress = Progress()
    first = await reading.catching_up.since(began, progress)
    assert (first.unread, first.for_later) == (1, 1)
    before = len(await outside.calls("conversations.history"))
    second = await reading.catching_up.since(began, progress)
    assert (second.unread, second.for_later) == (0, 0)
    assert len(await outside.calls("conversations.history")) == before + 1
    assert len(await outside.calls("conversations.replies")) == 1
    assert sorted(one.text for one in reading.taken) == ["and more", "one", "two"]
    assert (second.messages, second.taken) == (3, 3)


@pytest.mark.parametrize("method", ["conversations.history", "conversations.replies"])
async def test_slack_is_left_alone_for_as_long_as_it_wants_to_be_and_then_read_on(
    outside: Outside, store: Store, reading: Reading, method: str
) -> None:
    await known_threads(outside, store, 1)
    await outside.advance(3 * DAY)
    began = await now(outside) - 5
    fault = {"method": method, "kind": "429", "times": 1, "retry_after": 60}
    await outside.control("faults", fault)
    reading.catching_up = reading.with_clock(QuickClock())
    caught = await reading.catching_up.since(began)
    assert (caught.unread, caught.for_later) == (0, 0)
    first, again, *_ = await outside.calls(method)
    assert (first["status"], again["status"]) == (429, 200)


async def test_a_slack_in_trouble_is_left_alone_after_a_few_places(
    outside: Outside, store: Store, reading: Reading
) -> None:
    """And those that failed do not stand in the way of the others the next time."""
    await known_threads(outside, store, 10)
    await outside.advance(3 * DAY)
    began = await now(outside) - 5
    await outside.control(
        "faults", {"method": "conversations.replies", "kind": "500", "times": MOST_IN_A_ROW}
    )
    progress = Progress()
    caught = await reading.catching_up.since(began, progress)
    failed = [call["arguments"]["ts"] for call in await outside.calls("conversations.replies")]
    assert (len(failed), caught.for_later) == (MOST_IN_A_ROW, 10)
    assert (await reading.catching_up.since(began, progress)).for_later == 0
    read = [call["arguments"]["ts"] for call in await outside.calls("conversations.replies")]
    assert len(read) == MOST_IN_A_ROW + 10
    assert read[-MOST_IN_A_ROW:] == failed


async def test_a_message_that_the_bot_stumbles_over_keeps_back_no_other_channel(
    outside: Outside, reading: Reading
) -> None:
    """It is looked for again: what made it stumble may have passed."""
    began = await now(outside) - 5
    await outside.say(ALICE, GENERAL, "<@U0PILOT> a stone")
    await outside.say(BOB, DEV, "<@U0PILOT> hello")
    reading.stumbles_over = "a stone"
    progress = Progress()
    caught = await reading.catching_up.since(began, progress)
    assert [one.text for one in reading.taken] == ["hello"]
    assert (caught.unread, caught.for_later) == (1, 1)
    reading.stumbles_over = ""
    assert (await reading.catching_up.since(began, progress)).for_later == 0
    assert [one.text for one in reading.taken] == ["hello", "a stone"]


@pytest.mark.parametrize(("count", "left_out"), [(4, False), (5, True)])
async def test_more_than_is_read_of_a_channel_is_told_to_operators(
    outside: Outside,
    reading: Reading,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    count: int,
    left_out: bool,
) -> None:
    monkeypatch.setattr(client, "_PAGE", 2)
    monkeypatch.setattr(client, "_HISTORY_PAGES", 2)
    began = await now(outside) - 5
    for number in range(count):
        await outside.say(ALICE, GENERAL, f"number {number}")
    assert (await reading.catching_up.since(began)).messages == 4
    assert ("there are more messages" in caplog.text) is left_out


async def test_threads_with_the_bot_are_read_however_many_others_were_answered(
    outside: Outside, store: Store, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "MOST_THREADS", 2)
    others = [await outside.say(BOB, GENERAL, f"lunch {number}?") for number in range(4)]
    (key,) = await known_threads(outside, store, 1)
    await outside.advance(10)
    began = await now(outside) - 5
    for ts in others:
        await outside.say(ALICE, GENERAL, "yes", thread_ts=ts)
    await outside.say(ALICE, GENERAL, "and now?", thread_ts=key.root_ts)
    caught = await reading.catching_up.since(began)
    assert "and now?" in [one.text for one in reading.taken]
    assert len(await outside.calls("conversations.replies")) == 3
    assert caught.unread == 2


async def test_many_places_are_read_at_a_pace_that_leaves_calls_for_others(
    outside: Outside, store: Store, reading: Reading, clock: HandClock
) -> None:
    await known_threads(outside, store, 30)
    await outside.advance(3 * DAY)
    catching = asyncio.create_task(reading.catching_up.since(await now(outside)))

    async def calls() -> int:
        methods = ("users.conversations", "conversations.history", "conversations.replies")
        return sum([len(await outside.calls(method)) for method in methods])

    async def resting() -> bool:
        return clock.sleeping == 1

    await eventually(resting, "it rests")
    assert await calls() == CALLS_AT_ONCE
    await clock.advance(1.9)
    assert await calls() == CALLS_AT_ONCE
    for more in (1, 2, 3):
        await clock.advance(2)

        async def one_more(more: int = more) -> bool:
            return await calls() == CALLS_AT_ONCE + more and clock.sleeping == 1

        await eventually(one_more, "one call more is made, and then it rests again")
    while not catching.done():
        await clock.advance(2)
        await asyncio.wait({catching}, timeout=0.05)
    assert (await catching).unread == 0


# Read as if it came now -------------------------------------------------------------------------


def read_back(message: Json, kind: str = "channel") -> object:
    return read_event(event_of(message, Conversation(id="C0GENERAL", kind=kind), US), US)


MESSAGE: Json = {
    "type": "message",
    "user": "UALICE",
    "team": TEAM,
    "ts": "1790000000.000100",
    "text": "<@U0PILOT> hello",
}


def test_a_message_that_was_read_is_the_same_fact_as_one_that_was_told() -> None:
    told = {
        "type": "event_callback",
        "event_id": "Ev01",
        "team_id": TEAM,
        "event": {**MESSAGE, "channel": "C0GENERAL", "channel_type": "channel"},
    }
    fact, read = read_event(told, US), read_back(MESSAGE)
    assert isinstance(fact, Message)
    assert isinstance(read, Message)
    assert {**_all_of(read), "event_id": "Ev01"} == _all_of(fact)


def test_the_beginning_of_a_thread_is_no_answer_in_it() -> None:
    """Slack writes a thread's own ts on its root once somebody has answered."""
    read = read_back({**MESSAGE, "thread_ts": MESSAGE["ts"], "reply_count": 2})
    assert isinstance(read, Message)
    assert read.starts_thread
    assert read.trigger is Trigger.MENTION


def test_a_direct_message_is_known_by_its_conversation() -> None:
    read = read_back({**MESSAGE, "text": "hello"}, kind="im")
    assert isinstance(read, Message)
    assert (read.trigger, read.direct) == (Trigger.DIRECT, True)


@pytest.mark.parametrize(
    ("more", "external"),
    [
        ({"team": "E0ORGANIZATION"}, False),
        ({"team": "E0ORGANIZATION", "user_team": "E0ORGANIZATION"}, False),
        ({"team": "T0OTHER"}, True),
        ({"user_team": "T0OTHER", "source_team": "T0OTHER"}, True),
        ({"team": 5}, False),
    ],
)
def test_who_is_of_the_same_organization_is_no_outsider(more: Json, external: bool) -> None:
    read = read_back({**MESSAGE, **more})
    assert isinstance(read, Message)
    assert read.external is external


@pytest.mark.parametrize(
    "message",
    [{}, {"ts": 5}, {"ts": "1790000000.000100"}, {**MESSAGE, "text": 5}, {**MESSAGE, "user": []}],
)
def test_what_makes_no_sense_is_nothing_for_the_bot(message: Json) -> None:
    assert not isinstance(read_back(message), Message)


def _all_of(message: Message) -> dict[str, object]:
    assert TS.fullmatch(message.ts)
    return {name: getattr(message, name) for name in Message.__slots__}
