"""Missed messages are read from Slack within the rate limits, and only those of the gap."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.domain.messages import TS_PATTERN, Message, ThreadKey, Trigger
from bot.domain.turns import AcceptResult
from bot.ports import CheckpointStore, Clock, Store
from bot.slack.api import client
from bot.slack.api.calls import ApiCaller
from bot.slack.api.client import SlackClient, make_client
from bot.slack.events import backfill as backfill_module
from bot.slack.events.backfill import (
    BURST_CALLS,
    MAX_CONSECUTIVE_FAILURES,
    Backfill,
    BackfillProgress,
    Conversation,
    Json,
    message_event,
)
from bot.slack.events.parser import parse_event
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
    emulator_over_http,
    wait_until,
)
from tests.fakes import ManualClock, QuickClock
from tests.integration.slack.receiver import IDENTITY

DAY = 86_400.0


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with emulator_over_http() as outside:
        yield outside


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now=time.time())  # as in the emulator


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "data", clock=clock, max_running_per_user=2) as store:
        yield store


class BackfillFixture:
    """Reads the emulator and records missed messages in the real database."""

    def __init__(
        self, outside: Outside, session: aiohttp.ClientSession, store: Store, clock: ManualClock
    ) -> None:
        self.taken: list[Message] = []
        self.stumbles_over = ""
        self._store = store
        self._web = make_client(BOT, f"{outside.url}/api/", session)
        self.catching_up = self.with_clock(clock)

    def with_clock(self, clock: Clock) -> Backfill:
        reads = SlackClient(self._web, ApiCaller(clock))
        return Backfill(reads, IDENTITY, _known_to(self._store), clock, self._take)

    async def _take(self, body: Json) -> AcceptResult | None:
        fact = parse_event(body, IDENTITY)
        if not isinstance(fact, Message):
            return None
        if self.stumbles_over and self.stumbles_over in fact.text:
            raise KeyError(fact.text)
        self.taken.append(fact)
        return await self._store.accept_message(fact)


def _known_to(store: Store) -> CheckpointStore:
    return store


@pytest.fixture
async def backfill(
    outside: Outside, store: Store, clock: ManualClock
) -> AsyncIterator[BackfillFixture]:
    async with aiohttp.ClientSession() as session:
        yield BackfillFixture(outside, session, store, clock)


async def now(outside: Outside) -> float:
    return float((await outside.control("clock"))["now"])


async def known_threads(outside: Outside, store: Store, count: int) -> list[ThreadKey]:
    """Threads that the bot knows, started by Alice."""
    keys = []
    for number in range(count):
        ts = await outside.say(ALICE, GENERAL, f"thread {number}")
        key = ThreadKey(team=TEAM, channel=GENERAL, root_ts=ts)
        await store.accept_message(
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


async def test_it_reads_the_messages_since_then_and_none_before(
    outside: Outside, backfill: BackfillFixture
) -> None:
    await outside.say(ALICE, GENERAL, "<@U0PILOT> before")
    await outside.say(ALICE, SECRET, "<@U0PILOT> where the bot is not")
    await outside.advance(10)
    began = await now(outside) - 5
    ts = await outside.say(ALICE, DEV, "<@U0PILOT> after")
    await outside.say(BOB, DEV, "<@U0PILOT> in its thread", thread_ts=ts)
    await outside.say(BOB, DEV, "not for the bot")
    caught = await backfill.catching_up.read_since(began)
    assert [(one.text, one.trigger) for one in backfill.taken] == [
        ("after", Trigger.MENTION),
        ("in its thread", Trigger.MENTION),
    ]
    assert (caught.message_count, caught.accepted_count, caught.unread_count) == (3, 2, 0)
    again = await backfill.catching_up.read_since(began)
    assert (again.message_count, again.accepted_count) == (3, 0)


async def test_a_thread_that_rested_for_days_is_looked_into(
    outside: Outside, store: Store, backfill: BackfillFixture
) -> None:
    """Its root is too old to be among the channel's messages."""
    (key,) = await known_threads(outside, store, 1)
    await outside.advance(3 * DAY)
    began = await now(outside) - 5
    await outside.say(ALICE, GENERAL, "and now?", thread_ts=key.root_ts)
    await backfill.catching_up.read_since(began)
    assert [(one.text, one.thread) for one in backfill.taken] == [("and now?", key)]


async def test_a_thread_without_new_replies_costs_no_call(
    outside: Outside, store: Store, backfill: BackfillFixture
) -> None:
    """The root has the time of the latest reply."""
    keys = await known_threads(outside, store, 5)
    await outside.advance(10)
    began = await now(outside) - 5
    await outside.say(ALICE, GENERAL, "one more", thread_ts=keys[3].root_ts)
    await backfill.catching_up.read_since(began)
    read = [call["arguments"]["ts"] for call in await outside.calls("conversations.replies")]
    assert read == [keys[3].root_ts]


@pytest.mark.parametrize(
    ("kind", "for_later"), [("500", True), ("drop_before", True), ("error", False)]
)
@pytest.mark.parametrize("method", ["conversations.history", "users.conversations"])
async def test_what_slack_does_not_give_for_passing_trouble_is_left_for_later(
    outside: Outside,
    store: Store,
    backfill: BackfillFixture,
    method: str,
    kind: str,
    for_later: bool,
) -> None:
    await known_threads(outside, store, 1)
    began = await now(outside) - 5
    fault = {"method": method, "kind": kind, "times": 99, "error": "missing_scope"}
    await outside.control("faults", fault)
    backfill.catching_up = backfill.with_clock(QuickClock())
    assert bool((await backfill.catching_up.read_since(began)).retryable_count) is for_later
    async with outside.http.delete(f"{outside.url}/sandbox/faults") as cleared:
        assert cleared.status == 200
    assert (await backfill.catching_up.read_since(began)).retryable_count == 0


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
async def test_a_place_that_may_never_be_read_is_reported_once_and_a_refused_token_is_waited_for(
    outside: Outside,
    backfill: BackfillFixture,
    caplog: pytest.LogCaptureFixture,
    code: str,
    for_later: bool,
) -> None:
    began = await now(outside) - 5
    await outside.say(ALICE, DEV, "<@U0PILOT> elsewhere")
    fault = {"method": "conversations.history", "kind": "error", "times": 1, "error": code}
    await outside.control("faults", fault)
    progress = BackfillProgress()
    caught = await backfill.catching_up.read_since(began, progress)
    assert (caught.unread_count, caught.retryable_count) == (1, int(for_later))
    again = await backfill.catching_up.read_since(began, progress)
    assert (again.unread_count, again.retryable_count) == (int(not for_later), 0)
    event = [line for line in caplog.messages if "cannot be read" in line and code in line]
    assert len(event) == int(not for_later)


async def test_only_what_could_not_be_read_is_read_again(
    outside: Outside, backfill: BackfillFixture
) -> None:
    began = await now(outside) - 5
    ts = await outside.say(ALICE, GENERAL, "<@U0PILOT> one")
    await outside.say(ALICE, GENERAL, "and more", thread_ts=ts)
    await outside.say(BOB, DEV, "<@U0PILOT> two")
    fault = {"method": "conversations.history", "kind": "500", "times": 1}
    await outside.control("faults", fault)
    progress = BackfillProgress()
    first = await backfill.catching_up.read_since(began, progress)
    assert (first.unread_count, first.retryable_count) == (1, 1)
    before = len(await outside.calls("conversations.history"))
    second = await backfill.catching_up.read_since(began, progress)
    assert (second.unread_count, second.retryable_count) == (0, 0)
    assert len(await outside.calls("conversations.history")) == before + 1
    assert len(await outside.calls("conversations.replies")) == 1
    assert sorted(one.text for one in backfill.taken) == ["and more", "one", "two"]
    assert (second.message_count, second.accepted_count) == (3, 3)


@pytest.mark.parametrize("method", ["conversations.history", "conversations.replies"])
async def test_slack_is_left_alone_for_as_long_as_it_wants_to_be_and_then_read_on(
    outside: Outside, store: Store, backfill: BackfillFixture, method: str
) -> None:
    await known_threads(outside, store, 1)
    await outside.advance(3 * DAY)
    began = await now(outside) - 5
    fault = {"method": method, "kind": "429", "times": 1, "retry_after": 60}
    await outside.control("faults", fault)
    backfill.catching_up = backfill.with_clock(QuickClock())
    caught = await backfill.catching_up.read_since(began)
    assert (caught.unread_count, caught.retryable_count) == (0, 0)
    first, again, *_ = await outside.calls(method)
    assert (first["status"], again["status"]) == (429, 200)


async def test_a_slack_in_trouble_is_left_alone_after_a_few_places(
    outside: Outside, store: Store, backfill: BackfillFixture
) -> None:
    """Failed targets do not block the others at the next try."""
    await known_threads(outside, store, 10)
    await outside.advance(3 * DAY)
    began = await now(outside) - 5
    await outside.control(
        "faults",
        {"method": "conversations.replies", "kind": "500", "times": MAX_CONSECUTIVE_FAILURES},
    )
    progress = BackfillProgress()
    caught = await backfill.catching_up.read_since(began, progress)
    failed = [call["arguments"]["ts"] for call in await outside.calls("conversations.replies")]
    assert (len(failed), caught.retryable_count) == (MAX_CONSECUTIVE_FAILURES, 10)
    assert (await backfill.catching_up.read_since(began, progress)).retryable_count == 0
    read = [call["arguments"]["ts"] for call in await outside.calls("conversations.replies")]
    assert len(read) == MAX_CONSECUTIVE_FAILURES + 10
    assert read[-MAX_CONSECUTIVE_FAILURES:] == failed


async def test_a_message_that_the_bot_stumbles_over_keeps_back_no_other_channel(
    outside: Outside, backfill: BackfillFixture
) -> None:
    """The target is read again: the cause may have passed."""
    began = await now(outside) - 5
    await outside.say(ALICE, GENERAL, "<@U0PILOT> a stone")
    await outside.say(BOB, DEV, "<@U0PILOT> hello")
    backfill.stumbles_over = "a stone"
    progress = BackfillProgress()
    caught = await backfill.catching_up.read_since(began, progress)
    assert [one.text for one in backfill.taken] == ["hello"]
    assert (caught.unread_count, caught.retryable_count) == (1, 1)
    backfill.stumbles_over = ""
    assert (await backfill.catching_up.read_since(began, progress)).retryable_count == 0
    assert [one.text for one in backfill.taken] == ["hello", "a stone"]


@pytest.mark.parametrize(("count", "left_out"), [(4, False), (5, True)])
async def test_more_than_is_read_of_a_channel_is_reported_to_operators(
    outside: Outside,
    backfill: BackfillFixture,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    count: int,
    left_out: bool,
) -> None:
    monkeypatch.setattr(client, "_PAGE_SIZE", 2)
    monkeypatch.setattr(client, "_MAX_HISTORY_PAGES", 2)
    began = await now(outside) - 5
    for number in range(count):
        await outside.say(ALICE, GENERAL, f"number {number}")
    assert (await backfill.catching_up.read_since(began)).message_count == 4
    assert ("page limit reached" in caplog.text) is left_out


async def test_threads_with_the_bot_are_read_however_many_others_were_answered(
    outside: Outside, store: Store, backfill: BackfillFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill_module, "MAX_THREADS", 2)
    others = [await outside.say(BOB, GENERAL, f"lunch {number}?") for number in range(4)]
    (key,) = await known_threads(outside, store, 1)
    await outside.advance(10)
    began = await now(outside) - 5
    for ts in others:
        await outside.say(ALICE, GENERAL, "yes", thread_ts=ts)
    await outside.say(ALICE, GENERAL, "and now?", thread_ts=key.root_ts)
    caught = await backfill.catching_up.read_since(began)
    assert "and now?" in [one.text for one in backfill.taken]
    assert len(await outside.calls("conversations.replies")) == 3
    assert caught.unread_count == 2


async def test_many_places_are_read_at_a_pace_that_leaves_calls_for_others(
    outside: Outside, store: Store, backfill: BackfillFixture, clock: ManualClock
) -> None:
    await known_threads(outside, store, 30)
    await outside.advance(3 * DAY)
    catching = asyncio.create_task(backfill.catching_up.read_since(await now(outside)))

    async def calls() -> int:
        methods = ("users.conversations", "conversations.history", "conversations.replies")
        return sum([len(await outside.calls(method)) for method in methods])

    async def resting() -> bool:
        return clock.sleeping == 1

    await wait_until(resting, "it rests")
    assert await calls() == BURST_CALLS
    await clock.advance(1.9)
    assert await calls() == BURST_CALLS
    for more in (1, 2, 3):
        await clock.advance(2)

        async def one_more(more: int = more) -> bool:
            return await calls() == BURST_CALLS + more and clock.sleeping == 1

        await wait_until(one_more, "one call more is made, and then it rests again")
    while not catching.done():
        await clock.advance(2)
        await asyncio.wait({catching}, timeout=0.05)
    assert (await catching).unread_count == 0


# The event of a missed message ------------------------------------------------------------------


def read_back(message: Json, kind: str = "channel") -> object:
    return parse_event(
        message_event(message, Conversation(id="C0GENERAL", channel_type=kind), IDENTITY), IDENTITY
    )


MESSAGE: Json = {
    "type": "message",
    "user": "UALICE",
    "team": TEAM,
    "ts": "1790000000.000100",
    "text": "<@U0PILOT> hello",
}


def test_a_message_that_was_read_is_the_same_fact_as_one_that_was_received() -> None:
    event = {
        "type": "event_callback",
        "event_id": "Ev01",
        "team_id": TEAM,
        "event": {**MESSAGE, "channel": "C0GENERAL", "channel_type": "channel"},
    }
    fact, read = parse_event(event, IDENTITY), read_back(MESSAGE)
    assert isinstance(fact, Message)
    assert isinstance(read, Message)
    assert {**_all_of(read), "event_id": "Ev01"} == _all_of(fact)


def test_the_beginning_of_a_thread_is_no_answer_in_it() -> None:
    """Slack sets a thread's own ts on its root after the first reply."""
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
def test_a_user_of_the_same_organization_is_not_external(more: Json, external: bool) -> None:
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
    assert TS_PATTERN.fullmatch(message.ts)
    return {name: getattr(message, name) for name in Message.__slots__}
